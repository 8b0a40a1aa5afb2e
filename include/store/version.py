"""A verified index version on disk: `version.json`, all that a query needs."""

import json
from pathlib import Path
from typing import Any

from include.core import artifacts
from include.core.errors import DamagedArtifact

VERSION_FILE = "version.json"


def read_version(path: Path) -> dict[str, Any]:
    """The content of a version artifact's `version.json`.

    Raises:
        DamagedArtifact: It is not a version artifact, or does not match its manifest.
    """
    artifacts.read(path)
    try:
        value: dict[str, Any] = json.loads((path / VERSION_FILE).read_bytes())
        return value
    except (OSError, ValueError) as error:
        raise DamagedArtifact(f"{path / VERSION_FILE} cannot be read ({error!r}).", "Clear verify.") from error
