"""Blocks of lines to clean rows: here while there are few, in processes of their own when there are many.

Parsing and cleaning is Python, which runs on one core of a process. The rows come back in the blocks' order and are
the same wherever they were read.
"""

import os
import pickle
import queue
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import chain, islice
from typing import IO, cast

import msgspec

from include.catalogue.cleaning_process import SIZE
from include.catalogue.rows import Reading, RowReader, Rows
from include.core.child import environment, signal_name
from include.core.environment import REPOSITORY
from include.core.errors import CleaningInterrupted

MOST_PROCESSES = 8  # beyond, the one process that unpacks and writes is what takes the time
FEW_BLOCKS = 6  # about 12 MiB: read sooner than processes start
PIPE_BYTES = 2**19


def processor_count() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


class CleaningPool:
    """Use it as a context manager: its processes end with it.

    Args:
        reading: How rows are read.
        processes: How many to start at most; None for one a processor. With less than two, none is started.
    """

    def __init__(self, reading: Reading, processes: int | None = None) -> None:
        self._reading = reading
        self._processes = min(processor_count(), MOST_PROCESSES) if processes is None else processes
        self._reader = RowReader(reading)
        self._workers: list[_Worker] = []
        self._free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(max(self._processes, 1), thread_name_prefix="clean")

    def __enter__(self) -> "CleaningPool":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.end()
        self._threads.shutdown()
        for worker in self._workers:
            worker.close()

    def rows(self, blocks: Iterator[bytes]) -> Iterator[Rows]:
        """The rows of each block, in order; the blocks are those of one file, from its beginning.

        Raises:
            CleaningInterrupted: A signal ended one of the processes.
        """
        head = list(islice(blocks, FEW_BLOCKS))
        blocks = chain(head, blocks)
        if self._processes < 2 or len(head) < FEW_BLOCKS:
            yield from map(self._reader.read, blocks)
            return
        if not self._workers:
            self._start()
        window: deque[Future[Rows]] = deque()
        for block in blocks:
            window.append(self._threads.submit(self._read, block))
            if len(window) > self._processes + 1:
                yield window.popleft().result()
        while window:
            yield window.popleft().result()

    def _start(self) -> None:
        self._workers = [_Worker(self._reading) for _ in range(self._processes)]
        for worker in self._workers:
            self._free.put(worker)

    def _read(self, block: bytes) -> Rows:
        worker = self._free.get()
        try:
            return worker.read(block)
        finally:
            self._free.put(worker)


class _Worker:
    """One `include.catalogue.cleaning_process`."""

    def __init__(self, reading: Reading) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "include.catalogue.cleaning_process", msgspec.json.encode(reading).decode()],
            cwd=REPOSITORY,
            env={**environment(), "PYTHONHASHSEED": "0"},  # one hash for one uid in all of them
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pipesize=PIPE_BYTES,
        )

        self._requests, self._replies = cast(IO[bytes], self._child.stdin), cast(IO[bytes], self._child.stdout)

    def read(self, block: bytes) -> Rows:
        """Have a block read there."""
        try:
            self._requests.write(SIZE.pack(len(block)))
            self._requests.write(block)
            self._requests.flush()
        except BrokenPipeError as error:
            raise self._ended() from error
        header = self._replies.read(SIZE.size)
        size = SIZE.unpack(header)[0] if len(header) == SIZE.size else 0
        reply = self._replies.read(size)
        if not size or len(reply) < size:
            raise self._ended()
        rows = pickle.loads(reply)  # noqa: S301 - from our own child
        if isinstance(rows, Rows):
            return rows
        raise RuntimeError(f"A cleaning process failed at the block that begins {block[:80]!r}:\n{rows}")

    def _ended(self) -> Exception:
        status = self._child.wait()
        if status >= 0:
            return RuntimeError(f"Cleaning process {self._child.pid} ended with status {status}; its output says why.")
        return CleaningInterrupted(
            f"Cleaning process {self._child.pid} was ended by {signal_name(status)}.",
            "Retry the task: it converts again from the beginning. If nobody killed it, the machine probably ran out "
            "of memory.",
        )

    def end(self) -> None:
        """Whoever waits for a reply hears that there is none."""
        self._child.kill()

    def close(self) -> None:
        """After `end`, when nobody waits any more."""
        self._child.wait()
        for pipe in (self._requests, self._replies):
            with suppress(BrokenPipeError):  # what a failed request left in the buffer
                pipe.close()
