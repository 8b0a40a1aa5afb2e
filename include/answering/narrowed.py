"""What a question's filter leaves of an index, and the counts of what is left."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from include.answering.asked import Asked
from include.answering.sentences import say
from include.catalogue.attributes import Attribute
from include.core.answer_settings import AnswerSettings
from include.store.filter_text import parse
from include.store.filters import All, AnyOf, Filter, Not, OneOf, counted
from include.store.searcher import Searcher

SHOWN_VALUES = 20  # of an attribute, the most frequent
CHECKED_VALUES = 10  # of a filter: whether any product has them
LIKE_VALUES = 2000  # the most frequent, among which a like one is looked for
LONGEST_ALIKE = 100  # characters of a value that is compared with others


@dataclass(frozen=True)
class Narrowed:
    """The part of an index that a filter leaves.

    Attributes:
        where: The filter; None for none.
        left: How many products match; None without a filter.
        facets: By attribute, `{"value", "count", "filter"}` of the most frequent values among those products; `filter`
            is the one that chooses that value.
        unknown: The filter's keywords that no product has, each with one that is spelt alike, or None.
    """

    where: Filter | None
    left: int | None
    facets: dict[str, list[dict[str, Any]]]
    unknown: list[tuple[str, str | None]]

    def warnings(self, language: str) -> list[str]:
        """What to say of the filter, in a question's language."""
        return [
            say("like_value" if near else "no_such_value", language, value=value, near=near)
            for value, near in self.unknown
        ]

    @property
    def filter(self) -> str | None:
        """The filter as it was read."""
        return None if self.where is None else str(self.where)


def narrow(settings: AnswerSettings, attributes: Sequence[Attribute], searcher: Searcher) -> Narrowed:
    """Read a question's filter and facets, and count.

    Raises:
        BadFilter: The filter cannot be read, or it or `facets` name what the index does not have.
    """
    where = parse(settings.filter, attributes) if settings.filter and settings.filter.strip() else None
    names = [name.strip() for name in (settings.facets or "").split(",") if name.strip()]
    found = searcher.facets(counted(names, attributes), where)
    facets = {
        name: [
            {"value": value, "count": count, "filter": str(OneOf(name, (value,)))}
            for value, count in values[:SHOWN_VALUES]
        ]
        for name, values in found.items()
    }
    if where is None:
        return Narrowed(None, None, facets, [])
    return Narrowed(where, searcher.count(where), facets, list(_unknown_values(where, attributes, searcher)))


def nothing_left(asked: Asked, narrowed: Narrowed) -> dict[str, Any]:
    """The entry of a question whose filter leaves no product."""
    answer = say("nothing_left", asked.language, filter=narrowed.filter)
    return asked.entry(answer=answer, warnings=narrowed.warnings(asked.language))


def _unknown_values(
    where: Filter, attributes: Sequence[Attribute], searcher: Searcher
) -> Iterator[tuple[str, str | None]]:
    """Keywords are compared letter by letter: say so where that is why nothing matches."""
    by_name = {each.name: each for each in attributes}
    asked = [(name, value) for name, value in dict.fromkeys(_keywords(where))][:CHECKED_VALUES]
    unknown = [(name, value) for name, value in asked if not searcher.count(OneOf(name, (value,)))]
    held = searcher.facets([by_name[name] for name in dict.fromkeys(name for name, _ in unknown)])
    for name, value in unknown:
        there = [str(each) for each, _ in held[name]]
        near = [each for each in there if each.casefold() == value.casefold()]
        if not near and len(value) <= LONGEST_ALIKE:
            short = [each for each in there[:LIKE_VALUES] if len(each) <= LONGEST_ALIKE]
            near = difflib.get_close_matches(value, short, n=1)
        yield str(OneOf(name, (value,))), str(OneOf(name, (near[0],))) if near else None


def _keywords(node: Filter) -> Iterator[tuple[str, str]]:
    if isinstance(node, OneOf):
        yield from ((node.name, value) for value in node.values if isinstance(value, str))
    for part in node.parts if isinstance(node, All | AnyOf) else [node.part] if isinstance(node, Not) else []:
        yield from _keywords(part)
