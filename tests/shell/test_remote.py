"""`vitrine` against Airflow: what is told where it cannot be reached. What works is in tests/system."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from include.local import server
from include.shell.exits import DONE, FAILED, NOTHING, UNREACHABLE, USAGE
from tests.indexed import BIDI, ESC
from tests.shell.conftest import Typed

WORD = "s3cret-pass-word"
Replies = dict[tuple[str, str], tuple[int, Any]]
LOGIN: Replies = {("POST", "/auth/token"): (201, {"access_token": "t"})}
PAUSED: Replies = {("GET", "/api/v2/dags/train_and_index"): (200, {"is_paused": True})}


@pytest.fixture
def stand_in() -> Iterator[Callable[[Replies], str]]:
    """A server that answers as it is told, by method and path, and 404 to all else; returns its address."""
    replies: Replies = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = replies.get((self.command, self.path.partition("?")[0]), (404, {"detail": "not there"}))
            sent = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_POST = do_PATCH = do_GET

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()

    def told(given: Replies) -> str:
        replies.update(given)
        return f"http://127.0.0.1:{made.server_port}"

    yield told
    made.shutdown()
    made.server_close()


@pytest.fixture(autouse=True)
def no_airflow_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This checkout's own Airflow, where one runs, is none of these tests' business."""
    monkeypatch.setattr(server, "HOME", tmp_path / "home")


def login(address: str) -> tuple[str, ...]:
    return ("--airflow", address, "--user", "ana", "--password", WORD)


def test_without_an_airflow_the_ways_to_one_are_told(typed: Typed) -> None:
    done = typed("status")
    assert (done.exit_code, done.stdout) == (UNREACHABLE, "")
    assert all(way in done.stderr for way in ("make up", "--airflow", "VITRINE_AIRFLOW", "--local"))


def test_an_address_that_nothing_answers_is_told_without_its_password(typed: Typed) -> None:
    address = f"http://ana:{WORD}@127.0.0.1:{server.free_port()}"
    done = typed("ask", "a lamp", *login(address))
    assert done.exit_code == UNREACHABLE
    assert "does not answer" in done.stderr
    assert WORD not in done.output
    assert typed("ask", "a lamp", *login("no address")).exit_code == UNREACHABLE


def test_a_password_is_needed_where_nobody_can_be_asked_for_it(typed: Typed) -> None:
    done = typed("status", "--airflow", "http://127.0.0.1:9")
    assert done.exit_code == USAGE
    assert "VITRINE_PASSWORD" in done.stderr


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_login_is_out_of_reach(typed: Typed, stand_in: Callable[[Replies], str], status: int) -> None:
    """What Airflow says may hold what was sent, and what a terminal must not be sent."""
    said = {"detail": f"no such user {ESC}{BIDI} with {WORD}"}
    done = typed("versions", *login(stand_in({("POST", "/auth/token"): (status, said)})))
    assert done.exit_code == UNREACHABLE
    assert f"Airflow said {status} to ana" in done.stderr
    assert [part for part in (ESC, BIDI, WORD) if part in done.output] == []


def test_what_airflow_refuses_later_fails(typed: Typed, stand_in: Callable[[Replies], str]) -> None:
    done = typed("runs", "--dag", "no_such", *login(stand_in(LOGIN)))
    assert done.exit_code == FAILED
    assert "404" in done.stderr
    assert "not there" in done.stderr


def test_an_answer_that_is_not_airflows_is_told(typed: Typed, stand_in: Callable[[Replies], str]) -> None:
    """Another program's port, or a proxy's page."""
    done = typed("runs", *login(stand_in({("POST", "/auth/token"): (201, "<html>Welcome</html>")})))
    assert done.exit_code == UNREACHABLE, done.output
    assert "is not Airflow" in done.stderr


def test_a_paused_pipeline_is_not_started_by_accident(typed: Typed, stand_in: Callable[[Replies], str]) -> None:
    """A run of a paused DAG waits for ever, and unpausing one starts its schedule."""
    done = typed("trigger", "source=sample", *login(stand_in(LOGIN | PAUSED)))
    assert done.exit_code == USAGE
    assert "--unpause" in done.stderr


def test_a_setting_that_is_wrong_is_refused_before_airflow_is_asked(typed: Typed) -> None:
    done = typed("trigger", "sources=x")
    assert (done.exit_code, "did you mean source" in done.stderr) == (USAGE, True)
    assert typed("trigger", "epochs=0").exit_code == USAGE
    assert "name=value" in typed("trigger", "shop.csv").stderr


def test_runs_are_listed_harmlessly(typed: Typed, stand_in: Callable[[Replies], str]) -> None:
    """A run's settings are what anyone who may trigger has written."""
    run = {"dag_run_id": f"manual {ESC}[31m", "state": "success", "duration": 61.0, "conf": {"source": f"{BIDI}[red]x"}}
    path = ("GET", "/api/v2/dags/train_and_index/dagRuns")
    address = stand_in(LOGIN | {path: (200, {"dag_runs": [run]})})
    done = typed("runs", *login(address), color=True)
    assert done.exit_code == DONE
    assert "manual \\x1b[31m" in done.stdout
    assert "source=\\u202e[red]x" in done.stdout
    assert "1:01" in done.stdout
    stand_in({path: (200, {"dag_runs": []})})
    assert typed("runs", *login(address)).exit_code == NOTHING
