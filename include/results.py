"""What the stages of a run have left: the one place where their JSON is read, for the report and for the approval.

What a stage counts is beside it (`summary.py` in its room); what approve and publish leave is here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel

from include.catalogue.summary import Counted
from include.core.failure import Failure
from include.evaluation.summary import Gate, Measured
from include.exam.summary import Examined
from include.index.summary import Checked, Embedded
from include.questions.summary import Fates
from include.training.summary import Reading

UNRECORDED: Final = ""  # in an answer from before it was kept what the question was about
ALREADY_LIVE: Final = "already live"  # the reason of a decision that changed nothing

Stats = TypeVar("Stats")


class Summary(BaseModel, Generic[Stats]):
    """What a stage returns of its artifact, see `include.core.artifacts.Artifact`.

    Attributes:
        notes: Of download and convert: what can be told by then of the run's end, in sentences.
    """

    kind: str
    fingerprint: str
    path: Path
    reused: bool
    seconds: float
    stats: Stats
    notes: list[str] = []


def stats_of(summary: Summary[Stats] | None) -> Stats | None:
    """What a stage counted; None where it left nothing."""
    return None if summary is None else summary.stats


class Loaded(BaseModel):
    """What the store says of a shard."""

    points: int


class Shard(BaseModel):
    """One shard, embedded and loaded."""

    shard: int
    embedding: Summary[Embedded]
    upsert: Loaded


@dataclass(frozen=True)
class CatalogueChange:
    """A new version's catalogue against the live version's.

    Attributes:
        live_version: The live version.
        live_products: How many products it holds; None where its description is gone too.
        products: How many the new version holds.
        gone: Products of the live version that the new one has not; None where they could not be compared.
        new: Products of the new version that the live one has not; None likewise.
        live_is_sample: Whether the live catalogue is the synthetic sample; None where that is not known.
        is_sample: Whether the new one is.
        uncompared: Why uids could not be compared; None where they were.
        changed_text: Of the products that both have: those of another title or content; None where that is not known,
            as in a decision from before it was told.
        changed_attributes: Of those, the ones of the same text whose attributes alone differ; None likewise.
        unchanged: The others; None likewise.
    """

    live_version: str
    live_products: int | None
    products: int
    gone: int | None
    new: int | None
    live_is_sample: bool | None
    is_sample: bool
    uncompared: str | None = None
    changed_text: int | None = None
    changed_attributes: int | None = None
    unchanged: int | None = None

    @property
    def gone_share(self) -> float | None:
        """Share of the live products that would be gone, 0-1; without uids at least so many, by the counts."""
        if not self.live_products:
            return None
        gone = max(self.live_products - self.products, 0) if self.gone is None else self.gone
        return gone / self.live_products

    def __str__(self) -> str:
        live = "an unknown number of" if self.live_products is None else f"{self.live_products:,}"
        counts = f"the live version has {live} products, this one {self.products:,}"
        if self.gone is None:
            return f"{counts}; which of them stay could not be compared ({self.uncompared})"
        told = f"{counts}; {self.gone:,} of the live ones are gone ({self.gone_share or 0:.0%}), {self.new:,} are new"
        if self.changed_text is None:
            return told
        return (
            f"{told}, {self.changed_text:,} have another text, {self.changed_attributes:,} other attributes alone, "
            f"{self.unchanged:,} are unchanged"
        )


class Approval(BaseModel):
    """What became of the question to a person.

    Attributes:
        asked: Whether there was one.
        reason: Why nobody was asked.
        since: While it is open: since when, ISO 8601.
        catalogue: Likewise: what the version changes in the live one's catalogue.
        approved: The answer; None while there is none.
        by: Who answered; None where nobody did in time.
        at: When, ISO 8601.
        live: The version that was live when the question was asked, None for none: what the person was shown is a
            comparison with it.
    """

    asked: bool
    reason: str | None = None
    since: str | None = None
    catalogue: CatalogueChange | None = None
    approved: bool | None = None
    by: str | None = None
    at: str | None = None
    live: str | None = UNRECORDED

    @property
    def is_yes(self) -> bool:
        """Whether a person approved."""
        return self.approved is True and self.by is not None

    @property
    def told(self) -> str:
        """The answer in words."""
        if self.by is None:
            return f"nobody approved or rejected it until {self.at}"
        return f"{'approved' if self.is_yes else 'rejected'} by {self.by} at {self.at}"


class Decision(BaseModel):
    """What publish and rollback return.

    Attributes:
        version: The version that was decided on.
        published: Whether it is live now.
        reason: In words.
        previous: The version that was live before; None for none.
        deleted: Versions that were removed.
        catalogue: How its products differ from the live version's; None where no other was live.
        gate: What it said; None where there was none.
        approval: What became of the question to a person; None where the task has not run.
    """

    version: str
    published: bool
    reason: str
    previous: str | None = None
    deleted: list[str] = []
    catalogue: CatalogueChange | None = None
    gate: Gate | None = None
    approval: dict[str, Any] | None = None


class KindUse(BaseModel):
    """What the artifacts of a kind take on the disk.

    Attributes:
        kind: Its name; "vectors" for those kept of texts (`include.model.vector_cache`), "leftovers" for other things.
        stay: How many there are.
        stay_bytes: What they take.
        gone: How many were removed, or would be.
        gone_bytes: What that freed.
    """

    kind: str
    stay: int = 0
    stay_bytes: int = 0
    gone: int = 0
    gone_bytes: int = 0


class Pruned(BaseModel):
    """What pruning removed and what it left.

    Attributes:
        kinds: Those that there are, or were.
        runs: Whose outputs were kept.
        free: Bytes free on the disk of the data directory, afterwards.
        size: Of that disk, bytes.
        next_run: Bytes that another run like the collection's last would take; None where none is known.
        notes: What a person should know.
    """

    kinds: list[KindUse]
    runs: int
    free: int
    size: int
    next_run: int | None = None
    notes: list[str] = []

    @property
    def freed(self) -> int:
        """Bytes."""
        return sum(each.gone_bytes for each in self.kinds)


class Candidate(BaseModel):
    """What a person is asked about: a version that is verified, and what speaks for it."""

    convert: Summary[Counted]
    evaluate: Summary[Measured]
    verify: Summary[Checked]
    examine: Summary[Examined] | None = None
    train_reader: Summary[Reading] | None = None


class Results(BaseModel):
    """A run so far; None is a stage that has left nothing, because it failed or is still to come.

    Attributes:
        failed: The records of the tasks that failed.
        unpruned: That of `prune`, whose failure is not the run's.
        stopped: Whether the run was ended from outside.
    """

    download: Summary[dict[str, Any]] | None = None
    convert: Summary[Counted] | None = None
    read_questions: Summary[Fates] | None = None
    fine_tune: Summary[dict[str, Any]] | None = None
    train_reader: Summary[Reading] | None = None
    evaluate: Summary[Measured] | None = None
    shards: list[Shard] = []
    verify: Summary[Checked] | None = None
    examine: Summary[Examined] | None = None
    approve: Approval | None = None
    publish: Decision | None = None
    prune: Pruned | None = None
    failed: list[Failure] = []
    unpruned: list[Failure] = []
    stopped: bool = False


def as_list(shards: Iterable[Mapping[str, Any]] | Mapping[str, Any]) -> list[Any]:
    """The summaries of all shards. Airflow hands over one mapped result bare, several as a lazy sequence."""
    return [shards] if isinstance(shards, Mapping) else list(shards)
