"""The synthetic catalogue: its form, its dirt, and that the same numbers give the same bytes."""

import gzip
import json
import subprocess
import sys
import tracemalloc
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from include.core.environment import REPOSITORY
from include.sample.dirt import FATES
from include.sample.products import FLAGSHIPS, LABELS, QUESTIONS, VARIANTS
from include.sample.words import CATEGORIES, MEASURES
from include.sample.write import write_sample

PRODUCTS = 2000


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path = tmp_path_factory.mktemp("sample") / "sample.zip"
    return path, write_sample(path, PRODUCTS, 7)


def lines(path: Path, file: str) -> list[bytes]:
    """The file's lines without their line feed (a carriage return stays)."""
    with zipfile.ZipFile(path) as archive:
        text = gzip.decompress(archive.read(f"LF-Amazon-1.3M/{file}.json.gz"))
    assert text.endswith(b"\n")
    return text[:-1].split(b"\n")


def rows(path: Path, file: str) -> dict[int, dict[str, Any]]:
    """The rows that a strict parser takes, by line number from 0."""
    found = {}
    for number, line in enumerate(lines(path, file)):
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(row["title"], str):
            found[number] = row
    return found


def test_it_has_the_archive_s_own_form(written: tuple[Path, dict[str, Any]]) -> None:
    """Danger: what works on the sample fails on the download that it stands for."""
    path, counts = written
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"LF-Amazon-1.3M/{file}.json.gz" for file in ("trn", "tst", "lbl")]
    trn, tst, lbl = (rows(path, file) for file in ("trn", "tst", "lbl"))
    for file, keys in ((trn, 5), (tst, 5), (lbl, 3)):
        for row in file.values():
            assert list(row)[:keys] == ["uid", "title", "content", "target_ind", "target_rel"][:keys]
            assert isinstance(row["uid"], str)
            assert len(row["uid"]) == 10
            assert row["uid"].startswith("0")
    assert {file: count["lines"] for file, count in counts.items()} == {
        "trn": PRODUCTS,
        "tst": PRODUCTS // VARIANTS // 2,
        "lbl": PRODUCTS // VARIANTS * LABELS,
    }
    for row in [*trn.values(), *tst.values()]:
        assert len(row["target_ind"]) == len(row["target_rel"])
        assert row["target_ind"] == sorted(set(row["target_ind"]))
        assert all(0 <= target < counts["lbl"]["lines"] for target in row["target_ind"])


def test_related_rows_belong_to_the_same_brand(written: tuple[Path, dict[str, Any]]) -> None:
    """Danger: `target_ind` points at random rows, and training on it teaches nonsense."""
    path, _ = written
    labels = {number: " ".join(row["title"].split()) for number, row in rows(path, "lbl").items()}
    brands = [brand for category in CATEGORIES for brand in category.brands]
    checked = 0
    for row in rows(path, "tst").values():
        mine = [brand for brand in brands if brand in row["title"]]
        for target in row["target_ind"]:
            if mine and labels.get(target):
                assert mine[0] in labels[target]
                checked += 1
    assert checked > 100


def test_the_same_numbers_give_the_same_bytes(tmp_path: Path) -> None:
    """Danger: a retry writes another catalogue under the same fingerprint."""
    first, again, other = tmp_path / "1.zip", tmp_path / "2.zip", tmp_path / "3.zip"
    counts = write_sample(first, 300, 7)
    code = "import sys; from include.sample.write import main; main(sys.argv[1:])"
    printed = subprocess.run(
        [sys.executable, "-c", code, "--products", "300", "--seed", "7", str(again)],
        check=True,
        capture_output=True,
        cwd=REPOSITORY,
    )
    assert json.loads(printed.stdout) == counts
    assert first.read_bytes() == again.read_bytes()
    write_sample(other, 300, 8)
    assert other.read_bytes() != first.read_bytes()


def test_the_counts_are_true(written: tuple[Path, dict[str, Any]]) -> None:
    """Danger: tests of the cleaning compare with figures that are not in the file."""
    path, counts = written
    for file in ("trn", "tst", "lbl"):
        raw, good, count = lines(path, file), rows(path, file), counts[file]
        assert len(raw) == count["lines"]
        assert sum(len(line) + 1 for line in raw) == count["bytes"]
        strict = count["malformed"]
        assert len(raw) - len(good) == strict, "orjson refuses each malformed line and no other"
        assert sum(line.endswith(b"\r") for line in raw) == count["crlf"]
        empty = Counter((not row["title"], not row["content"]) for row in good.values())
        assert empty[True, True] == count["empty_both"]
        assert empty[True, False] == count["empty_title"]
        assert empty[False, True] == count["empty_content"]
        separators = sum("\u2028" in row["title"] or "\u0085" in row["title"] for row in good.values())
        assert separators == count["line_separator"]
        assert sum(row["content"].startswith("<p>") for row in good.values()) == count["tags"]
        assert sum("&#" in row["content"] or "&amp;" in row["content"] for row in good.values()) == count["entities"]
        assert sum("This text refers to" in row["content"] for row in good.values()) == count["edition_note"]


def test_repeats_are_what_they_are_called(written: tuple[Path, dict[str, Any]]) -> None:
    """Danger: a repeated row differs in a detail, and counts as a conflict."""
    path, counts = written
    good = rows(path, "trn")
    seen: dict[str, dict[str, Any]] = {}
    texts: Counter[tuple[str, str]] = Counter()
    found: Counter[str] = Counter()
    for row in good.values():
        if row["uid"] in seen:
            found["duplicate_row" if seen[row["uid"]] == row else "conflicting_uid"] += 1
        else:
            seen[row["uid"]] = row
            if row["title"] not in ("", "test item not to bid") and row["content"]:
                texts[row["title"], row["content"]] += 1
    for kind in ("duplicate_row", "conflicting_uid"):
        assert found[kind] == counts["trn"][kind] > 0
    assert sum(count - 1 for count in texts.values()) == counts["trn"]["duplicate_text"] > 0
    assert sum(row["title"] == "test item not to bid" for row in good.values()) == counts["trn"]["junk"]


def test_every_kind_of_dirt_is_in_every_thousand_rows(tmp_path: Path) -> None:
    """Danger: a small sample happens to be clean, and a rule goes untested."""
    for seed in (0, 7, 123):
        counts = write_sample(tmp_path / "a.zip", 1000 + len(FLAGSHIPS) + 1, seed)["trn"]
        for kind, share in FATES["trn"].items():
            assert share <= counts[kind] <= share + 8, (seed, kind)


def test_flagships_are_clean_and_answer_their_questions(tmp_path: Path) -> None:
    """Danger: the demo asks what no product of this sample can answer."""
    assert len(QUESTIONS) >= 3
    for products, seed in ((50, 7), (50, 0), (60, 99)):
        path = tmp_path / f"{products}-{seed}.zip"
        write_sample(path, products, seed)
        good = rows(path, "trn")
        for number, flagship in enumerate(FLAGSHIPS):
            assert (good[number]["title"], good[number]["content"]) == (flagship.title, flagship.content)
            assert flagship.answer in flagship.content
        assert [flagship.question for flagship in FLAGSHIPS] == list(QUESTIONS)
        uids = Counter(row["uid"] for row in good.values())
        assert all(uids[good[number]["uid"]] == 1 for number in range(len(FLAGSHIPS)))


def test_titles_and_contents_use_different_words(written: tuple[Path, dict[str, Any]]) -> None:
    """Danger: a search by words alone finds everything, and fine-tuning has nothing to gain."""
    path, _ = written
    shares = []
    for row in list(rows(path, "trn").values())[len(FLAGSHIPS) :]:
        title = {word.strip(",.()[]:").lower() for word in row["title"].split()} - {"with", "by", "of", "the", ""}
        content = {word.strip(",.()<>").lower() for word in row["content"].split()}
        if title and content:
            shares.append(len(title & content) / len(title))
    assert sum(shares) / len(shares) < 0.25


def test_contents_hold_facts_in_two_sentences_or_more(written: tuple[Path, dict[str, Any]]) -> None:
    """Danger: there is nothing to quote as an answer."""
    path, _ = written
    contents = [row["content"] for row in rows(path, "trn").values()]
    whole = [text for text in contents if len(text) > 20]
    assert all(text.count(".") >= 2 for text in whole)
    for fact in ("Dishwasher safe.", "The battery lasts 12 hours.", "Suitable for ages 3 and up."):
        assert any(fact in text for text in whole), fact


def test_memory_does_not_grow_with_the_catalogue(tmp_path: Path) -> None:
    """Danger: a large sample needs the memory of a large machine."""
    peaks = []
    for products in (1100, 2500):
        tracemalloc.start()
        write_sample(tmp_path / "a.zip", products, 7)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 300_000  # bytes; 1,400 rows held would be some 2 MB


def test_the_vocabulary_is_whole() -> None:
    """Danger: a mistyped line of the vocabulary fails only in a sample that draws it."""
    for category in CATEGORIES:
        assert len(category.brands) >= 4
        assert len(category.facts) >= 2
        for kind in category.kinds:
            assert kind.measure in MEASURES
            assert len(kind.accessories) == 2
            assert all(kind.synonyms)
    assert sum(sum(shares.values()) <= 1000 for shares in FATES.values()) == 3


def test_too_small_a_sample_is_refused(tmp_path: Path) -> None:
    """Danger: a sample without the products that the demo asks for."""
    with pytest.raises(ValueError, match="at least 6"):
        write_sample(tmp_path / "a.zip", 5, 7)


def test_full_size_rows_are_as_long_as_the_real_ones(tmp_path: Path) -> None:
    """Danger: speed and memory are measured on rows half as long as those of the real file."""
    counts = write_sample(tmp_path / "full.zip", 4000, 7, full_size=True)
    found = rows(tmp_path / "full.zip", "trn").values()
    contents = [len(row["content"]) for row in found if row["content"]]
    links = [len(row["target_ind"]) for row in found]
    assert 760 < counts["trn"]["bytes"] / 4000 < 880
    assert 0.28 < 1 - len(contents) / len(found) < 0.38
    assert 400 < sorted(contents)[len(contents) // 2] < 500
    assert 20 < sum(links) / len(links) < 25
    assert all(len(row["target_ind"]) == len(row["target_rel"]) for row in found)
    assert all(0 <= target < counts["lbl"]["lines"] for row in found for target in row["target_ind"])
    assert [row["title"] for row in found][: len(FLAGSHIPS)] == [flagship.title for flagship in FLAGSHIPS]
