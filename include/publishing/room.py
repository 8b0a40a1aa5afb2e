"""Whether there is room for a run, before its work begins: by what the collection's last complete run took.

What changes little takes as much again, and grows with the file. Word pieces and model are surely made anew once the
source has changed; vectors and shards where a part of the catalogue has, so they count for the warning alone.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from include.core import ledger
from include.core.artifacts import Artifact
from include.core.errors import StorageFull
from include.core.settings import RetentionSettings
from include.core.space import SPARE, allocated, free_bytes, mebibytes
from include.publishing.needed import Shelf, needed, shelf
from include.publishing.prune import prune
from include.results import Pruned
from include.run import Run
from include.store.connection import ServerConnection

WORKING = 1.25  # of what stays of a run: what its stages take while they work
FIRST = 12  # times its file a first run may take, by products of a kilobyte, vectors of 384 numbers
NEXT_STEP = (
    "`make prune ARGS=--dry-run` shows what takes the room: lower keep_runs or keep_versions and prune, or set "
    "VITRINE_DATA to a larger disk; then retry the task."
)


@dataclass(frozen=True)
class Estimate:
    """What a run will take, in bytes.

    Attributes:
        by_kind: Of what it leaves, by kind.
        run_id: The run that this is known from.
        growth: How much larger the file is than that run's.
    """

    by_kind: dict[str, int]
    run_id: str
    growth: float = 1.0

    @property
    def total(self) -> int:
        """All that it leaves, and what its stages take while they work."""
        return int(WORKING * sum(self.by_kind.values()))

    def of(self, *kinds: str) -> int:
        """Some kinds alone."""
        return sum(self.by_kind.get(kind, 0) for kind in kinds)

    def __str__(self) -> str:
        parts = ", ".join(f"{kind} {mebibytes(size)}" for kind, size in sorted(self.by_kind.items()))
        grown = f", whose file was {1 / self.growth:.0%} of this one" if self.growth > 1 else ""
        return f"{parts}, as run {self.run_id}{grown}"


def estimate(root: Path, collection: str, source: Artifact | None = None) -> Estimate | None:
    """What another run of a collection would leave; None where none has come as far as a verified version.

    Args:
        root: The data directory.
        collection: Of the index.
        source: The run's file, where it is here already; else it counts among what is left.
    """
    runs = ledger.records(root)
    verified = (run for run in runs if run.collection == collection and run.has_ended("verify"))
    if (last := next(verified, None)) is None:
        return None
    held = shelf(root)
    sizes: Counter[str] = Counter()
    for name in needed(root, held, last.used, []) & held.keys():
        kind = name.partition("/")[0]
        if kind not in ("base", "report") and (kind != "source" or source is None):
            sizes[kind] += allocated(root / name)
    growth = 1.0 if source is None else max(1.0, _file_bytes(source) / max(_bytes(last, held), 1))
    return Estimate({kind: int(growth * size) for kind, size in sizes.items()}, last.run_id, growth)


def require_room(run: Run, source: Artifact) -> list[str]:
    """Look whether the rest of a run has room, pruning first where it has not; returns what a person should know.

    Args:
        run: The run.
        source: Its file, fetched. If it was here before, the rest is too, or most of it, and nothing is asked.

    Raises:
        StorageFull: Not even what must be made anew has room.
    """
    if source.reused:
        return []
    likely = estimate(run.root, run.settings.index.collection, source)
    if likely is None:
        return _first(run.root, source)
    if free_bytes(run.root) < likely.total + SPARE:
        prune(run.root, run.settings.retention, server=run.server)
    free = free_bytes(run.root)
    trained = () if run.settings.train.retrain == "never" else ("tokens", "model")
    least = likely.of("catalogue", *trained)
    if free < least + SPARE:
        raise StorageFull(
            f"This run needs at least {mebibytes(least)} and {mebibytes(SPARE)} to spare ({likely}), but the disk that "
            f"holds {run.root} has {mebibytes(free)} free, after pruning.",
            NEXT_STEP,
        )
    if free < likely.total + SPARE:
        return [
            f"The disk may become full: this run may need {mebibytes(likely.total)} ({likely}, and a quarter while it "
            f"works), and {mebibytes(free)} are free, after pruning. {NEXT_STEP}"
        ]
    return []


def prune_after(root: Path, collection: str, settings: RetentionSettings, server: ServerConnection | None) -> Pruned:
    """Prune at a run's end, and look whether the next run has room."""
    done = prune(root, settings, server=server)
    next_run = estimate(root, collection)
    if next_run is None:
        return done
    notes = list(done.notes)
    if done.free < next_run.total + SPARE:
        notes.append(
            f"The disk is nearly full: another run like this may need {mebibytes(next_run.total)}, and "
            f"{mebibytes(done.free)} are free, after pruning. {NEXT_STEP}"
        )
    return done.model_copy(update={"next_run": next_run.total, "notes": notes})


def _first(root: Path, source: Artifact) -> list[str]:
    need, free = FIRST * _file_bytes(source), free_bytes(root)
    if free >= need + SPARE:
        return []
    return [
        f"The disk may become full: a first run may need {FIRST} times its file, {mebibytes(need)}, and "
        f"{mebibytes(free)} are free. {NEXT_STEP}"
    ]


def _bytes(run: ledger.RunRecord, held: Shelf) -> int:
    """Of a run's file."""
    sources = (held.get(name) for name in run.used if name.startswith("source/"))
    return max((_file_bytes(made) for made in sources if made), default=0)


def _file_bytes(source: Artifact) -> int:
    return int(source.stats.get("bytes", 0))
