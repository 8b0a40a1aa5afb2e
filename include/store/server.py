"""The server store: one collection a version on a Qdrant server, behind an alias.

Bulk loading follows Qdrant's advice (https://qdrant.tech/documentation/guides/bulk-upload/): a new
collection, payload indexes first, HNSW deferred by `indexing_threshold=0`, batches below the request
limit in a few streams, then the threshold restored and a wait for green.

BM25 is a text query over the payload's text index, which needs a server of version 1.20 or later.
Ids are uuid5 of the uid and every write waits, so repeating any of it changes nothing.
"""

import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from qdrant_client import QdrantClient, models

from include.catalogue.attributes import Attribute
from include.core.errors import BadSettings, StoreUnavailable, Terminal, UnknownVersion
from include.core.index_settings import IndexSettings
from include.core.progress import Progress, Sink
from include.core.redaction import foreign
from include.store.calls import Caller
from include.store.connection import FIX, ServerConnection
from include.store.protocol import Change, PointBatch, Spec, refuse_live
from include.store.server_collection import collection_params, payload_indexes
from include.store.server_search import ServerSearcher

NEEDED = (1, 20)  # BM25 over a payload's text index
INDEXING_THRESHOLD_KB = 10_000  # the server's default, restored by `seal`
BATCH_POINTS = 256
BATCH_BYTES = 8 * 2**20  # of a request, estimated; the server's limit is 32 MB
STREAMS = 2  # requests under way at once


class ServerStore:
    """Versions as collections `<collection>_<version>`; see `include.store.protocol.Store`.

    Args:
        index: Collection name and HNSW settings.
        connection: Where the server is.
        backoff: Seconds before the first repetition of a failed request; each further one waits twice as long.
        poll: Seconds between two looks at a collection that is being indexed.
        seal_timeout: Seconds that indexing may take.
    """

    def __init__(
        self,
        index: IndexSettings,
        connection: ServerConnection,
        *,
        backoff: float = 0.5,
        poll: float = 1.0,
        seal_timeout: float = 6 * 3600.0,
    ) -> None:
        self.index = index
        self.connection = connection
        self.poll = poll
        self.seal_timeout = seal_timeout
        self._call = Caller(connection.name, backoff=backoff, secrets=connection.secrets)
        self._checked = False
        self._client = _client(connection)

    def collection(self, version: str) -> str:
        """The name of a version's collection."""
        return f"{self.index.collection}_{version}"

    def prepare(self, version: str, spec: Spec) -> None:
        """Create the collection with its payload indexes, HNSW deferred; one that exists stays as it is.

        Raises:
            Terminal: The server is too old, or the collection exists with other vectors.
            StoreUnavailable: The server did not answer.
        """
        self._check_version()
        name = self.collection(version)
        if not self._exists(name):
            self._call(
                f"create collection {name}",
                lambda: self._client.create_collection(name, **collection_params(self.index, spec)),
                tolerate=(409,),  # another task's `prepare` was faster
            )
        found = self._info(name).config.params.vectors
        if not isinstance(found, models.VectorParams) or (found.size, found.distance) != (
            spec.dim,
            models.Distance.COSINE,
        ):
            raise Terminal(
                f"Collection {name} on {self.connection.name} exists with vectors {found!r}; expected {spec.dim} "
                "dimensions and cosine distance.",
                "Delete that collection if it is not needed, or choose another collection name.",
            )
        for field_name, schema in payload_indexes(spec).items():
            self._call(
                f"index the payload field {field_name} of {name}",
                partial(self._client.create_payload_index, name, field_name, schema, wait=True),
            )

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
        """Send every batch and wait until it is stored; see `include.store.protocol.Store.upsert`.

        Raises:
            UnknownVersion: `prepare` was not called.
            Terminal: The server refused the points.
            StoreUnavailable: The server did not answer; what was sent stays, and a retry sends it again.
        """
        name = self.collection(version)
        began = time.monotonic()
        points = 0
        streams = 1 if self.connection.location else STREAMS  # the simulation is not safe in threads
        waiting: deque[Future[int]] = deque()
        with (
            Progress(f"load shard {shard}", total, unit="points", sink=sink) as progress,
            ThreadPoolExecutor(streams, thread_name_prefix="qdrant-upsert") as pool,
        ):
            try:
                for part in (part for batch in batches for part in _parts(batch)):
                    waiting.append(pool.submit(self._send, name, part))
                    if len(waiting) > streams:  # bounded: reading does not run ahead of the server
                        done = waiting.popleft().result()
                        points += done
                        progress.advance(done)
                while waiting:
                    done = waiting.popleft().result()
                    points += done
                    progress.advance(done)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return {"shard": shard, "points": points, "collection": name, "seconds": round(time.monotonic() - began, 3)}

    def revise(
        self,
        version: str,
        shard: int,
        change: Change,
        *,
        inputs: Mapping[str, str],
        attributes: Sequence[Attribute] = (),
        sink: Sink | None = None,
    ) -> None:
        """A collection is loaded whole: a server copies none."""

    def seal(self, version: str, shards: Sequence[Mapping[str, Any]], *, sink: Sink | None = None) -> None:
        """Restore the indexing threshold and wait until the collection is green and its optimisers are idle.

        While they drain, a query may take a hundred times as long.

        Raises:
            UnknownVersion: There is no such collection.
            StoreUnavailable: Indexing failed on the server, or took longer than `seal_timeout`.
        """
        name = self.collection(version)
        self._call(
            f"start indexing {name}",
            lambda: self._client.update_collection(
                name, optimizers_config=models.OptimizersConfigDiff(indexing_threshold=INDEXING_THRESHOLD_KB)
            ),
            missing=self._unknown(version),
        )
        deadline = time.monotonic() + self.seal_timeout
        quiet = 0
        total = sum(int(shard["points"]) for shard in shards)
        with Progress(f"index {name}", total, unit="points", sink=sink) as progress:
            while True:
                info = self._info(name)
                progress.update(min(info.indexed_vectors_count or 0, total))
                if info.status == models.CollectionStatus.RED:
                    raise StoreUnavailable(
                        f"Indexing {name} on {self.connection.name} failed: {foreign(info.optimizer_status)}.",
                        "Look at the server's log and disk, then retry.",
                    )
                # Twice in a row: for a moment after the change the optimiser has not noticed yet.
                idle = info.status == models.CollectionStatus.GREEN and self._is_idle(name)
                quiet = quiet + 1 if idle else 0
                if quiet == 2:
                    return
                if time.monotonic() >= deadline:
                    raise StoreUnavailable(
                        f"{name} on {self.connection.name} was still {info.status} after {self.seal_timeout:.0f} s, "
                        f"with {info.indexed_vectors_count} of {total} vectors indexed.",
                        "The server goes on by itself: retry later, or give it more processors.",
                    )
                time.sleep(self.poll)

    def open(self, version: str, shards: Sequence[Mapping[str, Any]], *, language: str | None = None) -> ServerSearcher:
        """Open a version for reading.

        Raises:
            UnknownVersion: There is no such collection.
        """
        self._check_version()
        name = self.collection(version)
        if not self._exists(name):
            raise self._unknown(version)
        return ServerSearcher(self._client, self._call, name, self._unknown(version), language)

    def versions(self) -> list[str]:
        """The versions that have a collection, finished or not, sorted by name."""
        pattern = re.compile(re.escape(self.index.collection) + r"_([0-9a-f]{16})")
        found = self._call("list the collections", self._client.get_collections).collections
        return sorted(match[1] for one in found if (match := pattern.fullmatch(one.name)))

    def delete(self, version: str, shards: Sequence[Mapping[str, Any]]) -> None:
        """Delete the collection, if it exists.

        Raises:
            Terminal: The version is live.
        """
        refuse_live(version, self.live(), self.index.collection)
        name = self.collection(version)
        self._call(f"delete collection {name}", lambda: self._client.delete_collection(name), tolerate=(404,))

    def live(self) -> str | None:
        """The version that the alias points at."""
        for alias in self._call("read the aliases", self._client.get_aliases).aliases:
            if alias.alias_name == self.index.collection:
                return str(alias.collection_name).removeprefix(f"{self.index.collection}_")
        return None

    def set_live(self, version: str) -> None:
        """Delete and create the alias in one request, which the server applies as a whole.

        Raises:
            UnknownVersion: There is no such collection.
            Terminal: The server refused, for example because a collection has the alias's name.
        """
        name, alias = self.collection(version), self.index.collection
        if not self._exists(name):
            raise self._unknown(version)
        changes: list[Any] = [
            models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name=name, alias_name=alias))
        ]
        if self.live() is not None:
            changes.insert(0, models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias)))
        self._call(f"point the alias {alias} at {name}", lambda: self._client.update_collection_aliases(changes))

    def _send(self, name: str, batch: PointBatch) -> int:
        points = models.Batch(ids=list(batch.ids), vectors=batch.vectors.tolist(), payloads=list(batch.payloads))
        missing = UnknownVersion(
            f"Collection {name} does not exist on {self.connection.name}.", "Call `prepare` first: clear its task."
        )
        self._call(f"store points in {name}", lambda: self._client.upsert(name, points, wait=True), missing=missing)
        return len(batch)

    def _is_idle(self, name: str) -> bool:
        """Whether no optimisation runs or waits; a green collection may still have some."""
        if self.connection.location:  # the simulation has none
            return True
        found = self._call(f"read the optimisations of {name}", lambda: self._client.get_optimizations(name))
        return not found.running and not found.summary.queued_optimizations

    def _exists(self, name: str) -> bool:
        return bool(self._call(f"look for collection {name}", lambda: self._client.collection_exists(name)))

    def _info(self, name: str) -> models.CollectionInfo:
        return self._call(f"read the state of {name}", lambda: self._client.get_collection(name))

    def _unknown(self, version: str) -> UnknownVersion:
        return UnknownVersion(
            f"Index version {version} does not exist: {self.connection.name} has no collection "
            f"{self.collection(version)}.",
            "It may have been deleted by a later publication: choose a version that is kept, or build it again.",
        )

    def _check_version(self) -> None:
        """Raise Terminal if the server cannot rank text."""
        if self._checked:
            return
        found = str(self._call("read the server's version", self._client.info).version)
        numbers = tuple(int(part) for part in re.findall(r"\d+", found)[:2])
        if numbers < NEEDED:
            raise Terminal(
                f"The Qdrant server at {self.connection.name} has version {found}; BM25 search needs "
                f"{'.'.join(map(str, NEEDED))} or later.",
                "Upgrade the server, or choose store = 'embedded'.",
            )
        self._checked = True


def _client(connection: ServerConnection) -> QdrantClient:
    """A client, which has not connected yet."""
    if connection.location is not None:
        return QdrantClient(location=connection.location)
    try:
        return QdrantClient(
            url=connection.url,
            api_key=connection.api_key,
            prefer_grpc=connection.prefer_grpc,
            grpc_port=connection.grpc_port,
            timeout=connection.timeout,
            headers={"authorization": f"Basic {connection.basic}"} if connection.basic else None,
            check_compatibility=False,  # `_check_version` says it as an error, not as a warning
        )
    except ValueError as error:
        reason = foreign(error, connection.secrets)
        raise BadSettings(f"The Qdrant address {connection.name} is not valid: {reason}.", FIX) from None


def _parts(batch: PointBatch) -> Iterator[PointBatch]:
    """Split a batch so that each request has at most BATCH_POINTS points and about BATCH_BYTES."""
    start, size = 0, 0
    for row, payload in enumerate(batch.payloads):
        # 12 characters a number as JSON; a character takes at most 6 bytes, as an escape
        need = 12 * batch.vectors.shape[1] + 6 * sum(len(str(value)) for value in payload.values())
        if row > start and (size + need > BATCH_BYTES or row - start == BATCH_POINTS):
            yield _slice(batch, start, row)
            start, size = row, 0
        size += need
    if len(batch) > start:
        yield _slice(batch, start, len(batch))


def _slice(batch: PointBatch, start: int, end: int) -> PointBatch:
    return PointBatch(batch.uids[start:end], batch.ids[start:end], batch.vectors[start:end], batch.payloads[start:end])
