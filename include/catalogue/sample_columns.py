"""A column of a catalogue's first records: its values, and what its name says."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from include.catalogue.attribute_guess import URL
from include.catalogue.mapping import Path, texts, whole
from include.formats.field_names import plain_name
from include.formats.line_parser import MAX_UID_CHARS

DEEPEST = 3  # levels of objects in which columns are looked for
_LAST_DIGITS = re.compile(r"\d+$")
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_A-Za-z]+")
# Words beside "name" in a column that does not name the product.
_OTHERS_NAMES = frozenset(
    """
    brand category seller vendor manufacturer user file image store shop first last variant option collection author
    supplier customer company country city state color colour size type group department class
    """.split()  # noqa: SIM905
)


@dataclass
class Column:
    """A column of the sample.

    Attributes:
        path: Where it lies in a record.
        values: Of the records that have one: neither null nor an empty text, list or object.
    """

    path: Path
    values: list[Any] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        """The values as texts; those of which nothing is left (NaN) are none."""
        return [text for value in self.values if (text := " ".join(texts(value)))]

    @property
    def nested(self) -> bool:
        """Whether most values are lists or objects."""
        return sum(type(value) in (list, dict) for value in self.values) * 2 > len(self.values)

    @property
    def holds_columns(self) -> bool:
        """Whether most values are objects, or lists of them, whose values are columns themselves."""
        items = (value[0] if type(value) is list else value for value in self.values)
        return sum(type(item) is dict for item in items) * 2 > len(self.values)

    @property
    def is_address(self) -> bool:
        """Whether most values are URLs, such as those of images."""
        found = self.texts
        return sum(URL.match(text) is not None for text in found) * 2 > len(found)


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where values lie in a record, down to DEEPEST levels; objects have a path themselves."""
    if type(value) is dict:
        for key, item in value.items():
            yield (*path, key)
            if len(path) + 1 < DEEPEST:
                yield from paths(item, (*path, key))
    elif type(value) is list:
        for item in value[:3]:
            if type(item) is dict:
                yield from paths(item, path)


def bare(column: Column) -> str:
    """A column's own name without case, signs and number: `Bullet Point 2` is `bulletpoint`."""
    name = plain_name(column.path[-1])
    return _LAST_DIGITS.sub("", name) or name


def is_of_another(path: Path) -> bool:
    """Whether it lies in an object that is a brand, a category or the like."""
    return any(_words(name) & _OTHERS_NAMES for name in path[:-1])


def is_id(value: Any) -> bool:
    """Whether it can be a uid."""
    return type(whole(value)) in (str, int) and 0 < len(str(value).strip()) <= MAX_UID_CHARS


def names_the_product(path: Path) -> bool:
    """Whether "title" or "name" is among the words, and nothing that a shop names besides."""
    return bool(_words(path[-1]) & {"title", "name"}) and not any(_words(name) & _OTHERS_NAMES for name in path)


def _words(name: str) -> set[str]:
    """In small letters, with the singular of each."""
    words = {word.casefold() for word in _WORDS.findall(name)}
    return words | {word.removesuffix("s") for word in words} | ({"category"} if "categories" in words else set())
