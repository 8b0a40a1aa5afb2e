"""Small inputs for tests: products, a published catalogue of them, a base model of a few kilobytes."""

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import settings

from include.catalogue.attributes import Attribute
from include.catalogue.schema import (
    LABELS_FILE,
    PRODUCTS,
    PRODUCTS_FILE,
    QUERIES_FILE,
    REJECTED,
    REJECTED_FILE,
    with_attributes,
)
from include.catalogue.text_hash import text_hash
from include.core import artifacts

COLOURS = ["red", "green", "blue", "black", "white", "yellow", "silver", "golden"]
THINGS = ["kettle", "lamp", "chair", "camera", "drill", "guitar", "tent", "jacket", "clock", "bottle"]
PARTS = ["steel", "wood", "cotton", "glass", "leather", "plastic", "ceramic"]


def copy_data(source: Path, target: Path) -> Path:
    """A copy of a data directory. An index's files are 500 MB of holes, which `shutil.copytree` would write out."""
    subprocess.run(["cp", "-rL", "--preserve=timestamps", "--sparse=always", source, target], check=True)
    return target


def few(share: int) -> settings:
    """For a property test whose examples take long: one in `share` of the examples that others get."""
    return settings(max_examples=settings().max_examples // share)


class Product(NamedTuple):
    uid: str
    title: str
    content: str
    target_ind: Sequence[int] = ()
    target_rel: Sequence[float] = ()


def products(count: int) -> list[Product]:
    """Distinct products whose title and content belong together; uids have leading zeros."""
    rows = []
    for number in range(count):
        colour, thing, part = COLOURS[number % 8], THINGS[number % 10], PARTS[number % 7]
        rows.append(
            Product(
                f"{number:010d}",
                f"{colour} {thing} number {number}",
                f"This {thing} is made of {part}. It is {colour}. Model {number} weighs {number + 1} kg.",
                [number % 5],
                [1.0],
            )
        )
    return rows


def table(rows: Sequence[Product]) -> pa.Table:
    """`rows` in the schema of the catalogue's Parquet files."""
    return pa.Table.from_pydict(
        {
            "row": range(len(rows)),
            "uid": [row.uid for row in rows],
            "title": [row.title for row in rows],
            "content": [row.content for row in rows],
            "text_hash": [text_hash(row.title, row.content) for row in rows],
            "target_ind": [row.target_ind for row in rows],
            "target_rel": [row.target_rel for row in rows],
        },
        schema=PRODUCTS,
    )


def described(rows: pa.Table, attributes: Sequence[Attribute], values: Sequence[Mapping[str, object]]) -> pa.Table:
    """`rows` with the attributes' columns; `values` has those of each row, by name."""
    schema = with_attributes(attributes)
    hashes = [hashlib.md5(json.dumps(each, sort_keys=True, default=str).encode()).digest() for each in values]
    columns = [
        pa.array([dict(each) for each in values], schema.field("attributes").type),
        pa.array(hashes, pa.binary(16)),
    ]
    return pa.Table.from_arrays([*rows.columns, *columns], schema=schema)


def write_catalogue(
    root: Path,
    rows: Sequence[Product],
    *,
    row_group_rows: int = 10,
    attributes: Sequence[Attribute] = (),
    values: Sequence[Mapping[str, object]] = (),
) -> Path:
    """Publish a catalogue artifact under `root` without going through `convert`; `values` as in `described`."""
    stored = described(table(rows), attributes, values) if attributes else table(rows)

    def write(space: artifacts.Workspace) -> dict[str, object]:
        def put(name: str, content: pa.Table) -> None:
            pq.write_table(content, space.path / name, row_group_size=row_group_rows, write_page_checksum=True)

        put(PRODUCTS_FILE, stored)
        put(LABELS_FILE, table([Product(f"L{n}", f"label {thing}", "") for n, thing in enumerate(THINGS[:5])]))
        put(QUERIES_FILE, table(rows[: min(len(rows), 10)]))
        put(REJECTED_FILE, REJECTED.empty_table())
        return {"trn": {"read": len(rows), "accepted": len(rows), "rejected": 0, "merged": 0}}

    content = [[row.uid, row.title, row.content, row.target_ind] for row in rows]
    settings: dict[str, object] = {"products": content, "row_group_rows": row_group_rows}
    if attributes:
        settings |= {"attributes": [each.model_dump() for each in attributes], "values": repr(values)}
    return artifacts.build(root, artifacts.Kind("catalogue", 0), write, settings=settings).path


def write_tiny_base(path: Path, *, seed: int = 0) -> Path:
    """Write a DistilBERT of 2 layers and 32 dimensions with a word-piece vocabulary, in hub layout."""
    import torch
    from transformers import DistilBertConfig, DistilBertModel, DistilBertTokenizerFast

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)] + [str(digit) for digit in range(10)]
    words = [*COLOURS, *THINGS, *PARTS, "this", "is", "made", "of", "it", "model", "weighs", "kg", "number", "what"]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters), ".", "?", "-"]
    vocabulary += [word for word in words if word not in vocabulary]
    path.mkdir(parents=True)
    (path / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    torch.manual_seed(seed)
    config = DistilBertConfig(
        vocab_size=len(vocabulary), dim=32, hidden_dim=64, n_layers=2, n_heads=4, max_position_embeddings=128
    )
    DistilBertModel(config).save_pretrained(path)
    DistilBertTokenizerFast(str(path / "vocab.txt"), do_lower_case=True, model_max_length=128).save_pretrained(path)
    return path


def publish_model(root: Path, saved: Path) -> Path:
    """Publish a directory that `Encoder.save` wrote as a model artifact under `root`."""
    import shutil

    def write(space: artifacts.Workspace) -> dict[str, object]:
        shutil.copytree(saved, space.path, dirs_exist_ok=True)
        return {}

    settings = {"weights": artifacts.file_sha256(saved / "model.safetensors")}
    return artifacts.build(root, artifacts.Kind("model", 0), write, settings=settings).path
