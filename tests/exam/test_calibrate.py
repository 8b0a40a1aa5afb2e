"""include/exam/calibrate.py: the threshold of answers is chosen by questions, and goes with the version."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include import stages
from include.core.answer_settings import AnswerSettings
from include.exam.calibrate import calibrated
from include.questions.questions import Question
from include.run import Run
from include.store.journal import Journal
from tests.exam.people import COUNT, ROWS, asked_of, publish, summaries, write_file
from tests.indexed import INDEX, Shop


def told(scores: list[float], answerable: bool) -> tuple[list[Question], list[dict[str, Any]]]:
    """Questions with the confidence of their answers; below 0 where nothing was found."""
    questions = [Question(f"{answerable}{n}", "?", ("a",), answerable=answerable) for n in range(len(scores))]
    return questions, [{"found": score >= 0, "confidence": {"answer": abs(score)}} for score in scores]


def test_the_threshold_lets_the_wished_share_through_and_no_more() -> None:
    """One that is chosen by eye is wrong for the next catalogue."""
    absent = told([n / 20 for n in range(20)], False)
    there = told([0.2, 0.5, 0.8, 0.9, -1.0], True)
    made = calibrated([*absent[0], *there[0]], [*absent[1], *there[1]], 0.1)
    assert made is not None
    assert 0.85 < made["threshold"] <= 0.9
    assert (made["wrong_answers"], made["questions"]) == (0.1, 25)
    assert made["wrong_refusals"] == 0.8
    free = calibrated([*absent[0], *there[0]], [*absent[1], *there[1]], 1.0)
    assert free is not None and (free["threshold"], free["wrong_refusals"]) == (0.5, 0.4)
    none = calibrated(*absent, 0.0)
    assert none is not None and (none["wrong_answers"], none["wrong_refusals"]) == (0.0, None)


def test_easy_unanswerable_questions_do_not_lower_the_threshold(
    shop: Shop, run_of: Callable[..., Run], asked: Path
) -> None:
    """A question for submarines says nothing of one for a lamp's warranty, which would be answered with any text."""
    run = run_of(1, questions=str(asked), wrong_answers=1.0)
    exam = stages.examine(run, *summaries(shop, 1, run))
    assert exam is not None and exam["stats"]["answering"]["threshold"] == 0.5


def test_too_few_unanswerable_questions_calibrate_nothing() -> None:
    """A threshold from nine questions is a guess with decimals."""
    absent = told([0.3] * 9, False)
    assert calibrated(*absent, 0.1) is None


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    questions = [*asked_of(ROWS, COUNT).all, *asked_of(ROWS, COUNT, "calibrate").all]
    return write_file(tmp_path / "both.jsonl", questions)


def test_the_threshold_is_published_used_and_rolled_back(shop: Shop, run_of: Callable[..., Run], asked: Path) -> None:
    """Else a question would be answered by another version's threshold."""

    def answered(**settings: Any) -> tuple[float, str]:
        found = stages.answer_question("a red kettle", AnswerSettings(**settings), INDEX, root=shop.root)
        return found["threshold"], found["threshold_from"]

    exam, decision = publish(shop, 1, run_of(1, questions=str(asked), wrong_answers=0.2))
    assert decision["published"]
    answering = exam["stats"]["answering"]
    assert answering["wrong_answers"] <= 0.2 == answering["wished"]
    first = Journal.load(shop.root, "products").history[-1]
    assert first.answering == answering
    assert answered() == (answering["threshold"], "calibration")
    assert answered(threshold=0.11) == (0.11, "the form")

    assert publish(shop, 2, run_of(2, tolerance=1.0))[1]["published"]  # its questions are of the exam alone
    assert answered() == (0.5, "default")
    shop.roll_back()
    assert answered() == (answering["threshold"], "calibration")
    rows = [json.loads(line) for line in (Path(exam["path"]) / "answers.jsonl").read_text().splitlines()]
    absent = [row for row in rows if "submarine" in row["question"]]
    assert sum(row["found"] for row in absent) / len(absent) <= 0.4, "of other questions, about as wished"
