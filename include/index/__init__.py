"""The vector index: one small protocol, two stores.

* `edge.py` (`store="embedded"`, the default): Qdrant Edge, the engine in this process. Each shard is an
  immutable directory, an artifact of kind `edge`. The alias is a JSON file.
* `server.py` (`store="server"`): a Qdrant server of version 1.20 or later. Each version is a collection
  `<collection>_<version>`, the alias is the server's.

Both search the same way: dense (cosine over HNSW), BM25 (over the text index of the payload field
`text`), and hybrid, which fuses the two (`fusion.py`). The embeddings in Parquet are the source of
truth; both stores can be made again from them.

Life of a version: `prepare`, `upsert` of every shard (in any order, in parallel, repeated at will),
`seal`, verification, `set_live`; later `delete`.

This module is light: the engines are imported where they are used, so that answering a question
imports neither pyarrow nor qdrant_client.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from include.errors import BadSettings, Terminal
from include.progress import Sink
from include.settings import IndexSettings

Vectors = npt.NDArray[np.float32]
Payload = dict[str, Any]

TEXT_FIELD = "text"  # the payload field that BM25 searches
SHOWN_FIELDS = ["uid", "title", "content"]  # what a hit carries
BM25_WEIGHT = 0.2  # of BM25 in hybrid search where none was fitted, see fusion.py
NAMESPACE = uuid.UUID("6f1f3f0e-7b0c-5d8e-9c39-5a0a4c0a8a51")  # never change it: every stored id depends on it


def point_id(uid: str) -> str:
    """The point's id for a product: a uuid5 of its uid, so that loading it again replaces the same point."""
    return str(uuid.uuid5(NAMESPACE, uid))


@dataclass(frozen=True)
class PointBatch:
    """Points on their way into a store; row i of each field belongs together.

    Attributes:
        uids: The products' uids.
        ids: `point_id` of each.
        vectors: (n, dim) float32, L2-normalised.
        payloads: `{"uid", "title", "content", "text"}` each; `text` is what BM25 searches.
    """

    uids: list[str]
    ids: list[str]
    vectors: Vectors
    payloads: list[Payload]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Hit:
    """A product that a search found, plain and JSON-able through `dataclasses.asdict`.

    Attributes:
        uid, title, content: The product's.
        score: Cosine for dense search, BM25 score for BM25, fused score (0-1) for hybrid. Higher is better.
    """

    uid: str
    title: str
    content: str
    score: float


def as_hit(payload: Payload, score: float) -> Hit:
    """A hit from a stored payload; the score without float32's noise, so that equal products tie."""
    return Hit(payload["uid"], payload["title"], payload["content"], round(float(score), 6))


@dataclass(frozen=True)
class Spec:
    """What an index version is made of: `dim` is the vectors' length, the rest as in `IndexSettings`."""

    collection: str
    dim: int
    hnsw_m: int
    hnsw_ef_construct: int


@dataclass(frozen=True)
class ServerConnection:
    """Where a Qdrant server is.

    Attributes:
        url: Such as `https://qdrant.example:6333`; a prefix path is kept.
        api_key: None for a server without one.
        prefer_grpc: Use gRPC where the client can; faster for loading.
        grpc_port: The server's gRPC port.
        timeout: Seconds that one request may take.
        location: `:memory:` for the client's simulation in this process (tests); then url is not used.
    """

    url: str = "http://localhost:6333"
    api_key: str | None = field(default=None, repr=False)  # a secret: never in a log
    prefer_grpc: bool = False
    grpc_port: int = 6334
    timeout: int = 60
    location: str | None = None

    @property
    def name(self) -> str:
        """How messages call the server."""
        return self.location or self.url

    @classmethod
    def from_fields(
        cls, host: str | None, port: int | None, password: str | None, extra: Mapping[str, Any] | None = None
    ) -> Self:
        """Build from the plain fields of an Airflow connection of type `qdrant`.

        Args:
            host: Host name, or a whole url.
            port: REST port; 6333 where it is not given.
            password: The api key.
            extra: Known keys, all optional: `url` (instead of host and port), `api_key` (instead of the
                password), `prefer_grpc` (also spelt `prefer_gprc`, as Airflow's provider does),
                `grpc_port`, `timeout` (seconds), `https` (true, false; by default true where there is an api
                key and the host is not this machine), `prefix` (path before the server's own).

        Raises:
            BadSettings: Neither host nor url, a key that is not known, or a value of the wrong type.
        """
        known = ("url", "api_key", "prefer_grpc", "prefer_gprc", "grpc_port", "timeout", "https", "prefix")
        given = {key: value for key, value in (extra or {}).items() if value not in (None, "")}
        fix = "Correct the Airflow connection (Admin > Connections)."
        if unknown := sorted(set(given) - set(known)):
            raise BadSettings(f"The Qdrant connection's extra has unknown keys: {', '.join(unknown)}.", fix)
        api_key = given.get("api_key") or password or None
        url = str(given.get("url") or (host if host and "://" in host else ""))
        if not url:
            if not host:
                raise BadSettings("The Qdrant connection has neither a host nor a `url` in its extra.", fix)
            local = host in ("localhost", "127.0.0.1", "::1")
            secure = _flag("https", given.get("https", api_key is not None and not local), fix)
            shown = f"[{host}]" if ":" in host else host
            url = f"{'https' if secure else 'http'}://{shown}:{port or 6333}"
        if prefix := str(given.get("prefix", "")).strip("/"):
            url = f"{url.rstrip('/')}/{prefix}"
        return cls(
            url=url.rstrip("/"),
            api_key=api_key,
            prefer_grpc=_flag("prefer_grpc", given.get("prefer_grpc", given.get("prefer_gprc", False)), fix),
            grpc_port=_number("grpc_port", given.get("grpc_port", cls.grpc_port), fix),
            timeout=_number("timeout", given.get("timeout", cls.timeout), fix),
        )


class Searcher(Protocol):
    """One version, open for reading. Safe to use from several threads; hits are sorted by score, then uid."""

    def count(self) -> int:
        """How many points there are."""

    def fetch(self, uids: Sequence[str]) -> dict[str, tuple[Vectors, Payload]]:
        """Vector (dim,) float32 and payload of the products that exist, by uid."""

    def dense(self, vector: Vectors, top_k: int, *, exact: bool = False) -> list[Hit]:
        """Nearest by cosine; `exact` compares with every point instead of walking the HNSW graph."""

    def bm25(self, question: str, top_k: int) -> list[Hit]:
        """Best by BM25 over title and content; products that share no word with the question are not hits."""

    def hybrid(self, vector: Vectors, question: str, top_k: int, *, bm25_weight: float = BM25_WEIGHT) -> list[Hit]:
        """Dense and BM25, fused: see `fusion.fuse`. `bm25_weight` is from 0 (dense alone) to 1 (BM25 alone)."""

    def close(self) -> None:
        """Release what opening took; harmless when repeated."""


class Store(Protocol):
    """Where index versions live.

    Every method may raise StoreUnavailable (the store did not answer: retry) and, from the server,
    Terminal (it refused: the message says why).
    """

    def prepare(self, version: str, spec: Spec) -> None:
        """Make room for a version; idempotent."""

    def upsert(
        self,
        version: str,
        shard: int,
        batches: Iterable[PointBatch],
        *,
        inputs: Mapping[str, str],
        total: int | None = None,
        sink: Sink | None = None,
    ) -> dict[str, Any]:
        """Load one shard; idempotent, and shards may load at once.

        Args:
            version: As given to `prepare`.
            shard: Its number.
            batches: The shard's points; may be left unread if an earlier try has loaded them already.
            inputs: Fingerprints of what the points were made from, by role; with the store's settings they
                must determine the points.
            total: Points to come, where known: for progress alone.
            sink: Receives progress.

        Returns:
            A JSON-able summary, kept in `version.json` and given back to `open`: at least `shard` and `points`.
        """

    def seal(self, version: str, shards: Sequence[Mapping[str, Any]], *, sink: Sink | None = None) -> None:
        """Finish the index after the last shard; idempotent."""

    def open(self, version: str, shards: Sequence[Mapping[str, Any]]) -> Searcher:
        """Open a version for reading.

        Raises:
            UnknownVersion: It does not exist, or no longer.
        """

    def versions(self) -> list[str]:
        """The versions of the collection that exist, sorted by name."""

    def delete(self, version: str, shards: Sequence[Mapping[str, Any]]) -> None:
        """Remove a version's data; what other versions share stays. Harmless when repeated.

        Raises:
            Terminal: The version is live.
        """

    def live(self) -> str | None:
        """The version that the alias points at; None before the first publication."""

    def set_live(self, version: str) -> None:
        """Move the alias, atomically: a reader sees the old version or the new one, never none.

        Raises:
            UnknownVersion: There is no such version.
        """


def open_store(index: IndexSettings, *, root: Path, server: ServerConnection | None = None) -> Store:
    """The store that the settings choose.

    Args:
        index: Its `store`, `collection` and HNSW settings are used.
        root: The data directory.
        server: Needed for `store="server"`.

    Raises:
        BadSettings: `store="server"` without a connection.
    """
    if index.store == "embedded":
        from include.index.edge import EdgeStore

        return EdgeStore(index, root=root)
    if server is None:
        raise BadSettings(
            "store = 'server' needs a connection to a Qdrant server, and there is none.",
            "Make the Airflow connection `qdrant_default`, or choose store = 'embedded'.",
        )
    from include.index.server import ServerStore

    return ServerStore(index, server)


def refuse_live(version: str, live: str | None, collection: str) -> None:
    """Raise Terminal if `version` is the live one: it must not be deleted."""
    if version == live:
        raise Terminal(
            f"Index version {version} of collection {collection} is live and cannot be deleted.",
            "Publish another version, or roll back to one, first.",
        )


def _flag(name: str, value: object, fix: str) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "false", "1", "0"):
        return str(value).lower() in ("true", "1")
    raise BadSettings(f"The Qdrant connection's `{name}` must be true or false, not {value!r}.", fix)


def _number(name: str, value: object, fix: str) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if number < 1:
        raise BadSettings(f"The Qdrant connection's `{name}` must be a whole number above 0, not {value!r}.", fix)
    return number
