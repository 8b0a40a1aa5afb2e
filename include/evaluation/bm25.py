"""BM25 over a corpus in memory: the baseline that evaluation compares with.

The scoring is bm25s's (Lù 2024, https://arxiv.org/abs/2407.03618), method "lucene", k1 1.2 and b 0.75. The
terms are those of `include.store.terms`, as in the index's text field.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from include.store.terms import NONE, Terms

K1 = 1.2
B = 0.75


class Bm25:
    """An index of texts that ranks them by BM25.

    Args:
        texts: The corpus; position i is item i.
        language: Of its terms.
    """

    def __init__(self, texts: Sequence[str], language: str = NONE) -> None:
        import bm25s

        self.size = len(texts)
        self._terms = Terms(language)
        corpus = [self._terms.document(text).split() for text in texts]
        self._index = bm25s.BM25(k1=K1, b=B, method="lucene")
        self._known: set[str] = set().union(*corpus)
        if self._known:
            self._index.index(corpus, show_progress=False)

    def search(
        self, questions: Sequence[str], k: int, *, excluded: Sequence[frozenset[int]] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The best k items for each question.

        Args:
            questions: Texts.
            k: Items to keep.
            excluded: For each question items that must not be found; None for nothing.

        Returns:
            Item numbers, (questions, k) int64, best first, ties by item number, -1 where no further item
            shares a word with the question; and their scores, (questions, k) float32, 0 there.
        """
        items = np.full((len(questions), k), -1, dtype=np.int64)
        scores = np.zeros((len(questions), k), dtype=np.float32)
        for row, question in enumerate(questions):
            asked = [word for word in self._terms.question(question).split() if word in self._known]
            if not asked:
                continue
            own = self._index.get_scores(asked)
            if excluded is not None:
                own[list(excluded[row])] = 0
            matching = np.flatnonzero(own > 0)
            if matching.size > k:  # keep every tie with the k-th, so that the order below decides
                least = np.partition(own[matching], matching.size - k)[matching.size - k]
                matching = matching[own[matching] >= least]
            best = matching[np.lexsort((matching, -own[matching]))][:k]
            items[row, : best.size] = best
            scores[row, : best.size] = own[best]
        return items, scores
