"""Keeps shards that a version under construction uses from being deleted with an older version.

The embedded store shares equal shards between versions. Between a shard's upsert and its version's
verification no `version.json` speaks of it yet, and another run's publication may be deleting the old
version that it is shared with. So each upsert leaves a claim, `ROOT/building/<version>/<shard>.json`,
which lasts until the version is verified, or for a week where its run never got there.
"""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from include.core import artifacts
from include.core.files import lock, write_json
from include.core.space import no_space_explained

DIRECTORY = "building"
ABANDONED_SECONDS = 7 * 24 * 3600.0  # far longer than a run with all its retries
LOCK_TIMEOUT = 600.0  # seconds; held while an old version's files are removed


@contextmanager
def deciding(root: Path) -> Iterator[None]:
    """Hold the lock under which shards are claimed and deleted."""
    place = root / DIRECTORY
    with no_space_explained(root):
        place.mkdir(parents=True, exist_ok=True)
        with lock(place / ".lock", timeout=LOCK_TIMEOUT):
            yield


def claim(root: Path, version: str, summary: Mapping[str, Any]) -> bool:
    """Claim a shard that was just loaded, by its upsert's summary.

    Returns:
        False where its directory was deleted in the meantime: it must be loaded again.
    """
    if "path" not in summary:  # a server's shards are not shared
        return True
    with deciding(root):
        if not artifacts.exists(root / str(summary["path"])):
            return False
        place = root / DIRECTORY / version
        place.mkdir(exist_ok=True)
        write_json(place / f"{summary['shard']}.json", {"path": summary["path"]})
        return True


def release(root: Path, version: str) -> None:
    """Drop a version's claims: its `version.json` speaks for its shards now."""
    with deciding(root):
        shutil.rmtree(root / DIRECTORY / version, ignore_errors=True)


def claimed(root: Path) -> set[str]:
    """Paths, relative to `root`, of the shards under claim; to be called while `deciding`, if they are to stay so."""
    paths = set()
    for place in _places(root, abandoned=False):
        for file in place.glob("[!.]*.json"):
            with suppress(FileNotFoundError):  # its version was verified just now
                paths.add(str(json.loads(file.read_bytes())["path"]))
    return paths


def release_abandoned(root: Path) -> None:
    """Drop the claims of runs that never got to verify their version."""
    for place in _places(root, abandoned=True):
        shutil.rmtree(place, ignore_errors=True)


def _places(root: Path, *, abandoned: bool) -> Iterator[Path]:
    for place in (root / DIRECTORY).glob("[!.]*"):
        with suppress(FileNotFoundError):
            if (time.time() - place.stat().st_mtime > ABANDONED_SECONDS) == abandoned:
                yield place
