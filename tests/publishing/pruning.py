"""Prunes in a process of its own that ends itself, by SIGKILL, at the given one of its changes to the disk."""

import os
import signal
import sys
from pathlib import Path

from include.core.settings import RetentionSettings
from include.publishing.prune import prune

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.truncate"}
seen: list[str] = []


def count(event: str, _: tuple[object, ...]) -> None:
    """Ends the process at the last change that it may begin."""
    if event in CHANGES:
        seen.append(event)
        if len(seen) == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.addaudithook(count)
    prune(Path(sys.argv[1]), RetentionSettings(keep_runs=int(sys.argv[3])))
    print(len(seen))
