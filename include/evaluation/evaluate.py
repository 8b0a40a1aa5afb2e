"""Retrieval measured before and after fine-tuning, on what training never saw.

Systems: `bm25`, `base` (the model that training started from), `tuned`, `hybrid` (tuned and BM25 fused as
the index does, with a fitted weight), and `live` (the live index's model, where it is another). Search is
exact: this measures models; `verify` measures the index. The live model may have been trained on products that are
held out now, if the catalogue or the seed has changed: that can only make the gate stricter.

`include.evaluation.summary` has what is kept, in `metrics.json` and as the artifact's statistics.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from include.catalogue.identity import apart_from_attributes
from include.core import artifacts, kinds
from include.core.artifacts import Artifact, Workspace
from include.core.pipeline_settings import PipelineSettings
from include.core.progress import Sink
from include.core.settings import EvaluateSettings
from include.evaluation.filter_pairs import unreadable
from include.evaluation.measure import CachedEncoder, measure
from include.model.base import resolve_base
from include.model.directory import WEIGHTS, kept_dimensions, model_dim, stored_max_tokens
from include.model.vector_cache import VectorCache
from include.store.language import AUTO
from include.store.live import LiveModel

log = logging.getLogger(__name__)

METRICS_FILE = "metrics.json"


def evaluate(
    catalogue: Path,
    model: Path,
    settings: PipelineSettings,
    *,
    root: Path,
    live: LiveModel | None = None,
    sink: Sink | None = None,
) -> Artifact:
    """Measure the model against its base, BM25 and the live model.

    Args:
        catalogue: Artifact of kind `catalogue`.
        model: Artifact of kind `model`.
        settings: `train`, what the model was trained with: base model, held-out products, seed. `evaluate`: size of
            the corpora, tolerance of the gate, pairs to leave out. `embed.dimensions`, `index.language`: what the index
            will hold.
        root: The data directory.
        live: The live index's model; None where there is none.
        sink: Receives progress, in tokens of each embedding.

    Returns:
        Artifact of kind `evaluation` with `metrics.json`; its statistics are the same: `Measured`.

    Raises:
        BadModel: A model cannot be loaded.
        BadSettings: The filter file cannot be used, or the model has fewer dimensions.
    """
    train = settings.train
    base = resolve_base(train.base_model, root=root)
    dim = kept_dimensions(model, settings.embed.dimensions)
    inputs = {
        "catalogue": apart_from_attributes(catalogue),
        "model": artifacts.read(model, verify=False).fingerprint,
        "base": base.fingerprint,
    }
    shaping = _shaping(settings) | ({"dimensions": dim} if dim < model_dim(model) else {})
    models = {
        "base": _cached(root, base.path, base.fingerprint, model_dim(base.path), train.max_tokens),
        "tuned": _cached(root, model, inputs["model"], dim),
    }
    is_live = False
    if live is not None:
        mark = artifacts.read(live.path, verify=False).fingerprint
        is_live = mark == inputs["model"] and live.dim == dim
        if is_live and (earlier := _earlier(root, shaping, inputs)):
            return earlier
        inputs["live"] = mark if live.dim == model_dim(live.path) else f"{mark}, {live.dim} dimensions"
        if not is_live:
            models["live"] = _cached(root, live.path, mark, live.dim)
    standing = {"is_live": is_live, **_standing(model, live if "live" in models else None)}

    def write(space: Workspace) -> dict[str, Any]:
        measured = measure(catalogue, models, settings, standing, sink=sink).model_dump(exclude_unset=True)
        (space.path / METRICS_FILE).write_text(json.dumps(measured, indent=2, allow_nan=False), encoding="utf-8")
        return measured

    made = artifacts.build(root, kinds.EVALUATION, write, settings=shaping, inputs=inputs)
    _tell(made.stats)
    return made


def _cached(root: Path, path: Path, mark: str, dim: int, max_tokens: int | None = None) -> CachedEncoder:
    cut = max_tokens or stored_max_tokens(path)
    cache = VectorCache(root, mark, cut, dim)
    return CachedEncoder(cache, path=path, max_tokens=cut, dimensions=dim, measured=root)


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


def _tell(measured: Mapping[str, Any]) -> None:
    for line in table(measured["protocols"]):
        log.info("%s", line)
    log.info("weight of BM25 in hybrid search: %s", measured["fusion"]["bm25_weight"])
    log.info("gate: %s", measured["gate"]["reason"])


def _shaping(settings: PipelineSettings) -> dict[str, Any]:
    """The settings that shape the figures."""
    return {
        **settings.train.model_dump(include={"holdout", "seed", "max_tokens"}),
        **settings.evaluate.model_dump(include={"eval_corpus", "eval_queries", "tolerance"}),
        "related": settings.train.related_share > 0,
        "filter": _filter_mark(settings.evaluate),
        **({} if settings.index.language == AUTO else {"language": settings.index.language}),
    }


def _standing(model: Path, rival: LiveModel | None) -> dict[str, Any]:
    """What the gate must know of the model beside its figures. The base as it is is no rival of itself."""
    untrained = str(artifacts.read(model, verify=False).stats.get("untrained", ""))
    if untrained and rival is not None:
        one, other = (artifacts.file_sha256(path / WEIGHTS) for path in (model, rival.path))
        return {"untrained": untrained, "has_rival": one != other}
    return {"untrained": untrained, "has_rival": rival is not None}


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

    def fits(found: Artifact) -> bool:
        same = {role: mark for role, mark in found.inputs.items() if role != "live"} == inputs
        current = artifacts.is_of_format(found, kinds.EVALUATION)
        return same and current and found.settings == shaping and bool(found.stats["gate"]["passed"])

    if earlier := next(artifacts.newest_first(root, kinds.EVALUATION, fits), None):
        log.info("reused evaluation %s: its model is the live one", earlier.fingerprint)
    return earlier
