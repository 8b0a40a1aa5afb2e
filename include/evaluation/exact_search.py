"""Search by comparing with every item: what evaluation measures models by, and the truth an index is held to."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from include.core.arrays import Vectors
from include.evaluation.metrics import Ranking

BLOCK = 16_384  # corpus rows compared at once
QUERIES_AT_ONCE = 1024  # with BLOCK rows, 64 MiB of scores
GROUP = 8  # columns

Excluded = Sequence[frozenset[int]]  # for each query positions in the corpus that must not be found


def dense_search(
    queries: Vectors, corpus: Vectors, k: int, *, excluded: Excluded | None = None, block: int = BLOCK
) -> Ranking:
    """Exact search by inner product, `block` corpus rows at a time.

    Args:
        queries: (q, dim) float32.
        corpus: (n, dim) float32.
        k: Ranks to keep.
        excluded: See `Excluded`; None for nothing.
        block: Corpus rows compared at once.

    Returns:
        (q, min(k, n)) positions, best first, ties by position, -1 where what is left is excluded.
    """
    k = min(k, len(corpus))
    rankings = [np.empty((0, k), np.int64)]
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        rows = slice(start, start + QUERIES_AT_ONCE)
        rankings.append(_search(queries[rows], corpus, k, None if excluded is None else excluded[rows], block))
    return np.concatenate(rankings)


def _search(queries: Vectors, corpus: Vectors, k: int, excluded: Excluded | None, block: int) -> Ranking:
    owner, barred = flat(excluded)
    best = np.empty((len(queries), 0), np.float32)
    items = np.empty((len(queries), 0), np.int64)
    for start in range(0, len(corpus), block):
        scores = queries @ corpus[start : start + block].T
        inside = (barred >= start) & (barred < start + block)
        scores[owner[inside], barred[inside] - start] = -np.inf
        here = _largest(scores, k)
        best = np.concatenate([best, np.take_along_axis(scores, here, 1)], axis=1)
        items = np.concatenate([items, here + start], axis=1)
        kept = _largest(best, k)
        best, items = np.take_along_axis(best, kept, 1), np.take_along_axis(items, kept, 1)
    order = np.lexsort((items, -best), axis=1)
    ranking = np.take_along_axis(items, order, 1)
    return np.where(np.isneginf(np.take_along_axis(best, order, 1)), -1, ranking)


def _largest(scores: Vectors, k: int) -> Ranking:
    """The columns of each row's k largest scores, in no order."""
    rows, columns = scores.shape
    if columns <= k:
        return np.broadcast_to(np.arange(columns), scores.shape)
    groups, rest = divmod(columns, GROUP)
    if rest or groups < 2 * k:
        return np.argpartition(scores, -k, axis=1)[:, -k:]
    # In a third of the time: they lie in the k groups, each of columns far apart, that have the largest maxima.
    chosen = _largest(scores.reshape(rows, GROUP, groups).max(axis=1), k)
    within = (chosen[:, None] + np.arange(0, columns, groups)[:, None]).reshape(rows, -1)
    return np.take_along_axis(within, _largest(np.take_along_axis(scores, within, 1), k), 1)


def flat(rows: Excluded | None) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """All items of all rows, and with each the number of its row."""
    lengths = np.array([len(row) for row in rows or ()], np.int64)
    items = np.fromiter((item for row in rows or () for item in row), np.int64, int(lengths.sum()))
    return np.repeat(np.arange(len(lengths)), lengths), items
