"""Points of one shard: the catalogue's rows joined with their vectors, row by row."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from include.catalogue.attributes import AttributeValue
from include.catalogue.schema import PRODUCTS_FILE, open_parquet
from include.core.arrays import Vectors
from include.core.errors import DamagedArtifact, VerificationFailed
from include.model.vectors import UNIT_TOLERANCE, VECTORS_FILE
from include.store.protocol import Payload, PointBatch, point_id
from include.store.terms import Terms

REBUILD = "Clear the shard's embed task and run it again."


def read_points(
    catalogue: Path, row_groups: Sequence[int], embedding: Path, language: str, *, batch: int = 256
) -> Iterator[PointBatch]:
    """Stream a shard's points; memory is bounded by one row group of each file.

    Args:
        catalogue: The catalogue artifact's directory.
        row_groups: The shard's row groups of `products.parquet`, in the order in which they were embedded.
        embedding: The embedding artifact's directory: `vectors.parquet` with `uid`, `text_hash`, `vector`.
        language: Of the terms that BM25 searches.
        batch: Points in a batch; the last may be smaller.

    Raises:
        VerificationFailed: The two files do not hold the same rows in the same order, or a vector is
            not finite or not of length 1.
        DamagedArtifact: A file is missing, cut short, or fails its page checksums.
    """
    try:
        yield from _joined(
            catalogue / PRODUCTS_FILE, list(row_groups), embedding / VECTORS_FILE, Terms(language), batch
        )
    except (OSError, pa.ArrowInvalid) as error:  # pyarrow's for a wrong page checksum, a cut-short file
        raise DamagedArtifact(
            f"The products in {catalogue} or the vectors in {embedding} cannot be read: {error}.",
            "Clear the task that made the damaged file and run it again: it will be rebuilt.",
        ) from error


def as_payload(values: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """A product's attributes as a payload has them: JSON values, a point in time as text, without nulls."""
    return {
        name: value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
        for name, value in values.items()
        if value is not None
    }


def _joined(
    products_path: Path, row_groups: list[int], vectors_path: Path, terms: Terms, batch: int
) -> Iterator[PointBatch]:
    with open_parquet(products_path) as products, open_parquet(vectors_path) as vectors:
        rows = sum(products.metadata.row_group(group).num_rows for group in row_groups)
        if rows != vectors.metadata.num_rows:
            raise VerificationFailed(
                f"{vectors_path} has {vectors.metadata.num_rows} vectors, the shard's row groups {row_groups} "
                f"of {products_path} have {rows} products.",
                REBUILD,
            )
        columns = ["uid", "title", "content", "text_hash"]
        columns += ["attributes"] if "attributes" in products.schema_arrow.names else []
        left = products.iter_batches(batch_size=batch, row_groups=row_groups, columns=columns)
        right = vectors.iter_batches(batch_size=batch, columns=["uid", "text_hash", "vector"])
        for product, vector in zip(_rechunk(left, batch), _rechunk(right, batch), strict=True):
            for column in ("uid", "text_hash"):
                if not product.column(column).equals(vector.column(column)):
                    raise VerificationFailed(_first_difference(product, vector, column, vectors_path), REBUILD)
            yield _batch(product, vector, terms, vectors_path)


def _batch(product: pa.Table, vector: pa.Table, terms: Terms, path: Path) -> PointBatch:
    uids: list[str] = product.column("uid").to_pylist()
    payloads: list[Payload] = [
        {"uid": uid, "title": title, "content": content, "text": terms.product(title, content)}
        for uid, title, content in zip(
            uids, product.column("title").to_pylist(), product.column("content").to_pylist(), strict=True
        )
    ]
    if "attributes" in product.column_names:
        for payload, each in zip(payloads, product.column("attributes").to_pylist(), strict=True):
            payload["attributes"] = as_payload(each)
    column = vector.column("vector").combine_chunks()
    flat = column.flatten()
    if column.null_count or flat.null_count:
        raise VerificationFailed(f"{path} has empty vectors near uid {uids[0]!r}.", REBUILD)
    values: Vectors = flat.to_numpy(zero_copy_only=False).astype(np.float32, copy=False).reshape(len(uids), -1)
    lengths = np.linalg.norm(values, axis=1)
    wrong = ~(np.abs(lengths - 1) <= UNIT_TOLERANCE)  # true for NaN as well
    if wrong.any():
        row = int(wrong.argmax())
        raise VerificationFailed(
            f"The vector of uid {uids[row]!r} in {path} has length {lengths[row]:.4g}, not 1.",
            "The model gives unusable vectors: look at the training's loss, and train again.",
        )
    return PointBatch(uids, [point_id(uid) for uid in uids], values, payloads)


def _rechunk(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.Table]:
    """Tables of `size` rows, the last one of fewer; Parquet batches may end at row groups."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for one in batches:
        held.append(one)
        rows += one.num_rows
        if rows >= size:
            table = pa.Table.from_batches(held)
            while rows >= size:
                yield table.slice(0, size)
                table, rows = table.slice(size), rows - size
            held = table.to_batches()
    if rows:
        yield pa.Table.from_batches(held)


def _first_difference(product: pa.Table, vector: pa.Table, column: str, path: Path) -> str:
    pairs = zip(product.column(column).to_pylist(), vector.column(column).to_pylist(), strict=True)
    row, (expected, found) = next((row, pair) for row, pair in enumerate(pairs) if pair[0] != pair[1])
    uid = product.column("uid")[row].as_py()
    if column == "uid":
        return f"{path} has a vector of uid {found!r} where the catalogue has uid {expected!r}."
    return f"The vector of uid {uid!r} in {path} was made from another text than the catalogue's."
