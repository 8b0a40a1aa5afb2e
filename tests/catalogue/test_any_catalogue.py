"""Catalogues drawn at random, converted as a whole: what plain `json` says of their lines is what is stored."""

import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from include.catalogue.clean import Cleaner
from include.catalogue.convert import convert
from include.catalogue.schema import LABELS_FILE, PRODUCTS_FILE, QUERIES_FILE
from include.core.errors import VitrineError
from include.core.settings import ConvertSettings
from tests.catalogue.lines import BAD_LINES, GOOD_LINES, publish, row, stored
from tests.catalogue.random_lines import FIELDS, judged_object, judged_rows
from tests.formats.random_archives import damaged, tarred, zipped
from tests.small import few

# json refuses what has thousands of digits; convert does not.
ODD = [line for line in [*BAD_LINES, *GOOD_LINES] if b"\n" not in line and len(line) < 4000]
SETTINGS = ConvertSettings(
    max_reject_share=1, max_title_chars=60, max_content_chars=200, row_group_rows=100, attributes="none"
)
FILES = {"trn": PRODUCTS_FILE, "tst": QUERIES_FILE, "lbl": LABELS_FILE}


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """A line: a sound product, one with odd fields, one that is damaged, blanks."""
    kind = draw(st.sampled_from(["sound", "fields", "fields", "odd", "cut", "blank"]))
    if kind == "sound":
        return row(uid=draw(st.sampled_from("abc")), title=draw(st.sampled_from(["Red", "red ", "N/A"])))
    if kind == "fields":
        made = {"uid": "sound", "title": "kettle", "target_ind": [1], "target_rel": [1.0], **draw(FIELDS)}
        return json.dumps(made, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if kind == "odd":
        return draw(st.sampled_from(ODD))
    if kind == "cut":
        return row()[: draw(st.integers(0, 60))]
    return draw(st.sampled_from([b"", b" ", b"\t\r", b"\xef\xbb\xbf"]))


def mostly_nested(trn: list[bytes], name: str) -> bool:
    """Whether more than half of these values are lists or objects, the sound first line's text being one of them."""
    values = [
        found[name] for line in trn if (found := judged_object(line)) and found.get(name) not in (None, "", [], {})
    ]
    return 2 * sum(isinstance(value, list | dict) for value in values) > len(values) + 1


def packed(files: dict[str, list[bytes]], form: str) -> bytes:
    """The files in an archive; of the form `plain` or `gzip`, which has room for one, the first alone."""
    data = {f"{role}.json": b"\n".join(found) + b"\n" for role, found in files.items()}
    if form in ("plain", "gzip"):
        return gzip.compress(data["trn.json"]) if form == "gzip" else data["trn.json"]
    members = [(f"LF/{name}.gz", gzip.compress(lines)) for name, lines in data.items()]
    return zipped(members) if form == "zip" else tarred(members)


@few(4)
@given(
    st.lists(lines(), max_size=8),
    st.lists(lines(), max_size=4),
    st.lists(lines(), max_size=4),
    st.sampled_from(["plain", "gzip", "zip", "tar"]),
)
def test_a_catalogue_is_what_plain_json_says(trn: list[bytes], tst: list[bytes], lbl: list[bytes], form: str) -> None:
    """Danger: a line is lost, counted twice or stored as something else somewhere between archive and table."""
    assume(not any(mostly_nested(trn, name) for name in ("title", "content")))  # those are read as lists are
    first = row(uid="first")  # a file without any object is refused as a whole
    files = {"trn": [first, *trn], "tst": [first, *tst], "lbl": [first, *lbl]}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        made = convert(publish(root, packed(files, form)), SETTINGS, root=root, processes=1)
        for role in ["trn"] if form in ("plain", "gzip") else ["trn", "tst", "lbl"]:
            products, rejected = judged_rows(files[role], Cleaner(60, 200))
            if role != "lbl":
                products = [
                    each for n, each in enumerate(products) if each["uid"] not in {p["uid"] for p in products[:n]}
                ]
            assert stored(made, FILES[role]) == products
            counts = made.stats[role]
            assert (counts["accepted"], counts["rejected"]) == (len(products), len(rejected))
            assert counts["read"] == counts["accepted"] + counts["rejected"] + counts["merged"]
            assert counts["read"] + counts["blank"] == len(files[role])
            assert counts["links"] == sum(len(each["target_ind"]) for each in products)
            assert sum(counts["reasons"].values()) == counts["rejected"]
            json.dumps(made.stats, allow_nan=False).encode()


@few(4)
@given(damaged())
def test_any_file_is_a_catalogue_or_an_error_that_says_what_to_do(data: bytes) -> None:
    """Danger: a file that download let through ends conversion in an exception that nobody wrote."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        try:
            made = convert(publish(root, data, "catalogue"), SETTINGS, root=root, processes=1)
        except VitrineError as refused:
            assert refused.next_step
            assert refused.what.isprintable(), refused.what
        else:
            counts: dict[str, Any] = made.stats["trn"]
            assert len(stored(made)) == counts["accepted"] > 0
            assert counts["read"] == counts["accepted"] + counts["rejected"] + counts["merged"]
