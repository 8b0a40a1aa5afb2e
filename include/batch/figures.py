"""The exam's figures over a file that says what is right, counted question by question."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from include.batch.summary import Mean
from include.exam.scoring import score
from include.exam.summary import FigureName
from include.questions.questions import Question

SHOWN: tuple[FigureName, ...] = ("hit@1", "hit@5", "evidence", "answered_wrongly", "refused_wrongly")


def is_labelled(question: Question) -> bool:
    """Whether a row says what is right."""
    return bool(question.uids or question.evidence) or not question.answerable


class Figures:
    """Means of the figures, as the exam has them; figures on products are over the answerable questions.

    Attributes:
        labelled: Questions that say what is right of the products that there are.
        unknown: Those that name only others.
    """

    def __init__(self, top_k: int) -> None:
        self._names = [name for name in SHOWN if name != "hit@5" or top_k >= 5]
        self._sums: defaultdict[FigureName, float] = defaultdict(float)
        self._weights: defaultdict[FigureName, float] = defaultdict(float)
        self._counts: Counter[FigureName] = Counter()
        self.labelled = self.unknown = 0

    def add(
        self, question: Question, entry: Mapping[str, Any], known: Collection[str]
    ) -> dict[FigureName, float] | None:
        """The figures of one question; None where it does not say what is right.

        Args:
            question: With its labels.
            entry: What was answered.
            known: The uids that the version has, of those that are named.
        """
        if not is_labelled(question):
            return None
        if question.answerable and question.uids and not any(uid in known for uid in question.uids):
            self.unknown += 1
            return None
        self.labelled += 1
        made = score(question, entry)
        shown = {name: made[name] for name in self._names if name in made}
        for name, value in shown.items():
            if question.answerable or name == "answered_wrongly":
                self._sums[name] += question.weight * value
                self._weights[name] += question.weight
                self._counts[name] += 1
        return shown

    def means(self) -> dict[FigureName, Mean]:
        """Of the figures that apply to any question."""
        return {
            name: {"value": round(self._sums[name] / self._weights[name], 4), "questions": self._counts[name]}
            for name in self._names
            if self._counts[name]
        }
