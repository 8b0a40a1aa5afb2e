"""Small points for index tests, and version artifacts as `verify` writes them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from include.catalogue.schema import product_text
from include.core import artifacts, kinds
from include.core.arrays import Vectors
from include.core.index_settings import IndexSettings
from include.store.protocol import PointBatch, Spec, Store, point_id
from include.store.terms import Terms
from include.store.version import IndexVersion
from tests.small import Product, products

DIM = 24


def vectors(count: int, *, seed: int = 0, dim: int = DIM) -> Vectors:
    """(count, dim) float32 of length 1."""
    values: Vectors = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return values


def batches(
    rows: Sequence[Product], values: np.ndarray, *, size: int = 64, language: str | None = None
) -> Iterator[PointBatch]:
    """The rows as points, `size` a batch, with the terms of a language or, as all were before, with plain words."""
    text = product_text if language is None else Terms(language).product
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        payloads = [
            {"uid": row.uid, "title": row.title, "content": row.content, "text": text(row.title, row.content)}
            for row in some
        ]
        uids = [row.uid for row in some]
        yield PointBatch(uids, [point_id(uid) for uid in uids], values[start : start + len(some)], payloads)


def version_id(name: str) -> str:
    """The id of a version, known before it is built, as the plan knows it."""
    return artifacts.fingerprint(kinds.VERSION, {}, {"plan": name})


def write_version(
    root: Path, name: str, index: IndexSettings, shards: Sequence[Mapping[str, Any]], **fields: Any
) -> str:
    """Publish the `version` artifact that `verify` would make; its id."""
    made: dict[str, Any] = {
        "name": version_id(name),
        "store": index.store,
        "collection": index.collection,
        "dim": DIM,
        **{kind: f"{kind}/{name}" for kind in ("model", "catalogue", "plan")},
        "points": sum(shard["points"] for shard in shards),
        "shards": list(shards),
        "recall": 1.0,
        "checks": {"recall": 1.0},
    }

    def write(space: artifacts.Workspace) -> dict[str, Any]:
        IndexVersion(**{**made, **fields}).write(space.path)
        return {}

    return artifacts.build(root, kinds.VERSION, write, settings={}, inputs={"plan": name}).fingerprint


def load(
    store: Store,
    version: str,
    rows: Sequence[Product],
    values: np.ndarray,
    index: IndexSettings,
    *,
    shards: int = 2,
    language: str | None = None,
) -> list[dict[str, Any]]:
    """Prepare, upsert in `shards` parts and seal; the summaries."""
    store.prepare(version, Spec(values.shape[1], index.hnsw_m, index.hnsw_ef_construct))
    parts = np.array_split(np.arange(len(rows)), shards)
    summaries = [
        store.upsert(
            version,
            number,
            batches([rows[row] for row in part], values[part], language=language),
            inputs={"embedding": f"{version}-{number}-{len(part)}"},
        )
        for number, part in enumerate(parts)
    ]
    store.seal(version, summaries)
    return summaries


def build(
    store: Store, root: Path, name: str, index: IndexSettings, *, count: int = 200, seed: int = 0, shards: int = 2
) -> tuple[str, list[dict[str, Any]], list[Product], np.ndarray]:
    """A verified version of `count` small products: its id, summaries, products and vectors."""
    rows, values = products(count), vectors(count, seed=seed)
    version = version_id(name)
    summaries = load(store, version, rows, values, index, shards=shards)
    write_version(root, name, index, summaries)
    return version, summaries, rows, values
