"""Training in a process of its own, and what parent and child say to each other.

An Airflow task is a fork that must not initialise CUDA, and memory that training took goes back to the
system only with its process. What is said on standard output is in `include.core.child`.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from argparse import Namespace
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from include.core.artifacts import Artifact
from include.core.child import end_with, environment, error_report, read_report, report, reported_error, signal_name
from include.core.environment import REPOSITORY
from include.core.errors import TrainingInterrupted, VitrineError
from include.core.progress import Sink, Snapshot
from include.core.train_settings import TrainSettings
from include.training.question_pairs import Beside

log = logging.getLogger(__name__)

# OpenMP's threads spin while they wait for each other. With Airflow on the same two cores that made a step
# six times slower (8.2 s against 1.3 s at load 6): let them sleep. Read when torch is loaded, not later.
ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "true"}
SECONDS_TO_END = 10.0
STDERR_LINES = 20
ERROR_MARK = "vitrine error: "  # on standard error: what ended a training process that does not report


def train_in_subprocess(
    catalogue: Path,
    settings: TrainSettings,
    *,
    root: Path,
    beside: Beside = Beside(),
    nonce: str = "",
    sink: Sink | None = None,
) -> Artifact:
    """`train` in a child process that ends with this one; several where `settings.processes` says so.

    Raises:
        TrainingInterrupted: A signal ended the child; a retry resumes at its last checkpoint.
        VitrineError: Whatever `train` raises, of the same class.
        RuntimeError: The child failed in a way that nobody foresaw; holds its traceback.
    """
    command = [f"--root={root.resolve()}", f"--catalogue={catalogue.resolve()}"]
    command += [f"--settings={settings.model_dump_json()}", f"--nonce={nonce}"]
    command += [f"--{name}={path.resolve()}" for name, path in beside._asdict().items() if path is not None]
    return in_subprocess("include.training.train", command, sink)


def in_subprocess(program: str, arguments: Sequence[str], sink: Sink | None) -> Artifact:
    """Run a program of ours that trains and reports as `run_as_child` does, in a child process.

    Args:
        program: Its module.
        arguments: Its command line; `--parent` is added.
        sink: Receives its progress.

    Raises:
        As `train_in_subprocess`.
    """
    command = [sys.executable, "-m", program, *arguments, f"--parent={os.getpid()}"]
    child = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env={**ENVIRONMENT, **environment()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    log.info("training runs in process %d", child.pid)
    last_words: deque[str] = deque(maxlen=STDERR_LINES)
    reports = ChildReports(sink)
    listener = threading.Thread(target=_listen, args=(child.stderr, last_words, reports), daemon=True)
    listener.start()
    try:
        for line in child.stdout or ():
            reports.read(line)
        child.wait()
    finally:  # also when a signal handler or the sink raises
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        listener.join(SECONDS_TO_END)
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()
    return reports.outcome(child.returncode, list(last_words))


class ChildReports:
    """What the child has said so far.

    Args:
        sink: Receives its progress.
    """

    def __init__(self, sink: Sink | None) -> None:
        self._sink = sink
        self._last: Snapshot = {}
        self._end: dict[str, Any] | None = None
        self._other: dict[str, Any] | None = None

    def read(self, line: str) -> None:
        """Act on one line of the child's standard output."""
        self._end = read_report(line, self._keep) or self._end

    def read_error(self, line: str) -> None:
        """Act on the error of a process that does not report."""
        try:
            self._other = self._other or json.loads(line)
        except ValueError:  # another process wrote into the line
            log.warning("a training process left an unreadable error: %s", line.rstrip())

    def _keep(self, snapshot: Snapshot) -> None:
        """Pass progress on, and remember how far the training is."""
        if snapshot["unit"] == "steps":
            self._last = snapshot
        if self._sink is not None:
            self._sink(snapshot)

    def outcome(self, status: int, last_words: list[str]) -> Artifact:
        """The child's result, or the exception that stands for its failure.

        Args:
            status: That it ended with, as `subprocess` gives it.
            last_words: Lines of its standard error.
        """
        end = self._end
        if status == 0 and end is not None and end["type"] == "result":
            return Artifact.model_validate(end["artifact"])
        for said in (end, self._other):  # where another failed, the first one has crashed for want of it
            if said is not None and said["type"] == "error" and (error := reported_error(said)) is not None:
                raise error
        if status == -signal.SIGKILL:  # of several processes one is killed, and the others crash for want of it
            raise self._interrupted(status)
        if end is not None and end["type"] == "crash":
            raise RuntimeError(f"The training process failed:\n{end['traceback']}")
        if status < 0:
            raise self._interrupted(status)
        raise RuntimeError(f"The training process ended with status {status}, without a result:\n{''.join(last_words)}")

    def _interrupted(self, status: int) -> TrainingInterrupted:
        name = signal_name(status)
        where = f"after step {self._last['done']} of {self._last['total']}" if self._last else "before its first step"
        next_step = "Retry the task: it resumes at the last checkpoint."
        if -status == signal.SIGKILL:
            next_step += (
                " If nobody killed it, the machine probably ran out of memory: then lower batch_size or max_tokens "
                "(other settings start from the base model again)."
            )
        return TrainingInterrupted(f"The training process was ended by {name} {where}.", next_step)


def launch(count: int, given: Namespace, *, parent: int | None) -> int:
    """Run `include.training.train` in `count` processes, through torchrun; returns the exit status.

    They end with this process, and this one ends as the first of them that failed, or as one that was killed.

    Args:
        count: Processes, a GPU each.
        given: This program's own command line.
        parent: This process ends when the process with this id does.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    if parent is not None:
        end_with(parent)
    command = ["--standalone", f"--nproc-per-node={count}", "-m", "include.training.train", f"--parent={os.getpid()}"]
    for name, value in vars(given).items():
        if name != "parent" and value is not None:
            command.append(f"--{name}={json.dumps(value) if name == 'settings' else value}")
    try:
        torchrun(command)
    except ChildFailedError as error:
        status = error.get_first_failure()[1].exitcode
        if any(failure.exitcode == -signal.SIGKILL for failure in error.failures.values()):
            status = -signal.SIGKILL
        if status < 0:
            if status != -signal.SIGKILL:
                signal.signal(-status, signal.SIG_DFL)  # torchrun has handlers of its own
            signal.raise_signal(signal.Signals(-status))
        return status
    return 0


def run_as_child(work: Callable[[Sink | None], Artifact], *, parent: int | None) -> int:
    """Do `work`, reporting to standard output; returns the exit status.

    Of several processes only the first reports; what the others have to say goes to standard error.

    Args:
        work: Gets the sink that progress goes to; None where this process does not report.
        parent: This process ends when the process with this id does; None to outlive it.
    """
    if parent is not None:
        end_with(parent)
    if os.environ.get("RANK", "0") != "0":
        try:
            work(None)
        except VitrineError as error:
            print(ERROR_MARK + json.dumps({"type": "error", **error_report(error)}), file=sys.stderr, flush=True)
            return 1
        return 0

    return report(lambda sink: {"artifact": work(sink).model_dump(mode="json")})


def _listen(stream: IO[str], last_words: "deque[str]", reports: ChildReports) -> None:
    for line in stream:
        if line.startswith(ERROR_MARK):
            reports.read_error(line.removeprefix(ERROR_MARK))
            continue
        last_words.append(line)
        if line.strip():
            log.info("%s", line.rstrip())
