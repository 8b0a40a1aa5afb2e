"""A run's report: one self-contained HTML page with plots, and where to find it by the run's id.

The page holds only what the stages left behind: their summaries, the model's `history.json`, the
evaluation's `metrics.json`. What is not there is shown as missing; the page of a run that failed says why
it did. It is an artifact of kind `report`; `page_of_run` finds it by
`ROOT/report/by_run/<hash of the run's id>.json`, for the run's tab in the UI.
"""

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from include.core import artifacts, kinds
from include.core.artifacts import Artifact
from include.core.errors import DamagedArtifact
from include.core.files import write_json
from include.core.space import no_space_explained
from include.report.page import page

log = logging.getLogger(__name__)

PAGE = "report.html"
PACKAGES = ("apache-airflow", "torch", "transformers", "pyarrow", "onnxruntime", "qdrant-edge-py", "qdrant-client")


def report(results: Mapping[str, Any], *, root: Path, run_id: str, logical_date: str | None) -> Artifact:
    """Write the report of one run.

    Args:
        results: By stage, what it returned: an artifact's summary for `download`, `convert`, `fine_tune`,
            `evaluate` and `verify`; under `shards` a list of {"shard", "embedding", "upsert"}; under
            `approve` what became of the question to a person, under `publish` the decision, under `failed` the
            records of the tasks that failed (see `core/failure.py`), under `stopped` whether a person ended the run.
            Any may be absent.
        root: The data directory.
        run_id: The run's id in Airflow.
        logical_date: In ISO 8601, or None.

    Returns:
        Artifact of kind `report` with `report.html`.

    Raises:
        StorageFull: The disk has no room for it.
    """
    facts = {
        "results": json.loads(json.dumps(results, default=str)),
        "run_id": run_id,
        "logical_date": logical_date,
        "packages": {name: _installed(name) for name in PACKAGES},
        "training_settings": _settings(results.get("fine_tune")),
        "history": _document(results.get("fine_tune"), "history.json"),
        "metrics": _document(results.get("evaluate"), "metrics.json"),
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def write(space: artifacts.Workspace) -> dict[str, Any]:
        # Lone surrogates, as in the name of a file that is not UTF-8, become question marks.
        written = page(facts, datetime.now(UTC)).encode("utf-8", "replace")
        (space.path / PAGE).write_bytes(written)
        return {"bytes": len(written), "run_id": run_id}

    made = artifacts.build(root, kinds.REPORT, write, settings={"facts": digest})
    entry = _entry(root, run_id)
    with no_space_explained(root):
        entry.parent.mkdir(exist_ok=True)
        write_json(entry, {"run_id": run_id, "logical_date": logical_date, "fingerprint": made.fingerprint})
    log.info("report of run %s: %s", run_id, made.path / PAGE)
    return made


def page_of_run(root: Path, run_id: str) -> Path | None:
    """The `report.html` of a run, or None if it has none. Any string is a safe argument: it is hashed.

    Raises:
        DamagedArtifact: The run has a report, but it does not match its manifest.
    """
    try:
        entry = json.loads(_entry(root, run_id).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DamagedArtifact(
            f"{_entry(root, run_id)} cannot be read ({error!r}).", "Clear the task report."
        ) from error
    mark = str(entry.get("fingerprint")) if isinstance(entry, dict) else ""
    if not re.fullmatch(r"[0-9a-f]{16}", mark) or entry.get("run_id") != run_id:
        raise DamagedArtifact(f"{_entry(root, run_id)} does not name a report of {run_id!r}.", "Clear the task report.")
    path = artifacts.locate(root, kinds.REPORT, mark)
    if not path.is_dir():
        return None
    return artifacts.read(path).path / PAGE


def _document(summary: Any, name: str) -> Any:
    """A JSON file of the artifact that `summary` points at; the summary's stats for metrics; None if absent."""
    if not isinstance(summary, Mapping) or "path" not in summary:
        return None
    path = Path(summary["path"])
    if not (path / name).is_file():
        return summary.get("stats") if name == "metrics.json" else None
    try:
        return json.loads((artifacts.read(path).path / name).read_bytes())
    except (DamagedArtifact, ValueError) as error:
        log.warning("the report goes without %s: %s", path / name, error)
        return None


def _settings(summary: Any) -> dict[str, Any]:
    """The settings that shaped an artifact; empty where it is not there."""
    try:
        return artifacts.read(Path(summary["path"]), verify=False).settings
    except (DamagedArtifact, KeyError, TypeError):
        return {}


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _entry(root: Path, run_id: str) -> Path:
    return root / "report" / "by_run" / f"{hashlib.sha256(run_id.encode()).hexdigest()[:32]}.json"
