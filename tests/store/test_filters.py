"""Filters: both stores find what pandas finds, over 50 random filters; facets are pandas' counts; recall holds."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import qdrant_edge

from include.core.errors import BadFilter
from include.core.index_settings import IndexSettings
from include.store.connection import ServerConnection
from include.store.edge import EdgeStore
from include.store.filter_text import parse
from include.store.filters import counted
from include.store.searcher import Searcher
from include.store.server import ServerStore
from tests.index.points import vectors, version_id
from tests.small import products
from tests.store.filtered import ATTRIBUTES, load_described, random_filters, some_values
from tests.store.stub_server import Reply, Request, ok, optimisations, stub_server

COUNT, VERSION = 600, version_id("filtered")
ROWS, VALUES, VECTORS = products(COUNT), some_values(COUNT), vectors(COUNT)
FRAME = pd.DataFrame(VALUES)
FILTERS = random_filters(FRAME, 50)
NAMES = [attribute.name for attribute in counted(["brand", "色", "in_stock"], ATTRIBUTES)]

# what the client's simulation says about itself
pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact"),
]


@pytest.fixture(scope="module", params=["edge", "server"])
def searcher(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searcher]:
    """The products in two shards of each store; the server's is the client's simulation."""
    store: Any = EdgeStore(IndexSettings(), root=tmp_path_factory.mktemp("filtered"))
    if request.param == "server":
        store = ServerStore(IndexSettings(store="server"), ServerConnection(location=":memory:"), poll=0.01)
    summaries = load_described(store, VERSION, ROWS, VECTORS, VALUES)
    with closing(store.open(VERSION, summaries)) as opened:
        yield opened


@pytest.mark.parametrize(("text", "holds"), FILTERS, ids=[text for text, _ in FILTERS])
def test_every_search_finds_the_matching_products_alone(
    text: str, holds: "pd.Series[bool]", searcher: Searcher
) -> None:
    """A product that the customer has ruled out must not come back by any way in, nor one that fits be lost."""
    where = parse(text, ATTRIBUTES)
    matching = {ROWS[number].uid for number in np.flatnonzero(holds)}
    assert searcher.count(where) == len(matching)
    query, words = VECTORS[7], "red kettle"
    assert {hit.uid for hit in searcher.dense(query, COUNT, where=where)} == matching
    by_words = {hit.uid for hit in searcher.bm25(words, COUNT)} & matching
    assert {hit.uid for hit in searcher.bm25(words, COUNT, where=where)} == by_words
    assert {hit.uid for hit in searcher.hybrid(query, words, COUNT, where=where)} == matching
    first = [hit.uid for hit in searcher.hybrid(query, words, 10, where=where)]
    assert len(first) == min(10, len(matching))
    assert set(first) <= matching


def test_facets_are_pandas_counts(searcher: Searcher) -> None:
    """A count beside a value that is not what the value's filter then finds misleads."""
    for where, frame in [(None, FRAME), *((parse(text, ATTRIBUTES), FRAME[holds]) for text, holds in FILTERS[:10])]:
        found = searcher.facets(counted(NAMES, ATTRIBUTES), where)
        for name in NAMES:
            expected = frame[name].explode().value_counts() if len(frame) else pd.Series(dtype=int)
            assert dict(found[name]) == expected.to_dict()
            assert found[name] == sorted(found[name], key=lambda item: (-item[1], str(item[0])))


def test_hits_carry_their_attributes(searcher: Searcher) -> None:
    """A source shows the price that the filter went by."""
    [hit] = searcher.dense(VECTORS[3], 1)
    stored = searcher.fetch([ROWS[3].uid])[ROWS[3].uid][1]["attributes"]
    assert hit.attributes == stored
    given = {name: value for name, value in VALUES[3].items() if value is not None}
    assert hit.attributes == {
        **given,
        **({"released": f"{given['released']:%Y-%m-%dT%H:%M:%SZ}"} if "released" in given else {}),
    }


def test_hybrids_second_look_is_filtered_too(searcher: Searcher) -> None:
    """What BM25 alone found gets its cosine by its id: that way in must not bring back what is ruled out."""
    far = next(row for row in np.argsort(VECTORS @ VECTORS[0]) if VALUES[row]["price"])
    word, price = ROWS[far].title.split()[-1], VALUES[far]["price"]
    for text, found in (f"price <= {price}", True), (f"price > {price}", False):
        hits = searcher.hybrid(VECTORS[0], word, 5, bm25_weight=1.0, where=parse(text, ATTRIBUTES))
        assert (ROWS[far].uid in {hit.uid for hit in hits}) is found
        assert len(hits) == 5


def test_recall_of_a_filtered_search_through_the_graph(root: Path) -> None:
    """The graph's walk can lose its way among points that are ruled out: at least 0.99 of the exact ten."""
    count, dim = 6000, 768  # over 10 MB: less is searched exactly
    rows, values, held = products(count), some_values(count, seed=5), vectors(count, dim=dim)
    held += 2 * vectors(16, seed=9, dim=dim)[np.arange(count) % 16]  # products come in families
    held /= np.linalg.norm(held, axis=1, keepdims=True)
    store = EdgeStore(IndexSettings(), root=root)
    frame = pd.DataFrame(values)
    recalls = []
    with closing(store.open(VERSION, load_described(store, VERSION, rows, held, values, shards=1))) as searcher:
        for number, (text, holds) in enumerate(random_filters(frame, 50, seed=11)):
            matching = np.flatnonzero(holds)
            query = held[number] + vectors(1, seed=number, dim=dim)[0]
            query /= np.linalg.norm(query)
            exact = {rows[row].uid for row in matching[np.argsort(-(held[matching] @ query))[:10]]}
            found = {hit.uid for hit in searcher.dense(query, 10, where=parse(text, ATTRIBUTES))}
            assert found <= {rows[row].uid for row in matching}
            if exact:
                recalls.append(len(found & exact) / len(exact))
        through_the_graph = sum(int(holds.sum()) > 10e6 / (4 * dim) for _, holds in random_filters(frame, 50, seed=11))
    assert through_the_graph >= 10
    assert np.mean(recalls) >= 0.99


def collection_of_two_sonys(request: Request) -> Reply:
    """What a server says of an indexed collection."""
    path = request.path
    if path == "/":
        return 200, {"title": "qdrant", "version": "1.20.1"}
    if path.endswith("/exists"):
        return ok({"exists": True})
    if path.endswith("/facet"):
        return ok({"hits": [{"value": "Sony", "count": 2}]})
    if path.endswith("/optimizations"):
        return optimisations()
    if request.method == "PATCH":
        return ok(True)
    if request.method == "GET":
        params = {"vectors": {"size": VECTORS.shape[1], "distance": "Cosine"}}
        hnsw = {"m": 16, "ef_construct": 128, "full_scan_threshold": 10000}
        optimizer = {"default_segment_number": 0, "flush_interval_sec": 5}
        config = {"params": params, "hnsw_config": hnsw, "optimizer_config": optimizer}
        state = {"status": "green", "optimizer_status": "ok", "indexed_vectors_count": 4, "segments_count": 1}
        return ok({**state, "points_count": 4, "config": config, "payload_schema": {}})
    return ok({"operation_id": 1, "status": "completed"})


def test_a_server_is_told_the_indexes_and_the_filter_in_its_own_form() -> None:
    """Without a payload index the server reads every payload; names beyond ASCII must be quoted in a path."""
    with stub_server(collection_of_two_sonys) as stub:
        store = ServerStore(IndexSettings(store="server"), ServerConnection(stub.url, timeout=5), poll=0.01)
        load_described(store, VERSION, ROWS[:4], VECTORS[:4], VALUES[:4], shards=1)
        with closing(store.open(VERSION, [])) as searcher:
            found = searcher.facets(counted(["brand"], ATTRIBUTES), parse('größe > 2 and brand = "Sony"', ATTRIBUTES))
    assert found == {"brand": [("Sony", 2)]}
    made = {
        each.body["field_name"]: each.body["field_schema"] for each in stub.requests if each.path.endswith("/index")
    }
    assert {
        path.partition('"')[2].rstrip('"'): kind for path, kind in made.items() if path.startswith("attributes")
    } == {
        **{"brand": "keyword", "größe": "float", "price": "float", "released": "datetime"},
        **{"in_stock": "bool", "色": "keyword", "note": "text"},
    }
    [asked] = [request.body for request in stub.requests if request.path.endswith("/facet")]
    assert (asked["key"], asked["exact"]) == ('attributes."brand"', True)
    assert asked["filter"]["must"] == [
        {"key": 'attributes."größe"', "range": {"gt": 2.0}},
        {"key": 'attributes."brand"', "match": {"value": "Sony"}},
    ]


@pytest.mark.parametrize("name", ["price", "released", "note"])
def test_what_has_no_counts_is_refused(name: str) -> None:
    """The engine would say that an index is missing, which nobody can mend."""
    with pytest.raises(BadFilter, match=f"{name} is of type"):
        counted([name], ATTRIBUTES)


def test_values_are_counted_without_the_engines_slow_exact_way(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A keyword that differs in each product took 0.7 s to count, with every question of the Ask page."""
    asked = []
    real = qdrant_edge.FacetRequest

    def request(*given: Any, **named: Any) -> Any:
        asked.append((named["exact"], named["limit"]))
        return real(*given, **named)

    monkeypatch.setattr(qdrant_edge, "FacetRequest", request)
    store = EdgeStore(IndexSettings(), root=root)
    with closing(store.open(VERSION, load_described(store, VERSION, ROWS[:9], VECTORS[:9], VALUES[:9]))) as searcher:
        searcher.facets(counted(["brand"], ATTRIBUTES))
    assert asked == [(False, 10_000)]
