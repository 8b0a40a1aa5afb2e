"""Which product a person means: by its uid, or by words of its title."""

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from include.catalogue.schema import PRODUCTS_FILE, read_rows
from include.core.errors import DamagedArtifact
from include.questions.questions import folded
from include.store.version import IndexVersion

SHORTEST = 3  # characters of the longest word that titles are searched for

log = logging.getLogger(__name__)


def right_product(given: str, shown: Sequence[Mapping[str, Any]], version: IndexVersion, *, root: Path) -> str | None:
    """The uid of the product that is meant; None where none is, or several may be.

    Args:
        given: A uid, or words of a title.
        shown: Products of the answer, with `uid` and `title`: these are meant before all others.
        version: That answered; its catalogue has all products.
        root: The data directory.
    """
    titles = {str(each["uid"]): str(each.get("title", "")) for each in shown}
    if given in titles:
        return given
    if (found := _by_title(given, titles)) is not None:
        return found
    longest = max(re.findall(r"\w+", given), key=len, default="")  # as it is written: compared without its case alone
    titles = {}
    try:
        for table in read_rows(root / version.catalogue / PRODUCTS_FILE, ("uid", "title")):
            if pc.any(pc.equal(table["uid"], given)).as_py():
                return given
            if len(longest) >= SHORTEST:
                like = table.filter(pc.match_substring(table["title"], longest, ignore_case=True))
                titles |= {row["uid"]: row["title"] for row in like.to_pylist() if _has_words(row["title"], given)}
    except (OSError, DamagedArtifact) as error:
        log.warning("the catalogue of version %s cannot be read, so no product is looked up: %s", version.name, error)
        return None
    return _by_title(given, titles)


def _by_title(given: str, titles: Mapping[str, str]) -> str | None:
    """The one that has this title, else the one whose title has all the words."""
    wanted = folded(given)
    same = [uid for uid, title in titles.items() if folded(title) == wanted]
    having = [uid for uid, title in titles.items() if _has_words(title, given)]
    return next((some[0] for some in (same, having) if len(some) == 1), None)


def _has_words(title: str, given: str) -> bool:
    return set(folded(given).split()) <= set(folded(title).split())
