"""What a reader learns from: questions with passages that answer them, and passages that do not.

A questions file has answers alone, so what does not answer is made of it: other passages of the same product, and the
nearest ones, by the bi-encoder, among what answers other questions. A passage whose own question is like this one may
well answer it and is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np

from include.core.arrays import Bools, Floats, Ints, Vectors

HELD_OUT, MOST = 15, 50  # per cent of the products that are held out; up to so many where questions are few
FEWEST_TAUGHT, FEWEST_HELD_OUT = 40, 30  # questions: fewer teach and prove nothing

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


def held_out(rows: Sequence[Row]) -> Bools:
    """Which rows' products are held out: by a hash, so that a product's fate is about the same in every file."""
    marks = np.array([int(sha256(row.product.encode()).hexdigest()[:8], 16) % 100 for row in rows], np.int64)
    enough = (share for share in range(HELD_OUT, MOST) if _questions(rows, marks < share) >= FEWEST_HELD_OUT)
    return marks < next(enough, MOST)


def too_few(rows: Sequence[Row]) -> str | None:
    """Why these teach no reader, or prove nothing about it; None where they do."""
    held = held_out(rows)
    for name, side, least in (("train on", ~held, FEWEST_TAUGHT), ("measure it on", held, FEWEST_HELD_OUT)):
        count, some = _questions(rows, side), [rows[number] for number in np.flatnonzero(side).tolist()]
        if count < least:
            return f"{count} questions with evidence to {name}, and it needs {least}"
        if min(len({row.product for row in some}), len({row.answer for row in some})) < 2:
            return f"the questions to {name} are about one product, or have one answer, and it needs several"
    return None


def _questions(rows: Sequence[Row], side: Bools) -> int:
    return len({(rows[number].question, rows[number].product) for number in np.flatnonzero(side).tolist()})


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
        others = among[[self.rows[each].answer != self.rows[row].answer for each in among]]
        unlike = others[self.questions[others] @ self.questions[row] <= ALIKE]
        same = self._products[unlike] == self.rows[row].product
        own = np.concatenate([self._own[row], unlike[same]])
        if not len(own) and not len(unlike):  # all ask about the same: then the product makes the difference
            return own, self._by_cosine(row, others)[:NEAREST]
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
