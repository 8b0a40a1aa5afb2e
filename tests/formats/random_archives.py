"""Archives drawn at random, sound and damaged."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable

from hypothesis import strategies as st


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
