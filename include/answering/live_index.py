"""What is live, in plain values: for the resident server, which has it open, and for the Ask page, from files alone."""

from pathlib import Path
from typing import Any

from include.core.index_settings import IndexSettings
from include.store.filters import COUNTED
from include.store.journal import Entry, Journal
from include.store.version import IndexVersion

PUBLISHED = ("published_at", "action", "previous", "logical_date", "run_id", "approved_by")


def described(version: IndexVersion, entry: Entry | None) -> dict[str, Any]:
    """A version and its publication, as JSON; `published` is None of a version that never was."""
    return {
        "version": version.name,
        "collection": version.collection,
        "store": version.store,
        "products": version.points,
        "model": version.model,
        "catalogue": version.catalogue,
        "dimensions": version.dim,
        "language": version.language,
        "attributes": [
            {"name": each.name, "type": each.type, "counted": each.type in COUNTED} for each in version.attributes
        ],
        "published": None if entry is None else {name: getattr(entry, name) for name in PUBLISHED},
    }


def live_index(index: IndexSettings, *, root: Path) -> dict[str, Any] | None:
    """The version that the journal says was published last, without an engine or a server.

    Returns:
        See `described`, and `made_by`: the last run that made it, which a rollback does not change; None where
        nothing was published.

    Raises:
        DamagedArtifact: The journal or the version's description cannot be read.
    """
    history = Journal.load(root, index.collection).history
    if not history:
        return None
    last = history[-1]
    version = IndexVersion.described(IndexVersion.path(root, last.version))
    made_by = [each.run_id for each in history if each.version == last.version and each.action != "rolled back"]
    return {**described(version, last), "made_by": made_by[-1] if made_by else None}
