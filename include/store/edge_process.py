"""Builds an Edge shard in a process of its own: `python -m include.store.edge_process DIRECTORY SHARD …`.

The engine writes through memory maps. Where the disk is full, such a write is no error but the signal SIGBUS, which
ends the process: here it ends this one, and the parent tells what happened. The engine's memory goes back, too.

Points come on standard input, batch by batch; what is said on standard output is in `include.core.child`.
"""

import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from include.catalogue.attributes import Attribute
from include.core.child import end_with, environment, read_report, report, reported_error, signal_name
from include.core.environment import REPOSITORY
from include.core.errors import StorageFull, StoreUnavailable
from include.core.progress import Sink
from include.core.settings import IndexSettings
from include.core.space import NEXT_STEP, full, no_space_explained
from include.store.edge_shard import build
from include.store.protocol import PointBatch

SIZE = struct.Struct("<Q")  # of the pickled batch that follows; 0 says that all have come


def build_apart(
    directory: Path,
    shard: int,
    batches: Iterable[PointBatch],
    index: IndexSettings,
    attributes: Sequence[Attribute],
    total: int | None,
    sink: Sink | None,
) -> dict[str, Any]:
    """`include.store.edge_shard.build` in a child process that ends with this one.

    Raises:
        StorageFull: The disk has no room for the shard.
        StoreUnavailable: A signal ended the child.
        VitrineError: Whatever `build` raises, of the same class.
        RuntimeError: It failed in a way that nobody foresaw; holds its traceback.
        Exception: Whatever `batches` raises.
    """
    described = json.dumps([each.model_dump() for each in attributes])
    told = [index.model_dump_json(), described, json.dumps(total)]
    child = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "include.store.edge_process",
            str(directory.resolve()),
            str(shard),
            *told,
            str(os.getpid()),
        ],
        cwd=REPOSITORY,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    feeder = _Feeder(child.stdin, batches)
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
    return _outcome(child.returncode, end, directory, shard)


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
    """Writes the batches to the child, while whoever started it listens to what the child says."""

    def __init__(self, out: IO[bytes] | None, batches: Iterable[PointBatch]) -> None:
        super().__init__(name="feed-shard", daemon=True)
        self.failure: BaseException | None = None
        self._out = out
        self._batches = batches

    def run(self) -> None:
        """Feed; without the last word where reading the batches failed, so that the child gives up."""
        out = self._out
        if out is None:
            return
        try:
            for batch in self._batches:
                packed = pickle.dumps(batch, protocol=5)
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


def _received(stream: IO[bytes]) -> Iterator[PointBatch]:
    """The batches that the parent sends."""
    while True:
        header = stream.read(SIZE.size)
        size = SIZE.unpack(header)[0] if len(header) == SIZE.size else None
        if size == 0:
            return
        packed = b"" if size is None else stream.read(size)
        if size is None or len(packed) < size:
            raise SystemExit("the points stopped coming")  # the parent knows why
        yield pickle.loads(packed)  # noqa: S301 - from our own parent


def main(directory: str, shard: str, index: str, attributes: str, total: str, parent: str) -> int:
    """Build the shard from the points on standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the parent too, which ends this
    end_with(int(parent))
    place = Path(directory)

    def work(sink: Sink) -> dict[str, Any]:
        settings = IndexSettings.model_validate_json(index)
        indexed = [Attribute.model_validate(each) for each in json.loads(attributes)]
        batches = _received(sys.stdin.buffer)
        with no_space_explained(place):
            return {"stats": build(place, int(shard), batches, settings, indexed, json.loads(total), sink)}

    return report(work)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
