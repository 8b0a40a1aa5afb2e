"""The run of tests/recorded/README.md: its data directory, its settings, what its stages returned."""

import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.core import artifacts, kinds
from include.core.forms import pipeline_settings
from include.run import Run

RECORDED = Path(__file__).parent / "recorded" / "data-directory.zip"
CONF: dict[str, Any] = {
    "source": "sample",
    "sample_products": 150,
    "precision": "float32",
    "epochs": 1,
    "batch_size": 16,
    "max_steps": 4,
    "checkpoint_steps": 2,
    "max_tokens": 16,
    "shards": 2,
    "row_group_rows": 100,
    "tolerance": 1.0,
    "min_recall": 0.5,
    "hard_negatives": 0,
    "eval_queries": 20,
    "eval_corpus": 100,
}
KINDS = {
    "download": kinds.SOURCE,
    "convert": kinds.CATALOGUE,
    "fine_tune": kinds.MODEL,
    "evaluate": kinds.EVALUATION,
    "verify": kinds.VERSION,
}


def unpacked(into: Path) -> Path:
    """`into`, with the recorded `base` and `data`."""
    with zipfile.ZipFile(RECORDED) as archive:
        archive.extractall(into)
    return into


def run_on(recorded: Path, **more: Any) -> Run:
    """A run with the recorded one's settings."""
    settings = pipeline_settings({**CONF, "base_model": str(recorded / "base"), **more})
    date = datetime(2026, 11, 22, tzinfo=UTC)
    return Run(settings=settings, root=recorded / "data", run_id="again", logical_date=date)


def results_of(run: Run) -> dict[str, Any]:
    """By stage, what it would return again, up to verify."""
    results: dict[str, Any] = {stage: newest(run, kind)[0] for stage, kind in KINDS.items()}
    loaded = json.loads((Path(results["verify"]["path"]) / "version.json").read_bytes())["shards"]
    embedded = {str(Path(each["path"]).relative_to(run.root)): each for each in newest(run, kinds.EMBEDDING)}
    results["shards"] = [
        {"plan": "", "shard": each["shard"], "embedding": embedded[each["embedding"]], "upsert": each}
        for each in loaded
    ]
    return results


def newest(run: Run, kind: artifacts.Kind) -> list[dict[str, Any]]:
    """The summaries of all artifacts of a kind."""
    return [artifacts.read(path).summary() for path in artifacts.published(run.root, kind)]
