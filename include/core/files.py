"""Files that several processes read and write: replaced whole, kept through a power cut, locked."""

import fcntl
import json
import logging
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from include.core.errors import ArtifactBusy

log = logging.getLogger(__name__)


def write_json(path: Path, value: Any) -> None:
    """Replace a small JSON file atomically and durably: a reader sees the old one or the new one."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with part.open("x", encoding="utf-8") as stream:
            json.dump(value, stream, indent=2, allow_nan=False)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    sync_directory(path.parent)


@contextmanager
def lock(path: Path, *, timeout: float) -> Iterator[None]:
    """Hold an exclusive lock on `path`, waiting at most `timeout` seconds for it; who holds it may unlink the file.

    Raises:
        ArtifactBusy: Somebody else still held it.
    """
    deadline = time.monotonic() + timeout
    waited = False
    while True:
        with path.open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise ArtifactBusy(
                        f"Another process still holds {path} after {timeout:.0f} s.",
                        "An earlier try of this task is still running: wait for it, or end it, then retry.",
                    ) from None
                if not waited:
                    log.info("waiting for another process that is making the same output (%s)", path)
                    waited = True
                time.sleep(0.2)
                continue
            if _is_still(handle.fileno(), path):
                yield
                return


def _is_still(handle: int, path: Path) -> bool:
    """Whether an open file is the one of that name: who held the lock before may have unlinked it."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def sync_directory(path: Path) -> None:
    """Make a directory's entries durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
