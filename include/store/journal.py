"""The publication journal of a collection: which version went live when, for which run.

`ROOT/index/<collection>/journal.json` is plain JSON that a person can read, replaced atomically:

    {
      "history": [{"version", "logical_date", "run_id", "published_at", "previous", "action", …}, …],
      "intent": null, or the entry that is being published right now,
      "deleting": [versions whose data is being deleted]
    }

The alias itself lies in the store. The intent is written before the alias moves and becomes history
after, so whatever a killed process leaves, `Journal.settle` can tell which of the two happened.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from include.core.errors import BadSettings, DamagedArtifact
from include.core.files import lock, write_json
from include.core.space import no_space_explained, require

JOURNAL_FILE = "journal.json"
LOCK_FILE = ".publish.lock"
LOCK_TIMEOUT = 600.0  # seconds; a publication takes seconds
JOURNAL_BYTES = (
    2**18
)  # a few for each publication; no more, since a rollback must go through on a disk that is all but full

Action = Literal["published", "confirmed", "rolled back"]


@dataclass(frozen=True)
class Entry:
    """One publication.

    Attributes:
        version: That went live.
        logical_date: The date that its run stands for, ISO 8601 with zone. A rollback keeps the restored one's.
        run_id: The run's name.
        published_at: When the alias moved (or was confirmed), ISO 8601, UTC.
        previous: The version that was live before; None for the first.
        action: "published"; "confirmed": a later run made the version that was live already; or
            "rolled back": a person went from `previous` back to this version.
        approved_by: Who approved it, where a person was asked (`promote = approval`).
        approved_at: When, ISO 8601, UTC.
        gate: What evaluation's gate said of it; None where there was none.
        bm25_weight: Of BM25 in hybrid search, 0-1, as evaluation fitted it for the version's model; None where
            none was fitted.
        exam: Fingerprint of the exam that it was asked; None where there were no questions.
        answering: By what it answers, as calibrated by questions: `threshold`, and what it leads to; None where there
            were too few: then the default holds.
        sample: Whether its catalogue is the synthetic sample; None where that was not known.
        reader: Fingerprint of the reader that answers with it; None where there is none.
    """

    version: str
    logical_date: str
    run_id: str
    published_at: str
    previous: str | None = None
    action: Action = "published"
    bm25_weight: float | None = None
    approved_by: str | None = None
    approved_at: str | None = None
    gate: str | None = None
    sample: bool | None = None
    exam: str | None = None
    answering: dict[str, Any] | None = None
    reader: str | None = None


@dataclass
class Journal:
    """The journal as it is in memory; `save` makes it durable."""

    path: Path
    history: list[Entry] = field(default_factory=list)
    intent: Entry | None = None
    deleting: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, root: Path, collection: str) -> "Journal":
        """Read a collection's journal; empty where nothing was published yet.

        Raises:
            DamagedArtifact: The file is not a journal.
        """
        path = directory(root, collection) / JOURNAL_FILE
        try:
            value = json.loads(path.read_bytes())
            intent = value["intent"]
            return cls(
                path,
                [Entry(**entry) for entry in value["history"]],
                None if intent is None else Entry(**intent),
                list(value["deleting"]),
            )
        except FileNotFoundError:
            return cls(path)
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedArtifact(
                f"{path} is not a publication journal ({error!r}).",
                "Correct it by hand, or move it away: publication dates and the way to roll back are lost with it, "
                "the live index stays.",
            ) from error

    def save(self) -> None:
        """Replace the file, atomically and durably."""
        write_json(
            self.path,
            {
                "history": [asdict(entry) for entry in self.history],
                "intent": None if self.intent is None else asdict(self.intent),
                "deleting": self.deleting,
            },
        )

    def settle(self, live: str | None) -> None:
        """Finish what a killed publication left: if its alias moved it is history, else it never was."""
        if self.intent is not None:
            if self.intent.version == live:
                self.history.append(self.intent)
            self.intent = None
            self.save()

    def newest(self, version: str | None) -> Entry | None:
        """The last publication of a version."""
        return next((entry for entry in reversed(self.history) if entry.version == version), None)

    def by_publication(self) -> list[str]:
        """Every version that was ever live, the one that became so last first."""
        return list(dict.fromkeys(entry.version for entry in reversed(self.history)))

    def line(self) -> list[str]:
        """The versions that led to the live one, oldest first: the way back.

        A rollback takes the versions after its target off the line, so that a second rollback goes further
        back instead of returning to the version that was left.
        """
        line: list[str] = []
        for entry in self.history:
            if entry.version in line:
                if entry.action == "rolled back":
                    del line[line.index(entry.version) + 1 :]
                    continue
                line.remove(entry.version)
            line.append(entry.version)
        return line


def directory(root: Path, collection: str) -> Path:
    """Where a collection's journal lies (and, embedded, its alias)."""
    return root / "index" / collection


def history(root: Path, collection: str) -> list[dict[str, Any]]:
    """A collection's publications, oldest first, as plain dicts: see `Entry`."""
    return [asdict(entry) for entry in Journal.load(root, collection).history]


def published(root: Path, collection: str, version: str) -> Entry | None:
    """What was published with a version, last; None where it never was.

    Raises:
        DamagedArtifact: The journal cannot be read.
    """
    journal = Journal.load(root, collection)
    # Between the alias's move and the journal's note of it, the version is live and only intended.
    intended = journal.intent if journal.intent is not None and journal.intent.version == version else None
    return intended or journal.newest(version)


@contextmanager
def publishing(root: Path, collection: str) -> Iterator[None]:
    """Hold the lock under which a collection's alias and journal change.

    Raises:
        ArtifactBusy: Another publication still held it after ten minutes.
        StorageFull: The disk has no room; the alias is where it was, or where the publication moved it.
    """
    place = directory(root, collection)
    with no_space_explained(root):
        require(root, 0, "The publication's journal", spare=JOURNAL_BYTES)  # before anything changes
        place.mkdir(parents=True, exist_ok=True)
        with lock(place / LOCK_FILE, timeout=LOCK_TIMEOUT):
            yield


def require_aware(date: datetime) -> datetime:
    """Refuse a date without a time zone: it could not be compared with others.

    Raises:
        BadSettings: It has none.
    """
    if date.tzinfo is None or date.utcoffset() is None:
        raise BadSettings(
            f"The logical date {date.isoformat()} has no time zone.", "Give one with its zone, such as …+00:00."
        )
    return date


def now() -> str:
    """The present moment, ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def kept(journal: Journal, live: str | None, count: int, existing: Iterable[str]) -> list[str]:
    """The `count` versions to keep for rollback: the live one, then those published last."""
    there = set(existing) - set(journal.deleting)
    order = ([live] if live is not None else []) + [version for version in journal.by_publication() if version != live]
    return [version for version in order if version in there or version == live][:count]
