"""Parquet, Arrow and Excel files as JSON lines."""

import io
import json
import logging
import random
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.core.errors import BadSource
from include.formats import compression
from include.formats.archive import Archive
from tests.formats.packers import PACKERS
from tests.formats.random_archives import tarred, zipped
from tests.formats.tables import ROWS, TABLES, parquet, workbook

tables = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)


def records(path: Path, scratch: Path | None = None) -> list[dict[str, Any] | None]:
    """The records of a file; None for a blank one."""
    with Archive(path, scratch=scratch) as opened:
        blocks = list(opened.blocks("trn"))
    return [json.loads(line) if line else None for block in blocks for line in block.split(b"\n")]


def refusal(path: Path) -> BadSource:
    with pytest.raises(BadSource) as caught:
        records(path)
    assert caught.value.next_step.endswith(".")
    return caught.value


def written(path: Path, table: pa.Table) -> Path:
    pq.write_table(table, path)
    return path


@tables
def test_rows_arrive_whatever_the_file_is_called(tmp_path: Path, table: Callable[[], bytes]) -> None:
    """Danger: the form is taken from a name, which a download may have made up."""
    (tmp_path / "download").write_bytes(table())
    assert records(tmp_path / "download") == ROWS


@tables
@pytest.mark.parametrize("around", [*PACKERS, "zip", "tar", "tar.gz", "gz in zip"])
def test_rows_arrive_out_of_an_archive_and_nothing_stays(
    tmp_path: Path, table: Callable[[], bytes], around: str
) -> None:
    """Danger: what is read from its end cannot be streamed; or the copy fills the disk."""
    data, path, scratch = table(), tmp_path / "c", tmp_path / "scratch"
    scratch.mkdir()
    packs: dict[str, Callable[[bytes], bytes]] = {
        **PACKERS,
        "zip": lambda data: zipped([("shop/products", data), ("README.md", b"x")]),
        "tar": lambda data: tarred([("trn.parquet", data)]),
        "tar.gz": lambda data: PACKERS["gz"](tarred([("products", data)])),
        "gz in zip": lambda data: zipped([("trn.xlsx.gz", PACKERS["gz"](data))]),
    }
    path.write_bytes(packs[around](data))
    assert records(path, scratch) == ROWS
    assert not list(scratch.iterdir())


def test_values_are_what_a_person_would_write(tmp_path: Path) -> None:
    """Danger: 12.9 becomes 12.899999618530273, a date a number of days, a struct its Python text."""
    amount = pa.struct([("amount", pa.float32()), ("currency", pa.string())])
    columns: dict[str, tuple[Any, pa.DataType | None, Any]] = {
        "id": (123456789012345678, None, 123456789012345678),
        "float": (12.9, pa.float32(), 12.9),
        "nan": (float("nan"), None, None),
        "struct": ({"amount": 19.99, "currency": "EUR"}, amount, {"amount": 19.99, "currency": "EUR"}),
        "list": (["a", "b"], None, ["a", "b"]),
        "structs": ([{"name": "a"}], None, [{"name": "a"}]),
        "map": ([("colour", "red")], pa.map_(pa.string(), pa.string()), {"colour": "red"}),
        "date": (date(2024, 5, 1), None, "2024-05-01"),
        "naive": (datetime(2024, 5, 1, 12, 30), pa.timestamp("ns"), "2024-05-01T12:30:00"),  # noqa: DTZ001 - as files are
        "zoned": (datetime(2024, 5, 1, tzinfo=UTC), pa.timestamp("ms", "UTC"), "2024-05-01T00:00:00+00:00"),
        "time": (time(9, 30), None, "09:30:00"),
        "duration": (timedelta(hours=1), None, "1:00:00"),
        "decimal": (Decimal("12.90"), pa.decimal128(10, 2), 12.9),
        "whole": (Decimal("3"), pa.decimal128(10, 0), 3),
        "long": (Decimal("1" * 30), pa.decimal128(38, 0), "1" * 30),
        "bytes": (b"text", None, "text"),
        "picture": (b"\x89PNG\xff", None, None),
        "flag": (True, None, True),
        "null": (None, pa.null(), None),
        "far": (2**30, pa.int32(), None),  # days: the year 2,941,764
    }
    arrays = {name: pa.array([value], kind) for name, (value, kind, _) in columns.items()}
    arrays["far"] = arrays["far"].cast(pa.date32())
    arrays["category"] = pa.array(["Kitchen"]).dictionary_encode()
    found = records(written(tmp_path / "c", pa.table(arrays)))
    assert found == [{**{name: expected for name, (_, _, expected) in columns.items()}, "category": "Kitchen"}]


def test_a_workbook_is_its_first_sheet_with_a_heading(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Danger: notes in front are read as products; or a sheet is left out without a word."""
    rows: list[list[Any]] = [
        ["Our products, May"],
        [],
        ["sku", " name ", None, "price", "since", "seen", "stock"],
        [7, "Kettle", "loose", 12.0, date(2024, 5, 1), datetime(2024, 5, 1, 9, 30), True],  # noqa: DTZ001 - as files are
        [],
        ["008", "Pan", None, 1.5, None, None, "#N/A"],
        [None, "  "],
    ]
    (tmp_path / "c").write_bytes(workbook({"Read me": [["Call us"]], "Shop": rows, "Old": [["sku", "name"]]}))
    with caplog.at_level(logging.INFO):
        found = records(tmp_path / "c")
    first = {"sku": 7, "name": "Kettle", "column 3": "loose", "price": 12, "since": "2024-05-01"}
    assert found == [
        {**first, "seen": "2024-05-01T09:30:00", "stock": True},
        None,
        {"sku": "008", "name": "Pan", "price": 1.5, "since": None, "seen": None, "stock": None},
    ]
    assert "sheet 'Shop' is read; not read: 'Read me', 'Old'" in caplog.text


def test_a_workbook_without_a_heading_says_so(tmp_path: Path) -> None:
    """Danger: the first product is taken for the names of the columns."""
    (tmp_path / "c").write_bytes(workbook({"Numbers": [[1, 2], [3, 4]]}))
    error = refusal(tmp_path / "c")
    assert "no sheet with a heading" in error.what and "columns' names" in error.next_step


@tables
def test_damage_is_an_error_of_ours_or_no_error(tmp_path: Path, table: Callable[[], bytes]) -> None:
    """Danger: frames of pyarrow or openpyxl, or the end of the process, at a file that anybody may have made."""
    sound = table()
    for cut in (len(sound) // 2, len(sound) - 3):
        (tmp_path / "c").write_bytes(sound[:cut])
        assert "damaged" in refusal(tmp_path / "c").what
    rng = random.Random(20240501)
    refused = 0
    for _ in range(60):
        data = bytearray(sound)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        (tmp_path / "c").write_bytes(data)
        try:
            records(tmp_path / "c")
        except BadSource:
            refused += 1
    assert refused > 20


def test_a_table_that_unpacks_to_gigabytes_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Danger: a column of one value takes no room in the file, and fills the disk in lines."""
    monkeypatch.setattr(compression, "FREE_BYTES", 2**10)
    table = pa.table({"uid": pa.array(["x" * 2000] * 200_000)})
    assert "decompression bomb" in refusal(written(tmp_path / "c", table)).what
    out = io.BytesIO(TABLES["xlsx"]())
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/media/zeros.bin", bytes(30 * 2**20))
    (tmp_path / "c").write_bytes(out.getvalue())
    assert "decompression bomb" in refusal(tmp_path / "c").what


PEAK = """
import resource, sys
from pathlib import Path
from include.formats.archive import Archive
import pyarrow.parquet
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with Archive(Path(sys.argv[1])) as opened:
    print(sum(block.count(b"\\n") + 1 for block in opened.blocks("trn")))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_parquet_file_of_300_000_rows_is_read_in_bounded_memory(tmp_path: Path) -> None:
    """Danger: one row group is the whole file, as pandas writes it, and all of it is held."""
    rows = 300_000
    texts = pa.array([f"{number} " + "It boils water and looks good. " * 20 for number in range(rows)])
    table = pa.table({"uid": pa.array(range(rows)), "title": texts.dictionary_encode().cast(pa.string())})
    assert table.nbytes > 180 * 2**20
    pq.write_table(table, tmp_path / "c", row_group_size=rows)
    command = [sys.executable, "-c", PEAK, str(tmp_path / "c")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    count, grown = map(int, done.stdout.split())
    assert count == rows
    assert grown < 120, f"{grown} MiB more"


def test_a_cut_table_in_a_zip_names_the_member(tmp_path: Path) -> None:
    """Danger: which of many files is broken has to be found by hand."""
    (tmp_path / "c.zip").write_bytes(zipped([("shop/products.parquet", parquet()[:-10])]))
    assert (
        "shop/products.parquet in c.zip is a Parquet file, but truncated or damaged" in refusal(tmp_path / "c.zip").what
    )


def test_a_cover_sheet_is_not_the_catalogue(tmp_path: Path) -> None:
    """Danger: two cells of a cover are taken for the columns, and the products for nothing."""
    sheets: dict[str, list[list[Any]]] = {
        "Cover": [["Exported by", "Ana"], ["Date", "2024"]],
        "Shop": [["sku", "name"], *([f"S{n}", f"Pan {n}"] for n in range(5))],
    }
    (tmp_path / "a.xlsx").write_bytes(workbook(sheets))
    assert records(tmp_path / "a.xlsx")[0] == {"sku": "S0", "name": "Pan 0"}


def test_of_columns_with_one_name_each_is_kept(tmp_path: Path) -> None:
    """Danger: a second, empty `price` stands for the first one."""
    (tmp_path / "a.xlsx").write_bytes(workbook({"Shop": [["sku", "price", "price"], ["S0", 9.5, None]]}))
    columns = [pa.array(["S0"]), pa.array([9.5]), pa.array([None], pa.float64())]
    written(tmp_path / "a.parquet", pa.Table.from_arrays(columns, names=["sku", "price", "price"]))
    for name in ("a.xlsx", "a.parquet"):
        assert records(tmp_path / name) == [{"sku": "S0", "price": 9.5, "price (2)": None}]


def test_a_long_text_in_a_dictionary_is_unpacked_a_few_rows_at_a_time(tmp_path: Path) -> None:
    """Danger: a file of 200 KB that takes a gigabyte, since each of its rows has the same long text."""
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 4000, pa.int32()), pa.array(["x" * 50_000]))
    path = written(tmp_path / "a.parquet", pa.table({"sku": [f"S{n}" for n in range(4000)], "note": long}))
    tracemalloc.start()
    with Archive(path) as opened:
        assert sum(block.count(b"\n") + 1 for block in opened.blocks("trn")) == 4000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6
