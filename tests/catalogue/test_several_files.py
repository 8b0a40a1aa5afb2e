"""Catalogues of several files, and of forms other than lines, from the source to the products."""

import gzip
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from include.catalogue.convert import convert
from include.core import artifacts, kinds
from include.core.artifacts import Artifact
from include.core.errors import BadSource, TooManyRejects
from include.core.settings import ConvertSettings, SourceSettings
from include.formats.archive import Archive
from include.source.download import download
from tests.catalogue.lines import stored
from tests.formats.packers import PACKERS
from tests.formats.random_archives import tarred, zipped
from tests.formats.tables import ROWS, TABLES, excel, parquet

DAYS = 30


def day(number: int) -> bytes:
    rows = [{"uid": f"{number}-{row}", "title": f"Kettle {number}, {row}", "content": "It boils."} for row in range(20)]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def folder(root: Path, files: Mapping[str, bytes]) -> Path:
    """A source artifact that holds a directory."""

    def write(space: artifacts.Workspace) -> dict[str, Any]:
        for name, data in files.items():
            path = space.path / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return {"file": "files", "origin": "test", "bytes": 1, "sha256": "0" * 64, "format": "folder"}

    return artifacts.build(root, kinds.SOURCE, write, settings={"test": "folder"}).path


def given(root: Path, path: Path, data: bytes) -> Artifact:
    """What becomes of a file that a person gives."""
    path.write_bytes(data)
    source = download(SourceSettings(source=str(path)), root=root)
    return convert(source.path, ConvertSettings(), root=root)


LAYOUTS: dict[str, Callable[[], bytes]] = {
    **TABLES,
    **{f"parquet.{name}": lambda pack=pack: pack(parquet()) for name, pack in PACKERS.items()},  # type: ignore[misc]
    **{f"jsonl.{name}": lambda pack=pack: pack(lines()) for name, pack in PACKERS.items()},  # type: ignore[misc]
    "tar.xz": lambda: PACKERS["xz"](tarred([("shop/products.xlsx", excel()), ("README", b"Hello")])),
    "windows.zip": lambda: zipped([("LF-Amazon-670K\\", b""), ("LF-Amazon-670K\\trn.json.gz", gzip.compress(lines()))]),
    "amazon-670k.zip": lambda: zipped(
        [("Amazon-670K/trn.raw.json.gz", gzip.compress(lines())), ("Amazon-670K/filter_labels_test.txt", b"1 2\n")]
    ),
    "mac.zip": lambda: zipped(
        [("p.json", lines()), ("__MACOSX/._p.json", b"\0\5\x16\7"), (".DS_Store", b"\0\0\0\1Bud1")]
    ),
    "csv.zip": lambda: zipped([("shop.csv", b"uid,title,content,price\n" + csv_rows()), ("license.txt", b"MIT")]),
}


def lines() -> bytes:
    return "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def csv_rows() -> bytes:
    return "".join(f"{row['uid']},{row['title']},{row['content']},{row['price']}\n" for row in ROWS).encode()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_a_person_gives_goes_in(root: Path, tmp_path: Path, layout: str) -> None:
    """Danger: a catalogue has to be exported anew, because of its form, its packing or where it lies in an archive."""
    made = given(root, tmp_path / "given", LAYOUTS[layout]())
    assert [(row["uid"], row["title"], row["content"]) for row in stored(made)] == [
        (row["uid"], row["title"], row["content"]) for row in ROWS
    ]
    assert made.stats["trn"]["read"] == len(ROWS)


def test_thirty_days_of_which_one_is_broken(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Danger: one broken file of many fails the run, or is left out without a word."""
    files = {f"day-{number:02}.json": day(number) for number in range(DAYS)}
    files["day-17.json"] = b"<!DOCTYPE html><html>Sorry, try again later</html>" + b" " * 900
    files |= {"README.md": b"# Export", ".DS_Store": b"\0", "logo.png": b"\x89PNG\r\n"}
    source = folder(root, files)
    with caplog.at_level(logging.WARNING):
        made = convert(source, ConvertSettings(), root=root)
    trn = made.stats["trn"]
    assert (trn["files"], trn["read"], trn["accepted"], trn["rejected"]) == (DAYS, 29 * 20 + 1, 29 * 20, 1)
    assert [row["row"] for row in stored(made)] == [*range(17 * 20), *range(17 * 20 + 1, 29 * 20 + 1)]
    (reject,) = stored(made, "rejected.parquet")
    assert (reject["file"], reject["line"]) == ("day-17.json", 1)
    assert "a web page (HTML)" in reject["excerpt"]
    assert "day-17.json is set aside" in caplog.text and "a web page (HTML)" in caplog.text
    with pytest.raises(TooManyRejects) as caught:  # a stricter limit, on what is there already
        convert(source, ConvertSettings(max_reject_share=0.01), root=root)
    assert "1 of 30 files cannot be read" in caught.value.what
    assert "Replace or remove day-17.json, or raise max_reject_share" in caught.value.next_step


def test_lines_before_the_damage_are_kept_and_places_are_those_of_the_file(root: Path) -> None:
    """Danger: half a day's products are lost with the other half; or a place that nobody finds again."""
    long = b"".join(
        b'{"uid": "long %d", "title": "%d"}\n' % (number, number * 7919 % 10**9) for number in range(200_000)
    )
    files = {"a.jsonl.gz": gzip.compress(day(1)), "b.jsonl.gz": gzip.compress(long)[:-5_000]}
    files["c.jsonl.gz"] = gzip.compress(day(2) + b"{\n")
    made = convert(folder(root, files), ConvertSettings(max_reject_share=1), root=root)
    (broken,) = made.stats["trn"]["broken"]
    assert broken["file"] == "b.jsonl.gz" and "ends too early" in broken["reason"]
    assert 50_000 < broken["lines"] < 200_000
    assert made.stats["trn"]["accepted"] == 40 + broken["lines"]
    rejects = [(row["file"], row["line"]) for row in stored(made, "rejected.parquet")]
    assert rejects == [("b.jsonl.gz", broken["lines"] + 1), ("c.jsonl.gz", 21)]
    assert [row["uid"] for row in stored(made)][-1] == "2-19"


def test_one_broken_file_alone_fails(root: Path, tmp_path: Path) -> None:
    """Danger: half a catalogue goes live because it was counted as a few rejected lines."""
    with pytest.raises(BadSource, match="ends too early"):
        given(root, tmp_path / "c.jsonl.gz", gzip.compress(day(1) * 500)[:-5])


@pytest.mark.parametrize(
    "pack", [zipped, tarred, lambda files: gzip.compress(tarred(files))], ids=["zip", "tar", "tgz"]
)
def test_the_files_of_an_archive_come_in_the_order_of_their_names(
    tmp_path: Path, pack: Callable[[list[tuple[str, bytes]]], bytes]
) -> None:
    """Danger: the order in which somebody's disk listed them decides which of two equal uids counts."""
    (tmp_path / "c").write_bytes(pack([("2.json", day(2)), ("x/1.json", day(1)), ("0.json", b""), ("10.json", day(3))]))
    with Archive(tmp_path / "c") as opened:
        assert [member.name for member in opened.members["trn"]] == ["0.json", "10.json", "2.json", "x/1.json"]
        found = b"\n".join(part.lines for part in opened.parts("trn"))
    assert found + b"\n" == day(3) + day(2) + day(1)


def test_files_of_several_forms_are_refused_with_what_each_is(tmp_path: Path) -> None:
    """Danger: the same catalogue in two forms goes in twice, or one of two is taken silently."""
    (tmp_path / "c").write_bytes(zipped([("a.parquet", parquet()), ("b.json", lines()), ("c.pdf", b"%PDF-1.7")]))
    with pytest.raises(BadSource, match=r"a\.parquet \(a Parquet file\), b\.json \(JSON lines\)") as caught:
        Archive(tmp_path / "c")
    assert "trn" in caught.value.next_step


@pytest.mark.parametrize("others", ["id,name,email\n1,Ann,a@x.org\n", "id,name\n1,Lamps\n"])
def test_customers_or_categories_beside_products_are_refused(root: Path, others: str) -> None:
    """Danger: persons become products, because their table has an id and a name too."""
    products = "id,name,description,price\n" + "".join(f"{n},Pan {n},Flat.,{n}\n" for n in range(20))
    with pytest.raises(BadSource) as caught:
        convert(folder(root, {"a.csv": others.encode(), "p.csv": products.encode()}), ConvertSettings(), root=root)
    assert "p.csv (description, id, name, price)" in caught.value.what and "a.csv (" in caught.value.what


def test_of_daily_exports_the_first_counts_and_a_warning_says_so(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Danger: ids that come again each day are taken for no ids; or the prices of the first day are kept unnoticed."""
    records = [[{"id": f"A{n}", "name": f"Pan {n}", "price": day} for n in range(50)] for day in range(5)]
    files = {f"{day}.jsonl": "\n".join(map(json.dumps, rows)).encode() for day, rows in enumerate(records)}
    made = convert(folder(root, files), ConvertSettings(), root=root)
    assert {product["attributes"]["price"] for product in stored(made)} == {0.0}
    assert "200 records of the 5 files repeat a uid (200 with another text). The first one counts" in caplog.text


def test_a_file_name_need_not_be_utf_8(root: Path) -> None:
    """Danger: a UnicodeEncodeError for a name of an old server, at the first rejected line."""
    source = folder(root, {"a.jsonl": day(1), "pan\udce9.jsonl": day(2) + b"{\n"})
    made = convert(source, ConvertSettings(), root=root)
    assert [row["file"] for row in stored(made, "rejected.parquet")] == ["pan·.jsonl"]
