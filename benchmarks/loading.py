"""How long a question's search takes on a Qdrant server while the next version loads there, and while none does.

The server is that at QDRANT_URL (with QDRANT_API_KEY where it wants one), 10,000 products of 384 dimensions by default;
its collections are deleted at the end. Without a URL the client's simulation stands in, which shows that the script
runs and says nothing of a server: it has one lock, no graph, and searches in this process.
"""

import argparse
import os
import time
import uuid
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import numpy as np

from benchmarks._compare import figure, machine
from benchmarks._synthetic import DIM, products, vocabulary
from include.core.index_settings import IndexSettings
from include.store.connection import ServerConnection
from include.store.protocol import Spec
from include.store.searcher import Searcher
from include.store.server import ServerStore

TOP_K = 10
LEAST = 200  # searches of each state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON line a figure")
    parser.add_argument("--products", type=int, default=10_000)
    options = parser.parse_args()
    url = os.environ.get("QDRANT_URL")
    if url:
        where = ServerConnection(url, api_key=os.environ.get("QDRANT_API_KEY"))
    else:
        where = ServerConnection(location=":memory:")
        warnings.simplefilter("ignore")  # what the simulation says of itself
    store = ServerStore(IndexSettings(store="server", collection=f"loading-{uuid.uuid4().hex[:8]}"), where)
    words = vocabulary()

    def load(version: str) -> None:
        store.prepare(version, Spec(DIM, store.index.hnsw_m, store.index.hnsw_ef_construct))
        store.upsert(version, 0, products(words, 0, options.products), inputs={"version": version})
        store.seal(version, [])

    try:
        load("first")
        searcher = store.open("first", [])
        alone = searches(searcher, lambda: False)
        with ThreadPoolExecutor(1) as pool:
            loaded = pool.submit(load, "second")
            beside = searches(searcher, lambda: not loaded.done())
            loaded.result()  # a load that failed is no load to measure beside
    finally:
        for version in store.versions():
            store.delete(version, [])
    server = f"the server at {url}" if url else "the client's simulation, which says nothing of a server"
    print(f"{options.products:,} products, {server}; {machine()}")
    for state, taken in (("alone", alone), ("while the next version loads", beside)):
        for name, share in (("p50", 0.5), ("p95", 0.95)):
            title = f"{state}, {name} of {len(taken):,} searches"
            figure(title, float(np.quantile(taken, share)), "ms", None, least=False, as_json=options.json)


def searches(searcher: Searcher, more: Callable[[], bool]) -> list[float]:
    """Milliseconds of one search after another: `LEAST`, and as long as there is to be more."""
    vectors = np.random.default_rng(4).normal(size=(LEAST, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    taken: list[float] = []
    for vector in cycle(vectors):
        if len(taken) >= LEAST and not more():
            break
        began = time.perf_counter()
        searcher.dense(vector, TOP_K)
        taken.append(1000 * (time.perf_counter() - began))
    return taken


if __name__ == "__main__":
    main()
