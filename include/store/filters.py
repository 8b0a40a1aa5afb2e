"""Filters: which products a search may find, said of their attributes.

A filter is read by `filter_text.parse`, from the small language of docs/operations.md or from Qdrant's own filter
JSON, and checked against the attributes of the index. What comes of it is one of the nodes below, which no engine
knows: each prints as text that is read as the same filter again, and `as_json` gives Qdrant's form, from which both
stores make theirs.

A product without the attribute is in no comparison; so `!=` and `not` are true of it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

import regex

from include.catalogue.attributes import Attribute
from include.core.errors import BadFilter

ATTRIBUTES_FIELD = "attributes"  # of the payload
RESERVED = frozenset({"and", "or", "not", "in", "between", "is", "missing", "contains", "true", "false"})
COUNTED = ("keyword", "keywords", "boolean")  # whose values can be counted: the engine has a facet for these
Sign: TypeAlias = Literal["=", "<", "<=", ">", ">="]

_PLAIN_NAME = regex.compile(r"[^\W\d]\w*")  # whose \w has the vowel signs of Hindi, too
_RANGES = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}


@dataclass(frozen=True)
class All:
    """Every part holds."""

    parts: "tuple[Filter, ...]"

    def __str__(self) -> str:
        return " and ".join(_part(each) for each in self.parts)

    def form(self) -> dict[str, Any]:
        """The condition in Qdrant's form."""
        return {"must": [each.form() for each in self.parts]}


@dataclass(frozen=True)
class AnyOf:
    """At least one part holds."""

    parts: "tuple[Filter, ...]"

    def __str__(self) -> str:
        return " or ".join(_part(each) for each in self.parts)

    def form(self) -> dict[str, Any]:
        """The condition in Qdrant's form."""
        return {"should": [each.form() for each in self.parts]}


@dataclass(frozen=True)
class Not:
    """The part does not hold."""

    part: "Filter"

    def __str__(self) -> str:
        if isinstance(self.part, Missing):
            return f"{_named(self.part.name)} is not missing"
        if isinstance(self.part, OneOf) and len(self.part.values) == 1:
            return f"{_named(self.part.name)} != {_shown(self.part.values[0])}"
        return f"not {_part(self.part)}"

    def form(self) -> dict[str, Any]:
        """The condition in Qdrant's form."""
        return {"must_not": [self.part.form()]}


@dataclass(frozen=True)
class OneOf:
    """A keyword or a boolean is one of these; of a list of keywords, at least one is."""

    name: str
    values: tuple[str | int, ...]

    def __str__(self) -> str:
        if len(self.values) == 1:
            return f"{_named(self.name)} = {_shown(self.values[0])}"
        return f"{_named(self.name)} in ({', '.join(map(_shown, self.values))})"

    def form(self) -> dict[str, Any]:
        """The condition in Qdrant's form."""
        if len(self.values) == 1:
            return {"key": path_of(self.name), "match": {"value": self.values[0]}}
        if all(isinstance(value, str) for value in self.values):
            return {"key": path_of(self.name), "match": {"any": list(self.values)}}
        return AnyOf(tuple(OneOf(self.name, (value,)) for value in self.values)).form()


@dataclass(frozen=True)
class Compare:
    """A number, an amount or a point in time (UTC, whole seconds) against a value."""

    name: str
    sign: Sign
    value: float | datetime

    def __str__(self) -> str:
        return f"{_named(self.name)} {self.sign} {_shown(self.value)}"

    def form(self) -> dict[str, Any]:
        """The condition in Qdrant's form."""
        value = _plain(self.value)
        bounds = {"gte": value, "lte": value} if self.sign == "=" else {_RANGES[self.sign]: value}
        return {"key": path_of(self.name), "range": bounds}


@dataclass(frozen=True)
class Contains:
    """A text has every word of this one."""

    name: str
    text: str

    def __str__(self) -> str:
        return f"{_named(self.name)} contains {_shown(self.text)}"

    def form(self) -> dict[str, Any]:
        """The condition in Qdrant's form."""
        return {"key": path_of(self.name), "match": {"text": self.text}}


@dataclass(frozen=True)
class Missing:
    """A product has no value of this attribute."""

    name: str

    def __str__(self) -> str:
        return f"{_named(self.name)} is missing"

    def form(self) -> dict[str, Any]:
        """The condition in Qdrant's form."""
        return {"is_empty": {"key": path_of(self.name)}}


@dataclass(frozen=True)
class Among:
    """These points alone, by their ids: for the second look of a hybrid search, in no language of a person's."""

    ids: tuple[str, ...]

    def form(self) -> dict[str, Any]:
        """The condition in Qdrant's form."""
        return {"has_id": list(self.ids)}


Filter: TypeAlias = All | AnyOf | Not | OneOf | Compare | Contains | Missing


def as_json(node: Filter | Among) -> dict[str, Any]:
    """The filter in Qdrant's form, with `must`, `should` or `must_not` outermost."""
    made = node.form()
    return made if made.keys() <= {"must", "should", "must_not"} else {"must": [made]}


def depth(node: Filter) -> int:
    """How many nodes lie within each other."""
    parts = node.parts if isinstance(node, All | AnyOf) else [node.part] if isinstance(node, Not) else []
    return 1 + max(map(depth, parts), default=0)


def path_of(name: str) -> str:
    """Where an attribute lies in a payload, in Qdrant's words: quoted, since only ASCII goes without."""
    return f'{ATTRIBUTES_FIELD}."{name}"'


def known(name: str, attributes: Sequence[Attribute], where: str) -> Attribute:
    """The attribute of that name.

    Args:
        name: In any case.
        attributes: Those of the index.
        where: Begins the message: where the name stands.

    Raises:
        BadFilter: There is none; the nearest is suggested, and those there are, are listed.
    """
    import difflib

    by_name = {each.name.lower(): each for each in attributes}
    if found := by_name.get(name.lower()):
        return found
    if not attributes:
        raise BadFilter(
            f"{where}there is no attribute {name!r}: the products of this index have none.",
            "Ask without a filter; or build an index from a catalogue with attributes.",
        )
    near = difflib.get_close_matches(name.lower(), by_name, n=1)
    listed = ", ".join(f"{each.name} ({each.type})" for each in attributes)
    meant = f"Did you mean {by_name[near[0]].name}? " if near else ""
    raise BadFilter(f"{where}there is no attribute {name!r}.", f"{meant}There are: {listed}.")


def counted(names: Sequence[str], attributes: Sequence[Attribute]) -> list[Attribute]:
    """The attributes whose values are to be counted.

    Raises:
        BadFilter: There is none of that name, or its type has too many values to be counted.
    """
    found = [known(name, attributes, "Facets: ") for name in names]
    for each in found:
        if each.type not in COUNTED:
            able = ", ".join(other.name for other in attributes if other.type in COUNTED) or "none here"
            raise BadFilter(
                f"Facets: {each.name} is of type {each.type}; only values of {', '.join(COUNTED)} are counted.",
                f"Those that can be counted: {able}.",
            )
    return found


def _part(node: Filter) -> str:
    return f"({node})" if isinstance(node, All | AnyOf) else str(node)


def _named(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) and name.lower() not in RESERVED else f"`{name}`"


def _plain(value: float | datetime) -> float | str:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


def _shown(value: str | bool | float | datetime) -> str:
    if isinstance(value, str | bool):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, datetime):
        return str(_plain(value))
    return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
