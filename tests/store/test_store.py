"""One suite for every store: Edge, here and searched apart, the client's simulation, a real server at QDRANT_URL."""

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from include.core.errors import Terminal, UnknownVersion
from include.core.index_settings import IndexSettings
from include.store.apart import Processes
from include.store.connection import ServerConnection
from include.store.protocol import Store, point_id
from include.store.server import ServerStore
from include.store.stores import open_store
from tests.index.points import DIM, batches, build, load, vectors, version_id, write_version
from tests.small import Product, products

# what the client's simulation says about itself
pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact"),
]


@pytest.fixture(params=["edge", "apart", "memory", "server"])
def index(request: pytest.FixtureRequest) -> IndexSettings:
    if request.param in ("edge", "apart"):
        return IndexSettings(collection="products")
    if request.param == "server" and not os.environ.get("QDRANT_URL"):
        pytest.skip("QDRANT_URL is not set: no real Qdrant server to test against")
    # a server keeps what earlier tests left
    return IndexSettings(store="server", collection=f"test-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def store(request: pytest.FixtureRequest, index: IndexSettings, root: Path) -> Iterator[Store]:
    kind = request.node.callspec.params["index"]
    server = None
    if kind == "memory":
        server = ServerConnection(location=":memory:")
    elif kind == "server":
        server = ServerConnection(os.environ["QDRANT_URL"], api_key=os.environ.get("QDRANT_API_KEY"))
    processes = Processes(2) if kind == "apart" else None
    opened = open_store(index, root=root, server=server, processes=processes)
    if isinstance(opened, ServerStore):
        opened.poll = 0.01 if kind == "memory" else opened.poll
    yield opened
    if processes is not None:
        processes.close()
    if isinstance(opened, ServerStore):
        for version in opened.versions():
            opened._client.delete_collection(opened.collection(version))
        opened._client.close()


def test_upserting_twice_changes_nothing(store: Store, index: IndexSettings, root: Path) -> None:
    """A retry, or a second run, must not duplicate points or change vectors."""
    version, first, rows, values = build(store, root, "a", index)
    with_first = store.open(version, first)
    before = with_first.fetch([row.uid for row in rows])
    with_first.close()
    second = load(store, version, rows, values, index)
    again = store.open(version, second)
    try:
        assert [shard["points"] for shard in second] == [shard["points"] for shard in first] == [100, 100]
        assert again.count() == 200
        after = again.fetch([row.uid for row in rows])
    finally:
        again.close()
    assert before.keys() == after.keys()
    for uid, (vector, payload) in before.items():
        np.testing.assert_allclose(after[uid][0], vector, atol=1e-6)  # the simulation normalises once more
        assert after[uid][1] == payload


def test_summaries_are_json_and_count_the_points(store: Store, index: IndexSettings, root: Path) -> None:
    """Summaries travel between tasks as JSON; a lost count would pass unseen."""
    _, summaries, _, _ = build(store, root, "a", index, count=50)
    assert json.loads(json.dumps(summaries)) == summaries
    assert [(shard["shard"], shard["points"]) for shard in summaries] == [(0, 25), (1, 25)]


def test_fetch_returns_vectors_and_payloads_as_given(store: Store, index: IndexSettings, root: Path) -> None:
    """A store that changed a vector or a text would answer wrongly without any error."""
    version, summaries, rows, values = build(store, root, "a", index)
    searcher = store.open(version, summaries)
    found = searcher.fetch([*(row.uid for row in rows), "no-such-uid"])
    searcher.close()
    assert found.keys() == {row.uid for row in rows}
    for row, value in zip(rows, values, strict=True):
        vector, payload = found[row.uid]
        assert vector.dtype == np.float32
        np.testing.assert_allclose(vector, value, atol=1e-6)
        assert payload == {
            "uid": row.uid,
            "title": row.title,
            "content": row.content,
            "text": f"{row.title}. {row.content}",
        }


def test_dense_search_finds_a_stored_vector_first(store: Store, index: IndexSettings, root: Path) -> None:
    """If the nearest of a point is not itself, ids and vectors were mixed up."""
    version, summaries, rows, values = build(store, root, "a", index)
    searcher = store.open(version, summaries)
    for number in (0, 7, 99, 100, 199):
        [hit] = searcher.dense(values[number], 1)
        assert (hit.uid, hit.title, hit.content) == rows[number][:3]
        assert hit.score == pytest.approx(1, abs=1e-5)
        assert json.loads(json.dumps(asdict(hit))) == asdict(hit)
    searcher.close()


def test_exact_search_equals_brute_force(store: Store, index: IndexSettings, root: Path) -> None:
    """Recall is measured against exact search, so exact search must be exact over all shards."""
    version, summaries, rows, values = build(store, root, "a", index)
    queries = vectors(10, seed=99)
    cosines = queries @ values.T
    searcher = store.open(version, summaries)
    for query, row in zip(queries, cosines, strict=True):
        expected = np.argsort(-row)[:10]
        hits = searcher.dense(query, 10, exact=True)
        assert [hit.uid for hit in hits] == [rows[number].uid for number in expected]
        np.testing.assert_allclose([hit.score for hit in hits], row[expected], atol=1e-5)
    searcher.close()


def test_bm25_finds_the_product_with_the_rare_word(store: Store, index: IndexSettings, root: Path) -> None:
    """BM25 must search title and content, ignore case, and return nothing where no word matches."""
    rows = [
        *products(40),
        Product("X1", "Zephyr espresso machine", "Makes coffee."),
        Product("X2", "plain thing", "Comes with a ZEPHYR badge and many other words that make it longer"),
    ]
    version = version_id("bm25")
    summaries = load(store, version, rows, vectors(len(rows)), index, shards=1)
    searcher = store.open(version, summaries)
    hits = searcher.bm25("zephyr", 5)
    assert [hit.uid for hit in hits] == ["X1", "X2"]
    assert hits[0].score > hits[1].score > 0
    assert searcher.bm25("Zephyr coffee?", 1)[0].uid == "X1"
    assert searcher.bm25("qwertyuiop", 5) == []
    assert searcher.bm25("  ", 5) == []
    assert searcher.bm25("?!…", 5) == []
    searcher.close()


SHOP = [
    Product("0AB1234567", "Panasonic TH-50PZ800U plasma television", "A 50 inch television."),
    Product("0AB1234568", "Panasonic TH-42PZ80U plasma television", "A 42 inch television."),
    Product("0AB1234569", "Sony NP-FH70 battery", "For cameras."),
    Product("0AB1234570", "Sony NP-FH100 battery", "For cameras, and it is larger."),
    Product("0AB1234571", "Máquina de café", "A coffee machine for 12 cups."),
    Product("0AB1234572", "Headphones", "Noise canceling, with a cable of 3.5 metres."),
    Product("0AB1234573", "Blu-ray player", "It plays discs which are made by all studios."),
    *products(20),
]


@pytest.mark.parametrize(
    ("question", "first"),
    [
        *((each, "0AB1234567") for each in ("TH-50 PZ800U", "th50pz800u", "TH 50PZ800 U", "50in television", "50 in")),
        *((each, "0AB1234569") for each in ("sony np-fh70", "NP FH70", "npfh70")),
        *((each, "0AB1234571") for each in ("maquina de cafe", "MÁQUINAS", "coffee machines")),
        *((each, "0AB1234572") for each in ("headphone", "cables of 3.5 m", "noise cancelling")),
        *((each, "0AB1234573") for each in ("bluray players", "blu ray", "Which discs are made by studios?")),
    ],
)
def test_terms_find_what_a_person_means(
    store: Store, index: IndexSettings, root: Path, question: str, first: str
) -> None:
    """Plain words find neither a plural nor a model number with another hyphen; and both stores must agree."""
    version = version_id("terms")
    summaries = load(store, version, SHOP, vectors(len(SHOP)), index, shards=1, language="english")
    with closing(store.open(version, summaries, language="english")) as searcher:
        assert searcher.bm25(question, 5)[0].uid == first
        assert searcher.bm25("Which ones are made by you?", 5) == [], "empty words find nothing"


def test_a_version_of_plain_words_is_searched_by_plain_words(store: Store, index: IndexSettings, root: Path) -> None:
    """What was published before the upgrade answers until the next run, with questions left as they are."""
    version = version_id("plain")
    summaries = load(store, version, SHOP, vectors(len(SHOP)), index, shards=1)
    with closing(store.open(version, summaries)) as searcher:
        assert searcher.bm25("which", 5)[0].uid == "0AB1234573"
        assert searcher.bm25("headphone", 5) == []


def test_a_uid_in_a_question_is_found(store: Store, index: IndexSettings, root: Path) -> None:
    """Who pastes a product's number wants that product; a small number within a question is no uid."""
    rows = [*SHOP, Product("7", "seven", "")]
    version = version_id("named")
    summaries = load(store, version, rows, vectors(len(rows)), index, shards=2)
    with closing(store.open(version, summaries)) as searcher:
        assert [hit.uid for hit in searcher.named("0AB1234570")] == ["0AB1234570"]
        assert [hit.uid for hit in searcher.named("does (0ab1234570) fit?")] == ["0AB1234570"]
        assert [hit.uid for hit in searcher.named(" 7 ")] == ["7"]
        assert searcher.named("a pack of 7") == []


def test_hybrid_unites_both_sides(store: Store, index: IndexSettings, root: Path) -> None:
    """A hybrid search that dropped one side would look right and find less."""
    version, summaries, rows, values = build(store, root, "a", index)
    by_vector, by_word = rows[3], rows[177]
    searcher = store.open(version, summaries)
    hits = searcher.hybrid(values[3], "177", 10)
    assert {by_vector.uid, by_word.uid} <= {hit.uid for hit in searcher.hybrid(values[3], "177", 200)}
    assert hits[0].uid == by_vector.uid
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    words = searcher.hybrid(values[3], "177", 10, bm25_weight=1.0)
    assert words[0].uid == by_word.uid
    dense = searcher.hybrid(values[3], "177", 10, bm25_weight=0.0)
    assert [hit.uid for hit in dense] == [hit.uid for hit in searcher.dense(values[3], 10)]
    searcher.close()


def test_hybrid_knows_the_cosine_of_what_only_bm25_found(store: Store, index: IndexSettings, root: Path) -> None:
    """Counting that cosine as 0 would push exact matches of a model number below near misses."""
    version, summaries, rows, values = build(store, root, "a", index)
    cosines = values @ values[3]
    far = int(np.argsort(-cosines)[100])  # beyond the candidates of dense search
    word = rows[far].title.split()[-1]
    searcher = store.open(version, summaries)
    assert rows[far].uid not in {hit.uid for hit in searcher.dense(values[3], 50)}
    scores = {hit.uid: hit.score for hit in searcher.hybrid(values[3], word, 50, bm25_weight=0.5)}
    best = searcher.bm25(word, 1)[0]
    share = next(hit.score for hit in searcher.bm25(word, 50) if hit.uid == rows[far].uid) / best.score
    assert scores[rows[far].uid] == pytest.approx(0.5 * max(cosines[far], 0) + 0.5 * share, abs=1e-4)
    searcher.close()


def test_equal_scores_come_in_the_order_of_uids(store: Store, index: IndexSettings, root: Path) -> None:
    """Ties in another order each time would make answers and tests flicker."""
    rows = [Product(f"{number:03d}", "same title", "same content") for number in (5, 3, 1, 4, 2, 0)]
    values = np.repeat(vectors(1), len(rows), axis=0)
    version = version_id("ties")
    summaries = load(store, version, rows, values, index)
    searcher = store.open(version, summaries)
    expected = [f"{number:03d}" for number in range(6)]
    assert [hit.uid for hit in searcher.dense(values[0], 6)] == expected
    assert [hit.uid for hit in searcher.bm25("same", 6)] == expected
    assert [hit.uid for hit in searcher.hybrid(values[0], "same", 6)] == expected
    first = [hit.uid for hit in searcher.hybrid(values[0], "same", 3)]
    assert first == sorted(sorted(expected, key=point_id)[:3]), "of equal products those of the first ids"
    searcher.close()


def test_shards_are_searched_as_one(store: Store, index: IndexSettings, root: Path) -> None:
    """A shard that is not asked would lose its products silently."""
    version, one, rows, values = build(store, root, "one", index, shards=1)
    other, three, _, _ = build(store, root, "three", index, shards=3)
    alone, together = store.open(version, one), store.open(other, three)
    assert alone.count() == together.count() == 200
    for number in (1, 70, 150):
        assert [hit.uid for hit in alone.dense(values[number], 20)] == [
            hit.uid for hit in together.dense(values[number], 20)
        ]
        assert together.bm25(str(number), 1)[0].uid == rows[number].uid
    assert together.fetch([rows[1].uid, rows[150].uid]).keys() == {rows[1].uid, rows[150].uid}
    alone.close()
    together.close()


def test_unicode_and_leading_zeros_survive(store: Store, index: IndexSettings, root: Path) -> None:
    """ "007" and "7" are two products; texts come back as they were."""
    rows = [
        Product("007", "Café crème", "Ação – 50 % “best”"),
        Product("7", "七つの星", "星\u2028空"),
        Product("uid with spaces/ü", "🎧 headphones", ""),
    ]
    values = vectors(3)
    version = version_id("unicode")
    summaries = load(store, version, rows, values, index, shards=1)
    searcher = store.open(version, summaries)
    found = searcher.fetch([row.uid for row in rows])
    assert {uid: (payload["title"], payload["content"]) for uid, (_, payload) in found.items()} == {
        row.uid: (row.title, row.content) for row in rows
    }
    assert [searcher.dense(value, 1)[0].uid for value in values] == [row.uid for row in rows]
    assert [hit.uid for hit in searcher.bm25("café", 3)] == ["007"]
    searcher.close()


def test_the_alias_moves_and_a_new_searcher_sees_it(store: Store, index: IndexSettings, root: Path) -> None:
    """Publication is this one step."""
    assert store.live() is None
    old, old_shards, _, values = build(store, root, "old", index, seed=1)
    new, _, _, _ = build(store, root, "new", index, seed=2, count=80)
    store.set_live(old)
    assert store.live() == old
    reader = store.open(old, old_shards)
    store.set_live(new)
    assert store.live() == new
    assert reader.count() == 200  # who reads the old version goes on reading it
    assert reader.dense(values[5], 1)[0].score == pytest.approx(1, abs=1e-5)
    reader.close()
    store.set_live(new)
    assert store.live() == new
    assert store.versions() == sorted([old, new])


def test_an_unknown_version_is_refused(store: Store, index: IndexSettings, root: Path) -> None:
    """An alias or a searcher on nothing would fail later, at a user's question."""
    version, _, _, _ = build(store, root, "a", index, count=20)
    store.set_live(version)
    missing = version_id("missing")
    with pytest.raises(UnknownVersion, match=missing):
        store.set_live(missing)
    with pytest.raises(UnknownVersion, match=missing):
        store.open(missing, [{"shard": 0, "points": 1, "path": "edge/0000000000000000"}])
    with pytest.raises(UnknownVersion, match=missing):
        store.open(missing, [])
    assert store.live() == version


def test_delete_removes_an_old_version_and_never_the_live_one(store: Store, index: IndexSettings, root: Path) -> None:
    """Deleting the live index would take the shop's search down."""
    old, old_shards, _, _ = build(store, root, "old", index, seed=1)
    new, new_shards, _, _ = build(store, root, "new", index, seed=2)
    store.set_live(new)
    with pytest.raises(Terminal, match="live"):
        store.delete(new, new_shards)
    store.delete(old, old_shards)
    store.delete(old, old_shards)
    with pytest.raises(UnknownVersion):
        store.open(old, old_shards)
    searcher = store.open(new, new_shards)
    assert searcher.count() == 200
    searcher.close()
    assert store.live() == new


def test_other_collections_are_not_touched(store: Store, index: IndexSettings, root: Path) -> None:
    """Two catalogues in one place must not see each other's versions or alias."""
    version, _, _, _ = build(store, root, "a", index, count=20)
    store.set_live(version)
    other_index = index.model_copy(update={"collection": f"{index.collection}_b"})
    other: Store
    if isinstance(store, ServerStore):
        other = ServerStore(other_index, store.connection, poll=0.01)
        other._client = store._client
    else:
        other = open_store(other_index, root=root)
    assert (other.live(), other.versions()) == (None, [])
    summaries = load(other, version_id("b"), products(20), vectors(20), other_index)
    second = write_version(root, "b", other_index, summaries)
    other.set_live(second)
    assert (store.live(), store.versions()) == (version, [version])
    assert (other.live(), other.versions()) == (second, [second])
    other.delete(second := version_id("never-built"), [])
    if isinstance(other, ServerStore):
        other._client.delete_collection(other.collection(version_id("b")))


def test_progress_is_reported(store: Store, index: IndexSettings) -> None:
    """A silent upload of hours cannot be told from a hang."""
    from include.store.protocol import Spec

    seen: list[dict[str, object]] = []
    version = version_id("progress")
    store.prepare(version, Spec(DIM, 16, 128))
    store.upsert(version, 3, batches(products(50), vectors(50)), inputs={"embedding": "p"}, total=50, sink=seen.append)
    load_steps = [shot for shot in seen if shot["stage"] == "load shard 3"]
    assert (load_steps[0]["done"], load_steps[-1]["done"], load_steps[-1]["total"]) == (0, 50, 50)
