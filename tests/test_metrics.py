"""Metrics against cases worked out by hand."""

import math

import numpy as np
import pytest

from include.metrics import ndcg_at, precision_at, recall_at, reciprocal_rank_at, summary

# Query 0: relevant at ranks 2 and 3 of 2 relevant; query 1: at rank 1 of 4 relevant; query 2: nothing found of 1.
HITS = np.array([[False, True, True, False], [True, False, False, False], [False, False, False, False]])
RELEVANT = np.array([2, 4, 1])


def test_precision_counts_the_first_k_ranks_alone() -> None:
    """Dividing by what was found instead of by k would reward a system that returns little."""
    assert precision_at(HITS, 1) == pytest.approx(1 / 3)
    assert precision_at(HITS, 3) == pytest.approx((2 / 3 + 1 / 3 + 0) / 3)
    assert precision_at(HITS, 8) == pytest.approx((2 / 8 + 1 / 8 + 0) / 3)


def test_recall_divides_by_what_there_is_to_find() -> None:
    """Dividing by k or by what was found would hide what was missed."""
    assert recall_at(HITS, RELEVANT, 2) == pytest.approx((1 / 2 + 1 / 4 + 0) / 3)
    assert recall_at(HITS, RELEVANT, 4) == pytest.approx((2 / 2 + 1 / 4 + 0) / 3)


def test_reciprocal_rank_looks_at_the_first_hit_within_k() -> None:
    """An argmax over a row without a hit is 0, which would read as rank 1."""
    assert reciprocal_rank_at(HITS, 4) == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert reciprocal_rank_at(HITS, 1) == pytest.approx(1 / 3)


def test_ndcg_is_one_for_the_best_possible_ranking() -> None:
    """An ideal that ignores how many are relevant would cap a perfect system below 1."""
    discount = [1 / math.log2(rank + 1) for rank in range(1, 5)]
    first = (discount[1] + discount[2]) / (discount[0] + discount[1])
    second = discount[0] / sum(discount)
    assert ndcg_at(HITS, RELEVANT, 4) == pytest.approx((first + second + 0) / 3)
    assert ndcg_at(np.array([[True, True, False]]), np.array([2]), 3) == pytest.approx(1.0)
    assert ndcg_at(np.array([[True, True]]), np.array([5]), 2) == pytest.approx(1.0)


def test_a_ranking_shorter_than_k_counts_as_missing() -> None:
    """A corpus of 3 has no rank 10; the metric must not fail there, nor divide by 3."""
    assert summary(np.array([[False, True, False]]), np.array([1]), ["p@10", "r@10", "mrr@10", "ndcg@10"]) == {
        "p@10": 0.1,
        "r@10": 1.0,
        "mrr@10": 0.5,
        "ndcg@10": round(1 / math.log2(3), 4),
    }


def test_refuses_what_would_give_nan() -> None:
    """A query without any relevant item divides by nought; no query at all averages nothing."""
    with pytest.raises(ValueError, match="at least one relevant"):
        recall_at(HITS, np.array([2, 0, 1]), 2)
    with pytest.raises(ValueError, match="at least one query"):
        precision_at(np.empty((0, 5), bool), 1)
    with pytest.raises(ValueError, match="k must be"):
        precision_at(HITS, 0)
