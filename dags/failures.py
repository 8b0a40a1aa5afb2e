"""What a task that fails leaves behind: its message in its log and state store, and a record for the run's report.

(Not a DAG file: see .airflowignore.)
"""

import logging
import sys
from collections.abc import Iterator, MutableSequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, cast

import structlog
from airflow.sdk import RetryAction, get_current_context
from airflow.sdk.exceptions import AirflowSkipException, AirflowTaskTimeout
from airflow.sdk.log import redact

from include.core import failure
from include.core.errors import VitrineError

log = logging.getLogger(__name__)

KEY = "failure"  # of the record, as an XCom (for the report) and in the task's state store (for people and programs)


@contextmanager
def failures_told() -> Iterator[None]:
    """Around a task's work: if it fails, its log ends in what, why and what next, and the record is kept.

    Airflow drops a task's XComs when its next try begins, so a record is always that of the last try; a process that is
    killed leaves none. Errors of ours show no frames: their messages say where.
    """
    context = get_current_context()
    _recall(context)
    try:
        yield
    except AirflowSkipException:
        raise
    except (Exception, AirflowTaskTimeout) as error:
        kept = _record(error, context)
        told = failure.told(kept, datetime.now(UTC))
        if not isinstance(error, VitrineError | AirflowTaskTimeout):
            log.exception("%s", told)  # the frames, between the message and the message
        _say_instead(error, told)
        _keep(context, kept)
        raise


def failures_of(task_ids: set[str], states: dict[str, str]) -> list[failure.Failure]:
    """The records of the failed ones among some tasks of the running task's run, in the order of the DAG.

    Args:
        task_ids: Whose.
        states: See `ending.task_states`.
    """
    context = get_current_context()
    run, ti = context["dag_run"], context["ti"]
    found = []
    for task_id in (each for each in context["dag"].task_ids if each in task_ids):
        for map_index in sorted(_failed(task_id, states)):
            kept = ti.xcom_pull(task_ids=task_id, key=KEY, map_indexes=map_index)
            address = failure.log_address(run.dag_id, run.run_id, task_id, map_index)
            found.append(kept or failure.silent(task_id, map_index, address))
    return found


def _failed(task_id: str, states: dict[str, str]) -> list[int]:
    """The failed instances of a task; -1 stands for that of a task that is not mapped."""
    mapped = [
        int(name.removeprefix(f"{task_id}_"))
        for name, state in states.items()
        if state == "failed" and name.startswith(f"{task_id}_") and name.removeprefix(f"{task_id}_").isdigit()
    ]
    return [-1] if states.get(task_id) == "failed" else mapped


def _record(error: BaseException, context: Any) -> failure.Failure:
    ti, task, run = context["ti"], context["task"], context["dag_run"]
    decision = task.retry_policy.evaluate(error, ti.try_number, ti.max_tries, context)
    again = decision.action is not RetryAction.FAIL and ti.try_number <= ti.max_tries
    retry_at = datetime.now(UTC) + (decision.retry_delay or task.retry_delay) if again else None
    kept = {
        **failure.record(error, timed_out=isinstance(error, AirflowTaskTimeout)),
        "task": ti.task_id,
        "map_index": ti.map_index if ti.map_index is not None else -1,
        "try_number": ti.try_number,
        "max_tries": ti.max_tries + 1,
        "retry_at": retry_at and retry_at.isoformat(timespec="seconds"),
        "log": failure.log_address(run.dag_id, run.run_id, ti.task_id, ti.map_index, ti.try_number),
    }
    # An unforeseen error may quote a secret, which only Airflow knows as one.
    return cast(failure.Failure, redact(kept))


def _keep(context: Any, kept: failure.Failure) -> None:
    """In the state store and as an XCom; a fault of either must not hide the failure itself."""
    store = context.get("task_state_store")
    try:
        if store is not None:
            store.set(KEY, kept)
        context["ti"].xcom_push(KEY, kept)
    except Exception as error:
        log.warning("the run's report will lack this message, since Airflow did not take it: %r", error)


def _recall(context: Any) -> None:
    """At the start of a retry: why there is one. What the try before left in the state store is then out of date."""
    store, number = context.get("task_state_store"), context["ti"].try_number
    if store is None or number <= 1:
        return
    kept = None
    try:
        kept = store.get(KEY)
        store.delete(KEY)
    except Exception as error:
        log.warning("what the try before left cannot be read: %r", error)
    before = f" Try {kept['try_number']} failed with {kept['class']}: {kept['what']}" if kept else ""
    log.info("Try %d of %d.%s", number, context["ti"].max_tries + 1, before)


def _say_instead(error: BaseException, told: str) -> None:
    """Let the task runner's "Task failed with exception" be `told`, without frames.

    The runner logs through structlog, whose loggers are made and cached by now, all with the one list of processors.
    """

    def replaced(_: Any, __: str, event: Any) -> Any:
        if event.get("exc_info") and sys.exc_info()[1] is error:
            del event["exc_info"]
            event["event"] = told
        return event

    processors = structlog.get_config()["processors"]
    if isinstance(processors, MutableSequence):
        processors.insert(0, replaced)
