"""Training killed for real: the retry ends with the same bits, and no orphan trains on."""

import json
import logging
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from include.core.errors import TrainingInterrupted
from include.core.files import lock
from include.core.train_settings import TrainSettings
from include.training.train import train, train_in_subprocess
from tests.faults.training_victims import die_in_checkpoint, keep_subprocess, processes, train_and_tell
from tests.small import products, write_catalogue

pytestmark = pytest.mark.timeout(400)

STEPS = 8


def settings(base: Path, **changes: Any) -> TrainSettings:
    values = {
        "base_model": str(base),
        "batch_size": 8,
        "max_tokens": 32,
        "holdout": 10,
        "precision": "float32",
        "learning_rate": 1e-3,
        "epochs": 2,
        "max_steps": STEPS,
        "checkpoint_steps": 2,
        **changes,
    }
    return TrainSettings(**values)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """The model directory of a run that nothing interrupted."""
    root = tmp_path_factory.mktemp("undisturbed")
    return train(write_catalogue(root, products(60)), settings(tiny_base), root=root).path


def same_bits(one: Path, other: Path) -> bool:
    first, second = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def losses(model: Path) -> list[tuple[int, float]]:
    return [(each["step"], each["loss"]) for each in json.loads((model / "history.json").read_text())["steps"]]


@contextmanager
def running(target: Callable[..., None], *arguments: Any) -> Iterator[tuple[ForkServerProcess, Connection]]:
    """A process, and what it sends; it has ended afterwards, one way or the other."""
    ours, theirs = processes.Pipe(duplex=False)
    process = processes.Process(target=target, args=(*arguments, theirs))
    process.start()
    theirs.close()
    try:
        yield process, ours
    finally:
        process.join(30)
        process.kill()
        process.join()
        ours.close()


def kill_at(process: ForkServerProcess, pipe: Connection, step: int) -> None:
    """SIGKILL as soon as the process says that this step is done."""
    while (said := pipe.recv())["unit"] != "steps" or said["done"] < step:
        pass
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie that nobody has collected has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until_gone(pid: int, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not gone(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs {seconds} s after its parent's end"
        time.sleep(0.02)


@pytest.mark.parametrize("step", [1, 5, STEPS])
def test_killed_at_a_step_the_retry_ends_with_the_same_bits(
    catalogue: Path, root: Path, tiny_base: Path, undisturbed: Path, step: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Before the first checkpoint, between two, and after the last step: nothing may be lost or done twice."""
    chosen = settings(tiny_base)
    with running(train_and_tell, catalogue, chosen, root) as (process, pipe):
        kill_at(process, pipe, step)
    assert not list(root.glob("model/[!.]*")), "a killed attempt publishes nothing"
    saved = {path.name for path in root.glob("model/.scratch-*/step-*.checkpoint")}
    if step > 1:
        assert f"step-{step // 2 * 2:010d}.checkpoint" in saved
    caplog.set_level(logging.INFO)
    made = train(catalogue, chosen, root=root)
    assert ("resuming after step" in caplog.text) == bool(saved), "from the start would give the same bits, too late"
    assert same_bits(made.path, undisturbed)
    assert losses(made.path) == losses(undisturbed)
    assert not list(root.glob("model/.tmp-*"))
    assert not list(root.glob("model/.scratch-*"))


@pytest.mark.parametrize("moment", ["half written", "before the rename", "after the rename"])
def test_killed_inside_a_checkpoint_write_the_retry_ends_with_the_same_bits(
    catalogue: Path, root: Path, tiny_base: Path, undisturbed: Path, moment: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A half-written checkpoint taken for a whole one would go on from noise."""
    chosen = settings(tiny_base)
    process = processes.Process(target=die_in_checkpoint, args=(catalogue, chosen, root, moment))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    scratch = next(root.glob("model/.scratch-*"))
    whole = ["step-0000000002.checkpoint"] + ["step-0000000004.checkpoint"] * (moment == "after the rename")
    assert sorted(path.name for path in scratch.glob("step-*")) == whole
    assert len(list(scratch.glob(".step-0000000004*.part"))) == (moment != "after the rename")
    caplog.set_level(logging.INFO)
    made = train(catalogue, chosen, root=root)
    assert f"resuming after step {2 * len(whole)}," in caplog.text
    assert same_bits(made.path, undisturbed)
    assert losses(made.path) == losses(undisturbed)


def test_a_damaged_last_checkpoint_costs_steps_but_no_bits(
    catalogue: Path, root: Path, tiny_base: Path, undisturbed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk that filled or a machine that lost power leaves such files."""
    chosen = settings(tiny_base)
    with running(train_and_tell, catalogue, chosen, root) as (process, pipe):
        kill_at(process, pipe, 6)
    last = sorted(root.glob("model/.scratch-*/step-*.checkpoint"))[-1]
    os.truncate(last, last.stat().st_size // 2)
    made = train(catalogue, chosen, root=root)
    assert last.name in caplog.text
    assert same_bits(made.path, undisturbed)


def test_a_killed_subprocess_is_transient_and_the_retry_ends_with_the_same_bits(
    catalogue: Path, root: Path, tiny_base: Path, undisturbed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Airflow retries only what is Transient; and the user should hear of memory, the usual cause."""
    chosen = settings(tiny_base)
    killed: list[int] = []

    def kill(snapshot: dict[str, Any]) -> None:
        if snapshot["unit"] == "steps" and snapshot["done"] >= 1 and not killed:
            found = re.search(r"training runs in process (\d+)", caplog.text)
            assert found is not None
            killed.append(int(found[1]))
            os.kill(killed[0], signal.SIGKILL)

    caplog.set_level(logging.INFO)
    with pytest.raises(TrainingInterrupted) as failure:
        train_in_subprocess(catalogue, chosen, root=root, sink=kill)
    assert "SIGKILL" in str(failure.value)
    assert f"of {STEPS}" in str(failure.value)
    assert "batch_size" in failure.value.next_step
    made = train_in_subprocess(catalogue, chosen, root=root)
    assert same_bits(made.path, undisturbed)


def long(base: Path) -> TrainSettings:
    """Two processes, and steps enough for several seconds: progress is told once a second."""
    return settings(base, processes=2, epochs=16, max_steps=0)


@pytest.fixture(scope="module")
def two_undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """The model directory of a run of two processes that nothing interrupted."""
    root = tmp_path_factory.mktemp("two-undisturbed")
    return train_in_subprocess(write_catalogue(root, products(60)), long(tiny_base), root=root).path


def descendants(pid: int) -> list[int]:
    """Processes that this one started, and those that they started."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return children + [found for child in children for found in descendants(child)]


def rank_of(pid: int) -> str:
    """Of a training process among several; empty for any other."""
    variables = dict(each.partition("=")[::2] for each in Path(f"/proc/{pid}/environ").read_text().split("\0"))
    return variables.get("RANK", "")


def test_one_of_two_training_processes_killed_ends_both_and_the_retry_ends_with_the_same_bits(
    catalogue: Path, root: Path, tiny_base: Path, two_undisturbed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The one that is left would wait for the dead one for half an hour, on a GPU that nobody else gets.

    The first try loses one of them, the second try the other.
    """
    all_of_them: list[int] = []

    def kill(rank: str, snapshot: dict[str, Any]) -> None:
        if snapshot["unit"] == "steps" and snapshot["done"] >= 2 and not all_of_them:
            found = re.search(r"training runs in process (\d+)", caplog.text)
            assert found is not None
            all_of_them.extend([int(found[1]), *descendants(int(found[1]))])
            (victim,) = (pid for pid in all_of_them if rank_of(pid) == rank)
            os.kill(victim, signal.SIGKILL)

    caplog.set_level(logging.INFO)
    for rank in ("0", "1"):
        with pytest.raises(TrainingInterrupted) as failure:
            train_in_subprocess(catalogue, long(tiny_base), root=root, sink=partial(kill, rank))
        assert "SIGKILL" in str(failure.value)
        for pid in all_of_them:
            wait_until_gone(pid)
        assert not list(root.glob("model/[!.]*"))
        all_of_them.clear()
        caplog.clear()
    made = train_in_subprocess(catalogue, long(tiny_base), root=root)
    resumed = re.search(r"resuming after step (\d+)", caplog.text)
    assert resumed is not None
    assert int(resumed[1]) < made.stats["steps"]
    assert same_bits(made.path, two_undisturbed)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_subprocess_ends_with_its_parent(catalogue: Path, root: Path, tiny_base: Path, how: signal.Signals) -> None:
    """An orphan would train on beside the retry, on the same GPU, and hold the lock for hours."""
    chosen = settings(tiny_base, epochs=100, max_steps=0)
    trainer = 0
    with running(keep_subprocess, catalogue, chosen, root) as (process, pipe):
        while not isinstance(said := pipe.recv(), dict) or said["unit"] != "steps" or said["done"] < 1:
            if isinstance(said, str) and (found := re.search(r"training runs in process (\d+)", said)):
                trainer = int(found[1])
        assert trainer
        assert not gone(trainer)
        assert process.pid is not None
        os.kill(process.pid, how)
        wait_until_gone(trainer)
    with lock(next(root.glob("model/.*.lock")), timeout=5):
        assert not list(root.glob("model/[!.]*"))
