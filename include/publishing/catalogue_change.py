"""What a new version changes in the live version's catalogue: which products would be gone, which are new.

The gate compares models; this compares what they search. Without it a trial with a small or a synthetic catalogue would
replace a good index, and every figure of the run would look well.

Products are known by their uids, as sorted 64-bit hashes of both catalogues: 2.2 million products a side take seconds
and some 200 MB, and the counts are exact unless two uids share a hash (a chance of 2^-64 for each pair).
"""

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from include.catalogue.schema import PRODUCTS_FILE, read_rows
from include.catalogue.short_hash import short_hashes
from include.core import artifacts, kinds
from include.core.arrays import Ints
from include.core.errors import DamagedArtifact
from include.core.settings import EvaluateSettings
from include.results import CatalogueChange
from include.store.version import IndexVersion

log = logging.getLogger(__name__)


class Objection(NamedTuple):
    """Why a version should not replace the live one by itself.

    Attributes:
        headline: In a few words, for a title.
        words: With the counts, a sentence's part.
        way_out: What to do where it is meant, as full sentences.
    """

    headline: str
    words: str
    way_out: str


def compare(
    made: IndexVersion, live: str | None, *, root: Path, live_is_sample: bool | None = None
) -> CatalogueChange | None:
    """Compare a version with the live one.

    Args:
        made: The new version.
        live: The live version's fingerprint.
        root: The data directory.
        live_is_sample: What the journal says of the live version; None where it does not.

    Returns:
        None where nothing is live, or the version is live itself.

    Raises:
        DamagedArtifact: The new version's own catalogue cannot be read.
    """
    if live is None or live == made.name:
        return None
    catalogue = root / made.catalogue
    change = CatalogueChange(
        live_version=live,
        live_products=None,
        products=made.points,
        gone=None,
        new=None,
        live_is_sample=live_is_sample,
        is_sample=is_sample(catalogue, root) is True,
    )
    try:
        before = IndexVersion.read(IndexVersion.path(root, live))
        live_catalogue = root / before.catalogue
        if live_is_sample is None:
            live_is_sample = is_sample(live_catalogue, root)
        change = replace(change, live_products=before.points, live_is_sample=live_is_sample)
        if live_catalogue == catalogue:
            return replace(change, gone=0, new=0)
        old = uids(live_catalogue)
    except DamagedArtifact as damage:
        log.warning("the catalogue of the live version %s cannot be compared with: %s", live, damage)
        return replace(change, uncompared=damage.what.rstrip("."))
    own = uids(catalogue)
    stay = len(np.intersect1d(old, own, assume_unique=True))
    return replace(change, gone=len(old) - stay, new=len(own) - stay)


def objection(change: CatalogueChange | None, settings: EvaluateSettings, collection: str) -> Objection | None:
    """Why the change should not go live unless somebody says so; None where nothing speaks against it.

    A live sample may be replaced by anything: it holds no real product.

    Args:
        change: From `compare`.
        settings: `max_gone`, `replace_with_sample`.
        collection: The index's name.
    """
    if change is None or change.live_is_sample is True:
        return None
    if change.is_sample:
        if settings.replace_with_sample == collection:
            return None
        replaced = "a real catalogue" if change.live_is_sample is False else "a catalogue that is not known to be one"
        return Objection(
            f"the synthetic sample replaces {replaced}",
            f"the synthetic sample would replace {replaced}: {change}",
            f"For a trial take another `collection`; if {collection} is meant to be replaced, write this name into "
            "replace_with_sample.",
        )
    share = change.gone_share
    if share is None or share <= settings.max_gone:
        return None
    return Objection(
        f"{share:.0%} of the live products are gone",
        f"more products are gone than max_gone = {settings.max_gone} allows: {change}",
        f"If that is meant, raise max_gone to {math.ceil(share * 100) / 100} or more, or set promote = approval "
        "and approve it.",
    )


def is_sample(catalogue: Path, root: Path) -> bool | None:
    """Whether a catalogue was made of the synthetic sample, wherever its file came from; None where nothing tells."""
    try:
        content = artifacts.read(catalogue, verify=False).inputs.get("source")
    except DamagedArtifact:
        return None
    sources = artifacts.newest_first(root, kinds.SOURCE, lambda one: one.stats.get("sha256") == content, verify=False)
    samples = ["sample" in source.stats for source in sources]
    return any(samples) if samples else None


def uids(catalogue: Path) -> Ints:
    """The sorted 64-bit hashes (n,) of a catalogue's uids.

    Raises:
        DamagedArtifact: The catalogue is gone or damaged.
    """
    artifacts.read(catalogue, verify=False)  # its pages carry checksums of their own
    try:
        found = [short_hashes(table["uid"].to_pylist()) for table in read_rows(catalogue / PRODUCTS_FILE, ["uid"])]
    except (OSError, pa.ArrowException) as damage:
        raise DamagedArtifact(
            f"{catalogue / PRODUCTS_FILE} cannot be read ({damage}).", "Clear convert: it is made again."
        ) from damage
    return np.unique(np.concatenate([np.empty(0, np.int64), *found]))
