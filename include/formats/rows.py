"""The rows of a table of text, as JSON lines; a quotation mark that is not closed costs its own row alone."""

import csv
import io
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import orjson

from include.formats.form import Block, BrokenOff, Layout
from include.formats.lines import BLOCK, MAX_LINE, Reads
from include.formats.refusals import BARE_RETURN, NOT_DECODED, NOT_QUOTED, TOO_MANY_CELLS, refusal

_END = "\0end of the table\0"
_CHANCE = 3  # lines in one cell that look like rows, or fewer, may be no rows

csv.field_size_limit(4 * MAX_LINE)  # of the whole process; what is longer is met below


@dataclass(frozen=True)
class Table:
    """How a table is written.

    Attributes:
        options: For csv.reader; strict where each quotation mark looked at is closed.
        newline: For io.StringIO: "\\n" where rows end so, "" where they end in the old Mac's "\\r".
        above: Lines before the names that are not the table's.
        names: Of the columns, each once.
        score: Rows, of those looked at, that have as many cells, less those that cannot be rows of this table.
        spare: Whether each row looked at ends in a delimiter that the names do not have.
    """

    options: dict[str, Any]
    newline: str
    above: int
    names: tuple[str, ...]
    score: int
    spare: bool

    def read(self, stream: Reads) -> Iterator[bytes]:
        """Blocks of JSON lines, one for each row under the names; BrokenOff if a quotation mark is not closed."""
        return _Rows(self, stream).blocks()


class _Rows:
    """The rows of a table, read from a stream of UTF-8."""

    def __init__(self, table: Table, stream: Reads) -> None:
        self._table = table
        self._stream = stream
        self._lines: list[bytes] = []  # of the next block
        self._records = 0  # read so far
        self._short = 0  # rows of the next block that have fewer cells than names
        self._taller: list[tuple[int, int]] = []  # see Layout
        self._unread = self._pieces()
        # So that lines can be read again: those since the beginning of the row that is being read, in pieces.
        self._held: list[str] = []
        self._before = self._given = 0  # lines before these, and with these
        self._split: list[str] = []  # these line by line, once that was needed
        self._offset = table.above  # lines before the reader's first
        self._last = 0  # the reader's lines up to the end of its last row
        self._line = 1  # at which the next block begins

    def blocks(self) -> Iterator[bytes]:
        """Blocks of JSON lines; before an error, what was read until then."""
        try:
            yield from self._blocks()
        except Exception:
            if self._lines:
                yield self._block()
            raise

    def _block(self) -> Block:
        """The next block."""
        block = Block(b"\n".join(self._lines))
        block.layout = Layout(self._line, self._taller, self._short)
        self._short, self._taller, self._line = 0, [], self._begins()
        self._lines.clear()
        return block

    def _begins(self) -> int:
        """The line at which the next row begins."""
        return self._offset + self._last + 1

    def _blocks(self) -> Iterator[bytes]:
        names, lines, dumps = self._table.names, self._lines, orjson.dumps
        width, strict, size = len(names), self._table.options.get("strict", False), 0
        rows = csv.reader(islice(chain.from_iterable(self._unread), self._table.above, None), **self._table.options)
        next(row for row in rows if any(row))  # the names
        self._last = rows.line_num
        self._line = self._begins()
        while True:
            try:
                for row in rows:
                    if row == [_END]:
                        if lines:
                            yield self._block()
                        return
                    if (further := rows.line_num - self._last - 1) > 0:
                        if strict and further > 1:
                            self._check(row)
                        self._taller.append((len(lines), further))
                    self._last = rows.line_num
                    self._records += 1
                    try:
                        plain = len(row) == width and any(row)
                        line = dumps(dict(zip(names, row, strict=True))) if plain else self._odd(row)
                    except TypeError:  # half a surrogate pair, which stands for what could not be decoded
                        line = self._refused(NOT_DECODED, row)
                    lines.append(line)
                    size += len(line)
                    if size > BLOCK:
                        size = 0
                        yield self._block()
                raise self._endless("ends in", self._records)
            except csv.Error as error:  # of those that are left, for cells may be of any length
                self._records += 1
                begins = self._begins()
                rows, line = self._after(error, rows)
                if further := self._begins() - begins - 1:
                    self._taller.append((len(lines), further))
                lines.append(line)

    def _after(self, error: csv.Error, rows: Any) -> tuple[Any, bytes]:
        """The reader of what follows a row at fault, and the line for that row; BrokenOff if nothing follows."""
        if "end of data" in str(error):
            raise self._endless("ends in", self._records) from None
        if "new-line" in str(error):
            self._last = rows.line_num
            return rows, refusal(BARE_RETURN, f"record {self._records:,}")
        return self._again(rows.line_num)

    def _odd(self, row: list[str]) -> bytes:
        """The line for a row that is blank, or has not as many cells as there are names."""
        names = self._table.names
        if not any(map(str.strip, row)):
            return b""
        if len(row) > len(names) + self._table.spare or any(row[len(names) :]):
            return self._refused(TOO_MANY_CELLS, row)
        self._short += len(row) < len(names)
        return orjson.dumps(dict(zip(names, row, strict=False)))

    def _refused(self, reason: str, row: list[str]) -> bytes:
        return refusal(reason, self._table.options["delimiter"].join(row))

    def _check(self, row: list[str]) -> None:
        """Raise csv.Error if a row of several lines may hold other rows in a cell."""
        width, delimiter = len(self._table.names), self._table.options["delimiter"]
        inside = max(row, key=len).split("\n")[1:-1]
        like_rows = width > 2 and len(inside) >= _CHANCE and all(line.count(delimiter) == width - 1 for line in inside)
        if like_rows or len(row) != width:
            raise csv.Error

    def _again(self, line_num: int) -> tuple[Any, bytes]:
        """A reader of what follows a row that is at fault or may be, and the line for it.

        Args:
            line_num: The reader's, at the row's end or fault.
        """
        self._split = self._split or list(io.StringIO("".join(self._held), newline="\n"))
        begin, end = (self._offset + number - self._before for number in (self._last, line_num))
        lines, lenient = self._split[begin:end], {**self._table.options, "strict": False}
        wide = sum(len(next(csv.reader([line], **lenient), ())) == len(self._table.names) for line in lines[1:])
        if 2 * wide > len(lines) - 1:  # they are rows
            end, row = begin + 1, [""]
        else:
            row = next(csv.reader(lines, **lenient), [""])
        self._offset, self._last = end + self._before, 0
        try:
            line = refusal(NOT_QUOTED, lines[0]) if row[-1].endswith("\n") or row == [""] else self._odd(row)
        except TypeError:  # as above
            line = self._refused(NOT_DECODED, row)
        return csv.reader(chain(self._split[end:], chain.from_iterable(self._unread)), **self._table.options), line

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
            yield self._hold(text[:cut])
        rest += decoder.decode(b"", True)
        yield self._hold((rest + end if rest else "") + _END + end)

    def _hold(self, text: str) -> Iterable[str]:
        if self._offset + self._last == self._given:
            self._held, self._before = [], self._given
        self._held.append(text)
        self._split = []
        self._given += text.count("\n")
        return io.StringIO(text, newline=self._table.newline)
