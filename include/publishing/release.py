"""What a run would publish: a verified version, what was found out about it, and whether they belong together."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from include.core import artifacts
from include.core.errors import BadSettings, VerificationFailed
from include.core.index_settings import IndexSettings
from include.evaluation.summary import Gate, Measured
from include.exam.summary import Examined
from include.publishing.verdict import together
from include.store.journal import require_aware
from include.store.version import IndexVersion


@dataclass(frozen=True)
class Release:
    """A verified version that a run would make live.

    Attributes:
        version: Artifact of kind `version`.
        evaluation: Artifact of kind `evaluation` whose statistics hold `gate: {"passed", "reason"}`; None
            publishes without a gate.
        logical_date: The date that the run stands for, with a time zone.
        run_id: The run's name, for the journal.
        exam: Artifact of kind `exam` of the version; None where there are no questions.
        reader: Fingerprint of the reader that answers with the version; None where there is none to use.
    """

    version: Path
    evaluation: Path | None
    logical_date: datetime
    run_id: str
    exam: Path | None = None
    reader: str | None = None


def asked_about(release: Release, index: IndexSettings, root: Path) -> tuple[IndexVersion, Gate | None]:
    """The version and its gate, checked against each other and the settings."""
    require_aware(release.logical_date)
    made = IndexVersion.read(release.version)
    require_same_collection(made, index)
    evaluated = None if release.evaluation is None else _gate(release.evaluation, made, root)
    return made, together(evaluated, None if release.exam is None else _exam_gate(release.exam, made))


def _gate(evaluation: Path, version: IndexVersion, root: Path) -> Gate:
    """The evaluation's decision on the version's model.

    Raises:
        VerificationFailed: There is none, or it is about another model.
    """
    made = artifacts.read(evaluation)
    model = artifacts.read(root / version.model, verify=False).fingerprint
    if made.inputs.get("model", model) != model:
        raise VerificationFailed(
            f"{evaluation} evaluates model {made.inputs['model']}, version {version.name} has model {model}.",
            "Clear evaluate and publish, so that both are of this run's model.",
        )
    try:
        return TypeAdapter(Gate).validate_python(made.stats.get("gate"))
    except ValidationError as error:
        raise VerificationFailed(
            f"{evaluation} has no gate (passed, reason) in its statistics, so nothing says that the model may go live.",
            "Clear evaluate and run it again.",
        ) from error


def _exam_gate(exam: Path, version: IndexVersion) -> Gate:
    """The exam's decision on the version.

    Raises:
        VerificationFailed: It is of another version.
    """
    found = Examined.model_validate(artifacts.read(exam).stats)
    if found.version != version.name:
        raise VerificationFailed(
            f"{exam} is the exam of version {found.version}, not of {version.name}.",
            "Clear examine and publish, so that both are of this run's version.",
        )
    return found.gate


def calibrated(exam: Path) -> dict[str, Any] | None:
    """By what the version answers, as the exam's questions have it; None where they were too few."""
    found = Examined.model_validate(artifacts.read(exam, verify=False).stats).answering
    return None if found is None else dict(found)


def fitted_weight(evaluation: Path | None) -> float | None:
    """BM25's weight in hybrid search that the evaluation fitted; None where it fitted none."""
    if evaluation is None:
        return None
    return Measured.model_validate(artifacts.read(evaluation, verify=False).stats).fusion["bm25_weight"]


def require_same_collection(made: IndexVersion, index: IndexSettings) -> None:
    """Raise BadSettings if a version is of another store or collection than the settings name."""
    for name in ("store", "collection"):
        if getattr(made, name) != getattr(index, name):
            raise BadSettings(
                f"Version {made.name} was built for {name} {getattr(made, name)!r}, the settings say "
                f"{getattr(index, name)!r}.",
                "Use the settings that the run was planned with.",
            )
