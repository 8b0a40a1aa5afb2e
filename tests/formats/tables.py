"""One table of products as Parquet, Arrow and Excel files."""

import io
from collections.abc import Callable
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet

ROWS: list[dict[str, Any]] = [
    {"uid": f"{number:03}", "title": f"Kettle {number}", "content": "It boils.", "price": number + 0.5}
    for number in range(30)
]


def parquet(rows: list[dict[str, Any]] = ROWS) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), out, row_group_size=7)
    return out.getvalue()


def feather(rows: list[dict[str, Any]] = ROWS) -> bytes:
    out = io.BytesIO()
    pyarrow.feather.write_feather(pa.Table.from_pylist(rows), out, chunksize=7)
    return out.getvalue()


def stream(rows: list[dict[str, Any]] = ROWS) -> bytes:
    out = io.BytesIO()
    table = pa.Table.from_pylist(rows)
    with pyarrow.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    return out.getvalue()


def excel(rows: list[dict[str, Any]] = ROWS) -> bytes:
    sheet = [list(rows[0]), *(list(row.values()) for row in rows)]
    return workbook({"Products": sheet})


def workbook(sheets: dict[str, list[list[Any]]]) -> bytes:
    book = openpyxl.Workbook(write_only=True)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


TABLES: dict[str, Callable[[], bytes]] = {"parquet": parquet, "feather": feather, "arrows": stream, "xlsx": excel}
