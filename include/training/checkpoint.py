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
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training.

    Attributes:
        directory: Where they lie; must exist.
        fingerprint: Of the settings and inputs that they belong to.
    """

    directory: Path
    fingerprint: str

    def path(self, step: int) -> Path:
        """Where `save` puts the checkpoint of a step."""
        return self.directory / f"step-{step:010d}.checkpoint"

    def save(self, state: dict[str, Any], *, step: int) -> Path:
        """Write the checkpoint of `step` and remove all but the last two.

        Args:
            state: Tensors, numbers, strings, and lists and dicts of them.
            step: Steps done.

        Raises:
            StorageFull: The disk has no room; the earlier checkpoints are untouched.
        """
        path = self.path(step)
        part = self.directory / f".{path.name}.{uuid.uuid4().hex[:8]}.part"
        with no_space_explained(self.directory):
            try:
                self._write(part, state, step)
                os.replace(part, path)
                sync_directory(self.directory)
            finally:
                part.unlink(missing_ok=True)
        for old in self.newest_first()[KEPT:]:
            old.unlink()
        return path

    def load(self, path: Path) -> dict[str, Any]:
        """Read one checkpoint.

        Raises:
            DamagedArtifact: It is not what `save` wrote.
            BadModel: It belongs to other settings or inputs.
        """
        import torch

        content = memoryview(path.read_bytes())
        next_step = "Delete it and retry."
        try:
            head = json.loads(bytes(content[:HEADER_BYTES]))
            fingerprint, step, size, digest = head["fingerprint"], head["step"], head["bytes"], head["sha256"]
        except (ValueError, KeyError, TypeError) as error:
            what = f"Checkpoint {path} has no readable header ({len(content)} bytes)."
            raise DamagedArtifact(what, next_step) from error
        body = content[HEADER_BYTES:]
        if len(body) != size:
            what = f"Checkpoint {path} has {len(body)} bytes of state, its header says {size}."
            raise DamagedArtifact(what, next_step)
        if _digest(fingerprint, step, body) != digest:
            raise DamagedArtifact(f"Checkpoint {path} does not match the sha256 in its header.", next_step)
        if fingerprint != self.fingerprint:
            raise BadModel(
                f"Checkpoint {path} belongs to a training with fingerprint {fingerprint}; this one has "
                f"{self.fingerprint}.",
                "Delete the checkpoint, or train with the settings, catalogue and base model it was made with.",
            )
        state: dict[str, Any] = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
        return state

    def latest(self) -> dict[str, Any] | None:
        """The state of the newest intact checkpoint, or None where there is none.

        What an interrupted write left behind is removed; a damaged checkpoint is set aside, with a log line.

        Raises:
            BadModel: A checkpoint was made with other settings or inputs; named, with both fingerprints.
        """
        for part in self.directory.glob(".step-*.part"):
            part.unlink()
        for path in self.newest_first():
            try:
                return self.load(path)
            except DamagedArtifact as damage:
                log.warning("%s Set it aside; going on from the one before it.", damage.what)
                path.rename(path.with_suffix(".damaged"))
        return None

    def newest_first(self) -> list[Path]:
        """The paths of all that there are, unread."""
        return sorted(self.directory.glob("step-*.checkpoint"), reverse=True)

    def _write(self, path: Path, state: dict[str, Any], step: int) -> None:
        import torch

        with path.open("wb") as stream:
            stream.write(b"\0" * HEADER_BYTES)
            body = _Hashed(stream, _begin(self.fingerprint, step))
            try:
                torch.save(state, cast(BinaryIO, body))
            except RuntimeError as error:
                if body.failure is not None:
                    raise body.failure from error
                raise
            head = {
                "format": FORMAT,
                "fingerprint": self.fingerprint,
                "step": step,
                "bytes": body.size,
                "sha256": body.digest.hexdigest(),
            }
            stream.seek(0)
            stream.write(json.dumps(head).encode().ljust(HEADER_BYTES - 1) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())


def _digest(fingerprint: str, step: int, body: memoryview) -> str:
    digest = _begin(fingerprint, step)
    digest.update(body)
    return digest.hexdigest()


def _begin(fingerprint: str, step: int) -> "hashlib._Hash":
    """The hash covers the header's names too: a flipped bit there is damage, not another training."""
    return hashlib.sha256(f"{FORMAT} {fingerprint} {step} ".encode())
