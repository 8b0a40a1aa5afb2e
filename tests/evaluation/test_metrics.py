"""Metrics against cases worked out by hand, and against sentence-transformers."""

import math
from typing import Any

import numpy as np
import pytest

from include.evaluation.metrics import (
    Judged,
    figures,
    inverse_propensities,
    judge,
    ndcg_at,
    per_query,
    precision_at,
    psp_at,
    recall_at,
    reciprocal_rank_at,
    summary,
)

# Query 0: relevant at ranks 2 and 3 of 2 relevant; query 1: at rank 1 of 4 relevant; query 2: nothing found of 1.
HITS = np.array([[False, True, True, False], [True, False, False, False], [False, False, False, False]])
RELEVANT = np.array([2, 4, 1])


def test_a_ranking_is_judged_by_place() -> None:
    """A position that is relevant to another query, or that is missing (-1), must not count."""
    ranking = np.array([[4, 0, 2], [0, -1, -1]])
    judged = judge(ranking, [frozenset([0, 3]), frozenset([4])])
    assert judged.hits.tolist() == [[False, True, False], [False, False, False]]
    assert judged.relevant.tolist() == [2, 1]


def test_precision_counts_the_first_k_ranks_alone() -> None:
    """Dividing by what was found instead of by k would reward a system that returns little."""
    assert precision_at(HITS, 1).tolist() == [0, 1, 0]
    assert precision_at(HITS, 3) == pytest.approx([2 / 3, 1 / 3, 0])
    assert precision_at(HITS, 8) == pytest.approx([2 / 8, 1 / 8, 0])


def test_recall_divides_by_what_there_is_to_find() -> None:
    """Dividing by k or by what was found would hide what was missed."""
    assert recall_at(HITS, RELEVANT, 2) == pytest.approx([1 / 2, 1 / 4, 0])
    assert recall_at(HITS, RELEVANT, 4) == pytest.approx([2 / 2, 1 / 4, 0])


def test_reciprocal_rank_looks_at_the_first_hit_within_k() -> None:
    """An argmax over a row without a hit is 0, which would read as rank 1."""
    assert reciprocal_rank_at(HITS, 4) == pytest.approx([1 / 2, 1, 0])
    assert reciprocal_rank_at(HITS, 1) == pytest.approx([0, 1, 0])


def test_ndcg_discounts_by_rank_and_knows_the_ideal() -> None:
    """The ideal of a query with more relevant items than k is k of them, not all."""
    first = (1 / math.log2(3) + 1 / math.log2(4)) / (1 / math.log2(2) + 1 / math.log2(3))
    second = (1 / math.log2(2)) / sum(1 / math.log2(rank + 1) for rank in (1, 2, 3, 4))
    assert ndcg_at(HITS, RELEVANT, 4) == pytest.approx([first, second, 0])
    assert ndcg_at(HITS, RELEVANT, 2) == pytest.approx(
        [(1 / math.log2(3)) / (1 + 1 / math.log2(3)), 1 / (1 + 1 / math.log2(3)), 0]
    )


def test_inverse_propensities_follow_the_repositorys_formula() -> None:
    """With another A or B, no PSP could be compared with a published one."""
    c = (math.log(1000) - 1) * 3.6**0.6
    found = inverse_propensities(np.array([0, 7, 1000]), 1000)
    assert found == pytest.approx([1 + c * (n + 2.6) ** -0.6 for n in (0, 7, 1000)])
    assert found[0] > found[1] > found[2] > 1
    assert inverse_propensities(np.array([0, 1]), 2).tolist() == [1, 1]


def test_psp_divides_by_the_best_attainable_of_all_queries() -> None:
    """A mean of each query's own ratio is another figure, and not what is published."""
    inverse = np.array([2.0, 5.0, 1.0, 3.0])
    relevant = [frozenset([0, 1, 3]), frozenset([2])]
    judged = judge(np.array([[0, 2, 3], [2, 1, -1]]), relevant, inverse)
    assert judged.gains is not None
    assert judged.attainable is not None
    assert judged.gains.tolist() == [[2, 0, 3], [1, 0, 0]]
    assert judged.attainable.tolist() == [[5, 3, 2, 0, 0], [1, 0, 0, 0, 0]]
    assert psp_at(judged.gains, judged.attainable, 1).figure == pytest.approx((2 + 1) / (5 + 1))
    assert psp_at(judged.gains, judged.attainable, 3).figure == pytest.approx((2 + 3 + 1) / (5 + 3 + 2 + 1))
    with pytest.raises(ValueError, match="from 1 to 5, not 6"):
        psp_at(judged.gains, judged.attainable, 6)


def test_a_perfect_ranking_scores_one_in_every_metric() -> None:
    """Normalisation that is off by one shows here."""
    random = np.random.default_rng(3)
    inverse = inverse_propensities(random.integers(0, 50, 40), 500)
    relevant = [frozenset(random.choice(40, size, replace=False).tolist()) for size in (1, 2, 5, 5)]
    ranking = np.full((4, 10), -1)
    for row, items in enumerate(relevant):
        ranking[row, : len(items)] = sorted(items, key=lambda item: -inverse[item])
    found = summary(judge(ranking, relevant, inverse), ["psp@1", "psp@3", "psp@5", "r@10", "mrr@10", "ndcg@10", "p@1"])
    assert set(found.values()) == {1.0}


def test_figures_are_those_of_sentence_transformers() -> None:
    """An independent implementation agrees on random rankings, to the last digit shown."""
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    random = np.random.default_rng(11)
    ranking = np.stack([random.permutation(60)[:20] for _ in range(50)])
    relevant = [frozenset(random.choice(60, random.integers(1, 16), replace=False).tolist()) for _ in range(50)]
    peer = InformationRetrievalEvaluator(
        {str(row): "q" for row in range(50)},
        {str(item): "c" for item in range(60)},
        {str(row): {str(item) for item in items} for row, items in enumerate(relevant)},
        mrr_at_k=[10],
        ndcg_at_k=[10, 20],
        precision_recall_at_k=[1, 3, 5, 10, 20],
    )
    results: list[Any] = [
        [{"corpus_id": str(item), "score": -float(rank)} for rank, item in enumerate(row)] for row in ranking
    ]
    expected = peer.compute_metrics(results)
    found = per_query(judge(ranking, relevant), ["p@1", "p@3", "p@5", "r@10", "r@20", "mrr@10", "ndcg@10", "ndcg@20"])
    keys = {"p": "precision@k", "r": "recall@k", "mrr": "mrr@k", "ndcg": "ndcg@k"}
    for name, metric in found.items():
        kind, _, k = name.partition("@")
        assert metric.figure == pytest.approx(expected[keys[kind]][int(k)], abs=1e-12), name


def test_names_lead_to_the_metrics() -> None:
    """A name that is read as another metric would be believed."""
    made = summary(Judged(HITS, RELEVANT), ["p@3", "r@4", "mrr@10", "ndcg@4"])
    assert made == {
        "p@3": round(precision_at(HITS, 3).mean(), 4),
        "r@4": round(recall_at(HITS, RELEVANT, 4).mean(), 4),
        "mrr@10": 0.5,
        "ndcg@4": round(ndcg_at(HITS, RELEVANT, 4).mean(), 4),
    }
    assert figures({}) == {}
    for name in ("map@3", "psp@1"):
        with pytest.raises(ValueError, match=f"no metric '{name}'"):
            summary(Judged(HITS, RELEVANT), [name])


def test_impossible_input_is_refused() -> None:
    """A mean over no queries is nan, which would pass a gate."""
    with pytest.raises(ValueError, match="at least one query"):
        precision_at(np.empty((0, 5), np.bool_), 1)
    with pytest.raises(ValueError, match="at least 1"):
        recall_at(HITS, RELEVANT, 0)
    with pytest.raises(ValueError, match="at least one relevant"):
        ndcg_at(HITS, np.array([1, 0, 1]), 3)


def test_a_ranking_shorter_than_k_counts_as_missing() -> None:
    """A corpus of 3 has no rank 10; the metric must not fail there, nor divide by 3."""
    short = Judged(np.array([[False, True, False]]), np.array([1]))
    assert summary(short, ["p@10", "r@10", "mrr@10", "ndcg@10"]) == {
        "p@10": 0.1,
        "r@10": 1.0,
        "mrr@10": 0.5,
        "ndcg@10": round(1 / math.log2(3), 4),
    }
