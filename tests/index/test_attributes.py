"""A catalogue's attributes on their way into an index: payloads, indexes, `version.json`, and what a change costs."""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from include.core import artifacts
from include.core.errors import VerificationFailed
from include.core.index_settings import IndexSettings
from include.index.verify import verify
from include.store.filter_text import parse
from include.store.stores import open_store
from include.store.terms import Terms
from include.store.version import IndexVersion
from tests.indexed import ATTRIBUTES, ROWS, VALUES, load
from tests.small import write_catalogue

INDEX = IndexSettings()


def build(
    root: Path, model: Path, values: Sequence[Mapping[str, object]] = VALUES
) -> tuple[Path, list[dict[str, Any]]]:
    """A loaded version of the products with these values: its plan and summaries."""
    return load(root, write_catalogue(root, ROWS, attributes=ATTRIBUTES, values=values), model, INDEX)


def test_attributes_go_from_the_catalogue_into_the_version(model: Path, root: Path) -> None:
    """What the file said of a product is what the index filters by and shows."""
    store = open_store(INDEX, root=root)
    plan, summaries = build(root, model)
    made = verify(plan, summaries, INDEX, store, root=root)
    version = IndexVersion.read(made.path)
    assert version.attributes == ATTRIBUTES
    with closing(store.open(version.name, version.shards, language=version.language)) as searcher:
        stored = {uid: payload for uid, (_, payload) in searcher.fetch([row.uid for row in ROWS]).items()}
        where = parse('brand = "LG" and price < 10 and tags = "red"', version.attributes)
        found = {hit.uid for hit in searcher.bm25("number", 40, where=where)}
    first, seventh = stored[ROWS[0].uid]["attributes"], stored[ROWS[7].uid]["attributes"]
    assert first == {"brand": "Sony", "price": 0.5, "released": "2024-01-01T00:00:00Z", "in_stock": True}
    assert seventh == {"brand": "LG", "price": 7.5, "tags": ["new"], "released": "2024-01-08T00:00:00Z"}
    assert stored[ROWS[0].uid]["text"] == Terms(str(version.language)).product(ROWS[0].title, ROWS[0].content)
    assert found == {ROWS[5].uid}


def test_a_changed_attribute_makes_its_shard_anew_and_embeds_nothing(model: Path, root: Path) -> None:
    """A new price must reach the index; new vectors of the same texts would cost hours."""
    _, first = build(root, model)
    embedded = set((root / "embedding").iterdir())
    cheaper = [{**each, "price": 1.0} if number == 39 else each for number, each in enumerate(VALUES)]
    _, second = build(root, model, cheaper)
    assert set((root / "embedding").iterdir()) == embedded
    assert [old["path"] == new["path"] for old, new in zip(first, second, strict=True)] == [True, False]
    with closing(open_store(INDEX, root=root).open("any", second)) as searcher:
        assert searcher.fetch([ROWS[39].uid])[ROWS[39].uid][1]["attributes"]["price"] == 1.0


def test_a_shard_with_other_attributes_is_found_out(model: Path, root: Path) -> None:
    """A filter over stale prices hides products without a trace."""
    plan, _ = build(root, model)
    _, stale = build(root, model, [{**each, "price": 1.0} for each in VALUES])
    with pytest.raises(VerificationFailed, match="has attributes"):
        verify(plan, stale, INDEX, open_store(INDEX, root=root), root=root)


def test_a_catalogue_without_attributes_leaves_no_trace_of_them(model: Path, root: Path) -> None:
    """Versions and shards made before there were attributes stay what they are."""
    plan, summaries = load(root, write_catalogue(root, ROWS), model, INDEX)
    made = verify(plan, summaries, INDEX, open_store(INDEX, root=root), root=root)
    assert "attributes" not in json.loads((made.path / "version.json").read_bytes())
    assert artifacts.read(root / summaries[0]["path"]).inputs.keys() == {"embedding", "language"}
    assert IndexVersion.read(made.path).attributes == []
