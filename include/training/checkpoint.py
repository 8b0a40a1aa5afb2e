"""Checkpoints: all that training needs to go on, in one file that is whole or not there.

A file is a header line of JSON padded to 512 bytes (format, settings' fingerprint, step, length and
sha256), then a `torch.save` of the state. It is written under a temporary name,
synced, and renamed. Reading verifies the hash: zip's own checksums are not looked at by `torch.load`.
"""

import hashlib
import io
import json
import logging
import os
import uuid
from pathlib import Path
from typing import Any, BinaryIO, cast

from include.core.errors import BadModel, DamagedArtifact
from include.core.files import sync_directory
from include.core.space import no_space_explained

log = logging.getLogger(__name__)

FORMAT = "vitrine-checkpoint-1"
HEADER_BYTES = 512
KEPT = 2  # the newest, and the one before in case the newest is damaged


class _Hashed(io.RawIOBase):
    """Passes what is written on to `stream` and hashes it on the way: one pass, no second copy."""

    def __init__(self, stream: BinaryIO, digest: "hashlib._Hash") -> None:
        self._stream = stream
        self.digest = digest
        self.size = 0
        self.failure: OSError | None = None  # torch raises another in its stead, which does not say why

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.digest.update(data)
        try:
            written = self._stream.write(data)
        except OSError as error:
            self.failure = error
            raise
        self.size += written
        return written


def save(directory: Path, state: dict[str, Any], *, step: int, fingerprint: str) -> Path:
    """Write the checkpoint of `step` and remove all but the last two.

    Args:
        directory: Where checkpoints lie; must exist.
        state: Tensors, numbers, strings, and lists and dicts of them.
        step: Steps done.
        fingerprint: Of the settings and inputs that the state belongs to.

    Raises:
        StorageFull: The disk has no room; the earlier checkpoints are untouched.
    """
    import torch

    path = path_of(directory, step)
    part = directory / f".{path.name}.{uuid.uuid4().hex[:8]}.part"
    with no_space_explained(directory):
        try:
            with part.open("wb") as stream:
                stream.write(b"\0" * HEADER_BYTES)
                body = _Hashed(stream, _begin(fingerprint, step))
                try:
                    torch.save(state, cast(BinaryIO, body))
                except RuntimeError as error:
                    if body.failure is not None:
                        raise body.failure from error
                    raise
                head = {
                    "format": FORMAT,
                    "fingerprint": fingerprint,
                    "step": step,
                    "bytes": body.size,
                    "sha256": body.digest.hexdigest(),
                }
                stream.seek(0)
                stream.write(json.dumps(head).encode().ljust(HEADER_BYTES - 1) + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(part, path)
            sync_directory(directory)
        finally:
            part.unlink(missing_ok=True)
    for old in _newest_first(directory)[KEPT:]:
        old.unlink()
    return path


def path_of(directory: Path, step: int) -> Path:
    """Where `save` puts the checkpoint of a step."""
    return directory / f"step-{step:010d}.checkpoint"


def load(path: Path, *, fingerprint: str) -> dict[str, Any]:
    """Read one checkpoint.

    Args:
        path: The file.
        fingerprint: What it must have been made with.

    Raises:
        DamagedArtifact: It is not what `save` wrote.
        BadModel: It belongs to other settings or inputs.
    """
    import torch

    content = memoryview(path.read_bytes())
    next_step = "Delete it and retry."
    try:
        head = json.loads(bytes(content[:HEADER_BYTES]))
        found, step, size, digest = head["fingerprint"], head["step"], head["bytes"], head["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedArtifact(f"Checkpoint {path} has no readable header ({len(content)} bytes).", next_step) from error
    body = content[HEADER_BYTES:]
    if len(body) != size:
        raise DamagedArtifact(f"Checkpoint {path} has {len(body)} bytes of state, its header says {size}.", next_step)
    if _digest(found, step, body) != digest:
        raise DamagedArtifact(f"Checkpoint {path} does not match the sha256 in its header.", next_step)
    if found != fingerprint:
        raise BadModel(
            f"Checkpoint {path} belongs to a training with fingerprint {found}; this one has {fingerprint}.",
            "Delete the checkpoint, or train with the settings, catalogue and base model it was made with.",
        )
    state: dict[str, Any] = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    return state


def latest(directory: Path, *, fingerprint: str) -> dict[str, Any] | None:
    """The state of the newest intact checkpoint, or None where there is none.

    What an interrupted write left behind is removed; a damaged checkpoint is set aside, with a log line.

    Raises:
        BadModel: A checkpoint was made with other settings or inputs; named, with both fingerprints.
    """
    for part in directory.glob(".step-*.part"):
        part.unlink()
    for path in _newest_first(directory):
        try:
            return load(path, fingerprint=fingerprint)
        except DamagedArtifact as damage:
            log.warning("%s Set it aside; going on from the one before it.", damage.what)
            path.rename(path.with_suffix(".damaged"))
    return None


def newest(directory: Path) -> Path | None:
    """The newest checkpoint's path, unread; None where there is none."""
    return next(iter(_newest_first(directory)), None)


def _newest_first(directory: Path) -> list[Path]:
    return sorted(directory.glob("step-*.checkpoint"), reverse=True)


def _digest(fingerprint: str, step: int, body: memoryview) -> str:
    digest = _begin(fingerprint, step)
    digest.update(body)
    return digest.hexdigest()


def _begin(fingerprint: str, step: int) -> "hashlib._Hash":
    """The hash covers the header's names too: a flipped bit there is damage, not another training."""
    return hashlib.sha256(f"{FORMAT} {fingerprint} {step} ".encode())
