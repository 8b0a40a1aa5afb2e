"""What a person sees: Airflow's UI in headless Chromium, with the mouse and the keyboard."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from include.index import open_store
from include.settings import IndexSettings
from tests.browser import chromium, login, require_chromium
from tests.system.conftest import PIPELINE, Airflow

pytestmark = [pytest.mark.airflow, pytest.mark.browser]
SECTIONS = ("Start here", "Advanced: catalogue", "Advanced: fine-tuning", "Advanced: index")


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


def test_a_person_looks_at_the_figures_approves_and_the_run_publishes(page: Page, airflow: Airflow) -> None:
    """The whole way of a person who decides: no other tool, no address typed by hand."""
    live = open_store(IndexSettings(), root=airflow.data).live()
    run_id = airflow.park({"hnsw_m": 8})  # the model is there; only the index is built anew
    version = airflow.xcom(run_id, "verify")["fingerprint"]
    assert open_store(IndexSettings(), root=airflow.data).live() == live != version, (
        "nothing goes live before the answer"
    )

    page.goto(f"{airflow.local.url}/dags/{PIPELINE}/runs/{run_id}")
    page.get_by_text("Required Actions").first.click()
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_text(f"Publish version {version} of products?").first).to_be_visible()
    expect(drawer.get_by_text("The gate passed").first).to_be_visible()
    expect(drawer.get_by_role("row", name="tuned − base").first).to_be_visible()
    with page.context.expect_page() as opened:
        drawer.get_by_role("link", name="The run's report").click()
    report = opened.value
    expect(report.frame_locator("iframe").get_by_text("Waiting for a person")).to_be_visible()
    expect(report.frame_locator("iframe").locator("svg circle").first).to_be_visible()
    report.close()

    drawer.get_by_role("button", name="Approve").click()
    airflow.succeed(run_id)
    decision = airflow.xcom(run_id, "publish")
    assert decision["published"]
    assert decision["reason"].startswith("approved by admin at ")
    assert open_store(IndexSettings(), root=airflow.data).live() == version
    page.goto(f"{airflow.local.url}/dags/{PIPELINE}/runs/{run_id}/plugin/report")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("Published: this version is live")).to_be_visible()
    expect(frame.get_by_text("The person's answer")).to_be_visible()


def test_a_runs_report_is_a_tab_of_the_run(page: Page, airflow: Airflow) -> None:
    """The decision to publish must be found where the run is."""
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    runs = airflow.client.get(f"/dags/{PIPELINE}/dagRuns", state="success", limit=1)["dag_runs"]
    page.goto(f"{airflow.local.url}/dags/{PIPELINE}/runs/{runs[0]['dag_run_id']}")
    page.locator('a[title="Report"]').click()
    frame = page.frame_locator("iframe")
    for words in ("nDCG@10, title_to_content", "Training loss", "Lines of trn by fate", "Time to make"):
        plot = frame.locator("figure", has=page.locator("figcaption", has_text=words)).first
        expect(plot.locator("rect, circle, polyline").first).to_be_visible()
    expect(frame.get_by_text("what differs").first).to_be_visible()
    assert faults == []
