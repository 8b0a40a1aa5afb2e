"""How a file holds its records: each form is read as blocks of JSON lines, which one acceptor judges."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from include.formats.lines import Reads, line_blocks


@dataclass(frozen=True)
class Layout:
    """How a block of records lies in its file, where a record may take several lines.

    Attributes:
        line: At which the first begins, as an editor counts, from 1.
        taller: Records, counted from 0, that take several lines, each with how many beyond one.
        short: Records that have fewer values than the table has columns.
    """

    line: int = 1
    taller: Sequence[tuple[int, int]] = ()
    short: int = 0

    def line_of(self, record: int) -> int:
        """The line at which a record, counted from 0, begins."""
        return self.line + record + sum(further for before, further in self.taller if before < record)


class Block(bytes):
    """Records as JSON lines, with how they lie in their file."""

    layout = Layout()


class BrokenOff(Exception):
    """A file ends before it should. The message says where, as what the file does: "ends in record 7, …"."""


@dataclass(frozen=True)
class Form:
    """How a file holds its records, and why that is thought.

    Attributes:
        name: As in "it is …": "a CSV table with semicolons, Windows-1252".
        why: One clause for the log: "its first line has 7 names between semicolons".
        read: Makes blocks of JSON lines (`\\n` between them, whole records, an empty line for a blank record) of the
            unpacked stream of bytes. Raises BrokenOff where the file does.
    """

    name: str
    why: str
    read: Callable[[Reads], Iterator[bytes]]


JSON_LINES = Form("JSON lines", "its first lines hold a JSON object", line_blocks)
