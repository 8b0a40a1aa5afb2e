"""The threshold that a version answers by, from questions: at most the wished share of wrong answers.

A question that nothing answers is answered wrongly wherever some sentence reaches the threshold. So it is raised from
the default to just above the sentences of all such questions but for the wished share of them. It is never lowered:
that a file's unanswerable questions are easy says nothing of those that people will ask.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from include.answering.judged import THRESHOLD
from include.evaluation.bootstrap import FEWEST
from include.exam.summary import Calibrated
from include.questions.questions import Question

STEP = 0.0001  # confidences are rounded to it


def calibrated(questions: Sequence[Question], entries: Sequence[Mapping[str, Any]], wished: float) -> Calibrated | None:
    """The threshold, and what it leads to; None where too few questions are unanswerable to tell.

    Args:
        questions: Of the part `calibrate`.
        entries: What the version says to them at threshold 0, see `include.answering.answer.answer`.
        wished: Share of the unanswerable questions that may be answered, 0-1, by weight.
    """
    told = [
        (question, float(entry["confidence"]["answer"]) if entry["found"] else -1.0)
        for question, entry in zip(questions, entries, strict=True)
    ]
    absent = sorted(((score, each.weight) for each, score in told if not each.answerable), reverse=True)
    there = [(score, each.weight) for each, score in told if each.answerable]
    if len(absent) < FEWEST:
        return None
    allowed, threshold, answered = wished * sum(weight for _, weight in absent), THRESHOLD, 0.0
    for score, weight in absent:
        answered += weight
        if score >= threshold and answered > allowed:
            threshold = round(score + STEP, 4)
            break
    return {
        "threshold": threshold,
        "wished": wished,
        "wrong_answers": _share(absent, lambda score: score >= threshold),
        "wrong_refusals": _share(there, lambda score: score < threshold),
        "questions": len(told),
    }


def _share(scores: Sequence[tuple[float, float]], counted: Callable[[float], bool]) -> float | None:
    total = sum(weight for _, weight in scores)
    return round(sum(weight for score, weight in scores if counted(score)) / total, 4) if total else None
