"""Filters and payload indexes in Qdrant Edge's own objects."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import qdrant_edge

from include.catalogue.attributes import AttributeType
from include.store.filters import Among, Filter, as_json

INDEXES: dict[AttributeType, Any] = {
    "keyword": qdrant_edge.KeywordIndexParams,
    "keywords": qdrant_edge.KeywordIndexParams,
    "number": qdrant_edge.FloatIndexParams,
    "money": qdrant_edge.FloatIndexParams,
    "date": qdrant_edge.DatetimeIndexParams,
    "boolean": qdrant_edge.BoolIndexParams,
}


def text_index(*, scoring: bool) -> qdrant_edge.TextIndexParams:
    """The default tokenization (words, lower case): the one that all of Qdrant's forms score alike."""
    ranked = qdrant_edge.TextScoringParams() if scoring else None
    return qdrant_edge.TextIndexParams(tokenizer=qdrant_edge.TokenizerType.Word, lowercase=True, scoring=ranked)


def edge_filter(where: Filter | Among | None) -> qdrant_edge.Filter | None:
    """The filter as the engine takes it; None for none."""
    return None if where is None else _filter(as_json(where))


def _filter(form: Mapping[str, Any]) -> qdrant_edge.Filter:
    parts: dict[str, Any] = {clause: [_condition(each) for each in parts] for clause, parts in form.items()}
    return qdrant_edge.Filter(**parts)


def _condition(form: Mapping[str, Any]) -> Any:
    if "has_id" in form:
        return qdrant_edge.HasIdCondition(set(form["has_id"]))
    if "is_empty" in form:
        return qdrant_edge.IsEmptyCondition(form["is_empty"]["key"])
    if "match" in form:
        return qdrant_edge.FieldCondition(form["key"], match=_match(form["match"]))
    if "range" in form:
        dated = any(isinstance(bound, str) for bound in form["range"].values())
        span = qdrant_edge.RangeDateTime if dated else qdrant_edge.RangeFloat
        return qdrant_edge.FieldCondition(form["key"], range=span(**form["range"]))
    return _filter(form)


def _match(form: Mapping[str, Any]) -> Any:
    if "any" in form:
        return qdrant_edge.MatchAny(form["any"])
    if "text" in form:
        return qdrant_edge.MatchText(form["text"])
    value = form["value"]
    # A boolean as numpy's: the binding (0.9.0) takes Python's for a whole number, which matches nothing.
    return qdrant_edge.MatchValue(np.bool_(value) if isinstance(value, bool) else value)  # type: ignore[arg-type]
