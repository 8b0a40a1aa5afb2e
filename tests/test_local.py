"""include/local/: the demo's own pieces that need no Airflow."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from include.artifacts import write_json
from include.errors import BadSource
from include.local import server
from include.local.demo import describe, resolve


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
        resolve("typo.zip")


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


def test_a_stale_state_file_is_not_taken_for_a_running_airflow(tmp_path: Path) -> None:
    """After a reboot another process may have the pid: `make down` must not end it."""
    assert server.running(tmp_path) is None
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    with stranger:
        write_json(tmp_path / "vitrine.json", {"pid": stranger.pid, "port": 1, "began": 12345})
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
        local = server.Local(tmp_path, 1, leader.pid, server.start_time(leader.pid), leader)
        assert local.alive()
        server.stop(local)
        assert not local.alive()
        assert server.start_time(child) == -1
    assert server.start_time(os.getpid()) > 0


def test_free_ports_are_on_loopback() -> None:
    """The demo must not clash with what runs already."""
    assert 1024 < server.free_port() < 65536
