"""The file of answers: JSON lines with each question's whole entry, or a table for a spreadsheet or for pandas.

A table has what a person looks at first in columns of its own (`COLUMNS`); in the last is the whole entry as JSON text.
"""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import pyarrow as pa
import pyarrow.parquet as pq

from include.batch.figures import SHOWN

Kind = Literal["jsonl", "csv", "parquet"]
Row = Mapping[str, Any]  # `id`, the keys of the entry, `figures`

ROW_GROUP = 2000  # rows of a Parquet file that are written at once
COLUMNS = pa.schema(
    [
        ("id", pa.string()),
        ("question", pa.string()),
        ("answer", pa.string()),
        ("found", pa.bool_()),
        ("confidence", pa.float64()),  # of the answer
        ("confidence_retrieval", pa.float64()),
        ("source_uid", pa.string()),  # the first of the sources; empty where nothing answers
        ("source_title", pa.string()),
        ("source_snippet", pa.string()),
        ("source_uids", pa.string()),  # of all
        ("nearest_uid", pa.string()),  # the first product, whether or not it answers
        ("nearest_title", pa.string()),
        ("language", pa.string()),
        ("warnings", pa.string()),
        ("error", pa.string()),
        ("seconds", pa.float64()),
        *((name, pa.float64()) for name in SHOWN),
        ("entry", pa.string()),
    ]
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet computes
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)*")


class Writer(Protocol):
    """Takes rows and writes them, in their order. A context manager: at its end the file is whole."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *failure: Any) -> None: ...

    def write(self, rows: Sequence[Row]) -> None:
        """Write some more."""


def writer(path: Path, kind: Kind) -> Writer:
    """What writes a file of answers."""
    writers: dict[Kind, type[JsonLines | Csv | Parquet]] = {"jsonl": JsonLines, "csv": Csv, "parquet": Parquet}
    return writers[kind](path)


def flat(row: Row) -> dict[str, Any]:
    """A row as a table has it, by `COLUMNS`."""
    entry = {name: value for name, value in row.items() if name not in ("id", "figures")}
    source, nearest = ((row[name] or [{}])[0] for name in ("sources", "products"))
    error, confidence = row["error"], row["confidence"]
    return {
        "id": row["id"],
        "question": row["question"],
        "answer": row["answer"],
        "found": row["found"],
        "confidence": confidence["answer"],
        "confidence_retrieval": confidence["retrieval"],
        "source_uid": source.get("uid"),
        "source_title": source.get("title"),
        "source_snippet": source.get("snippet"),
        "source_uids": " | ".join(each["uid"] for each in row["sources"]) or None,
        "nearest_uid": nearest.get("uid"),
        "nearest_title": nearest.get("title"),
        "language": row["language"] or None,
        "warnings": " ".join(row["warnings"]) or None,
        "error": f"{error['what']} {error['next_step']}" if error else None,
        "seconds": row["seconds"],
        **{name: (row["figures"] or {}).get(name) for name in SHOWN},
        "entry": json.dumps(entry, ensure_ascii=False),
    }


class _Held:
    """Holds what is open until the end."""

    def __init__(self) -> None:
        self._held = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: Any) -> None:
        self._held.close()


class JsonLines(_Held):
    """One object a line: `id`, the whole entry, `figures`."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._stream = self._held.enter_context(path.open("w", encoding="utf-8"))

    def write(self, rows: Sequence[Row]) -> None:
        """Write some more."""
        self._stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


class Csv(_Held):
    """A CSV table as spreadsheets open it: UTF-8 with a mark, and no cell that they would compute."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        stream = self._held.enter_context(path.open("w", encoding="utf-8-sig", newline=""))
        self._table = csv.DictWriter(stream, COLUMNS.names)
        self._table.writeheader()

    def write(self, rows: Sequence[Row]) -> None:
        """Write some more."""
        self._table.writerows({name: _cell(value) for name, value in flat(row).items()} for row in rows)


def _cell(value: Any) -> Any:
    """A value as a spreadsheet reads it; a text that looks like a formula, as catalogues may have it, stays a text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value.startswith(_FORMULA) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


class Parquet(_Held):
    """The same table, typed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = self._held.enter_context(pq.ParquetWriter(path, COLUMNS, write_page_checksum=True))
        self._rows: list[dict[str, Any]] = []

    def write(self, rows: Sequence[Row]) -> None:
        """Write some more, whole row groups at a time."""
        self._rows += map(flat, rows)
        if len(self._rows) >= ROW_GROUP:
            self._flush()

    def __exit__(self, *failure: Any) -> None:
        try:
            if failure[0] is None:
                self._flush()
        finally:
            super().__exit__(*failure)

    def _flush(self) -> None:
        self._file.write_table(pa.Table.from_pylist(self._rows, COLUMNS))
        self._rows.clear()
