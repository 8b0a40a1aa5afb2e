"""Removes what no published version, no run under way and none of the last runs needs.

What is kept is decided by the ledger of runs (`include/core/ledger.py`) and by the journals (`needed.py`). While fewer
than `keep_runs` runs are known, nothing that is whole goes: what they do not name may be an earlier one's.

Other processes may be at work meanwhile. Whatever a stage was given or has made since it began stays, also before it is
noted: each artifact is looked at once more under its own lock, which `artifacts.build` holds when it hands one out. A
process that is killed here leaves some of it undone, for the next time, and nothing half done.
"""

import json
import logging
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from include.core import ledger, removal
from include.core.errors import ArtifactBusy, DamagedArtifact, StorageFull, StoreUnavailable, Terminal
from include.core.files import lock
from include.core.in_use import last_used, last_written, lock_of, modified
from include.core.index_settings import IndexSettings
from include.core.ledger import RunRecord
from include.core.settings import RetentionSettings
from include.core.space import ATTEMPT, DISCARDED, allocated, mebibytes
from include.index import claims
from include.model import vector_cache
from include.publishing.needed import KINDS, Shelf, collections, needed, plans_of, published_versions, shelf
from include.results import KindUse, Pruned
from include.store.connection import ServerConnection
from include.store.protocol import Store
from include.store.stores import open_store
from include.store.version import IndexVersion

log = logging.getLogger(__name__)

CLOCKS = 60.0  # seconds, by which those of several machines may differ
BY_THE_TASK = "The task prune of a run with store = server has Airflow's connection, and deletes what is old."


def prune(
    root: Path,
    settings: RetentionSettings | None = None,
    *,
    server: ServerConnection | None = None,
    dry_run: bool = False,
    own: str = "",
) -> Pruned:
    """Remove what nobody needs.

    Args:
        root: The data directory.
        settings: What of them is set holds for every collection; else what the collection's newest run says.
        server: Where the Qdrant server is; without it, versions that lie on one stay.
        dry_run: Only say what would go; nothing is touched.
        own: The run that prunes, whose outputs stay.

    Raises:
        DamagedArtifact: A journal, or a run's record, cannot be read: nothing is removed.
    """
    now = time.time()  # before anything is looked at
    marks = ledger.marks(root)
    known = ledger.records(root)
    kept, least, enough = kept_runs(root, known, settings or RetentionSettings(), datetime.fromtimestamp(now, UTC), own)
    held = shelf(root)
    work = _Pruning(root, server, dry_run, held, _before(kept, now), claims.claimed(root))
    work.marks, work.ours = marks, {ledger.file_of(root, record.run_id).name for record in kept}
    if (ahead := _ahead(root, known, now)) is not None:
        work.notes.append(ahead)
    elif enough:
        work.published = set(published_versions(root))
        used = {name for record in kept for name in record.used}
        work.keep = needed(root, held, used | work.claimed, [*work.published, *work.live_on_servers()])
    since = min((record.began.timestamp() for record in kept), default=0.0)
    since = since if work.keep is not None else 0.0
    litter = work.leftovers(since)
    rows = [*(work.kind(kind.name) for kind in KINDS), litter, work.vectors(since)]
    if not dry_run:
        work.tidy([record for record in known[least:] if record not in kept])
    used_disk = shutil.disk_usage(root if root.exists() else root.parent)
    done = Pruned(
        kinds=[row for row in rows if row.stay or row.gone],
        runs=len(kept),
        free=used_disk.free,
        size=used_disk.total,
        notes=list(dict.fromkeys(work.notes)),
    )
    for row in done.kinds:
        if row.gone:
            what = "would go" if dry_run else "went"
            log.info("%s: %d %s (%s), %d stay", row.kind, row.gone, what, mebibytes(row.gone_bytes), row.stay)
    for note in done.notes:
        log.warning("%s", note)
    return done


def kept_runs(
    root: Path, known: list[RunRecord], settings: RetentionSettings, now: datetime, own: str = ""
) -> tuple[list[RunRecord], int, bool]:
    """Those whose outputs stay: `own`, under way, among their collection's last, or of its last days.

    Returns:
        They; how many records stay, whatever goes; and whether enough runs are known to call anything else old.
    """
    chosen = settings.model_dump(exclude_unset=True)
    says = {record.collection: record.model_copy(update=chosen) for record in reversed(known)}
    seen, kept = Counter[str](), []
    for record in known:
        last = says[record.collection]
        lately = record.seen > now - timedelta(days=last.keep_days)
        if seen[record.collection] < last.keep_runs or lately or record.is_under_way(now) or record.run_id == own:
            kept.append(record)
        seen[record.collection] += 1
    usual = chosen.get("keep_runs", RetentionSettings().keep_runs)
    each = [says[name].keep_runs if name in says else usual for name in {*says, *collections(root)}]
    least = min(usual, max(each, default=usual))
    return kept, least, len(known) >= least and any(seen[name] >= says[name].keep_runs for name in says)


def _ahead(root: Path, known: list[RunRecord], now: float) -> str | None:
    """What to say where a run seems to have begun in the future: which are the last is not known then."""
    for record in known:
        if max(record.seen, record.began).timestamp() > now + CLOCKS:
            return (
                f"Nothing whole is removed: run {record.run_id} seems to be of {record.seen:%Y-%m-%d %H:%M}. Was the "
                f"clock set back? If that was no run of now, delete {ledger.file_of(root, record.run_id)}."
            )
    return None


def _before(kept: list[RunRecord], now: float) -> float:
    """The moment since which what was in use is spared: when the oldest stage began that has not ended."""
    return min([now, *(began.timestamp() for record in kept for began in record.unfinished)])


@dataclass
class _Pruning:
    """One pass; `keep` is None while too little is known to call anything old."""

    root: Path
    server: ServerConnection | None
    dry_run: bool
    held: Shelf
    before: float
    claimed: set[str]
    keep: set[str] | None = None
    published: set[str] = field(default_factory=set)
    stopped: bool = False
    notes: list[str] = field(default_factory=list)
    marks: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # of the runs' files at its beginning
    ours: set[str] = field(default_factory=set)  # of them, those of the kept runs: what these use is kept or spared

    @contextmanager
    def _unchanged(self) -> Iterator[bool]:
        """Whether all that this pass has decided still holds, and no stage begins meanwhile."""
        with ledger.locked(self.root):
            others = {name: mark for name, mark in ledger.marks(self.root).items() if name not in self.ours}
            published = set(published_versions(self.root)) <= self.published
            if not self.stopped and not (published and others.items() <= self.marks.items()):
                self.stopped = True
                self.notes.append("Pruning stopped early, since a run began or published meanwhile. The next goes on.")
            yield not self.stopped

    def live_on_servers(self) -> list[str]:
        """The versions that aliases on the server point at: a journal may be lost. All, where it cannot be asked."""
        found: list[str] = []
        places = [place for name in self.held if (place := self._on_server(name))]
        for collection in {collection for collection, _ in places}:
            try:
                found.append(self._store(collection).live() or "")
            except (StoreUnavailable, Terminal) as error:
                self.notes.append(f"Versions of {collection} on a Qdrant server stay: {error.what} {BY_THE_TASK}")
                found += [version for each, version in places if each == collection]
        return found

    def kind(self, kind: str) -> KindUse:
        """Remove those of a kind that nobody needs."""
        row = KindUse(kind=kind)
        for name in [name for name in self.held if name.startswith(f"{kind}/")]:
            path = self.root / name
            taken = allocated(path)
            old = self.keep is not None and name not in self.keep and last_used(path) < self.before
            self._count(row, taken, old and (self.dry_run or self._remove(name)))
        return row

    def leftovers(self, since: float) -> KindUse:
        """Remove what is no artifact: what dead processes left at once, the rest when older than the kept runs."""
        row = KindUse(kind="leftovers")
        for kind in KINDS:
            for what, path in removal.leftovers(self.root / kind.name):
                taken = allocated(path)
                # A scratch directory is what a retry goes on from; a damaged artifact is kept for a look.
                old = what in (ATTEMPT, DISCARDED) or last_written(path) < min(since, self.before)
                self._count(row, taken, old and (self.dry_run or removal.remove_leftover(path)))
        for path in (self.root / "tensorboard").glob("[!.]*"):
            model = self.root / "model" / path.name
            there = model.exists() or model.with_name(f".scratch-{path.name}").exists()
            old = not there and last_written(path) < min(since, self.before)
            self._count(row, allocated(path), old and (self.dry_run or _removed(path)))
        return row

    def vectors(self, since: float) -> KindUse:
        """Remove the vectors kept of texts by models that the kept runs have not used: what is used is dated anew."""
        row = KindUse(kind=vector_cache.DIRECTORY)
        for path in (self.root / vector_cache.DIRECTORY).glob("*"):
            old = last_written(path) < min(since, self.before)
            self._count(row, allocated(path), old and (self.dry_run or _removed(path)))
        return row

    def tidy(self, old: list[RunRecord]) -> None:
        """Forget old runs, and what names that which is gone."""
        for kind in KINDS:
            removal.remove_idle_locks(self.root / kind.name)
        claims.release_abandoned(self.root)
        for entry in (self.root / "report" / "by_run").glob("[!.]*.json"):
            with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
                mark = json.loads(entry.read_bytes())["fingerprint"]
                if not (self.root / "report" / mark).exists() and modified(entry) < self.before:
                    entry.unlink()
        for record in old:
            ledger.forget(self.root, record)

    @staticmethod
    def _count(row: KindUse, taken: int, went: bool) -> None:
        if went:
            row.gone, row.gone_bytes = row.gone + 1, row.gone_bytes + taken
        else:
            row.stay, row.stay_bytes = row.stay + 1, row.stay_bytes + taken

    def _remove(self, name: str) -> bool:
        path = self.root / name
        try:
            if (on_server := self._on_server(name)) is not None and not self._delete_collection(name, *on_server):
                return False
            if not name.startswith("edge/"):
                return removal.discard(path, timeout=0, unless_used_since=self.before, allowed=self._unchanged())
            with claims.deciding(self.root):
                if name in claims.claimed(self.root):
                    return False
                return removal.discard(path, timeout=0, unless_used_since=self.before, allowed=self._unchanged())
        except (ArtifactBusy, StorageFull):
            return False

    def _on_server(self, name: str) -> tuple[str, str] | None:
        """Collection and version, where this is a version that lies on a server, or its plan."""
        made, (kind, mark) = self.held[name], name.split("/")
        if kind == "plan" and made is not None and made.settings.get("store") == "server":
            return str(made.settings["collection"]), str(made.stats["version"])
        if kind == "version":
            with suppress(DamagedArtifact):
                version = IndexVersion.described(self.root / name)
                return (version.collection, mark) if version.store == "server" else None
        return None

    def _delete_collection(self, name: str, collection: str, version: str) -> bool:
        """Delete a version's collection on the server, with its plan, or without one; False where that cannot be."""
        if name.startswith("version/") and any(plans_of(version, self.held)):
            return True
        try:
            # A run that takes the plan up now makes another one.
            with lock(lock_of(self.root / name), timeout=0), self._unchanged() as may:
                if not may or last_used(self.root / name) >= self.before:
                    return False
                self._store(collection).delete(version, [])
        except (StoreUnavailable, Terminal) as error:
            self.notes.append(f"A version on the Qdrant server stays: {error.what}")
            return False
        return True

    def _store(self, collection: str) -> Store:
        return open_store(IndexSettings(store="server", collection=collection), root=self.root, server=self.server)


def _removed(directory: Path) -> bool:
    shutil.rmtree(directory, ignore_errors=True)
    return True
