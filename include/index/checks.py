"""What must hold of a built index: counts, products read back, words found, recall.

The count; sampled products read back and compared with the catalogue and the embeddings; BM25 finds
what it should; and recall@10 of the approximate search against exact search. Exact search is brute force
over the embedding files, not the store's own, so a store that lost or mixed up vectors is found out.

Recall@10 counts a hit when its true cosine is at least that of the true tenth (as ann-benchmarks does,
Aumüller et al., 2018, arXiv 1807.05614), so that products of equal text do not count against the index.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from include.catalogue.attributes import AttributeValue
from include.catalogue.schema import PRODUCTS_FILE, open_parquet, product_text
from include.core import artifacts
from include.core.arrays import Vectors
from include.core.errors import VerificationFailed
from include.core.progress import Progress, Sink
from include.index.plan import Plan, row_group_sizes
from include.index.points import as_payload
from include.model.onnx_session import FOR_MANY
from include.model.vectors import VECTORS_FILE, matrix
from include.store.searcher import Searcher

log = logging.getLogger(__name__)

SAMPLES = 200  # products read back; a fault in 2 % of them is missed once in fifty times
QUERIES = 100
RECALL_AT = 10
LEAST_COSINE = 0.9999  # of a stored vector to the embedding's: a store may keep its own normalisation
COMPARED = ("uid", "title", "content", "attributes")  # of a payload
TIE = 1e-5  # cosines closer than this are equal: rounding of float32 sums

REBUILD = "Clear embed and upsert of this run, so that the shards are made again."


@dataclass(frozen=True)
class Sample:
    """A product that is read back: where it lies, and what the catalogue and the embedding say of it."""

    uid: str
    title: str
    content: str
    attributes: Mapping[str, AttributeValue] | None = None


def require_count(version: str, searcher: Searcher, points: int) -> None:
    """Check the number of points in the store.

    Raises:
        VerificationFailed: There are others.
    """
    if (count := searcher.count()) != points:
        raise VerificationFailed(
            f"The store holds {count} points of version {version}, there should be {points}.", REBUILD
        )


def check(
    plan: Plan, shards: Sequence[Mapping[str, Any]], searcher: Searcher, root: Path, sink: Sink | None
) -> dict[str, Any]:
    """Check an open version, and measure its recall without judging it.

    Args:
        plan: What was to be built.
        shards: The upserts' summaries in order; `embedding` names each shard's vectors.
        searcher: The version, open.
        root: The data directory.
        sink: Receives progress of the exact search, in rows.

    Returns:
        Of `include.index.summary.Checked` all but `version` and `points`.

    Raises:
        VerificationFailed: The count is wrong, a product reads back otherwise, or BM25 finds nothing.
    """
    require_count(plan.version, searcher, plan.points)
    samples = _sample(plan, root)
    asked = [sample.title or product_text(sample.title, sample.content) for sample in samples[:QUERIES]]
    from include.model.query_encoder import QueryEncoder

    queries = QueryEncoder(artifacts.read(root / plan.model).path, threads=FOR_MANY, dimensions=plan.dim).encode(asked)
    top_k = min(RECALL_AT, plan.points)
    hits = [[hit.uid for hit in searcher.dense(query, top_k)] for query in queries]
    wanted = {sample.uid for sample in samples}.union(*hits)
    exact, true_vectors = _exact_search(plan, shards, queries, wanted, top_k, root, sink)
    _require_equal_products(plan.version, samples, searcher, true_vectors)
    found_by_words = _found_by_words(plan.version, samples, asked, searcher)
    recalled = [
        sum(1 for uid in set(found) if uid in true_vectors and float(true_vectors[uid] @ query) >= exact[row] - TIE)
        for row, (query, found) in enumerate(zip(queries, hits, strict=True))
    ]
    return {
        "recall": sum(min(count, top_k) for count in recalled) / (top_k * len(queries)),
        "recall_at": top_k,
        "queries": len(queries),
        "samples": len(samples),
        "found_by_words": found_by_words,
    }


def _found_by_words(version: str, samples: Sequence[Sample], asked: Sequence[str], searcher: Searcher) -> float | None:
    """Ask BM25 for products by their own titles, those that have a letter or a digit: it knows nothing else."""
    worded = [pair for pair in zip(samples, asked, strict=False) if any(map(str.isalnum, pair[1]))]
    if not worded:
        log.warning("BM25 is not checked: none of %d sampled products has a word in its title", len(asked))
        return None
    found = sum(
        any(hit.uid == sample.uid or hit.title == sample.title for hit in searcher.bm25(text, RECALL_AT))
        for sample, text in worded
    )
    if not found:
        raise VerificationFailed(
            f"BM25 over version {version} found none of {len(worded)} products by their own titles.",
            "The text index is missing or empty. " + REBUILD,
        )
    return found / len(worded)


def _sample(plan: Plan, root: Path) -> list[Sample]:
    """Products from every shard, at most `SAMPLES`, shuffled; the same for the same version."""
    random = np.random.default_rng(int(plan.version, 16))
    sizes = row_group_sizes(root / plan.catalogue)
    chosen: dict[int, npt.NDArray[np.int64]] = {}
    for shard in plan.shards:
        quota = min(shard.rows, -(-SAMPLES // len(plan.shards)))
        rows = np.sort(random.choice(shard.rows, quota, replace=False))
        start = 0
        for group in shard.row_groups:
            chosen[group] = rows[(rows >= start) & (rows < start + sizes[group])] - start
            start += sizes[group]
    samples = []
    with open_parquet(root / plan.catalogue / PRODUCTS_FILE) as file:
        for group, rows in chosen.items():
            if len(rows):
                columns = [name for name in COMPARED if name in file.schema_arrow.names]
                for row in file.read_row_group(group, columns=columns).take(rows).to_pylist():
                    if "attributes" in row:
                        row["attributes"] = as_payload(row["attributes"])
                    samples.append(Sample(**row))
    random.shuffle(samples)
    return samples


def _exact_search(
    plan: Plan,
    shards: Sequence[Mapping[str, Any]],
    queries: Vectors,
    wanted: set[str],
    top_k: int,
    root: Path,
    sink: Sink | None,
) -> tuple[Vectors, dict[str, Vectors]]:
    """Search the embedding files by brute force, one row group after another.

    Returns:
        The `top_k`-th best cosine of each query, float32 (queries,), and the vectors of the `wanted` uids.
    """
    best = np.full((len(queries), top_k), -np.inf, np.float32)
    vectors: dict[str, Vectors] = {}
    values = pa.array(sorted(wanted), pa.string())
    with Progress("verify", plan.points, sink=sink) as progress:
        for shard, part in zip(shards, plan.shards, strict=True):
            embedding = artifacts.read(root / shard["embedding"], verify=False).path
            rows = 0
            with open_parquet(embedding / VECTORS_FILE) as file:
                for group in range(file.num_row_groups):
                    table = file.read_row_group(group, columns=["uid", "vector"])
                    block = matrix(table["vector"])
                    scores = np.concatenate([best, queries @ block.T], axis=1)
                    best = np.partition(scores, -top_k, axis=1)[:, -top_k:]
                    for row in pc.indices_nonzero(pc.is_in(table["uid"], value_set=values)).to_pylist():
                        vectors[table["uid"][row].as_py()] = block[row].copy()
                    rows += table.num_rows
                    progress.advance(table.num_rows)
            if rows != part.rows:
                raise VerificationFailed(
                    f"{embedding} has {rows} vectors, shard {part.shard} has {part.rows}.", REBUILD
                )
    return best.min(axis=1), vectors


def _require_equal_products(
    version: str, samples: Sequence[Sample], searcher: Searcher, vectors: Mapping[str, Vectors]
) -> None:
    """Read the sampled products back and compare them.

    Raises:
        VerificationFailed: One is missing or different; the message says how many, and shows the first.
    """
    stored = searcher.fetch([sample.uid for sample in samples])
    faults = []
    for sample in samples:
        if sample.uid not in stored:
            faults.append(f"uid {sample.uid} is missing")
            continue
        if sample.uid not in vectors:
            faults.append(f"uid {sample.uid} is in no embedding")
            continue
        vector, payload = stored[sample.uid]
        expected = vectors[sample.uid]
        cosine = float(vector @ expected / max(float(np.linalg.norm(vector) * np.linalg.norm(expected)), 1e-12))
        if not cosine >= LEAST_COSINE:
            faults.append(f"uid {sample.uid} has a vector of cosine {cosine:.4f} to its embedding")
        for name in COMPARED:
            if payload.get(name) != getattr(sample, name):
                faults.append(
                    f"uid {sample.uid} has {name} {payload.get(name)!r:.100}, not {getattr(sample, name)!r:.100}"
                )
    if faults:
        raise VerificationFailed(
            f"{len(faults)} faults in {len(samples)} products read back from version {version}; first: {faults[0]}.",
            REBUILD,
        )
