"""Between Airflow and `include/`: params in, progress out.

Airflow-only code of all DAGs; the logic is in `include/stages.py`. (Not a DAG file: see .airflowignore.)
"""

import functools
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Param, get_current_context, task

from dags.connections import server_connection
from dags.failures import failures_told
from dags.retries import FIRST_DELAY, LONGEST_DELAY, RETRIES, RETRY_POLICY
from include.core.environment import ANSWER_QUEUE, data_directory
from include.core.forms import form_fields, pipeline_settings
from include.core.progress import Snapshot
from include.core.settings import Group
from include.core.space import no_space_explained

log = logging.getLogger(__name__)

ONE_QUESTION = 900  # seconds, as much as questions have ever had
# A pool and a queue of their own: what a person waits for does not stand in line behind the pipeline's hours.
QUESTIONS: dict[str, Any] = {"pool": "questions", "queue": ANSWER_QUEUE.value}


def form(*groups: type[Group], only: Iterable[str] | None = None, **instead: Any) -> dict[str, Param]:
    """The Trigger form's fields, from the settings' own titles, ranges and defaults; `instead` holds for all."""
    return {name: Param(**{**field, **instead}) for name, field in form_fields(groups, only).items()}


def stage(function: Callable[..., Any], *, hours: float, **options: Any) -> Any:
    """A task that calls `function(run, *inputs)` of `include.stages`, at most `hours` long."""

    @functools.wraps(function)
    def call(*inputs: Any) -> Any:  # no keywords: Airflow would pass the whole context in them
        with failures_told():
            run = current_run()
            with no_space_explained(run.root):
                return function(run, *inputs)

    del call.__wrapped__  # Airflow would bind the arguments to `function`, which has one more: the run
    call.__annotations__ = {}
    return task(**common(function, hours), **options)(call)


def task_for(function: Callable[..., Any], *, hours: float, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Makes a task that stands for `function` of `include.stages`, at most `hours` long, of what is decorated."""
    return lambda call: task(**common(function, hours), **options)(failures_told()(call))


def common(function: Callable[..., Any], hours: float) -> dict[str, Any]:
    """What all tasks share: name, documentation, retries, time limit."""
    return {
        "task_id": function.__name__,
        "doc_md": function.__doc__,
        "retries": RETRIES,
        "retry_policy": RETRY_POLICY,
        # Of a try whose process was killed, which asks no policy:
        "retry_delay": FIRST_DELAY,
        "retry_exponential_backoff": 2.0,  # a factor; True would be taken for 1, no backoff at all
        "max_retry_delay": LONGEST_DELAY,
        "execution_timeout": timedelta(hours=hours),
    }


def current_run() -> Any:
    """The `include.run.Run` of the running task."""
    from include.run import Run

    context = get_current_context()
    settings = pipeline_settings(dict(context["params"]))
    return Run(
        settings=settings,
        root=data_directory(),
        run_id=context["dag_run"].run_id,
        logical_date=logical_date(context["dag_run"]),
        server=server_connection() if settings.index.store == "server" else None,
        sink=progress_sink(),
    )


def logical_date(dag_run: Any) -> datetime:
    """The date that a run stands for; of a run without one, when it was to start."""
    found: datetime = dag_run.logical_date or dag_run.run_after or datetime.now(UTC)
    return found


def one_question() -> AbstractContextManager[object]:
    """The time limit of a question: in a task that may take a day for a file, one that hangs is stopped as before."""
    from airflow.sdk.execution_time.timeout import timeout

    limit: AbstractContextManager[object] = timeout(ONE_QUESTION, "Timeout of a question")
    return limit


def progress_sink() -> Callable[[Snapshot], None]:
    """A sink that keeps the latest progress where the UI and the REST API show it: the task's state store."""
    store = get_current_context().get("task_state_store")

    def write(snapshot: Snapshot) -> None:
        if store is None:
            return
        try:
            store.set("progress", snapshot)
        except Exception as error:
            log.warning("progress could not be stored: %r", error)

    return write
