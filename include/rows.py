"""One line of a catalogue file: parsed, checked and cleaned, or refused with a reason.

orjson parses. What it refuses is looked at again, slowly, to name the reason; lone surrogates, which
it refuses too, are kept: the product is sound, one character is not, and a cleaning rule replaces it.
"""

import gc
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NoReturn

import numpy as np
import orjson

from include.archive import MAX_LINE, printable
from include.catalogue import text_hash
from include.clean import LONE_SURROGATE, Cleaner

MAX_UID_CHARS = 200
NO_TITLE = "no title"
LONG_LINE = f"line over {MAX_LINE // 1_000_000} MB"
INT32_MAX = 2**31 - 1
FLOAT32_MAX = float(np.finfo(np.float32).max)


class Refused(Exception):
    """A line that cannot be used. The message is the reason: short, without the line's own text."""


@dataclass
class Rows:
    """What a block of lines holds, column by column, and what it does not.

    Attributes:
        lines: 0-based line number of each product.
        uids, titles, contents, hashes, indices, weights: As many; hashes of 16 bytes (`catalogue.text_hash`).
        rejects: (0-based line number, reason, excerpt) of each refused line.
        blank: Lines of whitespace alone; they are no records.
    """

    lines: list[int] = field(default_factory=list)
    uids: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    contents: list[str] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    indices: list[list[int]] = field(default_factory=list)
    weights: list[list[float]] = field(default_factory=list)
    rejects: list[tuple[int, str, str]] = field(default_factory=list)
    blank: int = 0

    def __len__(self) -> int:
        return len(self.lines)

    def take(self, keep: list[bool]) -> None:
        """Keep the products where `keep` is True."""
        for name in ("lines", "uids", "titles", "contents", "hashes", "indices", "weights"):
            column = getattr(self, name)
            setattr(self, name, [value for value, kept in zip(column, keep, strict=True) if kept])


def read_rows(lines: list[bytes], first: int, cleaner: Cleaner) -> Rows:
    """Parse, check and clean a block of lines.

    Args:
        lines: Without their `\\n`.
        first: 0-based number of the first one in its file.
        cleaner: Its counters grow, also for lines that are refused after cleaning.
    """
    with _without_gc():
        return _read_rows(lines, first, cleaner)


@contextmanager
def _without_gc() -> Iterator[None]:
    """Thousands of live lists make Python look for cycles again and again: a fifth of the time, and there are none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _read_rows(lines: list[bytes], first: int, cleaner: Cleaner) -> Rows:
    rows = Rows()
    loads, clean_title, clean_content = orjson.loads, cleaner.title, cleaner.content
    for number, line in enumerate(lines, first):
        try:
            try:
                row = loads(line)
            except orjson.JSONDecodeError:
                if not line.strip():
                    rows.blank += 1
                    continue
                row = parse_again(line)
            uid, title, content, indices, weights = fields(row, line)
        except Refused as refusal:
            rows.rejects.append((number, str(refusal), excerpt(line)))
            continue
        if not (title := clean_title(title)):
            rows.rejects.append((number, NO_TITLE, excerpt(line)))
            continue
        if content:
            content = clean_content(content, title)
        rows.lines.append(number)
        rows.uids.append(uid)
        rows.titles.append(title)
        rows.contents.append(content)
        rows.indices.append(indices)
        rows.weights.append(weights)
    if not targets_are_sound(rows.indices, rows.weights):
        _refuse_targets(rows, lines, first)
    rows.hashes = list(map(text_hash, rows.titles, rows.contents))
    return rows


def fields(row: Any, line: bytes) -> tuple[str, str, str, list[int], list[float]]:
    """The five fields of a parsed line, of the right types; what the lists hold is not looked at yet.

    Raises:
        Refused: With the reason.
    """
    if len(line) > MAX_LINE:
        raise Refused(LONG_LINE)
    if type(row) is not dict:
        raise Refused("not a JSON object")
    uid, title, content = row.get("uid"), row.get("title"), row.get("content")
    # The cheap test first: nearly every uid is a short word of letters and digits.
    if type(uid) is not str or not uid.isalnum() or len(uid) > MAX_UID_CHARS:
        uid = check_uid(uid)
    if type(title) is not str:
        raise Refused(NO_TITLE if title is None else "title is not a string")
    if content is None:
        content = ""
    elif type(content) is not str:
        raise Refused("content is not a string")
    indices, weights = row.get("target_ind"), row.get("target_rel")
    if type(indices) is not list or type(weights) is not list or len(indices) != len(weights):
        indices, weights = check_targets(indices, weights)
    return uid, title, content, indices, weights


def check_targets(indices: object, weights: object) -> tuple[list[int], list[float]]:
    """Two empty lists where both are absent, or Refused."""
    if indices is None and weights is None:
        return [], []
    if not isinstance(indices, list):
        raise Refused("target_ind is not a list")
    if not isinstance(weights, list):
        raise Refused("target_rel is not a list")
    raise Refused("target_ind and target_rel differ in length")


def check_uid(uid: object) -> str:
    """Return `uid`, or raise Refused if it cannot name a product."""
    if uid is None:
        raise Refused("no uid")
    if not isinstance(uid, str):
        raise Refused("uid is not a string")  # a number has lost its leading zeros
    if not uid.strip():
        raise Refused("uid is empty")
    if len(uid) > MAX_UID_CHARS:
        raise Refused(f"uid over {MAX_UID_CHARS} characters")
    if not uid.isprintable():
        raise Refused("uid has unprintable characters")
    return uid


def targets_are_sound(indices: Sequence[list[int]], weights: Sequence[list[float]]) -> bool:
    """Whether all are non-negative int32 and finite float32. Types are looked at: pyarrow would take 1.5 as 1."""
    flat = list(chain.from_iterable(indices))
    if not flat:
        return True
    if set(map(type, flat)) != {int}:
        return False
    try:
        numbers = np.array(flat, np.int64)
    except OverflowError:
        return False
    flat_weights = list(chain.from_iterable(weights))
    if not set(map(type, flat_weights)) <= {float, int}:
        return False
    distinct = set(flat_weights)  # few: nearly all are 1.0
    return bool(
        numbers.min() >= 0
        and numbers.max() <= INT32_MAX
        and min(distinct) >= -FLOAT32_MAX
        and max(distinct) <= FLOAT32_MAX
    )


def _refuse_targets(rows: Rows, lines: list[bytes], first: int) -> None:
    keep = []
    for number, indices, weights in zip(rows.lines, rows.indices, rows.weights, strict=True):
        reason = ""
        if not all(type(index) is int and 0 <= index <= INT32_MAX for index in indices):
            reason = "target_ind has something other than row numbers"
        elif not targets_are_sound([indices], [weights]):
            reason = "target_rel has something other than finite numbers"
        keep.append(not reason)
        if reason:
            rows.rejects.append((number, reason, excerpt(lines[number - first])))
    rows.rejects.sort()
    rows.hashes = [b""] * len(rows)
    rows.take(keep)


def parse_again(line: bytes) -> Any:
    """Parse what orjson refused: returns the value if a lone surrogate was all, or raises Refused."""
    if len(line) > MAX_LINE:
        raise Refused(LONG_LINE)
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("not UTF-8") from error
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        shown = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except RecursionError as error:
        raise Refused("nested too deeply") from error
    except json.JSONDecodeError as error:
        raise Refused(_reason(error, text)) from error
    except ValueError as error:  # 1e400, or an integer of thousands of digits
        raise Refused("number out of range") from error
    if not LONE_SURROGATE.search(shown):
        raise Refused("not JSON")
    return value


def excerpt(line: bytes) -> str:
    """The line's first 200 characters, printable."""
    return printable(line[:800].decode("utf-8", "replace"))


def _refuse_constant(name: str) -> NoReturn:
    raise Refused("NaN or Infinity")


def _reason(error: json.JSONDecodeError, text: str) -> str:
    if error.msg.startswith("Invalid control character"):
        return "raw control character in a string"
    if error.msg == "Extra data":
        return "more than one JSON value on a line"
    if error.msg.startswith("Unterminated string") or error.pos >= len(text.rstrip()):
        return "JSON breaks off"
    return "not JSON"
