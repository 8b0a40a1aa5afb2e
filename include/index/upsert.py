"""Loads one embedded shard into the vector store."""

import logging
from pathlib import Path
from typing import Any

from include.catalogue.identity import attributes_of
from include.catalogue.schema import PRODUCTS_FILE, read_attributes
from include.core import artifacts
from include.core.errors import BadSettings
from include.core.index_settings import IndexSettings
from include.core.progress import Sink
from include.index import claims
from include.index.changes import change_since_live
from include.index.plan import Plan, read_plan, relative, shaping_of
from include.index.points import read_points
from include.store.protocol import Spec, Store

log = logging.getLogger(__name__)


def upsert(
    plan: Path,
    shard: int,
    embedding: Path,
    index: IndexSettings,
    store: Store,
    *,
    root: Path,
    sink: Sink | None = None,
) -> dict[str, Any]:
    """Load a shard's vectors and payloads, or what changed of them since the live version; a retry changes nothing.

    Args:
        plan: Artifact of kind `plan`.
        shard: Its number.
        embedding: Artifact of kind `embedding` of this shard.
        index: Must be the settings that the plan was made with.
        store: From `open_store(index, …)`.
        root: The data directory.
        sink: Receives progress.

    Returns:
        The store's summary with `shard`, and `embedding` (its path relative to `root`): JSON-able, for
        `verify` and `version.json`.

    Raises:
        BadSettings: `index` contradicts the plan, or the plan has no such shard.
        DamagedArtifact: The embedding or the plan does not match its manifest.
        VerificationFailed: The embedding is of other products than the shard's.
    """
    opened = read_plan(plan)
    part = opened.shard(shard)
    require_same_index(opened, index)
    made = artifacts.read(embedding)
    products = root / opened.catalogue / PRODUCTS_FILE
    attributes = read_attributes(products)
    spec = Spec(opened.dim, opened.index["hnsw_m"], opened.index["hnsw_ef_construct"], attributes)
    store.prepare(opened.version, spec)
    # The embedding's fingerprint holds the uids and the text hashes: with the attributes' and the language, it
    # determines the payloads.
    inputs = {"embedding": made.fingerprint, "language": opened.language}
    if attributes:
        inputs["attributes"] = attributes_of(products, part.row_groups)
    while True:
        loaded = None
        if change := change_since_live(opened, part, embedding, store, root=root):
            loaded = store.revise(opened.version, shard, change, inputs=inputs, attributes=attributes, sink=sink)
        if loaded is None:
            points = read_points(root / opened.catalogue, part.row_groups, embedding, opened.language)
            loaded = store.upsert(
                opened.version, shard, points, inputs=inputs, attributes=attributes, total=part.rows, sink=sink
            )
        summary = {**loaded, "shard": shard, "embedding": relative(embedding, root)}
        if claims.claim(root, opened.version, summary):
            return summary
        log.info("shard %d was deleted with an older version just now: loading it again", shard)


def require_same_index(plan: Plan, index: IndexSettings) -> None:
    """Check that the settings and the formats are those that the plan was made with.

    Raises:
        BadSettings: They are not; every difference is named.
    """
    plan.require_formats()
    planned = {"store": plan.store, "collection": plan.collection, **plan.index}
    now = {"store": index.store, "collection": index.collection, **shaping_of(index)}
    differences = [
        f"{name} = {getattr(index, name)!r} (planned: {planned.get(name, IndexSettings.model_fields[name].default)!r})"
        for name in {**planned, **now}
        if now.get(name) != planned.get(name)
    ]
    if differences:
        raise BadSettings(
            f"The index settings changed after version {plan.version} was planned: {', '.join(differences)}.",
            "Clear plan_shards and everything after it, so that all tasks of the run have the same settings.",
        )
