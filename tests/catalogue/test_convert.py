"""Conversion: what is accepted, refused and merged, and that the counts say so."""

import gzip
import io
import json
import logging
import random
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from include.catalogue import convert as convert_module
from include.catalogue import schema as catalogue
from include.catalogue.convert import convert
from include.catalogue.schema import PRODUCTS, REJECTED, open_parquet
from include.catalogue.seen import SeenHashes
from include.catalogue.text_hash import text_hash
from include.core import artifacts
from include.core.errors import BadSource, DamagedArtifact, EmptyCatalogue, TooManyRejects
from include.core.settings import ConvertSettings
from include.formats.field_names import meant
from include.formats.line_parser import LONG_LINE, Refused, parse
from include.formats.lines import MAX_LINE
from include.sample.write import write_sample
from tests.catalogue.lines import ANY, BAD_LINES, GOOD_LINES, converted, publish, row, stored


def no_litter(root: Path) -> bool:
    return not list(root.glob("catalogue/[!.]*")) and not list(root.glob("catalogue/.tmp-*"))


def test_a_row_arrives_as_it_was(root: Path) -> None:
    """Danger: leading zeros, links or the row number are lost."""
    made = converted(root, [row(target_ind=[146, 0], target_rel=[1.0, 0.5])])
    assert stored(made) == [
        {
            "row": 0,
            "uid": "0000000001",
            "title": "Red kettle",
            "content": "It boils.",
            "text_hash": text_hash("Red kettle", "It boils."),
            "target_ind": [146, 0],
            "target_rel": [1.0, 0.5],
        }
    ]
    assert made.stats["products"] == 1


def test_every_bad_line_has_its_reason_and_its_place(root: Path) -> None:
    """Danger: a line vanishes, or one bad line fails the file, or takes its neighbours with it."""
    lines = []
    for number, bad in enumerate(BAD_LINES):
        lines += [bad, row(uid=f"good{number}")]
    made = converted(root, lines)
    found = stored(made, "rejected.parquet")
    expected = [("trn", 2 * number + 1, reason) for number, reason in enumerate(BAD_LINES.values())]
    assert [(reject["file"], reject["line"], reject["reason"]) for reject in found] == expected
    assert all(reject["excerpt"].isprintable() and 0 < len(reject["excerpt"]) <= 200 for reject in found)
    assert [good["uid"] for good in stored(made)] == [f"good{number}" for number in range(len(BAD_LINES))]
    assert made.stats["trn"]["examples"]["not UTF-8"][0]["line"] == 1 + 2 * expected.index(
        next(entry for entry in expected if entry[2] == "not UTF-8")
    )


@pytest.mark.parametrize("number", range(len(GOOD_LINES)))
def test_odd_but_sound_lines_are_accepted(root: Path, number: int) -> None:
    """Danger: sound products are lost to a strict parser."""
    line, expected = list(GOOD_LINES.items())[number]
    made = converted(root, [line])
    assert made.stats["trn"]["rejected"] == 0
    assert {name: stored(made)[0][name] for name in expected} == expected


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_the_longest_line_is_accepted_wherever_it_stands(end: bytes, ascii_only: bool) -> None:
    """Danger: a line's fate depends on whether its end was read with it, so on its place in the file."""
    letter = b"x" if ascii_only else b"\xc3\xa9"
    line = row(content="").replace(b'"content": ""', b'"content": "' + letter + b'"')
    longest = line.replace(letter, letter + b"x" * (MAX_LINE - len(line)))
    assert len(longest) == MAX_LINE
    assert parse(longest + end, Counter()) is not None
    with pytest.raises(Refused, match=LONG_LINE):
        parse(longest + b" " + end, Counter())


def test_unescaped_line_separators_do_not_cut_lines(root: Path) -> None:
    """Danger: U+2028 or U+0085 as raw bytes in a string, where str.splitlines would cut."""
    line = json.dumps({"uid": "1", "title": "a\u2028b\u0085c", "content": ""}, ensure_ascii=False).encode()
    assert b"\\u" not in line
    assert [product["title"] for product in stored(converted(root, [line, row(uid="2")]))] == ["a b c", "Red kettle"]


def test_blank_lines_are_no_records_but_keep_the_numbers(root: Path) -> None:
    """Danger: row and line numbers shift after a blank line, so that target_ind points elsewhere."""
    alone = b"\xef\xbb\xbf\r"  # where an empty file was put among others
    made = converted(root, [b"\xef\xbb\xbf" + row(), alone, b" \r", row(uid="2"), b"bad", b""])
    assert [product["row"] for product in stored(made)] == [0, 3]
    assert stored(made, "rejected.parquet")[0]["line"] == 5
    counts = made.stats["trn"]
    assert (counts["read"], counts["blank"], counts["accepted"], counts["rejected"]) == (3, 2, 2, 1)


def test_a_blank_line_that_ends_a_block_keeps_the_numbers(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Danger: it is lost, and behind it each label's row is one too low, in a file of more than 2 MiB."""
    lines = [row(uid="a"), b"", row(uid="b")]
    limits = {"block": len(lines[0]) + 2, "limit": 10_000_000}
    monkeypatch.setattr("include.formats.lines.line_blocks.__kwdefaults__", limits)
    made = converted(root, lines)
    assert [product["row"] for product in stored(made)] == [0, 2]
    assert made.stats["trn"]["blank"] == 1


def test_the_first_accepted_row_of_a_uid_stays(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Danger: duplicate uids overwrite each other in the index, and counts do not add up. Also across blocks."""
    lines = [
        row(uid="a", title=""),  # rejected: it does not count as the first
        row(uid="a", title="One"),
        row(uid="a", title="One"),
        row(uid="b", title="One"),
        row(uid="a", title="Two"),
    ] + [row(uid=f"u{number}", title=f"Three {number}") for number in range(200)]
    lines += [row(uid="a", title="Two"), row(uid="u7", title="Three 7")]
    monkeypatch.setattr("include.formats.lines.line_blocks.__kwdefaults__", {"block": 256, "limit": 10_000_000})
    made = converted(root, lines)
    assert [(product["row"], product["uid"]) for product in stored(made)][:2] == [(1, "a"), (3, "b")]
    counts = made.stats["trn"]
    assert (counts["accepted"], counts["rejected"]) == (202, 1)
    assert (counts["merged"], counts["merged_different"]) == (4, 2)
    assert (counts["same_text"], counts["distinct_texts"]) == (1, 201)
    uids = [product["uid"] for product in stored(made)]
    assert len(set(uids)) == len(uids) == made.stats["products"]


def test_remembered_hashes_are_exact_over_many_batches() -> None:
    """Danger: merging the sorted runs loses a hash, or a first value, and duplicates slip through."""
    seed = 11
    print("seed", seed)
    rng = np.random.default_rng(seed)
    seen, truth = SeenHashes(), dict[int, int]()
    for size in rng.integers(1, 400, 120):
        keys = rng.integers(0, 20_000, size).astype(np.uint64)
        values = rng.integers(0, 2**63, size).astype(np.uint64)
        fresh, first = seen.add(keys, values)
        for key, value, is_fresh, held in zip(keys.tolist(), values.tolist(), fresh, first.tolist(), strict=True):
            assert is_fresh == (key not in truth)
            assert held == truth.setdefault(key, value)


def archive_of(path: Path, **files: list[bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as out:
        for role, lines in files.items():
            out.writestr(f"LF-Amazon-1.3M/{role}.json.gz", gzip.compress(b"\n".join(lines)))
    return path


def test_labels_keep_the_row_that_targets_point_at(root: Path, tmp_path: Path) -> None:
    """Danger: a label without a title, or a repeated uid, shifts or removes what target_ind means."""
    labels = [row("L0", "zero"), row("L1", ""), b"bad", row("L0", "three"), row("L4", "four")]
    path = archive_of(tmp_path / "c.zip", lbl=labels, trn=[row()], tst=[row("t"), row("t")])
    made = convert(publish(root, path, "c.zip"), ANY, root=root)
    found = [(label["row"], label["uid"], label["title"]) for label in stored(made, "labels.parquet")]
    assert found == [(0, "L0", "zero"), (3, "L0", "three"), (4, "L4", "four")]
    assert made.stats["lbl"]["merged"] == 0
    assert made.stats["tst"]["merged"] == 1
    assert [(reject["file"], reject["line"]) for reject in stored(made, "rejected.parquet")] == [("lbl", 2), ("lbl", 3)]


def test_files_that_the_source_lacks_are_not_made(root: Path) -> None:
    """Danger: an empty queries.parquet reads as "there are no test products" instead of "none came"."""
    made = converted(root, [row()])
    assert {file.name for file in made.path.iterdir()} == {"manifest.json", "products.parquet", "rejected.parquet"}
    assert set(made.stats) == {"trn", "products"}


def test_parquet_is_as_the_contract_says(root: Path) -> None:
    """Danger: another schema, row groups that are no units of work, or pages without checksums."""
    made = converted(root, [row(uid=str(number)) for number in range(1050)], ConvertSettings(row_group_rows=250))
    file = open_parquet(made.path / "products.parquet")
    assert file.schema_arrow.equals(PRODUCTS)
    groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    assert [group.num_rows for group in groups] == [250, 250, 250, 250, 50]
    assert {group.column(1).compression for group in groups} == {"ZSTD"}
    assert groups[0].column(1).statistics.has_min_max
    assert pq.read_schema(made.path / "rejected.parquet").equals(REJECTED)
    data = bytearray((made.path / "products.parquet").read_bytes())
    start = groups[2].column(2).data_page_offset
    data[start + groups[2].column(2).total_compressed_size - 3] ^= 1
    (made.path / "products.parquet").write_bytes(data)
    with pytest.raises(OSError, match=r"(?i)crc|checksum"):
        list(catalogue.read_rows(made.path / "products.parquet"))


def test_statistics_are_true(root: Path) -> None:
    """Danger: the report and the operator read figures that nobody checked."""
    made = converted(
        root,
        [
            row(uid=str(n), title="t" * (n + 1), content="c " * n, target_ind=[1] * n, target_rel=[1] * n)
            for n in range(101)
        ],
    )
    counts = made.stats["trn"]
    assert counts["title_chars"] == {"min": 1, "p5": 6, "p25": 26, "median": 51, "p75": 76, "p95": 96, "max": 101}
    assert counts["content_chars"]["min"] == 1 and counts["content_chars"]["max"] == 199
    assert counts["with_content"] == round(100 / 101, 4)
    assert counts["links"] == 5050
    assert counts["cleaned"] == {"whitespace": 100}
    json.dumps(made.summary(), allow_nan=False)


def test_the_log_states_the_balance(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Danger: nobody can tell from the log where lines went. Also when the artifact is reused."""
    lines = [row(uid=str(number)) for number in range(1200)] + [b"bad", row(uid="5")]
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            converted(root, lines)
        assert "trn: read 1,202 = accepted 1,200 + rejected 1 + merged 1" in caplog.messages
        assert "trn: rejected for not JSON 1 (line 1,201)" in caplog.messages


@pytest.mark.parametrize(
    "data", [b"", gzip.compress(b""), b"\n\n \n", b"\xef\xbb\xbf"], ids=["0", "gz", "blank", "bom"]
)
def test_an_empty_file_is_refused(root: Path, data: bytes) -> None:
    """Danger: an empty catalogue replaces a good index."""
    with pytest.raises(EmptyCatalogue, match="no line"):
        convert(publish(root, data), ANY, root=root)
    assert no_litter(root)


def test_a_file_of_bad_lines_alone_is_refused(root: Path) -> None:
    """Danger: every line is bad and the run goes on with nothing; also with all rejects allowed."""
    source = publish(root, b"{bad\n" * 50)
    with pytest.raises(
        TooManyRejects, match=r"50 of 50 lines were rejected \(100.0%, the limit is 20.0%\): not JSON 50 \(line 1\)"
    ):
        convert(source, ConvertSettings(), root=root)
    with pytest.raises(EmptyCatalogue, match="none of 50 lines"):
        convert(source, ANY, root=root)
    assert no_litter(root)


def test_the_limit_on_rejects_is_a_share_of_trn(root: Path, tmp_path: Path) -> None:
    """Danger: the limit is off by one, counts merged rows, or fails a run for its labels."""
    lines = [row(uid=str(number)) for number in range(8)] + [b"bad"] * 2
    path = archive_of(tmp_path / "c.zip", trn=lines, lbl=[b"bad"] * 9 + [row()])
    source = publish(root, path, "c.zip")
    assert convert(source, ConvertSettings(), root=root).stats["trn"]["rejected"] == 2
    with pytest.raises(TooManyRejects) as caught:  # a stricter limit counts for the finished artifact too
        convert(source, ConvertSettings(max_reject_share=0.19), root=root)
    assert "line 9 begins 'bad'" in caught.value.what
    with pytest.raises(TooManyRejects):
        convert(publish(root, b"\n".join([*lines, b"bad"])), ConvertSettings(), root=root)


def test_the_limit_on_rejects_does_not_change_the_fingerprint(root: Path) -> None:
    """Danger: raising the limit makes every later stage run again on the same bytes."""
    source = publish(root, row())
    made = convert(source, ConvertSettings(), root=root)
    again = convert(source, ConvertSettings(max_reject_share=0.5), root=root)
    assert again.reused and again.fingerprint == made.fingerprint
    assert not convert(source, ConvertSettings(max_title_chars=99), root=root).reused


def test_equal_content_from_another_source_is_reused(root: Path) -> None:
    """Danger: a second download of the same bytes makes everything again."""
    data = row()
    first = convert(publish(root, data, "a.json"), ANY, root=root)
    assert convert(publish(root / "other", data, "b.json"), ANY, root=root).reused
    assert first.inputs == {"source": artifacts.file_sha256(publish(root, data, "a.json") / "a.json")}


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"PK\x03\x04 and then nothing of a zip", "damaged"),
        (gzip.compress(row() * 1000, mtime=0)[:-9], "too early"),
        (b"<!DOCTYPE html><html><body>Quota exceeded</body></html>\n", "web page"),
    ],
)
def test_what_is_no_catalogue_fails_with_a_sentence(root: Path, data: bytes, word: str) -> None:
    """Danger: a traceback, or an artifact of rubbish."""
    with pytest.raises((BadSource, TooManyRejects), match=word):
        convert(publish(root, data), ConvertSettings(), root=root)
    assert no_litter(root)


def test_a_bad_file_after_a_good_one_leaves_nothing(root: Path, tmp_path: Path) -> None:
    """Danger: trn is fine, lbl is truncated, and half a catalogue is published."""
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as out:
        out.writestr("trn.json", row())
        out.writestr("lbl.json.gz", gzip.compress(row() * 1000)[:-9])
    with pytest.raises(BadSource, match=r"lbl\.json\.gz in c\.zip ends too early"):
        convert(publish(root, tmp_path / "c.zip", "c.zip"), ANY, root=root)
    assert no_litter(root)


def test_a_changed_source_artifact_is_not_read(root: Path) -> None:
    """Danger: bytes that rotted on disk become products."""
    source = publish(root, row(), "trn.json")
    (source / "trn.json").write_bytes(row(title="Rod kettle"))
    with pytest.raises(DamagedArtifact):
        convert(source, ANY, root=root)
    assert no_litter(root)


def test_progress_reaches_the_total(root: Path, tmp_path: Path) -> None:
    """Danger: a bar that never ends, or counts a file twice."""
    shots: list[dict[str, Any]] = []
    path = archive_of(tmp_path / "c.zip", trn=[row()], lbl=[row()], tst=[row()])
    convert(publish(root, path, "c.zip"), ANY, root=root, sink=shots.append)
    assert shots[0]["done"] == 0
    assert shots[-1]["done"] == shots[-1]["total"] > 0
    assert shots[-1]["unit"] == "bytes"


def test_threads_end_with_the_conversion(root: Path, running_threads: Callable[[], set[str]]) -> None:
    """Danger: a failed conversion leaves a thread that holds the file open."""
    before = running_threads()
    with pytest.raises(TooManyRejects):
        convert(publish(root, b"{bad\n" * 9), ConvertSettings(), root=root)
    converted(root, [row()])
    assert running_threads() == before


@pytest.fixture
def running_threads() -> Callable[[], set[str]]:
    import threading

    return lambda: {thread.name for thread in threading.enumerate()}


def test_real_products_add_up(root: Path, real_zip: Path) -> None:
    """Danger: a real catalogue loses products, and only real dirt would show it."""
    made = convert(publish(root, real_zip, "real.zip"), ConvertSettings(), root=root)
    assert [made.stats[role]["read"] for role in ("trn", "tst", "lbl")] == [1695, 304, 1035]
    for role, name in convert_module.FILES.items():
        counts = made.stats[role]
        assert counts["read"] == counts["accepted"] + counts["rejected"] + counts["merged"]
        rows = stored(made, name)
        assert len(rows) == counts["accepted"]
        assert len({product["uid"] for product in rows}) == len(rows)
        assert all(product["title"] for product in rows)
    with zipfile.ZipFile(real_zip) as archive:
        labels = gzip.decompress(archive.read("LF-Amazon-1.3M/lbl.json.gz")).split(b"\n")
    for label in stored(made, "labels.parquet"):
        assert json.loads(labels[label["row"]])["uid"] == label["uid"]


def test_another_field_for_content_is_told(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Danger: every content is empty because the text is elsewhere, and nothing says so. Also when reused."""
    lines = [row(), *(row(uid=str(n), title=f"kettle {n}", content="<p>", summary="x", price=1) for n in range(20))]
    for _ in range(2):
        caplog.clear()
        counts = converted(root, lines, ConvertSettings(attributes="price")).stats["trn"]
        assert (counts["without_content"], counts["ignored"]) == (20, {"summary": 20})
        said = (
            "trn: 20 of 21 products have no content (20 had one that cleaning left nothing of); ignored fields: "
            "summary (20). Did you mean another field? Then set content_fields to summary."
        )
        assert counts["warnings"][0] == said
        assert [record.levelname for record in caplog.records if record.message == said] == ["WARNING"]


def test_what_was_mended_and_emptied_is_counted(root: Path) -> None:
    """Danger: a correction that nobody asked for happens without a word."""
    lines = [
        row(uid=7),
        row(uid=" a "),
        row(uid="b", content=float("nan")),
        row(uid="c", target_rel=...),
        b"\xef\xbb\xbf" + row(uid="d"),
        row(uid="e", content="<p> </p>"),
        row(uid="f", content=""),
        row(uid="g", price=float("nan")),
        row(uid=8, title=""),  # refused: nothing of it is mended
    ]
    counts = converted(root, [row(uid="first"), *lines]).stats["trn"]
    assert counts["mended"] == {
        "uid was a number": 1,
        "uid had blanks around it": 1,
        "content was NaN or Infinity: taken as missing": 1,
        "target_rel was missing: 1.0 each": 1,
        "byte-order mark inside the file": 1,
    }
    assert (counts["accepted"], counts["without_content"], counts["emptied_contents"]) == (9, 3, 1)
    assert counts["ignored"] == {"price": 1}


def test_a_uid_with_blanks_or_as_a_number_is_the_same_product(root: Path) -> None:
    """Danger: one product twice in the index."""
    counts = converted(root, [row(uid="7"), row(uid=" 7"), row(uid=7), row(uid="8")]).stats["trn"]
    assert (counts["accepted"], counts["merged"]) == (2, 2)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([row(uid=f"L{n}") for n in range(5)], "lbl has 5 lines, of which 5 are accepted"),
        ([b"{bad"] * 1000, "lbl has 1,000 lines, of which 0 are accepted"),
        ([], "lbl has 0 lines"),
        (None, "the source has no lbl file"),
    ],
    ids=["short", "rejected", "empty", "none"],
)
def test_links_that_lead_nowhere_are_counted(
    root: Path, tmp_path: Path, labels: list[bytes] | None, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Danger: the labels are of another data set, nothing is trained on, and the run is green."""
    lines = [row(uid=f"A{n}", target_ind=[n, 900 + n], target_rel=[1.0, 1.0]) for n in range(30)]
    files = {"trn": lines, "tst": [row(uid="t", target_ind=[0, 5, 9], target_rel=[1, 1, 1])]}
    path = archive_of(tmp_path / "c.zip", **files, **({} if labels is None else {"lbl": labels}))
    made = convert(publish(root, path, "c.zip"), ANY, root=root)
    found = 5 if labels and len(labels) == 5 else 0
    assert (made.stats["trn"]["links"], made.stats["trn"]["links_nowhere"]) == (60, 60 - found)
    assert made.stats["tst"]["links_nowhere"] == 3 - bool(found)
    assert said in made.stats["trn"]["warnings"][-1]
    assert f"trn: {60 - found} of 60 links (target_ind) lead nowhere" in made.stats["trn"]["warnings"][-1]
    assert any(said in record.message and record.levelname == "WARNING" for record in caplog.records)


def test_links_that_lead_somewhere_are_no_warning(root: Path, tmp_path: Path) -> None:
    """Danger: a warning that everybody gets."""
    path = archive_of(tmp_path / "c.zip", trn=[row(target_ind=[0, 1], target_rel=[1, 1])], lbl=[row("L0"), b"bad"])
    counts = convert(publish(root, path, "c.zip"), ANY, root=root).stats["trn"]
    assert (counts["links_nowhere"], counts["warnings"]) == (1, [])


@pytest.mark.parametrize(("lines", "why"), [([b"bad", row("")], ": not JSON 1 (line 1), uid is empty 1"), ([b""], ".")])
def test_test_products_of_which_nothing_is_left_are_told(
    root: Path, tmp_path: Path, lines: list[bytes], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Danger: a protocol of the evaluation drops out, and nobody hears of it."""
    path = archive_of(tmp_path / "c.zip", trn=[row()], tst=lines, lbl=[row("L0")])
    [warning] = convert(publish(root, path, "c.zip"), ANY, root=root).stats["tst"]["warnings"]
    assert f"is a product{why}" in warning
    assert "Evaluation has no questions from it" in warning
    assert warning in caplog.messages


def test_rejected_lines_name_the_fields_that_they_have(root: Path) -> None:
    """Danger: "no uid", ten thousand times, where it is called asin in all but the first line."""
    lines = [
        row(),
        *(json.dumps({"asin": str(n), "title": "kettle", "description": ["x"]}).encode() for n in range(10)),
    ]
    with pytest.raises(TooManyRejects) as caught:
        converted(root, lines, ConvertSettings())
    assert "These lines have asin (10), title (10), description (10); uid expected." in caught.value.what
    assert "(or set uid_field to asin)" in caught.value.next_step
    worse = [json.dumps({"asin": str(n), "title": "kettle", "target_ind": ["7"]}).encode() for n in range(10)]
    with pytest.raises(TooManyRejects, match=r"target_ind has .* These lines have asin \(10\)"):
        converted(root, worse, ConvertSettings(max_reject_share=0.5))
    with pytest.raises(EmptyCatalogue, match="asin"):
        converted(root, worse)


def test_a_line_of_a_thousand_names_does_not_fill_the_statistics(root: Path) -> None:
    """Danger: names that are data (a price list by shop) make a manifest of gigabytes."""
    lines = [row(uid=f"{n}", target_ind=..., target_rel=..., **{f"{n} {k}": 1 for k in range(50)}) for n in range(50)]
    ignored = converted(root, lines, ConvertSettings(attributes="none")).stats["trn"]["ignored"]
    assert len(ignored) == 51
    assert list(ignored.items())[-1] == ("(further names)", 2500 - 50)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("ASIN", "uid"),
        ("product_id", "uid"),
        ("Title", "title"),
        ("Product Name", "title"),
        ("description", "content"),
        ("contents", "content"),
        ("target-ind", "target_ind"),
        ("price", ""),
        ("x", ""),
    ],
)
def test_only_a_likely_name_is_proposed(name: str, field: str) -> None:
    """Danger: a proposal that makes prices into titles."""
    assert meant(name) == field


def test_the_sample_arrives_as_it_was_written(root: Path, tmp_path: Path) -> None:
    """Danger: the sample's dirt and the converter's counts disagree, and nobody knows which is right."""
    truth = write_sample(tmp_path / "sample.zip", 2000, 7)
    made = convert(publish(root, tmp_path / "sample.zip", "sample.zip"), ConvertSettings(), root=root)
    for role, expected in truth.items():
        counts = made.stats[role]
        reasons = {
            "JSON breaks off": expected["truncated"],
            "title is not a string": expected["wrong_type"],
            "nested too deeply": expected["nested"],
            "no title": expected["empty_title"] + expected["empty_both"],
        }
        assert counts["read"] == expected["lines"]
        assert counts["reasons"] == {reason: count for reason, count in reasons.items() if count}
        assert counts["merged"] == expected["duplicate_row"] + expected["conflicting_uid"]
        assert counts["merged_different"] == expected["conflicting_uid"]
        assert counts["accepted"] == expected["lines"] - sum(reasons.values()) - counts["merged"]
        assert counts["ignored"] == ({"price": expected["not_a_number"]} if expected["not_a_number"] else {})
        assert counts["cleaned"].get("lone surrogates", 0) == expected["lone_surrogate"]
        assert counts["cleaned"].get("junk content", 0) == expected["junk"]
        assert counts["cleaned"].get("html tags", 0) == expected["tags"]
    assert made.stats["trn"]["same_text"] >= truth["trn"]["duplicate_text"] > 0


@pytest.mark.parametrize("pack", ["plain", "gzip", "stored", "deflated", "gzip in zip", "tar", "tar.gz"])
def test_room_is_asked_for_by_how_the_lines_are_packed(
    root: Path, tmp_path: Path, pack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Danger: an archive that packs nothing is taken for packed lines, and a disk with room enough is refused."""
    needs: list[float] = []
    monkeypatch.setattr("include.catalogue.convert.require", lambda _, need, what: needs.append(need))
    text = random.Random(1)
    lines = b"\n".join(
        row(uid=str(n), title=f"kettle {n}", content="".join(text.choices("abc", k=300))) for n in range(3000)
    )
    path = tmp_path / "c"
    if pack in ("plain", "gzip"):
        path.write_bytes(lines if pack == "plain" else gzip.compress(lines))
    elif pack.startswith("tar"):
        with tarfile.open(path, "w:gz" if pack == "tar.gz" else "w") as tar:
            info = tarfile.TarInfo("trn.json")
            info.size = len(lines)
            tar.addfile(info, io.BytesIO(lines))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if pack == "deflated" else zipfile.ZIP_STORED) as out:
            out.writestr("trn.json", gzip.compress(lines) if pack == "gzip in zip" else lines)
    made = convert(publish(root, path, "c"), ANY, root=root)
    [need] = needs
    plain = pack in ("plain", "stored", "tar")
    assert need == pytest.approx(0.5 * len(lines) if plain else 1.4 * path.stat().st_size, rel=0.02)
    assert sum(file.stat().st_size for file in made.path.glob("*.parquet")) < need
