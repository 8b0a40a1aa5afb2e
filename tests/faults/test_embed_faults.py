"""An embedding task that is killed, and its retry."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from include.core import artifacts, kinds
from include.core.index_settings import IndexSettings
from include.core.settings import EmbedSettings
from include.index.embed import embed
from include.index.plan import plan_shards
from include.model.encoder import Encoder
from include.model.vectors import VECTORS_FILE
from tests.faults.killed import kill_at_point
from tests.small import products, publish_model, write_catalogue

SCRIPT = """
from pathlib import Path
import include.index.embed, include.model.vectors, os
from include.model.encoder import Encoder

plan, root, point, count = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
calls = 0

def stopping_at(count, function):
    def call(*arguments, **options):
        global calls
        calls += 1
        if calls == count:
            reach(point)
        return function(*arguments, **options)
    return call

if point == "encode":
    Encoder.encode_ids = stopping_at(count, Encoder.encode_ids)
elif point == "rename":
    include.model.vectors.os.replace = stopping_at(count, os.replace)
elif point == "manifest":
    include.core.artifacts.write_json = stopping_at(count, include.core.artifacts.write_json)
include.index.embed.embed(plan, 0, root=root)
"""


def prepare(root: Path, model: Path) -> Path:
    """A plan of one shard of six row groups, with texts that repeat across them."""
    rows = [*products(55), *(row._replace(uid=f"again-{row.uid}") for row in products(5))]
    catalogue = write_catalogue(root, rows)
    published = publish_model(root, model)
    return plan_shards(catalogue, published, EmbedSettings(shards=1), IndexSettings(), root=root).path


@pytest.mark.parametrize(
    ("point", "count", "embedded_before"),
    [("encode", 4, 30), ("rename", 3, 20), ("manifest", 1, 55)],
)
def test_a_killed_embedding_goes_on_where_it_was(
    point: str,
    count: int,
    embedded_before: int,
    root: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Hours of embedding must not be lost to a killed pod, nor may the retry's vectors differ."""
    plan = prepare(root, tiny_model)
    assert kill_at_point(SCRIPT, plan, root, point, count) == point
    assert artifacts.published(root, kinds.EMBEDDING) == []

    asked: list[np.ndarray] = []
    encode = Encoder.encode_ids

    def spy(self: Encoder, ids: Sequence[np.ndarray], **options: Any) -> np.ndarray:
        asked.extend(ids)
        return encode(self, ids, **options)

    monkeypatch.setattr(Encoder, "encode_ids", spy)
    shots: list[dict[str, Any]] = []
    retried = embed(plan, 0, root=root, sink=shots.append)
    assert len(asked) == 55 - embedded_before
    assert shots[0]["done"] == embedded_before + (5 if embedded_before == 55 else 0)

    undisturbed = embed(prepare(tmp_path / "other", tiny_model), 0, root=tmp_path / "other")
    found, expected = (pq.read_table(made.path / VECTORS_FILE) for made in (retried, undisturbed))
    assert found.equals(expected)  # bit for bit
    for made in (retried, undisturbed):
        assert (made.stats["rows"], made.stats["embedded"], made.stats["copied"]) == (60, 55, 5)
    assert retried.stats["tokens"] == undisturbed.stats["tokens"]
    assert [path.name for path in (root / "embedding").iterdir() if path.is_dir()] == [retried.fingerprint]


def test_a_damaged_row_group_of_a_killed_try_is_made_again(root: Path, tiny_model: Path, tmp_path: Path) -> None:
    """Power loss can leave a scratch file torn: its vectors must not be believed."""
    plan = prepare(root, tiny_model)
    kill_at_point(SCRIPT, plan, root, "encode", 4)
    [scratch] = (root / "embedding").glob(".scratch-*")
    pieces = sorted(scratch.glob("row-group-*.parquet"))
    assert len(pieces) == 3
    content = bytearray(pieces[1].read_bytes())
    content[len(content) // 3] ^= 1
    pieces[1].write_bytes(content)
    pieces[2].write_bytes(pieces[2].read_bytes()[:-100])
    retried = embed(plan, 0, root=root)
    undisturbed = embed(prepare(tmp_path / "other", tiny_model), 0, root=tmp_path / "other")
    assert pq.read_table(retried.path / VECTORS_FILE).equals(pq.read_table(undisturbed.path / VECTORS_FILE))
