"""The rejected rows as a table to take away: a link that has the table in it, so that the page stays one file."""

import base64
import csv
import io
import logging
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from include.catalogue.schema import REJECTED, REJECTED_FILE, open_parquet

log = logging.getLogger(__name__)

ROWS = 1000
LARGEST = 150_000  # bytes: of letters that take three, a thousand excerpts would outweigh the page
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would compute what begins like this


class Rejected(NamedTuple):
    """The first rejected rows as a `data:` address of CSV; `rows` of `all` are in there."""

    address: str
    rows: int
    all: int


def rejected_rows(catalogue: Path) -> Rejected | None:
    """The first rows of a catalogue's `rejected.parquet`; None where there are none, or where the file is gone."""
    try:
        with open_parquet(catalogue / REJECTED_FILE) as file:
            total = file.metadata.num_rows
            groups = range(min(1, file.num_row_groups))
            found = file.read_row_groups(list(groups)).slice(0, ROWS).to_pylist() if total else []
    except (OSError, pa.ArrowException) as error:
        log.warning("the report goes without the rejected rows: %r", error)
        return None
    lines, size, kept = [_line(REJECTED.names)], 0, 0
    for row in found:
        line = _line([_plain(str(row[name])) for name in REJECTED.names])
        if (size := size + len(line.encode("utf-8", "replace"))) > LARGEST:
            break
        lines.append(line)
        kept += 1
    if not kept:
        return None
    table = "\ufeff" + "".join(lines)  # the mark tells spreadsheets that it is UTF-8
    body = base64.b64encode(table.encode("utf-8", "replace")).decode()
    return Rejected(f"data:text/csv;charset=utf-8;base64,{body}", kept, total)


def _line(cells: list[str]) -> str:
    written = io.StringIO()
    csv.writer(written).writerow(cells)
    return written.getvalue()


def _plain(cell: str) -> str:
    """The cell as a text: with a quote in front where a spreadsheet would take it for a formula."""
    return "'" + cell if cell.lstrip(" ").startswith(FORMULA) else cell
