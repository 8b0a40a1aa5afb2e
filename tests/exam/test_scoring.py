"""include/exam/scoring.py: the figures are those that people know, question by question."""

import importlib.util
import json
from types import ModuleType
from typing import Any

import pytest

from include.exam.compare import compare
from include.exam.scoring import score
from include.questions.questions import Question
from tests.conftest import REAL_DATA

SCORER = REAL_DATA / "score_questions.py"
EXAM = REAL_DATA / "questions-real-trn.jsonl"


@pytest.fixture(scope="module")
def scorer() -> ModuleType:
    """The script that others score by; skipped where it is absent."""
    if not SCORER.exists():
        pytest.skip(f"the scorer is not here ({SCORER})")
    spec = importlib.util.spec_from_file_location("score_questions", SCORER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def said(number: int, row: dict[str, Any]) -> dict[str, Any]:
    """An answer that is right, wrong or half right, as the question's number has it."""
    uid = row["uids"][0] if row["uids"] and number % 3 else "other"
    evidence = row["evidence"][0].upper() if row["evidence"] and number % 4 else "  no \n word of it "
    products = [{"uid": each} for each in (["x"] * (number % 2) + [uid, "y", *row["uids"]])]
    source = {"uid": uid, "title": evidence, "snippet": evidence if number % 5 else "-", "attributes": {"a": ["b"]}}
    found = number % 7 != 0
    return {
        "id": row["id"],
        "found": found,
        "answer": f"“{evidence}” [1]" if number % 2 else "",
        "sources": [source] if found else [],
        "products": products,
    }


def test_every_figure_agrees_with_the_script(scorer: ModuleType) -> None:
    """Two ways of counting would let a run pass by one and fail by the other."""
    rows = [json.loads(line) for line in EXAM.read_text().splitlines()]
    questions = [
        Question(row["id"], row["question"], tuple(row["uids"]), tuple(row["evidence"]), row["answerable"])
        for row in rows
    ]
    answers = [said(number, row) for number, row in enumerate(rows)]
    ours = [score(question, answer) for question, answer in zip(questions, answers, strict=True)]
    assert ours == [scorer.figures(row, answer) for row, answer in zip(rows, answers, strict=True)]

    total = compare(questions, {"new": ours}, "new", "live").figures["new"]
    for name in scorer.FIGURES:
        values = [
            each[name]
            for row, each in zip(rows, ours, strict=True)
            if name in each and (row["answerable"] or name == "answered_wrongly")
        ]
        assert total[name]["questions"] == len(values)
        assert total[name]["value"] == pytest.approx(sum(values) / len(values), abs=1e-4)
        low, high = scorer.interval(values, 2000, 7)
        assert (total[name]["low"], total[name]["high"]) == pytest.approx((low, high), abs=0.03)


def test_a_weight_counts_as_so_many_questions() -> None:
    """A question that thousands ask is worth more than one that nobody does."""
    often, rare = (Question(name, name, ("a",), weight=weight) for name, weight in (("often", 3.0), ("rare", 1.0)))
    scores = [{"hit@1": 1.0}, {"hit@1": 0.0}]
    made = compare([often, rare], {"new": scores}, "new", "live")  # type: ignore[dict-item]
    assert made.figures["new"]["hit@1"]["value"] == 0.75
