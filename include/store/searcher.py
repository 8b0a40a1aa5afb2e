"""Reading one version: what both stores do alike. What only an engine can do is in `edge.py` and `server_search.py`."""

import heapq
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, cast

import numpy as np

from include.catalogue.attributes import Attribute
from include.core.arrays import Vectors
from include.store.filters import All, Among, Filter
from include.store.fusion import depth, fuse
from include.store.protocol import BM25_WEIGHT, SHOWN_FIELDS, Hit, Payload, as_hit, point_id
from include.store.terms import Terms

Points: TypeAlias = Iterable[Any]  # as the engine gives them
Shown: TypeAlias = list[str]
NOTHING: Shown = []  # of a point's payload, which is most of the work of sending it
FETCH_POINTS = 256  # at once
MOST_NAMED = 50  # words of a question that are looked up as uids
SHORTEST_NAMED = 6  # characters of a uid within a question
MOST_VALUES = 10_000  # of an attribute, the most frequent of each shard, that are counted


class Searcher(ABC):
    """One version, open for reading. Safe to use from several threads; hits are sorted by score, then uid.

    `where` is a filter: what does not match it is not found.
    """

    @abstractmethod
    def count(self, where: Filter | None = None) -> int:
        """How many points there are, or how many of them match."""

    @abstractmethod
    def close(self) -> None:
        """Release what opening took; harmless when repeated."""

    @abstractmethod
    def fetch(self, uids: Sequence[str]) -> dict[str, tuple[Vectors, Payload]]:
        """Vector (dim,) float32 and payload of the products that exist, by uid."""

    @abstractmethod
    def dense(self, vector: Vectors, top_k: int, *, exact: bool = False, where: Filter | None = None) -> list[Hit]:
        """Nearest by cosine; `exact` compares with every point instead of walking the HNSW graph.

        The engine does so by itself where a filter leaves few: less than 10 MB of vectors.
        """

    @abstractmethod
    def bm25(self, question: str, top_k: int, *, where: Filter | None = None) -> list[Hit]:
        """Best by BM25 over title and content; products that share no term with the question are not hits."""

    @abstractmethod
    def hybrid(
        self,
        vector: Vectors,
        question: str,
        top_k: int,
        *,
        bm25_weight: float = BM25_WEIGHT,
        where: Filter | None = None,
    ) -> list[Hit]:
        """Dense and BM25, fused: see `fusion.fuse`. `bm25_weight` is from 0 (dense alone) to 1 (BM25 alone).

        Which of several equal products are among the best `top_k`, their points' ids decide, in every store alike.
        """

    @abstractmethod
    def named(self, question: str, *, where: Filter | None = None) -> list[Hit]:
        """The products whose uid the question is, or contains as a word of its own; their score is 1.

        A short number is a product's uid only where it is the whole question: "ipod with 5 gb" asks for no uid 5.
        """

    @abstractmethod
    def facets(
        self, attributes: Sequence[Attribute], where: Filter | None = None
    ) -> dict[str, list[tuple[str | int, int]]]:
        """How many products have each value, of all that match, by attribute: the most frequent first, then by value.

        A product counts once for each of its keywords. Beyond `MOST_VALUES` distinct values, rare ones are left out or
        counted short.

        Args:
            attributes: From `filters.counted`.
            where: Which products.
        """


class EngineSearcher(Searcher):
    """What both stores' engines search alike.

    Args:
        language: Of the index's terms; None for an index of plain words, as all were made before.
    """

    def __init__(self, language: str | None = None) -> None:
        self._terms = None if language is None else Terms(language)

    def fetch(self, uids: Sequence[str]) -> dict[str, tuple[Vectors, Payload]]:
        """See `Searcher`."""
        ids = [point_id(uid) for uid in uids]
        found: dict[str, tuple[Vectors, Payload]] = {}
        for start in range(0, len(ids), FETCH_POINTS):
            for point in self._stored(ids[start : start + FETCH_POINTS], vectors=True):
                payload = point.payload or {}
                found[payload["uid"]] = (np.asarray(point.vector, dtype=np.float32), payload)
        return found

    def dense(self, vector: Vectors, top_k: int, *, exact: bool = False, where: Filter | None = None) -> list[Hit]:
        """See `Searcher`."""
        hits = _hits(self._nearest(vector, top_k, where, exact=exact), top_k)
        return [replace(hit, cosine=hit.score) for hit in hits]

    def bm25(self, question: str, top_k: int, *, where: Filter | None = None) -> list[Hit]:
        """See `Searcher`."""
        words = self._asked(question)
        return _hits(self._worded(words, top_k, where), top_k) if words else []

    def hybrid(
        self,
        vector: Vectors,
        question: str,
        top_k: int,
        *,
        bm25_weight: float = BM25_WEIGHT,
        where: Filter | None = None,
    ) -> list[Hit]:
        """See `Searcher`."""
        candidates, words = depth(top_k), self._asked(question)
        cosines = _scores(self._nearest(vector, candidates, where, exact=False, shown=NOTHING), candidates)
        bm25 = _scores(self._worded(words, candidates, where, shown=NOTHING), candidates) if words else {}
        if others := tuple(bm25.keys() - cosines.keys()):  # they match `where` already
            cosines |= _scores(
                self._nearest(vector, len(others), Among(others), exact=True, shown=NOTHING), len(others)
            )
        fused = dict(fuse(cosines, bm25, top_k, bm25_weight=bm25_weight))
        hits = []
        for point in self._stored(list(fused)):
            name = str(point.id)
            hits.append(as_hit(point.payload or {}, fused[name], cosines.get(name)))
        return sorted(hits, key=_order)

    def named(self, question: str, *, where: Filter | None = None) -> list[Hit]:
        """See `Searcher`."""
        parts = (part.strip("\"'()[]{}<>,.;:!?#“”‘’") for part in question.split()[:MOST_NAMED])
        alike = [part for part in parts if len(part) >= SHORTEST_NAMED and any(map(str.isdigit, part))]
        stored = self.fetch(list(dict.fromkeys([question.strip(), *alike, *map(str.upper, alike)])))
        return [as_hit(payload, 1.0) for uid, (_, payload) in stored.items() if self._holds(uid, where)]

    def facets(
        self, attributes: Sequence[Attribute], where: Filter | None = None
    ) -> dict[str, list[tuple[str | int, int]]]:
        """See `Searcher`."""
        counts: dict[str, list[tuple[str | int, int]]] = {}
        for attribute in attributes:
            total: Counter[str | int] = Counter()
            for value, count in self._values(attribute.name, where):
                total[value] += count
            counts[attribute.name] = sorted(total.items(), key=lambda item: (-item[1], str(item[0])))
        return counts

    def _asked(self, question: str) -> str:
        """What of a question is looked for by words."""
        return (question if self._terms is None else self._terms.question(question)).strip()

    def _holds(self, uid: str, where: Filter | None) -> bool:
        return where is None or self.count(All((where, cast(Filter, Among((point_id(uid),)))))) > 0

    @abstractmethod
    def _stored(self, ids: Sequence[str], *, vectors: bool = False) -> Points:
        """The points that exist, each with `id`, `payload` and, where they are asked for, `vector`."""

    @abstractmethod
    def _nearest(
        self, vector: Vectors, limit: int, where: Filter | Among | None, *, exact: bool, shown: Shown = SHOWN_FIELDS
    ) -> Points:
        """Points by cosine, `limit` or more, each with `id`, `score` and the fields of `payload` that are shown."""

    @abstractmethod
    def _worded(self, question: str, limit: int, where: Filter | None, *, shown: Shown = SHOWN_FIELDS) -> Points:
        """Points by BM25, likewise."""

    @abstractmethod
    def _values(self, name: str, where: Filter | None) -> Iterable[tuple[str | int, int]]:
        """Each value of an attribute with the number of its points; a value may come more than once."""


def _hits(points: Points, limit: int) -> list[Hit]:
    return sorted((as_hit(point.payload or {}, point.score) for point in points), key=_order)[:limit]


def _order(hit: Hit) -> tuple[float, str]:
    return -hit.score, hit.uid


def _scores(points: Points, limit: int) -> dict[str, float]:
    """The scores of the best points by their ids, without float32's noise; of equal ones those of the first ids."""
    scored = [(round(float(point.score), 6), point) for point in points]
    least = heapq.nlargest(limit, (score for score, _ in scored))[-1:]
    # An id is read of those alone: it takes longest.
    best = sorted((-score, str(point.id)) for score, point in scored if [score] >= least)[:limit]
    return {name: -score for score, name in best}
