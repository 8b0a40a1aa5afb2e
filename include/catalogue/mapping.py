"""Which column of a catalogue is what, and how a record becomes our fields by it.

A record is one JSON object. A path leads to a value in it: `("details", "brand")` is what `details.brand` means. Lists
on the way are walked through, so that `categories.name` collects the name of every category.

Light: the cleaning processes import it.
"""

import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import msgspec

from include.formats.line_parser import FIELDS

Path: TypeAlias = tuple[str, ...]
CONTENT_HASH = "content hash"
LINKS = FIELDS[3:]
_ENDS = ".!?:;,…。！？：；、>"  # of a text that needs no full stop before the next one

_LIST_BEGINS = ("['", '["')
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+\"""", re.DOTALL)
_LISTED = re.compile(rf"""\[\s*+(?:(?:{_QUOTED.pattern}|[^'"\[\],\s]++)\s*+,?\s*+)+\]""", re.DOTALL)
_ESCAPE = re.compile(r"""\\(['"\\/])""")


class AttributeColumn(msgspec.Struct, frozen=True):
    """Where an attribute lies, and how its values are read.

    Attributes:
        name: See `include.catalogue.attributes.Attribute`.
        type: Likewise.
        hint: What decides where a value may mean two things: the decimal sign of numbers and money (`.` or `,`), the
            order of day and month (`dmy` or `mdy`), the delimiter of keywords, `NA` of keywords where that is a code;
            empty where nothing does.
        path: Where it lies in a record.
    """

    name: str
    type: str
    hint: str
    path: Path


class FieldMapping(msgspec.Struct, frozen=True):
    """Where a product's fields lie. The five fields as they are need none: there, None stands in its place.

    Attributes:
        uid: Path of the uid; empty where it is made of the content (`CONTENT_HASH`).
        title: Path of the title.
        content: Paths of the texts that the content is joined from, in this order.
        labelled: The content has no column of its own: each text is led by its column's name ("Brand: Acme.").
        attributes: What is kept beside, in the order of the file's columns.
    """

    uid: Path
    title: Path
    content: tuple[Path, ...] = ()
    labelled: bool = False
    attributes: tuple[AttributeColumn, ...] = ()

    @property
    def used(self) -> frozenset[str]:
        """The top-level fields of a record that something is read from."""
        attributes = (column.path for column in self.attributes)
        return frozenset(path[0] for path in (self.uid, self.title, *self.content, *attributes) if path) | set(LINKS)

    def summary(self) -> dict[str, Any]:
        """As the statistics have it."""
        content = [dotted(path) for path in self.content]
        attributes = [{"name": each.name, "type": each.type, "field": dotted(each.path)} for each in self.attributes]
        named = {"uid": dotted(self.uid), "title": dotted(self.title), "content": content}
        return {**named, "labelled": self.labelled, "attributes": attributes}

    def fields(self, record: dict[str, Any]) -> dict[str, Any]:
        """Our five fields of a record, as `include.formats.line_parser.checked` takes them; absent ones are None."""
        uid = whole(value_at(record, self.uid)) if self.uid else CONTENT_HASH  # until the content is clean
        title = " ".join(texts(value_at(record, self.title)))
        return {
            "uid": uid,
            "title": title or None,
            "content": self._content(record) or None,
            **{name: record.get(name) for name in LINKS},
        }

    def _content(self, record: dict[str, Any]) -> str:
        if not self.labelled:
            return sentences(text for path in self.content for text in texts(value_at(record, path)))
        labelled = ((path, ", ".join(texts(value_at(record, path)))) for path in self.content)
        return "".join(f"{label(path)}: {_closed(text.strip())} " for path, text in labelled if text.strip()).rstrip()


def whole(value: Any) -> Any:
    """A float that is a whole number as that: pandas makes 1001.0 of an id where another record has none."""
    return int(value) if type(value) is float and value.is_integer() and abs(value) < 2**53 else value


def dotted(path: Path) -> str:
    """A path as settings and messages write it."""
    return ".".join(path) or CONTENT_HASH


def label(path: Path) -> str:
    """A column's name before its value in a text: `brand_name` is "Brand name"."""
    name = path[-1].replace("_", " ").strip()
    return name[:1].upper() + name[1:]


def value_at(record: Any, path: Path) -> Any:
    """What lies at `path`; of a list, the values in its items. None where there is nothing."""
    for depth, key in enumerate(path):
        if type(record) is list:
            found = (value_at(item, path[depth:]) for item in record)
            return [value for value in found if value is not None] or None
        if type(record) is not dict:
            return None
        record = record.get(key)
    return record


def texts(value: Any) -> Iterator[str]:
    """The texts in a value, nested lists and objects included; of an object, `key: value` each. NaN is none.

    A list that a table keeps in a cell (`['a', 'b']`) is one.
    """
    if type(value) is str:
        if is_listed(value):
            yield from (text for quoted in _QUOTED.findall(value) if (text := _unquoted(quoted)).strip())
        elif value and not value.isspace():
            yield value
    elif type(value) is list:
        for item in value:
            yield from texts(item)
    elif type(value) is dict:
        for key, item in value.items():
            if joined := ", ".join(texts(item)):
                yield f"{key}: {joined}"
    elif type(value) is bool:
        yield "true" if value else "false"
    elif value is not None and math.isfinite(value):
        yield str(int(value)) if value == int(value) else str(value)


def is_listed(value: Any) -> bool:
    """Whether a cell is a list as a whole: `['a', 'b']`, not `["Limited"] Mug ["blue"]`."""
    return type(value) is str and value[:2] in _LIST_BEGINS and _LISTED.fullmatch(value) is not None


def sentences(found: Iterable[str]) -> str:
    """Texts one after another, each once and each as a sentence of its own; a single one stays as it is."""
    distinct = list(dict.fromkeys(text.strip() for text in found))
    return distinct[0] if len(distinct) == 1 else " ".join(map(_closed, distinct))


def _unquoted(quoted: str) -> str:
    return _ESCAPE.sub(r"\1", quoted[1:-1])


def _closed(text: str) -> str:
    return text if text.endswith(tuple(_ENDS)) else f"{text}."
