"""Reading one collection of a Qdrant server."""

from collections.abc import Iterable, Sequence
from typing import Any

from qdrant_client import QdrantClient, models

from include.core.arrays import Vectors
from include.core.errors import UnknownVersion
from include.store.calls import Caller
from include.store.filters import Among, Filter, as_json, path_of
from include.store.protocol import SHOWN_FIELDS, TEXT_FIELD
from include.store.searcher import MOST_VALUES, EngineSearcher, Points, Shown


class ServerSearcher(EngineSearcher):
    """One collection, open for reading."""

    def __init__(
        self, client: QdrantClient, call: Caller, name: str, unknown: UnknownVersion, language: str | None = None
    ) -> None:
        super().__init__(language)
        self._client = client
        self._call = call
        self._name = name
        self._unknown = unknown

    def count(self, where: Filter | None = None) -> int:
        """How many points there are, or how many of them match."""
        matching = _condition(where)
        count = self._call(
            f"count {self._name}",
            lambda: self._client.count(self._name, count_filter=matching, exact=True),
            missing=self._unknown,
        )
        return int(count.count)

    def close(self) -> None:
        """Nothing to do: the connection is the store's."""

    def _stored(self, ids: Sequence[str], *, vectors: bool = False) -> Points:
        return self._call(
            f"fetch points of {self._name}",
            lambda: self._client.retrieve(self._name, ids, with_payload=True, with_vectors=vectors),
            missing=self._unknown,
        )

    def _nearest(
        self, vector: Vectors, limit: int, where: Filter | Among | None, *, exact: bool, shown: Shown = SHOWN_FIELDS
    ) -> Points:
        params = models.SearchParams(exact=exact)
        return self._query(vector.tolist(), limit, where, shown, search_params=params)

    def _worded(self, question: str, limit: int, where: Filter | None, *, shown: Shown = SHOWN_FIELDS) -> Points:
        return self._query(models.TextQuery(text=question), limit, where, shown, using=TEXT_FIELD)

    def _values(self, name: str, where: Filter | None) -> Iterable[tuple[str | int, int]]:
        matching = _condition(where)
        found = self._call(
            f"count the values of {name} in {self._name}",
            lambda: self._client.facet(self._name, path_of(name), matching, limit=MOST_VALUES, exact=True),
            missing=self._unknown,
        )
        return [(hit.value, hit.count) for hit in found.hits]

    def _query(self, query: Any, limit: int, where: Filter | Among | None, shown: Shown, **options: Any) -> Points:
        options |= {"query_filter": _condition(where), "with_payload": shown or False}
        return self._call(
            f"search {self._name}",
            lambda: self._client.query_points(self._name, query=query, limit=limit, **options),
            missing=self._unknown,
        ).points


def _condition(where: Filter | Among | None) -> models.Filter | None:
    return None if where is None else models.Filter.model_validate(as_json(where))
