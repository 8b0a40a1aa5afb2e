"""A version of which little changed is made of the live one's shards, and holds what one built as a whole holds."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.catalogue.attributes import Attribute
from include.core import artifacts, removal
from include.core.index_settings import IndexSettings
from include.core.settings import EmbedSettings
from include.index.embed import embed
from include.index.plan import plan_shards
from include.index.upsert import upsert
from include.store.edge import EdgeStore
from include.store.searcher import Searcher
from include.store.version import IndexVersion
from tests.indexed import ATTRIBUTES, build_version
from tests.small import Product, products, write_catalogue

INDEX = IndexSettings()
COUNT = 400
WORDS = ["red kettle", "number 17", "glass", "velvet curtain", "weighs kg", "it"]
Values = list[dict[str, Any]]


def sold(rows: Sequence[Product]) -> Values:
    return [{"brand": ["Sony", "LG"][len(row.title) % 2], "price": float(len(row.content))} for row in rows]


def changed(rows: Sequence[Product], values: Values) -> tuple[list[Product], Values]:
    """Another text, another price, one product gone from each shard, one more."""
    now, prices = list(rows), [dict(each) for each in values]
    now[3] = now[3]._replace(title="velvet curtain")
    prices[250]["price"] = 1.0
    for row in (399, 7):
        del now[row], prices[row]
    return [*now, Product("new", "glass velvet", "It is new.")], [*prices, {"brand": "LG", "price": None}]


def described(root: Path, rows: Sequence[Product], values: Values) -> Path:
    return write_catalogue(root, rows, row_group_rows=200, attributes=ATTRIBUTES[:2], values=values)


def live(root: Path, catalogue: Path, model: Path) -> EdgeStore:
    """A store in which a version of this catalogue is live."""
    store = EdgeStore(INDEX, root=root)
    store.set_live(build_version(root, catalogue, model).fingerprint)
    return store


def found(searcher: Searcher, rows: Sequence[Product], attributes: Sequence[Attribute]) -> dict[str, Any]:
    """All that can be told of an index from outside; every hit, since of equal ones any may be among the best."""
    held = searcher.fetch([row.uid for row in rows])
    vectors = np.stack([held[row.uid][0] for row in rows])
    return {
        "points": searcher.count(),
        "payloads": {uid: payload for uid, (_, payload) in held.items()},
        "words": [searcher.bm25(text, COUNT) for text in WORDS],
        "facets": searcher.facets(attributes),
        "near": [{hit.uid: hit.score for hit in searcher.dense(vector, COUNT)} for vector in vectors[:20]],
    }


def assert_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    """But for rounding, by which vectors differ that were embedded in other batches."""
    assert {**one, "near": ()} == {**other, "near": ()}
    for found, expected in zip(one["near"], other["near"], strict=True):
        assert found == pytest.approx(expected, abs=1e-3)


def all_of(root: Path, version: artifacts.Artifact, rows: Sequence[Product]) -> dict[str, Any]:
    store, made = EdgeStore(INDEX, root=root), IndexVersion.read(version.path)
    with closing(store.open(made.name, made.shards, language=made.language)) as searcher:
        return found(searcher, rows, made.attributes[:1])


def stats(root: Path, version: artifacts.Artifact) -> list[Mapping[str, Any]]:
    return [artifacts.read(root / shard["path"]).stats for shard in IndexVersion.read(version.path).shards]


def test_what_changed_goes_into_copies_of_the_live_shards(root: Path, tmp_path: Path, model: Path) -> None:
    """The whole point: minutes for a shop's nightly change. And a word's rarity must be that of today's products."""
    rows = products(COUNT)
    values = sold(rows)
    store = live(root, described(root, rows, values), model)
    before = {path: artifacts.file_sha256(path) for path in (root / "edge").glob("[!.]*/**/*") if path.is_file()}
    now, prices = changed(rows, values)
    version = build_version(root, described(root, now, prices), model, store=store)
    assert [each["changed"] for each in stats(root, version)] == [2, 3], "one moved from the second to the first"
    shutil.copytree(root / "model", tmp_path / "whole" / "model")
    again = tmp_path / "whole" / model.relative_to(root)
    whole = build_version(tmp_path / "whole", described(tmp_path / "whole", now, prices), again)
    assert all("changed" not in each for each in stats(tmp_path / "whole", whole))
    assert_equal(all_of(root, version, now), all_of(tmp_path / "whole", whole, now))
    assert {path: artifacts.file_sha256(path) for path in before} == before, "the live version stays as it is"


def test_products_that_only_went_leave_no_words_behind(root: Path, tmp_path: Path, model: Path) -> None:
    """The engine leaves what was deleted in the statistics of BM25, until it writes the shard anew."""
    rows = products(COUNT)
    store = live(root, write_catalogue(root, rows, row_group_rows=COUNT), model)
    version = build_version(root, write_catalogue(root, rows[:-9], row_group_rows=COUNT), model, store=store, shards=1)
    shutil.copytree(root / "model", tmp_path / "whole" / "model")
    catalogue = write_catalogue(tmp_path / "whole", rows[:-9], row_group_rows=COUNT)
    whole = build_version(tmp_path / "whole", catalogue, tmp_path / "whole" / model.relative_to(root), shards=1)
    assert [each.get("changed") for each in stats(root, version)] == [9]
    assert_equal(all_of(root, version, rows[:-9]), all_of(tmp_path / "whole", whole, rows[:-9]))


def test_a_shard_is_built_as_a_whole_before_a_fifth_of_it_was_mended(root: Path, model: Path) -> None:
    """A graph mended for years finds less; and from some share on, mending takes longer than building."""
    rows = products(100)
    store = live(root, write_catalogue(root, rows, row_group_rows=100), model)
    counts = []
    for night in range(3):
        rows[night * 8 : night * 8 + 8] = [row._replace(title=f"night {night}") for row in rows[night * 8 :][:8]]
        version = build_version(root, write_catalogue(root, rows, row_group_rows=100), model, store=store)
        store.set_live(version.fingerprint)
        counts += [each.get("changed") for each in stats(root, version)]
    assert counts == [8, 16, None]


def other_language(root: Path, _: Path) -> dict[str, Any]:
    return {"index": IndexSettings(language="german")}


def damaged(root: Path, _: Path) -> dict[str, Any]:
    matrix = next((root / "edge").rglob("matrix.dat"))
    content = bytearray(matrix.read_bytes())
    content[40] ^= 1
    matrix.write_bytes(content)
    return {}


def gone(root: Path, _: Path) -> dict[str, Any]:
    for path in (root / "edge").glob("[!.]*"):
        removal.discard(path)
    return {}


def no_catalogue(root: Path, catalogue: Path) -> dict[str, Any]:
    shutil.rmtree(catalogue)
    return {}


@pytest.mark.parametrize("spoil", [other_language, damaged, gone, no_catalogue])
def test_where_the_live_shard_cannot_serve_the_new_one_is_built_as_a_whole(
    root: Path, model: Path, spoil: Callable[[Path, Path], dict[str, Any]]
) -> None:
    """Damage must not be copied from version to version, and its loss must not stop the shop's update."""
    rows = products(60)
    catalogue = write_catalogue(root, rows, row_group_rows=60)
    store = live(root, catalogue, model)
    index = spoil(root, catalogue).get("index", INDEX)
    rows[5] = rows[5]._replace(content="It is of velvet.")
    plan = plan_shards(write_catalogue(root, rows, row_group_rows=60), model, EmbedSettings(), index, root=root)
    shard = upsert(plan.path, 0, embed(plan.path, 0, root=root).path, index, store, root=root)
    assert "changed" not in artifacts.read(root / shard["path"]).stats
    with closing(store.open("any", [shard])) as searcher:
        assert (searcher.count(), searcher.bm25("velvet", 1)[0].uid) == (60, rows[5].uid)
