"""Retrieval measured before and after fine-tuning, on what training never saw; and the gate.

Systems: `bm25`, `base` (the model that training started from), `tuned`, `hybrid` (tuned and BM25 fused as
the index does), and `live` (the live index's model, where it is another). Search is exact: this measures
models; `verify` measures the index. The live model may have been trained on products that are held out
now, if the catalogue or the seed has changed: that can only make the gate stricter.
"""

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from include import artifacts
from include.artifacts import Artifact, Workspace
from include.base_model import resolve_base
from include.bm25 import Bm25
from include.errors import DamagedArtifact, EmptyCatalogue
from include.exact_search import Ranking, dense_search, hybrid_search
from include.index import BM25_WEIGHT
from include.metrics import summary
from include.progress import Sink
from include.protocols import Protocol, query_to_label, title_to_content
from include.settings import EvaluateSettings, TrainSettings

log = logging.getLogger(__name__)

KIND = "evaluation"
FORMAT = 1
METRICS_FILE = "metrics.json"
DEPTH = 100  # ranks kept of each search: the largest k of the metrics
GATED = "r@10"
EXAMPLES = 8


def evaluate(
    catalogue: Path,
    model: Path,
    train: TrainSettings,
    settings: EvaluateSettings,
    *,
    root: Path,
    live: Path | None = None,
    sink: Sink | None = None,
) -> Artifact:
    """Measure the model against its base, BM25 and the live model.

    Args:
        catalogue: Artifact of kind `catalogue`.
        model: Artifact of kind `model`.
        train: What the model was trained with: base model, held-out products, seed.
        settings: Size of the corpora, tolerance of the gate.
        root: The data directory.
        live: The live index's model; None where there is none.
        sink: Receives progress, in tokens of each embedding.

    Returns:
        Artifact of kind `evaluation` with `metrics.json`; its statistics are the same: `protocols` (for each
        the number of queries, of corpus texts, and the systems' metrics, 0-1), `gate` (`passed`, `reason`,
        `tolerance`), `examples` (`won`, `lost` against the base), `seconds`.

    Raises:
        EmptyCatalogue: There is nothing to ask: no held-out product, no linked test product.
        BadModel: A model cannot be loaded.
    """
    base = resolve_base(train.base_model, root=root)
    inputs = {
        "catalogue": artifacts.read(catalogue, verify=False).fingerprint,
        "model": artifacts.read(model, verify=False).fingerprint,
        "base": base.fingerprint,
    }
    shaping = {
        **train.model_dump(include={"holdout", "seed", "max_tokens"}),
        **settings.model_dump(include={"eval_corpus", "eval_queries", "tolerance"}),
        "related": train.related_share > 0,
        "bm25_weight": BM25_WEIGHT,
    }
    if live is not None:
        mark = artifacts.read(live, verify=False).fingerprint
        if mark != inputs["model"]:
            inputs["live"] = mark
        elif found := _earlier(root, shaping, inputs):
            return found

    models: dict[str, tuple[Path, int | None]] = {"base": (base.path, train.max_tokens), "tuned": (model, None)}
    if live is not None and "live" in inputs:
        models["live"] = (live, None)

    def write(space: Workspace) -> dict[str, Any]:
        measured = _measure(catalogue, models, train, settings, sink)
        (space.path / METRICS_FILE).write_text(json.dumps(measured, indent=2, allow_nan=False), encoding="utf-8")
        return measured

    made = artifacts.build(root, KIND, FORMAT, write, settings=shaping, inputs=inputs)
    for line in table(made.stats["protocols"]):
        log.info("%s", line)
    log.info("gate: %s", made.stats["gate"]["reason"])
    return made


def gate(protocols: Mapping[str, Mapping[str, Any]], tolerance: float, judged: Sequence[str]) -> dict[str, Any]:
    """Whether the tuned model may go live: recall@10 no lower than base's and live's, less the tolerance.

    Args:
        protocols: As in `metrics.json`.
        tolerance: 0-1.
        judged: Names of the protocols that decide.

    Returns:
        `passed`, `reason` with the figures, `tolerance`.
    """
    better: list[str] = []
    worse: list[str] = []
    for name in judged:
        systems = protocols[name]["systems"]
        tuned = systems["tuned"][GATED]
        for rival in ("base", "live"):
            if rival in systems:
                enough = tuned >= systems[rival][GATED] - tolerance - 1e-9
                said = f"tuned {tuned:.4f}, {rival} {systems[rival][GATED]:.4f} ({name})"
                (better if enough else worse).append(said)
    verdict = f"{'' if worse else 'not '}lower by more than {tolerance}"
    return {
        "passed": not worse,
        "reason": f"recall@10 is {verdict}: {'; '.join(worse or better)}",
        "tolerance": tolerance,
    }


def table(protocols: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The figures as aligned lines of text, systems down, metrics across."""
    lines = []
    for name, protocol in protocols.items():
        lines.append(f"{name}: {protocol['queries']:,} queries among {protocol['corpus']:,} texts")
        metrics = list(next(iter(protocol["systems"].values())))
        lines.append(f"  {'':8}" + "".join(f"{metric:>9}" for metric in metrics))
        for system, figures in protocol["systems"].items():
            lines.append(f"  {system:8}" + "".join(f"{figures[metric]:9.4f}" for metric in metrics))
    return lines


def _measure(
    catalogue: Path,
    models: Mapping[str, tuple[Path, int | None]],
    train: TrainSettings,
    settings: EvaluateSettings,
    sink: Sink | None,
) -> dict[str, Any]:
    from include.encoder import Encoder

    began = time.monotonic()
    offered = [title_to_content(catalogue, train, settings), query_to_label(catalogue, train, settings)]
    protocols = [protocol for protocol in offered if protocol is not None]
    if not protocols:
        raise EmptyCatalogue(
            f"{catalogue} has nothing to evaluate on: fewer than 5 products with both a title and a content, and no "
            "test product (tst) with a link into the labels (lbl).",
            "Use a catalogue with contents or links.",
        )
    seconds: dict[str, float] = {}
    rankings: list[dict[str, Ranking]] = []
    words = []
    with _timed(seconds, "bm25"):
        for protocol in protocols:
            words.append(Bm25(protocol.corpus))
            rankings.append({"bm25": words[-1].search(protocol.queries, DEPTH)[0]})
    for system, (path, max_tokens) in models.items():
        with _timed(seconds, system):
            encoder = Encoder.load(path, max_tokens=max_tokens)
            for protocol, bm25, ranked in zip(protocols, words, rankings, strict=True):
                # Together: queries and corpus are batched by length, and progress has one total.
                vectors = encoder.encode(
                    [*protocol.queries, *protocol.corpus], sink=sink, stage=f"evaluate {system}, {protocol.name}"
                )
                queries, corpus = np.split(vectors, [len(protocol.queries)])
                ranked[system] = dense_search(queries, corpus, DEPTH)
                if system == "tuned":
                    ranked["hybrid"] = hybrid_search(queries, corpus, bm25, protocol.queries, DEPTH)
    figures = {
        protocol.name: {
            "queries": len(protocol.queries),
            "corpus": len(protocol.corpus),
            "whole_corpus": protocol.whole,
            "systems": {system: _score(protocol, ranking) for system, ranking in ranked.items()},
        }
        for protocol, ranked in zip(protocols, rankings, strict=True)
    }
    # A model that was not trained on related titles is not held to them, unless there is nothing else.
    judged = [name for name in figures if name != "query_to_label" or train.related_share > 0] or list(figures)
    seconds["all"] = round(time.monotonic() - began, 2)
    return {
        "protocols": figures,
        "gate": gate(figures, settings.tolerance, judged),
        "examples": examples(protocols[0], rankings[0]["base"], rankings[0]["tuned"]),
        "seconds": seconds,
    }


def _score(protocol: Protocol, ranking: Ranking) -> dict[str, float]:
    pairs = zip(protocol.relevant, ranking.tolist(), strict=True)
    hits = np.array([[item in relevant for item in ranked] for relevant, ranked in pairs], dtype=np.bool_)
    return summary(hits, np.array([len(relevant) for relevant in protocol.relevant]), protocol.metrics)


def examples(protocol: Protocol, base: Ranking, tuned: Ranking) -> dict[str, list[dict[str, Any]]]:
    """Queries whose first relevant item rose most (`won`) or fell most (`lost`) from base to tuned.

    Ranks count from 1; null where the item is not among the first 100.
    """
    missing = DEPTH + 1

    def first(relevant: frozenset[int], ranked: Sequence[int]) -> int:
        return next((rank for rank, item in enumerate(ranked, 1) if item in relevant), missing)

    before = [first(*pair) for pair in zip(protocol.relevant, base.tolist(), strict=True)]
    after = [first(*pair) for pair in zip(protocol.relevant, tuned.tolist(), strict=True)]

    def show(row: int) -> dict[str, Any]:
        return {
            "query": protocol.queries[row],
            "wanted": protocol.corpus[min(protocol.relevant[row])][:200],
            "base rank": before[row] if before[row] < missing else None,
            "tuned rank": after[row] if after[row] < missing else None,
        }

    gains = np.log(before) - np.log(after)  # from 10 to 1 matters more than from 100 to 91
    order = np.argsort(-gains, kind="stable").tolist()
    return {
        "won": [show(row) for row in order[:EXAMPLES] if gains[row] > 0],
        "lost": [show(row) for row in order[::-1][:EXAMPLES] if gains[row] < 0],
    }


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - began, 2)


def _earlier(root: Path, shaping: Mapping[str, Any], inputs: Mapping[str, str]) -> Artifact | None:
    """The evaluation that let this model go live: once it is live, a repeated run has no rival to measure."""
    for path in artifacts.published(root, KIND):
        try:
            found = artifacts.read(path, verify=False)
        except DamagedArtifact as damage:
            log.warning("%s It is passed over.", damage.what)
            continue
        same = {role: mark for role, mark in found.inputs.items() if role != "live"} == inputs
        if same and found.settings == shaping and found.stats["gate"]["passed"]:
            log.info("reused %s %s: its model is the live one", KIND, found.fingerprint)
            return artifacts.read(path)
    return None
