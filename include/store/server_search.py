"""Reading one collection of a Qdrant server."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models

from include.core.arrays import Vectors
from include.core.errors import UnknownVersion
from include.store.calls import Caller
from include.store.fusion import depth, fuse_hits, unmatched
from include.store.protocol import BM25_WEIGHT, SHOWN_FIELDS, TEXT_FIELD, Hit, Payload, as_hit, point_id

FETCH_POINTS = 256


class ServerSearcher:
    """One collection, open for reading; see `include.store.protocol.Searcher`."""

    def __init__(self, client: QdrantClient, call: Caller, name: str, unknown: UnknownVersion) -> None:
        self._client = client
        self._call = call
        self._name = name
        self._unknown = unknown

    def count(self) -> int:
        """How many points there are."""
        count = self._call(
            f"count {self._name}", lambda: self._client.count(self._name, exact=True), missing=self._unknown
        )
        return int(count.count)

    def fetch(self, uids: Sequence[str]) -> dict[str, tuple[Vectors, Payload]]:
        """Vector (dim,) float32 and payload of the products that exist, by uid."""
        ids = [point_id(uid) for uid in uids]
        found: dict[str, tuple[Vectors, Payload]] = {}
        for start in range(0, len(ids), FETCH_POINTS):
            some = ids[start : start + FETCH_POINTS]
            records = self._call(
                f"fetch points of {self._name}",
                partial(self._client.retrieve, self._name, some, with_payload=True, with_vectors=True),
                missing=self._unknown,
            )
            for record in records:
                payload = record.payload or {}
                found[payload["uid"]] = (np.asarray(record.vector, dtype=np.float32), payload)
        return found

    def dense(self, vector: Vectors, top_k: int, *, exact: bool = False) -> list[Hit]:
        """Nearest by cosine."""
        return self._query(vector.tolist(), top_k, search_params=models.SearchParams(exact=exact))

    def bm25(self, question: str, top_k: int) -> list[Hit]:
        """Best by BM25 over title and content."""
        if not question.strip():
            return []
        return self._query(models.TextQuery(text=question), top_k, using=TEXT_FIELD)

    def hybrid(self, vector: Vectors, question: str, top_k: int, *, bm25_weight: float = BM25_WEIGHT) -> list[Hit]:
        """Dense and BM25, fused by `fusion.fuse`."""
        dense, bm25 = self.dense(vector, depth(top_k)), self.bm25(question, depth(top_k))
        dense += self._cosines(vector, unmatched(bm25, dense))
        return fuse_hits(dense, bm25, top_k, bm25_weight=bm25_weight)

    def close(self) -> None:
        """Nothing to do: the connection is the store's."""

    def _cosines(self, vector: Vectors, hits: Sequence[Hit]) -> list[Hit]:
        """The same products with their cosines as scores."""
        if not hits:
            return []
        ids = models.Filter(must=[models.HasIdCondition(has_id=[point_id(hit.uid) for hit in hits])])
        exact = models.SearchParams(exact=True)
        return self._query(vector.tolist(), len(hits), query_filter=ids, search_params=exact)

    def _query(self, query: Any, top_k: int, **options: Any) -> list[Hit]:
        points = self._call(
            f"search {self._name}",
            lambda: self._client.query_points(
                self._name, query=query, limit=top_k, with_payload=SHOWN_FIELDS, **options
            ),
            missing=self._unknown,
        ).points
        hits = [as_hit(point.payload or {}, point.score) for point in points]
        return sorted(hits, key=lambda hit: (-hit.score, hit.uid))
