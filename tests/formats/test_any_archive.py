"""Archives drawn at random: what was packed is what is read; what is odd or damaged ends in an error of ours."""

import tarfile
import tempfile
import zipfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from include.core.errors import VitrineError
from include.formats.archive import Archive
from tests.formats.random_archives import LINES, ROW, damaged, gzipped, tarred, zipped


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
@example(b'\xef\xbb\xbf{"items": [{"asin": "a"}', "catalogue.zip")
@example(zipped([("\x1f", ROW)]).replace(ROW, ROW.upper()), "catalogue.zip")
@example(zipped([("", ROW)]), "catalogue.zip")
@example(zipped([("trn.json", ROW)])[:-5] + b"8\0\0\0\0", "catalogue.zip")  # its directory says: before the beginning
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


FILE = st.tuples(LINES, st.booleans())  # and whether it is gzip itself


@example({"trn": (ROW + b"\n\n\xff\0\n\n\xff\0", False)}, "", "json", "zip", False, "catalogue.zip")  # no UTF-16
@given(
    st.fixed_dictionaries({"trn": FILE}, optional={"tst": FILE, "lbl": FILE}),
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
