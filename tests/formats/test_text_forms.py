"""Texts that are no JSON lines: each form is recognised, and its records come out as they are."""

import csv
import gzip
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.core.errors import BadSource
from include.formats import json_values, rows
from include.formats.archive import Archive
from include.formats.delimited import delimited_form
from include.formats.form import BrokenOff, Form
from include.formats.lines import BLOCK, MAX_LINE
from include.formats.refusals import BARE_RETURN, NOT_DECODED, NOT_QUOTED, TOO_MANY_CELLS

ROWS = [{"asin": f"A{number}", "title": f"kettle {number}", "description": 'x, "y" [z]\n'} for number in range(9)]
TEXT = "".join(json.dumps(row) + "\n" for row in ROWS)


def table(delimiter: str, **more: Any) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, **more)
    writer.writerow(ROWS[0])
    writer.writerows(row.values() for row in ROWS)
    return out.getvalue()


def lines_of(path: Path) -> tuple[str, list[bytes]]:
    """The form of a file, and its records."""
    with Archive(path) as opened:
        form = opened.members["trn"][0].look.form
        assert form is not None
        return form.name, [line for block in opened.blocks("trn") for line in block.split(b"\n")]


def read(data: bytes | str) -> tuple[str, list[bytes]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "products"
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return lines_of(path)


def records(data: bytes | str) -> list[Any]:
    return [json.loads(line) for line in read(data)[1]]


# What is in the file, and what it is called.
FORMS: dict[str, tuple[str | bytes, str]] = {
    "csv": (table(","), "a CSV table"),
    "semicolons": (table(";", lineterminator="\n"), "a CSV table with semicolons"),
    "tabs": (table("\t", quoting=csv.QUOTE_ALL), "a table with tabs (TSV)"),
    "bars": (table("|"), "a CSV table with vertical bars"),
    "excel": ("sep=^\r\n" + table("^"), "a table with '^' between the cells"),
    "old mac": (table(",", lineterminator="\r"), "a CSV table"),
    "marked": (table(",").encode("utf-8-sig"), "a CSV table, UTF-8 with a byte-order mark"),
    "utf-16 table": (table("\t").encode("utf-16"), "a table with tabs (TSV), UTF-16"),
    "utf-16": (TEXT.encode("utf-16"), "JSON lines, UTF-16"),
    "utf-16-le": (TEXT.encode("utf-16-le"), "JSON lines, UTF-16"),
    "utf-16-be": (TEXT.encode("utf-16-be"), "JSON lines, UTF-16"),
    "utf-32": (TEXT.encode("utf-32"), "JSON lines, UTF-32"),
    "utf-32-le": (TEXT.encode("utf-32-le"), "JSON lines, UTF-32"),
    "utf-32-be": (TEXT.encode("utf-32-be"), "JSON lines, UTF-32"),
    "array": (json.dumps(ROWS), "one JSON array"),
    "array of lines": (f"[\n{TEXT}]", "one JSON array"),
    "pretty array": (json.dumps(ROWS, indent=2), "one JSON array"),
    "arrays": (json.dumps(ROWS[:4]) + "\n" + json.dumps(ROWS[4:]), "one JSON array"),
    "marked array": (json.dumps(ROWS).encode("utf-8-sig"), "one JSON array, UTF-8 with a byte-order mark"),
    "pretty": ("\n".join(json.dumps(row, indent=2) for row in ROWS), "JSON objects that are no lines"),
    "commas": (TEXT.replace("\n", ",\n"), "JSON objects that are no lines"),
    "no lines": (TEXT.replace("\n", ""), "JSON objects that are no lines"),
    "sequence": ("".join(f"\x1e{json.dumps(row, indent=1)}\n" for row in ROWS), "a JSON text sequence (RFC 7464)"),
    "python": ("".join(f"{row}\n" for row in ROWS), "Python dictionaries"),
    "python list": (repr(ROWS), "a Python list"),
    "wrapped": (json.dumps({"products": ROWS}), "one JSON object around a list, 'products'"),
    "a search engine's reply": (
        json.dumps({"responseHeader": {"status": 0}, "response": {"numFound": 3, "docs": ROWS}}),
        "one JSON object around a list, 'response.docs'",
    ),
    "the longer list": (
        json.dumps({"shops": [{"name": "x"}], "title": "shop", "a b": ROWS, "n": [{}]}, indent=1),
        "one JSON object around a list, 'a b'",
    ),
}


def packed(kind: str, data: bytes) -> bytes:
    out = io.BytesIO()
    if kind == "gzip":
        return gzip.compress(data)
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("shop/trn.json", data)
    elif kind == "tar":
        with tarfile.open(fileobj=out, mode="w:gz") as tar:
            entry = tarfile.TarInfo("trn.json")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue() or data


@pytest.mark.parametrize("where", ["plain", "gzip", "zip", "tar"])
@pytest.mark.parametrize("kind", FORMS)
def test_each_form_is_recognised_and_read(kind: str, where: str) -> None:
    """Danger: what people have is refused, or read as something else, or a record is lost."""
    data, name = FORMS[kind]
    found, lines = read(packed(where, data.encode() if isinstance(data, str) else data))
    assert found == name
    assert [json.loads(line) for line in lines] == ROWS


def test_a_long_list_inside_an_object_is_streamed() -> None:
    """Danger: the list is longer than what is looked at, and the object around it is taken for a record."""
    whole = {"took": 3, "hits": {"total": 9000, "docs": ROWS * 1000}, "more": [{"a": 1}]}
    for indent in (None, 1):
        assert records(json.dumps(whole, indent=indent)) == ROWS * 1000
    assert records('{"products": [\n' + ",\n".join(TEXT.splitlines() * 1000) + "\n]}") == ROWS * 1000


@pytest.mark.parametrize("indent", [None, 2])
def test_a_bad_element_of_an_array_costs_itself_alone(indent: int | None) -> None:
    """Danger: the records between two bad ones become one, and one is counted as rejected."""
    texts = [json.dumps({"uid": str(n), "parts": [{"uid": "x"}] * 2}, indent=indent) for n in range(400)]
    for bad in (100, 350):
        texts[bad] = texts[bad].replace(f'"{bad}"', f'"Mug 5" wide {bad}"')
    data = "[\n" + ",\n".join(texts) + "\n]"
    lines = read(data.replace("\n", "\n  ") if indent else data)[1]
    assert len(lines) == 400
    assert [n for n, line in enumerate(lines) if b"wide" in line] == [100, 350]
    assert all(json.loads(line)["uid"] == str(n) for n, line in enumerate(lines) if b"wide" not in line)


def test_a_bracket_that_is_not_closed_costs_its_record_alone() -> None:
    """Danger: all records after it are one, which is rejected."""
    texts = [json.dumps(row, indent=1) for row in ROWS]
    lines = read("\n".join([*texts, '{\n"uid": "z",\n"title": "q"', *texts]))[1]
    assert [json.loads(line) for line in lines[:9] + lines[10:]] == ROWS * 2


@pytest.mark.parametrize("size", [2, 2000])
def test_one_product_a_file_is_that_product(size: int) -> None:
    """Danger: its variants are taken for the catalogue."""
    variants = [{"id": 10 + number, "title": f"Blue, {number}"} for number in range(size)]
    for product in (
        {"id": 1, "title": "Mug", "body_html": "nice", "variants": variants},
        {"variants": variants, "id": 1, "title": "Mug"},
        {"id": 1, "title": "Mug", "description": "nice", "related": variants},
    ):
        assert records(json.dumps(product)) == [product]


def test_the_list_that_is_named_products_is_the_catalogue() -> None:
    """Danger: the list of categories is, because it is longer or comes first."""
    whole = {"categories": ROWS * 5, "products": ROWS}
    assert records(json.dumps(whole)) == ROWS
    with pytest.raises(BadSource, match="two lists, 'categories' and 'products'"):
        read(json.dumps({"categories": ROWS * 2000, "products": ROWS}))


def test_a_second_object_around_a_list_is_not_dropped() -> None:
    """Danger: of the pages that a program has fetched, only the first is read."""
    page = json.dumps({"page": 1, "products": ROWS * 2000})
    with pytest.raises(BadSource, match="another object after record 18,000, the last in 'products'"):
        read(page + "\n" + page)


def test_what_lies_beside_the_records_of_an_array_is_not_lost() -> None:
    """Danger: what is no object vanishes without being counted; or a bad record takes its neighbours with it."""
    lines = read(b'[{"a":1}, null, 7, {"b" "x]"}, [2], {"c":\n{"d":[]}}]\n[{"e":5}] end {"f":6} }')[1]
    assert lines == [
        *(b'{"a":1}', b"null, 7", b'{"b" "x]"}', b"[2]", b'{"c":\r{"d":[]}}', b'{"e":5}', b"end", b'{"f":6}', b"}"),
    ]


def test_the_rows_of_a_table() -> None:
    """Danger: short, long and blank rows are lost, or put values under other names."""
    data = ' uid ,title,,title\n1,x,y,z\n2,x\n\n , ,,\n3,x,y,z,\n4,x,y,z,more\n5,"a ""b""\n c",y,z\n6,x,y'
    assert read(data)[1] == [
        b'{"uid":"1","title":"x","column 3":"y","title (2)":"z"}',
        b'{"uid":"2","title":"x"}',
        b"",
        b'{"uid":" ","title":" ","column 3":"","title (2)":""}',
        f"{TOO_MANY_CELLS}: 3,x,y,z,".encode(),
        f"{TOO_MANY_CELLS}: 4,x,y,z,more".encode(),
        b'{"uid":"5","title":"a \\"b\\"\\n c","column 3":"y","title (2)":"z"}',
        b'{"uid":"6","title":"x","column 3":"y"}',
    ]


@pytest.mark.parametrize(
    ("data", "title"),
    [
        ('uid\ttitle\n1\t12" disk\n2\t"x\n3\ty\n4\tz\n', '12" disk'),  # marks that quote nothing
        ('"uid","title"\n"1","a \\"b\\", c"\n"2","d"\n', 'a "b", c'),
        ('uid,title\n1,"C:\\"\n2,"x ""y"""\n', "C:\\"),
        ("uid;title\n1;2,5\n2;3,5\n", "2,5"),
        ("uid,title\n1,a\0b\n2,c\n", "a\0b"),
        ("\n\nuid,title\n1,x\n", "x"),
        ("uid,title\n1,['a']\n", "['a']"),
        ('uid, title\n1, "a, b"\n2, c\n', "a, b"),
        ("uid,title\n1,a,\n2,b,\n", "a"),  # each row ends in a delimiter, the names do not
    ],
)
def test_how_cells_are_quoted_is_seen(data: str, title: str) -> None:
    """Danger: a quotation mark in a title swallows the rows after it; or marks that only quote stay in the text."""
    found = records(data)
    assert [row["uid"] for row in found] == [str(number + 1) for number in range(len(found))]
    assert found[0]["title"] == title


@pytest.mark.parametrize("block", [500, BLOCK])
@pytest.mark.parametrize(
    "later",
    [
        'A3900,Mug "XL",wide',  # the next mark is in the middle of a cell
        'A3900,Mug 12",wide',  # it ends a cell, and the row is too short
        'A3900,12",wide',  # and the row has as many cells as it should
        'A3900,"Mug\n\n12 ""x"",",wide',
    ],
)
def test_a_stray_quotation_mark_refuses_its_row_alone(block: int, later: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Danger: the rows after it vanish into a cell, and nothing is counted as rejected."""
    monkeypatch.setattr(rows, "BLOCK", block)
    table = [f'A{number},"Mug {number}",a nice round mug' for number in range(2900)]
    table += [f"A{number},Mug {number},a nice round mug" for number in range(2900, 4000)]
    table[3000], table[3900] = 'A3000,"5 inch mug,wide', later
    lines = read("uid,title,content\n" + "\n".join(table) + "\n")[1]
    assert lines.pop(3000).decode() == f"{NOT_QUOTED}: {table[3000]}"
    assert [json.loads(line)["uid"] for line in lines] == [f"A{n}" for n in range(4000) if n != 3000]


def test_a_mark_inside_a_quoted_cell_far_down_is_read() -> None:
    """Danger: a row that was always read is refused because marks before it were all closed."""
    found = records("uid,title\n" + '1,"Mug, big"\n' * 8000 + '2,"5" mug"\n3,"x"\n')
    assert found[-2:] == [{"uid": "2", "title": '5 mug"'}, {"uid": "3", "title": "x"}]


def test_rows_before_a_mark_that_is_not_closed_are_kept() -> None:
    """Danger: of a small file among many that is broken at its end, nothing is read."""
    form = delimited_form("uid,title\n1,x\n2,y\n", whole=True)
    assert isinstance(form, Form)
    blocks = form.read(io.BytesIO(b'uid,title\n1,x\n2,y\n3,"x'))
    assert next(blocks).count(b"\n") == 1
    with pytest.raises(BrokenOff):
        next(blocks)


def test_a_first_product_longer_than_what_is_looked_at_leaves_a_table_one() -> None:
    """Danger: it is taken for JSON lines, and every row is rejected."""
    found = records('sku,name,description\n1,Mug,"' + "word " * 20_000 + '"\n2,Mug,nice\n')
    assert [row["sku"] for row in found] == ["1", "2"]


def test_a_table_without_rows_is_one() -> None:
    """Danger: a day without news in a folder of daily files is a file of an unknown kind."""
    assert read("id;name\r\n") == ("a CSV table with semicolons", [])


def test_a_carriage_return_inside_a_cell_refuses_that_row_alone() -> None:
    """Danger: it ends the row, and half a title is a product; or it ends the whole file."""
    assert read("uid,title\r\n1,a\rb\r\n2,x\r\n3,y\r\n")[1] == [
        f"{BARE_RETURN}: record 1".encode(),
        b'{"uid":"2","title":"x"}',
        b'{"uid":"3","title":"y"}',
    ]


ENCODED = {
    "cp1252": ("Windows-1252", "Bouilloire électrique – « rapide », l’été à 20 °C"),
    "iso8859_15": ("ISO-8859-15", "Poêle à frire, 20 €"),
    "cp1250": ("Windows-1250", "Rychlovarná konvice, rychle uvaří vodu, žlutá"),
    "cp1251": ("Windows-1251", "Чайник электрический, быстро нагревает воду"),
    "koi8_r": ("KOI8-R", "Чайник электрический, быстро нагревает воду"),
    "cp1253": ("Windows-1253", "Βραστήρας, ζεσταίνει γρήγορα το νερό"),
    "cp1254": ("Windows-1254", "Su ısıtıcı, suyu hızlı ısıtır, şık ve güzel"),
    "cp932": ("Shift-JIS", "電気ケトル、お湯をすばやく沸かします"),
    "euc_jp": ("EUC-JP", "電気ケトル、お湯をすばやく沸かします"),
    "gb18030": ("GB18030", "电热水壶,快速烧水,安全可靠"),
    "big5": ("Big5", "電熱水壺,快速燒水,安全可靠"),
    "cp949": ("EUC-KR", "전기 주전자, 물을 빨리 끓입니다"),
    "utf-16-le": ("UTF-16", "Чайник электрический, быстро нагревает воду"),
}


@pytest.mark.parametrize("codec", ENCODED)
@pytest.mark.parametrize("form", ["table", "lines", "array"])
def test_the_encoding_is_found_and_named(codec: str, form: str) -> None:
    """Danger: accents become rubbish, or a replacement character."""
    name, title = ENCODED[codec]
    rows = [{"uid": str(number), "title": f"{title} {number}"} for number in range(40)]
    if form == "table":
        text = "uid;title\r\n" + "".join(f"{row['uid']};{row['title']}\r\n" for row in rows)
    elif form == "lines":
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    else:
        text = json.dumps(rows, ensure_ascii=False)
    found, lines = read(text.encode(codec))
    assert found.endswith(f", {name}")
    assert [json.loads(line) for line in lines] == rows


@pytest.mark.parametrize(
    ("before", "wrong", "after"),
    [
        ("uid,title\n0,é\n".encode(), b"\xe9", b""),
        ("uid,title\n0,電気ケトル、お湯をすばやく沸かします\n".encode("cp932"), b"\x81", b""),
        (b"\xff\xfe" + "uid,title\n".encode("utf-16-le"), b"\0\xdc", b"\0"),
    ],
)
def test_what_cannot_be_decoded_later_refuses_its_row(before: bytes, wrong: bytes, after: bytes) -> None:
    """Danger: it is replaced without a word, or it ends the file."""
    wide = "utf-16-le" if after else "ascii"
    rows = "".join(f"{number},kettle {number}\n" for number in range(20_000)).encode(wide)
    data = before + rows + "a,x ".encode(wide) + wrong + "\nb,y\n".encode(wide)
    lines = read(data)[1]
    assert lines[-2].startswith(f"{NOT_DECODED}: a,x ".encode())
    assert lines[-1] == b'{"uid":"b","title":"y"}'
    assert sum(line.startswith(b"{") for line in lines) == len(lines) - 1


@pytest.mark.parametrize("codec", ["utf-8", "cp1252"])
def test_a_text_that_is_ascii_at_first_has_an_encoding_later(codec: str) -> None:
    """Danger: the first accent of an English catalogue stands behind what was looked at, and its row is rejected."""
    rows = "".join(f"{number},kettle {number}\n" for number in range(20_000))
    lines = read(f"uid,title\n{rows}a,Théière™\nb,l’été\n".encode(codec))[1]
    assert [json.loads(line)["title"] for line in lines[-2:]] == ["Théière™", "l’été"]


@pytest.mark.parametrize("ascii_rows", [10, 20_000])
def test_one_stray_byte_does_not_garble_a_text_in_utf_8(ascii_rows: int, caplog: pytest.LogCaptureFixture) -> None:
    """Danger: a title pasted from an old document, and each accent of the catalogue becomes two signs."""
    before = "uid,title\n" + "".join(f"{number},kettle {number}\n" for number in range(ascii_rows))
    after = "".join(f"{number},Café crème {number}\n" for number in range(20_000))
    found = records(before.encode() + b"a,Baker\x92s mug\n" + (b"b,%s\n" % (b"kettle " * 20)) * 20_000 + after.encode())
    assert found[ascii_rows]["title"] == "Baker’s mug"
    assert [row["title"] for row in found[-20_000:]] == [f"Café crème {number}" for number in range(20_000)]
    assert "20,000 lines of a text in Windows-1252 are UTF-8, and read so" in caplog.text


BROKEN: dict[str, tuple[bytes | str, str]] = {
    "quote": (table(",")[:-6], "ends in record 9, in which a quotation mark is not closed"),
    "array": (json.dumps(ROWS)[:-1], "ends in record 10, before its list is closed"),
    "record": (json.dumps(ROWS)[:-9], "ends in record 9, before its list is closed"),
    "wrapped": (json.dumps({"products": ROWS})[:-1], "ends in record 10, before its list is closed"),
    "utf-16": (table(",").encode("utf-16")[:-1], "truncated data"),
    "endless quote": ('uid,title\n1,x\n2,"' + "y\n" * MAX_LINE, "has over 10 MB in record 2, in which a quotation"),
    "endless value": ('[{"uid": 1}, {"uid": ' + "1" * 2 * MAX_LINE, "has no end to record 2, which is over 10 MB"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_breaks_off_is_an_error_with_its_place(kind: str) -> None:
    """Danger: half an export is taken for the whole; or a quotation mark takes all memory."""
    data, said = BROKEN[kind]
    data = data.encode() if isinstance(data, str) else data
    tracemalloc.start()
    with pytest.raises(BadSource) as caught:
        read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert said in caught.value.what
    assert "Fetch the file again" in caught.value.next_step
    assert peak < 100 * 2**20


REFUSED = {
    b"1,2\n3,4\n": "a CSV table, without names in its first row: 1, 2",
    b"<table><tr><td>1,2</td></tr>\n<tr><td>3,4": "XML",
    b"- asin: A1\n  title: a, b\n": "YAML",
    b"INSERT INTO p (a, b) VALUES (1, 2);\n" * 3: "an SQL dump",
    b"Dear reader,\n\nthese are our products.\n": "it begins 'Dear reader,'",
    b"Our products\n\nsku;name\n1;kettle\n2;pan\n": "a CSV table with semicolons under a line that is no part of it",
    b"uid\n1\n2\n": "it begins 'uid'",
    b'["A1", "kettle"]\n["A2", "pan"]\n': 'it begins \'["A1"',
    "Dear reader,\nno.\n".encode("utf-16"): "",
}


@pytest.mark.parametrize("data", REFUSED)
def test_what_holds_no_records_is_no_table(data: bytes) -> None:
    """Danger: prose, or a page, becomes a catalogue of rubbish."""
    with pytest.raises(BadSource) as caught:
        read(data)
    assert REFUSED[data] in caught.value.what


CHILD = """
import resource, sys
from pathlib import Path
from include.formats.archive import Archive
resource.setrlimit(resource.RLIMIT_AS, (400 * 2**20,) * 2)
with Archive(Path(sys.argv[1])) as opened:
    print(sum(block.count(b"\\n") + 1 for block in opened.blocks("trn")))
"""


@pytest.mark.parametrize("form", ["array", "table"])
def test_a_hundred_megabytes_are_read_in_bounded_memory(tmp_path: Path, form: str) -> None:
    """Danger: the array is parsed as a whole, and takes gigabytes."""
    path = tmp_path / "products"
    block = [{"uid": "A1", "title": "kettle", "content": "It boils. " * 60}] * 1000
    rows = json.dumps(block, indent=1)[1:-1].encode() if form == "array" else b"A1,kettle,%s\n" % (b"It boils. " * 60)
    with path.open("wb") as out:
        out.write(b"[" if form == "array" else b"uid,title,content\n")
        times = 10**8 // len(rows)
        for number in range(times):
            out.write((b"," if number and form == "array" else b"") + rows)
        out.write(b"]" if form == "array" else b"")
    done = subprocess.run([sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(times * (1000 if form == "array" else 1)), done.stderr


CELLS = st.text(
    st.sampled_from("ab ,;\t|\"'\\\n\u2028é電\U0001f600{}[]") | st.characters(codec="utf-8", exclude_characters="\0\r"),
    max_size=12,
)


@given(
    st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=6),
    st.sampled_from(",;\t|"),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
)
def test_what_csv_writes_is_what_is_read(
    rows: list[list[str]], delimiter: str, quoting: Any, end: str, codec: str
) -> None:
    """Danger: a cell is cut, merged with the next one, or loses a mark."""
    names = ["uid", "title", "content"]
    out = io.StringIO()
    if end == "\r":  # csv.writer leaves a newline in a cell bare then
        quoting = csv.QUOTE_ALL
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerows([names, ["1", "kettle", "x"], *rows])
    lines = read(out.getvalue().encode(codec))[1]
    expected = [dict(zip(names, row, strict=True)) if any(row) else None for row in rows]
    assert [json.loads(line) if line else None for line in lines[1:]] == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9**12) | st.text(max_size=8) | st.sampled_from(['"', "\\", "]}", "{["]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=4), JSON, max_size=3), min_size=1, max_size=5)


def blocks_of(reader: Callable[[io.BytesIO], Any], text: str, block: int) -> list[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_values, "BLOCK", block)
        return [json.loads(line) for part in reader(io.BytesIO(text.encode())) for line in part.split(b"\n")]


@given(OBJECTS, st.sampled_from([None, 1]), st.booleans(), st.integers(1, 60))
def test_json_in_any_layout_is_cut_where_its_values_end(
    rows: list[Any], indent: int | None, escaped: bool, block: int
) -> None:
    """Danger: a bracket inside a string, or the border of a block, cuts a record in two."""
    texts = [json.dumps(row, indent=indent, ensure_ascii=escaped) for row in rows]
    assert blocks_of(json_values.values, "".join(texts), block) == rows
    assert blocks_of(json_values.values, " ,\n".join(texts), block) == rows
    assert blocks_of(json_values.array, f"[{','.join(texts)}]", block) == rows
    start = '{"a": [1, {"b": "["}], "c": '
    whole = f'{start}[{",".join(texts)}], "d": [{{"e": 1}}, "]"]}}'
    assert blocks_of(lambda stream: json_values.inner_array(stream, len(start), ("c",)), whole, block) == rows
    sequence = "".join(f"\x1e{text}\n" for text in texts)
    assert blocks_of(json_values.sequence, sequence, block) == rows


@given(OBJECTS)
def test_python_is_read_as_python_reads_it(rows: list[Any]) -> None:
    """Danger: an apostrophe or an escape changes a text."""
    rows = [{"asin": 1, **row} for row in rows]
    expected = json.loads(json.dumps(rows))
    for written in (repr, ascii):
        assert records("".join(f"{written(row)}\n" for row in rows)) == expected
        assert records(written(rows)) == expected
