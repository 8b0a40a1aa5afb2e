"""Which run used which artifacts, and whether it is still under way: what pruning must know.

`ROOT/runs/<hash of the run's id>.json`, a `RunRecord`, is replaced whole, under one lock, when a stage begins and
ends. A stage that was killed has begun and not ended, until its retry ends it. A run ends when its last tasks say so;
one that never came to them counts as under way for a week after its last word, and while a person may still answer.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ValidationError

from include.core.errors import DamagedArtifact
from include.core.files import lock, write_json

DIRECTORY = "runs"
LOCK_TIMEOUT = 60.0  # seconds; held while a small file is written
# Of silence, after which a run that has not ended is taken for dead: longer than any stage with its retries.
SILENCE = timedelta(days=7)
PLACES = ("path", "plan", "embedding")  # of an artifact, in what a stage returns
SETTINGS = ("logical_date", "collection", "waits", "keep_runs", "keep_days", "uses")  # as the last stage has them
ARTIFACT = re.compile(r"(?:^|/)([a-z]+/[0-9a-f]{16})/?$")


class Work(BaseModel):
    """One stage of a run (of a shard, where there are several).

    Attributes:
        began: Its first try.
        ended: None while it is at work, or where it failed.
        uses: Artifacts, as `<kind>/<fingerprint>`.
    """

    began: AwareDatetime
    ended: AwareDatetime | None = None
    uses: list[str] = []


class RunRecord(BaseModel):
    """A run.

    Attributes:
        run_id: Its name.
        logical_date: ISO 8601.
        collection: Of the index that it builds.
        waits: Hours that it may wait for a person.
        began: When it began; anew if it is begun again after its end.
        keep_runs, keep_days: See `RetentionSettings`.
        seen: When its last stage began.
        ended: When it ended; None before.
        uses: What its settings name in the data directory.
        work: By stage.
    """

    run_id: str
    logical_date: str = ""
    collection: str = ""
    waits: float = 0.0
    keep_runs: int = 10
    keep_days: float = 0.0
    began: AwareDatetime
    seen: AwareDatetime
    ended: AwareDatetime | None = None
    uses: list[str] = []
    work: dict[str, Work] = {}

    def is_under_way(self, now: datetime) -> bool:
        """Whether it may still need what it has used."""
        return self.ended is None and now - self.seen < SILENCE + timedelta(hours=self.waits)

    def has_ended(self, stage: str) -> bool:
        """Whether a stage has."""
        return stage in self.work and self.work[stage].ended is not None

    @property
    def used(self) -> set[str]:
        """All artifacts that it has used, as `<kind>/<fingerprint>`; some may be gone."""
        return {*self.uses, *(name for each in self.work.values() for name in each.uses)}

    @property
    def unfinished(self) -> list[datetime]:
        """When the stages began that have not ended."""
        return [each.began for each in self.work.values() if each.ended is None]


def begin(root: Path, about: RunRecord, stage: str, uses: Iterable[str]) -> None:
    """Note that a stage begins, before it does anything.

    Args:
        root: The data directory.
        about: The run, as it would be if this were its first stage.
        stage: Its name.
        uses: The artifacts that it is given.
    """
    path = file_of(root, about.run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(root):
        record = _read(path) or about.model_copy(deep=True)
        for name in SETTINGS:
            setattr(record, name, getattr(about, name))
        if record.ended is not None:
            record.began, record.ended = about.began, None
        before = record.work.get(stage)
        record.seen = about.seen
        if before is None or before.ended is not None:
            record.work[stage] = Work(began=about.seen)
        record.work[stage].uses = sorted({*record.work[stage].uses, *uses})
        _write(path, record)


def end(root: Path, run_id: str, stage: str, uses: Iterable[str]) -> None:
    """Note that a stage has ended, and the artifacts that it returned; nothing where the run is forgotten."""
    now = datetime.now(UTC)
    with _known(root, run_id) as record:
        if record is not None:
            work = record.work.setdefault(stage, Work(began=now))
            work.ended, work.uses = now, sorted({*work.uses, *uses})


def finish(root: Path, run_id: str) -> None:
    """Note that a run has ended; nothing where it is forgotten."""
    with _known(root, run_id) as record:
        if record is not None:
            record.ended = datetime.now(UTC)


def records(root: Path) -> list[RunRecord]:
    """All runs that are known, the one whose last stage began last first.

    Raises:
        DamagedArtifact: A file cannot be read, so that it is not known what its run needs.
    """
    found = [record for path in (root / DIRECTORY).glob("[!.]*.json") if (record := _read(path)) is not None]
    return sorted(found, key=lambda record: record.seen, reverse=True)


def forget(root: Path, known: RunRecord) -> None:
    """Remove a run's record, unless the run has begun again since."""
    path = file_of(root, known.run_id)
    with locked(root):
        if _read(path) == known:
            path.unlink(missing_ok=True)


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the lock under which a record changes: no stage begins meanwhile."""
    place = root / DIRECTORY
    with lock(place / ".lock", timeout=LOCK_TIMEOUT) if place.is_dir() else nullcontext():
        yield


def marks(root: Path) -> dict[str, tuple[int, int, int]]:
    """By the name of each run's file (`file_of`), what tells whether it was replaced."""
    found = {}
    for path in (root / DIRECTORY).glob("[!.]*.json"):
        with suppress(FileNotFoundError):
            now = path.stat()
            found[path.name] = now.st_ino, now.st_mtime_ns, now.st_size
    return found


def file_of(root: Path, run_id: str) -> Path:
    """Where a run's record lies."""
    return root / DIRECTORY / f"{hashlib.sha256(run_id.encode()).hexdigest()[:32]}.json"


def named_in(value: Any) -> Iterator[str]:
    """The artifacts, as `<kind>/<fingerprint>`, whose places a stage was given or has returned."""
    if isinstance(value, list | tuple):
        for each in value:
            yield from named_in(each)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if not isinstance(inner, str):
                yield from named_in(inner)
            elif name in PLACES and (matched := ARTIFACT.search(inner)):
                yield matched[1]


@contextmanager
def _known(root: Path, run_id: str) -> Iterator[RunRecord | None]:
    """The record of a run, to be changed; None where there is none."""
    path = file_of(root, run_id)
    with locked(root):
        record = _read(path)
        yield record
        if record is not None:
            _write(path, record)


def _write(path: Path, record: RunRecord) -> None:
    write_json(path, record.model_dump(mode="json"))


def _read(path: Path) -> RunRecord | None:
    try:
        return RunRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise DamagedArtifact(
            f"{path} does not tell what a run has used ({error.errors()[0]['msg']}).",
            "Delete it if no run is under way: what that run alone needs may then be pruned.",
        ) from error
