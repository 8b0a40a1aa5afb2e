"""include/local/: the demo's own pieces that need no Airflow."""

import io
import json
import os
import pty
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from include.core.environment import REPOSITORY
from include.core.errors import BadSettings, BadSource, SourceUnreachable
from include.core.files import write_json
from include.local import clean, demo, server, up, users
from include.local.client import AirflowClient
from include.local.demo import reach, resolve
from include.local.processes import session, start_time
from include.local.watch import describe, failure, watch


def test_a_path_is_made_absolute_and_everything_else_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow's tasks run in another directory: a relative path would not be found there."""
    (tmp_path / "my.zip").write_bytes(b"PK")
    monkeypatch.chdir(tmp_path)
    assert resolve("my.zip") == str(tmp_path / "my.zip")
    assert resolve("https://example.org/my.zip") == "https://example.org/my.zip"
    assert resolve("12zH4mL2RX8iSvH0VCNnd3QxO4DzuHWnK") == "12zH4mL2RX8iSvH0VCNnd3QxO4DzuHWnK"
    (tmp_path / "sample").mkdir()
    assert resolve("sample") == "sample"
    with pytest.raises(BadSource, match=r"no file .*typo\.zip"):
        reach(resolve("typo.zip"))


@pytest.mark.parametrize("source", ["products.jsonl", "exports", "exports/", "exp*/*.jsonl", "{date}.jsonl"])
def test_the_demo_takes_a_file_a_folder_and_a_pattern_from_where_it_was_typed(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Danger: Airflow's tasks look for it in a directory of their own."""
    (tmp_path / "exports").mkdir()
    for name in ("products.jsonl", "exports/a.jsonl", "exports/b.jsonl", f"{datetime.now(UTC):%Y-%m-%d}.jsonl"):
        (tmp_path / name).write_text('{"uid": "1", "title": "A kettle"}\n')
    monkeypatch.chdir(tmp_path)
    typed = resolve(source)
    monkeypatch.chdir("/")
    assert typed == str(tmp_path / source)
    reach(typed)


@pytest.mark.parametrize("source", ["~nosuchuser/x.zip", "x" * 300, "a\0b.jsonl", "http://[::1"])
def test_no_path_is_too_odd_for_the_demo(source: str) -> None:
    """A traceback before anything has begun is the worst of welcomes."""
    with pytest.raises(BadSource):
        reach(resolve(source))


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("https://ana:geheim@h.example/x.zip?sig=geheim", "on https://h.example/x.zip?…, with"),
        ("/data/my [/] x.zip", "on /data/my [/] x.zip, with"),
        ("/data/my [b] x.zip", "on /data/my [b] x.zip, with"),
    ],
)
def test_the_demo_shows_its_source_as_it_is_but_for_secrets(
    source: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Danger: a password on the screen; or brackets, which the console would take for markup, end the demo."""

    class Client:
        triggered: dict[str, Any]

        def unpause(self, _: str) -> None:
            pass

        def trigger(self, _: str, conf: dict[str, Any]) -> str:
            self.triggered = conf
            return "run"

    shown, client = io.StringIO(), Client()
    monkeypatch.setattr(demo, "console", Console(file=shown, soft_wrap=True))
    monkeypatch.setattr(demo, "watch", lambda *_: "failed")
    monkeypatch.setattr(demo, "failure", lambda *_: "It broke.")
    with pytest.raises(server.AirflowFailed, match="It broke"):
        demo._run(cast("AirflowClient", client), source, None)
    assert client.triggered["source"] == source
    assert told in shown.getvalue()
    assert "geheim" not in shown.getvalue()


def test_progress_is_described_in_words() -> None:
    """It stands beside the bar in the demo."""
    shot = {
        "stage": "train",
        "unit": "steps",
        "done": 1200,
        "total": 2400,
        "rate": 3.2,
        "seconds_left": 375.0,
        "loss": 0.5,
    }
    assert describe(shot) == "1,200/2,400 steps, 3.2/s, 6:15 left, loss 0.500"
    assert describe({**shot, "total": None, "seconds_left": None, "done": 5}) == "5 steps, 3.2/s, loss 0.500"


def state(home: Path) -> dict[str, object]:
    """A state file's content as the Airflow of `home` leaves it."""
    return {"pid": os.getpid(), "port": 1, "began": 1, "home": str(home), "inode": server.identity(home)}


@pytest.fixture
def leader() -> Iterator["subprocess.Popen[bytes]"]:
    """A process with a session of its own, as Airflow's leader is."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as process:
        yield process
        process.kill()


def test_a_copy_does_not_take_the_originals_airflow_for_its_own(
    tmp_path: Path, leader: "subprocess.Popen[bytes]"
) -> None:
    """`make down` in a copy ended the original's Airflow; `make demo` there ran in the original."""
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.mkdir()
    write_json(original / "vitrine.json", {**state(original), "pid": leader.pid, "began": start_time(leader.pid)})
    shutil.copytree(original, copy)
    assert server.running(copy) is None
    assert leader.poll() is None, "the original's process was ended"
    found = server.running(original)
    assert found is not None
    assert found.pid == leader.pid


def test_an_airflow_that_an_earlier_version_started_is_known(tmp_path: Path, leader: "subprocess.Popen[bytes]") -> None:
    """After an update `make up` would start a second one on the same database."""
    write_json(tmp_path / "vitrine.json", {"pid": leader.pid, "port": 1, "began": start_time(leader.pid)})
    found = server.running(tmp_path)
    assert found is not None
    assert found.pid == leader.pid


def test_an_airflow_whose_home_was_moved_is_ended(tmp_path: Path, leader: "subprocess.Popen[bytes]") -> None:
    """It goes on with the paths of the old place: two would then work on one database."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    write_json(old / "vitrine.json", {**state(old), "pid": leader.pid, "began": start_time(leader.pid)})
    old.rename(new)
    assert server.running(new) is None
    leader.wait(10.0)
    assert not (new / "vitrine.json").exists()


def test_every_path_that_airflow_is_told_is_where_its_home_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`airflow.cfg` pins the paths of the place where it was written; only the environment is above it."""
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://somebody/else")
    found = server.environment(tmp_path / "home", tmp_path / "data", 8080)
    assert found["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == f"sqlite:///{tmp_path}/home/airflow.db"
    for name in (
        "AIRFLOW_HOME",
        "AIRFLOW_CONFIG",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER",
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE",
    ):
        assert found[name].startswith(f"{tmp_path}/home"), name


def test_a_stale_state_file_is_not_taken_for_a_running_airflow(tmp_path: Path) -> None:
    """After a reboot another process may have the pid: `make down` must not end it."""
    assert server.running(tmp_path) is None
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    with stranger:
        write_json(tmp_path / "vitrine.json", {**state(tmp_path), "pid": stranger.pid, "began": 12345})
        assert server.running(tmp_path) is None
        server.stop(server.Local(tmp_path, 1, stranger.pid, 12345))
        assert stranger.poll() is None, "somebody else's process was ended"
        assert not (tmp_path / "vitrine.json").exists()
        stranger.kill()


def test_stop_ends_the_whole_group_that_start_made(tmp_path: Path) -> None:
    """A scheduler left behind would go on starting tasks."""
    code = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"
    leader = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    with leader:
        assert leader.stdout is not None
        child = int(leader.stdout.readline())
        local = server.Local(tmp_path, 1, leader.pid, start_time(leader.pid), leader)
        assert local.alive()
        server.stop(local)
        assert not local.alive()
        assert start_time(child) == -1
    assert start_time(os.getpid()) > 0


SCHEDULER = """
import signal, subprocess, sys
from pathlib import Path
from include.local.processes import session, start_time
code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"
task = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, process_group=0)
task.stdout.readline()
def end(*_):
    task.wait()
    Path(sys.argv[1]).write_text("told" if start_time(int(sys.argv[2])) > 0 else "nobody to tell")
    sys.exit()
signal.signal(signal.SIGTERM, end)
print(flush=True)
signal.pause()
"""
LEADER = """
import signal, subprocess, sys
web = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()", "airflow", "api-server"])
command = [sys.executable, "-c", sys.argv[1], sys.argv[2], str(web.pid)]
scheduler = subprocess.Popen(command, stdout=subprocess.PIPE)
scheduler.stdout.readline()
print(flush=True)
signal.pause()
"""


def test_stop_ends_a_running_task_while_there_is_somebody_to_tell(tmp_path: Path) -> None:
    """It took 20 seconds and a kill; the run then hung for five minutes after the next start."""
    report = tmp_path / "report"
    command = [sys.executable, "-c", LEADER, SCHEDULER, str(report)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as leader:
        assert leader.stdout is not None
        leader.stdout.readline()
        began = time.monotonic()
        server.stop(server.Local(tmp_path, 1, leader.pid, start_time(leader.pid), leader))
        assert time.monotonic() - began < server.STOP_SECONDS / 2, "something had to be killed"
    assert session(leader.pid, -1) == []
    assert report.read_text() == "told"


def test_free_ports_are_on_loopback() -> None:
    """The demo must not clash with what runs already."""
    assert 1024 < server.free_port() < 65536


def test_the_port_stays_over_a_restart_and_moves_only_where_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Addresses, bookmarks and logins were void after each restart."""
    monkeypatch.delenv("VITRINE_PORT", raising=False)
    base = server.free_port()
    monkeypatch.setattr(server, "FIRST_PORT", base)
    with socket.socket() as other:
        other.bind(("127.0.0.1", base))
        other.listen()
        moved = server.lasting_port(tmp_path)
        assert base < moved < base + 100
    assert server.lasting_port(tmp_path) == moved, "the first port is free again, and the addresses are given out"
    with socket.socket() as closed:  # a connection that just ended holds the port for a minute, but for nobody else
        closed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        closed.bind(("127.0.0.1", moved))
        closed.listen()
        with socket.create_connection(("127.0.0.1", moved)):
            closed.accept()[0].close()
    assert server.lasting_port(tmp_path) == moved
    asked = server.free_port()
    monkeypatch.setenv("VITRINE_PORT", str(asked))
    assert server.lasting_port(tmp_path) == asked
    monkeypatch.delenv("VITRINE_PORT")
    assert server.last_port(tmp_path) == asked
    for wrong in ("http", "80", "70000", "-1"):
        monkeypatch.setenv("VITRINE_PORT", wrong)
        with pytest.raises(BadSettings, match="VITRINE_PORT"):
            server.lasting_port(tmp_path)


def test_a_user_is_added_beside_the_others_and_keeps_the_password(tmp_path: Path) -> None:
    """A colleague's login must not cost the administrator's."""
    write_json(users.password_file(tmp_path), {"admin": "secret"})
    password = users.add(tmp_path, "ana", "viewer")
    assert users.setting(tmp_path) == "admin:admin,ana:viewer"
    assert users.add(tmp_path, "ana", "op") == password
    assert users.setting(tmp_path) == "admin:admin,ana:op"
    assert users.passwords(tmp_path) == {"admin": "secret", "ana": password}
    assert users.password_file(tmp_path).stat().st_mode & 0o077 == 0
    for name, role in (("", "viewer"), ("a:admin", "viewer"), ("a,b", "viewer"), ("ana", "owner"), ("admin", "viewer")):
        with pytest.raises(BadSettings, match=r"NAME|ROLE|admin"):
            users.add(tmp_path, name, role)


def test_make_user_says_what_is_left_to_do(
    tmp_path: Path,
    leader: "subprocess.Popen[bytes]",
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A login that Airflow does not know yet looks like a mistyped password."""
    monkeypatch.setattr(up, "HOME", tmp_path)

    def said(name: str, role: str = "") -> list[str]:
        monkeypatch.setenv("GIVEN_NAME", name)
        monkeypatch.setenv("GIVEN_ROLE", role)
        assert up.main(["user"]) == 0
        return capsys.readouterr().out.splitlines()

    first = said("ana")
    login = f"user: ana   password: {users.passwords(tmp_path)['ana']}   role: viewer"
    assert first == [login, "`make up` starts Airflow and says its address."]
    running = {**state(tmp_path), "pid": leader.pid, "began": start_time(leader.pid), "port": 8123}
    write_json(tmp_path / "vitrine.json", running)
    restart = "Airflow runs and takes this up at its next start: `make down`, `make up`, then log in at "
    assert said("ana") == [login, "Log in at http://127.0.0.1:8123"], "the same login again"
    assert said("ana", "op")[1] == restart + "http://127.0.0.1:8123"
    assert said("ben")[1] == restart + "http://127.0.0.1:8123"
    monkeypatch.setenv("GIVEN_NAME", "a:b")
    assert up.main(["user"]) == 1
    assert "NAME is 'a:b'" in capsys.readouterr().err


def test_a_source_that_refuses_is_told_in_seconds_and_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Airflow started first, and then took 5 min 48 s of retries to say so."""
    monkeypatch.setattr(demo, "HOME", tmp_path / "home")
    monkeypatch.setattr(server, "start", lambda *_, **__: pytest.fail("Airflow was started"))
    began = time.monotonic()
    url = f"http://127.0.0.1:{server.free_port()}/catalogue.zip"
    with pytest.raises(SourceUnreachable, match="Connection refused") as raised:
        reach(url)
    assert demo.main(["--source", url]) == 1
    shown = capsys.readouterr()
    assert (shown.out.strip(), shown.err) == (str(raised.value), ""), "the reason and its next step, and nothing else"
    assert time.monotonic() - began < 20.0
    with pytest.raises(SourceUnreachable):
        reach("https://no-such-host.invalid/{date}.zip")
    reach("sample")


def test_a_source_that_never_answers_is_told_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall that drops packets looks like a slow server, for minutes."""
    monkeypatch.setattr(demo, "REACH_SECONDS", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://user:secret@127.0.0.1:{silent.getsockname()[1]}/a.zip?key=secret"
        with pytest.raises(SourceUnreachable, match=r"does not answer within") as raised:
            reach(url)
        assert "secret" not in str(raised.value)


AWKWARD = [
    'it\'s "quoted".zip',
    "two  blanks .zip",
    "a$x$$HOME$(SHELL).zip",
    "$(shell touch reached-by-make)",
    "`touch reached-by-a-shell`",
    "$(touch reached-by-a-shell)",
    "; touch reached-by-a-shell #",
    "a\\b%20*?~{1,2}&|<>!",
    "ação/日本.zip",
]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the Makefile and a set-up environment, whose Python prints what it was given and by which way."""
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    python = tmp_path / "told.py"
    python.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "given = {name: value for name, value in os.environ.items() if name.startswith('GIVEN_')}\n"
        "print(json.dumps({'arguments': sys.argv[1:], **given}))\n"
    )
    python.chmod(0o755)
    needed = ("requirements.txt", "constraints.txt", "requirements-dev.txt", "include/shell/vitrine.sh")
    for name in (*needed, ".venv/run", ".venv/dev"):  # in the order in which they are made
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def make(checkout: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run make there, with an environment that is not the test's own make's."""
    its_own = ("MAKE", "MFLAGS", "GIVEN_", "PYTHON=")
    clean = {name: value for name, value in os.environ.items() if not f"{name}=".startswith(its_own)}
    return subprocess.run(
        ["make", "-s", *words], cwd=checkout, env={**clean, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("value", AWKWARD)
@pytest.mark.parametrize(
    ("target", "variable"), [("demo", "SOURCE"), ("airflow", "ARGS"), ("user", "NAME"), ("user", "ROLE")]
)
def test_make_hands_a_value_on_letter_by_letter(checkout: Path, target: str, variable: str, value: str) -> None:
    """`make demo SOURCE='…$x…'` lost `$x`, and backticks were run by the shell."""
    for done in (
        make(checkout, target, "PY=./told.py", f"{variable}={value}"),
        make(checkout, target, "PY=./told.py", **{variable: value}),
    ):
        assert done.returncode == 0, done.stderr
        given = json.loads(done.stdout)
        assert given[f"GIVEN_{variable}"] == value
        assert value not in given["arguments"]
    assert not list(checkout.glob("reached*"))


@pytest.mark.parametrize("given", ["argument", "environment", "no"])
def test_make_refuses_to_take_another_python_than_the_one_asked_for(checkout: Path, given: str) -> None:
    """`make test PYTHON=python3.12` tested with the 3.11 that .venv was made with, and said nothing."""
    for name, version in {"3.12": "3.12.1", ".venv/bin/python": "3.11.7"}.items():
        program = checkout / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\ntest "$1" != --version || echo Python {version}\n')
        program.chmod(0o755)
    words = ["PYTHON=./3.12"] if given == "argument" else []
    done = make(checkout, "down", *words, **({"PYTHON": "./3.12"} if given == "environment" else {}))
    told = "PYTHON=./3.12 is Python 3.12.1, .venv was made with Python 3.11.7: remove it first"
    assert (done.returncode, told in done.stdout) == ((0, False) if given == "no" else (2, True)), done
    assert make(checkout, "down", "PYTHON=.venv/bin/python").returncode == 0


def test_the_demo_takes_its_source_from_the_environment(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """What make hands on has to be read."""
    monkeypatch.setenv("GIVEN_SOURCE", "no $such `file`")
    assert demo.main([]) == 1
    assert "no $such `file`" in capsys.readouterr().out


def filled(checkout: Path) -> Path:
    """A checkout with a live index, whose `clean` is the real one."""
    shutil.copytree(REPOSITORY / "include" / "local", checkout / "include" / "local")
    (checkout / "include" / "__init__.py").touch()
    (checkout / ".venv" / "run").unlink()  # so that `make clean` does not look for an Airflow to stop
    (checkout / "data" / "index" / "products").mkdir(parents=True)
    (checkout / "data" / "model.bin").write_bytes(bytes(2_500_000))
    (checkout / ".airflow").mkdir()
    (checkout / ".airflow" / "airflow.db").write_bytes(bytes(300_000))
    entry = {"version": "0123456789abcdef", "published_at": "2026-11-01T03:10:00+00:00"}
    write_json(checkout / "data" / "index" / "products" / "journal.json", {"history": [entry]})
    return checkout


def test_clean_asks_for_a_terminal_before_it_deletes_a_live_index(checkout: Path) -> None:
    """One word typed in the wrong window cost a night's training."""
    filled(checkout)
    told = "the live index 'products': version 0123456789abcdef, live since 2026-11-01T03:10:00+00:00"
    for target in ("clean", "distclean"):
        refused = make(checkout, target, f"PYTHON={sys.executable}")
        assert refused.returncode != 0
        assert told in refused.stdout
        assert "2.5 MB" in refused.stdout
        assert "0.3 MB" in refused.stdout
        assert "make clean YES=1" in refused.stderr
        assert (checkout / "data" / "model.bin").exists()
        assert (checkout / ".venv").exists()
    done = make(checkout, "clean", "YES=1", f"PYTHON={sys.executable}")
    assert done.returncode == 0, done.stderr
    assert told in done.stdout
    assert not (checkout / "data").exists()
    assert not (checkout / ".airflow").exists()
    assert make(checkout, "clean", f"PYTHON={sys.executable}").returncode == 0, "there is nothing to ask for"


@pytest.mark.parametrize(("answer", "gone"), [(b"y\n", True), (b"\n", False), (b"n\n", False), (b"\x04", False)])
def test_clean_does_what_a_person_answers(checkout: Path, answer: bytes, gone: bool) -> None:
    """Enter alone is no consent."""
    filled(checkout)
    ours, theirs = pty.openpty()
    command = ["make", "-s", "clean", f"PYTHON={sys.executable}"]
    with subprocess.Popen(command, cwd=checkout, stdin=theirs, stdout=subprocess.PIPE) as process:
        os.write(ours, answer)
        said = process.communicate(timeout=60.0)[0].decode()
    os.close(ours)
    os.close(theirs)
    assert "Delete it? [y/N]" in said
    assert (process.returncode == 0) is gone
    assert (checkout / "data" / "model.bin").exists() is not gone


def test_clean_names_an_index_whose_journal_it_cannot_read(checkout: Path) -> None:
    """What cannot be read may be what is wanted most."""
    filled(checkout)
    (checkout / "data" / "index" / "products" / "journal.json").write_text("{")
    assert clean.contents(checkout)[0] == "the index 'products', whose journal cannot be read"


class OneTask:
    """A client of an Airflow whose run has one task, which goes through the given states."""

    def __init__(self, states: list[dict[str, Any]], record: dict[str, Any], log: list[str]) -> None:
        self.states, self.record, self.lines = states, record, log
        self.given_up = False

    def run_state(self, *_: object) -> str:
        return "running" if len(self.states) > 1 else "failed"

    def task_instances(self, *_: object) -> list[dict[str, Any]]:
        each = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        common = {"dag_id": "train_and_index", "task_id": "download", "map_index": -1, "max_tries": 4, "duration": 1.0}
        return [{**common, "end_date": datetime.now(UTC).isoformat(), **each}]

    def progress(self, *_: object) -> dict[str, Any]:
        return {}

    def stored(self, *_: object) -> dict[str, Any]:
        return self.record

    def log(self, *_: object) -> list[str]:
        return self.lines

    def give_up(self, *_: object) -> None:
        self.given_up = True

    def require_unpaused(self, *_: object) -> None:
        """It is not paused."""


def failing(kind: str, *, recorded: bool) -> OneTask:
    """A task that fails three times with errors of a class, told by its record or by its log alone."""
    # The second try begins and fails between two looks.
    seen = [("running", 1), ("up_for_retry", 1), ("up_for_retry", 2), ("queued", 2), ("up_for_retry", 3), ("failed", 3)]
    states = [{"state": state, "try_number": number} for state, number in seen]
    at = (datetime.now(UTC) + timedelta(seconds=15)).isoformat()
    record = {"class": kind, "what": "It broke.", "next_step": "Mend it.", "retry_at": at} if recorded else {}
    return OneTask(states, record, ["began", f"\n{kind}: It broke. Mend it."])


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize(("kind", "tries"), [("QuotaExceeded", 1), ("StorageFull", 1), ("SourceUnreachable", 2)])
def test_the_demo_does_not_wait_out_what_will_not_heal(
    kind: str, tries: int, recorded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quota comes back tomorrow; a person watches now."""
    monkeypatch.setattr("include.local.watch.POLL_SECONDS", 0.0)
    client, shown = failing(kind, recorded=recorded), io.StringIO()
    with pytest.raises(server.AirflowFailed, match=rf"^Task download failed\. {kind}: It broke\. Mend it\."):
        watch(cast("AirflowClient", client), "run", Console(file=shown, soft_wrap=True))
    assert client.given_up
    assert f"download: try {tries} of 5 failed: {kind}: It broke. Mend it." in shown.getvalue()
    assert shown.getvalue().count("failed:") == tries


def test_the_demo_waits_for_retries_that_heal_and_says_when_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """`up_for_retry` alone says neither how often nor how long."""
    monkeypatch.setattr("include.local.watch.POLL_SECONDS", 0.0)
    client, shown = failing("TrainingInterrupted", recorded=True), io.StringIO()
    assert watch(cast("AirflowClient", client), "run", Console(file=shown, soft_wrap=True)) == "failed"
    assert not client.given_up
    waits = re.findall(r"the next try is at \d\d:\d\d:\d\d, in (\d+) s", shown.getvalue())
    assert [14 <= int(wait) <= 15 for wait in waits] == [True, True, True], "as the task's record has it"


class Failed:
    """A client of an Airflow in which a run has failed: `convert` of our own error, `verify` by a kill."""

    def task_instances(self, *_: object) -> list[dict[str, Any]]:
        tries = {"convert": 1, "verify": 2, "publish": 0, "outcome": 1}  # publish was marked as failed before it began
        return [
            {"task_id": name, "map_index": -1, "state": "failed", "try_number": number}
            for name, number in tries.items()
        ]

    def stored(self, _dag: str, _run: str, task_id: str, *_: object) -> dict[str, Any]:
        record = {"class": "BadCatalogue", "what": "No line is a product.", "next_step": "Give another file."}
        return record if task_id == "convert" else {}

    def log(self, _dag: str, _run: str, task_id: str, *_: object) -> list[str]:
        return ["began", "half done"] if task_id == "verify" else ["TaskFailed: convert and verify failed."]


def test_a_failed_demo_tells_the_reasons_first_and_each_once() -> None:
    """The run's last task fails because another did, and repeated it all at the end of the text."""
    assert failure(cast("AirflowClient", Failed()), "train_and_index", "run") == (
        "Task convert failed. BadCatalogue: No line is a product. Give another file.\n"
        "Task verify failed. Its process ended without a message.\n"
        "The end of its log:\n  began\n  half done\n"
    )
