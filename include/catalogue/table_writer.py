"""A Parquet file with page checksums and row groups of a fixed size, written beside other work."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq


class TableWriter:
    """Collects tables of any size and writes them in whole row groups, in a thread of its own.

    Use it as a context manager: the last, smaller row group is written at its end, unless it ends by an error.

    Args:
        path: The file to write.
        schema: Of all tables.
        row_group_rows: Rows in each row group but the last.
    """

    def __init__(self, path: Path, schema: pa.Schema, row_group_rows: int) -> None:
        self.path = path
        self.schema = schema
        self._rows = row_group_rows
        self._ranges: list[tuple[int, int]] = []
        self._parts: list[pa.Table] = []
        self._held = 0
        self._pending: Future[None] | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="parquet")
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            # Texts, hashes and row numbers hardly repeat.
            use_dictionary=["file", "reason", "target_rel.list.element", *_repeating(schema)],
            column_encoding={"target_ind.list.element": "DELTA_BINARY_PACKED"}
            if "target_ind" in schema.names
            else None,
            write_statistics=["row", "uid", "line"],
            write_page_checksum=True,
        )

    def __enter__(self) -> "TableWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        try:
            if kind is None:
                if self._held:
                    self._write(pa.concat_tables(self._parts))
                self._wait()
        finally:
            self._pool.shutdown()
            self._writer.close()

    def add(self, table: pa.Table) -> None:
        """Append rows. They are written once a row group is full; what is left over, when the writer is closed."""
        self._parts.append(table)
        self._held += table.num_rows
        if self._held < self._rows:
            return
        whole = pa.concat_tables(self._parts)
        end = self._held - self._held % self._rows
        for start in range(0, end, self._rows):
            self._write(whole.slice(start, self._rows))
        self._parts = [whole.slice(end)]
        self._held -= end

    def row_ranges(self) -> list[tuple[int, int]]:
        """The first and the last value of the column `row` in each row group that has been written."""
        return self._ranges

    def _write(self, group: pa.Table) -> None:
        self._wait()
        if "row" in group.column_names:
            self._ranges.append((group["row"][0].as_py(), group["row"][-1].as_py()))
        self._pending = self._pool.submit(self._writer.write_table, group, row_group_size=self._rows)

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()


def _repeating(schema: pa.Schema) -> list[str]:
    """The columns of attributes, of which most repeat."""
    if "attributes" not in schema.names:
        return []
    fields = schema.field("attributes").type
    return [f"attributes.{field.name}{'.list.element' if pa.types.is_list(field.type) else ''}" for field in fields]
