"""How far a run has come that has no report yet: its stages, by the ledger, with what they have counted."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from include.core import artifacts, ledger
from include.core.errors import DamagedArtifact
from include.core.progress import clock

COUNTED = {  # of what a stage has made: the statistic's place, and what it counts
    "source": ("bytes", "bytes"),
    "catalogue": ("products", "products"),
    "model": ("pairs", "pairs learned from"),
    "embedding": ("rows", "products"),
    "version": ("points", "products"),
}


class Stage(NamedTuple):
    """A stage that has begun: its name, its state in words, and what it has counted."""

    name: str
    state: str
    counted: str


def so_far(root: Path, run_id: str, now: datetime) -> list[Stage]:
    """The stages of a run that is under way, in the order of their beginning; none of a run that is not."""
    record = next((each for each in ledger.records(root) if each.run_id == run_id and each.is_under_way(now)), None)
    if record is None:
        return []
    begun = sorted(record.work.items(), key=lambda each: each[1].began)
    return [Stage(name, _state(work, now), _counted(root, name, work)) for name, work in begun]


def _state(work: ledger.Work, now: datetime) -> str:
    if work.ended is None:
        return f"at work for {clock((now - work.began).total_seconds())}"
    return f"done in {clock((work.ended - work.began).total_seconds())}"


def _counted(root: Path, name: str, work: ledger.Work) -> str:
    kind = {"download": "source", "convert": "catalogue", "fine_tune": "model", "verify": "version"}.get(name)
    kind = "embedding" if name.startswith("embed ") else kind
    made = next((each for each in work.uses if kind and each.startswith(f"{kind}/")), None)
    if work.ended is None or kind is None or made is None:
        return ""
    statistic, noun = COUNTED[kind]
    try:
        count = artifacts.described(root / made).stats.get(statistic)
    except DamagedArtifact:
        return ""
    return f"{count:,} {noun}" if isinstance(count, int) else ""
