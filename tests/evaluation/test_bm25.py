"""BM25 as a baseline: its order, its figures on real products."""

import gzip
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import pytest

from include.evaluation.bm25 import K1, B, Bm25
from include.evaluation.metrics import judge, summary


def load(archive: Path, name: str) -> list[dict[str, Any]]:
    """The rows of one file of the real archive."""
    with zipfile.ZipFile(archive) as opened, gzip.open(opened.open(f"LF-Amazon-1.3M/{name}.json.gz")) as lines:
        return [json.loads(line) for line in lines]


def test_scores_are_lucenes_bm25() -> None:
    """A changed default in the library would change the baseline silently."""
    texts = ["red kettle", "red red lamp of wood", "blue chair"]
    items, scores = Bm25(texts).search(["red"], 3)
    idf = math.log1p((3 - 2 + 0.5) / (2 + 0.5))
    average = (2 + 5 + 2) / 3
    expected = {
        number: idf * count / (count + K1 * (1 - B + B * length / average))
        for number, count, length in ((0, 1, 2), (1, 2, 5))
    }
    found = dict(zip(items[0].tolist(), scores[0].tolist(), strict=True))
    assert found.pop(-1) == 0
    assert found == pytest.approx(expected, rel=1e-5)


def test_items_without_a_common_word_are_not_hits() -> None:
    """bm25s fills up with items of score 0 in no order, which would count as found by luck."""
    items, scores = Bm25(["red kettle", "blue chair"]).search(["chair", "piano", ""], 2)
    assert items.tolist() == [[1, -1], [-1, -1], [-1, -1]]
    assert scores[1:].tolist() == [[0, 0], [0, 0]]


def test_excluded_items_are_not_hits() -> None:
    """A filtered pair that still takes a rank pushes a right answer down."""
    texts = ["red kettle", "red chair", "red lamp"]
    items, _ = Bm25(texts).search(["red", "red kettle"], 3, excluded=[frozenset(), frozenset([0, 2])])
    assert items.tolist() == [[0, 1, 2], [1, -1, -1]]


def test_ties_are_broken_by_position() -> None:
    """Two runs over the same corpus must report the same figures."""
    items, _ = Bm25(["lamp"] * 50).search(["lamp"], 5)
    assert items.tolist() == [[0, 1, 2, 3, 4]]


def test_a_corpus_without_words_finds_nothing() -> None:
    """A catalogue of empty or symbol-only texts must not crash the evaluation."""
    for texts in ([], ["", "!!"]):
        assert Bm25(texts).search(["chair"], 2)[0].tolist() == [[-1, -1]]


def test_known_figures_on_real_products(real_zip: Path) -> None:
    """A baseline that is wrong makes every comparison with it worthless: by plain words P@1 is 0.724 and 0.693."""
    queries, labels = load(real_zip, "tst"), load(real_zip, "lbl")
    items, _ = Bm25([row["title"] for row in labels], "english").search([row["title"] for row in queries], 100)
    judged = judge(items, [frozenset(row["target_ind"]) for row in queries])
    figures = summary(judged, ["p@1", "r@10", "mrr@100"])
    assert figures == pytest.approx({"p@1": 0.872, "r@10": 0.997, "mrr@100": 0.92}, abs=0.02)

    rows = [row for row in load(real_zip, "trn") if len(row["content"]) > 40]
    items, _ = Bm25([row["content"][:1500] for row in rows], "english").search([row["title"] for row in rows], 100)
    figures = summary(judge(items, [frozenset([row]) for row in range(len(rows))]), ["p@1", "r@10", "mrr@100"])
    assert figures == pytest.approx({"p@1": 0.735, "r@10": 0.872, "mrr@100": 0.785}, abs=0.02)
