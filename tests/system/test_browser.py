"""What a person sees: Airflow's UI in headless Chromium, with the mouse and the keyboard."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import chromium, login, require_chromium
from tests.system.conftest import PIPELINE, Airflow

pytestmark = [pytest.mark.airflow, pytest.mark.browser]
SECTIONS = ("Catalogue source", "Cleaning", "Fine-tuning", "Evaluation and the gate", "Embedding", "Index")


@pytest.fixture(scope="module")
def page(airflow: Airflow) -> Iterator[Page]:
    """A browser page that is logged in; the pipeline has run once."""
    require_chromium()
    airflow.run()
    user, password = airflow.local.login()
    with chromium() as browser:
        page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
        page.set_default_timeout(60_000)
        login(page, airflow.local.url, password, user)
        yield page


@pytest.fixture(autouse=True)
def screenshot(page: Page, tmp_path: Path) -> Iterator[None]:
    """The page as each test left it, for a look after a failure."""
    yield
    page.screenshot(path=tmp_path / "page.png")


def open_trigger_form(page: Page, airflow: Airflow, dag_id: str) -> None:
    page.goto(f"{airflow.local.url}/dags/{dag_id}")
    page.get_by_role("button", name="Trigger").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()


def test_the_pipelines_trigger_form_has_its_sections(page: Page, airflow: Airflow) -> None:
    """A form without groups is a wall of forty fields."""
    open_trigger_form(page, airflow, PIPELINE)
    dialog = page.get_by_role("dialog")
    for section in SECTIONS:
        expect(dialog.get_by_text(section, exact=True).first).to_be_visible()
    page.keyboard.press("Escape")


def test_a_question_is_asked_from_the_form_and_the_result_is_seen(page: Page, airflow: Airflow) -> None:
    """The analyst's way without any other tool."""
    open_trigger_form(page, airflow, "answer_question")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Question", exact=True).click()
    dialog.locator("textarea").first.fill("Which lamp is for the garden?")
    dialog.get_by_role("button", name="Trigger").last.click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    runs = airflow.client.get("/dags/answer_question/dagRuns", order_by="-run_after", limit=1)["dag_runs"]
    run_id = runs[0]["dag_run_id"]
    assert runs[0]["conf"]["question"] == "Which lamp is for the garden?"
    assert airflow.client.wait("answer_question", run_id)["state"] == "success"
    page.goto(f"{airflow.local.url}/dags/answer_question/runs/{run_id}/tasks/answer_question/xcom")
    expect(page.get_by_text("Which lamp is for the garden?").first).to_be_visible()


def test_the_ask_page_answers(page: Page, airflow: Airflow) -> None:
    """The analyst's way without Airflow's vocabulary."""
    page.goto(f"{airflow.local.url}/plugin/ask")
    frame = page.frame_locator("iframe")
    frame.locator("textarea").first.fill("Which kettle is made of glass?")
    frame.get_by_role("button", name="Ask").first.click()
    expect(frame.get_by_text("uid").first).to_be_visible()


def test_a_runs_report_is_a_tab_of_the_run(page: Page, airflow: Airflow) -> None:
    """The decision to publish must be found where the run is."""
    runs = airflow.client.get(f"/dags/{PIPELINE}/dagRuns", state="success", limit=1)["dag_runs"]
    page.goto(f"{airflow.local.url}/dags/{PIPELINE}/runs/{runs[0]['dag_run_id']}")
    page.locator('a[title="Report"]').click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("recall@10").first).to_be_visible()
    expect(frame.locator("svg").first).to_be_visible()
