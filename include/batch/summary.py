"""What a file of answers leaves as its artifact's statistics."""

from typing import Any

from pydantic import BaseModel
from typing_extensions import TypedDict

from include.exam.summary import FigureName


class Mean(TypedDict):
    """A figure's mean over so many questions, by their weights."""

    value: float
    questions: int


class Answered(BaseModel):
    """What became of a file of questions: read = asked + rejected.

    Attributes:
        origin: Where the file is from, without secrets.
        file: Name of the file of answers in the artifact.
        read: Rows, but for blank ones.
        asked: Questions that were asked; each is a row of the answers.
        rejected: Rows set aside in `rejected.jsonl`, by `reasons`.
        blank: Rows with nothing in them.
        reasons: Of the rejected, how many by reason.
        examples: Of each reason some rows, with their line and beginning.
        ignored: Fields that mean nothing here, by name.
        found: Of the asked, those that something answers.
        version: That answered all of them.
        model: Its model, as `model/<fingerprint>`.
        products: How many it holds.
        bm25_weight, threshold, threshold_from, filter, facets: As in the result of one question.
        labelled: Of the asked, those that say what is right of this version's products.
        unknown_products: Questions that name only products which the version has not: no figure counts them.
        figures: Of the labelled, by name.
        seconds: That reading and answering took in the last try.
        per_second: Questions a second, of those that it answered.
        notes: What a person should know, in sentences.
    """

    origin: str
    file: str
    read: int = 0
    asked: int = 0
    rejected: int = 0
    blank: int = 0
    reasons: dict[str, int] = {}
    examples: dict[str, list[dict[str, Any]]] = {}
    ignored: dict[str, int] = {}
    found: int = 0
    version: str = ""
    model: str = ""
    products: int = 0
    bm25_weight: float | None = None
    threshold: float | None = None
    threshold_from: str = ""
    filter: str | None = None
    facets: dict[str, Any] = {}
    labelled: int = 0
    unknown_products: int = 0
    figures: dict[FigureName, Mean] = {}
    seconds: float = 0.0
    per_second: float = 0.0
    notes: list[str] = []
