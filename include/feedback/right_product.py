"""Which product a person means: by its uid, or by words of its title."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from include.catalogue.schema import PRODUCTS_FILE, read_rows
from include.core.errors import DamagedArtifact
from include.questions.questions import folded
from include.store.version import IndexVersion

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
    wanted = folded(given)
    longest = max(wanted.split(), key=len, default=wanted)
    titles = {}
    try:
        for table in read_rows(root / version.catalogue / PRODUCTS_FILE, ("uid", "title")):
            if pc.any(pc.equal(table["uid"], given)).as_py():
                return given
            like = pc.match_substring(table["title"], longest, ignore_case=True)
            titles |= {row["uid"]: row["title"] for row in table.filter(like).to_pylist()}
    except (OSError, DamagedArtifact) as error:
        log.warning("the catalogue of version %s cannot be read, so no product is looked up: %s", version.name, error)
        return None
    return _by_title(given, titles)


def _by_title(given: str, titles: Mapping[str, str]) -> str | None:
    """The one that has this title, else the one whose title has all the words."""
    wanted = folded(given)
    same = [uid for uid, title in titles.items() if folded(title) == wanted]
    words = set(wanted.split())
    having = [uid for uid, title in titles.items() if words <= set(folded(title).split())]
    return next((some[0] for some in (same, having) if len(some) == 1), None)
