"""A run's report: one self-contained HTML page with plots, and where to find it by the run's id.

The page holds only what the stages left behind: their summaries and the model's `history.json`. What is not there
is shown as missing; the page of a run that failed says why it did. It is an artifact of kind `report`;
`page_of_run` finds it by `ROOT/report/by_run/<hash of the run's id>.json`, for the run's tab in the UI.
"""

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from include.core import artifacts, kinds
from include.core.artifacts import Artifact, fault
from include.core.errors import DamagedArtifact
from include.core.files import write_json
from include.core.space import no_space_explained
from include.exam.examples import examples
from include.report.embedding_map import map_of
from include.report.page import Extra, Facts, page
from include.report.rejected import rejected_rows
from include.results import Results, as_list
from include.store.version import IndexVersion
from include.training.summary import History

log = logging.getLogger(__name__)

PAGE = "report.html"
PACKAGES = ("apache-airflow", "torch", "transformers", "pyarrow", "onnxruntime", "qdrant-edge-py", "qdrant-client")


def report(results: Mapping[str, Any], *, root: Path, run_id: str, logical_date: str | None) -> Artifact:
    """Write the report of one run.

    Args:
        results: By stage, what it returned: see `include.results.Results`.
        root: The data directory.
        run_id: The run's id in Airflow.
        logical_date: In ISO 8601, or None.

    Returns:
        Artifact of kind `report` with `report.html`.

    Raises:
        StorageFull: The disk has no room for it.
    """
    model = Path(results["fine_tune"]["path"]) if results.get("fine_tune") else None
    plain = {
        "results": {**results, "shards": as_list(results.get("shards") or [])},
        "run_id": run_id,
        "logical_date": logical_date,
        "packages": {name: _installed(name) for name in PACKAGES},
        "training_settings": {} if model is None else _settings(model),
        "history": None if model is None else _history(model),
    }
    before = _model_before(root, results)
    if before is not None and before != model:
        plain |= {"settings_before": _settings(before), "history_before": _history(before)}
    # Lone surrogates, as in the name of a file that is not UTF-8, become question marks.
    read = json.dumps(plain, ensure_ascii=False, default=str).encode("utf-8", "replace")
    facts, digest = _facts(read), hashlib.sha256(read).hexdigest()

    def write(space: artifacts.Workspace) -> dict[str, Any]:
        written = page(facts, datetime.now(UTC), _extra(facts.results)).encode()
        (space.path / PAGE).write_bytes(written)
        return {"bytes": len(written), "run_id": run_id}

    made = artifacts.build(root, kinds.REPORT, write, settings={"facts": digest})
    entry = _entry(root, run_id)
    with no_space_explained(root):
        entry.parent.mkdir(exist_ok=True)
        write_json(entry, {"run_id": run_id, "logical_date": logical_date, "fingerprint": made.fingerprint})
    log.info("report of run %s: %s", run_id, made.path / PAGE)
    return made


def _facts(read: bytes) -> Facts:
    """The facts, without the stages whose result is of another form: a page that lacks a part is of use."""
    try:
        return Facts.model_validate_json(read)
    except ValidationError as error:
        odd = {str(each["loc"][1]) for each in error.errors() if each["loc"][0] == "results" and len(each["loc"]) > 1}
        if not odd or odd & {"failed", "stopped"}:
            raise
        log.warning("left out of the report: %s, of another form (%s)", ", ".join(sorted(odd)), fault(error))
        plain = json.loads(read)
        for stage in odd:
            del plain["results"][stage]
        return Facts.model_validate(plain)


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


def newest_run(root: Path) -> str | None:
    """The run whose report was written last; None where there is none that can be read."""
    entries = sorted((root / "report" / "by_run").glob("*.json"), key=lambda entry: entry.stat().st_mtime_ns)
    for entry in reversed(entries):
        with suppress(ValueError, KeyError, TypeError):
            return str(json.loads(entry.read_bytes())["run_id"])
    return None


def _extra(results: Results) -> Extra:
    """What the page of a run that did not fail has from the artifacts themselves."""
    if results.failed or results.stopped:
        return Extra()
    said = examples(results.examine.path) if results.examine else {}
    if results.convert is None:
        return Extra(exam=said)
    catalogue = results.convert.path
    found = map_of(catalogue, [each.embedding.path for each in results.shards]) if results.shards else None
    return Extra(found, rejected_rows(catalogue), said)


def _model_before(root: Path, results: Mapping[str, Any]) -> Path | None:
    """The model of the version that was live before; None where there was none, or where it is gone."""
    name = (results.get("publish") or {}).get("previous") or (results.get("approve") or {}).get("live")
    try:
        return root / IndexVersion.read(IndexVersion.path(root, name)).model if name else None
    except DamagedArtifact as damage:
        log.info("the model before is not compared with: %s", damage)
        return None


def _history(model: Path) -> dict[str, Any] | None:
    """What training wrote beside the model; None if that is gone or damaged."""
    try:
        return History.model_validate_json((artifacts.read(model).path / "history.json").read_bytes()).model_dump()
    except (DamagedArtifact, OSError, ValueError) as error:
        log.warning("the report goes without the history of %s: %s", model, error)
        return None


def _settings(model: Path) -> dict[str, Any]:
    """The settings that shaped a model; empty where it is gone."""
    try:
        return artifacts.read(model, verify=False).settings
    except DamagedArtifact:
        return {}


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _entry(root: Path, run_id: str) -> Path:
    return root / "report" / "by_run" / f"{hashlib.sha256(run_id.encode()).hexdigest()[:32]}.json"
