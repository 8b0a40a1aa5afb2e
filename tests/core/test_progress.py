"""include/core/progress.py: counts, rate, time left."""

import logging
import time

import pytest

from include.core.progress import Progress, Snapshot, clock


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the test sets."""
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    return clock


def test_rate_and_time_left_follow_the_clock(now: list[float]) -> None:
    """A wrong estimate makes a user kill a run that was nearly done."""
    seen: list[Snapshot] = []
    with Progress("embed", 100, sink=seen.append) as bar:
        now[0] += 2
        bar.advance(20)
    assert seen[-1] == {"stage": "embed", "unit": "rows", "done": 20, "total": 100, "rate": 10.0, "seconds_left": 8.0}


def test_work_done_before_a_resume_does_not_count_towards_the_rate(now: list[float]) -> None:
    """A resumed run would otherwise show an absurd rate."""
    bar = Progress("train", 1000, start=500)
    now[0] += 10
    bar.advance(100)
    assert bar.snapshot()["rate"] == 10.0
    assert bar.snapshot()["seconds_left"] == 40.0


def test_the_sink_is_not_called_more_often_than_the_interval(now: list[float]) -> None:
    """Each call is a request to Airflow's API."""
    seen: list[Snapshot] = []
    bar = Progress("convert", 10_000, sink=seen.append, interval=1.0)
    for _ in range(1000):
        now[0] += 0.01
        bar.advance()
    assert 9 <= len(seen) <= 11
    bar.close()
    assert seen[-1]["done"] == 1000


def test_a_failure_is_not_reported_as_complete(now: list[float]) -> None:
    """The last snapshot must not claim the end of work that broke off."""
    seen: list[Snapshot] = []
    with pytest.raises(ValueError), Progress("convert", 10, sink=seen.append):
        raise ValueError
    assert seen[-1]["done"] == 0


def test_the_log_line_is_readable(now: list[float], caplog: pytest.LogCaptureFixture) -> None:
    """It is what a user of the UI sees."""
    caplog.set_level(logging.INFO)
    bar = Progress("fine_tune", 1200, unit="steps")
    now[0] += 100
    bar.advance(200, loss=0.12345)
    bar.close()
    assert caplog.messages[-1] == "fine_tune: 200/1,200 steps, 2.0 steps/s, 8:20 left, loss 0.1235"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (61.9, "1:01"), (3600, "1:00:00"), (90_061, "25:01:01")])
def test_clock(seconds: float, text: str) -> None:
    """Durations are shown as people write them."""
    assert clock(seconds) == text
