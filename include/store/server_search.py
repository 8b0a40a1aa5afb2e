"""Reading one collection of a Qdrant server."""

from collections.abc import Sequence
from typing import Any

from qdrant_client import QdrantClient, models

from include.core.arrays import Vectors
from include.core.errors import UnknownVersion
from include.store.calls import Caller
from include.store.protocol import SHOWN_FIELDS, TEXT_FIELD
from include.store.searcher import Points, Searcher


class ServerSearcher(Searcher):
    """One collection, open for reading."""

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

    def close(self) -> None:
        """Nothing to do: the connection is the store's."""

    def _stored(self, ids: Sequence[str]) -> Points:
        return self._call(
            f"fetch points of {self._name}",
            lambda: self._client.retrieve(self._name, ids, with_payload=True, with_vectors=True),
            missing=self._unknown,
        )

    def _nearest(self, vector: Vectors, limit: int, *, exact: bool, among: Sequence[str] | None) -> Points:
        ids = None if among is None else models.Filter(must=[models.HasIdCondition(has_id=list(among))])
        return self._query(vector.tolist(), limit, query_filter=ids, search_params=models.SearchParams(exact=exact))

    def _worded(self, question: str, limit: int) -> Points:
        return self._query(models.TextQuery(text=question), limit, using=TEXT_FIELD)

    def _query(self, query: Any, limit: int, **options: Any) -> Points:
        return self._call(
            f"search {self._name}",
            lambda: self._client.query_points(
                self._name, query=query, limit=limit, with_payload=SHOWN_FIELDS, **options
            ),
            missing=self._unknown,
        ).points
