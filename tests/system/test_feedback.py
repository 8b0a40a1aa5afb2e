"""What a person says of an answer is in the exam and in the report of the next run."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from include.questions.questions import part
from tests.browser import chromium, login
from tests.system.conftest import PIPELINE, Airflow

pytestmark = [pytest.mark.airflow, pytest.mark.browser]
OWN = {"collection": "judged"}  # what is said here is not the other tests' business


def judge_first(airflow: Airflow, run_id: str, right: str) -> None:
    """Click a thumb up, then down, and write which product is right."""
    user, password = airflow.local.login()
    with chromium() as browser:
        page = browser.new_context().new_page()
        page.set_default_timeout(60_000)
        login(page, airflow.local.url, password, user)
        page.goto(f"{airflow.local.url}/vitrine/runs/answer_question/{run_id}/report")
        card = page.get_by_role("article").first
        for name in ("Yes", "No"):
            button = card.get_by_role("button", name=name, exact=True)
            button.click()
            expect(button).to_have_attribute("aria-pressed", "true")
        card.get_by_role("textbox").fill(right)
        card.get_by_role("button", name="Send").click()
        expect(card.get_by_role("button", name="Send")).to_be_hidden()


def test_what_is_said_of_an_answer_is_asked_in_the_next_exam_and_told_in_its_report(airflow: Airflow) -> None:
    """Danger: thumbs that nobody ever looks at. The first answer is judged in the browser, the others over REST."""
    airflow.run(OWN)
    asked = [text for number in range(1000) if part(text := f"Which kettle is number {number}?") == "exam"][:3]
    run_id = airflow.client.trigger("answer_question", {"question": "\n".join(asked), **OWN})
    assert airflow.client.wait("answer_question", run_id)["state"] == "success"
    answers = airflow.client.xcom("answer_question", run_id, "answer_question")["answers"]
    judge_first(airflow, run_id, answers[0]["products"][-1]["uid"])
    second, third = ({"run_id": run_id, "position": number} for number in (1, 2))
    given = [
        {**second, "verdict": "up"},
        {**third, "verdict": "down", "comment": "<script>alert('no')</script>"},
    ]
    for each in given:
        told = airflow.client.send("POST", "/vitrine/feedback", json=each)
        assert told.status_code == 201, told.text
    mine = airflow.client.send("GET", "/vitrine/feedback/mine", params={"run_id": run_id})
    assert mine.json() == {"0": "down", "1": "up", "2": "down"}
    exported = airflow.client.send("GET", "/vitrine/feedback", params=OWN).text
    assert [json.loads(line)["question"] for line in exported.splitlines()] == asked[:2]

    next_run = airflow.run(OWN)
    exam = airflow.xcom(next_run, "examine")
    lines = (Path(exam["path"]) / "answers.jsonl").read_text().splitlines()
    assert {row["question"] for row in map(json.loads, lines)} == set(asked[:2])
    assert exam["stats"]["kinds"]["feedback"]["figures"]["new"], "how the new version does on them"
    report = airflow.client.send("GET", f"/vitrine/runs/{PIPELINE}/{next_run}/report").text
    assert "What people said" in report and all(each in report for each in asked)
    assert "<script>alert" not in report and "&lt;script&gt;alert(&#39;no" in report
    assert airflow.xcom(next_run, "publish")["published"] is True, "what few people say keeps nothing back"
