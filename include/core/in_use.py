"""When an artifact was last in use: what pruning goes by.

Its lock file, `.<fingerprint>.lock`, has the time at which `artifacts.build` last made it or found it again.
"""

import os
import time
from pathlib import Path

COARSE = 2.0  # seconds, which the times of some file systems (FAT) are whole numbers of
FINE = 0.01  # seconds, by which a system's own clock for files may lag


def lock_of(target: Path) -> Path:
    """The file that whoever makes or removes an artifact holds."""
    return target.with_name(f".{target.name}.lock")


def mark_used(target: Path) -> None:
    """Note that an artifact is in use now; by our own clock, since a file system's lags by milliseconds."""
    now = time.time()
    try:
        os.utime(lock_of(target), (now, now))
    except PermissionError:  # another user's file, in a directory that is shared: only its owner chooses the time
        os.utime(lock_of(target))


def last_used(target: Path) -> float:
    """When an artifact was last in use, in seconds since 1970; 0 where there is no trace of it."""
    return max(modified(target), modified(lock_of(target)))


def last_written(directory: Path) -> float:
    """When anything in a directory was last written or set aside, in seconds since 1970."""
    written = (modified(Path(parent, name)) for parent, _, files in os.walk(directory) for name in (".", *files))
    return max(written, default=0.0)


def modified(file: Path) -> float:
    """A file's time of last change, the latest that it may mean; 0 where it is not there."""
    try:
        found = file.stat().st_mtime
    except FileNotFoundError:
        return 0.0
    return found + (COARSE if found.is_integer() else FINE)
