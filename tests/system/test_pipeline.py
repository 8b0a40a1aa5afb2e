"""The pipeline and the query path inside a real Airflow, over its REST API, as a user drives them."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.catalogue import PRODUCTS_FILE, read_rows
from include.index import open_store
from include.settings import IndexSettings
from tests.system.conftest import PIPELINE, Airflow

pytestmark = pytest.mark.airflow

FIRST = {"sample_seed": 11}
STAGES = ("download", "convert", "fine_tune", "evaluate", "verify")


@pytest.fixture(scope="module")
def first(airflow: Airflow) -> str:
    """The id of a first, undisturbed run, on a catalogue that no other test uses."""
    return airflow.run(FIRST)


def vectors(airflow: Airflow, run_id: str) -> dict[str, np.ndarray]:
    """Every point of the run's version as the store gives it back: uid -> vector."""
    store = open_store(IndexSettings(), root=airflow.data)
    version = airflow.xcom(run_id, "verify")
    shards = [part["upsert"] for part in mapped(airflow, run_id, "shard.upsert")]
    catalogue = Path(airflow.xcom(run_id, "convert")["path"])
    uids = [uid for table in read_rows(catalogue / PRODUCTS_FILE, ["uid"]) for uid in table.column("uid").to_pylist()]
    searcher = store.open(version["fingerprint"], shards)
    try:
        assert searcher.count() == len(uids), "every accepted uid is one point"
        return {uid: vector for uid, (vector, _) in searcher.fetch(uids).items()}
    finally:
        searcher.close()


def mapped(airflow: Airflow, run_id: str, task_id: str) -> list[Any]:
    indices = sorted(index for name, index in airflow.tasks(run_id) if name == task_id)
    return [airflow.xcom(run_id, task_id, index) for index in indices]


def test_a_run_builds_verifies_and_publishes(airflow: Airflow, first: str) -> None:
    """The main job."""
    states = {key: each["state"] for key, each in airflow.tasks(first).items()}
    assert set(states.values()) == {"success"}
    assert {("shard.embed", 0), ("shard.embed", 1)} <= set(states)
    counts = airflow.xcom(first, "convert")["stats"]["trn"]
    assert counts["read"] == counts["accepted"] + counts["rejected"] + counts["merged"]
    decision = airflow.xcom(first, "publish")
    assert decision["published"], decision
    assert open_store(IndexSettings(), root=airflow.data).live() == decision["version"]
    assert len(vectors(airflow, first)) == counts["accepted"]


def test_the_log_states_every_rows_fate(airflow: Airflow, first: str) -> None:
    """A user must see how many lines were set aside without opening a file."""
    log = "\n".join(airflow.client.log(PIPELINE, first, "convert", 1))
    counts = airflow.xcom(first, "convert")["stats"]["trn"]
    assert f"read {counts['read']:,}" in log
    assert f"accepted {counts['accepted']:,}" in log
    assert f"rejected {counts['rejected']:,}" in log


def test_long_tasks_leave_their_progress_in_the_state_store(airflow: Airflow, first: str) -> None:
    """Without it a task of six hours looks like one that hangs."""
    for task_id, index in (("convert", -1), ("fine_tune", -1), ("shard.embed", 0)):
        shot = airflow.client.progress(PIPELINE, first, task_id, index)
        assert shot["done"] > 0, task_id
        assert {"stage", "unit", "rate", "seconds_left"} <= set(shot)


def test_a_second_run_reuses_every_stage(airflow: Airflow, first: str) -> None:
    """A retry, a second trigger and a backfill of unchanged data must cost seconds."""
    second = airflow.run(FIRST)
    for name in STAGES:
        assert airflow.xcom(second, name)["reused"], name
        assert airflow.xcom(second, name)["fingerprint"] == airflow.xcom(first, name)["fingerprint"]
        assert "reused" in "\n".join(airflow.client.log(PIPELINE, second, name, 1)), name
    for part in mapped(airflow, second, "shard.upsert"):
        assert part["embedding"]["reused"]
        assert part["upsert"]["reused"]
    slow = {key: each["duration"] for key, each in airflow.tasks(second).items() if each["duration"] > 10.0}
    assert slow == {}


def test_an_older_logical_date_does_not_replace_the_live_index(airflow: Airflow, first: str) -> None:
    """A backfill of last year must not put last year's catalogue into the shop window."""
    live = open_store(IndexSettings(), root=airflow.data).live()
    old = airflow.run({"sample_seed": 8}, logical_date="2020-01-05T03:00:00Z")
    decision = airflow.xcom(old, "publish")
    assert not decision["published"]
    assert "2020-01-05" in decision["reason"]
    assert open_store(IndexSettings(), root=airflow.data).live() == live


def test_a_question_is_answered_over_http_with_sources(airflow: Airflow, first: str) -> None:
    """The result of the DAG is what a client of the REST API gets from /wait."""
    run_id = airflow.client.trigger("answer_question", {"question": "a kettle\na lamp", "threshold": 0.0, "top_k": 3})
    ended = airflow.client.wait("answer_question", run_id, timeout=120.0)
    assert ended["state"] == "success"
    (result,) = ended["results"].values()
    assert [each["question"] for each in result["answers"]] == ["a kettle", "a lamp"]
    for each in result["answers"]:
        assert each["found"]
        assert 1 <= len(each["sources"]) <= 3
        assert all({"uid", "title", "score", "snippet"} <= set(source) for source in each["sources"])


@pytest.mark.parametrize(
    ("task_id", "seed"), [("fine_tune", 101), ("shard.embed", 102), ("shard.upsert", 103)], ids=str
)
def test_a_killed_task_is_retried_and_the_result_is_that_of_an_undisturbed_run(
    airflow: Airflow, first: str, task_id: str, seed: int
) -> None:
    """The kernel's out-of-memory killer asks nobody; after it nothing may be lost, doubled or different."""
    conf = {"sample_seed": seed, "promote": "never", "shards": 1}
    run_id = airflow.client.trigger(PIPELINE, {**airflow.conf, **conf})
    key = (task_id, -1 if task_id == "fine_tune" else 0)
    pid = running_pid(airflow, run_id, key)
    os.kill(pid, signal.SIGKILL)
    airflow.succeed(run_id)
    assert airflow.tasks(run_id)[key]["try_number"] == 2, "the kill came while the task ran"

    disturbed = vectors(airflow, run_id)
    undisturbed = rebuilt(airflow, conf)
    assert disturbed.keys() == undisturbed.keys()
    for uid, vector in disturbed.items():
        np.testing.assert_array_equal(vector, undisturbed[uid])


def running_pid(airflow: Airflow, run_id: str, key: tuple[str, int]) -> int:
    """The process of a running task: for fine_tune the training process itself."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        task = airflow.tasks(run_id).get(key)
        assert task is None or task["state"] not in ("success", "failed"), f"{key} ended before it could be killed"
        if task is not None and task["state"] == "running" and task["pid"]:
            if key[0] != "fine_tune":
                return int(task["pid"])
            if (trainer := training_process(airflow.data)) is not None:
                return trainer
        time.sleep(0.02)
    raise AssertionError(f"{key} did not start")


def training_process(data: Path) -> int | None:
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"include.train" in words and any(str(data).encode() in word for word in words):
            return int(entry.parent.name)
    return None


def rebuilt(airflow: Airflow, conf: dict[str, Any]) -> dict[str, np.ndarray]:
    """The same run without Airflow and without a kill, in another data directory."""
    from datetime import UTC, datetime

    from include import stages
    from include.forms import pipeline_settings

    root = airflow.data.parent / f"undisturbed-{conf['sample_seed']}"
    settings = pipeline_settings({**airflow.conf, **conf})
    run = stages.Run(settings=settings, root=root, run_id="undisturbed", logical_date=datetime.now(UTC))
    catalogue = stages.convert(run, stages.download(run))
    model = stages.fine_tune(run, catalogue)
    loaded = [stages.upsert(run, stages.embed(run, part)) for part in stages.plan_shards(run, catalogue, model)]
    version = stages.verify(run, loaded)
    searcher = stages.open_store(run).open(version["fingerprint"], [part["upsert"] for part in loaded])
    try:
        rows = read_rows(Path(catalogue["path"]) / PRODUCTS_FILE, ["uid"])
        uids = [uid for table in rows for uid in table.column("uid").to_pylist()]
        assert searcher.count() == len(uids)
        return {uid: vector for uid, (vector, _) in searcher.fetch(uids).items()}
    finally:
        searcher.close()
