"""embed.py: a shard's vectors."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from include.catalogue.schema import product_text
from include.catalogue.text_hash import text_hash
from include.core import artifacts, kinds, removal
from include.core.errors import BadModel, BadSettings
from include.core.index_settings import IndexSettings
from include.core.settings import EmbedSettings
from include.index.embed import embed
from include.index.plan import plan_shards
from include.model.encoder import Encoder
from include.model.tokens import tokenize
from include.model.vectors import VECTORS_FILE, matrix
from tests.small import Product, products, publish_model, write_catalogue

MakeCatalogue = Callable[[Sequence[Product]], Path]


def plan(catalogue: Path, model: Path, root: Path, shards: int = 2) -> Path:
    return plan_shards(catalogue, model, EmbedSettings(shards=shards), IndexSettings(), root=root).path


def vectors(embedding: artifacts.Artifact) -> np.ndarray:
    return matrix(pq.read_table(embedding.path / VECTORS_FILE)["vector"])


def test_word_pieces_that_training_has_cut_are_used_and_give_the_same_vectors(
    catalogue: Path, model: Path, root: Path, tmp_path: Path, encoded: list[str]
) -> None:
    """Cutting 2 million texts twice costs minutes; cutting them otherwise gives vectors that no query meets."""
    encoder = Encoder.load(model)
    shard = plan(catalogue, model, root)
    plain = embed(shard, 1, root=root)
    assert len(encoded) == 30
    made = tokenize(catalogue, encoder.tokenizer, encoder.max_tokens, root=root)
    removal.discard(plain.path)
    again = embed(shard, 1, root=root)
    assert len(encoded) == 30
    assert made.stats["texts"] > 120
    np.testing.assert_array_equal(vectors(again), vectors(embed(shard, 1, root=root)))
    expected = encoder.encode([product_text(row.title, row.content) for row in products(60)[30:]])
    np.testing.assert_allclose(vectors(again), expected, atol=1e-6)


def test_one_model_at_two_lengths_is_embedded_at_both(catalogue: Path, model: Path, root: Path) -> None:
    """An embedding of whole vectors taken for one of short ones fails in the index, and no retry mends it."""
    few = plan_shards(catalogue, model, EmbedSettings(shards=2, dimensions=8), IndexSettings(), root=root).path
    for shard in (0, 1):
        whole, short = embed(plan(catalogue, model, root), shard, root=root), embed(few, shard, root=root)
        assert (whole.stats["dim"], short.stats["dim"]) == (32, 8)
        cut = vectors(whole)[:, :8]
        np.testing.assert_allclose(vectors(short), cut / np.linalg.norm(cut, axis=1, keepdims=True), atol=1e-2)
    all_of_them = plan_shards(catalogue, model, EmbedSettings(shards=2, dimensions=32), IndexSettings(), root=root)
    assert all_of_them.path == plan(catalogue, model, root), "as long as the model's own is no other index"


def test_row_i_is_the_vector_of_product_i(catalogue: Path, model: Path, root: Path) -> None:
    """A shifted row gives every product another one's vector, and nothing else would look wrong."""
    rows = products(60)
    encoder = Encoder.load(model)
    for shard in (0, 1):
        made = embed(plan(catalogue, model, root), shard, root=root)
        table = pq.read_table(made.path / VECTORS_FILE)
        part = rows[30 * shard : 30 * shard + 30]
        assert table["uid"].to_pylist() == [row.uid for row in part]
        assert table["text_hash"].to_pylist() == [text_hash(row.title, row.content) for row in part]
        expected = encoder.encode([product_text(row.title, row.content) for row in part])
        assert (vectors(made) * expected).sum(axis=1).min() > 0.999
        np.testing.assert_allclose(np.linalg.norm(vectors(made), axis=1), 1, atol=1e-5)
        assert made.stats | {"tokens": 0, "tokens_per_second": 0} == {
            "rows": 30, "embedded": 30, "copied": 0, "tokens": 0, "tokens_per_second": 0, "dim": 32,
        }  # fmt: skip
        assert made.stats["tokens"] == sum(map(len, encoder.tokenize([product_text(r.title, r.content) for r in part])))
        assert made.stats["tokens_per_second"] > 0


def test_row_groups_and_checksums_are_kept(catalogue: Path, model: Path, root: Path) -> None:
    """Without page checksums a flipped bit in a vector is read silently."""
    made = embed(plan(catalogue, model, root), 1, root=root)
    path = made.path / VECTORS_FILE
    assert [pq.ParquetFile(path).metadata.row_group(group).num_rows for group in range(3)] == [10, 10, 10]
    content = bytearray(path.read_bytes())
    spot = content.find(np.ascontiguousarray(vectors(made)[7]).tobytes())
    content[spot] ^= 1
    path.write_bytes(content)
    with pytest.raises(OSError, match="CRC checksum"):
        pq.read_table(path, page_checksum_verification=True)


def test_a_shard_is_embedded_once(catalogue: Path, model: Path, root: Path, encoded: list[str]) -> None:
    """A second trigger must cost seconds, not the hours of an embedding."""
    first = embed(plan(catalogue, model, root), 0, root=root)
    count = len(encoded)
    second = embed(plan(catalogue, model, root), 0, root=root)
    assert second.reused
    assert second.path == first.path
    assert len(encoded) == count == 30


def test_equal_texts_of_a_shard_are_embedded_once(
    make_catalogue: MakeCatalogue, model: Path, root: Path, encoded: list[str]
) -> None:
    """Real catalogues repeat texts; across row groups too."""
    rows = [row._replace(uid=f"U{n}") for n, row in enumerate([*products(8), *products(8), *products(14)])]
    made = embed(plan(make_catalogue(rows), model, root, 1), 0, root=root)
    assert sorted(encoded) == sorted({product_text(row.title, row.content) for row in rows})
    assert (made.stats["embedded"], made.stats["copied"]) == (14, 16)
    found = vectors(made)
    np.testing.assert_array_equal(found[:8], found[8:16])
    np.testing.assert_array_equal(found[:8], found[16:24])


def test_an_unchanged_shard_of_a_changed_catalogue_is_reused(
    catalogue: Path, make_catalogue: MakeCatalogue, model: Path, root: Path, encoded: list[str]
) -> None:
    """A new catalogue with one changed product must not embed the other shards again."""
    before = [embed(plan(catalogue, model, root), shard, root=root) for shard in (0, 1)]
    encoded.clear()
    rows = products(60)
    rows[45] = rows[45]._replace(content="What is made of glass is new.")
    changed = plan(make_catalogue(rows), model, root)
    assert embed(changed, 0, root=root).path == before[0].path
    after = embed(changed, 1, root=root)
    assert encoded == [product_text(rows[45].title, rows[45].content)]
    assert (after.stats["embedded"], after.stats["copied"]) == (1, 29)
    same = np.arange(30) != 15
    np.testing.assert_array_equal(vectors(after)[same], vectors(before[1])[same])
    assert not np.array_equal(vectors(after)[15], vectors(before[1])[15])


def test_known_vectors_follow_their_text_wherever_it_moves(
    catalogue: Path, make_catalogue: MakeCatalogue, model: Path, root: Path, encoded: list[str]
) -> None:
    """Reordered rows cross row groups and shards: a copy by position would mix products up."""
    for shard in (0, 1):
        embed(plan(catalogue, model, root), shard, root=root)
    encoded.clear()
    rows = products(60)
    order = np.random.default_rng(3).permutation(60)
    made = embed(plan(make_catalogue([rows[row] for row in order]), model, root, 1), 0, root=root)
    assert encoded == []
    assert (made.stats["embedded"], made.stats["copied"], made.stats["tokens_per_second"]) == (0, 60, 0.0)
    expected = Encoder.load(model).encode([product_text(rows[row].title, rows[row].content) for row in order])
    assert (vectors(made) * expected).sum(axis=1).min() > 0.999


def test_another_models_vectors_are_never_copied(
    catalogue: Path, model: Path, root: Path, tmp_path: Path, encoded: list[str]
) -> None:
    """Vectors of two models in one index make nonsense of every cosine."""
    from tests.small import write_tiny_base

    embed(plan(catalogue, model, root), 0, root=root)
    encoded.clear()
    other = publish_model(root, write_tiny_base(tmp_path / "other", seed=1))
    made = embed(plan(catalogue, other, root), 0, root=root)
    assert len(encoded) == 30
    assert made.stats["copied"] == 0
    assert made.inputs["model"] != artifacts.read(model).fingerprint


def test_a_damaged_older_embedding_is_not_copied(
    catalogue: Path, make_catalogue: MakeCatalogue, model: Path, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A flipped bit must neither spread into later versions nor stop them."""
    old = embed(plan(catalogue, model, root, 1), 0, root=root)
    good = vectors(old)
    path = old.path / VECTORS_FILE
    content = bytearray(path.read_bytes())
    content[content.find(good[13].tobytes())] ^= 64
    path.write_bytes(content)
    made = embed(plan(make_catalogue([*products(60), Product("new", "red lamp", "")]), model, root, 1), 0, root=root)
    assert (made.stats["embedded"], made.stats["copied"]) == (11, 50)
    assert (vectors(made)[:60] * good).sum(axis=1).min() > 0.999
    assert "is damaged, its texts are embedded again" in caplog.text


def test_uids_count_even_where_texts_are_equal(make_catalogue: MakeCatalogue, model: Path, root: Path) -> None:
    """The file holds uids: equal texts under other uids are another artifact."""
    rows = products(20)
    renamed = [row._replace(uid=f"X{row.uid}") for row in rows]
    first = embed(plan(make_catalogue(rows), model, root, 1), 0, root=root)
    second = embed(plan(make_catalogue(renamed), model, root, 1), 0, root=root)
    assert first.path != second.path
    assert second.stats["embedded"] == 0
    assert pq.read_table(second.path / VECTORS_FILE)["uid"].to_pylist() == [row.uid for row in renamed]


def test_the_size_of_a_batch_does_not_shape_the_vectors(catalogue: Path, model: Path, root: Path) -> None:
    """It is in no fingerprint, so it must not change what is stored beyond rounding."""
    opened = plan(catalogue, model, root)
    small = vectors(embed(opened, 0, root=root, batch_tokens=64))
    for path in artifacts.published(root, kinds.EMBEDDING):
        removal.discard(path)
    large = vectors(embed(opened, 0, root=root, batch_tokens=8192))
    assert (small * large).sum(axis=1).min() > 0.9999


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 2.0])
def test_broken_vectors_are_refused(
    catalogue: Path, model: Path, root: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    """NaN in an index answers no question and raises no error."""
    encode = Encoder.encode_ids

    def broken(self: Encoder, ids: Sequence[np.ndarray], **options: Any) -> np.ndarray:
        made = encode(self, ids, **options)
        made[3] *= value
        return made

    monkeypatch.setattr(Encoder, "encode_ids", broken)
    with pytest.raises(BadModel, match="1 of 10 vectors of shard 0, row group 1 of 3"):
        embed(plan(catalogue, model, root), 0, root=root)
    assert artifacts.published(root, kinds.EMBEDDING) == []


def test_a_shard_that_is_not_planned_is_refused(catalogue: Path, model: Path, root: Path) -> None:
    """A stale task must not embed some other rows."""
    with pytest.raises(BadSettings, match="Shard 5"):
        embed(plan(catalogue, model, root), 5, root=root)


def test_progress_counts_rows_to_the_end(catalogue: Path, model: Path, root: Path) -> None:
    """A bar that stops at 97 % looks like a hang."""
    shots: list[dict[str, Any]] = []
    embed(plan(catalogue, model, root), 0, root=root, sink=shots.append)
    assert shots[0]["done"] == 0
    assert shots[-1] | {"rate": 0, "seconds_left": 0, "tokens_per_second": 0} == {
        "stage": "embed shard 0", "unit": "rows", "done": 30, "total": 30,
        "rate": 0, "seconds_left": 0, "tokens_per_second": 0,
    }  # fmt: skip


def test_shards_of_one_row_group_each_hold_everything(model: Path, root: Path) -> None:
    """The last row group is short; nothing may be lost at borders."""
    opened = plan(write_catalogue(root, products(25)), model, root, 3)
    uids = [
        uid
        for shard in range(3)
        for uid in pq.read_table(embed(opened, shard, root=root).path / VECTORS_FILE)["uid"].to_pylist()
    ]
    assert uids == [row.uid for row in products(25)]
