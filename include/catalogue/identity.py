"""What tells a catalogue's content from another's, in parts: a stage is done again only where what it reads changed.

A catalogue without attributes is known by its fingerprint. One with attributes is known to training by everything but
those, so that new prices train no model and embed no text; and to the index by its attributes, shard by shard.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from include.catalogue.schema import PRODUCTS_FILE, REJECTED_FILE, read_attributes, read_rows
from include.core import artifacts


def apart_from_attributes(catalogue: Path) -> str:
    """What identifies all that training, word pieces and evaluation read of a catalogue artifact.

    Raises:
        DamagedArtifact: It is none.
    """
    made = artifacts.read(catalogue, verify=False)
    if not read_attributes(catalogue / PRODUCTS_FILE):
        return made.fingerprint
    digest = hashlib.blake2b(digest_size=16)
    for table in read_rows(catalogue / PRODUCTS_FILE, ["uid", "text_hash", "target_ind", "target_rel"]):
        uids, texts, indices, weights = (column.combine_chunks() for column in table.columns)
        lengths = [pc.binary_length(uids), pc.list_value_length(indices)]
        for numbers in (*lengths, indices.flatten(), weights.flatten()):
            digest.update(np.from_dlpack(numbers).tobytes())
        digest.update("".join(uids.to_pylist()).encode() + b"".join(texts.to_pylist()))
    others = [file for file in sorted(made.files) if file not in (PRODUCTS_FILE, REJECTED_FILE)]
    digest.update(repr([(file, made.files[file]) for file in others]).encode())
    return digest.hexdigest()


def attributes_of(products: Path, row_groups: Sequence[int]) -> str:
    """A hash of the attributes of these row groups' products, in order, and of their types; "" where there are none."""
    attributes = read_attributes(products)
    if not attributes:
        return ""
    digest = hashlib.blake2b(repr(attributes).encode(), digest_size=16)
    for table in read_rows(products, ["attributes_hash"], row_groups):
        digest.update(b"".join(table["attributes_hash"].to_pylist()))
    return digest.hexdigest()
