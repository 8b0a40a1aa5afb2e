"""Every stage's output on disk: fingerprint, lock, atomic publish, manifest, verified read.

A stage's output is a directory `ROOT/<kind>/<fingerprint>/`. It counts only if it holds
`manifest.json`, which lists every file with its size and sha256. It appears by one rename, so a
reader sees all of it or none. The same inputs and settings give the same fingerprint, so work that
was done is found again instead of repeated.

`build` is the one way to make an artifact, `read` the one way to open one.
"""

import hashlib
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from include.core.errors import ArtifactBusy, DamagedArtifact
from include.core.files import lock, sync_directory, write_json
from include.core.in_use import lock_of, mark_used
from include.core.space import ATTEMPT, DAMAGED, SCRATCH, no_space_explained, require

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
USE_TIMEOUT = 600.0  # seconds to wait for whoever reads through an artifact
REBUILD = "Clear the task that makes it and run it again: it will be rebuilt."


class File(BaseModel):
    """A file of an artifact, as the manifest knows it."""

    bytes: int
    sha256: str


class Artifact(BaseModel):
    """A published directory and what its manifest says.

    Attributes:
        kind: The stage's name for its output ("catalogue", "model" …).
        fingerprint: 16 hexadecimal digits, see `fingerprint`.
        stats: What the stage counted and measured, JSON-serialisable.
        settings: The settings that shaped the bytes.
        inputs: Fingerprints of the artifacts it was made from, by role.
        seconds: How long it took to make, in seconds.
        files: Every file of the directory, by its path in there.
        path: The directory.
        reused: True where an earlier run had already made it.
    """

    model_config = ConfigDict(frozen=True)

    kind: str
    fingerprint: str
    stats: dict[str, Any]
    settings: dict[str, Any]
    inputs: dict[str, str]
    seconds: float
    files: dict[str, File]
    path: Path
    reused: bool = False

    def summary(self) -> dict[str, Any]:
        """What travels between tasks: the path and the counts, never data."""
        return {
            "kind": self.kind,
            "fingerprint": self.fingerprint,
            "path": str(self.path),
            "reused": self.reused,
            "seconds": self.seconds,
            "stats": self.stats,
        }


@dataclass(frozen=True)
class Kind:
    """A kind of output; `include/core/kinds.py` has them all.

    Attributes:
        name: Of its directory under the data directory.
        format: Number of the bytes that the code writes now.
    """

    name: str
    format: int


@dataclass(frozen=True)
class Workspace:
    """Where a stage writes while it works.

    Attributes:
        path: A fresh directory of this attempt; its content becomes the artifact.
        scratch: A directory that outlives attempts (checkpoints, partial downloads); removed once the
            artifact is published.
    """

    path: Path
    scratch: Path


def fingerprint(kind: Kind, settings: Mapping[str, Any], inputs: Mapping[str, str] | None = None) -> str:
    """A hash of everything that shapes a stage's bytes: 16 hexadecimal digits.

    Args:
        kind: The artifact's kind and format.
        settings: JSON-serialisable; only those that shape the output.
        inputs: Fingerprints (or content hashes) of the inputs, by role.
    """
    body = json.dumps([kind.name, kind.format, dict(settings), dict(inputs or {})], sort_keys=True, allow_nan=False)
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_of_format(made: Artifact, kind: Kind) -> bool:
    """Whether an artifact was made with the kind's format number: it is in the fingerprint, and nowhere else."""
    return fingerprint(kind, made.settings, made.inputs) == made.fingerprint


def locate(root: Path, kind: Kind, mark: str) -> Path:
    """The directory that an artifact has or would have."""
    return root / kind.name / mark


def read(path: Path, *, verify: bool = True) -> Artifact:
    """Open a published artifact.

    Args:
        path: The artifact's directory.
        verify: True compares every file's size and sha256 with the manifest; False its size only
            (for the query path, where milliseconds count).

    Raises:
        DamagedArtifact: There is no manifest, or a file is missing, shorter, or changed.
    """
    made, next_step = described(path), REBUILD
    for name, expected in made.files.items():
        file = path / name
        if not file.is_file():
            raise DamagedArtifact(f"{file} is missing, though the manifest lists it.", next_step)
        if (size := file.stat().st_size) != expected.bytes:
            raise DamagedArtifact(f"{file} has {size} bytes, the manifest says {expected.bytes}.", next_step)
        if verify and (found := file_sha256(file)) != expected.sha256:
            raise DamagedArtifact(f"{file} has sha256 {found}, the manifest says {expected.sha256}.", next_step)
    return made


def described(path: Path) -> Artifact:
    """What an artifact's manifest says, not compared with its files.

    Raises:
        DamagedArtifact: There is none that can be read.
    """
    try:
        return Artifact.model_validate({**json.loads((path / MANIFEST).read_bytes()), "path": path, "reused": True})
    except FileNotFoundError as error:
        raise DamagedArtifact(f"{path} is not a published artifact: it has no {MANIFEST}.", REBUILD) from error
    except (ValueError, TypeError) as error:
        raise DamagedArtifact(f"{path / MANIFEST} cannot be read ({fault(error)}).", REBUILD) from error


def fault(error: Exception) -> str:
    """What is wrong with a file, in a message's brackets: of fields that are not as expected, the first."""
    if not isinstance(error, ValidationError):
        return repr(error)
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else first["msg"]


def build(
    root: Path,
    kind: Kind,
    write: Callable[[Workspace], Mapping[str, Any]],
    *,
    settings: Mapping[str, Any],
    inputs: Mapping[str, str] | None = None,
    lock_timeout: float = 6 * 3600.0,
) -> Artifact:
    """Return the artifact with this fingerprint, making it if no intact one exists.

    The lock is held by this process itself (the kernel frees it when the process dies), so an orphaned
    first try and its retry never write at once: the second waits, then finds the first one's result.

    Args:
        root: The data directory.
        kind, settings, inputs: See `fingerprint`.
        write: Fills `workspace.path` and returns the statistics for the manifest.
        lock_timeout: Seconds to wait for another process that makes the same artifact.

    Raises:
        ArtifactBusy: Another process still held the lock after `lock_timeout` seconds.
        StorageFull: The disk has no room.
    """
    mark = fingerprint(kind, settings, inputs)
    target = locate(root, kind, mark)
    with no_space_explained(root):
        target.parent.mkdir(parents=True, exist_ok=True)
        with lock(lock_of(target), timeout=lock_timeout):
            if (earlier := _intact(target)) is not None:
                log.info("reused %s %s (made in %.1f s by an earlier run)", kind.name, mark, earlier.seconds)
                mark_used(target)
                return earlier
            for stale in _attempts(target):  # of those that died: the lock is ours
                shutil.rmtree(stale)
            require(root, 0, f"Making the {kind.name}")
            own = target.with_name(f"{ATTEMPT}{mark}-{uuid.uuid4().hex[:8]}")
            space = Workspace(own, target.with_name(f"{SCRATCH}{mark}"))
            space.path.mkdir()
            space.scratch.mkdir(exist_ok=True)
            began = time.monotonic()
            try:
                stats = dict(write(space))
                made = Artifact(
                    kind=kind.name,
                    fingerprint=mark,
                    stats=stats,
                    settings=dict(settings),
                    inputs=dict(inputs or {}),
                    seconds=round(time.monotonic() - began, 3),
                    files=_synced(space.path),
                    path=target,
                )
                write_json(space.path / MANIFEST, made.model_dump(exclude={"path", "reused"}))
                os.rename(space.path, target)
                sync_directory(target.parent)
                mark_used(target)
            finally:
                shutil.rmtree(space.path, ignore_errors=True)
                with suppress(OSError):  # not empty: a retry goes on from it
                    space.scratch.rmdir()
            shutil.rmtree(space.scratch, ignore_errors=True)
    log.info("made %s %s in %.1f s", kind.name, mark, made.seconds)
    return made


def published(root: Path, kind: Kind) -> list[Path]:
    """The directories of all published artifacts of a kind, newest first."""
    dated: list[tuple[float, Path]] = []
    for manifest in (root / kind.name).glob(f"[!.]*/{MANIFEST}"):
        with suppress(FileNotFoundError):  # another process discards it at this moment
            dated.append((manifest.stat().st_mtime, manifest.parent))
    return [path for _, path in sorted(dated, reverse=True)]


def newest_first(root: Path, kind: Kind, fits: Callable[[Artifact], bool], verify: bool = True) -> Iterator[Artifact]:
    """The published artifacts that fit, each read as `read` does; a damaged one is passed over, with a warning."""
    for path in published(root, kind):
        try:
            found = read(path, verify=False)
            if fits(found):
                yield read(path) if verify else found
        except DamagedArtifact as damage:
            log.warning("%s It is passed over.", damage.what)


def exists(path: Path) -> bool:
    """Whether an artifact was published there; it may be damaged."""
    return (path / MANIFEST).is_file()


def use(path: Path) -> bool:
    """Note that an artifact is in use now, as `build` does for what it returns; False if it is not there."""
    if not path.parent.is_dir():
        return False
    with lock(lock_of(path), timeout=USE_TIMEOUT):
        if not exists(path):
            return False
        mark_used(path)
        return True


def sweep(root: Path, kind: Kind, useless: Callable[[Path], bool]) -> None:
    """Remove the scratch directories that `useless` names, with their attempts, unless somebody is at work there."""
    for scratch in (root / kind.name).glob(f"{SCRATCH}*"):
        target = scratch.with_name(scratch.name.removeprefix(SCRATCH))
        with suppress(ArtifactBusy, FileNotFoundError):  # at work, or just gone
            if useless(scratch):
                with lock(lock_of(target), timeout=0):
                    for litter in (scratch, *_attempts(target)):
                        shutil.rmtree(litter, ignore_errors=True)


def _attempts(target: Path) -> Iterator[Path]:
    """The temporary directories of those who made, or make, an artifact."""
    return target.parent.glob(f"{ATTEMPT}{target.name}-*")


def _intact(target: Path) -> Artifact | None:
    """The artifact that is there already; a damaged one is moved aside."""
    if not target.exists():
        return None
    try:
        return read(target)
    except DamagedArtifact as damage:
        aside = target.with_name(f"{DAMAGED}{target.name}-{uuid.uuid4().hex[:8]}")
        os.rename(target, aside)
        log.warning("%s Moved it to %s; making it again.", damage.what, aside)
        return None


def _synced(path: Path) -> dict[str, File]:
    """Make everything in a directory durable; its files, by their paths in there."""
    found: dict[str, File] = {}
    for file in sorted(entry for entry in path.rglob("*") if entry.is_file()):
        with file.open("rb+") as stream:
            os.fsync(stream.fileno())
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            found[file.relative_to(path).as_posix()] = File(bytes=stream.seek(0, os.SEEK_END), sha256=digest)
    for directory in (path, *(entry for entry in path.rglob("*") if entry.is_dir())):
        sync_directory(directory)
    return found
