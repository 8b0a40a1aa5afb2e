"""include/local/client.py against a stand-in for Airflow that fails in passing, and the local database's patience."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from include.local import client, database, server
from include.local.client import AirflowClient

LOST = -1  # the run is made, and the connection breaks before the answer


class Stub(ThreadingHTTPServer):
    """Makes runs, after answering each attempt with the next of `faults`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults: list[int] = []
        self.runs: list[str] = []
        self.attempts: list[str] = []


class Handler(BaseHTTPRequestHandler):
    server: Stub

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/auth/token":
            return self._say(201, {"access_token": "t"})
        run_id = body["dag_run_id"]
        self.server.attempts.append(run_id)
        fault = self.server.faults.pop(0) if self.server.faults else 200
        if fault in (200, LOST) and run_id in self.server.runs:
            return self._say(409, {"detail": "exists"})
        if fault in (200, LOST):
            self.server.runs.append(run_id)
        # Of a lost answer the connection is closed, no more.
        return None if fault == LOST else self._say(fault, {"dag_run_id": run_id})

    def do_PATCH(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.attempts.append(self.path)
        self._say(self.server.faults.pop(0) if self.server.faults else 200, {})

    def do_GET(self) -> None:
        if "/taskInstances" in self.path:  # of 130, at most 100 at once, as Airflow
            asked = {name: int(value) for name, value in re.findall(r"(limit|offset)=(\d+)", self.path)}
            numbers = range(asked["offset"], min(asked["offset"] + min(asked["limit"], 100), 130))
            tasks = [{"task_id": "embed", "map_index": number, "start_date": None} for number in numbers]
            return self._say(200, {"task_instances": tasks})
        found = [run_id for run_id in self.server.runs if run_id in self.path.replace("%3A", ":").replace("%2B", "+")]
        return self._say(200 if found else 404, {"state": "queued"})

    def _say(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    monkeypatch.setattr(client, "RETRY_DELAYS", (0.01, 0.02, 0.03))
    stub = Stub()
    thread = threading.Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield stub
    stub.shutdown()
    thread.join()
    stub.server_close()


@pytest.mark.parametrize("faults", [[], [500], [502, 503, 504], [LOST], [500, LOST], [LOST, 500, 500, 500]], ids=str)
def test_a_trigger_that_fails_in_passing_makes_one_run(airflow: Stub, faults: list[int]) -> None:
    """A busy database, or an answer that was lost, must cost neither the run nor a second one."""
    airflow.faults = list(faults)
    with AirflowClient(f"http://127.0.0.1:{airflow.server_port}", "u", "p") as logged_in:
        run_id = logged_in.trigger("d", {})
    assert airflow.runs == [run_id]
    assert set(airflow.attempts) == {run_id}


@pytest.mark.parametrize(("faults", "attempts"), [([500] * 9, 4), ([403], 1), ([422], 1), ([409], 1)], ids=str)
def test_a_trigger_that_cannot_succeed_is_told(airflow: Stub, faults: list[int], attempts: int) -> None:
    """Another run with the same logical date is a 409, too: it is not the run that was asked for."""
    airflow.faults = list(faults)
    url = f"http://127.0.0.1:{airflow.server_port}"
    with AirflowClient(url, "u", "p") as logged_in, pytest.raises(httpx.HTTPStatusError, match=str(faults[0])):
        logged_in.trigger("d", {})
    assert (airflow.runs, len(airflow.attempts)) == ([], attempts)


@pytest.mark.parametrize(("faults", "attempts"), [([500, 503], 3), ([500] * 9, 4), ([403], 1)], ids=str)
def test_a_state_that_is_set_is_set_again_where_it_failed_in_passing(
    airflow: Stub, faults: list[int], attempts: int
) -> None:
    """A demo that gave up ended in "Internal Server Error", and its run went on."""
    airflow.faults = list(faults)
    with AirflowClient(f"http://127.0.0.1:{airflow.server_port}", "u", "p") as logged_in:
        if attempts == len(faults) + 1:
            logged_in.give_up("d", "r")
        else:
            with pytest.raises(httpx.HTTPStatusError, match=str(faults[0])):
                logged_in.give_up("d", "r")
    assert airflow.attempts == ["/api/v2/dags/d/dagRuns/r"] * attempts


@pytest.mark.airflow
def test_all_tasks_of_a_run_of_many_shards_are_seen(airflow: Stub) -> None:
    """Danger: Airflow gives 100 at once, and the demo shows no bar for the others, nor why one failed."""
    with AirflowClient(f"http://127.0.0.1:{airflow.server_port}", "admin", "secret") as client:
        found = client.task_instances("train_and_index", "run")
    assert sorted(each["map_index"] for each in found) == list(range(130))


@pytest.mark.parametrize(("process", "milliseconds"), [("scheduler", 60_000), ("api-server", 1_000)])
def test_the_local_database_is_waited_for(tmp_path: Path, process: str, milliseconds: int) -> None:
    """A setting that Airflow does not read would look just as well: SQLite itself is asked, on both of its engines."""
    code = """
import asyncio
from airflow import settings
from sqlalchemy import text
print("RESULT", settings.engine.connect().execute(text("PRAGMA busy_timeout")).scalar())
async def ask():
    async with settings.async_engine.connect() as connection:
        print("RESULT", (await connection.execute(text("PRAGMA busy_timeout"))).scalar())
asyncio.run(ask())
"""
    made = server.environment(tmp_path, tmp_path / "data", 1)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")} | made
    done = subprocess.run(
        [sys.executable, "-c", code, process],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line for line in done.stdout.splitlines() if line.startswith("RESULT")] == [f"RESULT {milliseconds}"] * 2, (
        done.stderr
    )


def test_dags_of_the_last_start_are_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database has them at once: with the last start's schedule, and a copy's with the original's place."""
    now = datetime.now(UTC)
    times: dict[str, datetime | None] = dict.fromkeys(client.DAG_IDS, now - timedelta(days=1))
    asked = object.__new__(AirflowClient)

    def ready() -> bool:
        dags = [{"dag_id": name, "last_parsed_time": at and at.isoformat()} for name, at in times.items()]
        monkeypatch.setattr(asked, "get", lambda *_, **__: {"dags": dags})
        return asked.dags_ready(now)

    assert not ready()
    for left in client.DAG_IDS:
        assert not ready(), left
        times[left] = now + timedelta(seconds=3)
    assert ready()
    times[client.DAG_IDS[0]] = None
    assert not ready()
    del times[client.DAG_IDS[0]]
    assert not ready()


def test_a_savepoint_that_reads_and_then_writes_waits_for_its_turn(tmp_path: Path) -> None:
    """Each run of a backfill is one; beside a running Airflow the seventh ended in "database is locked" at once."""
    file = tmp_path / "airflow.db"
    with sqlite3.connect(file) as first:
        first.execute("CREATE TABLE runs (name TEXT)")
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO runs VALUES ('of another process')")
    threading.Timer(0.5, other.execute, ["COMMIT"]).start()
    mine = sqlite3.connect(file, **database.SQLITE).cursor()
    mine.execute("SAVEPOINT one")
    assert mine.execute("SELECT name FROM runs").fetchall() == [("of another process",)]
    mine.execute("INSERT INTO runs VALUES (?)", ["of the backfill"])
    mine.execute("RELEASE SAVEPOINT one")
    mine.connection.commit()
    assert len(other.execute("SELECT name FROM runs").fetchall()) == 2
