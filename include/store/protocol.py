"""The vector index: one small protocol, two stores.

* `edge.py` (`store="embedded"`, the default): Qdrant Edge, the engine in this process. Each shard is an
  immutable directory, an artifact of kind `edge`. The alias is a JSON file.
* `server.py` (`store="server"`): a Qdrant server of version 1.20 or later. Each version is a collection
  `<collection>_<version>`, the alias is the server's.

Both search the same way: dense (cosine over HNSW), BM25 (over the text index of the payload field
`text`), and hybrid, which fuses the two (`searcher.py`, `fusion.py`). The embeddings in Parquet are the source of
truth; both stores can be made again from them.

Life of a version: `prepare`, `upsert` (or `revise`) of every shard (in any order, in parallel, repeated at will),
`seal`, verification, `set_live`; later `delete`.

This module is light: the engines are imported where they are used, so that answering a question
imports neither pyarrow nor qdrant_client.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from include.catalogue.attributes import Attribute, AttributeValue
from include.core.arrays import Vectors
from include.core.errors import Terminal
from include.core.progress import Sink

if TYPE_CHECKING:
    from include.store.searcher import Searcher

Payload = dict[str, Any]

TEXT_FIELD = "text"  # the payload field that BM25 searches
SHOWN_FIELDS = ["uid", "title", "content", "attributes"]  # what a hit carries
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
        payloads: `{"uid", "title", "content", "text"}` each; `text` is what BM25 searches: see
            `include.store.terms`. Of a catalogue with
            attributes also `attributes`: `{name: value}`, dates as `2024-05-01T00:00:00Z`, without those it lacks.
    """

    uids: list[str]
    ids: list[str]
    vectors: Vectors
    payloads: list[Payload]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Change:
    """What makes a shard of an earlier one, whose vectors are of the same model and whose terms of the same language.

    Attributes:
        shard: The earlier shard's summary, from `Store.upsert`.
        gone: Ids of the points that it has and that the new shard lacks or has otherwise.
        batches: The points that are new or otherwise.
        coming: How many those are.
        total: Points of the new shard.
    """

    shard: Mapping[str, Any]
    gone: list[str]
    batches: Iterable[PointBatch]
    coming: int
    total: int


@dataclass(frozen=True)
class Hit:
    """A product that a search found, plain and JSON-able through `dataclasses.asdict`.

    Attributes:
        uid, title, content: The product's.
        score: Cosine for dense search, BM25 score for BM25, fused score (0-1) for hybrid. Higher is better.
        attributes: By name, as in the payload.
        cosine: With the question, where the search has compared them: dense and hybrid search do.
    """

    uid: str
    title: str
    content: str
    score: float
    attributes: dict[str, AttributeValue] = field(default_factory=dict, hash=False)
    cosine: float | None = None


def as_hit(payload: Payload, score: float, cosine: float | None = None) -> Hit:
    """A hit from a stored payload; the score without float32's noise, so that equal products tie."""
    own = payload.get("attributes", {})
    return Hit(payload["uid"], payload["title"], payload["content"], round(float(score), 6), own, cosine)


@dataclass(frozen=True)
class Spec:
    """What an index version is made of: `dim` is the vectors' length, `attributes` are indexed by their type."""

    dim: int
    hnsw_m: int
    hnsw_ef_construct: int
    attributes: tuple[Attribute, ...] = ()


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
        attributes: Sequence[Attribute] = (),
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
            attributes: Those of the points, as given to `prepare`.
            total: Points to come, where known: for progress alone.
            sink: Receives progress.

        Returns:
            A JSON-able summary, kept in `version.json` and given back to `open`: at least `shard` and `points`.
        """

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
        """Make one shard of an earlier one, which stays as it is, where that is faster than loading it whole.

        Returns:
            The summary of a shard that holds what `upsert` would have loaded; None where it must be loaded by `upsert`.
        """

    def seal(self, version: str, shards: Sequence[Mapping[str, Any]], *, sink: Sink | None = None) -> None:
        """Finish the index after the last shard; idempotent."""

    def open(self, version: str, shards: Sequence[Mapping[str, Any]], *, language: str | None = None) -> "Searcher":
        """Open a version for reading; `language` is that of its terms, None for an index of plain words.

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


def refuse_live(version: str, live: str | None, collection: str) -> None:
    """Raise Terminal if `version` is the live one: it must not be deleted."""
    if version == live:
        raise Terminal(
            f"Index version {version} of collection {collection} is live and cannot be deleted.",
            "Publish another version, or roll back to one, first.",
        )
