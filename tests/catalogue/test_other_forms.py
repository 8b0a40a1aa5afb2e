"""Catalogues in other forms than JSON lines, from the file as people have it to the products."""

import csv
import gzip
import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from include.catalogue.convert import convert
from include.catalogue.summary import Counted
from include.core.artifacts import Artifact
from include.core.errors import BadSettings, BadSource
from include.core.forms import pipeline_settings
from include.core.settings import ConvertSettings, SourceSettings
from include.formats.refusals import NOT_DECODED, NOT_QUOTED, TOO_MANY_CELLS
from include.report.data import data as data_section
from include.source.download import download
from tests.catalogue.lines import stored

ROWS = [
    {"uid": f"{number:04}", "title": f"Théière {number}", "content": f'Pour le thé,\n"rapide"; n° {number}'}
    for number in range(40)
]


def made(root: Path, name: str, data: bytes) -> Artifact:
    """A file of that name, downloaded and converted."""
    file = root.parent / name
    file.write_bytes(data)
    source = download(SourceSettings(source=str(file)), root=root)
    return convert(source.path, ConvertSettings(max_reject_share=0.5), root=root)


def table(path: Path, delimiter: str, encoding: str, end: str = "\r\n") -> bytes:
    with path.open("w", newline="", encoding=encoding) as out:
        writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
        writer.writerow(ROWS[0])
        writer.writerows(row.values() for row in ROWS)
    return path.read_bytes()


FILES: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "shop.csv": (lambda path: table(path, ";", "cp1252"), "a CSV table with semicolons, Windows-1252"),
    "shop.tsv": (lambda path: table(path, "\t", "utf-16"), "a table with tabs (TSV), UTF-16"),
    "shop.csv.gz": (lambda path: gzip.compress(table(path, ",", "utf-8-sig", "\n")), "a CSV table, UTF-8 with a byte"),
    "shop.json.gz": (lambda _: gzip.compress(json.dumps(ROWS).encode()), "one JSON array"),
    "shop.json": (lambda _: json.dumps({"n": 40, "items": ROWS}, indent=2).encode(), "around a list, 'items'"),
    "dump.json": (lambda _: "".join(f"{row}\n" for row in ROWS).encode(), "Python dictionaries"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_a_shop_has_becomes_its_products(
    tmp_path: Path, root: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Danger: a shop's own file is refused, or read in another encoding or without some of its products."""
    caplog.set_level(logging.INFO)
    data, form = FILES[name]
    found = made(root, name, data(tmp_path / "table"))
    assert [(row["row"], row["uid"], row["title"]) for row in stored(found)] == [
        (number, row["uid"], row["title"]) for number, row in enumerate(ROWS)
    ]
    assert stored(found)[7]["content"] == 'Pour le thé,\n"rapide"; n° 7'.replace("\n", " ")
    assert any(form in record.getMessage() and record.getMessage().startswith("trn: ") for record in caplog.records)


def test_each_row_of_a_table_has_its_fate(root: Path) -> None:
    """Danger: a row is lost without being counted, or the rejected one cannot be found in the file."""
    rows = [
        "uid,title,content",
        "1,Kettle,\"['a', 'b']\"",
        ",,",
        "",
        "2,Pan",
        '3,"Pan\nlid",x,"y, z"',
        "1,Théière,again",
    ]
    data = "\n".join([*rows, *(f"{number},Pan {number},x" for number in range(10, 9_000)), "4,"]).encode()
    found = made(root, "shop.csv", data + b"th\xe9,x\n5,Pan\0,x\n")
    counts = found.stats["trn"]
    assert counts["blank"] == 2
    assert counts["read"] == counts["accepted"] + counts["rejected"] + counts["merged"] == 8_998 - 2
    rejected = [(row["line"], row["reason"], row["excerpt"]) for row in stored(found, "rejected.parquet")]
    assert rejected == [
        (6, TOO_MANY_CELLS, f"{TOO_MANY_CELLS}: 3,Pan lid,x,y, z"),
        (8_999, NOT_DECODED, f"{NOT_DECODED}: 4,th?,x"),
    ]
    assert data.split(b"\n")[8_998].startswith(b"4,"), "what an editor shows"
    assert stored(found)[-1]["uid"] == "5"


def test_the_line_of_a_rejected_row_is_the_editors(root: Path) -> None:
    """Danger: of a table whose cells have line ends, nobody finds the row that was refused."""
    rows = ["sep=,", "", "uid,title,content"]
    quoted = '"Kettle"'
    for number in range(60_000):
        cell = f'"Hot.\n\n{number % 7} l\n"' if number % 3 and number < 30_000 else "x"
        rows.append(f"{number},{'' if number % 5_000 == 4_999 else quoted},{cell}")
        if number % 9_000 == 7:
            rows.append(f"x{number},Pot,{cell},{cell}")
        if number % 11_000 == 1:
            rows.append("")
        if number == 40_000:
            rows.append('q,"Pan,x')
    text = "\n".join(rows) + "\n"
    found = made(root, "shop.csv", text.encode())
    lines = text.split("\n")
    rejected = stored(found, "rejected.parquet")
    assert {each["reason"] for each in rejected} == {"no title", TOO_MANY_CELLS, NOT_QUOTED}
    assert sum(each["reason"] == "no title" and each["excerpt"].startswith('{"uid":"') for each in rejected) >= 12
    for each in rejected:
        begins = lines[each["line"] - 1]
        assert each["excerpt"].removeprefix('{"uid":"').removeprefix(f"{each['reason']}: ")[:4] == begins[:4]


def test_short_rows_are_counted(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Danger: a file that was cut, or shifted, loses its last columns without a word but in the first run's log."""
    many = "".join(f"{number},Kettle {number},{'hot ' * 9}\n{number}b,Pot\n" for number in range(100_000, 130_000))
    first = made(root, "shop.csv", ("uid,title,content\n" + many).encode())
    assert first.stats["trn"]["short"] == 30_000, "in several blocks"
    caplog.clear()
    caplog.set_level("INFO")
    assert made(root, "shop.csv", ("uid,title,content\n" + many).encode()).reused
    assert "trn: rows with fewer cells than the header: 30,000" in caplog.text
    page = data_section(Counted.model_validate(first.stats))
    assert 'rows with fewer cells than the header</th><td class="number">30,000' in page
    assert "short" not in made(root, "whole.csv", b"uid,title\n1,Kettle\n2,Pot\n").stats["trn"]


def test_half_an_array_is_no_catalogue(root: Path) -> None:
    """Danger: an export that broke off replaces the whole catalogue."""
    with pytest.raises(BadSource, match="record 40, before its list is closed"):
        made(root, "shop.json", json.dumps(ROWS).encode()[:-20])


TURKISH = "uid,title\n" + "".join(f"{number},Şık çaydanlık ığdır {number}\n" for number in range(9))


@pytest.mark.parametrize("name", ["cp1254", "ISO-8859-9", "latin5"])
def test_an_encoding_that_is_given_is_not_guessed(root: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Danger: a shop in Istanbul gets Icelandic letters, and nothing that it can do about it."""
    caplog.set_level(logging.INFO)
    file = root.parent / "shop.csv"
    file.write_bytes(TURKISH.encode("cp1254"))
    source = download(SourceSettings(source=str(file)), root=root)
    guessed = convert(source.path, pipeline_settings({}).convert, root=root)
    assert (
        "the encoding is a guess by its letters: if they come out wrong, the setting encoding has another"
        in caplog.text
    )
    given = convert(source.path, pipeline_settings({"encoding": name}).convert, root=root)
    assert given.fingerprint != guessed.fingerprint
    assert [row["title"] for row in stored(given)] == [line.split(",")[1] for line in TURKISH.splitlines()[1:]]


def test_an_encoding_given_holds_for_what_begins_in_ascii(root: Path) -> None:
    """Danger: the first 64 KiB decide, and the setting is forgotten after them."""
    many = "".join(f"{number},Kettle {number}\n" for number in range(9_000))
    file = root.parent / "shop.csv"
    file.write_bytes(f"uid,title\n{many}x,Şık çaydanlık\n".encode("cp1254"))
    source = download(SourceSettings(source=str(file)), root=root)
    made = convert(source.path, pipeline_settings({"encoding": "cp1254"}).convert, root=root)
    assert stored(made)[-1]["title"] == "Şık çaydanlık"


@pytest.mark.parametrize("name", ["turkish", "rot13", "a\0b"])
def test_an_encoding_that_is_none_is_refused(name: str) -> None:
    """Danger: a typing error is found hours later, in a worker's traceback."""
    with pytest.raises(BadSettings, match=r"encoding = .*Python knows no encoding of text by this name"):
        pipeline_settings({"encoding": name})
