"""A question through Airflow beside the floor: from trigger to result over REST, against a DAG that returns a constant.

Both are asked in turn in one Airflow, the one of `make up`, over the sample of 3,000 products (trained for one step,
which changes no time). With `--data` the data directory is kept for the next call. The parts of a question are those
that the task instance and the answer themselves tell: before its task starts, in the task, and of that, answering.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks._airflow import airflow
from benchmarks._compare import Measure, alternate, figure, table
from benchmarks.answers import built
from include.core.index_settings import IndexSettings
from include.local.client import AirflowClient
from include.sample.products import QUESTIONS
from include.store.stores import open_store

TARGET = 1.4
# The scheduler looks every 0.3 s, and a run waits for two looks at least: without a pause drawn by lot, each run would
# begin at about the same time after the last look.
PAUSE = 1.0
FLOOR = """
from airflow.sdk import dag, result, task

@dag(schedule=None, is_paused_upon_creation=False)
def floor() -> None:
    result(task(lambda: 1, task_id="constant"))()

floor()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON line a figure")
    parser.add_argument("--rounds", type=int, default=20, help="of each, in turn")
    parser.add_argument("--data", type=Path, help="a data directory to keep; a temporary one where it is not given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = (options.data or Path(folder) / "data").resolve()
        if open_store(IndexSettings(), root=root).live() is None:
            built("sample", root, {"max_steps": 1, "tolerance": 1.0})
        (dags := Path(folder) / "dags").mkdir()
        (dags / "floor.py").write_text(FLOOR, encoding="utf-8")
        with airflow(Path(folder) / "home", root, dags) as client:
            wait_for(client, "floor")
            texts = cycle(QUESTIONS)
            systems: dict[str, Measure] = {
                "a constant": lambda: run(client, "floor", {}),
                "a question": lambda: run(client, "answer_question", {"question": next(texts)}),
            }
            for measure in systems.values():  # the first ones read modules and the index from the disk
                measure()
            medians = alternate(systems, options.rounds)
    if not options.json:
        table(medians, f"trigger to result, medians of {options.rounds}")
    ratio = medians["a question"]["s"] / medians["a constant"]["s"]
    figure("a question to a constant", ratio, "times", TARGET, least=False, as_json=options.json)


def wait_for(client: AirflowClient, dag_id: str) -> None:
    """Until Airflow has parsed a DAG."""
    while not client.send("GET", f"/api/v2/dags/{dag_id}").is_success:
        time.sleep(0.5)


def run(client: AirflowClient, dag_id: str, conf: Mapping[str, Any]) -> dict[str, float]:
    """Trigger a DAG and wait for its result: seconds, in all and by part."""
    time.sleep(random.uniform(0, PAUSE))
    began = time.time()
    run_id = client.trigger(dag_id, conf)
    ended = client.wait(dag_id, run_id)
    seconds = time.time() - began
    assert ended["state"] == "success", ended
    (task,) = client.task_instances(dag_id, run_id)
    (result,) = ended["results"].values()
    start = datetime.fromisoformat(task["start_date"]).timestamp()
    answering = result["seconds"] if isinstance(result, dict) else 0.0
    return {"s": seconds, "before the task": start - began, "in the task": task["duration"], "answering": answering}


if __name__ == "__main__":
    main()
