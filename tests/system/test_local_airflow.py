"""The Airflow of `make up`, as a person has it: looked at, asked from a shell, and busy."""

import asyncio
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from rich.console import Console

from include.core.environment import REPOSITORY
from include.local import server
from include.local.client import AirflowClient
from include.local.server import AirflowFailed
from include.local.watch import watch
from tests.browser import chromium, keep, login, require_chromium
from tests.serving.servers import running, without_times
from tests.system.conftest import PIPELINE, Airflow

pytestmark = pytest.mark.airflow
# The colour that an element is painted on: its own, or that of the nearest element around it that has one.
BACKGROUND = """element => {
    for (; element; element = element.parentElement) {
        const colour = getComputedStyle(element).backgroundColor;
        if (colour !== "rgba(0, 0, 0, 0)") return colour;
    }
}"""
WHITE = "rgb(255, 255, 255)"


def test_all_parts_are_healthy_on_the_start_page(airflow: Airflow) -> None:
    """A red "Triggerer" on the first page that a new user sees."""
    health = AirflowClient.health(airflow.local.url)
    assert {name: part["status"] for name, part in health.items()} == dict.fromkeys(server.COMPONENTS, "healthy")


@pytest.mark.browser
def test_the_start_page_shows_no_fault(airflow: Airflow) -> None:
    """What a person sees, not what the API says."""
    require_chromium()
    user, password = airflow.local.login()
    with chromium() as browser:
        page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
        login(page, airflow.local.url, password, user)
        page.goto(airflow.local.url)
        page.get_by_text("Triggerer").first.wait_for()
        page.get_by_text("Dag Processor", exact=False).first.wait_for()
        keep(page, "start-page")
        colours = [
            page.get_by_text(name, exact=True).first.evaluate(BACKGROUND)
            for name in ("MetaDatabase", "Scheduler", "Triggerer", "Dag Processor")
        ]
        assert colours == [colours[0]] * 4, "one of them looks unlike the others"
        assert colours[0] != WHITE


class Held(ThreadingHTTPServer):
    """A server whose answers are held until they are let go: `404`, so that no run goes on from there."""

    daemon_threads = True

    def __init__(self) -> None:
        held = self
        self.asked, self.free = threading.Semaphore(0), threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                held.asked.release()
                held.free.wait()
                self.send_error(404)

            do_GET = do_HEAD

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture(scope="module")
def live(airflow: Airflow) -> str:
    """A run that has published an index."""
    return airflow.run()


def test_a_question_is_answered_while_the_pipeline_has_all_its_slots(airflow: Airflow, live: str) -> None:
    """Four runs in `download` held a question for 101 s: as long as the downloads took."""
    with Held() as held:
        threading.Thread(target=held.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{held.server_port}"
        runs = [airflow.client.trigger(PIPELINE, {**airflow.conf, "source": f"{url}/{number}"}) for number in range(4)]
        try:
            for _ in range(3):
                assert held.asked.acquire(timeout=120.0), "fewer downloads run than the pipeline has slots"
            run_id = airflow.client.trigger("answer_question", {"question": "a lamp", "threshold": 0.0})
            ended = airflow.client.wait("answer_question", run_id, timeout=60.0)
            assert ended["state"] == "success"
            assert {airflow.client.run_state(PIPELINE, each) for each in runs} == {"running"}
        finally:
            held.free.set()
            for each in runs:
                airflow.client.wait(PIPELINE, each)
            held.shutdown()


async def by_assistant(address: str, body: dict[str, Any]) -> Any:
    """What the Model Context Protocol's own client is given by the resident asker."""
    async with Client(streamable_http_client(f"{address}/mcp")) as client:
        return (await client.call_tool("ask_products", body)).structured_content


def test_the_lines_of_the_readme_lead_from_a_shell_to_an_answer(airflow: Airflow, live: str, tmp_path: Path) -> None:
    """What is printed is what is tried first. And each door gives the same JSON, which is what the schema says."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## From a shell to an answer\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    (lines,), (program,) = (re.findall(rf"^```{name}\n(.*?)^```", section, re.M | re.S) for name in ("bash", "python"))
    assert lines.count("\n") == 7
    given = {"AIRFLOW": airflow.local.url, "PASSWORD": airflow.local.login()[1]}
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}

    def run(*command: str, **more: str) -> str:
        done = subprocess.run(
            command, env={**clean, **given, **more}, cwd=airflow.data, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = run("bash", "-euo", "pipefail", "-c", lines)
    waited, end = json.JSONDecoder().raw_decode(first)
    read = json.loads(first[end:])
    assert waited["state"] == "success"
    (result,) = waited["results"].values()
    assert read["value"] == result
    assert result["answers"][0]["question"] == "How much water does the Brasato Mika kettle hold?"
    (token,) = re.findall(r"^TOKEN=.*$", lines, re.M)
    export = "\n".join((*re.findall(r"^(?:AIRFLOW=|field).*$", lines, re.M), token, 'printf %s "$TOKEN"'))
    asked = program.replace(
        "print(entry", "print(__import__('json').dumps(entry.actual_instance.value))\n    print(entry"
    )
    told = run(sys.executable, "-c", asked, TOKEN=run("bash", "-euo", "pipefail", "-c", export)).splitlines()
    assert told[1] == result["answers"][0]["answer"]
    assert without_times(json.loads(told[0])) == without_times(result)
    body = {"question": result["answers"][0]["question"]}
    with running(airflow.data, tmp_path / "log") as (_, address):
        assert without_times(httpx.post(f"{address}/ask", json=body).json()) == without_times(result)
        assert without_times(asyncio.run(by_assistant(address, body))) == without_times(result)
    jsonschema.validate(result, json.loads((REPOSITORY / "docs" / "answer.schema.json").read_bytes()))


def test_the_demo_tells_a_refused_connection_within_a_minute(airflow: Airflow) -> None:
    """It took 5 min 48 s of `up_for_retry`, and the reason stood in a log."""
    url = f"http://127.0.0.1:{server.free_port()}/catalogue.zip"
    run_id = airflow.client.trigger(PIPELINE, {**airflow.conf, "source": url})
    shown = io.StringIO()
    began = time.monotonic()
    with pytest.raises(AirflowFailed, match=r"^Task download failed\. SourceUnreachable: .*Connection refused"):
        watch(airflow.client, run_id, Console(file=shown, soft_wrap=True))
    assert time.monotonic() - began < 60.0
    airflow.client.wait(PIPELINE, run_id, timeout=120.0)  # its report is still written
    assert airflow.tasks(run_id)[("download", -1)]["try_number"] == 2, "it was tried again"
    text = shown.getvalue()
    assert "download: try 1 of 5 failed: SourceUnreachable: " in text
    assert re.search(r"download: the next try is at \d\d:\d\d:\d\d, in (\d+) s", text)
    assert "download: try 2 of 5 failed: " in text


@pytest.fixture(scope="module")
def daily(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of an Airflow whose pipeline is scheduled daily, not started."""
    home = tmp_path_factory.mktemp("daily") / "home"
    home.mkdir()
    for words in ("db migrate", "dags reserialize"):
        done = airflow_command(home, words, VITRINE_SCHEDULE=documented_backfill()[0])
        assert done.returncode == 0, done.stdout + done.stderr
    return home


def airflow_command(home: Path, words: str, **given: str) -> "subprocess.CompletedProcess[str]":
    """`make airflow ARGS=words`, with another home."""
    code = (
        f"from pathlib import Path; from include.local import up; up.HOME = Path({str(home)!r}); up.main(['airflow'])"
    )
    given |= {"GIVEN_ARGS": words, "VITRINE_DATA": str(home / "data")}
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **given}, capture_output=True, text=True, check=False
    )


def documented_backfill() -> tuple[str, str]:
    """The schedule and the arguments that docs/operations.md prints; the DAG's own page has the same line."""
    text = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    ((schedule, words),) = re.findall(r"VITRINE_SCHEDULE='(.+?)' make up\n +make airflow ARGS='(backfill .+?)'", text)
    assert f"`airflow {words}`" in (REPOSITORY / "dags" / "train_and_index.py").read_text(encoding="utf-8")
    return schedule, words


def test_the_documented_backfill_makes_the_runs_that_the_text_says(daily: Path) -> None:
    """It gave one run, not seven, and a bare end date left its own 03:00 out. The schedule is the start's alone.

    What the command says with `--dry-run` is tested in test_checkout.py.
    """
    _, words = documented_backfill()
    expected = [f"2026-11-0{day} 03:00:00.000000" for day in range(1, 8)]
    made = airflow_command(daily, words)
    assert made.returncode == 0, made.stdout + made.stderr
    with closing(sqlite3.connect(daily / "airflow.db")) as database:
        runs = database.execute("SELECT logical_date FROM dag_run ORDER BY logical_date").fetchall()
    assert [date for (date,) in runs] == expected
