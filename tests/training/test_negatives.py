"""Hard negatives: near by the live index's own opinion, never the product itself, never a known positive's gradient."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from include import stages
from include.core import artifacts, kinds
from include.core.errors import StoreUnavailable
from include.core.forms import pipeline_settings
from include.core.index_settings import IndexSettings
from include.core.settings import EvaluateSettings
from include.core.train_settings import TrainSettings
from include.run import Run
from include.store.stores import open_store
from include.training.negatives import FILE, HardNegatives, MinedIndex, choose, mine, mine_live
from include.training.pairs import find_pairs
from tests.indexed import build_version, day, evaluation
from tests.small import products, write_catalogue


def settings(base: Path, **changes: Any) -> TrainSettings:
    return TrainSettings(base_model=str(base), holdout=10, max_tokens=32, precision="float32", **changes)


def test_the_product_itself_and_what_is_as_near_are_left_out() -> None:
    """Another listing of the same product, taken as a negative, teaches the model to tell twins apart."""
    hits = [("twin", 0.91), ("own", 0.9), ("near", 0.8), ("nearer than far", 0.7), ("far", 0.1)]
    assert choose("own", hits, 2) == ["near", "nearer than far"]
    assert choose("own", hits, 9) == ["near", "nearer than far", "far"]
    assert choose("gone from the index", hits, 1) == ["near"]
    assert choose("own", [], 3) == []


def test_negatives_are_what_the_search_gave_by_row(catalogue: Path, model: Path, root: Path) -> None:
    """A shifted row would make every product's negatives another one's."""
    rows = products(60)
    asked: list[tuple[int, ...]] = []

    def search(vector: np.ndarray, k: int) -> list[tuple[str, float]]:
        asked.append(vector.shape)
        number = (len(asked) - 1) % 60
        return [
            (rows[number].uid, 1.0),
            ("not in the catalogue", 0.9),
            *((rows[(number + n) % 60].uid, 0.5) for n in (7, 9)),
        ]

    made = mine(catalogue, MinedIndex("v", model, search), 2, root=root)
    assert asked == [(32,)] * 60
    found = pq.read_table(made.path / FILE)["rows"].to_pylist()
    assert found[:3] == [[7], [8], [9]], "one of the two nearest has gone; it must not become another product"
    assert mine(catalogue, MinedIndex("v", model, search), 2, root=root).reused
    assert not mine(catalogue, MinedIndex("another", model, search), 2, root=root).reused


def test_contents_stand_against_contents_and_titles_against_titles(
    catalogue: Path, model: Path, root: Path, tiny_base: Path
) -> None:
    """A title among contents is told apart by its length: no lesson."""
    rows = products(60)

    def search(_: np.ndarray, __: int) -> list[tuple[str, float]]:
        return [(rows[20].uid, 0.5)]

    path = mine(catalogue, MinedIndex("v", model, search), 1, root=root).path
    # The title asked for is not among the hits, so the best hit stands for it, and is as near as itself.
    assert not len(HardNegatives.open(path).rows.values)

    def wider(_: np.ndarray, __: int) -> list[tuple[str, float]]:
        return [(rows[20].uid, 1.0), (rows[30].uid, 0.5)]

    hard = HardNegatives.open(mine(catalogue, MinedIndex("w", model, wider), 1, root=root).path)
    pairs = find_pairs(catalogue, settings(tiny_base, related_share=1.0))
    own = pairs.right_product == pairs.left_product
    for kind, name in ((own, "content"), (~own, "title")):
        text, product = hard.of(pairs, np.flatnonzero(kind)[:5])
        assert text.tolist() == [pairs.columns["products.parquet", name][30]]
        assert product.tolist() == [30]
    assert set(hard.texts(pairs)) >= {pairs.columns["products.parquet", name][30] for name in ("title", "content")}


def test_a_known_positive_is_masked_among_the_negatives_too(catalogue: Path, root: Path, tiny_base: Path) -> None:
    """Products that share a label are related: mined as negatives, they would be pushed apart all the same."""
    pairs = find_pairs(catalogue, settings(tiny_base))
    batch = np.flatnonzero(pairs.right_product == pairs.left_product)[:4]
    own = pairs.left_product[batch[0]]
    sharing, other = own + 5, own + 6  # tests.small: label is number % 5
    texts = pairs.columns["products.parquet", "content"][[sharing, other]]
    known = pairs.known_positives(batch, texts, np.array([sharing, other]))
    assert known.shape == (4, 6)
    assert known[0, 4]
    assert not known[0, 5]
    np.testing.assert_array_equal(known[:, :4], pairs.known_positives(batch))


def test_without_a_live_index_training_goes_without_and_says_so(
    catalogue: Path, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The very first run has no index to ask; it must not fail, and must not be silent."""
    with caplog.at_level(logging.WARNING):
        assert mine_live(catalogue, 3, open_store(IndexSettings(), root=root), root=root) is None
    assert "without hard negatives" in caplog.text


def test_fine_tune_mines_the_live_index_and_unchanged_data_is_not_trained_on_again(
    root: Path,
    catalogue: Path,
    model: Path,
    tiny_base: Path,
    caplog: pytest.LogCaptureFixture,
    training_here: None,
) -> None:
    """Each model makes another index, each index other negatives: a schedule would train for ever."""
    from include.publishing.publish import Release, publish

    index = IndexSettings()
    store = open_store(index, root=root)
    version = build_version(root, catalogue, model, index)
    gate = evaluation(root, model)
    publish(Release(version.path, gate, day(1), "one"), index, EvaluateSettings(), store, root=root)
    chosen = pipeline_settings({"base_model": str(tiny_base), "holdout": 10, "max_steps": 2, "hard_negatives": 2,
                                "batch_size": 8, "max_tokens": 32, "precision": "float32"})  # fmt: skip
    run = Run(chosen, root, "run", day(2))
    made = stages.fine_tune(run, {"path": str(catalogue)})
    trained = artifacts.read(Path(made["path"]))
    (mined,) = artifacts.published(root, kinds.NEGATIVES)
    assert trained.inputs["negatives"] == mined.name
    assert artifacts.read(mined).stats["negatives"] > 60
    with caplog.at_level(logging.INFO):
        again = stages.fine_tune(replace(run, run_id="next"), {"path": str(catalogue)})
    assert again["fingerprint"] == made["fingerprint"]
    assert "neither the catalogue nor a setting of training has changed" in caplog.text
    weights = trained.path / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    caplog.clear()
    mended = stages.fine_tune(replace(run, run_id="after a bad disk"), {"path": str(catalogue)})
    assert "It is passed over." in caplog.text
    assert (mended["fingerprint"], mended["reused"]) == (made["fingerprint"], False)
    other = write_catalogue(root, products(59))
    assert stages.fine_tune(run, {"path": str(other)})["fingerprint"] != made["fingerprint"]


def test_a_store_that_is_down_is_a_transient_error(catalogue: Path, root: Path) -> None:
    """The task is retried; training without the negatives that were asked for would be another training."""

    class Down:
        def live(self) -> str:
            raise StoreUnavailable("The store did not answer.", "Retry.")

    with pytest.raises(StoreUnavailable):
        mine_live(catalogue, 3, Down(), root=root)  # type: ignore[arg-type]
