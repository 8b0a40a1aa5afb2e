"""dags/failures.py: which tasks failed, and what they left, mapped ones included."""

import base64
import html
import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from include.core.errors import BadSource, SourceUnreachable, Terminal
from include.core.index_settings import IndexSettings
from tests.store.stub_server import stub_server

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection"),
]

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

    from dags import failures, retries

    def fail(
        error: BaseException, try_number: int = 1, store: Store | None = None
    ) -> tuple[Store, dict[str, Any], Any]:
        pushed: dict[str, Any] = {}
        ti = SimpleNamespace(
            task_id="download", map_index=-1, try_number=try_number, max_tries=4, xcom_push=pushed.__setitem__
        )
        task = SimpleNamespace(retry_policy=retries.RETRY_POLICY, retry_delay=retries.FIRST_DELAY)
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


QUOTED = {  # what a foreign text may quote of a connection, by who knows it: Airflow, our redaction, or both
    "the key as typed": "sk-made-up\n",
    "the key as sent": "sk-made-up",
    "the password": "hunter@2/x",
    "the password, percent-encoded": "hunter%402%2Fx",
    "the password as the client writes it": "hunter%402/x",
    "the Basic header": base64.b64encode(b"me:hunter@2/x").decode(),
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Qdrant server that refuses everything and quotes what it was sent, behind a connection full of secrets."""
    from airflow.sdk._shared.secrets_masker import reset_secrets_masker

    from dags import connections
    from include.store.server import ServerStore

    def reply(request: Any) -> tuple[int, Any]:
        sent = [request.headers["api-key"], request.headers["authorization"], *QUOTED.values()]
        return 400, {"status": {"error": " ".join(sent)}}

    reset_secrets_masker()
    with stub_server(reply) as stub:
        fields = {"conn_type": "qdrant", "host": stub.url.replace("//", "//me:hunter%402%2Fx@")}
        monkeypatch.setenv("AIRFLOW_CONN_QDRANT_DEFAULT", json.dumps({**fields, "password": "sk-made-up\n"}))
        yield ServerStore(IndexSettings(store="server"), connections.server_connection(), backoff=0.0)
    reset_secrets_masker()


def as_seen(root: Path, store: Store, pushed: dict[str, Any], log: Any) -> dict[str, str]:
    """What of a failed try people see, by where they look. The log's lines pass Airflow's masker in the supervisor."""
    from airflow.sdk.log import redact

    from include.report.report import report

    page = report({"failed": [pushed["failure"]]}, root=root, run_id=RUN, logical_date=None).path / "report.html"
    lines = "\n".join(str(redact(json.dumps(each))) for each in log)
    return {
        "state store": json.dumps(store),
        "XCom": json.dumps(pushed),
        "report": html.unescape(page.read_text(encoding="utf-8")),
        "log": lines,
    }


def assert_unseen(seen: dict[str, str]) -> None:
    for place, text in seen.items():
        assert "***" in text, f"{place} does not hold the message"
        for what, part in {**QUOTED, "a part": "hunter", "another": "made-up"}.items():
            assert part not in text, f"{what} is shown in the {place}: {text}"


def test_what_a_server_quotes_of_a_connection_is_shown_nowhere(failing: Any, server: Any, root: Path) -> None:
    """Danger: the server's words go into the message, and from there to everyone who may read a run."""
    with pytest.raises(Terminal) as caught:
        server.versions()
    store, pushed, log = failing(caught.value)
    assert "***" in str(caught.value) and "hunter" not in str(caught.value), "ours is clean before any masker"
    assert_unseen(as_seen(root, store, pushed, log))


@pytest.mark.parametrize("what", QUOTED)
def test_an_unforeseen_error_that_quotes_a_connection_is_shown_without_it(
    failing: Any, server: Any, root: Path, what: str
) -> None:
    """Danger: the masker knows the password as typed, and a library's error quotes it as it was sent."""
    try:
        raise RuntimeError(f"a library's own words: {QUOTED[what]}!")
    except RuntimeError as error:
        store, pushed, log = failing(error)
    assert store["failure"]["class"] == "RuntimeError"
    assert any("exception" in each for each in log), "the frames are there, and clean"
    assert_unseen(as_seen(root, store, pushed, log))
