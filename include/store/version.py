"""A verified index version on disk: `version.json`, all that a query needs."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from include.catalogue.attributes import Attribute
from include.core import artifacts, kinds
from include.core.errors import DamagedArtifact

VERSION_FILE = "version.json"
NEXT_STEP = "Clear verify in the run that made it: the version is checked and described again."


class IndexVersion(BaseModel):
    """What `verify` found; paths are relative to the data directory, so that this can be moved.

    Attributes:
        name: The fingerprint of its artifact, 16 hexadecimal digits; `version` in the file.
        store: "embedded" or "server".
        collection: Name of the live index that it was built for.
        dim: Of its vectors.
        model, catalogue, plan: The artifacts that it was made from.
        points: Products in all shards.
        shards: What `upsert` said of each, in order; the store knows the rest of what is in there.
        recall: Recall@10 against exact search, 0-1.
        checks: See `include.index.checks.check`.
        language: Of its terms, see `include.store.terms`; None of a version of plain words, as all were made before.
        attributes: Of its products, as filters name them; a version of a catalogue without has none, and no such key.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    name: str = Field(alias="version")
    store: str
    collection: str
    dim: int
    model: str
    catalogue: str
    plan: str
    points: int
    shards: list[dict[str, Any]]
    recall: float
    checks: dict[str, Any]
    language: str | None = None
    attributes: list[Attribute] = []

    @staticmethod
    def path(root: Path, name: str) -> Path:
        """The directory that a version has or would have."""
        return artifacts.locate(root, kinds.VERSION, name)

    @staticmethod
    def exists(root: Path, name: str) -> bool:
        """Whether a version is there."""
        return artifacts.exists(IndexVersion.path(root, name))

    @classmethod
    def read(cls, path: Path, *, verify: bool = True) -> "IndexVersion":
        """Open a version's artifact.

        Args:
            path: The artifact.
            verify: Compare hashes, not sizes alone; questions do without, so as not to wait.

        Raises:
            DamagedArtifact: It is not a version artifact, or does not match its manifest.
        """
        artifacts.read(path, verify=verify)
        return cls.described(path)

    @classmethod
    def described(cls, path: Path) -> "IndexVersion":
        """The description alone, not compared with the manifest: one damaged version must not stop work on the others.

        Raises:
            DamagedArtifact: The description itself is damaged or missing.
        """
        file = path / VERSION_FILE
        try:
            return cls.model_validate_json(file.read_bytes())
        except (OSError, ValidationError) as error:
            raise DamagedArtifact(f"{file} cannot be read ({artifacts.fault(error)}).", NEXT_STEP) from error

    def write(self, directory: Path) -> None:
        """Write `version.json` into an artifact that is being made."""
        left_out = {name for name in ("attributes", "language") if not getattr(self, name)}
        text = json.dumps(self.model_dump(by_alias=True, exclude=left_out), indent=2, allow_nan=False)
        (directory / VERSION_FILE).write_text(text, encoding="utf-8")
