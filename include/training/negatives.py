"""Hard negatives: products that the live index finds near a product's title, but that do not belong to it.

In-batch negatives are mostly easy. Mined ones are what the model still confuses (Xiong et al.: "ANCE", 2020,
arXiv:2007.00808). Some are unknown positives: what scores nearly as high as the product itself is left out
(Moreira et al.: "NV-Retriever", 2024, arXiv:2407.15831), and known positives are masked from the loss as ever.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from include.catalogue.identity import apart_from_attributes
from include.catalogue.schema import PRODUCTS_FILE, read_rows
from include.catalogue.short_hash import short_hashes
from include.core import artifacts, kinds
from include.core.arrays import Ints, Vectors
from include.core.artifacts import Artifact, Workspace
from include.core.progress import Progress, Sink
from include.core.space import require
from include.model.directory import kept_dimensions, stored_max_tokens
from include.model.onnx_session import FOR_MANY
from include.model.query_encoder import QueryEncoder
from include.model.vector_cache import VectorCache
from include.store.protocol import Store
from include.store.version import IndexVersion
from include.training.pairs import NONE, Pairs, Ragged

log = logging.getLogger(__name__)

FILE = "negatives.parquet"
MARGIN = 0.95  # of the product's own score: what reaches it may be the same product under another uid
CANDIDATES = 4  # looked at for each one that is wanted
TITLES_AT_ONCE = 256

Search = Callable[[Vectors, int], Sequence[tuple[str, float]]]


@dataclass(frozen=True)
class MinedIndex:
    """The index that is asked.

    Attributes:
        version: Its fingerprint.
        model: What its vectors were made with.
        search: Takes a vector (dim,) float32 and k to the best k (uid, cosine), best first.
        dim: Of its vectors; 0 for all of the model's.
    """

    version: str
    model: Path
    search: Search
    dim: int = 0


def mine(catalogue: Path, index: MinedIndex, count: int, *, root: Path, sink: Sink | None = None) -> Artifact:
    """Ask an index for each product's title.

    Args:
        catalogue: Artifact of kind `catalogue`.
        index: The live one.
        count: Negatives wanted for each product.
        root: The data directory.
        sink: Receives progress, in products.

    Returns:
        Artifact of kind `negatives`: for each product of the catalogue, in its order, a list of up to `count`
        rows of other products.
    """

    def write(space: Workspace) -> dict[str, Any]:
        dim = kept_dimensions(index.model, index.dim)
        cache = VectorCache(root, inputs["model"], stored_max_tokens(index.model), dim)
        return _write(space, catalogue / PRODUCTS_FILE, index, count, cache, sink)

    inputs = {
        "catalogue": apart_from_attributes(catalogue),
        "model": artifacts.read(index.model, verify=False).fingerprint,
        "version": index.version,
    }
    return artifacts.build(root, kinds.NEGATIVES, write, settings={"count": count}, inputs=inputs)


def mine_live(catalogue: Path, count: int, store: Store, *, root: Path, sink: Sink | None = None) -> Path | None:
    """`mine` with the live version of a store; None, with a warning, where nothing is live yet.

    Raises:
        StoreUnavailable: The store did not answer.
    """
    live = store.live()
    if live is None:
        log.warning("nothing is live yet: this training goes without hard negatives")
        return None
    version = IndexVersion.read(IndexVersion.path(root, live))
    with closing(store.open(live, version.shards)) as searcher:

        def search(vector: Vectors, k: int) -> list[tuple[str, float]]:
            return [(hit.uid, hit.score) for hit in searcher.dense(vector, k)]

        index = MinedIndex(live, root / version.model, search, version.dim)
        return mine(catalogue, index, count, root=root, sink=sink).path


def _write(
    space: Workspace, products: Path, index: MinedIndex, count: int, cache: VectorCache, sink: Sink | None
) -> dict[str, Any]:
    require(space.path, 8 * count * pq.read_metadata(products).num_rows, "Mining hard negatives")
    uids = np.concatenate([short_hashes(table["uid"].to_pylist()) for table in read_rows(products, ["uid"])])
    order = np.argsort(uids)
    encoder = QueryEncoder(index.model, threads=FOR_MANY, dimensions=index.dim)
    total = 0
    field = pa.list_(pa.int64())
    with (
        Progress("mine negatives", len(uids), unit="products", sink=sink) as progress,
        pq.ParquetWriter(space.path / FILE, pa.schema([("rows", field)]), write_page_checksum=True) as out,
    ):
        for table in read_rows(products, ["uid", "title"]):
            mined = []
            vectors = cache.vectors(table["title"].to_pylist(), encoder.encode)
            for start in range(0, table.num_rows, TITLES_AT_ONCE):
                part = table.slice(start, TITLES_AT_ONCE).to_pylist()
                for row, vector in zip(part, vectors[start : start + len(part)], strict=True):
                    hits = index.search(vector, CANDIDATES * count + 1)
                    near = short_hashes(choose(row["uid"], hits, count))
                    place = order[np.minimum(np.searchsorted(uids, near, sorter=order), len(order) - 1)]
                    mined.append(place[uids[place] == near].tolist())  # the index may hold what is gone by now
                progress.advance(len(part))
            total += sum(map(len, mined))
            out.write_table(pa.table([pa.array(mined, field)], names=["rows"]))
    return {"products": len(uids), "negatives": total}


def choose(uid: str, hits: Sequence[tuple[str, float]], count: int) -> list[str]:
    """The best `count` of other products that score less than MARGIN of the product's own score.

    Where the product itself is not among the hits, the best hit stands for it.
    """
    own = next((score for other, score in hits if other == uid), max((score for _, score in hits), default=0.0))
    return [other for other, score in hits if other != uid and score < MARGIN * own][:count]


@dataclass(frozen=True)
class HardNegatives:
    """Opened: for each product (row of the catalogue) the rows of its negatives."""

    rows: Ragged

    @classmethod
    def open(cls, path: Path) -> "HardNegatives":
        """Read an artifact that `mine` made."""
        held = pq.read_table(path / FILE, page_checksum_verification=True)["rows"].combine_chunks()
        lengths = np.asarray(held.value_lengths(), np.int64)
        return cls(Ragged(np.concatenate([[0], np.cumsum(lengths)]), np.asarray(held.flatten(), np.int64)))

    def texts(self, pairs: Pairs) -> Ints:
        """The numbers of all texts that `of` may give."""
        title, content = (pairs.columns[PRODUCTS_FILE, name][self.rows.values] for name in ("title", "content"))
        return np.unique(np.concatenate([title, content[content != NONE]]))

    def of(self, pairs: Pairs, batch: Ints) -> tuple[Ints, Ints]:
        """The negatives of a batch's pairs, each text once: their texts and the products that they belong to.

        A pair of title and content gets contents, one of title and related title gets titles.
        """
        own = pairs.left_product[batch]
        owner, product = self.rows.entries(own)
        title, content = (pairs.columns[PRODUCTS_FILE, name][product] for name in ("title", "content"))
        of_content = (pairs.right_product[batch] == own)[owner] & (content != NONE)
        text, once = np.unique(np.where(of_content, content, title), return_index=True)
        return text, product[once]
