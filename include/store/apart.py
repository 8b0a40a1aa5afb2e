"""One version searched in processes of their own, `apart_process.py`.

The engine (qdrant-edge-py 0.9.0) holds Python's lock while it searches: in one process searches run one after another,
and nothing else runs meanwhile. So a server that answers several requests at once has a process for each. They map the
same files.

A process is told over a socket which version to open, then what to call: (method, arguments, by name). It says (result,
None) or (None, error). Where its parent ends, so does the socket, and the process with it. One takes half a second of a
processor to start: those of a version that is closed search the next one, and as many again wait for it.
"""

import queue
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from include.catalogue.attributes import Attribute
from include.core.arrays import Vectors
from include.core.child import environment, reported_error, signal_name
from include.core.environment import REPOSITORY
from include.core.errors import StoreUnavailable, VitrineError
from include.store.filters import Filter
from include.store.protocol import BM25_WEIGHT, Hit, Payload
from include.store.searcher import Searcher

SECONDS_TO_END = 10.0


class Processes:
    """Those that search for one server. Safe to use from several threads.

    Args:
        count: How many search a version.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        for _ in range(2 * count):
            self._idle.put(_Process())

    def take(self) -> "list[_Process]":
        """As many as search a version, with none open."""
        return [self._taken() for _ in range(self._count)]

    def give(self, process: "_Process") -> None:
        """Have one back, and its version closed."""
        try:
            process.ask("close")
        except (EOFError, OSError):
            process.end()
        else:
            self._idle.put(process)
            if self._idle.qsize() > 2 * self._count:
                self._taken().end()

    def close(self) -> None:
        """End those that search nothing, and each that is given back."""
        self._count = 0
        while not self._idle.empty():
            self._taken().end()

    def _taken(self) -> "_Process":
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return _Process()


class ApartSearcher(Searcher):
    """A version's shards, searched by several processes; a call waits until one is free.

    Args:
        paths: The shards' artifact directories.
        language: Of their terms, see `EngineSearcher`.
        processes: Some of these.

    Raises:
        DamagedArtifact: As of `EdgeSearcher`.
        StoreUnavailable: A process ended.
    """

    def __init__(self, paths: Sequence[Path], language: str | None, processes: Processes) -> None:
        self._version = ([path.resolve() for path in paths], language)
        self._processes = processes
        self._free: queue.LifoQueue[_Process] = queue.LifoQueue()
        taken = processes.take()
        self._count = len(taken)
        for process in taken:
            self._free.put(process)
        try:
            _open(taken, self._version)
        except BaseException:
            self.close()
            raise

    def count(self, where: Filter | None = None) -> int:
        """See `Searcher`."""
        return int(self._ask("count", where))

    def fetch(self, uids: Sequence[str]) -> dict[str, tuple[Vectors, Payload]]:
        """See `Searcher`."""
        found: dict[str, tuple[Vectors, Payload]] = self._ask("fetch", uids)
        return found

    def dense(self, vector: Vectors, top_k: int, *, exact: bool = False, where: Filter | None = None) -> list[Hit]:
        """See `Searcher`."""
        return self._hits("dense", vector, top_k, exact=exact, where=where)

    def bm25(self, question: str, top_k: int, *, where: Filter | None = None) -> list[Hit]:
        """See `Searcher`."""
        return self._hits("bm25", question, top_k, where=where)

    def hybrid(
        self,
        vector: Vectors,
        question: str,
        top_k: int,
        *,
        bm25_weight: float = BM25_WEIGHT,
        where: Filter | None = None,
    ) -> list[Hit]:
        """See `Searcher`."""
        return self._hits("hybrid", vector, question, top_k, bm25_weight=bm25_weight, where=where)

    def named(self, question: str, *, where: Filter | None = None) -> list[Hit]:
        """See `Searcher`."""
        return self._hits("named", question, where=where)

    def facets(
        self, attributes: Sequence[Attribute], where: Filter | None = None
    ) -> dict[str, list[tuple[str | int, int]]]:
        """See `Searcher`."""
        found: dict[str, list[tuple[str | int, int]]] = self._ask("facets", attributes, where)
        return found

    def close(self) -> None:
        """Give the processes back, each after its call."""
        for _ in range(self._count):
            self._processes.give(self._free.get())
        self._count = 0

    def _hits(self, method: str, *given: Any, **named: Any) -> list[Hit]:
        hits: list[Hit] = self._ask(method, *given, **named)
        return hits

    def _ask(self, method: str, *given: Any, **named: Any) -> Any:
        process = self._free.get()
        try:
            return process.ask(method, *given, **named)
        except (EOFError, OSError) as gone:
            how, process = process.end(), _Process()
            with suppress(VitrineError):  # told when it is asked
                _open([process], self._version)
            raise StoreUnavailable(f"A process that searches the index ended ({how}).", "Ask again.") from gone
        finally:
            self._free.put(process)


class _Process:
    """A process that searches; of one thread at a time."""

    def __init__(self) -> None:
        here, there = socket.socketpair()
        with there:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "include.store.apart_process", str(there.fileno())],
                cwd=REPOSITORY,
                env=environment(),
                stdin=subprocess.DEVNULL,
                pass_fds=[there.fileno()],
            )
        self._said = Connection(here.detach())

    def ask(self, method: str, *given: Any, **named: Any) -> Any:
        """What the method of its searcher gives.

        Raises:
            VitrineError: As that raises it.
            EOFError, OSError: The process has ended.
        """
        self.tell(method, *given, **named)
        return self.heard()

    def tell(self, method: str, *given: Any, **named: Any) -> None:
        """Say what to do; `heard` is to follow."""
        self._said.send((method, given, named))

    def heard(self) -> Any:
        """What came of it."""
        result, error = self._said.recv()
        if error is not None:
            raise reported_error(error) or StoreUnavailable(error["what"], error["next_step"])
        return result

    def end(self) -> str:
        """Let it close what it has open; how it ended."""
        self._said.close()
        try:
            status = self._child.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._child.kill()
            status = self._child.wait()
        return signal_name(status) if status < 0 else f"status {status}"


def _open(processes: Sequence[_Process], version: tuple[Sequence[Path], str | None]) -> None:
    """Have all of them open a version at once."""
    failure: VitrineError | None = None
    for process in processes:
        with suppress(OSError):  # it has ended, which is heard next
            process.tell("open", *version)
    for process in processes:
        try:
            process.heard()
        except VitrineError as error:
            failure = error
        except (EOFError, OSError):
            failure = StoreUnavailable("A process that opens the index ended.", "Try again; its log says why.")
    if failure is not None:
        raise failure
