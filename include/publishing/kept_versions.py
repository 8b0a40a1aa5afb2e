"""The versions of a collection that there are to answer from and to go back to, read from files alone.

`roll_back`'s form, the shell and a notebook show them. Neither an engine nor a server is asked, and nothing is compared
with its checksums: a rollback does that itself.
"""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.core import artifacts
from include.core.errors import VitrineError
from include.core.index_settings import IndexSettings
from include.store.journal import Entry, Journal
from include.store.version import IndexVersion

UNREADABLE = (VitrineError, OSError, ValueError, KeyError, TypeError)

log = logging.getLogger(__name__)


def kept_versions(root: Path, index: IndexSettings) -> list[dict[str, Any]]:
    """Each version that is there, the one published last first; one that is damaged is left out, and told in the log.

    Args:
        root: The data directory.
        index: `collection` and `store`.

    Returns:
        JSON: `version`, `live` (by the journal), `products`, `model` (the base model's name), `dimensions`, `language`
        and `recall` of the version; `logical_date`, `published_at`, `action`, `run_id`, `approved_by`, `gate` and
        `sample` of its last publication, see `Entry`; dates in ISO 8601, UTC.

    Raises:
        DamagedArtifact: The journal cannot be read.
    """
    journal = Journal.load(root, index.collection)
    live = journal.history[-1].version if journal.history else None
    found = []
    for version in journal.by_publication():
        entry = journal.newest(version)
        if entry is None or version in journal.deleting:
            continue
        try:
            if told := _told(entry, index, root):
                found.append({"version": version, "live": version == live, **told})
        except UNREADABLE as fault:
            log.warning("version %s cannot be offered: %r", version, fault)
    return found


def _told(entry: Entry, index: IndexSettings, root: Path) -> dict[str, Any] | None:
    """What is known of a version; None if it is gone, or of another store."""
    if not IndexVersion.exists(root, entry.version):
        return None
    made = IndexVersion.read(IndexVersion.path(root, entry.version), verify=False)
    if (made.store, made.collection) != (index.store, index.collection):
        return None
    manifest = json.loads((root / made.model / artifacts.MANIFEST).read_bytes())
    base = str(manifest["stats"].get("base", "a model of its own"))
    return {
        "products": made.points,
        "model": Path(base.removeprefix("package:").partition("@")[0]).name,
        "dimensions": made.dim,
        "language": made.language,
        "recall": made.recall,
        "logical_date": datetime.fromisoformat(entry.logical_date).astimezone(UTC).isoformat(),
        "published_at": entry.published_at,
        "action": entry.action,
        "run_id": entry.run_id,
        "approved_by": entry.approved_by,
        "gate": entry.gate,
        "sample": entry.sample,
    }
