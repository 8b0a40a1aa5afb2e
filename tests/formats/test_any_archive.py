"""Archives drawn at random: what was packed is what is read; what is odd or damaged ends in an error of ours."""

import bz2
import gzip
import io
import lzma
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import assume, example, given
from hypothesis import strategies as st

from include.core.errors import VitrineError
from include.formats.archive import Archive


def gzipped(data: bytes) -> bytes:
    """Without the time of day, so that an example is drawn again as it was."""
    return gzip.compress(data, mtime=0)


ROW = b'{"uid": "1", "title": "kettle"}'
LINES = st.lists(
    st.sampled_from(
        [ROW, b'{"uid": "2", "title": "\xc3\xa9\xe2\x80\xa8"}', b"", b" \r", b"{", b"not JSON", b"\xff\x00"]
    ),
    max_size=6,
).map(lambda lines: b"\n".join([ROW, *lines]))

# How a file begins that somebody took for a catalogue; any of them may follow another.
BEGINNINGS = [
    *(b"[", b"]", b"{", b"}", b'"', b"'", b",", b":", b"\\", b"\n", b" ", b"\r\n", b"\t", b";", b"|", b"-", b"\0"),
    *(b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"u\0i\0", b"\x1e", b"\x1f\x8b", b"x\x9c", b"PK\x03\x04", b"BZh", b"PAR1"),
    *(b'[{"asin": 1}, ', b'{"items": [{"asin": "a"}', b'{"a": {"b": [{"uid": 1, "title": 2', b'{"uid": 1},\n', b"{\n"),
    *(
        b"uid,title\n",
        b"uid;title\n1;2\n",
        b"uid\ttitle\n",
        b"a|b\n",
        b"<html>",
        b"<?xml",
        b"<a ",
        b"%YAML",
        b"- uid: 1",
    ),
    *(b"{'uid': 1}", b"{u'", b"CREATE TABLE t", b"version https://git-lfs", b"NaN", b"1e999", b"9" * 400, b"[" * 2000),
    *(b'{"a":' * 500, b'"\\ud800"', "é\u2028".encode(), ROW, ROW + b"\n"),
]
TEXTS = st.lists(st.sampled_from(BEGINNINGS) | st.binary(max_size=4), max_size=8).map(b"".join)
PACKERS: list[Callable[[bytes], bytes]] = [gzipped, bz2.compress, lzma.compress, gzipped, bytes]
GOOD_NAMES = ["trn.json", "TRN.jsonl", "trn.ndjson"]
NAMES = st.sampled_from(
    [
        *("trn.json.gz", "trn.json", "LF/trn.jsonl", "tst.json.gz", "lbl.json", "lbl.jsonl.gz", "products.jsonl"),
        *(
            "a.ndjson.gz",
            "../trn.json",
            "/trn.json",
            "C:trn.json",
            "x\\trn.json",
            "readme.txt",
            "trn.json/",
            "./trn.json",
        ),
        *(
            "__MACOSX/._trn.json.gz",
            "é.jsonl",
            "trn.csv",
            "xl/workbook.xml",
            "a" * 300 + ".jsonl",
            "ZZZZ.jsonl",
            "ZZZZ",
        ),
    ]
) | st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


def zipped(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as out:
        for name, data in members:
            out.writestr(zipfile.ZipInfo(name), data, method)
    return stream.getvalue()


def tarred(members: list[tuple[str, bytes]], form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as out:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            out.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


@st.composite
def archives(draw: st.DrawFn, depth: int = 0) -> bytes:
    """A file of any kind: text, something packed, or an archive of such."""
    kind = draw(st.sampled_from(["text", "lines", "packed", "zip", "tar"] if depth < 3 else ["text"]))
    if kind == "text":
        return draw(TEXTS)
    if kind == "lines":
        return draw(LINES)
    if kind == "packed":
        return draw(st.sampled_from(PACKERS))(draw(archives(depth + 1)))
    names = draw(st.lists(NAMES, max_size=3, unique=True))
    members = [(name, draw(archives(depth + 1))) for name in names]
    if kind == "zip":
        return zipped(members, draw(st.sampled_from([zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2])))
    return tarred(members, draw(st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """One of `archives`, cut, changed, or with something before or behind it."""
    data = bytearray(draw(archives()))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        how = draw(st.sampled_from(["cut", "change", "insert", "zeros", "append", "name"]))
        if how == "cut":
            del data[at:]
        elif how == "change":
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif how == "insert":
            data[at:at] = draw(st.binary(max_size=4))
        elif how == "zeros":
            data[at : at + 512] = bytes(len(data[at : at + 512]))
        elif how == "append":
            data += draw(TEXTS)
        else:  # names that no packer would write
            data = bytearray(bytes(data).replace(b"ZZZZ", draw(st.binary(min_size=4, max_size=4))))
    return bytes(data)


def read(data: bytes, name: str) -> dict[str, list[bytes]]:
    """The lines of each role of a file of that name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        with Archive(path) as opened:
            return {
                role: [line for block in opened.blocks(role) for line in block.split(b"\n")] for role in opened.members
            }


@given(damaged(), st.sampled_from(["catalogue.zip", "trn.json.gz", "a.tar.gz", "x.jsonl", "download", "ü \n'\".csv"]))
@example(b"\x1f\x8b", "two\nlines.csv")
@example(zipped([("\x1f", ROW)]).replace(ROW, ROW.upper()), "catalogue.zip")
@example(zipped([("", ROW)]), "catalogue.zip")
def test_any_file_is_lines_or_an_error_that_says_what_to_do(data: bytes, name: str) -> None:
    """Danger: a file that nobody thought of ends the task in frames of zipfile, tarfile or a decompressor."""
    try:
        found = read(data, name)
    except VitrineError as refused:
        assert refused.next_step
        assert refused.what.isprintable(), refused.what
        assert refused.next_step.isprintable(), refused.next_step
    else:
        assert "trn" in found


@given(
    st.dictionaries(st.sampled_from(["trn", "tst", "lbl"]), st.tuples(LINES, st.booleans()), max_size=3),
    st.sampled_from(["", "LF-Amazon-1.3M/", "ä/b/"]),
    st.sampled_from(["json", "jsonl", "ndjson", "JSON"]),
    st.sampled_from(["zip", "stored", "tar", "gnu"]),
    st.booleans(),
    st.sampled_from(["catalogue.zip", "trn.json.gz", "download", "a.tar"]),
)
def test_what_was_packed_is_what_is_read(
    files: dict[str, tuple[bytes, bool]], folder: str, ending: str, form: str, outside: bool, name: str
) -> None:
    """Danger: a line is lost, cut or added between the archive and the parser; or an honest archive is refused."""
    assume("trn" in files)
    members = [
        (f"{folder}{role}.{ending}{'.gz' if packed else ''}", gzipped(lines) if packed else lines)
        for role, (lines, packed) in files.items()
    ]
    if form in ("zip", "stored"):
        data = zipped(members, zipfile.ZIP_DEFLATED if form == "zip" else zipfile.ZIP_STORED)
    else:
        data = tarred(members, tarfile.GNU_FORMAT if form == "gnu" else tarfile.PAX_FORMAT)
        data = gzipped(data) if outside else data
    expected = {role: lines.removesuffix(b"\n").split(b"\n") for role, (lines, _) in files.items()}
    assert read(data, name) == expected
