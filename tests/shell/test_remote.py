"""`vitrine` against Airflow: what is told where it cannot be reached. What works is in tests/system."""

import json
import re
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
DAGS = "/api/v2/dags"


def dag(dag_id: str, *, paused: bool) -> Replies:
    return {("GET", f"{DAGS}/{dag_id}"): (200, {"is_paused": paused})}


@pytest.fixture
def sent() -> list[Any]:
    """The bodies that the stand-in has received, the login's first."""
    return []


@pytest.fixture
def stand_in(sent: list[Any]) -> Iterator[Callable[[Replies], str]]:
    """A server that answers as it is told, by method and path (first with its query), and 404 to all else.

    Of an iterator each answer has the next value; a run that the shell has started is called RUN.

    Returns its address.
    """
    replies: Replies = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if received := self.rfile.read(int(self.headers.get("Content-Length") or 0)):
                sent.append(json.loads(received))
            path = re.sub("manual__[^/?]+", "RUN", self.path)  # the shell makes the id
            plain = replies.get((self.command, path.partition("?")[0]), (404, {"detail": "not there"}))
            status, body = replies.get((self.command, path), plain)
            if isinstance(body, Iterator):
                body = next(body)
            answer = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

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
    done = typed("trigger", "source=sample", *login(stand_in(LOGIN | dag("train_and_index", paused=True))))
    assert done.exit_code == USAGE
    assert "--unpause" in done.stderr


@pytest.mark.parametrize(
    ("words", "dag_id"),
    [
        (("ask", "a lamp"), "answer_question"),
        (("search", "lamp"), "answer_question"),
        (("rollback", "--yes"), "roll_back"),
        (("exam",), "check_answers"),
    ],
)
def test_nothing_waits_for_a_paused_dag(
    typed: Typed, stand_in: Callable[[Replies], str], sent: list[Any], words: tuple[str, ...], dag_id: str
) -> None:
    """Airflow tells that the run is queued, four times a second and for ever: no time-out ends that."""
    done = typed(*words, *login(stand_in(LOGIN | dag(dag_id, paused=True))))
    assert (done.exit_code, f"{dag_id} is paused" in done.stderr) == (USAGE, True)
    assert len(sent) == 1, "a run was triggered"


@pytest.mark.parametrize(
    ("words", "dag_id"),
    [(("ask", "a lamp"), "answer_question"), (("trigger", "source=sample", "--wait"), "train_and_index")],
)
def test_a_dag_that_is_paused_meanwhile_ends_the_waiting(
    typed: Typed,
    stand_in: Callable[[Replies], str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    dag_id: str,
) -> None:
    """Who pauses a DAG does not see who waits for it."""
    monkeypatch.setattr("include.local.client.LOOK_SECONDS", 0.0)
    run = f"{DAGS}/{dag_id}/dagRuns/RUN"
    replies: Replies = {
        ("GET", f"{DAGS}/{dag_id}"): (200, iter([{"is_paused": False}, {"is_paused": False}, {"is_paused": True}])),
        ("POST", f"{DAGS}/{dag_id}/dagRuns"): (200, {}),
        ("GET", run): (200, {"state": "queued"}),
        ("GET", f"{run}/wait"): (200, '{"state": "queued"}\n' * 9),
        ("GET", f"{run}/taskInstances"): (200, {"task_instances": []}),
    }
    done = typed(*words, *login(stand_in(LOGIN | replies)))
    assert (done.exit_code, done.stdout) == (USAGE, "")
    assert re.search(rf"{dag_id} is paused.*then manual__\S+ goes on", done.stderr), done.stderr


def test_what_people_said_is_fetched_of_a_collection(
    typed: Typed, stand_in: Callable[[Replies], str], tmp_path: Path
) -> None:
    lines = '{"question": "Which\u2028kettle?"}\n{"question": "Which lamp?"}\n'
    said: Replies = {
        ("GET", "/vitrine/feedback?collection=toys"): (200, lines),
        ("GET", "/vitrine/feedback"): (200, ""),
    }
    address = stand_in(LOGIN | said)
    done = typed("feedback", "--collection", "toys", "-o", tmp_path / "said", *login(address))
    assert (done.exit_code, (tmp_path / "said").read_text(encoding="utf-8")) == (DONE, lines)
    assert typed("feedback", *login(address)).exit_code == NOTHING


def test_a_search_is_one_question_whatever_its_lines(
    typed: Typed, stand_in: Callable[[Replies], str], sent: list[Any]
) -> None:
    """The DAG's form has a question a line; a search has one list of products."""
    started: Replies = {("POST", f"{DAGS}/answer_question/dagRuns"): (200, {})}
    typed("search", "a lamp\n\n of brass\n", *login(stand_in(LOGIN | dag("answer_question", paused=False) | started)))
    assert sent[-1]["conf"] == {"question": "a lamp of brass"}


def test_a_run_that_is_not_there_is_nothing_found(typed: Typed, stand_in: Callable[[Replies], str]) -> None:
    done = typed("runs", "manual__no_such", *login(stand_in(LOGIN)))
    assert done.exit_code == NOTHING
    assert "train_and_index has no run manual__no_such" in done.stderr


def test_a_report_is_fetched_as_its_file(typed: Typed, stand_in: Callable[[Replies], str], tmp_path: Path) -> None:
    path, kept = "/vitrine/runs/train_and_index/r1/report", tmp_path / "report.html"
    pages: Replies = {("GET", path): (200, "in a frame"), ("GET", f"{path}?file=true"): (200, "the file\n")}
    done = typed("report", "r1", "-o", kept, *login(stand_in(LOGIN | pages)))
    assert (done.exit_code, kept.read_text()) == (DONE, "the file\n")


def test_a_report_is_of_a_run_not_of_a_collection(typed: Typed) -> None:
    assert "No such option" in typed("report", "--collection", "shop").stderr


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
