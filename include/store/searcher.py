"""Reading one version: what both stores do alike. What only an engine can do is in `edge.py` and `server_search.py`."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from include.core.arrays import Vectors
from include.store.fusion import depth, fuse_hits, unmatched
from include.store.protocol import BM25_WEIGHT, Hit, Payload, as_hit, point_id

Points = Iterable[Any]  # as the engine gives them
FETCH_POINTS = 256  # at once


class Searcher(ABC):
    """One version, open for reading. Safe to use from several threads; hits are sorted by score, then uid."""

    @abstractmethod
    def count(self) -> int:
        """How many points there are."""

    @abstractmethod
    def close(self) -> None:
        """Release what opening took; harmless when repeated."""

    def fetch(self, uids: Sequence[str]) -> dict[str, tuple[Vectors, Payload]]:
        """Vector (dim,) float32 and payload of the products that exist, by uid."""
        ids = [point_id(uid) for uid in uids]
        found: dict[str, tuple[Vectors, Payload]] = {}
        for start in range(0, len(ids), FETCH_POINTS):
            for point in self._stored(ids[start : start + FETCH_POINTS]):
                payload = point.payload or {}
                found[payload["uid"]] = (np.asarray(point.vector, dtype=np.float32), payload)
        return found

    def dense(self, vector: Vectors, top_k: int, *, exact: bool = False) -> list[Hit]:
        """Nearest by cosine; `exact` compares with every point instead of walking the HNSW graph."""
        return _hits(self._nearest(vector, top_k, exact=exact, among=None), top_k)

    def bm25(self, question: str, top_k: int) -> list[Hit]:
        """Best by BM25 over title and content; products that share no word with the question are not hits."""
        return _hits(self._worded(question, top_k), top_k) if question.strip() else []

    def hybrid(self, vector: Vectors, question: str, top_k: int, *, bm25_weight: float = BM25_WEIGHT) -> list[Hit]:
        """Dense and BM25, fused: see `fusion.fuse`. `bm25_weight` is from 0 (dense alone) to 1 (BM25 alone)."""
        dense, bm25 = self.dense(vector, depth(top_k)), self.bm25(question, depth(top_k))
        if others := [point_id(hit.uid) for hit in unmatched(bm25, dense)]:
            dense += _hits(self._nearest(vector, len(others), exact=True, among=others), len(others))
        return fuse_hits(dense, bm25, top_k, bm25_weight=bm25_weight)

    @abstractmethod
    def _stored(self, ids: Sequence[str]) -> Points:
        """The points that exist, each with `payload` and `vector`."""

    @abstractmethod
    def _nearest(self, vector: Vectors, limit: int, *, exact: bool, among: Sequence[str] | None) -> Points:
        """Points by cosine, `limit` or more, each with `payload` and `score`; of these ids alone where given."""

    @abstractmethod
    def _worded(self, question: str, limit: int) -> Points:
        """Points by BM25, likewise."""


def _hits(points: Points, limit: int) -> list[Hit]:
    hits = [as_hit(point.payload or {}, point.score) for point in points]
    return sorted(hits, key=lambda hit: (-hit.score, hit.uid))[:limit]
