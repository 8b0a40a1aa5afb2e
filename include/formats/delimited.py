"""Tables of text: CSV with any delimiter, TSV. A row becomes a JSON object of strings, by the names in the first."""

import csv
import io
import re
from codecs import getincrementaldecoder
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import orjson

from include.core.display import printable
from include.formats.field_names import meant
from include.formats.file_kind import FileKind
from include.formats.form import BrokenOff, Form
from include.formats.lines import BLOCK, MAX_LINE, Reads
from include.formats.refusals import BARE_RETURN, NOT_DECODED, TOO_MANY_CELLS, refusal

_KINDS = {
    ",": "a CSV table",
    ";": "a CSV table with semicolons",
    "\t": "a table with tabs (TSV)",
    "|": "a CSV table with vertical bars",
}
# How cells may be quoted, as csv.reader takes it; the first that fits best counts.
_QUOTING: tuple[dict[str, Any], ...] = ({}, {"escapechar": "\\"}, {"quoting": csv.QUOTE_NONE})
_SAYS_DELIMITER = re.compile(r'"?sep=(.)"?\r?\n')  # Excel's own first line
_NAME = re.compile(r"[\w#*$%@&(][^\0-\x1f{}<>]{0,199}")
_NUMBER = re.compile(r"[-+\d.,]+")
_END = "\0end of the table\0"

csv.field_size_limit(4 * MAX_LINE)  # of the whole process; what is longer is met below


@dataclass(frozen=True)
class _Table:
    """How a table is written.

    Attributes:
        options: For csv.reader.
        newline: For io.StringIO: "\n" where rows end so, "" where they end in the old Mac's "\r".
        above: Lines before the names that are not the table's.
        names: Of the columns, each once.
        score: Rows, of those looked at, that have as many cells, less those that cannot be rows of this table.
    """

    options: dict[str, Any]
    newline: str
    above: int
    names: tuple[str, ...]
    score: int

    def read(self, stream: Reads) -> Iterator[bytes]:
        """Blocks of JSON lines, one for each row under the names."""
        return _Rows(self, stream).blocks()


def delimited_form(text: str, *, whole: bool) -> Form | FileKind | None:
    """How a table is read that begins with this text; None if it is no table.

    Args:
        text: Without a byte-order mark.
        whole: Whether there is no more.
    """
    said = _SAYS_DELIMITER.match(text)
    above = 0 if said is None else 1
    ends = re.search(r"[\r\n]+", re.sub('"[^"]*"', "", text))
    newline = "" if ends and "\n" not in ends[0] else "\n"
    lines = list(io.StringIO(text, newline=newline))[above:]
    if lines[1:] and lines[1].lstrip().startswith("{"):
        return None  # JSON lines, of which the first is none
    found = []
    for delimiter in _KINDS if said is None else said[1]:
        tables = []
        for quoting in _QUOTING:
            options = {"delimiter": delimiter, **quoting}
            if fit := _fit(csv.reader(lines, **options), whole=whole):
                tables.append(_Table(options, newline, above, *fit))
                if quoting is not _QUOTING[-1] and _closes(lines, options, whole=whole):
                    found.append(tables[-1])
                    break
        else:
            found += tables
    if not found:
        return None
    best = max(found, key=lambda table: (table.score, -_delimiters_in(table.names), len(table.names)))
    delimiter = best.options["delimiter"]
    kind = _KINDS.get(delimiter, f"a table with {printable(delimiter)!r} between the cells")
    if 2 * sum(bool(_NUMBER.fullmatch(name)) for name in best.names) > len(best.names):
        return FileKind(f"{kind}, without names in its first row: {printable(', '.join(best.names), 60)}", "")
    return Form(kind, f"its first row has {len(best.names)} names, and the next rows have as many cells", best.read)


def _fit(reader: Iterator[list[str]], *, whole: bool) -> tuple[tuple[str, ...], int] | None:
    """Names and score of what may be the beginning of a table; None if it is not."""
    rows, more = list[list[str]](), True
    while more:
        with suppress(csv.Error):
            rows.extend(reader)
            more = False
    rows = [row for row in (rows if whole else rows[:-1]) if any(row)]
    names = column_names(rows[0]) if rows else ()
    if len(names) < 2 or not all(map(_NAME.fullmatch, names)):
        return None
    if len(rows) == 1:
        return (names, 0) if whole and all(map(meant, names[:2])) else None
    exact = sum(len(row) == len(names) for row in rows[1:])
    wrong = sum(len(row) == 1 or any(row[len(names) :]) for row in rows[1:])
    return None if 2 * wrong >= len(rows) - 1 else (names, exact - wrong)


def _closes(lines: list[str], options: dict[str, Any], *, whole: bool) -> bool:
    """Whether each quotation mark that begins a cell is followed by one that ends a cell."""
    reader = csv.reader(lines, strict=True, **options)
    last = 0
    try:
        for _ in reader:
            last = reader.line_num
    except csv.Error:  # in the last cell, which is cut, it is no fault
        return not whole and reader.line_num == len(lines) < 2 * last
    return True


def column_names(cells: Iterable[str]) -> tuple[str, ...]:
    """What the columns are called: an empty name is `column 3`, a second `name` is `name (2)`."""
    names, times = dict[str, None](), Counter[str]()
    for number, cell in enumerate(cells, 1):
        name = first = " ".join(cell.split()) or f"column {number}"
        while name in names:
            times[first] += 1
            name = f"{first} ({times[first] + 1})"
        names[name] = None
    return tuple(names)


def _delimiters_in(names: tuple[str, ...]) -> int:
    """How many delimiters stand in the names: these are not split at the right one, probably."""
    return sum("".join(names).count(delimiter) for delimiter in _KINDS)


class _Rows:
    """The rows of a table, read from a stream of UTF-8."""

    def __init__(self, table: _Table, stream: Reads) -> None:
        self._table = table
        self._stream = stream
        self._records = 0  # read so far

    def blocks(self) -> Iterator[bytes]:
        """Blocks of JSON lines; BrokenOff if a quotation mark is not closed."""
        names = self._table.names
        width, dumps = len(names), orjson.dumps
        lines, size = list[bytes](), 0
        rows = csv.reader(islice(chain.from_iterable(self._pieces()), self._table.above, None), **self._table.options)
        next(row for row in rows if any(row))  # the names
        while True:
            try:
                for row in rows:
                    if row == [_END]:
                        if lines:
                            yield b"\n".join(lines)
                        return
                    self._records += 1
                    try:
                        plain = len(row) == width and any(row)
                        line = dumps(dict(zip(names, row, strict=True))) if plain else self._odd(row)
                    except TypeError:  # half a surrogate pair, which stands for what could not be decoded
                        line = self._refused(NOT_DECODED, row)
                    lines.append(line)
                    size += len(line)
                    if size > BLOCK:
                        yield b"\n".join(lines)
                        lines, size = [], 0
                raise self._endless("ends in", self._records)
            except csv.Error:  # the one that is left: cells may be of any length, and nothing is strict
                self._records += 1
                lines.append(refusal(BARE_RETURN, f"record {self._records:,}"))

    def _odd(self, row: list[str]) -> bytes:
        """The line for a row that is blank, or has not as many cells as there are names."""
        names = self._table.names
        if not any(map(str.strip, row)):
            return b""
        if any(row[len(names) :]):
            return self._refused(TOO_MANY_CELLS, row)
        return orjson.dumps(dict(zip(names, row, strict=False)))

    def _refused(self, reason: str, row: list[str]) -> bytes:
        return refusal(reason, self._table.options["delimiter"].join(row))

    def _endless(self, what: str, record: int) -> BrokenOff:
        return BrokenOff(f"{what} record {record:,}, in which a quotation mark is not closed")

    def _pieces(self) -> Iterator[Iterable[str]]:
        """The lines of the table, those of about BLOCK bytes at a time; at last _END, in a line of its own."""
        newline = self._table.newline
        end = newline or "\r"
        decoder = getincrementaldecoder("utf-8")("surrogateescape")
        rest, records, since = "", 0, 0
        while chunk := self._stream.read(BLOCK):
            text = rest + decoder.decode(chunk)
            cut = text.rfind(end) + 1
            rest = text[cut:]
            since = since + len(chunk) if records == self._records else 0
            records = self._records
            if since > MAX_LINE:
                raise self._endless(f"has over {MAX_LINE // 1_000_000} MB in", records + 1)
            yield io.StringIO(text[:cut], newline=newline)
        rest += decoder.decode(b"", True)
        yield [rest + end, _END + end] if rest else [_END + end]
