"""dags/failures.py: which tasks failed, and what they left, mapped ones included."""

from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.airflow

RUN = "manual__2026-11-22T10:00:00+00:00"


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A running task's context, with the XComs that failed tasks have left."""
    from dags import failures

    kept = {("shard.embed", 10): {"task": "shard.embed", "what": "no room"}, ("convert", -1): {"task": "convert"}}
    context = {
        "dag_run": SimpleNamespace(dag_id="train_and_index", run_id=RUN),
        "dag": SimpleNamespace(task_ids=["convert", "shard.embed", "verify", "outcome"]),
        "ti": SimpleNamespace(
            xcom_pull=lambda task_ids, key, map_indexes: kept.get((task_ids, map_indexes)) if key == "failure" else None
        ),
    }
    monkeypatch.setattr(failures, "get_current_context", lambda: context)
    return context


def test_each_failed_instance_of_a_mapped_task_is_found(context: dict[str, Any]) -> None:
    """The states of mapped tasks come under names that are put together: `shard.embed_10`."""
    from dags.failures import failures_of

    states = {"shard.embed_2": "failed", "shard.embed_10": "failed", "shard.embed_3": "success", "verify": "skipped"}
    two, ten = failures_of({"convert", "shard.embed", "verify"}, states)
    assert ten == {"task": "shard.embed", "what": "no room"}
    assert (two["task"], two["map_index"], two["class"]) == ("shard.embed", 2, None), "killed: it left nothing"
    assert two["log"].endswith("/tasks/shard.embed/mapped/2")


def test_only_the_tasks_that_were_asked_for_count(context: dict[str, Any]) -> None:
    """The report runs beside `outcome`, whose failure is no reason but a consequence."""
    from dags.failures import failures_of

    states = {"convert": "failed", "outcome": "failed", "verify": "upstream_failed"}
    assert failures_of({"convert", "verify"}, states) == [{"task": "convert"}]
