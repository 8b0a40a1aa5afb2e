"""Verifies a built index version before anything may publish it, and describes it for queries."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from include.catalogue.schema import PRODUCTS_FILE, product_text, read_attributes, read_rows
from include.core import artifacts, kinds, removal
from include.core.artifacts import Artifact, Workspace
from include.core.errors import DamagedArtifact, UnknownVersion, VerificationFailed
from include.core.index_settings import IndexSettings
from include.core.progress import Sink
from include.index import claims
from include.index.checks import REBUILD, RECALL_AT, check, require_count
from include.index.plan import Plan, read_plan, relative
from include.index.summary import Checked
from include.index.upsert import require_same_index
from include.store.protocol import Store
from include.store.version import IndexVersion
from include.store.vocabulary import VOCABULARY_FILE, write_vocabulary

log = logging.getLogger(__name__)


def verify(
    plan: Path,
    shards: Sequence[Mapping[str, Any]],
    index: IndexSettings,
    store: Store,
    *,
    root: Path,
    sink: Sink | None = None,
) -> Artifact:
    """Check the version that the plan leads to, and describe it for queries.

    Args:
        plan: Artifact of kind `plan`.
        shards: What `upsert` returned for each shard, in any order.
        index: `min_recall` is the least recall@10, 0-1; the rest as planned.
        store: Holds the version.
        root: The data directory.
        sink: Receives progress, in rows.

    Returns:
        Artifact of kind `version` with `version.json`, see `IndexVersion`, and its words, see `Vocabulary`. Where the
        version was verified before, that
        artifact, after a look at the count.

    Raises:
        VerificationFailed: A shard is missing or there twice, the count is wrong, a product reads back
            otherwise, BM25 finds nothing, or the recall is too low.
        BadSettings: `index` contradicts the plan.
    """
    opened = read_plan(plan)
    require_same_index(opened, index)
    ordered = each_shard_once(opened, shards)
    store.seal(opened.version, ordered, sink=sink)
    _set_aside_if_lost(opened, store, root)

    def write(space: Workspace) -> dict[str, Any]:
        with closing(store.open(opened.version, ordered, language=opened.language)) as searcher:
            checks = check(opened, ordered, searcher, root, sink)
        _require_recall(opened.version, checks["recall"], index)
        IndexVersion(
            name=opened.version,
            store=opened.store,
            collection=opened.collection,
            dim=opened.dim,
            model=opened.model,
            catalogue=opened.catalogue,
            plan=relative(plan, root),
            points=opened.points,
            shards=ordered,
            recall=checks["recall"],
            checks=checks,
            language=opened.language,
            attributes=list(read_attributes(root / opened.catalogue / PRODUCTS_FILE)),
        ).write(space.path)
        products = read_rows(root / opened.catalogue / PRODUCTS_FILE, ["title", "content"])
        texts = (product_text(**row) for table in products for row in table.to_pylist())
        kept = write_vocabulary(texts, space.path / VOCABULARY_FILE)
        log.info("version %s: %d words, language %s", opened.version, kept, opened.language)
        log.info(
            "version %s: %d points, %d products read back, recall@%d %.4f over %d questions",
            opened.version,
            opened.points,
            checks["samples"],
            checks["recall_at"],
            checks["recall"],
            checks["queries"],
        )
        return Checked(version=opened.version, points=opened.points, **checks).model_dump()

    inputs = {"plan": artifacts.read(plan, verify=False).fingerprint}
    made = artifacts.build(root, kinds.VERSION, write, settings={}, inputs=inputs)
    claims.release(root, opened.version)
    if made.reused:
        _require_recall(opened.version, made.stats["recall"], index)
    return made


def each_shard_once(plan: Plan, shards: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The shards' summaries in order.

    Raises:
        VerificationFailed: One is missing, there twice, unknown, or of another number of points; all are named.
    """
    counted = Counter(shard["shard"] for shard in shards)
    faults = []
    if missing := sorted(set(range(len(plan.shards))) - set(counted)):
        faults.append(f"missing: {missing}")
    if doubled := sorted(number for number, count in counted.items() if count > 1):
        faults.append(f"more than once: {doubled}")
    if unknown := sorted(set(counted) - set(range(len(plan.shards)))):
        faults.append(f"not in the plan: {unknown}")
    for shard in shards:
        number = shard["shard"]
        if number not in unknown and shard["points"] != plan.shards[number].rows:
            faults.append(f"shard {number} has {shard['points']} points, planned were {plan.shards[number].rows}")
    if faults:
        raise VerificationFailed(
            f"Version {plan.version} should have shards 0 to {len(plan.shards) - 1}, each once; {'; '.join(faults)}.",
            REBUILD,
        )
    return sorted((dict(shard) for shard in shards), key=lambda shard: int(shard["shard"]))


def _require_recall(version: str, recall: float, index: IndexSettings) -> None:
    if recall < index.min_recall:
        raise VerificationFailed(
            f"Version {version} has recall@{RECALL_AT} {recall:.4f} against exact search, below min_recall = "
            f"{index.min_recall}.",
            "Raise hnsw_m or hnsw_ef_construct (the index is then built anew), or lower min_recall.",
        )


def _set_aside_if_lost(plan: Plan, store: Store, root: Path) -> None:
    """Remove an earlier verification of this version if the store no longer holds what it speaks of.

    Then the version is verified anew, with the shards that there are now. As long as it holds, it stays:
    it may be live.
    """
    path = IndexVersion.path(root, plan.version)
    if not path.exists():
        return
    try:
        with closing(store.open(plan.version, IndexVersion.read(path).shards)) as searcher:
            require_count(plan.version, searcher, plan.points)
    except (DamagedArtifact, UnknownVersion, VerificationFailed) as loss:
        log.warning(
            "version %s was verified before but does not hold any more, verifying again: %s", plan.version, loss
        )
        removal.discard(path)
