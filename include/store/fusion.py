"""Hybrid search: dense and BM25 results fused by a convex combination of their scores.

fused = (1 - w) * cosine + w * BM25 / (best BM25), from S. Bruch, S. Gai, A. Ingber: "An Analysis of Fusion
Functions for Hybrid Retrieval" (ACM TOIS 2023). Unlike reciprocal rank fusion it keeps by how much a
hit is better than the next. How much the words should weigh depends on the model: evaluation fits w for each
(`evaluation/fusion_weight.py`), and it goes live with the index. On the real products, nDCG@10 with w fitted on other
products than those measured (fine-tuned: MiniLM, two epochs):

| | title to label title: base, fine-tuned | title to content: base, fine-tuned |
|---|---|---|
| dense | 0.872, 0.948 | 0.802, 0.874 |
| BM25 | 0.851 | 0.798 |
| this | 0.888 (w = 0.20), 0.952 (w = 0.05) | 0.817 (w = 0.10), 0.873 (w = 0) |
| the same with cosines scaled to 0-1 (min-max) | 0.890, 0.952 | 0.821, 0.873 |
| the same with z-scores | 0.890, 0.953 | 0.821, 0.873 |
| reciprocal ranks, k = 60 | 0.870, 0.946 | 0.795, 0.874 |
| reciprocal ranks, k = 10 | 0.873, 0.948 | 0.802, 0.874 |

Scaling gains nothing for a fine-tuned model, and would make a score depend on what else was retrieved.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from include.core.arrays import AnyFloats
from include.store.protocol import BM25_WEIGHT, Hit

DEPTH = 50  # candidates from each side


def depth(top_k: int) -> int:
    """How many candidates to take from each side for `top_k` fused ones."""
    return max(DEPTH, 2 * top_k)


def fuse(
    dense: Mapping[str, float], bm25: Mapping[str, float], top_k: int, *, bm25_weight: float = BM25_WEIGHT
) -> list[tuple[str, float]]:
    """The best `top_k` candidates of both sides as (name, fused score), by score, then name.

    Fused scores are from 0 to 1 (within rounding). A negative cosine counts as 0. A candidate that one side
    does not know has 0 there, so `dense` should hold the cosines of BM25's candidates as well: one that
    the graph's nearest 50 leave out is seldom far away.

    Args:
        dense: Cosine by the candidate's name.
        bm25: BM25 score likewise, all above 0.
        top_k: How many to return.
        bm25_weight: w, from 0 (dense alone) to 1 (BM25 alone).

    Raises:
        ValueError: `bm25_weight` is outside 0-1.
    """
    if not 0 <= bm25_weight <= 1:
        raise ValueError(f"bm25_weight must be from 0 to 1, not {bm25_weight}")
    best = max(bm25.values(), default=1.0)
    names = sorted(dense.keys() | bm25.keys())
    cosines = np.array([dense.get(name, 0.0) for name in names])
    words = np.array([bm25.get(name, 0.0) / best for name in names])
    scores = zip(names, combine(cosines, words, bm25_weight).tolist(), strict=True)
    return sorted(scores, key=lambda item: (-item[1], item[0]))[:top_k]


def combine(cosines: AnyFloats, words: AnyFloats, bm25_weight: float | AnyFloats) -> AnyFloats:
    """The fused score of candidates: their cosines and their BM25 scores over the best one, in equal shapes.

    `bm25_weight` is a number, or an array that broadcasts against them.
    """
    return np.asarray((1 - bm25_weight) * np.maximum(cosines, 0.0) + bm25_weight * words)


def unmatched(hits: Sequence[Hit], others: Sequence[Hit]) -> list[Hit]:
    """The hits whose product is not among `others`."""
    known = {hit.uid for hit in others}
    return [hit for hit in hits if hit.uid not in known]
