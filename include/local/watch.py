"""A pipeline run on the console: a bar for each task, why one failed, and when it is tried again.

A demo has a person in front of it. So it does not wait out what a nightly run would: a quota that comes back tomorrow,
a full disk, or a host that did not answer a second time.
"""

import re
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from include.core.progress import clock, pace
from include.local.client import AirflowClient
from include.local.server import AirflowFailed

PIPELINE = "train_and_index"
ENDED = {"success", "failed"}
UNSEEN = {None, "scheduled", "queued", "removed"}  # states of tasks that have not begun
ENDING = ("prune", "outcome")  # whose failure is not why a run failed
POLL_SECONDS = 2.0  # each poll is work for the web server, on the cores that train
# How many failures of a class the demo waits through; all others heal, or end the run by themselves.
PATIENCE = {"QuotaExceeded": 0, "StorageFull": 0, "SourceUnreachable": 1, "StoreUnavailable": 1}

Key = tuple[str, int]  # of a task instance: task id and map index


@dataclass
class Watch:
    """What has been shown of one run.

    Attributes:
        client: Of its Airflow.
        run_id: The run.
        bars: Where it is shown.
        quiet: There is no terminal, and so there are no bars: a line when a task changes, and one every ten seconds.
        lines: The bar of each task instance.
        told: Each one's last state and try (which may begin and fail between two looks), and when a line told of them.
        failures: How often each one failed with each class of error.
        given_up: The failure that the demo does not wait out; empty while there is none.
    """

    client: AirflowClient
    run_id: str
    bars: Progress
    quiet: bool
    lines: dict[Key, TaskID] = field(default_factory=dict)
    told: dict[Key, tuple[tuple[str, int], float]] = field(default_factory=dict)
    failures: Counter[tuple[Key, str]] = field(default_factory=Counter)
    given_up: str = ""

    def show(self, each: dict[str, Any]) -> None:
        """Bring one task instance's bar up to date."""
        key, state = (each["task_id"], each["map_index"]), each["state"]
        now = (state, each["try_number"])
        before, when = self.told.get(key, (("", 0), 0.0))
        if before[0] in ENDED:
            return
        if key not in self.lines:
            name = key[0] + (f" {key[1] + 1}" if key[1] >= 0 else "")
            self.lines[key] = self.bars.add_task(name, total=None, note="")
        line = self.lines[key]
        shot = self.client.progress(PIPELINE, self.run_id, *key) if state in ("running", "success") else {}
        note = describe(shot) if shot else ""
        if state == "success":
            self.bars.update(line, total=1, completed=1, note=f"{note or 'done'}")
        else:
            if state == "up_for_retry" and now != before:
                self._tell_retry(each)
            total, done = shot.get("total"), shot.get("done", 0)
            shown = note if state == "running" else f"{state} {note}"
            self.bars.update(line, total=total, completed=done if total else 0, note=shown)
        if self.quiet and (now != before or time.monotonic() - when > 10.0):
            took = f" in {each['duration']:.1f} s" if state in ENDED and each["duration"] else ""
            self._print(f"  {self.bars.tasks[line].description:<18} {state}{took}   {note}")
            when = time.monotonic()
        elif now == before:
            return
        self.told[key] = (now, when)

    def _tell_retry(self, each: dict[str, Any]) -> None:
        """Why a task failed, which try it was, and when the next one is, if the demo waits for it."""
        key = (each["task_id"], each["map_index"])
        reason = why(self.client, PIPELINE, self.run_id, each)
        self._print(f"  {key[0]}: try {each['try_number']} of {each['max_tries'] + 1} failed: {reason.text}")
        self.failures[key, reason.kind] += 1
        if self.failures[key, reason.kind] > PATIENCE.get(reason.kind, each["max_tries"]):
            self.given_up = f"Task {key[0]} failed. {reason.text}"
        elif reason.retry_at is not None:
            seconds = max((reason.retry_at - datetime.now(UTC)).total_seconds(), 0.0)
            self._print(f"  {key[0]}: the next try is at {reason.retry_at.astimezone():%H:%M:%S}, in {seconds:.0f} s")

    def _print(self, text: str) -> None:
        self.bars.console.print(text, markup=False)


def watch(client: AirflowClient, run_id: str, console: Console, *, patient: bool = False) -> str:
    """Show a bar for each task until the run has ended; returns its state.

    Args:
        client: Of its Airflow.
        run_id: The run.
        console: Where it is shown.
        patient: Wait for every further try, as a nightly run does.

    Raises:
        AirflowFailed: A task failed in a way that the demo does not wait out; the run is marked as failed.
        BadSettings: The DAG was paused meanwhile, and no task of the run is at work.
    """
    columns = (SpinnerColumn(finished_text=" "), TextColumn("{task.description:<22}"), BarColumn(24))
    with Progress(*columns, TextColumn("{task.fields[note]}"), TimeElapsedColumn(), console=console) as bars:
        shown = Watch(client, run_id, bars, quiet=not console.is_terminal)
        while True:
            state = client.run_state(PIPELINE, run_id)
            tasks = client.task_instances(PIPELINE, run_id)
            for each in tasks:
                if each["state"] not in UNSEEN:
                    shown.show(each)
            if state in ENDED:
                return state
            if shown.given_up and not patient:
                client.give_up(PIPELINE, run_id)
                raise AirflowFailed(
                    shown.given_up, "The demo waits for no further try, and the run is marked as failed."
                )
            if not any(each["state"] == "running" for each in tasks):
                client.require_unpaused(PIPELINE, f"Unpause it in Airflow: then {run_id} goes on.")
            time.sleep(POLL_SECONDS)


def describe(shot: dict[str, Any]) -> str:
    """A snapshot of `include.core.progress` as a short text."""
    count = f"{shot['done']:,}" + (f"/{shot['total']:,}" if shot.get("total") else "")
    text = f"{count} {shot['unit']}, {pace(shot['rate'])}/s"
    if shot.get("seconds_left"):
        text += f", {clock(shot['seconds_left'])} left"
    if "loss" in shot:
        text += f", loss {shot['loss']:.3f}"
    return text


class Reason(NamedTuple):
    """Why a task instance failed.

    Attributes:
        kind: The class of the error; empty where its process was killed and left no word.
        text: The class, the message and the next step.
        retry_at: When its next try starts; None where there is none, or where a killed process could not say.
        recorded: Whether the task itself left this; else it is from its log.
    """

    kind: str
    text: str
    retry_at: datetime | None = None
    recorded: bool = False


def why(client: AirflowClient, dag_id: str, run_id: str, each: dict[str, Any]) -> Reason:
    """Why a task instance failed: from the record that it left, else from its log."""
    kept = client.stored(dag_id, run_id, each["task_id"], each["map_index"], "failure")
    if kept.get("class"):
        text = f"{kept['class']}: {kept['what']} {kept['next_step']}".strip()
        at = kept.get("retry_at")
        return Reason(kept["class"], text, datetime.fromisoformat(at) if at else None, recorded=True)
    lines = client.log(dag_id, run_id, each["task_id"], each["try_number"], each["map_index"])
    found = errors(lines)
    return (
        Reason(found[0].partition(": ")[0], found[0]) if found else Reason("", "Its process ended without a message.")
    )


def failure(client: AirflowClient, dag_id: str, run_id: str) -> str:
    """Which tasks failed and why, the reason first; where a task left no record, also the last lines of its log."""
    text = ""
    for each in client.task_instances(dag_id, run_id):
        if each["state"] != "failed" or each["try_number"] == 0 or each["task_id"] in ENDING:
            continue
        reason = why(client, dag_id, run_id, each)
        text += f"Task {each['task_id']} failed. {reason.text}\n"
        if not reason.recorded:
            lines = client.log(dag_id, run_id, each["task_id"], each["try_number"], each["map_index"])
            log = "\n".join(f"  {line}" for line in "\n".join(lines[-15:]).splitlines())
            text += f"The end of its log:\n{log}\n"
    return text or f"Run {run_id} failed before any task did."


def errors(lines: list[str]) -> list[str]:
    """The last line of a task's log that names an exception, if any does."""
    return [text for line in lines for text in line.split("\n") if re.match(r"\w+: ", text)][-1:]
