"""The embedded store: Qdrant Edge, the engine inside this process.

A shard is an artifact of kind `edge`: a directory without write-ahead log, built in the artifact's
workspace, optimised into one immutable segment, and never written again. Its fingerprint depends on
the embedding, the attributes, the language and the HNSW settings alone, so versions and collections
share equal shards. `edge_shard.py` makes and opens it.

BM25 statistics (document frequencies, average length) are each shard's own, and scores of several
shards are merged as they are, as Elasticsearch does by default ("query then fetch"). With shards of
thousands of products the difference is small.
"""

import json
import logging
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import qdrant_edge

from include.catalogue.attributes import Attribute
from include.core import artifacts, kinds, removal
from include.core.arrays import Vectors
from include.core.errors import DamagedArtifact, StoreUnavailable, UnknownVersion, VerificationFailed
from include.core.files import write_json
from include.core.index_settings import IndexSettings
from include.core.progress import Sink
from include.core.space import no_space_explained, require
from include.store.edge_filter import edge_filter
from include.store.edge_process import build_apart
from include.store.edge_shard import Job, Revision, engine_explained, load
from include.store.filters import Among, Filter, path_of
from include.store.protocol import SHOWN_FIELDS, TEXT_FIELD, Change, PointBatch, Spec, refuse_live
from include.store.searcher import MOST_VALUES, EngineSearcher, Points, Searcher, Shown
from include.store.version import VERSION_FILE, IndexVersion

if TYPE_CHECKING:
    from include.store.apart import Processes

SHARD_DIRECTORY = "shard"  # in the artifact
# Share of a shard's points that may change before it is built as a whole again, counted since it last was. Where a
# third changes, that is as fast; and a graph that is mended again and again is made anew once in a while.
MOST_CHANGED = 0.2

# Where codes are searched, twice as many as are wanted are compared by their originals.
RESCORED = qdrant_edge.QuantizationSearchParams(rescore=True, oversampling=2.0)

log = logging.getLogger(__name__)

T = TypeVar("T")


class EdgeStore:
    """Versions as immutable Edge shards under `root`; see `include.store.protocol.Store`.

    Args:
        index: Its collection and HNSW settings are used.
        root: The data directory.
        processes: That search open versions, see `apart.py`; None: this one does.
    """

    def __init__(self, index: IndexSettings, *, root: Path, processes: "Processes | None" = None) -> None:
        self.index = index
        self.root = root
        self.processes = processes

    def prepare(self, version: str, spec: Spec) -> None:
        """Nothing to do: a shard is made whole by `upsert`."""

    def upsert(
        self,
        version: str,
        shard: int,
        batches: Iterable[PointBatch],
        *,
        inputs: Mapping[str, str],
        attributes: Sequence[Attribute] = (),
        total: int | None = None,
        sink: Sink | None = None,
    ) -> dict[str, Any]:
        """Build the shard's directory, or find it built; see `include.store.protocol.Store.upsert`.

        Raises:
            VerificationFailed: Two points have the same uid, or the engine kept another number of points.
            StoreUnavailable: The engine failed.
            StorageFull: The disk has no room.
        """

        def write(space: artifacts.Workspace) -> dict[str, Any]:
            job = Job(space.path / SHARD_DIRECTORY, shard, self.index, tuple(attributes), total)
            return build_apart(job, batches, sink)

        return self._built(shard, write, inputs)

    def revise(
        self,
        version: str,
        shard: int,
        change: Change,
        *,
        inputs: Mapping[str, str],
        attributes: Sequence[Attribute] = (),
        sink: Sink | None = None,
    ) -> dict[str, Any] | None:
        """Change a copy of the earlier shard; see `include.store.protocol.Store.revise`.

        None where too much has changed since that was built as a whole, or it is gone or damaged, or the engine failed.
        The copy then goes, and so it does where the process is killed.

        Raises:
            StorageFull: The disk has no room.
        """
        path = self.root / str(change.shard["path"])

        def write(space: artifacts.Workspace) -> dict[str, Any]:
            directory = space.path / SHARD_DIRECTORY
            room = 2 * sum(file.bytes for file in artifacts.read(path).files.values())
            require(space.path, room, f"Revising shard {shard}")
            try:
                shutil.copytree(path / SHARD_DIRECTORY, directory)
            except (shutil.Error, FileNotFoundError) as error:
                raise DamagedArtifact(f"{path} went while it was copied: {error}.") from error
            revision = Revision(change.gone, earlier.stats["dim"], change.total)
            job = Job(directory, shard, self.index, tuple(attributes), change.coming, revision)
            return {**build_apart(job, change.batches, sink), "changed": changed}

        try:
            earlier = artifacts.described(path)
            changed = earlier.stats.get("changed", 0) + max(len(change.gone), change.coming)
            return self._built(shard, write, inputs) if changed <= MOST_CHANGED * change.total else None
        except (DamagedArtifact, StoreUnavailable, VerificationFailed, RuntimeError) as error:
            log.warning("shard %d is not made of the live one, but as a whole: %s", shard, error)
            return None

    def _built(
        self, shard: int, write: Callable[[artifacts.Workspace], dict[str, Any]], inputs: Mapping[str, str]
    ) -> dict[str, Any]:
        settings = self.index.model_dump(include={"hnsw_m", "hnsw_ef_construct", "vector_format"})
        made = artifacts.build(self.root, kinds.EDGE, write, settings=settings, inputs=inputs)
        return {
            "shard": shard,
            "points": made.stats["points"],
            "path": made.path.relative_to(self.root).as_posix(),
            "reused": made.reused,
            "seconds": round(made.seconds, 3),
        }

    def seal(self, version: str, shards: Sequence[Mapping[str, Any]], *, sink: Sink | None = None) -> None:
        """Nothing to do: `upsert` optimises."""

    def open(self, version: str, shards: Sequence[Mapping[str, Any]], *, language: str | None = None) -> Searcher:
        """Open all shards of a version.

        Raises:
            UnknownVersion: There are no shards, or one's directory is gone.
            DamagedArtifact: A shard's files are not those that were published.
        """
        paths = [self.root / str(shard["path"]) for shard in shards]
        gone = [str(path) for path in paths if not path.is_dir()]
        if gone or not paths:
            raise UnknownVersion(
                f"Index version {version} cannot be opened: "
                + (f"{', '.join(gone)} does not exist." if gone else "it has no shards."),
                "It may have been deleted by a later publication: choose a version that is kept, or build it again.",
            )
        if self.processes is None:
            return EdgeSearcher(paths, language)
        from include.store.apart import ApartSearcher

        return ApartSearcher(paths, language, self.processes)

    def versions(self) -> list[str]:
        """The verified versions of this collection, from their `version.json`."""
        return sorted(made.name for made in self._versions() if made.collection == self.index.collection)

    def delete(self, version: str, shards: Sequence[Mapping[str, Any]]) -> None:
        """Remove the shards of `version` that no other version has.

        A reader that has them open keeps them until it closes.

        Raises:
            Terminal: The version is live.
        """
        refuse_live(version, self.live(), self.index.collection)
        kept = {
            str(shard["path"])
            for made in self._versions()
            if made.name != version
            for shard in made.shards
            if "path" in shard
        }
        for shard in shards:
            path = self.root / str(shard["path"])
            if str(shard["path"]) not in kept:
                removal.discard(path)

    def live(self) -> str | None:
        """The version in `index/<collection>/live.json`.

        Raises:
            DamagedArtifact: The file cannot be read.
        """
        path = self._alias()
        try:
            return str(json.loads(path.read_bytes())["version"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedArtifact(
                f'{path} cannot be read ({error!r}); expected {{"version": …}}.',
                "Publish or roll back to a version: that writes it anew.",
            ) from error

    def set_live(self, version: str) -> None:
        """Replace `live.json` by one rename.

        Raises:
            UnknownVersion: No verified version of this collection has that name.
        """
        known = self.versions()
        if version not in known:
            raise UnknownVersion(
                f"Index version {version} of collection {self.index.collection} does not exist under {self.root}.",
                f"There are: {', '.join(known) or 'none'}.",
            )
        path = self._alias()
        path.parent.mkdir(parents=True, exist_ok=True)
        with no_space_explained(path.parent):
            write_json(path, {"version": version})

    def _alias(self) -> Path:
        return self.root / "index" / self.index.collection / "live.json"

    def _versions(self) -> list[IndexVersion]:
        """Every version of all collections."""
        found = []
        for path in artifacts.published(self.root, kinds.VERSION):
            try:
                found.append(IndexVersion.described(path))
            except DamagedArtifact:
                if (path / VERSION_FILE).exists():  # neither lost nor deleted since it was listed
                    raise
        return found


class EdgeSearcher(EngineSearcher):
    """Several shards searched as one: one after another, since the engine holds Python's lock while it searches.

    Args:
        paths: The shards' artifact directories.
        language: Of their terms, see `Searcher`.

    Raises:
        DamagedArtifact: A file is missing or has another size, or the engine cannot load the shard.
    """

    def __init__(self, paths: Sequence[Path], language: str | None = None) -> None:
        super().__init__(language)
        views = Path(tempfile.mkdtemp(prefix="vitrine-edge-"))
        self._remove_views = weakref.finalize(self, shutil.rmtree, views, ignore_errors=True)
        self._shards: list[qdrant_edge.EdgeShard] = []
        try:
            for number, path in enumerate(paths):
                artifacts.read(path, verify=False)
                self._shards.append(load(path / SHARD_DIRECTORY, views / str(number)))
        except BaseException:
            self.close()
            raise

    def count(self, where: Filter | None = None) -> int:
        """How many points there are in all shards, or how many of them match."""
        request = qdrant_edge.CountRequest(exact=True, filter=edge_filter(where))
        return sum(self._each(lambda shard: shard.count(request)))

    def close(self) -> None:
        """Close the shards and remove the views."""
        while self._shards:
            self._shards.pop().close()
        self._remove_views()

    def _stored(self, ids: Sequence[str], *, vectors: bool = False) -> Points:
        return self._from_each("retrieve", ids, True, vectors)

    def _nearest(
        self, vector: Vectors, limit: int, where: Filter | Among | None, *, exact: bool, shown: Shown = SHOWN_FIELDS
    ) -> Points:
        request = qdrant_edge.QueryRequest(
            limit=limit,
            query=qdrant_edge.Query.Nearest(vector.tolist()),
            params=qdrant_edge.SearchParams(exact=exact, quantization=RESCORED),
            filter=edge_filter(where),
            with_payload=shown or False,
        )
        return self._from_each("query", request)

    def _worded(self, question: str, limit: int, where: Filter | None, *, shown: Shown = SHOWN_FIELDS) -> Points:
        query = qdrant_edge.TextQuery(TEXT_FIELD, question)
        wanted = edge_filter(where)
        request = qdrant_edge.QueryRequest(limit=limit, query=query, filter=wanted, with_payload=shown or False)
        return self._from_each("query", request)

    def _values(self, name: str, where: Filter | None) -> Iterable[tuple[str | int, int]]:
        # Counts of a sealed shard are right without `exact`, which takes ten times as long.
        request = qdrant_edge.FacetRequest(path_of(name), limit=MOST_VALUES, exact=False, filter=edge_filter(where))
        found = self._each(lambda shard: shard.facet(request))
        return [(hit.value, hit.count) for facet in found for hit in facet.hits]

    def _from_each(self, method: str, *given: Any) -> Points:
        return chain.from_iterable(self._each(methodcaller(method, *given)))

    def _each(self, work: Callable[[qdrant_edge.EdgeShard], T]) -> list[T]:
        with engine_explained("search"):
            return [work(shard) for shard in self._shards]
