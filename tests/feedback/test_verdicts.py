"""include/feedback/verdicts.py: which verdict becomes which question."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include import stages
from include.core import artifacts
from include.core.forms import pipeline_settings
from include.feedback.store import Feedback, Kept, append
from include.feedback.verdicts import CONTRADICTORY, FILTERED, UNCLEAR, WRONG, as_questions, exported
from include.questions.questions import FEWEST_OF_FEEDBACK, Questions, part, read
from include.questions.summary import Fates
from include.run import Run
from include.training.question_pairs import Beside
from tests.feedback.judged import row

A, B = "0000000000", "0000000001"


def said(question: str, verdict: str, number: int = 0, **more: Any) -> Feedback:
    """A verdict of a user of this number on an answer that found A, but for what `more` says."""
    given = {"found": True, "sources": [A], "user": f"user {number}", "run_id": question}
    return row(0, question=question, verdict=verdict, **{**given, **more})


def made_of(*rows: Feedback) -> tuple[list[tuple[Any, ...]], dict[str, int]]:
    taken = as_questions(Kept(list(rows), 0))
    return [(each.uids, each.evidence, each.answerable) for each in taken.questions], taken.spoken.unused


@pytest.mark.parametrize(
    ("rows", "made", "unused"),
    [
        ([said("q", "up", quotes=["It is red"])], [((A,), ("It is red",), True)], {}),
        ([said("q", "up", found=False, sources=[])], [((), (), False)], {}),
        ([said("q", "down", right=B, right_given="b")], [((B,), (), True)], {}),
        ([said("q", "down", found=False, sources=[], right=B, right_given="b")], [((B,), (), True)], {}),
        ([said("q", "down")], [], {WRONG: 1}),
        ([said("q", "down", right_given="the blue one")], [], {UNCLEAR: 1}),
        ([said("q", "up"), said("Q?", "up", 1, sources=[B])], [((A, B), (), True)], {}),
        ([said("q", "up"), said("Q!", "down", 1)], [], {WRONG: 1, CONTRADICTORY: 1}),
        ([said("q", "up"), said("q", "up", 1, found=False, sources=[])], [], {CONTRADICTORY: 2}),
        ([said("q", "up"), said("q", "down", 1, right=B)], [], {CONTRADICTORY: 2}),
        ([said("q", "up", sources=[B]), said("q", "down", 1, right=B)], [((B,), (), True)], {}),
        ([said("q", "up", found=False, sources=[], filtered=True)], [], {FILTERED: 1}),
    ],
)
def test_each_verdict_becomes_what_the_table_says(
    rows: list[Feedback], made: list[Any], unused: dict[str, int]
) -> None:
    """A wrong label teaches the next model the mistake that a person has just pointed out."""
    assert made_of(*rows) == (made, unused)


@pytest.fixture
def run_on(root: Path) -> Callable[..., Run]:
    """A function that gives a run with these settings."""

    def make(**conf: Any) -> Run:
        return Run(pipeline_settings(conf), root, "r", datetime(2026, 3, 2, tzinfo=UTC))

    return make


def fates(run: Run, catalogue: Path) -> tuple[Fates, Questions]:
    made = stages.read_questions(run, artifacts.read(catalogue).summary())
    assert made is not None
    return Fates.model_validate(made["stats"]), read(Path(made["path"]))


def test_what_people_said_is_read_beside_the_file_and_without_it(
    run_on: Callable[..., Run], catalogue: Path, root: Path, tmp_path: Path
) -> None:
    """The file's word stands; a product that is gone is a row with a reason, not a run that fails."""
    file = tmp_path / "q.jsonl"
    file.write_text(json.dumps({"question": "Which kettle?", "uids": [A]}))
    alone = stages.read_questions(run_on(questions=str(file)), artifacts.read(catalogue).summary())
    assert alone is not None and "feedback" not in alone["stats"]

    append(root, "products", said("which kettle", "down", sources=[B], right=B))
    append(root, "products", said("Which drill?", "up", sources=[B]))
    append(root, "products", said("Which tent?", "up", sources=["gone"]))
    append(root, "elsewhere", said("Which lamp?", "up"))
    both, questions = fates(run_on(questions=str(file)), catalogue)
    assert both.reasons == {"the questions file says otherwise": 1, "no product of this catalogue has its uids": 1}
    assert (both.read, both.accepted) == (4, 2)
    assert [(each.question, each.feedback, each.uids) for each in questions.all] == [
        ("Which kettle?", False, (A,)),
        ("Which drill?", True, (B,)),
    ]
    assert both.asked == [{"question": "Which drill?", "part": part("Which drill?")}]
    without, questions = fates(run_on(), catalogue)
    assert (without.accepted, without.rejected) == (2, 1)
    assert {each.kind for each in questions.all} == {"feedback"}
    assert stages.read_questions(run_on(feedback=False), artifacts.read(catalogue).summary()) is None
    again = stages.read_questions(run_on(questions=str(file), feedback=False), artifacts.read(catalogue).summary())
    assert again is not None and again["reused"] and again["fingerprint"] == alone["fingerprint"]


def test_wrong_answers_alone_are_told_and_fail_nothing(run_on: Callable[..., Run], catalogue: Path, root: Path) -> None:
    append(root, "products", said("Which kettle?", "down", answer="<b>that</b>", comment="no"))
    found, questions = fates(run_on(), catalogue)
    assert questions.all == () and found.feedback is not None
    assert found.feedback.wrong == [
        {"question": "Which kettle?", "answer": "<b>that</b>", "right": "", "comment": "no"}
    ]


@pytest.mark.parametrize(("count", "taught"), [(FEWEST_OF_FEEDBACK - 1, 0), (FEWEST_OF_FEEDBACK, FEWEST_OF_FEEDBACK)])
def test_a_few_verdicts_train_nothing_anew(
    count: int, taught: int, run_on: Callable[..., Run], catalogue: Path, root: Path
) -> None:
    """Each thumb would cost hours of training, and lean the model to what was shown."""
    asked = [text for number in range(1000) if part(text := f"which is product {number}") == "train"][:count]
    for text in asked:
        append(root, "products", said(text, "up"))
    made = stages.read_questions(run_on(), artifacts.read(catalogue).summary())
    assert made is not None
    beside = Beside(questions=Path(made["path"]))
    assert len(beside.to_train_on()) == taught
    assert (beside.mark is None) == (taught == 0)


def test_the_export_is_a_questions_file(
    run_on: Callable[..., Run], catalogue: Path, root: Path, tmp_path: Path
) -> None:
    """What is taken home, looked through and given back must say the same."""
    append(root, "products", said("Which kettle?", "up", quotes=["It is red | and blue"], lang="en"))
    append(root, "products", said("Any submarine?", "up", found=False, sources=[]))
    file = tmp_path / "said.jsonl"
    file.write_text("".join(f"{line}\n" for line in exported(root, "products")))
    _, taken = fates(run_on(), catalogue)
    _, given = fates(run_on(questions=str(file), feedback=False), catalogue)
    assert [{**vars(each), "feedback": True} for each in given.all] == [vars(each) for each in taken.all]
