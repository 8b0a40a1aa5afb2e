"""Whether there is room for a run, before its work begins: by what the collection's last complete run took.

What changes little takes as much again, and grows or shrinks with the file, but for the model. The catalogue is surely
made anew once the file has changed; all else may be there already, so it counts for the warning alone.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from include.core import ledger
from include.core.artifacts import Artifact
from include.core.errors import DamagedArtifact, StorageFull
from include.core.space import SPARE, allocated, free_bytes, mebibytes
from include.publishing.needed import Shelf, needed, shelf
from include.publishing.prune import prune
from include.results import Pruned
from include.run import Run

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
        growth: How many times as large the file is as that run's.
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
        grown = f", with a file {self.growth:,.3g} times as large" if self.growth != 1 else ""
        return f"{parts}, as run {self.run_id}{grown}"


def estimate(root: Path, collection: str, source: Artifact | None = None) -> Estimate | None:
    """What another run of a collection would leave; None where no verified version, and the size of its file, is known.

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
    if source is None:
        return Estimate(dict(sizes), last.run_id)
    if not (before := _bytes(last, held)):
        return None
    growth = _file_bytes(source) / before
    scaled = {kind: size if kind == "model" else int(growth * size) for kind, size in sizes.items()}
    return Estimate(scaled, last.run_id, growth)


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
    try:
        return _room(run, source)
    except DamagedArtifact as damage:  # only who deletes must know what that names
        return [f"Whether the disk has room for this run is not known: {damage.what} {damage.next_step}"]


def _room(run: Run, source: Artifact) -> list[str]:
    likely = estimate(run.root, run.settings.index.collection, source)
    if likely is None:
        return _first(run.root, source)
    if free_bytes(run.root) < likely.total + SPARE:
        prune(run.root, server=run.server, own=run.run_id)
    free = free_bytes(run.root)
    least = likely.of("catalogue")
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


def prune_after(run: Run) -> Pruned:
    """Prune at a run's end, note that it has ended, and look whether the next run has room."""
    try:  # the note afterwards: on a full disk there is room for it only then
        done = prune(run.root, server=run.server, own=run.run_id)
    finally:
        ledger.finish(run.root, run.run_id)
    next_run = estimate(run.root, run.settings.index.collection)
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
