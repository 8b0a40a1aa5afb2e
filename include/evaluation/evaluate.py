"""Retrieval measured before and after fine-tuning, on what training never saw.

Systems: `bm25`, `base` (the model that training started from), `tuned`, `hybrid` (tuned and BM25 fused as
the index does, with a fitted weight), and `live` (the live index's model, where it is another). Search is
exact: this measures models; `verify` measures the index. The live model may have been trained on products that are
held out now, if the catalogue or the seed has changed: that can only make the gate stricter.

`include.evaluation.summary` has what is kept, in `metrics.json` and as the artifact's statistics.
"""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from include.catalogue.schema import PRODUCTS_FILE, held_out_rows
from include.core import artifacts
from include.core.arrays import Vectors
from include.core.artifacts import Artifact, Workspace
from include.core.errors import DamagedArtifact
from include.core.progress import Sink
from include.core.settings import EvaluateSettings, TrainSettings
from include.evaluation.bm25 import Bm25
from include.evaluation.bootstrap import CONFIDENCE, RESAMPLES, Bootstrap
from include.evaluation.exact_search import dense_search
from include.evaluation.examples import won_and_lost
from include.evaluation.filter_pairs import unreadable
from include.evaluation.fusion_weight import candidates, cross_fit, fit
from include.evaluation.gate import decide
from include.evaluation.metrics import Ranking, figures, judge, per_query
from include.evaluation.protocols import Protocol, query_to_label, title_to_content
from include.evaluation.summary import Fitted, Measured, ProtocolFigures
from include.model.base import WEIGHTS, resolve_base
from include.model.directory import kept_dimensions, model_dim
from include.store.fusion import depth
from include.store.live import LiveModel
from include.store.protocol import BM25_WEIGHT

log = logging.getLogger(__name__)

KIND = "evaluation"
FORMAT = 4
METRICS_FILE = "metrics.json"
DEPTH = 100  # ranks kept of each search: the largest k of the metrics
COMPARED = (("tuned", "base"), ("tuned", "live"), ("tuned", "bm25"), ("hybrid", "tuned"))


def evaluate(
    catalogue: Path,
    model: Path,
    train: TrainSettings,
    settings: EvaluateSettings,
    *,
    root: Path,
    dimensions: int = 0,
    live: LiveModel | None = None,
    sink: Sink | None = None,
) -> Artifact:
    """Measure the model against its base, BM25 and the live model.

    Args:
        catalogue: Artifact of kind `catalogue`.
        model: Artifact of kind `model`.
        train: What the model was trained with: base model, held-out products, seed.
        settings: Size of the corpora, tolerance of the gate, pairs to leave out.
        root: The data directory.
        dimensions: Of the model's vectors the first so many are what the index will hold; 0 for all.
        live: The live index's model; None where there is none.
        sink: Receives progress, in tokens of each embedding.

    Returns:
        Artifact of kind `evaluation` with `metrics.json`; its statistics are the same: `Measured`.

    Raises:
        BadModel: A model cannot be loaded.
        BadSettings: The filter file cannot be used, or the model has fewer dimensions.
    """
    base = resolve_base(train.base_model, root=root)
    dim = kept_dimensions(model, dimensions)
    inputs = {
        "catalogue": artifacts.read(catalogue, verify=False).fingerprint,
        "model": artifacts.read(model, verify=False).fingerprint,
        "base": base.fingerprint,
    }
    shaping = {
        **train.model_dump(include={"holdout", "seed", "max_tokens"}),
        **settings.model_dump(include={"eval_corpus", "eval_queries", "tolerance"}),
        "related": train.related_share > 0,
        "filter": _filter_mark(settings),
        **({"dimensions": dim} if dim < model_dim(model) else {}),
    }
    models: dict[str, dict[str, Any]] = {
        "base": {"path": base.path, "max_tokens": train.max_tokens},
        "tuned": {"path": model, "dimensions": dim},
    }
    is_live = False
    if live is not None:
        mark = artifacts.read(live.path, verify=False).fingerprint
        is_live = mark == inputs["model"] and live.dim == dim
        if is_live and (found := _earlier(root, shaping, inputs)):
            return found
        inputs["live"] = mark if live.dim == model_dim(live.path) else f"{mark}, {live.dim} dimensions"
        if not is_live:
            models["live"] = {"path": live.path, "dimensions": live.dim}

    standing = {"is_live": is_live, **_standing(model, live if "live" in models else None)}

    def write(space: Workspace) -> dict[str, Any]:
        measured = _measure(catalogue, models, train, settings, sink, standing)
        (space.path / METRICS_FILE).write_text(json.dumps(measured, indent=2, allow_nan=False), encoding="utf-8")
        return measured

    made = artifacts.build(root, KIND, FORMAT, write, settings=shaping, inputs=inputs)
    for line in table(made.stats["protocols"]):
        log.info("%s", line)
    log.info("weight of BM25 in hybrid search: %s", made.stats["fusion"]["bm25_weight"])
    log.info("gate: %s", made.stats["gate"]["reason"])
    return made


def table(protocols: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The figures as aligned lines of text, systems down, metrics across."""
    lines = []
    for name, protocol in protocols.items():
        lines.append(f"{name}: {protocol['queries']:,} queries among {protocol['corpus']:,} texts")
        metrics = list(next(iter(protocol["systems"].values())))
        lines.append(f"  {'':8}" + "".join(f"{metric:>9}" for metric in metrics))
        for system, found in protocol["systems"].items():
            lines.append(f"  {system:8}" + "".join(f"{found[metric]:9.4f}" for metric in metrics))
    return lines


def _measure(
    catalogue: Path,
    models: Mapping[str, Mapping[str, Any]],
    train: TrainSettings,
    settings: EvaluateSettings,
    sink: Sink | None,
    standing: Mapping[str, Any],
) -> dict[str, Any]:
    from include.model.encoder import Encoder

    began = time.monotonic()
    held = held_out_rows(catalogue / PRODUCTS_FILE, train.holdout, train.seed)
    offered = [make(catalogue, held, train, settings) for make in (title_to_content, query_to_label)]
    protocols = [protocol for protocol in offered if protocol is not None]
    if not protocols:
        log.warning(
            "%s has nothing to measure models by: fewer than 5 products with both a title and a content, and no test "
            "product (tst) with a link into the labels (lbl)",
            catalogue,
        )
    seconds: dict[str, float] = {}
    rankings: list[dict[str, Ranking]] = []
    words = []
    with _timed(seconds, "bm25"):
        for protocol in protocols:
            words.append(Bm25(protocol.corpus))
            ranking, _ = words[-1].search(protocol.queries, DEPTH, excluded=protocol.excluded)
            rankings.append({"bm25": ranking})
    fusion: dict[str, Fitted] = {}
    for system, kept in models.items() if protocols else ():
        with _timed(seconds, system):
            encoder = Encoder.load(**kept)
            for protocol, bm25, ranked in zip(protocols, words, rankings, strict=True):
                asked = [*protocol.queries, *(protocol.fit_queries if system == "tuned" else [])]
                # Together: queries and corpus are batched by length, and progress has one total.
                vectors = encoder.encode(
                    [*asked, *protocol.corpus], sink=sink, stage=f"evaluate {system}, {protocol.name}"
                )
                queries, corpus = np.split(vectors, [len(asked)])
                own = queries[: len(protocol.queries)]
                ranked[system] = dense_search(own, corpus, DEPTH, excluded=protocol.excluded)
                if system == "tuned":
                    ranked["hybrid"], fusion[protocol.name] = _hybrid(protocol, queries, corpus, bm25, train.seed)
    scored = {protocol.name: _score(protocol, ranked) for protocol, ranked in zip(protocols, rankings, strict=True)}
    # A model that was not trained on related titles is not held to them, unless there is nothing else.
    judged = [name for name in scored if name != "query_to_label" or train.related_share > 0] or list(scored)
    weights = [each["bm25_weight"] for each in fusion.values()]  # contents first: they are what the index holds
    seconds["all"] = round(time.monotonic() - began, 2)
    measured = Measured(
        protocols=scored,
        confidence=CONFIDENCE,
        resamples=RESAMPLES,
        gate=decide(scored, settings.tolerance, judged, **standing),
        fusion={"bm25_weight": next((w for w in weights if w is not None), None), "protocols": fusion},
        examples=won_and_lost(
            [(protocol, ranked["base"], ranked["tuned"]) for protocol, ranked in zip(protocols, rankings, strict=True)]
        ),
        seconds=seconds,
    )
    return measured.model_dump(exclude_unset=True)


def _score(protocol: Protocol, rankings: Mapping[str, Ranking]) -> ProtocolFigures:
    """One protocol's part of `metrics.json`."""
    systems = {
        system: per_query(judge(ranking, protocol.relevant, protocol.inverse_propensities), protocol.metrics)
        for system, ranking in rankings.items()
    }
    drawn = Bootstrap(systems)
    return ProtocolFigures(
        queries=len(protocol.queries),
        corpus=len(protocol.corpus),
        whole_corpus=protocol.whole,
        **({} if protocol.excluded is None else {"unanswered": protocol.unanswered}),
        systems={system: figures(metrics) for system, metrics in systems.items()},
        intervals=drawn.intervals(),
        differences=drawn.differences(COMPARED),
    )


def _hybrid(protocol: Protocol, queries: Vectors, corpus: Vectors, bm25: Bm25, seed: int) -> tuple[Ranking, Fitted]:
    """Both sides fused with a weight that was fitted on other queries than those it is measured on.

    Args:
        protocol: Its `fit_queries` come after the queries.
        queries, corpus: Vectors of the tuned model.
        bm25: Of the corpus.
        seed: Draws the parts of a crosswise fit.

    Returns:
        (queries, DEPTH) positions, and the protocol's part of `fusion`.
    """
    texts = [*protocol.queries, *protocol.fit_queries]
    count, wide = len(protocol.queries), depth(DEPTH)
    excluded = None if protocol.excluded is None else [*protocol.excluded, *([frozenset()] * len(protocol.fit_queries))]
    dense = dense_search(queries, corpus, wide, excluded=excluded)
    found = candidates(queries, corpus, dense, *bm25.search(texts, wide, excluded=excluded))
    own, others = found[:count], found[count:]
    fitted = fit(others, protocol.fit_relevant)
    if fitted is not None:
        weights = np.full(count, fitted.weight)
        how = "held-out products"
    else:
        fitted = fit(own, protocol.relevant)
        weights = cross_fit(own, protocol.relevant, seed)
        how = "the queries, crosswise: each fifth is reported with the weight of the other four"
    return own.ranked(weights, DEPTH), {
        "bm25_weight": None if fitted is None else fitted.weight,
        "queries": 0 if fitted is None else fitted.queries,
        "fitted_on": how if fitted is not None else f"nothing: too few queries, so the default of {BM25_WEIGHT}",
        "reported_with": sorted(set(np.round(weights, 2).tolist())),
        "curve": {} if fitted is None else fitted.as_text(),
    }


def _standing(model: Path, rival: LiveModel | None) -> dict[str, Any]:
    """What the gate must know of the model beside its figures. The base as it is is no rival of itself."""
    untrained = str(artifacts.read(model, verify=False).stats.get("untrained", ""))
    if untrained and rival is not None:
        one, other = (artifacts.file_sha256(path / WEIGHTS) for path in (model, rival.path))
        return {"untrained": untrained, "has_rival": one != other}
    return {"untrained": untrained, "has_rival": rival is not None}


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - began, 2)


def _filter_mark(settings: EvaluateSettings) -> str | None:
    """The filter file's sha256: another content is another evaluation."""
    if not settings.filter_file:
        return None
    try:
        return artifacts.file_sha256(Path(settings.filter_file))
    except OSError as error:
        raise unreadable(Path(settings.filter_file), error) from error


def _earlier(root: Path, shaping: Mapping[str, Any], inputs: Mapping[str, str]) -> Artifact | None:
    """The evaluation that let this model go live: once it is live, a repeated run has no rival to measure."""
    for path in artifacts.published(root, KIND):
        try:
            found = artifacts.read(path, verify=False)
        except DamagedArtifact as damage:
            log.warning("%s It is passed over.", damage.what)
            continue
        same = {role: mark for role, mark in found.inputs.items() if role != "live"} == inputs
        current = artifacts.is_of_format(found, FORMAT)
        if same and current and found.settings == shaping and found.stats["gate"]["passed"]:
            log.info("reused %s %s: its model is the live one", KIND, found.fingerprint)
            return artifacts.read(path)
    return None
