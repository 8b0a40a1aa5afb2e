"""How much the words weigh in hybrid search: fitted on products that training never saw, never assumed.

For a grid of weights the candidates of both sides are fused as the index does (`include.store.fusion`) and
measured by nDCG@10. Taken is the weight around which the curve is highest: the mean with its two neighbours,
less a price of PRICE per unit of weight, so that one lucky query of a hundred does not drag in the words.
Weight 0, dense search alone, is on the grid.

That is the weight for titles. People's questions name brands, models and parts that only the words tell apart: over
them the curve is flat from 0.3 to 0.6 and falls towards 0, with a model as it comes and with a trained one
(docs/experiments.md). So what goes live is no less than `LEAST_OF_QUESTIONS`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from include.core.arrays import Floats, Scores, Vectors
from include.evaluation.bootstrap import FEWEST
from include.evaluation.metrics import Ranking, judge, ndcg_at
from include.store.fusion import combine
from include.store.protocol import BM25_WEIGHT

GRID = np.arange(21) / 20  # 0 to 1 by 0.05
PRICE = 0.01  # nDCG@10 that weight 1 must gain over weight 0
LEAST_OF_QUESTIONS = 0.4  # weight that goes live, whatever titles say
PARTS = 5  # of a crosswise fit: four fifths give nearly the weight that all give, halves often do not
MOST = 5000  # queries to fit on: more do not change a weight in steps of 0.05
GATHERED = 8_000_000  # numbers of candidates' vectors in memory at once, 32 MiB


@dataclass(frozen=True)
class Candidates:
    """What both sides found for each query; all (queries, candidates).

    Attributes:
        items: Positions in the corpus, ascending, -1 where there is none.
        cosines: Of each with the query.
        words: BM25 score over the query's best one, 0-1.
    """

    items: Ranking
    cosines: Scores
    words: Scores

    def __getitem__(self, rows: Any) -> "Candidates":
        return Candidates(self.items[rows], self.cosines[rows], self.words[rows])

    def __len__(self) -> int:
        return len(self.items)

    def ranked(self, bm25_weight: float | Floats, k: int) -> Ranking:
        """The best k by fused score, ties by position.

        Args:
            bm25_weight: 0-1; one number, or one for each query.
            k: Ranks to keep.
        """
        weight = np.asarray(bm25_weight, np.float64)
        fused = combine(self.cosines, self.words, weight[:, None] if weight.ndim else float(weight))
        fused = np.where(self.items < 0, -np.inf, fused)
        order = np.argsort(-fused, axis=1, kind="stable")[:, :k]
        ranking = np.take_along_axis(self.items, order, 1)
        missing = np.full((len(ranking), k - ranking.shape[1]), -1, np.int64)
        return np.concatenate([ranking, missing], axis=1)


@dataclass(frozen=True)
class Fit:
    """A fitted weight.

    Attributes:
        weight: Of BM25, 0-1.
        queries: How many it was fitted on.
        curve: The mean nDCG@10 at each weight of the grid.
    """

    weight: float
    queries: int
    curve: Floats

    def as_text(self) -> dict[str, float]:
        """The curve for `metrics.json`: nDCG@10, 4 digits, by weight."""
        return {f"{weight:.2f}": round(float(mean), 4) for weight, mean in zip(GRID, self.curve, strict=True)}


def candidates(queries: Vectors, corpus: Vectors, dense: Ranking, words: Ranking, scores: Scores) -> Candidates:
    """Bring both sides' results together; a candidate of BM25 gets its cosine too, as in the index.

    Args:
        queries: (q, dim) float32.
        corpus: (n, dim) float32.
        dense: (q, d), see `include.evaluation.exact_search.dense_search`.
        words: (q, b) positions that BM25 found, -1 for none.
        scores: (q, b) their scores, descending, 0 for none.
    """
    items = np.sort(np.concatenate([dense, words], axis=1), axis=1)
    items[:, 1:][items[:, 1:] == items[:, :-1]] = -1
    size = len(corpus)
    row = np.arange(len(items))[:, None]
    # BM25's results as one sorted list of (query, item), to look each candidate up in.
    there = words >= 0
    keys = (row * size + words)[there]
    order = np.argsort(keys)
    best = np.maximum(scores[:, :1], np.finfo(np.float32).tiny)
    known, values = keys[order], (scores / best)[there][order]
    share = np.zeros(items.shape, np.float32)
    if len(known):
        wanted = row * size + items
        place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        share = np.where((known[place] == wanted) & (items >= 0), values[place], 0).astype(np.float32)
    cosines = np.empty(items.shape, np.float32)
    step = max(GATHERED // (items.shape[1] * corpus.shape[1]), 1)
    for start in range(0, len(items), step):
        some = slice(start, start + step)
        cosines[some] = np.einsum("qcd,qd->qc", corpus[items[some]], queries[some])
    return Candidates(items, cosines, share)


def fit(found: Candidates, relevant: Sequence[frozenset[int]]) -> Fit | None:
    """The weight for these queries; None where they are fewer than `FEWEST`, which would fit noise."""
    found, relevant = found[:MOST], relevant[:MOST]
    if len(found) < FEWEST:
        return None
    gains = np.stack([_ndcg(found.ranked(weight, 10), relevant) for weight in GRID], axis=1)
    curve = gains.mean(axis=0)
    smooth = np.convolve(np.pad(curve, 1, "edge"), np.ones(3) / 3, "valid")
    chosen = int((smooth - PRICE * GRID).argmax())
    return Fit(float(GRID[chosen]), len(gains), curve)


def cross_fit(found: Candidates, relevant: Sequence[frozenset[int]], seed: int) -> Floats:
    """A weight for each query, fitted on queries of other parts: none is measured on what chose its weight.

    Args:
        found: Of all queries.
        relevant: For each query the positions that answer it.
        seed: Draws the parts.

    Returns:
        (queries,) weights; the default weight where there are too few queries to fit on.
    """
    mixed = np.random.default_rng([seed, 4]).permutation(len(found))
    weights = np.full(len(found), BM25_WEIGHT)
    for part in np.array_split(mixed, PARTS):
        others = np.setdiff1d(mixed, part)
        fitted = fit(found[others], [relevant[row] for row in others])
        if fitted is not None:
            weights[part] = fitted.weight
    return weights


def _ndcg(ranking: Ranking, relevant: Sequence[frozenset[int]]) -> Floats:
    judged = judge(ranking, relevant)
    return ndcg_at(judged.hits, judged.relevant, 10)
