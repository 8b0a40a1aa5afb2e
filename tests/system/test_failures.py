"""Runs that fail, or are ended by a person, in a real Airflow: what their reports, logs and states say."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from include.report.report import page_of_run
from tests.browser import BLANK, chromium, keep, login, require_chromium
from tests.system.conftest import PIPELINE, Airflow

pytestmark = pytest.mark.airflow

UNKNOWN = {"epoch": 3}
NOWHERE = {"source": "/nowhere/products.json"}
REFUSED = {"source": "http://127.0.0.1:9/products.json.gz"}  # the port `discard`: nobody listens


def fail(airflow: Airflow, conf: dict[str, Any]) -> str:
    """Trigger a run that fails, wait for its end, and return its id."""
    run_id = airflow.client.trigger(PIPELINE, {**airflow.conf, **conf})
    assert airflow.client.wait(PIPELINE, run_id, timeout=300.0)["state"] == "failed"
    return run_id


def report(airflow: Airflow, run_id: str) -> str:
    found = page_of_run(airflow.data, run_id)
    assert found is not None, airflow.tasks(run_id)
    return found.read_text(encoding="utf-8")


def until(airflow: Airflow, run_id: str, task: str, *states: str) -> dict[str, Any]:
    """The task instance when it has come into one of the states."""
    deadline = time.monotonic() + 180.0
    while time.monotonic() < deadline:
        found = airflow.tasks(run_id).get((task, -1), {})
        if found.get("state") in states:
            return found
        time.sleep(0.2)
    raise AssertionError(f"{task} did not come into {states}: {airflow.tasks(run_id)}")


def events(airflow: Airflow, run_id: str, task: str, number: int) -> list[dict[str, Any]]:
    """A task's log, as the UI gets it."""
    path = f"/dags/{PIPELINE}/dagRuns/{run_id}/taskInstances/{task}/logs/{number}"
    content = airflow.client.get(path, full_content="true")["content"]
    return [each for each in content if isinstance(each, dict)]


def set_state(airflow: Airflow, run_id: str, state: str) -> None:
    """As the UI's "Mark run as …" does."""
    path = f"/api/v2/dags/{PIPELINE}/dagRuns/{run_id}"
    airflow.client.send("PATCH", path, json={"state": state}).raise_for_status()


@pytest.fixture(scope="module")
def unknown(airflow: Airflow) -> str:
    """A run with a name in `conf` that no setting has."""
    return fail(airflow, UNKNOWN)


@pytest.fixture(scope="module")
def nowhere(airflow: Airflow) -> str:
    """A run on a file that is not there."""
    return fail(airflow, NOWHERE)


@pytest.fixture(scope="module")
def page(airflow: Airflow) -> Iterator[Page]:
    """A browser page that is logged in."""
    require_chromium()
    user, password = airflow.local.login()
    with chromium() as browser:
        page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
        page.set_default_timeout(60_000)
        login(page, airflow.local.url, password, user)
        yield page


def test_a_run_with_an_unknown_name_has_a_report_that_names_the_known_one(airflow: Airflow, unknown: str) -> None:
    """The report task needs no settings: it must not fail of what it is to tell."""
    words = report(airflow, unknown)
    assert "download failed" in words
    assert "Unknown settings: epoch (did you mean epochs?)." in words
    assert "is missing" not in words and "<svg" not in words
    states = {name: each["state"] for (name, _), each in airflow.tasks(unknown).items()}
    assert (states["download"], states["report"], states["outcome"]) == ("failed", "success", "failed")


def test_the_log_ends_in_the_message_and_shows_no_frames(airflow: Airflow, nowhere: str) -> None:
    """Whoever opens the log of a failed task looks for one sentence, not for where in Airflow it passed by."""
    log = events(airflow, nowhere, "download", 1)
    said = [each for each in log if each.get("level") == "error"]
    assert len(said) == 1, log
    lines = said[0]["event"].splitlines()
    assert lines[0].startswith("BadSource: ")
    assert "/nowhere/products.json" in said[0]["event"]
    assert any(line.startswith("Next: ") for line in lines)
    assert lines[-1] == "It is not tried again, since that cannot help."
    assert max(map(len, lines)) <= 100
    assert not any(each.get("error_detail") for each in log)
    after = [each["event"] for each in log[log.index(said[0]) + 1 :]]
    assert after[0] == "::group::Post Execute", "the UI folds what comes after the message"


def test_a_retry_is_told_with_its_number_and_its_time(airflow: Airflow) -> None:
    """A task that waits for its next try looks like one that hangs."""
    run_id = airflow.client.trigger(PIPELINE, {**airflow.conf, **REFUSED})
    until(airflow, run_id, "download", "up_for_retry")
    path = f"/dags/{PIPELINE}/dagRuns/{run_id}/taskInstances/download"
    kept = airflow.client.get(f"{path}/state-store/failure", map_index=-1)["value"]
    assert kept["class"] == "SourceUnreachable"
    assert (kept["try_number"], kept["max_tries"]) == (1, 5)
    log = "\n".join(airflow.client.log(PIPELINE, run_id, "download", 1))
    assert "Try 1 of 5: the next one is at " in log
    until(airflow, run_id, "download", "running")
    second = until(airflow, run_id, "download", "up_for_retry")
    late = (datetime.fromisoformat(second["start_date"]) - datetime.fromisoformat(kept["retry_at"])).total_seconds()
    assert -1.0 <= late < 30.0, "the time that was told is the time of the next try"
    log = "\n".join(airflow.client.log(PIPELINE, run_id, "download", 2))
    assert "Try 2 of 5. Try 1 failed with SourceUnreachable: " in log
    set_state(airflow, run_id, "failed")
    assert airflow.client.wait(PIPELINE, run_id, timeout=120.0)["state"] == "failed"


def test_a_run_that_is_marked_failed_stays_failed_and_has_a_report(airflow: Airflow) -> None:
    """Alerts look at the run's state: a run that published nothing must not be a success."""
    run_id = airflow.park({"hnsw_m": 20})  # an index that no other test has made live: a person is asked
    set_state(airflow, run_id, "failed")
    assert airflow.client.wait(PIPELINE, run_id, timeout=120.0)["state"] == "failed"
    assert airflow.tasks(run_id)[("publish", -1)]["state"] == "skipped"
    words = report(airflow, run_id)
    assert "This run was ended from outside" in words and "approve was running then" in words
    assert "products; trn:" in words, "what the stages before left"
    until(airflow, run_id, "outcome", "failed")
    assert airflow.client.run_state(PIPELINE, run_id) == "failed"


def test_a_failed_report_alone_does_not_fail_a_published_run(airflow: Airflow) -> None:
    """The index is live. And the fault, which nobody foresaw, keeps its frames, with the message before and after."""
    by_run = airflow.data / "report" / "by_run"
    kept = by_run.rename(by_run.with_name("kept"))
    by_run.write_text("a file in the place of the folder")
    try:
        run_id = airflow.client.trigger(PIPELINE, airflow.conf)
        tried = until(airflow, run_id, "report", "up_for_retry")
        path = f"/api/v2/dags/{PIPELINE}/dagRuns/{run_id}/taskInstances/report"
        airflow.client.send("PATCH", path, json={"new_state": "failed"}).raise_for_status()
        assert airflow.client.wait(PIPELINE, run_id, timeout=120.0)["state"] == "success"
    finally:
        by_run.unlink()
        kept.rename(by_run)
    states = {name: each["state"] for (name, _), each in airflow.tasks(run_id).items()}
    assert (states["publish"], states["report"], states["outcome"]) == ("success", "failed", "success")
    said = [each for each in events(airflow, run_id, "report", tried["try_number"]) if each.get("level") == "error"]
    assert [each["event"].partition(":")[0] for each in said] == ["FileExistsError", "FileExistsError"]
    assert [bool(each.get("error_detail")) for each in said] == [True, False]
    assert any(frame["filename"].endswith("report.py") for frame in said[0]["error_detail"][0]["frames"])


@pytest.mark.browser
def test_the_failed_report_is_read_in_its_tab(page: Page, airflow: Airflow, nowhere: str) -> None:
    """The message, the next step and the way to the log, where the run is."""
    page.goto(f"{airflow.local.url}/dags/{PIPELINE}/runs/{nowhere}/plugin/report")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("What to do:")).to_be_visible()
    expect(frame.get_by_text("/nowhere/products.json").first).to_be_visible()
    keep(page, "failed-report")
    frame.get_by_role("link", name="Log of download").click()
    page.wait_for_url("**/tasks/download?try_number=1")
    expect(page.get_by_text("Next: ").first).to_be_visible()
    keep(page, "failed-log")


@pytest.mark.browser
def test_the_report_follows_the_uis_theme(page: Page, airflow: Airflow, nowhere: str) -> None:
    """Airflow's UI has its own switch; the system's says nothing about it."""
    back = "getComputedStyle(document.body).backgroundColor"
    try:
        for theme, colour in (("dark", "rgb(18, 22, 27)"), ("light", "rgb(246, 247, 248)")):
            page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
            page.goto(f"{airflow.local.url}/dags/{PIPELINE}/runs/{nowhere}/plugin/report")
            shown = page.frame_locator("iframe").locator("body")
            expect(shown.get_by_text("What to do:")).to_be_visible()
            assert shown.evaluate(back) == colour, theme
            keep(page, f"failed-report-{theme}")
    finally:
        page.evaluate("localStorage.removeItem('theme')")


@pytest.mark.browser
def test_the_reports_page_fits_a_phone(page: Page, airflow: Airflow, nowhere: str) -> None:
    """Who is on call reads it there."""
    phone = page.context.new_page()
    phone.set_viewport_size({"width": 375, "height": 800})
    phone.goto(f"{airflow.local.url}/vitrine/runs/{PIPELINE}/{nowhere}/report")
    expect(phone.get_by_text("What to do:")).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 375
    keep(phone, "failed-report-phone")
    phone.close()


@pytest.mark.browser
def test_a_run_that_is_marked_failed_in_the_ui_ends_as_failed(page: Page, airflow: Airflow) -> None:
    """The button's way, as a person ends a run that has gone wrong."""
    page.goto(BLANK)
    run_id = airflow.park({"hnsw_m": 24})
    page.goto(f"{airflow.local.url}/dags/{PIPELINE}/runs/{run_id}")
    page.get_by_role("button", name="Mark Dag Run as").click()
    page.get_by_test_id("mark-run-as-failed").click()
    page.get_by_role("dialog").get_by_role("button", name="Confirm").click()
    assert airflow.client.wait(PIPELINE, run_id, timeout=120.0)["state"] == "failed"
    page.goto(f"{airflow.local.url}/dags/{PIPELINE}/runs/{run_id}/plugin/report")
    expect(page.frame_locator("iframe").get_by_text("approve was running then")).to_be_visible()
    keep(page, "ended-report")
