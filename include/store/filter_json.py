"""Reads a filter in Qdrant's own JSON: the conditions that can also be written (`filter_text.py`), and no others."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from include.catalogue.attributes import Attribute
from include.core.errors import BadFilter
from include.store.filter_values import DEEPEST, EXAMPLES, read_date, sound
from include.store.filters import (
    ATTRIBUTES_FIELD,
    All,
    AnyOf,
    Compare,
    Contains,
    Filter,
    Missing,
    Not,
    OneOf,
    Sign,
    known,
)
from include.store.words import words

CLAUSES = ("must", "should", "must_not")
SIGNS: dict[str, Sign] = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
NEXT_STEP = (
    'It may have must, should and must_not, each a list of {"key": …, "match": {"value" | "any" | "except" | '
    '"text": …}}, {"key": …, "range": {"lt" | "lte" | "gt" | "gte": …}}, {"is_empty": {"key": …}} and filters.'
)


def parse_json(text: str, attributes: Sequence[Attribute]) -> Filter:
    """Read a filter in Qdrant's JSON; `key` is an attribute's name, with or without `attributes.` before it.

    Raises:
        BadFilter: As `filter_text.parse`; the message says where in the JSON.
    """
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise BadFilter(f"The filter is no JSON: {error.msg} at character {error.pos + 1}.", NEXT_STEP) from None
    except (RecursionError, ValueError):  # ValueError: a number of thousands of digits
        raise BadFilter("The filter is no JSON that can be read: it is nested too deeply.", NEXT_STEP) from None
    return _Reader(attributes).filter(value, "", 0)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys differ: of two that are alike JSON would keep the last alone."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadFilter(f"The filter has {twice[:60]!r} twice in one object.", "Make one list of both.")
    return made


class _Reader:
    def __init__(self, attributes: Sequence[Attribute]) -> None:
        self._attributes = attributes

    def filter(self, value: object, where: str, depth: int) -> Filter:
        """A filter object, or one condition of a list; `where` is its place, such as `must[0]`."""
        if depth > DEEPEST // 3:  # each level may print as three
            raise self._fault(where, f"is nested more than {DEEPEST // 3} deep")
        given = self._object(value, where)
        if "key" in given or "is_empty" in given:
            return self._condition(given, where)
        self._only(given, CLAUSES, where)
        parts: list[Filter] = []
        for clause in CLAUSES:
            held = given.get(clause) or []
            each = held if isinstance(held, list) else [held]
            inner = tuple(
                self.filter(one, f"{where}.{clause}[{n}]".lstrip("."), depth + 1) for n, one in enumerate(each)
            )
            if inner and clause == "should":
                parts.append(inner[0] if len(inner) == 1 else AnyOf(inner))
            else:
                parts += [Not(one) for one in inner] if clause == "must_not" else inner
        if not parts:
            raise self._fault(where, "has no condition")
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _condition(self, given: Mapping[str, object], where: str) -> Filter:
        if "is_empty" in given:
            self._only(given, ["is_empty"], where)
            return Missing(self._attribute(self._object(given["is_empty"], f"{where}.is_empty"), where).name)
        self._only(given, ["key", "match", "range"], where)
        attribute = self._attribute(given, where)
        if ("match" in given) == ("range" in given):
            raise self._fault(where, "needs either `match` or `range`")
        if "match" in given:
            return self._match(attribute, self._object(given["match"], f"{where}.match"), f"{where}.match")
        bounds = self._object(given["range"], f"{where}.range")
        self._only(bounds, SIGNS, f"{where}.range")
        made = tuple(
            Compare(attribute.name, SIGNS[sign], self._bound(attribute, bound, f"{where}.range.{sign}"))
            for sign, bound in bounds.items()
            if bound is not None
        )
        if not made:
            raise self._fault(f"{where}.range", "has no bound")
        return made[0] if len(made) == 1 else All(made)

    def _match(self, attribute: Attribute, given: Mapping[str, object], where: str) -> Filter:
        name = attribute.name
        match dict(given):
            case {"value": value, **others} if not others:
                if attribute.type in ("number", "money"):
                    return Compare(name, "=", self._bound(attribute, value, f"{where}.value"))
                return OneOf(name, (self._value(attribute, value, f"{where}.value"),))
            case {"any": [*values], **others} if values and not others:
                return OneOf(name, tuple(self._value(attribute, value, f"{where}.any") for value in values))
            case {"except": [*values], **others} if values and not others:
                if attribute.type == "keywords":  # Qdrant: any value that is none of these
                    raise self._fault(where, f"has `except`, which is not read for {name}, a list; use must_not")
                inside = OneOf(name, tuple(self._value(attribute, value, f"{where}.except") for value in values))
                return All((Not(inside), Not(Missing(name))))
            case {"text": str(text), **others} if not others:
                if attribute.type != "text":
                    raise self._fault(where, f"searches words, and {name} is of type {attribute.type}, not text")
                if not words(text):
                    raise self._fault(where, "has a text without words")
                return Contains(name, sound(text))
        raise self._fault(where, "needs exactly one of value, any, except and text")

    def _value(self, attribute: Attribute, value: object, where: str) -> str | bool:
        if attribute.type == "boolean" and isinstance(value, bool):
            return value
        if attribute.type in ("keyword", "keywords") and isinstance(value, str):
            return sound(value)
        raise self._wrong(attribute, where)

    def _bound(self, attribute: Attribute, value: object, where: str) -> float | datetime:
        if attribute.type == "date" and isinstance(value, str) and (span := read_date(value)):
            return span[0]  # as the engine reads it: a day is its first moment
        if attribute.type in ("number", "money") and isinstance(value, int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            if math.isfinite(number):
                return number + 0.0
        raise self._wrong(attribute, where)

    def _attribute(self, given: Mapping[str, object], where: str) -> Attribute:
        key = given.get("key")
        if not isinstance(key, str):
            raise self._fault(where, "needs a `key`, the name of an attribute")
        name = key.removeprefix(f"{ATTRIBUTES_FIELD}.")
        return known(name.strip('"'), self._attributes, f"Filter, {where}: ")

    def _object(self, value: object, where: str) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self._fault(where, f"should be an object, not {json.dumps(value)[:60]}")
        return value

    def _only(self, given: Mapping[str, object], allowed: Sequence[str] | Mapping[str, Any], where: str) -> None:
        if unknown := [name for name in given if name not in allowed]:
            raise self._fault(where, f"has {unknown[0][:60]!r}, which is not read here")

    def _wrong(self, attribute: Attribute, where: str) -> BadFilter:
        expected = EXAMPLES[attribute.type]
        return self._fault(where, f"does not fit: {attribute.name} is of type {attribute.type}, expected {expected}")

    def _fault(self, where: str, what: str) -> BadFilter:
        return BadFilter(f"Filter, {where or 'its outermost object'} {what}.", NEXT_STEP)
