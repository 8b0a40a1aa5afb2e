"""What a new version changes in the live version's catalogue: which products are gone, new, changed, unchanged.

The gate compares models; this compares what they search. Without it a trial with a small or a synthetic catalogue would
replace a good index, and every figure of the run would look well.

Products are known by their uids, as sorted 64-bit hashes of both catalogues, and compared by half of the hashes of
their texts and attributes: 2.2 million products a side take seconds and some 250 MB, and the counts are exact unless
two hashes are equal by chance (2^-64 for each pair).
"""

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from include.catalogue.schema import PRODUCTS_FILE, read_attributes, read_rows
from include.catalogue.short_hash import short_hashes
from include.core import artifacts, kinds
from include.core.arrays import Ints, Keys
from include.core.errors import DamagedArtifact
from include.core.pipeline_settings import with_titles
from include.core.settings import EvaluateSettings
from include.model.vectors import text_hashes
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


class Marks(NamedTuple):
    """A catalogue's products, in the order of their uids' hashes.

    Attributes:
        uids: (n,) 64-bit hashes, ascending.
        texts: (n,) halves of `text_hash`.
        attributes: (n,) halves of `attributes_hash`; 0 in a catalogue without attributes.
    """

    uids: Ints
    texts: Keys
    attributes: Keys


def compare(
    catalogue: Path, products: int, live: str | None, *, root: Path, live_is_sample: bool | None = None
) -> CatalogueChange | None:
    """Compare a catalogue with the live version's.

    Args:
        catalogue: The new artifact of kind `catalogue`.
        products: How many it holds.
        live: The live version's fingerprint.
        root: The data directory.
        live_is_sample: What the journal says of the live version; None where it does not.

    Returns:
        None where nothing is live.

    Raises:
        DamagedArtifact: The new catalogue cannot be read.
    """
    if live is None:
        return None
    change = CatalogueChange(
        live_version=live,
        live_products=None,
        products=products,
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
            return replace(change, gone=0, new=0, changed_text=0, changed_attributes=0, unchanged=products)
        old = marks(live_catalogue)
    except DamagedArtifact as damage:
        log.warning("the catalogue of the live version %s cannot be compared with: %s", live, damage)
        return replace(change, uncompared=damage.what.rstrip("."))
    return _counted(change, old, marks(catalogue))


def _counted(change: CatalogueChange, old: Marks, new: Marks) -> CatalogueChange:
    """With how many products have which fate."""
    place = np.searchsorted(old.uids, new.uids)
    stay = place < len(old.uids)
    stay[stay] = old.uids[place[stay]] == new.uids[stay]
    place = place[stay]
    same_text = old.texts[place] == new.texts[stay]
    same = same_text & (old.attributes[place] == new.attributes[stay])
    kept, of_same_text, unchanged = len(place), int(np.count_nonzero(same_text)), int(np.count_nonzero(same))
    return replace(
        change,
        gone=len(old.uids) - kept,
        new=len(new.uids) - kept,
        changed_text=kept - of_same_text,
        changed_attributes=of_same_text - unchanged,
        unchanged=unchanged,
    )


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
            + with_titles("replace_with_sample."),
        )
    share = change.gone_share
    if share is None or share <= settings.max_gone:
        return None
    return Objection(
        f"{share:.0%} of the live products are gone",
        f"more products are gone than max_gone = {settings.max_gone} allows: {change}",
        with_titles(f"If that is meant, raise max_gone to {math.ceil(share * 100) / 100} or more")
        + ", or set promote = approval and approve it.",
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


def marks(catalogue: Path) -> Marks:
    """What a catalogue's products are known and compared by.

    Raises:
        DamagedArtifact: The catalogue is gone or damaged.
    """
    artifacts.read(catalogue, verify=False)  # its pages carry checksums of their own
    file = catalogue / PRODUCTS_FILE
    columns: tuple[list[Ints], list[Keys], list[Keys]] = ([], [], [])
    try:
        hashes = ["text_hash", *(["attributes_hash"] if read_attributes(file) else [])]
        for table in read_rows(file, ["uid", *hashes]):
            columns[0].append(short_hashes(table["uid"].to_pylist()))
            halves = [text_hashes(table[name]).view(np.uint64)[::2] for name in hashes]
            columns[1].append(halves[0])
            columns[2].append(halves[1] if len(halves) > 1 else np.zeros(len(table), np.uint64))
    except (OSError, pa.ArrowException) as damage:
        raise DamagedArtifact(f"{file} cannot be read ({damage}).", "Clear convert: it is made again.") from damage
    uids, order = np.unique(np.concatenate([np.empty(0, np.int64), *columns[0]]), return_index=True)
    texts, attributes = (np.concatenate([np.empty(0, np.uint64), *each])[order] for each in columns[1:])
    return Marks(uids, texts, attributes)
