"""What a reader learns from: questions with passages that answer them, and passages that do not.

A questions file has answers alone, so what does not answer is made of it: other passages of the same product, and the
nearest ones, by the bi-encoder, among what answers other questions. A passage whose own question is like this one may
well answer it and is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from include.core.arrays import Floats, Ints, Vectors

ALIKE = 0.5  # cosine of two questions: above it, what answers one may answer the other
NEAREST = 40  # passages of other products that are drawn from
SHARPNESS = 4.0  # passages of the same product are drawn by exp(SHARPNESS * cosine with the question)
CANDIDATES = 5  # of a held-out question: one that answers, and so many less one that do not


@dataclass(frozen=True)
class Row:
    """A question about a product, and what is known to answer it.

    Attributes:
        question: As a person asks it.
        product: The product's id: passages of one product are hard to tell apart.
        answer: The passage that answers, as it will be read: with the product's title in front where that is known.
        others: Passages of the same product that do not answer; may be empty.
    """

    question: str
    product: str
    answer: str
    others: tuple[str, ...] = ()


@dataclass
class Passages:
    """All rows' passages, and for each row those that do not answer it.

    Args:
        rows: The rows.
        questions: (rows, dim) float32, vectors of the questions.
        answers: (rows, dim) float32, vectors of the answers.
        others: (passages, dim) float32, vectors of the rows' `others`, one row's after another's.
    """

    rows: Sequence[Row]
    questions: Vectors
    answers: Vectors
    others: Vectors
    texts: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.texts = [row.answer for row in self.rows] + [text for row in self.rows for text in row.others]
        self._vectors = np.concatenate([self.answers, self.others])
        self._products = np.array([row.product for row in self.rows], object)
        ends = np.cumsum([0] + [len(row.others) for row in self.rows]) + len(self.rows)
        self._own = [np.arange(ends[number], ends[number + 1]) for number in range(len(self.rows))]

    def wrong(self, row: int, among: Ints) -> tuple[Ints, Ints]:
        """Passages that do not answer a row's question: of its product, and the nearest of others.

        Args:
            row: Its number.
            among: Numbers of the rows whose answers may be taken.

        Returns:
            Positions in `texts`, those of the product by their cosine with the question, likewise the others.
        """
        unlike = among[self.questions[among] @ self.questions[row] <= ALIKE]
        unlike = unlike[[self.rows[each].answer != self.rows[row].answer for each in unlike]]
        same = self._products[unlike] == self.rows[row].product
        own = np.concatenate([self._own[row], unlike[same]])
        return self._by_cosine(row, own), self._by_cosine(row, unlike[~same])[:NEAREST]

    def drawn(self, row: int, wrong: tuple[Ints, Ints], count: int, random: np.random.Generator) -> Ints:
        """`count` of a row's wrong passages; about half of them of its product, where it has so many.

        Args:
            row: Its number.
            wrong: From `wrong`.
            count: How many.
            random: Draws them.
        """
        own, near = wrong
        weights: Floats = np.exp(SHARPNESS * (self._vectors[own] @ self.questions[row]).astype(np.float64))
        most = min(len(own), count if not len(near) else (count + 1) // 2)
        first = random.choice(own, most, replace=False, p=weights / weights.sum()) if most else own[:0]
        pool = near if len(near) else own
        rest = random.choice(pool, count - most) if len(pool) else np.zeros(0, np.int64)
        return np.concatenate([first, rest])

    def candidates(self, row: int, among: Ints) -> Ints:
        """A held-out question's passages: the one that answers, then the nearest that do not, its product's first."""
        own, near = self.wrong(row, among)
        return np.concatenate([[row], np.concatenate([own, near])[: CANDIDATES - 1]])

    def _by_cosine(self, row: int, passages: Ints) -> Ints:
        order = np.argsort(-(self._vectors[passages] @ self.questions[row]), kind="stable")
        return passages[order].astype(np.int64)
