"""JSON values out of a stream in which they do not stand one a line: in an array, over several lines, with commas."""

import json
import re
from collections.abc import Iterator

from include.formats.form import BrokenOff
from include.formats.lines import BLOCK, MAX_LINE, Reads, line_blocks

# What lies before the next bracket that is in no string; it ends before a string that is not closed. Of the groups none
# is possessive: Python 3.11.2 goes on in the wrong place where one of these has to take something back.
_STRING, _ALONE = rb'"[^"\\]*+(?:\\.[^"\\]*+)*"', rb"'[^'\\]*+(?:\\.[^'\\]*+)*'"
_JSON = re.compile(rb'[^"{}\[\]]*+(?:%b[^"{}\[\]]*+)*' % _STRING, re.DOTALL)
_PYTHON = re.compile(rb"""[^"'{}\[\]]*+(?:(?:%b|%b)[^"'{}\[\]]*+)*""" % (_STRING, _ALONE), re.DOTALL)
_BRACKETS, _OPENING, _OBJECT = b"{}[]", b"{[", ord("{")
PRODUCTS = {"products", "items", "data", "results"}  # what the list of all products is called, mostly
_BETWEEN = b" \t\r\n,"
_ONE_LINE = bytes.maketrans(b"\n", b"\r")  # white space as well, and no less wrong inside a string
_SEQUENCE = bytes.maketrans(b"\n\x1e", b"\r\n")


def values(stream: Reads) -> Iterator[bytes]:
    """Blocks of JSON lines, one for each value of those that follow one another, with white space or commas or not."""
    return _Cutter(0, 0, _JSON).blocks(stream)


def array(stream: Reads) -> Iterator[bytes]:
    """Likewise of what is in an array, or in several, one after another.

    Raises:
        BrokenOff: An array is not closed, or a value is longer than MAX_LINE.
    """
    return _Cutter(1, 0, _JSON).blocks(stream)


def python_list(stream: Reads) -> Iterator[bytes]:
    """Likewise of what is in a list as Python prints it; the lines are Python too."""
    return _Cutter(1, 0, _PYTHON).blocks(stream)


def inner_array(stream: Reads, before: int, path: tuple[str, ...]) -> Iterator[bytes]:
    """Likewise of what is in one array inside an object; what else the object has is read and dropped.

    Args:
        stream: Of bytes.
        before: Bytes before the array's bracket.
        path: Names that lead to the array.

    Raises:
        BrokenOff: Also where another object follows, or a list with one of PRODUCTS for a name, which this has not.
    """
    while before and (data := stream.read(before)):
        before -= len(data)
    return _Cutter(len(path) + 1, len(path), _JSON, path[-1]).blocks(stream)


def sequence(stream: Reads) -> Iterator[bytes]:
    """Likewise of a JSON text sequence (RFC 7464): each value stands behind a character U+001E."""
    return line_blocks(_Sequence(stream))


class _Sequence:
    """The sequence as lines."""

    def __init__(self, stream: Reads) -> None:
        self._stream = stream
        self._begun = False

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        if not self._begun:
            self._begun = True
            data = data.lstrip()[1:] or self._stream.read(size)
        return data.translate(_SEQUENCE)


class _Cutter:
    """Cuts values, and what else is found beside them, out of a stream; memory is bounded by MAX_LINE and a few blocks.

    Args:
        base: Brackets around a value.
        around: Brackets that are open at the beginning; if any, only the array that opens then is read.
        skip: Matches what lies before the next bracket.
        name: Of that array.
    """

    def __init__(self, base: int, around: int, skip: re.Pattern[bytes], name: str = "") -> None:
        self._name = name
        self._base, self._around, self._skip = base, around, skip.match
        self._buffer = b""
        self._lines: list[bytes] = []
        self._start = 0  # of the value, or of what lies before it
        self._at = 0  # how far it was searched
        self._depth = around  # brackets that are open
        self._outside = -1  # brackets around the value; -1 between two
        self._values = 0
        self._done = False  # the only array is closed

    def blocks(self, stream: Reads) -> Iterator[bytes]:
        """Blocks of lines; BrokenOff where the stream ends within an array, or a value does not end."""
        while chunk := stream.read(BLOCK):
            self._buffer = self._buffer[self._start :] + chunk
            self._at -= self._start
            self._start = 0
            self._search()
            if self._outside < 0 and not self._buffer[self._start : self._at].strip(_BETWEEN):
                self._start = self._at
            if len(self._buffer) - self._start > MAX_LINE:
                raise BrokenOff(
                    f"has no end to record {self._values + 1:,}, which is over {MAX_LINE // 1_000_000} MB: a bracket "
                    "or a quotation mark in it is not closed"
                )
            if self._lines:
                yield b"\n".join(self._lines)
                self._lines = []
        if self._depth > 0 and self._base:
            raise BrokenOff(f"ends in record {self._values + 1:,}, before its list is closed")
        self._take(len(self._buffer))
        if self._lines and not self._done:
            yield b"\n".join(self._lines)

    def _search(self) -> None:
        buffer, at = self._buffer, self._at
        while (found := self._skip(buffer, at)) and (at := found.end()) < len(buffer) and buffer[at] in _BRACKETS:
            opens = buffer[at] in _OPENING
            self._depth += 1 if opens else -1
            if self._outside >= 0:
                if self._depth == self._outside:
                    self._take(at + 1)
                    self._outside = -1
                    self._values += 1
            elif self._done:
                if opens:
                    self._beside(self._buffer[self._start : at])
                self._start = at
            elif opens:
                self._take(at)
                if self._depth > self._base or buffer[at] == _OBJECT:
                    self._outside = self._depth - 1
                else:
                    self._start = at + 1
            elif self._depth >= 0:
                self._take(at)
                self._start = at + 1
                self._done = 0 < self._around == self._depth
            else:  # a bracket too many, which stays beside the values
                self._depth = 0
            at += 1
        self._at = at

    def _beside(self, before: bytes) -> None:
        """Raise BrokenOff if what opens after these bytes may hold products, too, which would be dropped."""
        if self._depth == 1:
            raise BrokenOff(f"goes on with another object after record {self._values:,}, the last in {self._name!r}")
        name = (
            before.rstrip()
            .removesuffix(b":")
            .rstrip()
            .removesuffix(b'"')
            .rpartition(b'"')[2]
            .decode("utf-8", "replace")
        )
        if self._name.lower() not in PRODUCTS and name.lower() in PRODUCTS:
            raise BrokenOff(f"holds two lists, {self._name!r} and {name!r}: leave the one with the products in it")

    def _take(self, end: int) -> None:
        """The bytes up to `end` are a line, if they hold anything."""
        if line := self._buffer[self._start : end].strip(_BETWEEN):
            for part in _parts(line) if self._skip == _JSON.match and b"\n" in line else (line,):
                self._lines.append(part.translate(_ONE_LINE))
        self._start = end


def _parts(line: bytes) -> list[bytes]:
    """A value, or what it holds of others: if it is no JSON, what begins in a new line as far left as it ends."""
    last = line[line.rfind(b"\n") + 1 :]
    indent = last[: len(last) - len(last.lstrip())]
    begins = b"\n" + indent + b"{"
    if begins not in line:
        return [line]
    try:
        json.loads(line.decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError):
        first, *others = line.split(begins)
        return [part.strip(_BETWEEN) for part in (first, *(b"{" + other for other in others))]
    return [line]
