"""What people ask as pairs to train on: a question with its product's text, and with the evidence that answers it.

Evidence stands behind its product's title, as answering compares a sentence with a question. Unanswerable questions
give no pair.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from include.catalogue.schema import PRODUCTS_FILE, product_text, read_rows
from include.questions.questions import Question, read

QUESTION_TEXTS = ("questions", "text")  # beside the columns of the catalogue's files
MOST_PRODUCTS = 5  # of a question: a list of hundreds would drown the others


class Beside(NamedTuple):
    """What a model may be trained with beside its catalogue.

    Attributes:
        negatives: Artifact of kind `negatives`.
        questions: Artifact of kind `questions`, whose part `train` is used.
    """

    negatives: Path | None = None
    questions: Path | None = None

    def to_train_on(self) -> list[Question]:
        """The answerable questions; none where there is no file."""
        return [] if self.questions is None else read(self.questions).to_train_on

    @property
    def mark(self) -> str | None:
        """What identifies what is learned from the questions, whatever else their file holds; None without any."""
        asked = [(each.question, each.uids[:MOST_PRODUCTS], each.evidence) for each in self.to_train_on()]
        return hashlib.sha256(repr(asked).encode()).hexdigest()[:16] if asked else None


class QuestionPair(NamedTuple):
    """Numbers of two texts, and the row of the product that both are about."""

    left: int
    right: int
    product: int


class QuestionPairs(NamedTuple):
    """Texts, each once, and the pairs of them."""

    texts: list[str]
    pairs: list[QuestionPair]


def question_pairs(catalogue: Path, questions: Sequence[Question]) -> QuestionPairs:
    """The pairs of answerable questions, in their order; rows are positions in `products.parquet`."""
    asked = [each for each in questions if each.answerable]
    products = _products(catalogue / PRODUCTS_FILE, {uid for each in asked for uid in each.uids[:MOST_PRODUCTS]})
    number: dict[str, int] = {}
    pairs = []
    for each in asked:
        for uid in each.uids[:MOST_PRODUCTS]:
            if uid not in products:
                continue
            row, title, content = products[uid]
            texts = [product_text(title, content)]
            if len(each.uids) == 1:  # of several products, nobody says whose it is
                texts += [product_text(title, evidence) for evidence in each.evidence]
            left, *right = [number.setdefault(text, len(number)) for text in (each.question, *texts)]
            pairs += [QuestionPair(left, one, row) for one in right if one != left]
    return QuestionPairs(list(number), pairs)


def _products(file: Path, uids: set[str]) -> dict[str, tuple[int, str, str]]:
    """By uid: row, title, content."""
    wanted, found, before = pa.array(sorted(uids), pa.string()), {}, 0
    for table in read_rows(file, ["uid", "title", "content"]) if uids else ():
        rows = pc.indices_nonzero(pc.is_in(table["uid"], wanted))
        for row, product in zip(rows.to_pylist(), table.take(rows).to_pylist(), strict=True):
            found[product["uid"]] = (before + row, product["title"], product["content"])
        before += len(table)
    return found
