"""BM25's weight in hybrid search: fitted as the index fuses, and honestly reported."""

import numpy as np
import pytest

from include.evaluation.bm25 import Bm25
from include.evaluation.bootstrap import FEWEST
from include.evaluation.exact_search import dense_search
from include.evaluation.fusion_weight import GRID, Candidates, candidates, cross_fit, fit
from include.store.fusion import depth, fuse
from include.store.protocol import BM25_WEIGHT


def test_search_in_blocks_is_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks bound the memory, groups the time; a block's or a group's best must not push out another's better."""
    random = np.random.default_rng(0)
    queries = random.normal(size=(7, 16)).astype(np.float32)
    corpus = random.normal(size=(501, 16)).astype(np.float32)
    expected = np.argsort(-(queries @ corpus.T), axis=1, kind="stable")
    for block, at_once, k in ((1, 1024, 20), (64, 2, 20), (64, 2, 3), (10_000, 3, 20)):
        monkeypatch.setattr("include.evaluation.exact_search.QUERIES_AT_ONCE", at_once)
        assert dense_search(queries, corpus, k, block=block).tolist() == expected[:, :k].tolist()
    assert dense_search(queries, corpus[:3], 20).shape == (7, 3)


def test_excluded_items_take_no_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Barred for one query, an item is still there for the others."""
    monkeypatch.setattr("include.evaluation.exact_search.QUERIES_AT_ONCE", 2)
    random = np.random.default_rng(0)
    queries = random.normal(size=(5, 8)).astype(np.float32)
    corpus = random.normal(size=(40, 8)).astype(np.float32)
    order = np.argsort(-(queries @ corpus.T), axis=1, kind="stable")
    excluded = [frozenset(order[row, : 2 * row].tolist()) for row in range(5)]
    found = dense_search(queries, corpus, 10, excluded=excluded, block=16)
    assert found.tolist() == [order[row, 2 * row : 2 * row + 10].tolist() for row in range(5)]
    all_barred = dense_search(queries[:1], corpus[:4], 10, excluded=[frozenset([0, 1, 3])])
    assert all_barred.tolist() == [[2, -1, -1, -1]]


@pytest.mark.parametrize("weight", [0.0, 0.2, 1.0])
def test_hybrid_is_the_indexs_fusion(weight: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hybrid row that the index does not reproduce would promise what users do not get."""
    monkeypatch.setattr(
        "include.evaluation.fusion_weight.GATHERED", 1000
    )  # so that vectors are gathered in several steps
    random = np.random.default_rng(0)
    corpus = random.normal(size=(400, 8)).astype(np.float32)
    corpus /= np.linalg.norm(corpus, axis=1, keepdims=True)
    texts = [f"word{number % 40} item{number}" for number in range(400)]
    asked = ["item7 word3", "nothing known", "word9 word8 word7"]
    queries = corpus[[20, 30, 40]]
    wide = depth(10)
    dense = dense_search(queries, corpus, wide)
    words, scores = Bm25(texts).search(asked, wide)
    ranking = candidates(queries, corpus, dense, words, scores).ranked(weight, 10)
    for row in range(3):
        by_words = {f"{item:03}": float(s) for item, s in zip(words[row], scores[row], strict=True) if item >= 0}
        found = {f"{item:03}" for item in dense[row]} | set(by_words)
        cosines = {name: float(corpus[int(name)] @ queries[row]) for name in found}
        expected = fuse(cosines, by_words, 10, bm25_weight=weight)
        assert ranking[row].tolist() == [int(name) for name, _ in expected]


def test_few_candidates_leave_ranks_empty() -> None:
    """A corpus of three has no fourth rank."""
    found = candidates(np.eye(3, dtype=np.float32)[:1], np.eye(3, dtype=np.float32), np.array([[0, 2, 1]]),
                       np.array([[-1, -1]]), np.zeros((1, 2), np.float32))  # fmt: skip
    assert found.ranked(0.5, 5).tolist() == [[0, 1, 2, -1, -1]]


def side_by_side(dense_right: list[bool], words_right: list[bool]) -> tuple[Candidates, list[frozenset[int]]]:
    """Queries with ten candidates, of which 0 is wanted: each side puts it first, or last."""
    count = len(dense_right)

    def scores(right: list[bool]) -> np.ndarray:
        side = np.tile(np.linspace(0.9, 0.5, 10, dtype=np.float32), (count, 1))
        side[:, 0] = np.where(right, 1.0, 0.1)
        return side

    items = np.tile(np.arange(10), (count, 1))
    return Candidates(items, scores(dense_right), scores(words_right)), [frozenset([0])] * count


def test_the_better_side_gets_the_weight() -> None:
    """A weight that goes the wrong way makes hybrid search worse than each side."""
    right, wrong = [True] * 30, [False] * 30
    dense_better, words_better = fit(*side_by_side(right, wrong)), fit(*side_by_side(wrong, right))
    assert dense_better is not None
    assert words_better is not None
    assert dense_better.weight == 0
    assert words_better.weight >= 0.5
    assert words_better.curve[0] < words_better.curve[-1] == 1
    assert list(words_better.as_text()) == [f"{weight:.2f}" for weight in GRID]


def test_a_gain_within_noise_adds_no_words() -> None:
    """One lucky query of a hundred is no reason to drag in a second search."""
    flat = fit(*side_by_side([True] * 99 + [False], [True] * 100))
    assert flat is not None
    assert flat.curve[-1] > flat.curve[0]
    assert flat.weight == 0
    clear = fit(*side_by_side([True] * 80 + [False] * 20, [True] * 100))
    assert clear is not None
    assert clear.weight > 0


def test_too_few_queries_fit_nothing() -> None:
    """A weight from a handful of queries is noise: the default is used, and said to be one."""
    assert fit(*side_by_side([True] * (FEWEST - 1), [True] * (FEWEST - 1))) is None
    assert fit(*side_by_side([], [])) is None
    found, relevant = side_by_side([True] * FEWEST, [False] * FEWEST)
    assert cross_fit(found, relevant, 1).tolist() == [BM25_WEIGHT] * FEWEST


def test_no_query_is_measured_on_what_chose_its_weight() -> None:
    """A weight fitted on the reported queries flatters hybrid search."""
    random = np.random.default_rng(4)
    words_right = (random.random(100) < 0.5).tolist()
    found, relevant = side_by_side([not right for right in words_right], words_right)
    before = cross_fit(found, relevant, 9)
    assert before.tolist() == cross_fit(found, relevant, 9).tolist()
    for changed in range(0, 100, 10):
        right = [not each if row == changed else each for row, each in enumerate(words_right)]
        other, _ = side_by_side([not each for each in right], right)
        assert cross_fit(other, relevant, 9)[changed] == before[changed]
