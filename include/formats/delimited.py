"""Tables of text: CSV with any delimiter, TSV. A row becomes a JSON object of strings, by the names in the first."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from include.core.display import printable
from include.formats.field_names import meant
from include.formats.file_kind import FileKind
from include.formats.form import Form
from include.formats.rows import Table

_KINDS = {
    ",": "a CSV table",
    ";": "a CSV table with semicolons",
    "\t": "a table with tabs (TSV)",
    "|": "a CSV table with vertical bars",
}
# How cells may be quoted, as csv.reader takes it; the first that fits best counts.
_QUOTING: tuple[dict[str, Any], ...] = ({}, {"escapechar": "\\"}, {"quoting": csv.QUOTE_NONE})
_SAYS_DELIMITER = re.compile(r'"?sep=(.)"?\r?\n')  # Excel's own first line
# The one name that makes a table of one column: a list of questions. Their commas are no delimiters.
_ALONE = re.compile(r'\s*"?question"?[ \t]*(?:\r?\n|\r)', re.IGNORECASE)
_NO_DELIMITER = "\x1f"
_NAME = re.compile(r"[\w#*$%@&(][^\0-\x1f{}<>]{0,199}")
_NUMBER = re.compile(r"[-+\d.,]+")


def delimited_form(text: str, *, whole: bool, below: bool = False) -> Form | FileKind | None:
    """How a table is read that begins with this text; None if it is no table.

    Args:
        text: Without a byte-order mark.
        whole: Whether there is no more.
        below: Whether a line above was left out, so that only a table whose names are known ones counts.
    """
    said = _SAYS_DELIMITER.match(text)
    above = 0 if said is None else 1
    ends = re.search(r"[\r\n]+", re.sub('"[^"]*"', "", text))
    newline = "" if ends and "\n" not in ends[0] else "\n"
    lines = list(io.StringIO(text, newline=newline))[above:]
    if lines[1:] and lines[1].lstrip().startswith("{"):
        return None  # JSON lines, of which the first is none
    if _ALONE.match("".join(lines[:1])):
        table = Table({"delimiter": _NO_DELIMITER}, newline, above, ("question",), 0, False)
        return Form("a table of one column", "its first row is the name `question` alone", table.read)
    found = []
    for delimiter in _KINDS if said is None else said[1]:
        tables = []
        spaced = re.search(f'{re.escape(delimiter)} +"[^"]', text) is not None  # a cell's mark behind a space
        for quoting in ({"skipinitialspace": True}, *_QUOTING) if spaced else _QUOTING:
            options = {"delimiter": delimiter, **quoting}
            if fit := _fit(csv.reader(lines, **options), whole=whole):
                tables.append(Table(options, newline, above, *fit))
                if quoting is not _QUOTING[-1] and _closes(lines, options, whole=whole):
                    found.append(replace(tables[-1], options={**options, "strict": newline == "\n"}))
                    break
        else:
            found += tables
    if not found:
        return None if below else _under_a_title(text.lstrip(), whole=whole)
    best = max(found, key=lambda table: (table.score, -_delimiters_in(table.names), len(table.names)))
    if below and sum(bool(meant(name)) for name in best.names) < 2:
        return None
    delimiter = best.options["delimiter"]
    kind = _KINDS.get(delimiter, f"a table with {printable(delimiter)!r} between the cells")
    if 2 * sum(bool(_NUMBER.fullmatch(name)) for name in best.names) > len(best.names):
        return FileKind(f"{kind}, without names in its first row: {printable(', '.join(best.names), 60)}", "")
    return Form(kind, f"its first row has {len(best.names)} names, and the next rows have as many cells", best.read)


def _under_a_title(text: str, *, whole: bool) -> FileKind | None:
    """What a text is that is a table but for its first line."""
    title, _, rest = text.partition("\n")
    table = delimited_form(rest.lstrip(), whole=whole, below=True) if rest else None
    if table is None:
        return None
    return FileKind(f"{table.name} under a line that is no part of it, {printable(title, 60)!r}", "")


def _fit(reader: Iterator[list[str]], *, whole: bool) -> tuple[tuple[str, ...], int, bool] | None:
    """Names, score and `spare` of what may be the beginning of a table; None if it is not."""
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
        return (names, 0, False) if sum(bool(meant(name)) for name in names) > 1 else None
    exact = sum(len(row) == len(names) for row in rows[1:])
    wrong = sum(len(row) == 1 or any(row[len(names) :]) for row in rows[1:])
    spare = all(len(row) > len(names) for row in rows[1:])
    return None if 2 * wrong >= len(rows) - 1 else (names, exact - wrong, spare)


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
