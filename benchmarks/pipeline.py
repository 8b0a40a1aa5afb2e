"""The pipeline through a real Airflow over growing catalogues: time, memory and growth of each stage.

The Airflow is the one of `make up`, the catalogue the synthetic sample, the encoder one of a few kilobytes, trained for
50 steps: what is left is what every run has, reading, writing and Airflow.

A stage's work is the time between the two notes that it leaves in the run's ledger. Airflow's share is the run's time
less the longest chain of work, of stages none of which overlap. Memory is a task's process with its children's
(proportional set size, sampled), growth the slope of a stage's work over the products, both as logarithms, between the
two largest sizes, where a stage takes a second or more.

`--ready` does the work before without Airflow, so that the run through it finds everything done: with `--shards 64
--products 8000`, whether many mapped tasks work, and how long they take, in minutes.
"""

import argparse
import json
import math
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks._airflow import airflow
from benchmarks._compare import figure, machine
from benchmarks.answers import built
from benchmarks.convert import tree_memory
from include.core import ledger
from include.local.client import AirflowClient
from include.local.processes import words
from include.local.watch import PIPELINE, failure
from tests.small import write_tiny_base

SHARE, MEMORY, SLOPE = 0.10, 2048.0, 1.1  # the targets: of 1, MiB, of the logarithms
TITLE = "airflow worker -- "  # as Airflow calls a task's process, with the task instance's id
EVERY = 1.0  # seconds: a look is work too, on the cores that are measured


class Stage(NamedTuple):
    """What a stage took in one run, all its shards together.

    Attributes:
        tasks: How many there were.
        work: Seconds of its own work.
        held: Seconds of its task instances.
        peak: The most memory of one of them, MiB.
    """

    tasks: int
    work: float
    held: float
    peak: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON line a figure")
    parser.add_argument("--products", type=int, nargs="+", default=[3_000, 30_000, 300_000])
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--ready", action="store_true", help="do the work before, without Airflow")
    parser.add_argument("--set", type=json.loads, default={}, help="further settings of the run, as a JSON object")
    parser.add_argument("--data", type=Path, help="a data directory to keep; a temporary one where it is not given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = (options.data or Path(folder) / "data").resolve()
        base = write_tiny_base(Path(folder) / "tiny")
        confs = {count: settings(count, options.shards, base) | options.set for count in sorted(options.products)}
        for conf in confs.values() if options.ready else ():
            built("sample", root, conf)
        with airflow(Path(folder) / "home", root) as client:
            found = {}
            for count, conf in confs.items():
                found[count] = measured(client, root, conf, options)
    growth(found, as_json=options.json)


def settings(products: int, shards: int, base: Path) -> dict[str, Any]:
    """What a run is triggered with."""
    return {
        "source": "sample",
        "preset": "balanced",
        "sample_products": products,
        "collection": f"of-{products}",  # so that no run has a live version to be compared with
        "base_model": str(base),
        "max_steps": 50,
        "shards": shards,
        "row_group_rows": min(10_000, max(100, products // shards // 4)),
        "tolerance": 1.0,  # a random model of 32 dimensions is no better than another
        "min_recall": 0.0,
    }


def measured(client: AirflowClient, root: Path, conf: Mapping[str, Any], options: Any) -> dict[str, Stage]:
    """Run the pipeline once and report; what each stage took, by name."""
    with memory() as peaks:
        run_id = client.trigger(PIPELINE, conf)
        state = client.wait(PIPELINE, run_id, timeout=7200.0)["state"]
    if state != "success":
        raise SystemExit(failure(client, PIPELINE, run_id))
    run = client.get(f"/dags/{PIPELINE}/dagRuns/{run_id}")
    wall = seconds(run["queued_at"], run["end_date"])
    (record,) = [each for each in ledger.records(root) if each.run_id == run_id]
    works = [(each.began.timestamp(), each.ended.timestamp()) for each in record.work.values() if each.ended]
    chain = longest_chain(works)
    stages: dict[str, list[Stage]] = defaultdict(list)
    for task in client.task_instances(PIPELINE, run_id):
        name = task["task_id"].removeprefix("shard.")
        noted = record.work.get(name if task["map_index"] < 0 else f"{name} {task['map_index']}")
        work = (noted.ended - noted.began).total_seconds() if noted and noted.ended else 0.0
        stages[name].append(Stage(1, work, task["duration"], peaks.get(task["id"], 0.0)))
    summed = {name: total(each) for name, each in stages.items()}
    count = f"{conf['sample_products']:,} products"
    if not options.json:
        print(f"\n{count}, {conf['shards']} shards\n{machine()}")
        print(f"{'':<18}{'tasks':>8}{'work, s':>10}{'in Airflow, s':>15}{'most memory, MiB':>18}")
        for name, each in summed.items():
            print(f"{name:<18}{each.tasks:>8}{each.work:>10.2f}{each.held:>15.2f}{each.peak:>18.0f}")
        print(f"{wall:.1f} s in all, the longest chain of work {chain:.1f} s")
    figure(f"{count}, trigger to the run's end", wall, "s", None, least=False, as_json=options.json)
    goal = SHARE if conf["sample_products"] >= 300_000 else None
    figure(f"{count}, Airflow's share", (wall - chain) / wall, "of 1", goal, least=False, as_json=options.json)
    name = max(summed, key=lambda each: summed[each].peak)
    title = f"{count}, most memory of a task, {name}"
    figure(title, summed[name].peak, "MiB", MEMORY, least=False, as_json=options.json)
    return summed


def total(stages: Sequence[Stage]) -> Stage:
    """A stage's shards together."""
    tasks, work, held, peak = zip(*stages, strict=True)
    return Stage(sum(tasks), sum(work), sum(held), max(peak))


def seconds(began: str, ended: str) -> float:
    """Between two times of the REST API."""
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()


def longest_chain(works: Sequence[tuple[float, float]]) -> float:
    """The most seconds that intervals add up to of which none overlap."""
    best: list[tuple[float, float]] = [(-math.inf, 0.0)]  # by end: the most until then
    for began, ended in sorted(works, key=lambda each: each[1]):
        before = max(most for end, most in best if end <= began)
        best.append((ended, max(best[-1][1], before + ended - began)))
    return best[-1][1]


@contextmanager
def memory() -> Iterator[dict[str, float]]:
    """By the id of each task instance that runs meanwhile, the most MiB of its process and its children."""
    peaks: dict[str, float] = defaultdict(float)
    over = threading.Event()

    def look() -> None:
        while not over.wait(EVERY):
            for entry in Path("/proc").glob("[0-9]*"):
                title = " ".join(words(int(entry.name))).strip()
                if title.startswith(TITLE):
                    task = title.removeprefix(TITLE)
                    peaks[task] = max(peaks[task], tree_memory(int(entry.name)) / 2**20)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        over.set()
        thread.join()


def growth(found: Mapping[int, Mapping[str, Stage]], *, as_json: bool) -> None:
    """Report how each stage's work grows between the two largest sizes."""
    if len(found) < 2:
        return
    small, large = sorted(found)[-2:]
    for name, each in found[large].items():
        before = found[small][name].work
        if before > 0 and each.work >= 1.0:
            slope = math.log(each.work / before) / math.log(large / small)
            figure(f"{name}, growth", slope, "slope", SLOPE, least=False, as_json=as_json)


if __name__ == "__main__":
    main()
