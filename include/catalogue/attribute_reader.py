"""The attributes of a record as one line of canonical JSON: keys sorted, nothing where there is no value.

Light: the cleaning processes import it.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from math import isfinite
from typing import Any

import orjson

from include.catalogue.clean import Cleaner, is_placeholder
from include.catalogue.mapping import AttributeColumn, FieldMapping, texts, value_at
from include.catalogue.values import Unread, read_boolean, read_date, read_money, read_number
from include.core.display import printable

EXAMPLES = 3  # kept of an attribute's values that do not read as its type
CHANGING = ("money", "date", "boolean")  # types of what changes from day to day: a price, a delivery date, "in stock"
_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


@dataclass(frozen=True, slots=True)
class AttributeRows:
    """The attributes of a block of products.

    Attributes:
        lines: A JSON object each, with a `\n` behind it. Dates are written `2024-05-01T00:00:00Z`.
        hashes: 16 bytes each, of that line.
        unread: Values that do not read as their type, by attribute.
        examples: The first of them, printable.
        currencies: Values by currency, by attribute of money.
    """

    lines: bytes
    hashes: bytes
    unread: dict[str, int]
    examples: dict[str, list[str]]
    currencies: dict[str, dict[str, int]]


@dataclass(slots=True)
class AttributeReader:
    """Reads the attributes of one record after another.

    Args:
        mapping: Where they lie, and their types.
        cleaner: Whose rules texts pass.
    """

    mapping: FieldMapping
    cleaner: Cleaner
    _lines: list[bytes] = field(default_factory=list)
    _unread: Counter[str] = field(default_factory=Counter)
    _examples: dict[str, list[str]] = field(default_factory=dict)
    _currencies: dict[str, Counter[str]] = field(default_factory=dict)

    def read(self, record: dict[str, Any], title: str, content: str) -> str:
        """Keep the record's attributes.

        Returns:
            Its id, where that is made of the title and the content, which are clean, and of what tells products apart
            beside them: all attributes but CHANGING. Elsewhere empty.
        """
        columns, values = self.mapping.attributes, {}
        for column in columns:
            path = column.path
            value = record.get(path[0]) if len(path) == 1 else value_at(record, path)
            if type(value) is list and len(value) == 1 and column.type != "keywords":
                value = value[0]
            if value in (None, "", [], {}) or (type(value) is str and says_nothing(value) and value != column.hint):
                continue
            try:
                found = _READERS[column.type](self, column, value)
            except Unread:
                self._leave_out(column.name, value)
                continue
            if found not in ("", []):
                values[column.name] = found
        self._lines.append(orjson.dumps(values, option=_OPTIONS))
        if self.mapping.uid:
            return ""
        lasting = {
            each.name: values[each.name] for each in columns if each.name in values and each.type not in CHANGING
        }
        # A labelled content is made of all attributes, also of those that an id has no part in.
        said = orjson.dumps([title, "" if self.mapping.labelled else content, lasting], option=orjson.OPT_SORT_KEYS)
        return blake2b(said, digest_size=16).hexdigest()

    def rows(self) -> AttributeRows:
        """All that have been read."""
        return AttributeRows(
            lines=b"".join(self._lines),
            hashes=b"".join(blake2b(line, digest_size=16).digest() for line in self._lines),
            unread=dict(self._unread),
            examples=self._examples,
            currencies={name: dict(counts) for name, counts in self._currencies.items()},
        )

    def _leave_out(self, name: str, value: Any) -> None:
        if type(value) is float and not isfinite(value):  # how pandas writes "nothing"
            return
        self._unread[name] += 1
        if len(examples := self._examples.setdefault(name, [])) < EXAMPLES:
            examples.append(printable(value if type(value) is str else " ".join(texts(value)) or str(value), 40))

    # How the values of each type are read.

    def _text(self, _: AttributeColumn, value: Any) -> str:
        return self.cleaner.attribute(value if type(value) is str else ", ".join(texts(value)))

    def _number(self, column: AttributeColumn, value: Any) -> float:
        return read_number(value, column.hint)

    def _money(self, column: AttributeColumn, value: Any) -> float:
        amount, currency = read_money(value, column.hint)
        if currency:
            self._currencies.setdefault(column.name, Counter())[currency] += 1
        return amount

    def _date(self, column: AttributeColumn, value: Any) -> str:
        return read_date(value, column.hint)

    def _boolean(self, _: AttributeColumn, value: Any) -> bool:
        return read_boolean(value)

    def _keywords(self, column: AttributeColumn, value: Any) -> list[str]:
        found = map(self.cleaner.attribute, texts(value))
        parts = (part.strip() for text in found for part in (text.split(column.hint) if column.hint else (text,)))
        return [word for word in dict.fromkeys(parts) if word and not is_placeholder(word)]


_READERS: dict[str, Callable[[AttributeReader, AttributeColumn, Any], object]] = {
    "text": AttributeReader._text,
    "keyword": AttributeReader._text,
    "keywords": AttributeReader._keywords,
    "number": AttributeReader._number,
    "money": AttributeReader._money,
    "date": AttributeReader._date,
    "boolean": AttributeReader._boolean,
}


def says_nothing(text: str) -> bool:
    """Whether a cell only says that there is nothing: blanks, `N/A`, `null`, `-`."""
    text = text.strip()
    return not text or is_placeholder(text)
