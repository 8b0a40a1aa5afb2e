"""include/core/failure.py: what a failed task says, in its log and for the report."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.core import failure
from include.core.display import LOG_WIDTH
from include.core.errors import BadSource, SourceUnreachable, TooManyRejects
from include.core.settings import ConvertSettings

NOW = datetime(2026, 11, 25, 1, 40, tzinfo=UTC)


def record(error: BaseException, **more: Any) -> failure.Failure:
    """As the task's wrapper completes it."""
    about = {"task": "download", "map_index": -1, "try_number": 2, "max_tries": 5, "retry_at": None, "log": ""}
    return {**failure.record(error), **about, **more}


def test_the_message_and_the_next_step_come_first_one_sentence_a_line() -> None:
    """A log is read from the left edge; a line of 600 characters hides what to do."""
    error = BadSource("/d/a.json, line 3: expected an object, found a list. It starts with [1, 2].", "Give JSON lines.")
    assert failure.told(record(error), NOW).splitlines() == [
        "BadSource: /d/a.json, line 3: expected an object, found a list.",
        "It starts with [1, 2].",
        "Next: Give JSON lines.",
        "It is not tried again, since that cannot help.",
    ]


def test_a_setting_is_called_what_the_form_calls_it() -> None:
    """The form has no field max_reject_share: whoever triggers it would look for "Rejects allowed" in vain."""
    error = TooManyRejects("trn: 9 of 10 lines were rejected.", "Correct the file, or raise max_reject_share.")
    title = ConvertSettings.model_fields["max_reject_share"].title
    assert record(error)["next_step"] == f'Correct the file, or raise max_reject_share ("{title}").'


def test_lines_are_wrapped_and_a_path_stays_whole() -> None:
    """A path that is cut in two cannot be copied."""
    path = "/data/" + "folder/" * 30 + "file-with-hyphens.json"
    lines = failure.told(record(BadSource("word " * 60 + path, "")), NOW).splitlines()
    assert any(path in line for line in lines)
    assert max(len(line) for line in lines if path not in line) <= LOG_WIDTH


def test_a_name_with_full_stops_is_no_end_of_a_sentence() -> None:
    """Cutting `example.com. The` is right, cutting `trn.json` is not."""
    assert failure.sentences("See trn.json at 1.5 GB. It is big! What now?") == [
        "See trn.json at 1.5 GB.",
        "It is big!",
        "What now?",
    ]


@pytest.mark.parametrize(
    ("retry_at", "told"),
    [
        (NOW + timedelta(seconds=30), "Try 2 of 5: the next one is at 2026-11-25 01:40:30 UTC, in 30 s."),
        (NOW + timedelta(hours=6), "Try 2 of 5: the next one is at 2026-11-25 07:40:00 UTC, in 6:00:00."),
        (None, "Try 2 of 5: there is no further one."),
    ],
)
def test_a_retry_says_which_try_it_was_and_when_the_next_is(retry_at: datetime | None, told: str) -> None:
    """A task that waits for six hours without a word looks like one that hangs."""
    found = record(SourceUnreachable("No answer."), retry_at=retry_at and retry_at.isoformat())
    assert failure.told(found, NOW).splitlines()[-1] == told


def test_an_unforeseen_error_says_what_it_was_and_that_it_was_not_foreseen() -> None:
    """Its own words were written for a programmer."""
    found = record(ZeroDivisionError("division by zero"))
    assert failure.told(found, NOW).startswith("ZeroDivisionError: division by zero\nNext: This is no failure that")
    assert failure.record(KeyError())["what"] == "It came without a message."


def test_a_time_limit_is_named() -> None:
    """Airflow's own message is "Timeout, PID: 4711"."""
    assert "time limit" in failure.record(RuntimeError("Timeout, PID: 1"), timed_out=True)["what"]


def test_the_address_of_a_log_is_relative_and_quoted() -> None:
    """Airflow may be served under a path; a run's id holds colons and plus signs, or whatever its trigger says."""
    assert (
        failure.log_address("d", "manual__1T1:2+00:00", "shard.embed", 3, 2)
        == "dags/d/runs/manual__1T1%3A2%2B00%3A00/tasks/shard.embed/mapped/3?try_number=2"
    )
    assert failure.log_address("d", "../x?y#", "convert", -1) == "dags/d/runs/..%2Fx%3Fy%23/tasks/convert"
