"""dags/failures.py: which tasks failed, and what they left, mapped ones included."""

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest

from include.errors import BadSource, SourceUnreachable

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


class Store(dict[str, Any]):
    """A task's state store, as Airflow's behaves."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that fails a try of `download` with an error; returns its state store, its XComs and its log."""
    import structlog
    from airflow.sdk.log import configure_logging, reset_logging

    from dags import failures, stage_task

    def fail(
        error: BaseException, try_number: int = 1, store: Store | None = None
    ) -> tuple[Store, dict[str, Any], Any]:
        pushed: dict[str, Any] = {}
        ti = SimpleNamespace(
            task_id="download", map_index=-1, try_number=try_number, max_tries=4, xcom_push=pushed.__setitem__
        )
        task = SimpleNamespace(retry_policy=stage_task.RETRY_POLICY, retry_delay=stage_task.FIRST_DELAY)
        run = SimpleNamespace(dag_id="train_and_index", run_id=RUN)
        kept = Store() if store is None else store
        context = {"ti": ti, "task": task, "dag_run": run, "task_state_store": kept}
        monkeypatch.setattr(failures, "get_current_context", lambda: context)
        written = io.BytesIO()
        reset_logging()
        configure_logging.cache_clear()
        configure_logging(json_output=True, output=written, sending_to_supervisor=True)
        runner = structlog.get_logger(logger_name="task")
        runner.info("the runner's logger is made before the failure")
        try:
            with failures.failures_told():
                raise error
        except BaseException:
            runner.exception("Task failed with exception")
        return kept, pushed, [json.loads(line) for line in written.getvalue().splitlines()]

    yield fail
    structlog.reset_defaults()
    reset_logging()
    configure_logging.cache_clear()


def test_an_error_of_ours_is_told_once_without_frames(failing: Any) -> None:
    """Thirty frames of Airflow's say nothing about a wrong path."""
    store, pushed, log = failing(BadSource("There is no file /x.", "Give a path."))
    assert store["failure"] == pushed["failure"]
    assert (store["failure"]["class"], store["failure"]["retry_at"]) == ("BadSource", None)
    assert [each["event"].splitlines()[0] for each in log[1:]] == ["BadSource: There is no file /x."]
    assert "exception" not in log[-1]


def test_an_unforeseen_error_keeps_its_frames_between_its_message_and_its_message(failing: Any) -> None:
    """Whoever mends it needs the frames; whoever reads the log, the message at either end."""
    _, pushed, log = failing(ZeroDivisionError("division by zero"))
    assert pushed["failure"]["retry_at"] is not None
    first, last = log[1:]
    assert first["event"] == last["event"]
    assert "exception" in first and "exception" not in last


def test_a_retry_tells_of_the_try_before_and_forgets_it(failing: Any) -> None:
    """A task that succeeds in the end must not keep a failure in its state store."""
    store, _, _ = failing(SourceUnreachable("No answer."))
    assert store["failure"]["try_number"] == 1
    _, _, log = failing(KeyboardInterrupt(), try_number=2, store=store)  # as if killed: it leaves nothing
    assert log[1]["event"] == "Try 2 of 5. Try 1 failed with SourceUnreachable: No answer."
    assert "failure" not in store


def test_a_secret_that_airflow_knows_is_masked_in_what_is_kept(failing: Any) -> None:
    """The log is masked by Airflow; what goes into XComs and the state store is not."""
    from airflow.sdk.log import mask_secret

    mask_secret("hunter2-is-secret")
    store, pushed, log = failing(ValueError("cannot log in with hunter2-is-secret"))
    for place in (store, pushed, log[-1]["event"]):
        assert "hunter2-is-secret" not in str(place)


def test_the_last_try_says_that_it_was_the_last(failing: Any) -> None:
    """Nobody should wait for a try that never comes."""
    store, _, log = failing(SourceUnreachable("No answer."), try_number=5)
    assert store["failure"]["retry_at"] is None
    assert log[-1]["event"].endswith("Try 5 of 5: there is no further one.")
