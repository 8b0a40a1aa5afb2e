"""What a failed task says: one record, which its log, its run's report and the demo show.

A record is JSON: `class` of the error, `what` came instead of what was expected, `next_step`, `task`, `map_index`
(-1 if not mapped), `try_number` of `max_tries`, `retry_at` (ISO 8601 in UTC; None if it is not tried again), and `log`,
the address of its log, relative to the UI's.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from include.core.display import wrapped
from include.core.errors import Terminal, VitrineError
from include.core.pipeline_settings import with_titles
from include.core.progress import clock
from include.core.redaction import addresses_hidden

UNFORESEEN = (
    "This is no failure that Vitrine expects: the frames in the task's log show where it came from. "
    "Clear the task to try again, and report it with those frames if it comes back."
)
TIMED_OUT = (
    "Clear the task: what is stored is not made again. If it needs more time, raise its hours in the DAG's file."
)
SILENT = (
    "It left no message: its process was ended from outside (by the kernel when memory ran out, by a lost worker or "
    "a kill), or the task was marked as failed by hand."
)
SILENT_NEXT = "Its log shows how far it came. Clear the task: what is stored is not made again."
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'`(\[{])")

Failure = dict[str, Any]


def record(error: BaseException, *, timed_out: bool = False) -> Failure:
    """The part of a record that comes from the error: `class`, `what`, `next_step`, `terminal`."""
    name = type(error).__name__
    if isinstance(error, VitrineError):
        what, next_step = error.what, with_titles(error.next_step)
    elif timed_out:
        what, next_step = "It ran into its time limit and was stopped.", TIMED_OUT
    else:
        what, next_step = addresses_hidden(str(error).strip()) or "It came without a message.", UNFORESEEN
    return {"class": name, "what": what, "next_step": next_step, "terminal": isinstance(error, Terminal)}


def silent(task: str, map_index: int, log: str) -> Failure:
    """The record of a task that failed and left none."""
    told = {"class": None, "what": SILENT, "next_step": SILENT_NEXT, "terminal": False}
    return {**told, "task": task, "map_index": map_index, "try_number": None, "max_tries": None, "log": log}


def log_address(dag_id: str, run_id: str, task: str, map_index: int, try_number: int | None = None) -> str:
    """Where the UI shows a task's log, relative to the UI's base; without a try its latest."""
    mapped = f"/mapped/{map_index}" if map_index >= 0 else ""
    chosen = f"?try_number={try_number}" if try_number else ""
    return f"dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}/tasks/{task}{mapped}{chosen}"


def sentences(words: str) -> list[str]:
    """Text cut after each sentence, and where it has lines of its own."""
    return [each for line in words.splitlines() for each in SENTENCE.split(line.strip()) if each]


def told(failure: Mapping[str, Any], now: datetime) -> str:
    """The record as lines for a log: what, the next step, which try this was and when the next one is."""
    lines = [*sentences(f"{failure['class']}: {failure['what']}")]
    lines += sentences(f"Next: {failure['next_step']}") if failure["next_step"] else []
    return "\n".join(line for each in [*lines, trying(failure, now)] for line in wrapped(each))


def trying(failure: Mapping[str, Any], now: datetime) -> str:
    """Which try this was, and when the next one is."""
    this = f"Try {failure['try_number']} of {failure['max_tries']}"
    if failure["retry_at"]:
        at = datetime.fromisoformat(failure["retry_at"])
        return f"{this}: the next one is at {at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, {_until(at, now)}."
    if failure["terminal"]:
        return "It is not tried again, since that cannot help."
    return f"{this}: there is no further one."


def _until(at: datetime, now: datetime) -> str:
    seconds = max((at - now).total_seconds(), 0.0)
    return f"in {seconds:.0f} s" if seconds < 60 else f"in {clock(seconds)}"
