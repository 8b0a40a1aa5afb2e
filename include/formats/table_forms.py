"""Parquet, Arrow and Excel files: which one a file is, and its rows as blocks of JSON lines, in bounded memory.

They are read from a file on the disk, because their directories lie at their ends. What JSON lacks becomes what a
person would write: dates and times ISO 8601 strings, decimals numbers, bytes text (null where they are none), NaN null.
"""

import logging
import math
import re
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from include.core.display import printable
from include.core.errors import BadSource, VitrineError
from include.formats.compression import bomb, limit_of
from include.formats.delimited import column_names
from include.formats.lines import BLOCK

if TYPE_CHECKING:
    import pyarrow as pa
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

EXCEL_ROWS = 2**20  # that a sheet can have
WORKBOOK = "xl/workbook.xml"  # a part of every .xlsx

_BATCH = 256  # rows that become Python's at once; few, since one text in a dictionary can be theirs all
_BATCH_BYTES = 8 * 2**20
_WIDENS = 20  # JSON lines name the columns in every row: so much more than the limit for what unpacks
_OFFICE = re.compile(rb"PK\x03\x04.{26}(\[Content_Types\]\.xml|_rels/|docProps/|xl/|word/|ppt/)", re.DOTALL)
_ERRORS = {"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#GETTING_DATA"}
_ABOVE_HEADER = 20  # rows in which the heading is looked for
_COUNTED = 1000  # rows of a sheet that are counted, to tell the products from a cover
_OPTIONS = orjson.OPT_NON_STR_KEYS

log = logging.getLogger(__name__)

Rows = Iterator[bytes]
Tell = Callable[[float], None]


@dataclass(frozen=True)
class TableForm:
    """A form of file that is read from the disk.

    Attributes:
        name: As in "it is …".
        why: What was seen in the file.
        lines: Its rows as JSON lines, given the file, what messages call it, and who is told the share that is read.
    """

    name: str
    why: str
    lines: Callable[[Path, str, Tell], Rows]


def table_form(head: bytes) -> TableForm | None:
    """Which of these forms a file with these first bytes has; None where it has none.

    Args:
        head: `include.formats.first_bytes.HEAD` bytes, or all there are.
    """
    if head.startswith(b"PAR1"):
        return TableForm("a Parquet file", "it begins with PAR1", _parquet)
    if head.startswith(b"ARROW1"):
        return TableForm("an Arrow (Feather) file", "it begins with ARROW1", _arrow_file)
    if re.match(rb"\xff\xff\xff\xff.{3}\0", head, re.DOTALL):
        return TableForm("an Arrow stream", "it begins with a message of Arrow's", _arrow_stream)
    if _OFFICE.match(head):
        return TableForm("an Excel workbook", "it is a ZIP that begins with an Office document's parts", _excel)
    return None


def blocks_of(path: Path, form: TableForm, where: str, tell: Tell = lambda _: None) -> Iterator[bytes]:
    """The rows of a file, a block (about 2 MiB) of JSON lines at a time, `\\n` between them.

    Args:
        path: The file.
        form: Which `table_form` found.
        where: What messages call it.
        tell: Is told the share of the file that is read.

    Raises:
        BadSource: It is damaged or truncated, or unpacks to far more than a catalogue would.
    """
    limit = limit_of(path.stat().st_size) * _WIDENS
    done = size = 0
    lines: list[bytes] = []
    with _explained(where, form):
        for line in form.lines(path, where, tell):
            lines.append(line)
            size += len(line) + 1
            if size >= BLOCK:
                yield b"\n".join(lines)
                done, size, lines = done + size, 0, []
                if done > limit:
                    raise bomb(where, limit)
    if lines:
        yield b"\n".join(lines)


def check_table(path: Path, form: TableForm, where: str) -> None:
    """See that a file can be opened and its first row read.

    Raises:
        BadSource: It cannot.
    """
    with _explained(where, form):
        next(form.lines(path, where, lambda _: None), None)


@contextmanager
def _explained(where: str, form: TableForm) -> Iterator[None]:
    """Turn what the readers raise into BadSource."""
    try:
        yield
    except VitrineError:
        raise
    except Exception as error:  # what a workbook's readers raise at damage is of no one kind
        if isinstance(error, OSError) and error.errno is not None:
            raise
        said = printable(" ".join(str(error).split()), 200).rstrip(".") or type(error).__name__
        raise BadSource(
            f"{where} is {form.name}, but truncated or damaged ({said}).",
            "Export it again, or fetch it again; if it comes the same, it is damaged where it is kept.",
        ) from error


def _parquet(path: Path, where: str, tell: Tell) -> Rows:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, buffer_size=2**20, page_checksum_verification=True) as file:
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        rows, size = file.metadata.num_rows, sum(group.total_byte_size for group in groups)
        if size > (limit := limit_of(path.stat().st_size)):
            raise bomb(where, limit)
        batch = max(1, min(_BATCH, rows * _BATCH_BYTES // max(size, 1)))
        yield from _lines(file.iter_batches(batch_size=batch), rows, tell)


def _arrow_file(path: Path, _: str, tell: Tell) -> Rows:
    import pyarrow as pa

    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
        batches = (file.get_batch(number) for number in range(file.num_record_batches))
        yield from _lines(batches, 0, lambda _: tell(source.tell() / max(source.size(), 1)))


def _arrow_stream(path: Path, _: str, tell: Tell) -> Rows:
    import pyarrow as pa

    with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
        yield from _lines(stream, 0, lambda _: tell(source.tell() / max(source.size(), 1)))


def _lines(batches: Iterable["pa.RecordBatch"], rows: int, tell: Tell) -> Rows:
    """Each row as JSON; `rows` are as many as there will be, where that is known."""
    done = 0
    for whole in batches:
        whole.validate(full=True)  # offsets that point outside would end the process, not the file
        names = column_names(printable(name, 1000) for name in whole.schema.names)
        for start in range(0, len(whole), _BATCH):
            batch = whole.slice(start, _BATCH)
            columns = [_values(_plain(column)) for column in batch.columns]
            for values in zip(*columns, strict=True):
                yield _json(dict(zip(names, values, strict=True)))
            done += len(batch)
            tell(done / max(rows, 1))


def _plain(column: "pa.Array") -> "pa.Array":
    """Values that Python shows as a person wrote them: 12.9, not the 12.899999618530273 of 32 bits; no nanoseconds."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_float32(kind):
        return column.cast(pa.string()).cast(pa.float64())
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return column.cast(pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_struct(kind) and kind.num_fields:
        fields = [_plain(field) for field in column.flatten()]
        return pa.StructArray.from_arrays(fields, [field.name for field in kind], mask=column.is_null())
    return column


def _values(column: "pa.Array") -> Sequence[Any]:
    """The column as Python has it; null for what Python has no value for, such as a date in the year 20,000."""
    try:
        values: list[Any] = column.to_pylist(maps_as_pydicts="lossy")
    except (ValueError, OverflowError):
        values = [_value(scalar) for scalar in column]
    return values


def _value(scalar: "pa.Scalar") -> Any:
    try:
        return scalar.as_py(maps_as_pydicts="lossy")
    except (ValueError, OverflowError):
        return None


def _json(row: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(row, _other, _OPTIONS)
    except TypeError:  # whole numbers beyond 64 bits, halves of characters
        return orjson.dumps(_mended(row), _other, _OPTIONS)


def _other(value: Any) -> Any:
    """What orjson has no word for, in JSON's."""
    if isinstance(value, Decimal):
        whole = value.is_finite() and value == value.to_integral_value()
        return _mended(int(value)) if whole else float(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(value)


def _mended(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _mended(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_mended(each) for each in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _excel(path: Path, where: str, tell: Tell) -> Rows:
    """The rows under the heading of the fullest sheet that has one; an empty line for an empty row."""
    import openpyxl

    with path.open("rb") as stream:
        with zipfile.ZipFile(stream) as parts:
            if WORKBOOK not in parts.namelist():
                raise BadSource(
                    f"{where} is not a catalogue: it is another Office document than an .xlsx workbook.",
                    "Save the products as .xlsx or CSV, and give that.",
                )
            if sum(part.file_size for part in parts.infolist()) > (limit := limit_of(path.stat().st_size)):
                raise bomb(where, limit)
        warnings.filterwarnings("ignore", module="openpyxl")  # about styles and validations, which are not wanted
        book = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
        sheets = {sheet: sheet.max_row or EXCEL_ROWS for sheet in book.worksheets}
        for sheet in sheets:
            sheet.reset_dimensions()  # what a sheet says of its own size is often wrong
        for sheet in sorted(sheets, key=_rows_under, reverse=True) if len(sheets) > 1 else sheets:
            last = sheets[sheet]
            rows = iter(sheet.iter_rows(max_row=EXCEL_ROWS, values_only=True))
            if names := _heading(rows):
                others = ", ".join(repr(printable(name, 40)) for name in book.sheetnames if name != sheet.title)
                _say_once(where, f"sheet {printable(sheet.title, 40)!r} is read{others and f'; not read: {others}'}")
                yield from _under(names, rows, last, tell)
                return
    raise BadSource(
        f"{where} has no sheet with a heading: a row with the columns' names, among the first {_ABOVE_HEADER} rows.",
        "Write the columns' names, such as uid, title and content, above the products.",
    )


@lru_cache
def _say_once(where: str, said: str) -> None:
    """A workbook is opened several times: to be checked, to look at its columns, to be converted."""
    log.info("%s: %s", where, said)


def _rows_under(sheet: "ReadOnlyWorksheet") -> int:
    """Filled rows under a sheet's heading, of the first ones."""
    rows = iter(sheet.iter_rows(max_row=_COUNTED, values_only=True))
    return sum(any(cell is not None for cell in row) for row in rows) if _heading(rows) else 0


def _heading(rows: Iterator[tuple[Any, ...]]) -> list[str]:
    """The columns' names; none where no row is a heading: at least two texts, and nothing but texts."""
    for row in islice(rows, _ABOVE_HEADER):
        filled = [value for value in row if value is not None]
        if len(filled) > 1 and all(isinstance(value, str) and value.strip() for value in filled):
            cells = ["" if value is None else value for value in row]
            return [name if cell else "" for cell, name in zip(cells, column_names(cells), strict=True)]
    return []


def _under(names: list[str], rows: Iterator[tuple[Any, ...]], last: int, tell: Tell) -> Rows:
    blank = 0
    for number, cells in enumerate(rows):
        values = [_cell(cell) for cell in cells]
        if all(value is None for value in values):
            blank += 1  # thousands of formatted rows may lie under the last product
            continue
        yield from [b""] * blank
        blank = 0
        row = zip_longest(names, values, fillvalue=None)
        yield _json({name or f"column {at + 1}": value for at, (name, value) in enumerate(row) if name or value})
        tell(min(number / last, 1))


def _cell(value: Any) -> Any:
    """A cell's value in JSON's words."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else None if math.isnan(value) else value
    if isinstance(value, datetime):
        return value.isoformat() if value.time() != time() else value.date().isoformat()
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, str):
        return None if value in _ERRORS or not value.strip() else value
    return value
