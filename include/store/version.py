"""A verified index version on disk: `version.json`, all that a query needs."""

import json
from pathlib import Path
from typing import Any

from include.core import artifacts
from include.core.errors import DamagedArtifact

VERSION_FILE = "version.json"
FIELDS = {"version", "store", "collection", "dim", "model", "catalogue", "points", "shards"}  # what readers rely on
NEXT_STEP = "Clear verify in the run that made it: the version is checked and described again."


def read_version(path: Path, *, verify: bool = True) -> dict[str, Any]:
    """The content of a version artifact's `version.json`.

    Args:
        path: The artifact.
        verify: Compare hashes, not sizes alone; questions do without, so as not to wait.

    Raises:
        DamagedArtifact: It is not a version artifact, or does not match its manifest.
    """
    artifacts.read(path, verify=verify)
    file = path / VERSION_FILE
    try:
        value = json.loads(file.read_bytes())
        lacking = sorted(FIELDS - value.keys()) if isinstance(value, dict) else ["a JSON object"]
    except (OSError, ValueError) as error:
        raise DamagedArtifact(f"{file} cannot be read ({error!r}).", NEXT_STEP) from error
    if lacking:
        raise DamagedArtifact(f"{file} lacks {', '.join(lacking)}.", NEXT_STEP)
    return dict(value)
