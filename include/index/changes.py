"""What of a shard has changed since the live version, so that its shard is revised rather than loaded as a whole.

Rows are compared by uid, text and attributes. The vector of a text by an equal model is the same: `embed` copies it.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from include.catalogue.schema import PRODUCTS_FILE, read_attributes, read_rows
from include.core.errors import DamagedArtifact
from include.index.plan import Plan, Shard, read_plan
from include.index.points import read_points
from include.store.protocol import Change, Store, point_id
from include.store.version import IndexVersion

log = logging.getLogger(__name__)


def change_since_live(plan: Plan, part: Shard, embedding: Path, store: Store, *, root: Path) -> Change | None:
    """How a shard differs from that of the live version with its number.

    Args:
        plan: Of the version that is being built.
        part: The shard.
        embedding: Its artifact.
        store: Of both versions.
        root: The data directory.

    Returns:
        None where that shard cannot become this one: there is none, or it is of another model, language, kind of
        attributes, number of shards, setting or format.
    """
    try:
        if (live := store.live()) is None:
            return None
        version = IndexVersion.read(IndexVersion.path(root, live), verify=False)
        before = read_plan(root / version.plan)
        products = root / plan.catalogue / PRODUCTS_FILE
        if _shape(before) != _shape(plan) or version.attributes != list(read_attributes(products)):
            return None
        earlier = _hashes(root / version.catalogue / PRODUCTS_FILE, before.shard(part.shard).row_groups)
    except (DamagedArtifact, OSError, pa.ArrowException) as damage:
        log.warning("shard %d is not compared with the live version's: %s", part.shard, damage)
        return None
    now = _hashes(products, part.row_groups)
    new = np.array([earlier.get(uid) != mark for uid, mark in now.items()])
    points = read_points(root / plan.catalogue, part.row_groups, embedding, plan.language, only=new)
    gone = [point_id(uid) for uid, mark in earlier.items() if now.get(uid) != mark]
    coming = int(np.count_nonzero(new))
    log.info("shard %d: of %d products %d are new or changed, %d gone", part.shard, part.rows, coming, len(gone))
    return Change(version.shards[part.shard], gone, points, coming, part.rows)


def _shape(plan: Plan) -> tuple[object, ...]:
    """All that two plans have in common whose shards differ in their products alone."""
    return plan.store, plan.model, plan.dim, plan.language, len(plan.shards), plan.index, plan.formats


def _hashes(products: Path, row_groups: Sequence[int]) -> dict[str, bytes]:
    """The hashes of each product's text and attributes by its uid, in the order of the rows."""
    columns = ["text_hash", *(["attributes_hash"] if read_attributes(products) else [])]
    found: dict[str, bytes] = {}
    for table in read_rows(products, ["uid", *columns], row_groups):
        marks = zip(*(table[name].to_pylist() for name in columns), strict=True)
        found.update(zip(table["uid"].to_pylist(), map(b"".join, marks), strict=True))
    return found
