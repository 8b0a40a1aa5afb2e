"""Search by comparing with every item: what evaluation measures models by, and the truth an index is held to."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from include.bm25 import Bm25
from include.index.fusion import depth, fuse

BLOCK = 16_384  # corpus rows compared at once: with 1,000 queries, 64 MiB of scores

Vectors = npt.NDArray[np.float32]
Ranking = npt.NDArray[np.int64]  # (queries, depth): positions in the corpus, best first, -1 where there is none


def dense_search(queries: Vectors, corpus: Vectors, k: int, *, block: int = BLOCK) -> Ranking:
    """Exact search by inner product, `block` corpus rows at a time.

    Args:
        queries: (q, dim) float32.
        corpus: (n, dim) float32.
        k: Ranks to keep.
    """
    k = min(k, len(corpus))
    best = np.full((len(queries), 0), 0, np.float32)
    items = np.empty((len(queries), 0), np.int64)
    for start in range(0, len(corpus), block):
        scores = queries @ corpus[start : start + block].T
        numbers = np.broadcast_to(np.arange(start, start + scores.shape[1]), scores.shape)
        best = np.concatenate([best, scores], axis=1)
        items = np.concatenate([items, numbers], axis=1)
        if best.shape[1] > k:
            kept = np.argpartition(-best, k - 1, axis=1)[:, :k]
            best, items = np.take_along_axis(best, kept, 1), np.take_along_axis(items, kept, 1)
    order = np.lexsort((items, -best), axis=1)
    return np.take_along_axis(items, order, 1)


def hybrid_search(queries: Vectors, corpus: Vectors, bm25: Bm25, texts: Sequence[str], k: int) -> Ranking:
    """Dense and BM25 fused by the index's own function, from as many candidates of each side as it takes."""
    wide = depth(k)
    dense = dense_search(queries, corpus, wide)
    words, scores = bm25.search(texts, wide)
    ranking = np.full((len(texts), k), -1, np.int64)
    for row, query in enumerate(queries):
        by_words = {str(item): float(score) for item, score in zip(words[row], scores[row], strict=True) if item >= 0}
        candidates = np.union1d(dense[row], words[row][words[row] >= 0])
        cosines = dict(zip(map(str, candidates), (corpus[candidates] @ query).tolist(), strict=True))
        fused = [int(item) for item, _ in fuse(cosines, by_words, k)]
        ranking[row, : len(fused)] = fused
    return ranking
