"""Limits in questions ("larger than 40 inches", "1 TB or more"), and whether a product contradicts one."""

import re
from dataclasses import dataclass

from include.answering.units import UNITS, number

_LEAST = "bigger|larger|more|greater|higher|longer|taller|wider|heavier|faster|over|above|at least|minimum(?: of)?|from"
_MOST = "smaller|less|fewer|lower|shorter|lighter|under|below|at most|up to|maximum(?: of)?|cheaper"
_NUMBER = r"(?<!\d)(?<!\d[.,])(?P<number>\d+(?:[.,]\d+)*)"
_UNIT = r"(?P<unit>['\"″]|[^\W\d_]+)?"
_ITSELF = re.compile(r"\b(?:at least|at most|minimum|maximum|up to|from|or|and)\b", re.IGNORECASE)
_NO = r"(?:(?P<no>\b(?:no|not|never|\w+n['’]t))\s+)?"  # "no bigger than" is a most
_NAMED = r"(?:\b(?!(?:no|not|never)\b)(?P<named>[^\W\d_]+)\s+)?"
_BEFORE = re.compile(
    rf"{_NAMED}(?P<limit>{_NO}\b(?:(?P<least>{_LEAST})|(?P<most>{_MOST}))\b(?:\s+than)?\s+{_NUMBER}[\s-]{{0,3}}{_UNIT})",
    re.I,
)
_BEHIND = re.compile(
    rf"{_NAMED}(?P<limit>{_NUMBER}[\s-]{{0,3}}{_UNIT}\s+(?:or|and)\s+{_NO}(?:(?P<least>{_LEAST}|up)|(?P<most>{_MOST}))\b)",
    re.I,
)
_VALUE = re.compile(rf"{_NUMBER}[\s-]{{0,3}}{_UNIT}", re.I)
_WORD_BEFORE = re.compile(r"[^\W\d_]+(?=\s*\Z)")


@dataclass(frozen=True)
class Limit:
    """A least or a most value.

    Attributes:
        measure: What the unit measures; or, where it is no known unit, the word itself, such as `spf` or `watts`.
        value: In the measure's first unit.
        least: Whether it is the least, else the most.
        itself: Whether the value itself is within ("at least"), or not ("more than").
    """

    measure: str
    value: float
    least: bool
    itself: bool

    def allows(self, value: float) -> bool:
        """Whether a value is within the limit."""
        return (value > self.value) == self.least if value != self.value else self.itself


def limit(question: str) -> Limit | None:
    """The question's limit; None where it has none that can be compared."""
    found = _found(question)
    if not found:
        return None
    unit = (found["unit"] or found["named"] or "").lower()
    measure, factor = _measured(unit)
    flipped = bool(found["no"])
    least = bool(found["least"]) != flipped
    itself = (_ITSELF.search(found[0]) is not None) != flipped
    return Limit(measure, number(found["number"]) * factor, least, itself) if measure else None


def without(question: str) -> str:
    """The question without its limit: "lighter than 2 kg" names no thing."""
    found = _found(question)
    return f"{found.string[: found.start('limit')]}; {found.string[found.end() :]}" if found else question


def contradicts(title: str, content: str, asked: Limit) -> bool:
    """Whether a product has values of what is limited, in its title, else its content, and none within the limit."""
    values = _values(title, asked.measure) or _values(content, asked.measure)
    return bool(values) and not any(asked.allows(value) for value in values)


def keeps(text: str, asked: Limit) -> bool:
    """Whether a text has a value within the limit."""
    return any(asked.allows(value) for value in _values(text, asked.measure))


def _found(question: str) -> re.Match[str] | None:
    question = " ".join(question.split())
    return _BEFORE.search(question) or _BEHIND.search(question)


def _values(text: str, measure: str) -> list[float]:
    values = []
    for match in _VALUE.finditer(text):
        unit = (match["unit"] or "").lower()
        kind, factor = _measured(unit)
        if kind == measure:
            values.append(number(match["number"]) * factor)
        elif (before := _WORD_BEFORE.search(text[: match.start()][-30:])) and before[0].lower() == measure:
            values.append(number(match["number"]))
    return values


def _measured(unit: str) -> tuple[str, float]:
    """What a word behind a number measures, and how many of that measure's first unit it is; else the word itself."""
    known = UNITS["in"] if unit == "'" else UNITS.get(unit)  # of televisions and cables: "37 ' lcd"
    if known is None:
        return unit, 1.0
    return (known.name, 1.0) if known.factor is None else (known.measure, known.factor)
