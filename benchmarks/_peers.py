"""The nearest ten products to a question, by Vitrine and by two peers over the same vectors, in one process.

Exact NumPy is one product of a matrix with the question's vector: it has neither words, nor filters, nor a version that
changes under it. `qdrant-client`'s local mode comes with the client for trying things: exact as well, and in Python.
Random vectors are about equally far from everything, so of the exact ten a graph finds few; of a real catalogue each
version is held to its recall when it is verified.
"""

import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
from qdrant_client import QdrantClient, models

from include.answering.asker import Asker
from include.core.arrays import Vectors
from include.core.index_settings import IndexSettings
from include.store.apart import Processes
from include.store.protocol import BM25_WEIGHT
from include.store.searcher import Searcher
from include.store.version import IndexVersion

TOP, COMPARED = 10, 50  # products of a search; questions whose products are compared with the exact ones
BATCH = 1000
COLUMNS = ("a second", "p50, ms", "p95, ms", "of the exact ten", "load, s")

Find = Callable[[int], Sequence[str]]  # from a question's number to the uids found


@dataclass(frozen=True)
class Products:
    """Of an index: uids, and their vectors, (products, dim) float32."""

    uids: list[str]
    vectors: Vectors


def compare(root: Path, version: IndexVersion, asked: Sequence[str], threads: int, seconds: float) -> None:
    """Print a table of searches by several threads at once; each system is loaded, asked and closed in turn.

    Args:
        root: The data directory.
        version: Of which the products are.
        asked: Questions; encoding them is not counted.
        threads: That ask.
        seconds: Of load on each system.
    """
    with Asker.open(version.name, IndexSettings(), root=root) as asker:
        encoded, products = asker.encoder.encode(list(asked)), stored(asker.searcher, version)
        exact = [set(nearest(products, vector)) for vector in encoded[:COMPARED]]
    print(f"\nthe {TOP} nearest of {version.points:,} products; {threads} threads; questions were encoded before")
    print(f"{'':<28}" + "".join(f"{name:>18}" for name in COLUMNS))
    systems: dict[str, Callable[[], AbstractContextManager[Find]]] = {
        "exact, NumPy": partial(by_numpy, products, encoded),
        "qdrant-client, local mode": partial(by_qdrant, products, encoded),
        "Vitrine, exact": partial(by_vitrine, root, version, encoded, exact=True),
        "Vitrine, by meaning": partial(by_vitrine, root, version, encoded),
        "Vitrine, meaning and words": partial(by_vitrine, root, version, encoded, asked),
    }
    for name, opened in systems.items():
        began = time.monotonic()
        with opened() as find:
            loading = time.monotonic() - began
            same = np.mean([len(set(find(number)) & found) / TOP for number, found in enumerate(exact)])
            taken = load(find, len(asked), threads, seconds)
        p50, p95 = np.quantile(taken, (0.5, 0.95))
        shared = "-" if "words" in name else f"{same:.3f}"  # which has other ten in mind
        figures = (f"{len(taken) / seconds:,.1f}", f"{p50:.1f}", f"{p95:.1f}", shared, f"{loading:.1f}")
        print(f"{name:<28}" + "".join(f"{each:>18}" for each in figures))


def stored(searcher: Searcher, version: IndexVersion) -> Products:
    """The products of a version of `_synthetic.py`, read out of its index."""
    each = version.points // len(version.shards)
    uids = [f"S{shard}{row:08d}" for shard in range(len(version.shards)) for row in range(each)]
    vectors = np.empty((len(uids), version.dim), np.float32)
    for start in range(0, len(uids), BATCH):
        found = searcher.fetch(uids[start : start + BATCH])
        vectors[start : start + BATCH] = [found[uid][0] for uid in uids[start : start + BATCH]]
    return Products(uids, vectors)


def nearest(products: Products, vector: Vectors) -> list[str]:
    """The nearest by comparing with all."""
    scores = products.vectors @ vector
    best = np.argpartition(-scores, TOP)[:TOP]
    return [products.uids[place] for place in best[np.argsort(-scores[best])]]


@contextmanager
def by_numpy(products: Products, encoded: Vectors) -> Iterator[Find]:
    """Exact, over a matrix in memory."""
    yield lambda number: nearest(products, encoded[number])


@contextmanager
def by_qdrant(products: Products, encoded: Vectors) -> Iterator[Find]:
    """`qdrant-client` in this process, the uids as payload."""
    with ExitStack() as held:
        held.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # that so many are slow
        client = held.enter_context(closing(QdrantClient(location=":memory:")))
        size = products.vectors.shape[1]
        client.create_collection("products", models.VectorParams(size=size, distance=models.Distance.COSINE))
        for start in range(0, len(products.uids), BATCH):
            batch = slice(start, start + BATCH)
            ids: list[int | str] = list(range(start, min(start + BATCH, len(products.uids))))
            payloads = [{"uid": uid} for uid in products.uids[batch]]
            vectors = products.vectors[batch].tolist()
            client.upsert("products", models.Batch(ids=ids, vectors=vectors, payloads=payloads))

        def find(number: int) -> list[str]:
            found = client.query_points("products", query=encoded[number].tolist(), limit=TOP).points
            return [(point.payload or {})["uid"] for point in found]

        yield find


@contextmanager
def by_vitrine(
    root: Path, version: IndexVersion, encoded: Vectors, asked: Sequence[str] | None = None, *, exact: bool = False
) -> Iterator[Find]:
    """The index as it is, by its graph, or by comparing with all; or by its graph and the words of the questions.

    Searched as a server does: by a process for each processor.
    """
    with (
        closing(Processes(len(os.sched_getaffinity(0)))) as processes,
        Asker.open(version.name, IndexSettings(), root=root, processes=processes) as asker,
    ):

        def find(number: int) -> list[str]:
            if asked is None:
                hits = asker.searcher.dense(encoded[number], TOP, exact=exact)
            else:
                hits = asker.searcher.hybrid(encoded[number], asked[number], TOP, bm25_weight=BM25_WEIGHT)
            return [hit.uid for hit in hits]

        yield find


def load(find: Find, questions: int, threads: int, seconds: float) -> list[float]:
    """Milliseconds of each search while several threads ask."""
    numbers, until = count(), time.monotonic() + seconds

    def ask(_: int) -> list[float]:
        taken = []
        while (began := time.monotonic()) < until:
            find(next(numbers) % questions)
            taken.append(1000 * (time.monotonic() - began))
        return taken

    with ThreadPoolExecutor(threads) as pool:
        return [each for own in pool.map(ask, range(threads)) for each in own]
