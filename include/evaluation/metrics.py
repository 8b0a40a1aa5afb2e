"""Retrieval metrics, query by query, in plain numpy.

A metric of a run is `values.sum() / weights.sum()` over its queries, so that a bootstrap can draw the queries
anew. For all but PSP the weights are 1 and the figure is a mean. All figures are 0-1. Definitions follow
Manning, Raghavan, Schütze, "Introduction to Information Retrieval", chapter 8, and for P@k, PSP@k and
nDCG@k the Extreme Classification Repository (http://manikvarma.org/downloads/XC/XMLRepository.html).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from include.core.arrays import Floats

Hits = NDArray[np.bool_]
Counts = NDArray[np.int64]
Ranking = NDArray[np.int64]  # (queries, depth): positions in the corpus, best first, -1 where there is none

DEEPEST_PSP = 5  # the largest k of PSP@k


@dataclass(frozen=True)
class Metric:
    """A metric of each query: (queries,) values and weights; see the module."""

    values: Floats
    weights: Floats

    @property
    def figure(self) -> float:
        """The metric of the whole run."""
        return float(self.values.sum() / self.weights.sum())


@dataclass(frozen=True)
class Judged:
    """A ranking as the metrics see it.

    Attributes:
        hits: (queries, depth): whether the item at rank r (0 is best) of query q is relevant.
        relevant: (queries,): how many relevant items the corpus holds for the query, at least 1.
        gains: (queries, depth): the item's inverse propensity where it is a hit, else 0; None without propensities.
        attainable: (queries, DEEPEST_PSP): the largest inverse propensities of the query's relevant items,
            largest first, 0 where it has no more.
    """

    hits: Hits
    relevant: Counts
    gains: Floats | None = None
    attainable: Floats | None = None


def judge(ranking: Ranking, relevant: Sequence[frozenset[int]], inverse_propensities: Floats | None = None) -> Judged:
    """Compare a ranking with what is relevant.

    Args:
        ranking: (queries, depth) positions in the corpus, -1 for none.
        relevant: For each query the positions that answer it, at least one.
        inverse_propensities: Of each item of the corpus, for PSP.
    """
    counts = np.array([len(items) for items in relevant], np.int64)
    flat = np.fromiter((item for items in relevant for item in items), np.int64, int(counts.sum()))
    size = max(int(flat.max(initial=0)), int(ranking.max(initial=0))) + 1
    wanted = np.sort(np.repeat(np.arange(len(counts)), counts) * size + flat)
    keys = np.arange(len(counts))[:, None] * size + ranking
    place = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
    hits: Hits = (wanted[place] == keys) & (ranking >= 0)
    if inverse_propensities is None:
        return Judged(hits, counts)
    attainable = np.zeros((len(counts), DEEPEST_PSP))
    for row, items in enumerate(relevant):
        best = np.sort(inverse_propensities[list(items)])[::-1][:DEEPEST_PSP]
        attainable[row, : len(best)] = best
    return Judged(hits, counts, np.where(hits, inverse_propensities[ranking], 0.0), attainable)


def precision_at(hits: Hits, k: int) -> Floats:
    """P@k: the relevant share of the first k ranks. Ranks beyond the depth count as not relevant."""
    return np.asarray(_first(hits, k).sum(axis=1) / k, np.float64)


def recall_at(hits: Hits, relevant: Counts, k: int) -> Floats:
    """R@k: the share of a query's relevant items that are among the first k ranks."""
    return np.asarray(_first(hits, k).sum(axis=1) / _positive(relevant), np.float64)


def reciprocal_rank_at(hits: Hits, k: int) -> Floats:
    """MRR@k: one over the rank (from 1) of the first relevant item, 0 where none is in the first k."""
    first = _first(hits, k)
    return np.where(first.any(axis=1), 1.0 / (first.argmax(axis=1) + 1), 0.0)


def ndcg_at(hits: Hits, relevant: Counts, k: int) -> Floats:
    """nDCG@k with gain 1 for a relevant item and discount 1/log2(rank + 1), rank from 1.

    The ideal ranking has min(relevant, k) relevant items first.

    >>> ndcg_at(np.array([[False, True, False]]), np.array([1]), 10).round(3)
    array([0.631])
    """
    first = _first(hits, k)
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[np.minimum(_positive(relevant), k)]
    return np.asarray((first * discount[: first.shape[1]]).sum(axis=1) / ideal, np.float64)


def psp_at(gains: Floats, attainable: Floats, k: int) -> Metric:
    """PSP@k: precision with each hit weighted by its label's inverse propensity, over the best attainable.

    Both sums run over all queries before they are divided, as in pyxclib's `psprecision`: rare labels count
    more, so that a system cannot do well on popular ones alone.

    Raises:
        ValueError: k is more than DEEPEST_PSP.
    """
    if not 1 <= k <= attainable.shape[1]:
        raise ValueError(f"PSP@k needs k from 1 to {attainable.shape[1]}, not {k}")
    return Metric(gains[:, :k].sum(axis=1), attainable[:, :k].sum(axis=1))


def per_query(judged: Judged, names: Sequence[str]) -> dict[str, Metric]:
    """The named metrics, such as `p@1`, `psp@3`, `r@10`, `mrr@10`, `ndcg@10`.

    Raises:
        ValueError: A name is unknown, or asks for PSP without propensities.
    """
    functions = {
        "p": lambda k: precision_at(judged.hits, k),
        "r": lambda k: recall_at(judged.hits, judged.relevant, k),
        "mrr": lambda k: reciprocal_rank_at(judged.hits, k),
        "ndcg": lambda k: ndcg_at(judged.hits, judged.relevant, k),
    }
    metrics: dict[str, Metric] = {}
    for name in names:
        kind, _, depth = name.partition("@")
        if kind == "psp" and judged.gains is not None and judged.attainable is not None:
            metrics[name] = psp_at(judged.gains, judged.attainable, int(depth))
        elif kind in functions:
            values = functions[kind](int(depth))
            metrics[name] = Metric(values, np.ones(len(values)))
        else:
            raise ValueError(f"there is no metric {name!r}, or it needs inverse propensities that were not given")
    return metrics


def figures(metrics: Mapping[str, Metric]) -> dict[str, float]:
    """Each metric of the whole run, rounded to 4 digits."""
    return {name: round(metric.figure, 4) for name, metric in metrics.items()}


def summary(judged: Judged, names: Sequence[str]) -> dict[str, float]:
    """The named metrics of the whole run, rounded to 4 digits."""
    return figures(per_query(judged, names))


def inverse_propensities(frequencies: Counts, instances: int, a: float = 0.6, b: float = 2.6) -> Floats:
    """How much a hit on each label counts in PSP: 1 + C (frequency + b)^-a with C = (ln(instances) - 1) (b + 1)^a.

    Jain, Prabhu, Varma, "Extreme Multi-label Loss Functions" (KDD 2016), with the Extreme Classification
    Repository's a and b for Amazon. C is at least 0, so that 2 instances give no weight below 1.

    Args:
        frequencies: How many training products are linked to each label.
        instances: How many training products there are.
    """
    c = max(np.log(max(instances, 1)) - 1.0, 0.0) * (b + 1.0) ** a
    return np.asarray(1.0 + c * (frequencies + b) ** -a, np.float64)


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
