"""How artifacts, and what lies beside them, are removed: a reader sees all or nothing, and no work is disturbed."""

import math
import os
import re
import shutil
import uuid
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from include.core.errors import ArtifactBusy
from include.core.files import lock
from include.core.in_use import last_used, lock_of, modified
from include.core.space import ATTEMPT, DAMAGED, DISCARDED, SCRATCH

DISCARD_TIMEOUT = 600.0  # seconds to wait for whoever makes what is to go
LEFTOVER = re.compile(
    rf"(?P<what>{'|'.join(map(re.escape, (ATTEMPT, SCRATCH, DAMAGED, DISCARDED)))})(?P<mark>[0-9a-f]{{16}})(-\w+)?"
)


def discard(
    path: Path,
    *,
    timeout: float = DISCARD_TIMEOUT,
    unless_used_since: float = math.inf,
    allowed: AbstractContextManager[bool] | None = None,
) -> bool:
    """Remove an artifact: by rename first, so that nobody opens half of it. Harmless when repeated.

    Args:
        path: The artifact.
        timeout: Seconds to wait for a process that makes it.
        unless_used_since: One that was in use at or after this moment (`last_used`) stays.
        allowed: Entered while it is renamed; where this gives False, it stays.

    Returns:
        False if it stays.

    Raises:
        ArtifactBusy: Another process was still making it after `timeout`.
    """
    if not path.parent.is_dir():
        return True
    used = last_used if lock_of(path).exists() else modified  # a lock file that is made here tells nothing
    with lock(lock_of(path), timeout=timeout):
        for stale in path.parent.glob(f"{DISCARDED}*"):  # of a process that was killed here
            shutil.rmtree(stale, ignore_errors=True)
        aside = path.with_name(f"{DISCARDED}{path.name}-{uuid.uuid4().hex[:8]}")
        with suppress(FileNotFoundError):  # it was not there, or another process has just swept it away
            with allowed or nullcontext(True) as may:
                if not may or used(path) >= unless_used_since:
                    return False
                os.rename(path, aside)
            shutil.rmtree(aside)
        lock_of(path).unlink(missing_ok=True)
        return True


def leftovers(kind: Path) -> list[tuple[str, Path]]:
    """What is no artifact in the directory of a kind, with how its name begins: see `include.core.space`."""
    found = ((LEFTOVER.fullmatch(path.name), path) for path in sorted(kind.glob(".*")))
    return [(matched["what"], path) for matched, path in found if matched]


def remove_leftover(path: Path) -> bool:
    """Remove what `leftovers` lists; False where somebody is at work on its artifact."""
    try:
        with lock(lock_of(path.with_name(_mark(path))), timeout=0):
            shutil.rmtree(path, ignore_errors=True)
    except ArtifactBusy:
        return False
    return True


def remove_idle_locks(kind: Path) -> None:
    """Remove the lock files in the directory of a kind that belong to nothing, unless somebody holds them."""
    marks = {_mark(path) for _, path in leftovers(kind)}
    for file in kind.glob(".*.lock"):
        target = file.with_name(file.name.removeprefix(".").removesuffix(".lock"))
        if not target.exists() and target.name not in marks:
            with suppress(ArtifactBusy), lock(file, timeout=0):
                if not target.exists():
                    file.unlink(missing_ok=True)


def _mark(leftover: Path) -> str:
    matched = LEFTOVER.fullmatch(leftover.name)
    return matched["mark"] if matched else leftover.name
