"""include/exam/examples.py: what a person reads of an exam is what its figures say."""

import html
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from include.exam.examine import ANSWERS_FILE
from include.exam.examples import LONGEST, NOT_FOUND, RIGHT, SHOWN, WRONG, examples
from include.report.report import report
from include.run import Run
from tests.exam.people import ROWS, publish, stand_in, summaries
from tests.indexed import Shop


def test_the_report_has_answers_right_wrong_and_not_found_with_a_link_to_ask(
    shop: Shop, run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A share of 0.93 says nothing of what people will read."""

    def right(version: str, question: str) -> bool:
        return version == shop.versions[0] or ("please please" not in question and "submarine" not in question)

    long = [row._replace(content=f"{row.content} {'so ' * LONGEST}") for row in ROWS]
    monkeypatch.setattr("include.exam.ask.Asker.answer", stand_in(long, right))
    publish(shop, 1, run_of(1))
    run = run_of(2)
    exam, _ = publish(shop, 2, run)
    found = examples(Path(exam["path"]))
    assert list(found) == [RIGHT, WRONG, NOT_FOUND]
    assert [len(each) for each in found.values()] == [SHOWN] * 3
    for each in found[RIGHT]:
        assert each.answer == each.live and each.answer.endswith("…") and "is made of" in each.answer
        assert right(shop.versions[1], each.question)
    assert {("submarine" in each.question, each.answer, each.live) for each in found[WRONG]} == {
        (True, "nothing of use", "")
    }
    for each in found[NOT_FOUND]:
        assert "please please" in each.question and each.answer == "" and each.live

    *_, questions = summaries(shop, 2, run)
    made = report({"read_questions": questions, "examine": exam}, root=shop.root, run_id="r", logical_date=None)
    page = (made.path / "report.html").read_text(encoding="utf-8")
    for kind, some in found.items():
        assert f"Answers of the exam: {kind}" in page
        for each in some:
            assert (
                f'{html.escape(each.question)} <a class="ask" hidden href="../../../ask?q={quote(each.question)}">'
                in page
            )
            assert html.escape(each.answer) in page


def test_of_an_exam_that_is_damaged_nothing_is_shown(shop: Shop, run_of: Callable[..., Run]) -> None:
    """The report of a run comes whatever has happened to its parts."""
    exam, _ = publish(shop, 1, run_of(1))
    (Path(exam["path"]) / ANSWERS_FILE).write_bytes(b"{")
    assert examples(Path(exam["path"])) == {}
