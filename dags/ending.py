"""The three tasks that end a run, whatever became of it: pruning, its report, and its state.

They are teardowns in Airflow's sense: they run after a failure too, and in a run that was marked as failed.
A failure of `prune` or `report` changes nothing; that of `outcome` is the run's, so a run is green exactly if publish
has succeeded.
(Not a DAG file: see .airflowignore.)
"""

import logging
from collections.abc import Mapping
from typing import Any

from airflow.sdk import get_current_context

from dags.failures import failures_of
from dags.stage_task import current_run, logical_date, task_for
from include import stages
from include.core.environment import data_directory
from include.core.errors import BadSettings

log = logging.getLogger(__name__)


def prune() -> Any:
    """The task `prune`, by the run's own settings; where those are refused, it leaves pruning to the next run."""

    @task_for(stages.prune, hours=1)
    def prune() -> Any:
        try:
            run = current_run()
        except BadSettings as refused:
            log.info("nothing is pruned: %s", refused)
            return None
        return stages.prune(run)

    return prune().as_teardown()


def report(results: Mapping[str, Any]) -> Any:
    """The task `report`, of what the tasks returned; it needs no settings, so it also tells of refused ones."""

    @task_for(stages.report, hours=1)
    def report(results: Any) -> Any:
        dag_run, states = get_current_context()["dag_run"], task_states()
        before = get_current_context()["task"].get_flat_relative_ids(upstream=True) - set(stages.AFTER_ALL)
        # What a task returned that has not succeeded is an earlier attempt's.
        kept = {name: value for name, value in results.items() if states.get(name, "success") == "success"}
        # No task of ours skips another: where one was skipped, a person or a program has ended the run.
        stopped = states.get("publish") != "success" and "skipped" in states.values()
        facts = {**kept, "failed": failures_of(before, states), "stopped": stopped}
        if unpruned := failures_of({"prune"}, states):
            facts["unpruned"] = unpruned
        date = logical_date(dag_run).isoformat()
        return stages.report(facts, root=data_directory(), run_id=dag_run.run_id, logical_date=date)

    return report(results).as_teardown()


def outcome() -> Any:
    """The task `outcome`, which the run's state follows."""

    @task_for(stages.outcome, hours=1)
    def outcome() -> None:
        stages.outcome(task_states())

    return outcome().as_teardown(on_failure_fail_dagrun=True)


def task_states() -> dict[str, str]:
    """The states of the running task's run by task, an instance of a mapped one as `name_index`."""
    context = get_current_context()
    run = context["dag_run"]
    states = context["ti"].get_task_states(dag_id=run.dag_id, run_ids=[run.run_id])
    return {name: str(state) for name, state in states.get(run.run_id, {}).items()}
