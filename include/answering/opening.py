"""Opens a version of an index for questions, and tells what was published with it."""

import logging
from pathlib import Path

from include.core import artifacts, kinds
from include.core.answer_settings import AnswerSettings
from include.core.errors import BadSettings, DamagedArtifact, NoLiveIndex, UnknownVersion
from include.core.index_settings import IndexSettings
from include.store.journal import Entry, published
from include.store.protocol import BM25_WEIGHT, Store
from include.store.searcher import Searcher
from include.store.version import IndexVersion

log = logging.getLogger(__name__)


def open_version(store: Store, wanted: str, index: IndexSettings, root: Path) -> tuple[IndexVersion, Searcher]:
    """The version's description and the version itself, open for reading.

    Args:
        store: Where it is.
        wanted: A version's fingerprint, or "live".
        index: The store and collection that it must be of.
        root: The data directory.

    Raises:
        NoLiveIndex: Nothing has been published.
        UnknownVersion: The version does not exist, no longer, or elsewhere.
    """
    if wanted != "live":
        version = _describe(store, wanted, index, root)
        return version, store.open(wanted, version.shards, language=version.language)
    tried: str | None = None
    while True:
        live = store.live()
        if live is None:
            raise NoLiveIndex(
                f"Nothing has been published in collection {index.collection!r} ({index.store}) under {root}.",
                "Trigger train_and_index and let it finish, then ask again.",
            )
        try:
            version = _describe(store, live, index, root)
            return version, store.open(live, version.shards, language=version.language)
        except (UnknownVersion, DamagedArtifact):
            if live == tried:
                raise
            tried = live  # the alias may have moved, and the old version gone, since it was read


def _describe(store: Store, wanted: str, index: IndexSettings, root: Path) -> IndexVersion:
    path = IndexVersion.path(root, wanted)
    if not path.exists():
        raise UnknownVersion(
            f"Index version {wanted} does not exist in {path.parent}.",
            f"Kept versions: {_kept(store)}. Or ask for `live`.",
        )
    version = IndexVersion.read(path, verify=False)
    if (version.collection, version.store) != (index.collection, index.store):
        raise UnknownVersion(
            f"Index version {wanted} belongs to collection {version.collection!r} ({version.store}), not to "
            f"{index.collection!r} ({index.store}).",
            f"Kept versions there: {_kept(store)}. Or ask for `live`.",
        )
    return version


def _kept(store: Store) -> str:
    return ", ".join(store.versions()) or "none"


def published_with(root: Path, collection: str, version: str) -> Entry | None:
    """What was published with the version; None where it never was, or where that cannot be read."""
    try:
        return published(root, collection, version)
    except DamagedArtifact as damage:  # it holds the way back, not the index: questions are answered meanwhile
        log.warning("BM25's weight and the threshold are the defaults, and no reader reads: %s", damage)
        return None


def weight(settings: AnswerSettings, entry: Entry | None) -> float | None:
    """BM25's weight in hybrid search: the asked-for one, else the version's own; None in other modes."""
    if settings.mode != "hybrid":
        return None
    if settings.bm25_weight is not None:
        return settings.bm25_weight
    return BM25_WEIGHT if entry is None or entry.bm25_weight is None else entry.bm25_weight


def reader_path(settings: AnswerSettings, entry: Entry | None, root: Path) -> Path | None:
    """Where the reader is: the asked-for one, else the version's own; None where there is none."""
    mark = settings.read_with
    if mark == "published":
        mark = "none" if entry is None or entry.reader is None else entry.reader
    path = None if mark == "none" else artifacts.locate(root, kinds.READER, mark)
    if path is not None and settings.read_with != "published" and not path.exists():
        raise BadSettings(
            f"read_with = {mark!r}: there is no such reader in {path.parent}.",
            "Give the fingerprint of one that is there, or `published`, or `none`.",
        )
    return path
