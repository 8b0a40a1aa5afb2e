"""`make fuzz`: a finding is told with what draws it again."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.fuzz import ROUND, fuzz

FINDS = """
from hypothesis import given, strategies as st

def test_plain() -> None:
    raise AssertionError("no property test")

@given(st.integers())
def test_small(number: int) -> None:
    assert number < 1000
"""


def test_a_finding_is_told_with_the_seed_that_draws_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Danger: an hour's finding ends in a line that nobody can repeat; or a round that failed counts as a good one."""
    (tmp_path / "test_one.py").write_text(FINDS)
    monkeypatch.chdir(tmp_path)  # Hypothesis keeps what it found there
    assert fuzz(0, ["test_one.py"]) == 1
    told = capsys.readouterr().out
    assert "number=1000" in told
    assert "test_plain" not in told
    assert "Statistics" not in told
    seed = re.search(r"FAILED, see above \(seed (\d+)\)", told)
    assert seed
    command = [*ROUND, f"--hypothesis-seed={seed[1]}", "test_one.py"]
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "number=1000" in again.stdout


def test_rounds_go_on_until_the_time_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Danger: an hour was asked for, and one round is all there was."""
    (tmp_path / "test_one.py").write_text(FINDS.replace("number < 1000", "isinstance(number, int)"))
    monkeypatch.chdir(tmp_path)
    clock = iter([0.0, 1.0, 59.0, 59.5, 61.0, 61.0])
    monkeypatch.setattr("tests.fuzz.time.monotonic", lambda: next(clock))
    assert fuzz(1, ["test_one.py"]) == 0
    told = capsys.readouterr().out
    assert re.findall(r"round (\d): (\d+) examples, nothing found; (\d+) in", told) == [
        ("1", "100", "100"),
        ("2", "100", "200"),
    ]
