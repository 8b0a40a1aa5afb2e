"""Retrieval metrics over ranked relevance, in plain numpy.

Every function takes `hits`, a bool array of shape (queries, depth): `hits[q, r]` says whether the item at
rank r (0 is best) of query q is relevant. Recall and nDCG also take `relevant`, an int array of shape
(queries,): how many relevant items the corpus holds for each query. The result is the mean over queries,
0-1. Definitions follow Manning, Raghavan, Schütze, "Introduction to Information Retrieval", chapter 8, and
the Extreme Classification Repository (http://manikvarma.org/downloads/XC/XMLRepository.html) for P@k.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Hits = NDArray[np.bool_]
Counts = NDArray[np.int64]


def precision_at(hits: Hits, k: int) -> float:
    """P@k: the relevant share of the first k ranks. Ranks beyond the depth count as not relevant."""
    return float(_first(hits, k).sum(axis=1).mean() / k)


def recall_at(hits: Hits, relevant: Counts, k: int) -> float:
    """R@k: the share of a query's relevant items that are among the first k ranks."""
    return float((_first(hits, k).sum(axis=1) / _positive(relevant)).mean())


def reciprocal_rank_at(hits: Hits, k: int) -> float:
    """MRR@k: one over the rank (from 1) of the first relevant item, 0 where none is in the first k."""
    first = _first(hits, k)
    return float(np.where(first.any(axis=1), 1.0 / (first.argmax(axis=1) + 1), 0.0).mean())


def ndcg_at(hits: Hits, relevant: Counts, k: int) -> float:
    """nDCG@k with gain 1 for a relevant item and discount 1/log2(rank + 1), rank from 1.

    The ideal ranking has min(relevant, k) relevant items first.
    """
    first = _first(hits, k)
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(_positive(relevant), k)]
    return float(((first * discount[: first.shape[1]]).sum(axis=1) / ideal).mean())


def summary(hits: Hits, relevant: Counts, names: Sequence[str]) -> dict[str, float]:
    """The named metrics, rounded to 4 digits.

    Args:
        hits: (queries, depth) bool.
        relevant: (queries,) int, each at least 1.
        names: Such as `p@1`, `r@10`, `mrr@10`, `ndcg@10`.
    """
    functions = {
        "p": lambda k: precision_at(hits, k),
        "r": lambda k: recall_at(hits, relevant, k),
        "mrr": lambda k: reciprocal_rank_at(hits, k),
        "ndcg": lambda k: ndcg_at(hits, relevant, k),
    }
    made = {}
    for name in names:
        kind, _, depth = name.partition("@")
        made[name] = round(functions[kind](int(depth)), 4)
    return made


def _first(hits: Hits, k: int) -> Hits:
    if hits.ndim != 2 or hits.shape[0] == 0:
        raise ValueError(f"hits must have shape (queries, depth) with at least one query, not {hits.shape}")
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    return hits[:, :k]


def _positive(relevant: Counts) -> Counts:
    if relevant.size and relevant.min() < 1:
        raise ValueError("every query needs at least one relevant item; leave the others out")
    return relevant
