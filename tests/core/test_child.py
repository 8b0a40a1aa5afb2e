"""include/core/child.py: what a process that we start says is acted on in one way, and it finds our code."""

import json
import logging
import os
from pathlib import Path

import pytest

from include.core.child import environment, read_report
from include.core.environment import REPOSITORY
from include.core.progress import Snapshot


def test_progress_and_log_are_passed_on_and_only_an_end_is_one(caplog: pytest.LogCaptureFixture) -> None:
    """Progress that was taken for a result would end the wait; an end that was passed over would be a crash."""
    shots: list[Snapshot] = []
    with caplog.at_level(logging.INFO):
        assert (
            read_report(json.dumps({"type": "progress", "snapshot": {"unit": "steps", "done": 3}}), shots.append)
            is None
        )
        assert read_report(json.dumps({"type": "progress", "snapshot": {}}), None) is None
        assert (
            read_report(json.dumps({"type": "log", "level": logging.INFO, "message": "loss 0.1"}).encode(), None)
            is None
        )
    assert shots == [{"unit": "steps", "done": 3}]
    assert caplog.messages == ["loss 0.1"]
    for kind in ("result", "error", "crash"):
        assert read_report(json.dumps({"type": kind}), None) == {"type": kind}


@pytest.mark.parametrize("line", ['{"type": "resu', b'{"type": "resu', "", b"\xff"])
def test_a_line_that_the_childs_death_cut_off_is_no_end(line: str | bytes, caplog: pytest.LogCaptureFixture) -> None:
    """The parent reports the signal, not a fault of JSON."""
    assert read_report(line, None) is None
    assert "left an unfinished line" in caplog.text


def test_a_child_finds_our_code_first_and_keeps_the_rest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package named `include` on somebody's path would be run in its place."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert environment()["PYTHONPATH"].split(os.pathsep) == [str(REPOSITORY), str(tmp_path)]
    monkeypatch.delenv("PYTHONPATH")
    assert environment() == {**os.environ, "PYTHONPATH": str(REPOSITORY)}
