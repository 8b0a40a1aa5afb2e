"""What an exam leaves as its artifact's statistics. Figures are 0-1, rounded to 4 digits."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel
from typing_extensions import TypedDict

from include.evaluation.summary import Difference, Gate

FigureName = Literal["hit@1", "hit@5", "recall@10", "evidence", "evidence_right", "answered_wrongly", "refused_wrongly"]
NAMES: dict[FigureName, str] = {
    "hit@1": "right product first",
    "hit@5": "right product among five",
    "recall@10": "recall@10",
    "evidence": "evidence shown",
    "evidence_right": "evidence shown, of a right product",
    "answered_wrongly": "wrong answers",
    "refused_wrongly": "wrong refusals",
}
# By the gate, and by the check of what is live.
JUDGED: tuple[FigureName, ...] = ("hit@1", "answered_wrongly", "refused_wrongly", "evidence")
LESS_IS_BETTER = ("answered_wrongly", "refused_wrongly")
# By figure; of one question, those that apply to it.
Scores = Mapping[FigureName, float]


class Figure(TypedDict):
    """A mean over so many questions, by their weights, and its 95 % interval."""

    value: float
    low: float
    high: float
    questions: int


class Scored(BaseModel):
    """Two versions, or one, by figure.

    Attributes:
        figures: By version (`new`, `live`), by figure.
        differences: New minus live; empty with one version. "better" and "worse" mean what a person means.
    """

    figures: dict[str, dict[FigureName, Figure]]
    differences: dict[FigureName, Difference] = {}


class Calibrated(TypedDict):
    """The threshold that goes with a version.

    `wished` is the share of unanswerable questions that may be answered; `wrong_answers` and `wrong_refusals` are what
    it leads to on the `questions` that it was chosen by.
    """

    threshold: float
    wished: float
    wrong_answers: float | None
    wrong_refusals: float | None
    questions: int


class Examined(BaseModel):
    """An exam of a version, and of the live one where that is another.

    Attributes:
        version: That was asked as `new`.
        live: As `live`: as it was published, which may be the same version with another threshold or reader; None where
            none is live, or where it could not be asked.
        questions: How many were asked, of both; those of products that the live one has not are not compared.
        total: Over all. Figures on products are over the answerable questions.
        kinds: By the questions' kinds, where those are given.
        answering: The version's threshold, by the questions of the part `calibrate`; None where they were too few.
        gate: Whether the version may replace the live one.
        decides: Whether it does, and goes with the version: not where people's verdicts alone are the exam.
    """

    version: str
    live: str | None
    questions: int
    total: Scored
    kinds: dict[str, Scored] = {}
    answering: Calibrated | None = None
    gate: Gate
    decides: bool = True
