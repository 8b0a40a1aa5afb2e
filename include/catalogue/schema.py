"""The catalogue as the stages share it: Parquet schemas, row groups, text, hashes, held-out products.

`convert` writes an artifact of kind `catalogue` with these files:

* `products.parquet`: one row a product (`PRODUCTS`), uids distinct. From `trn`.
* `labels.parquet`: the products that `target_ind` points at, where the archive has them. From `lbl`.
  `row` is the row number in `lbl` that `target_ind` refers to.
  Products of a catalogue with attributes have the two columns of `with_attributes` as well.
* `queries.parquet`: test products with their `target_ind`, where the archive has them. From `tst`.
* `rejected.parquet`: the lines that were set aside, with their reason (`REJECTED`).

Page checksums are on, for writing and for reading.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.catalogue.attributes import Attribute, AttributeType

PRODUCTS_FILE = "products.parquet"
LABELS_FILE = "labels.parquet"
QUERIES_FILE = "queries.parquet"
REJECTED_FILE = "rejected.parquet"

PRODUCTS = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),  # 0-based line number in the file it came from
        pa.field("uid", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("content", pa.string(), nullable=False),  # empty where there is none
        pa.field("text_hash", pa.binary(16), nullable=False),  # of title and content, see `text_hash`
        pa.field("target_ind", pa.list_(pa.int32()), nullable=False),
        pa.field("target_rel", pa.list_(pa.float32()), nullable=False),
    ]
)
ATTRIBUTE_TYPES: dict[AttributeType, pa.DataType] = {
    "text": pa.string(),
    "keyword": pa.string(),
    "number": pa.float64(),
    "money": pa.float64(),
    "date": pa.timestamp("s", "UTC"),
    "boolean": pa.bool_(),
    "keywords": pa.list_(pa.string()),
}
REJECTED = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),  # trn, tst or lbl
        pa.field("line", pa.int64(), nullable=False),  # 1-based
        pa.field("reason", pa.string(), nullable=False),
        pa.field("excerpt", pa.string(), nullable=False),  # the line's first 200 characters, made printable
    ]
)


def with_attributes(attributes: Sequence[Attribute]) -> pa.Schema:
    """The schema of `products.parquet` for a catalogue with these attributes; `PRODUCTS` where there are none.

    `attributes` is a struct with a field for each, null where a product has no such value; `attributes_hash` is equal
    for equal values. The schema's metadata has what `read_attributes` gives back.
    """
    if not attributes:
        return PRODUCTS
    fields = [pa.field(each.name, ATTRIBUTE_TYPES[each.type]) for each in attributes]
    described = json.dumps([each.model_dump() for each in attributes])
    return (
        PRODUCTS.append(pa.field("attributes", pa.struct(fields), nullable=False))
        .append(pa.field("attributes_hash", pa.binary(16), nullable=False))
        .with_metadata({"attributes": described})
    )


def read_attributes(products: Path) -> tuple[Attribute, ...]:
    """The attributes of the products in a `products.parquet`."""
    with open_parquet(products) as file:
        described = (file.schema_arrow.metadata or {}).get(b"attributes", b"[]")
    return tuple(Attribute.model_validate(each) for each in json.loads(described))


def product_text(title: str, content: str) -> str:
    """What is embedded for a product: its title, then its content."""
    return f"{title}. {content}" if content else title


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file with page checksums verified while reading."""
    return pq.ParquetFile(path, page_checksum_verification=True)


def read_rows(
    path: Path, columns: Sequence[str] | None = None, row_groups: Sequence[int] | None = None
) -> Iterator[pa.Table]:
    """Read one row group after another, so that memory is bounded by one of them.

    Args:
        path: One of the catalogue's Parquet files.
        columns: Which to read; None for all.
        row_groups: Which to read, in this order; None for all.
    """
    with open_parquet(path) as file:
        for group in range(file.num_row_groups) if row_groups is None else row_groups:
            yield file.read_row_group(group, columns=None if columns is None else list(columns))


def drawn_by(text_hashes: Iterable[bytes], seed: int) -> list[bytes]:
    """Keys to draw products by, the least first: 8 bytes each, of text and seed alone, whatever else there is."""
    salt = seed.to_bytes(8, "little")
    return [hashlib.blake2b(text, digest_size=8, salt=salt).digest() for text in text_hashes]


def held_out(uids: Sequence[str], text_hashes: Sequence[bytes], count: int, seed: int) -> list[int]:
    """Positions of the products that training never sees; evaluation asks for them.

    A function of the uids and the seed alone, whatever the order of rows: the `count` products, at most
    a fifth of all, with the smallest hash of (seed, text). Products of equal text stay on one side.

    Args:
        uids: Of products with a title and a content, distinct.
        text_hashes: As many, from `text_hash`.
        count: How many to hold out.
        seed: Another seed, another choice.
    """
    count = min(count, len(uids) // 5)
    keys = drawn_by(text_hashes, seed)
    order = sorted(range(len(uids)), key=lambda position: (keys[position], uids[position]))
    if count <= 0:
        return []
    last = keys[order[count - 1]]
    return sorted(position for position in order if keys[position] <= last)


def held_out_rows(products: Path, count: int, seed: int) -> list[int]:
    """Positions in `products.parquet` (0-based, file order, ascending) of the held-out products.

    Training leaves these rows out, evaluation asks for them: both call this, so they agree. Only
    products with both a title and a content count; see `held_out`.

    Args:
        products: The file `products.parquet` of a catalogue.
        count: How many to hold out (`TrainSettings.holdout`).
        seed: `TrainSettings.seed`.
    """
    positions: list[int] = []
    uids: list[str] = []
    hashes: list[bytes] = []
    offset = 0
    for table in read_rows(products, ["uid", "title", "content", "text_hash"]):
        filled = pc.and_(
            pc.greater(pc.binary_length(table["title"]), 0), pc.greater(pc.binary_length(table["content"]), 0)
        )
        chosen = pc.indices_nonzero(filled)  # stays an Arrow array: an empty list would have no type to take by
        positions += [offset + index for index in chosen.to_pylist()]
        uids += table["uid"].take(chosen).to_pylist()
        hashes += table["text_hash"].take(chosen).to_pylist()
        offset += table.num_rows
    return [positions[index] for index in held_out(uids, hashes, count, seed)]
