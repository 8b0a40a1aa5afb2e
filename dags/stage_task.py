"""Between Airflow and `include/`: params in, progress out, retries by error class.

Airflow-only code of all DAGs; the logic is in `include/stages.py`. (Not a DAG file: see .airflowignore.)
"""

import functools
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import (
    ExceptionRetryPolicy,
    Param,
    RetryAction,
    RetryRule,
    get_current_context,
    task,
)

from dags.connections import server_connection
from include.forms import form_fields, pipeline_settings
from include.progress import Snapshot
from include.settings import Group, data_directory
from include.space import no_space_explained

log = logging.getLogger(__name__)

# Terminal errors end the task at the first try. A used-up Drive quota comes back within 24 hours, so its four
# retries are spread over a day; all other errors follow the task's own delay, doubled each time.
RETRIES = 4
RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(exception="include.errors.Terminal", action=RetryAction.FAIL),
        RetryRule(exception="include.errors.QuotaExceeded", retry_delay=timedelta(hours=6)),
        RetryRule(exception="include.errors.StorageFull", retry_delay=timedelta(minutes=10)),
        RetryRule(exception="include.errors.Transient", action=RetryAction.RETRY),
    ]
)


def form(*groups: type[Group], only: Iterable[str] | None = None) -> dict[str, Param]:
    """The Trigger form's fields, from the settings' own titles, ranges and defaults."""
    return {name: Param(**field) for name, field in form_fields(groups, only).items()}


def stage(function: Callable[..., Any], *, hours: float, **options: Any) -> Any:
    """A task that calls `function(run, *inputs)` of `include.stages`, at most `hours` long."""

    @functools.wraps(function)
    def call(*inputs: Any) -> Any:  # no keywords: Airflow would pass the whole context in them
        run = current_run()
        with no_space_explained(run.root):
            return function(run, *inputs)

    del call.__wrapped__  # Airflow would bind the arguments to `function`, which has one more: the run
    call.__annotations__ = {}
    return task(**common(function, hours), **options)(call)


def common(function: Callable[..., Any], hours: float) -> dict[str, Any]:
    """What all tasks share: name, documentation, retries, time limit."""
    return {
        "task_id": function.__name__,
        "doc_md": function.__doc__,
        "retries": RETRIES,
        "retry_delay": timedelta(seconds=15),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=15),
        "retry_policy": RETRY_POLICY,
        "execution_timeout": timedelta(hours=hours),
    }


def current_run() -> Any:
    """The `include.stages.Run` of the running task."""
    from include.stages import Run

    context = get_current_context()
    dag_run = context["dag_run"]
    settings = pipeline_settings(dict(context["params"]))
    return Run(
        settings=settings,
        root=data_directory(),
        run_id=dag_run.run_id,
        logical_date=dag_run.logical_date or dag_run.run_after or datetime.now(UTC),
        server=server_connection() if settings.index.store == "server" else None,
        sink=progress_sink(),
    )


def failed_tasks() -> list[str]:
    """The tasks of the running task's run that have failed, an instance of a mapped one as `name_index`."""
    context = get_current_context()
    run = context["dag_run"]
    states = context["ti"].get_task_states(dag_id=run.dag_id, run_ids=[run.run_id])
    return sorted(name for name, state in states.get(run.run_id, {}).items() if state == "failed")


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
