"""One row of a questions file: its fields, checked, or the reason why it cannot be used."""

import ast
import hashlib
import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from include.formats.refusals import given_reason
from include.questions.questions import LONGEST_QUESTION, Question, folded

UNREADABLE = "no JSON object"
NO_QUESTION = "no question"
LONG_QUESTION = f"question over {LONGEST_QUESTION:,} characters"
BAD_UIDS = "uids is no list of ids"
BAD_EVIDENCE = "evidence is no list of texts"
BAD_ANSWERABLE = "answerable is neither true nor false"
BAD_WEIGHT = "weight is no number above 0"
BAD_ID = "id is no text or number"
NO_PRODUCT = "names no product, and no answerable false"
UNKNOWN_UID = "no product of this catalogue has its uids"
SAME_ID = "another question has its id"

FIELDS = ("question", "uids", "evidence", "answerable", "lang", "weight", "id", "kind")
_BETWEEN_UIDS = re.compile(r"[|;,\s]+")
_BETWEEN_TEXTS = re.compile(r"[|\n]+")
_YES, _NO = {"true", "yes", "y", "1"}, {"false", "no", "n", "0"}


class Refused(Exception):
    """A row that cannot be used; the message is the reason, short and without the row's own text.

    Attributes:
        others: Names of its fields that are not `FIELDS`.
    """

    def __init__(self, reason: str, others: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.others = others


@dataclass(frozen=True)
class Row:
    """A sound row, before its uids are compared with the catalogue's.

    Attributes:
        question: As it will be kept.
        others: Names of its fields that are not `FIELDS`.
    """

    question: Question
    others: tuple[str, ...]


def parse(line: bytes, *, labelled: bool = True) -> Row | None:
    """The row of a line of JSON; None for a blank one.

    Args:
        line: One JSON object.
        labelled: Whether it has to say what is right: the exam needs that. One who only asks does not; then a row
            without an id has an empty one.

    Raises:
        Refused: With the reason.
    """
    if not line.strip():
        return None
    if reason := given_reason(line):
        raise Refused(reason)
    try:
        row = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise Refused(UNREADABLE) from None
    if not isinstance(row, dict):
        raise Refused(UNREADABLE)
    others = tuple(str(name) for name in row if _field(name) not in FIELDS)
    named = {_field(name): value for name, value in row.items() if not _is_empty(value)}
    given = {name: named[name] for name in FIELDS if name in named}
    try:
        return Row(_question(given, labelled), others)
    except Refused as refused:
        raise Refused(str(refused), others) from None


def _question(given: Mapping[str, Any], labelled: bool) -> Question:
    """The question of the fields that have something in them."""
    question = _text(given.get("question"))
    if not question:
        raise Refused(NO_QUESTION)
    if len(question) > LONGEST_QUESTION:
        raise Refused(LONG_QUESTION)
    uids = _texts(given.get("uids"), _BETWEEN_UIDS, BAD_UIDS)
    answerable = _answerable(given.get("answerable"))
    if labelled and answerable and not uids:
        raise Refused(NO_PRODUCT)
    return Question(
        id=_id(given.get("id")) or (_made_id(question, uids) if labelled else ""),
        question=question,
        uids=uids,
        evidence=_texts(given.get("evidence"), _BETWEEN_TEXTS, BAD_EVIDENCE),
        answerable=answerable,
        lang=_text(given.get("lang")).lower(),
        weight=_weight(given.get("weight", 1.0)),
        kind=_text(given.get("kind")),
    )


def _made_id(question: str, uids: tuple[str, ...]) -> str:
    return hashlib.sha256(repr((folded(question), uids)).encode()).hexdigest()[:12]


def _field(name: object) -> str:
    """A field's name however it is written: a table's `Question` is `question`."""
    return str(name).strip().casefold()


def _id(value: Any) -> str:
    text = _text(value)
    if value is not None and not text:
        raise Refused(BAD_ID)
    return text


def _is_empty(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _text(value: Any) -> str:
    """One line of text; a number is its digits, and what is no text is nothing."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):  # of a column of numbers with a gap: 1001.0
        return str(int(value)) if value.is_integer() else str(value)
    # Lone surrogates have no UTF-8.
    return " ".join(value.encode("utf-8", "replace").decode().split()) if isinstance(value, str) else ""


def _texts(value: Any, between: re.Pattern[str], reason: str) -> tuple[str, ...]:
    """A list of texts, each once: an array, one text, or, as a table's cell has them, an array or texts in a row."""
    if isinstance(value, str):
        written = _array(value)
        value = between.split(value) if written is None else written
    elif value is None or not isinstance(value, list):
        value = [] if value is None else [value]
    texts = [_text(each) for each in value]
    if not all(text or each == "" for text, each in zip(texts, value, strict=True)):
        raise Refused(reason)
    return tuple(dict.fromkeys(text for text in texts if text))


def _array(text: str) -> list[Any] | None:
    """The list that a table's cell has written out, as JSON or, as pandas does, as Python; None where it has none."""
    if text.lstrip().startswith("["):
        for read in (json.loads, ast.literal_eval):
            with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
                found = read(text.strip())
                return found if isinstance(found, list) else None
    return None


def _answerable(value: Any) -> bool:
    if value is None:
        return True
    word = str(value).strip().casefold().removesuffix(".0")
    if word not in _YES | _NO:
        raise Refused(BAD_ANSWERABLE)
    return word in _YES


def _weight(value: Any) -> float:
    try:
        weight = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else 0.0
    except ValueError:
        weight = 0.0
    if not (math.isfinite(weight) and weight > 0):
        raise Refused(BAD_WEIGHT)
    return weight
