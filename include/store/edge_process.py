"""Builds an Edge shard in a process of its own: `python -m include.store.edge_process DIRECTORY PARENT`.

The engine writes through memory maps. Where the disk is full, such a write is no error but the signal SIGBUS, which
ends the process: here it ends this one, and the parent tells what happened. The engine's memory goes back, too.

The job comes on standard input, then its points, batch by batch; what is said on standard output is in
`include.core.child`.
"""

import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import IO, Any

from include.core.child import end_with, environment, read_report, report, reported_error, signal_name
from include.core.environment import REPOSITORY
from include.core.errors import StorageFull, StoreUnavailable
from include.core.progress import Sink
from include.core.space import NEXT_STEP, full, no_space_explained
from include.store.edge_shard import Job, build
from include.store.protocol import PointBatch

SIZE = struct.Struct("<Q")  # of the pickled job or batch that follows; 0 says that all have come


def build_apart(job: Job, batches: Iterable[PointBatch], sink: Sink | None) -> dict[str, Any]:
    """`include.store.edge_shard.build` in a child process that ends with this one.

    Raises:
        StorageFull: The disk has no room for the shard.
        StoreUnavailable: A signal ended the child.
        VitrineError: Whatever `build` raises, of the same class.
        RuntimeError: It failed in a way that nobody foresaw; holds its traceback.
        Exception: Whatever `batches` raises.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", "include.store.edge_process", str(job.directory.resolve()), str(os.getpid())],
        cwd=REPOSITORY,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    feeder = _Feeder(child.stdin, job, batches)
    end: dict[str, Any] = {}
    feeder.start()
    try:
        for line in child.stdout or ():
            end = read_report(line, sink) or end
        child.wait()
        feeder.join()
    finally:  # also when a signal handler or the sink raises
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # what was on its way to it
                    pipe.close()
    if feeder.failure is not None:
        raise feeder.failure
    return _outcome(child.returncode, end, job.directory, job.shard)


def _outcome(status: int, end: dict[str, Any], directory: Path, shard: int) -> dict[str, Any]:
    if end.get("type") == "result":
        stats: dict[str, Any] = end["stats"]
        return stats
    if end.get("type") == "error" and (error := reported_error(end)) is not None:
        raise error
    if end.get("type") == "crash":
        raise RuntimeError(f"The process that builds shard {shard} failed:\n{end['traceback']}")
    if status == -signal.SIGBUS:
        reason = "SIGBUS ended the process that builds the shard: no room for a page of a mapped file"
        raise StorageFull(full(directory, reason=reason), NEXT_STEP)
    if status < 0:
        raise StoreUnavailable(
            f"The process that builds shard {shard} was ended by {signal_name(status)}.",
            "Retry the task: it builds the shard again. If nobody killed it, the machine probably ran out of memory: "
            "then raise shards, so that each is smaller.",
        )
    raise RuntimeError(f"The process that builds shard {shard} ended with status {status}; the log has its output.")


class _Feeder(threading.Thread):
    """Writes the job and the batches to the child, while whoever started it listens to what the child says."""

    def __init__(self, out: IO[bytes] | None, job: Job, batches: Iterable[PointBatch]) -> None:
        super().__init__(name="feed-shard", daemon=True)
        self.failure: BaseException | None = None
        self._out = out
        self._sent: Iterable[Job | PointBatch] = chain([job], batches)

    def run(self) -> None:
        """Feed; without the last word where reading the batches failed, so that the child gives up."""
        out = self._out
        if out is None:
            return
        try:
            for each in self._sent:
                packed = pickle.dumps(each, protocol=5)
                out.write(SIZE.pack(len(packed)))
                out.write(packed)
            out.write(SIZE.pack(0))
        except (BrokenPipeError, ValueError) as error:  # the child is gone, or the pipe is closed: it has said why
            if not (isinstance(error, BrokenPipeError) or out.closed):
                self.failure = error
        except BaseException as error:
            self.failure = error
        with suppress(BrokenPipeError, ValueError):
            out.close()


def _received(stream: IO[bytes]) -> Iterator[Any]:
    """The job and the batches that the parent sends."""
    while True:
        header = stream.read(SIZE.size)
        size = SIZE.unpack(header)[0] if len(header) == SIZE.size else None
        if size == 0:
            return
        packed = b"" if size is None else stream.read(size)
        if size is None or len(packed) < size:
            raise SystemExit("the points stopped coming")  # the parent knows why
        yield pickle.loads(packed)  # noqa: S301 - from our own parent


def main(directory: str, parent: str) -> int:
    """Build the shard in `directory` from what comes on standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the parent too, which ends this
    end_with(int(parent))
    place = Path(directory)

    def work(sink: Sink) -> dict[str, Any]:
        batches = _received(sys.stdin.buffer)
        job: Job = replace(next(batches), directory=place)
        with no_space_explained(place):
            return {"stats": build(job, batches, sink)}

    return report(work)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
