"""Ten catalogue files as people have them, from the download stage to clean, typed rows. None needs a setting.

The JSON array of 100 MB at bounded memory is in `tests/formats`.
"""

import csv
import gzip
import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include import stages
from include.catalogue.schema import PRODUCTS_FILE, REJECTED_FILE, read_attributes
from include.core.forms import pipeline_settings
from include.run import Run

Row = dict[str, Any]
WORDS = ["kettle", "lamp", "chair", "camera", "drill", "guitar", "tent", "jacket", "clock", "bottle"]
BRANDS = ["Größ & Söhne", "Müller", "Café Noir"]


def goods(count: int = 60) -> list[Row]:
    """Products of a shop, typed."""
    return [
        {
            "sku": f"A-{number:04}",
            "name": f"{WORDS[number % 10]} number {number}",
            "description": f"A {WORDS[number % 10]} of the series {number}, made in Europe. It lasts for years.",
            "brand": BRANDS[number % 3],
            "price": 1000 + number + 0.5,
            "in_stock": number % 2 == 0,
            "added": f"2026-0{number % 9 + 1}-15",
        }
        for number in range(count)
    ]


def german(value: Any) -> str:
    """A value as a German shop's export writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.2f} €".translate(str.maketrans(",.", ".,"))
    return str(value)


def as_csv(rows: Sequence[Mapping[str, Any]], **dialect: Any) -> str:
    out = io.StringIO()
    table = csv.DictWriter(out, list(rows[0]), **dialect)
    table.writeheader()
    table.writerows({name: german(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def semicolons(path: Path) -> Path:
    return written(path / "export.csv", as_csv(goods(), delimiter=";").encode("cp1252"))


def tabs(path: Path) -> Path:
    return written(path / "export.tsv", as_csv(goods(), delimiter="\t").encode())


def unicode_text(path: Path) -> Path:
    """What Excel saves as "Unicode text"."""
    return written(path / "export.txt", as_csv(goods(), delimiter="\t").encode("utf-16"))


def quoted_newlines(path: Path) -> Path:
    rows = [{**row, "description": f'{row["description"]}\n\n"Best" buy,\nwe say.'} for row in goods()]
    lines = as_csv(rows).split("A-0030")
    return written(path / "export.csv", (lines[0] + "\r\n\r\nA-0030" + lines[1]).encode())


def array(path: Path) -> Path:
    return written(path / "export.json.gz", gzip.compress(json.dumps(goods(), indent=1).encode()))


def nested(path: Path) -> Path:
    rows = [
        {
            "sku": row["sku"],
            "name": row["name"],
            "text": {"description": row["description"], "bullets": ["Strong", "Light"]},
            "brand": row["brand"],
            "price": row["price"],
            "in_stock": row["in_stock"],
            "added": datetime.fromisoformat(row["added"]).replace(tzinfo=UTC),
        }
        for row in goods()
    ]
    target = path / "warehouse.parquet"
    pq.write_table(pa.Table.from_pylist(rows), target)
    return target


def listed_titles(path: Path) -> Path:
    lines = [json.dumps({**row, "name": [row["name"]]}) for row in goods()]
    return written(path / "export.jsonl", "\n".join(lines).encode())


def workbook(path: Path) -> Path:
    openpyxl = pytest.importorskip("openpyxl", exc_type=ImportError)
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(list(goods(1)[0]))
    for row in goods():
        sheet.append([datetime.fromisoformat(row["added"]) if name == "added" else row[name] for name in row])
    target = path / "export.xlsx"
    book.save(target)
    return target


def zstandard(path: Path) -> Path:
    with pa.CompressedOutputStream(path / "export.jsonl.zst", "zstd") as out:
        out.write("\n".join(map(json.dumps, goods())).encode())
    return path / "export.jsonl.zst"


def daily(path: Path) -> Path:
    """30 files of two products each, of which the 14th breaks off."""
    folder = path / "exports"
    folder.mkdir()
    for day in range(30):
        content = gzip.compress("\n".join(map(json.dumps, goods()[2 * day : 2 * day + 2])).encode())
        written(folder / f"2026-11-{day + 1:02}.jsonl.gz", content[:-20] if day == 13 else content)
    return folder


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


FILES: dict[str, Callable[[Path], Path]] = {
    "CSV with semicolons, Windows-1252": semicolons,
    "CSV with quoted newlines and blank rows": quoted_newlines,
    "TSV": tabs,
    "UTF-16": unicode_text,
    "JSON array, gzipped": array,
    "Parquet with nested columns": nested,
    "JSON lines with lists as titles": listed_titles,
    "Excel": workbook,
    "zstandard": zstandard,
    "a folder of 30 files, one broken": daily,
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_as_people_have_it_goes_in_with_its_attributes_typed(tmp_path: Path, root: Path, kind: str) -> None:
    source = FILES[kind](tmp_path)
    run = Run(pipeline_settings({"source": str(source)}), root, "run", datetime(2026, 11, 27, tzinfo=UTC))
    made = stages.convert(run, stages.download(run))
    counts = made["stats"]["trn"]
    assert counts["read"] == counts["accepted"] + counts["rejected"] + counts["merged"]

    broken = FILES[kind] is daily
    expected = [row for number, row in enumerate(goods()) if not (broken and number in (26, 27))]
    products = pq.read_table(Path(made["path"]) / PRODUCTS_FILE)
    assert products["uid"].to_pylist() == [row["sku"] for row in expected]
    assert products["title"].to_pylist() == [row["name"] for row in expected]
    contents = products["content"].to_pylist()
    assert all(row["description"] in content for row, content in zip(expected, contents, strict=True))

    types = {each.name: each.type for each in read_attributes(Path(made["path"]) / PRODUCTS_FILE)}
    assert types == {"brand": "keyword", "price": "money", "in_stock": "boolean", "added": "date"}
    assert products["attributes"].to_pylist() == [
        {
            "brand": row["brand"],
            "price": row["price"],
            "in_stock": row["in_stock"],
            "added": datetime.fromisoformat(row["added"]).replace(tzinfo=UTC),
        }
        for row in expected
    ]
    rejected = pq.read_table(Path(made["path"]) / REJECTED_FILE).to_pylist()
    assert (counts["accepted"], len(rejected)) == (len(expected), 1 if broken else 0)
    if broken:
        assert "2026-11-14.jsonl.gz" in rejected[0]["file"]
    assert counts["blank"] == (2 if FILES[kind] is quoted_newlines else 0)
