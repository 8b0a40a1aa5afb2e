"""verify.py: what must hold before a version may go live."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.core import artifacts, kinds
from include.core.errors import BadSettings, VerificationFailed
from include.core.index_settings import IndexSettings
from include.index.verify import verify
from include.store.protocol import Hit, Store
from include.store.searcher import Searcher
from include.store.stores import open_store
from tests.indexed import build_version, load
from tests.small import Product, copy_data, products, publish_model, write_catalogue

Loaded = tuple[Path, list[dict[str, Any]]]
INDEX = IndexSettings()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[Path, Loaded]:
    """A data directory with two loaded shards, made once; tests get copies."""
    root = tmp_path_factory.mktemp("built") / "data"
    return root, load(root, write_catalogue(root, products(60)), publish_model(root, tiny_model), INDEX)


@pytest.fixture
def loaded(built: tuple[Path, Loaded], root: Path) -> Loaded:
    """A plan and the summaries of its two loaded shards."""
    origin, (plan, shards) = built
    copy_data(origin, root)
    return root / plan.relative_to(origin), shards


@pytest.fixture
def store(root: Path) -> Store:
    return open_store(INDEX, root=root)


class Faulty:
    """A real store whose searcher answers wrongly in one way."""

    def __init__(self, store: Store, **answers: Callable[[Searcher], Any]) -> None:
        self._store, self._answers = store, answers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def open(self, version: str, shards: Sequence[Mapping[str, Any]], *, language: str | None = None) -> Searcher:
        searcher = self._store.open(version, shards, language=language)
        for name, answer in self._answers.items():
            setattr(searcher, name, answer(searcher))
        return searcher


def refused(loaded: Loaded, store: Any, root: Path, message: str, index: IndexSettings = INDEX) -> None:
    with pytest.raises(VerificationFailed, match=message):
        verify(*loaded, index, store, root=root)
    assert artifacts.published(root, kinds.VERSION) == []


def test_a_version_says_all_that_a_query_needs(loaded: Loaded, store: Store, root: Path) -> None:
    """A query opens nothing else: a missing name here fails after publication."""
    made = verify(*loaded, INDEX, store, root=root)
    version = json.loads((made.path / "version.json").read_text())
    plan = json.loads((loaded[0] / "plan.json").read_text())
    assert version["version"] == made.fingerprint == plan["version"]
    assert (version["store"], version["collection"], version["dim"], version["points"]) == (
        "embedded",
        "products",
        32,
        60,
    )
    assert [shard["shard"] for shard in version["shards"]] == [0, 1]
    assert version["recall"] == made.stats["recall"] >= 0.95
    assert version["checks"]["samples"] == 60
    assert version["checks"]["queries"] == 60
    assert artifacts.read(root / version["model"]).kind == "model"
    assert artifacts.read(root / version["catalogue"]).kind == "catalogue"
    assert artifacts.read(root / version["plan"]).kind == "plan"
    for shard in version["shards"]:
        assert artifacts.read(root / shard["embedding"]).kind == "embedding"
    assert str(root) not in json.dumps(version)
    searcher = store.open(version["version"], version["shards"])
    assert searcher.count() == 60
    searcher.close()


def test_shards_come_in_any_order(loaded: Loaded, store: Store, root: Path) -> None:
    """Airflow gives mapped results in map order, a person in any."""
    plan, shards = loaded
    made = verify(plan, shards[::-1], INDEX, store, root=root)
    assert [shard["shard"] for shard in json.loads((made.path / "version.json").read_text())["shards"]] == [0, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda shards: shards[:1], r"missing: \[1\]"),
        (lambda shards: [shards[0], shards[0], shards[1]], r"more than once: \[0\]"),
        (lambda shards: [*shards, {**shards[0], "shard": 7}], r"not in the plan: \[7\]"),
        (lambda shards: [], r"missing: \[0, 1\]"),
        (lambda shards: [{**shards[0], "points": 29}, shards[1]], "shard 0 has 29 points, planned were 30"),
    ],
)
def test_every_shard_must_be_there_once(
    change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
    message: str,
    loaded: Loaded,
    store: Store,
    root: Path,
) -> None:
    """A skipped mapped task leaves a hole that a count by itself would show only as a number."""
    refused((loaded[0], change(loaded[1])), store, root, message)


def test_swapped_shards_are_found_out(loaded: Loaded, store: Store, root: Path) -> None:
    """Two shards of equal size, swapped: the count is right, all else is wrong."""
    plan, (first, second) = loaded
    swapped = [{**second, "shard": 0, "embedding": first["embedding"]}, {**second, "embedding": second["embedding"]}]
    with pytest.raises(VerificationFailed, match="faults in 60 products read back"):
        verify(plan, swapped, INDEX, store, root=root)


def test_a_wrong_count_is_refused(loaded: Loaded, store: Store, root: Path) -> None:
    """Points that the store dropped silently."""
    faulty = Faulty(store, count=lambda searcher: lambda: 59)
    refused(loaded, faulty, root, "holds 59 points of version [0-9a-f]{16}, there should be 60")


def test_a_mixed_up_vector_is_refused(loaded: Loaded, store: Store, root: Path) -> None:
    """One product with another's vector."""

    def mixed(searcher: Searcher) -> Any:
        fetch = searcher.fetch

        def answer(uids: Sequence[str]) -> Any:
            found = fetch(uids)
            found["0000000033"] = (found["0000000004"][0], found["0000000033"][1])
            return found

        return answer

    refused(loaded, Faulty(store, fetch=mixed), root, "1 faults in 60 .* uid 0000000033 has a vector of cosine")


def test_a_changed_payload_is_refused(loaded: Loaded, store: Store, root: Path) -> None:
    """An answer would quote a text that the catalogue does not have."""

    def changed(searcher: Searcher) -> Any:
        fetch = searcher.fetch

        def answer(uids: Sequence[str]) -> Any:
            found = fetch(uids)
            found["0000000033"][1]["title"] = "something else"
            return found

        return answer

    refused(loaded, Faulty(store, fetch=changed), root, "uid 0000000033 has title 'something else', not 'green")


def test_a_missing_product_is_refused(loaded: Loaded, store: Store, root: Path) -> None:
    """The count may be right with a stray point instead."""

    def missing(searcher: Searcher) -> Any:
        fetch = searcher.fetch
        return lambda uids: {uid: found for uid, found in fetch(uids).items() if uid != "0000000007"}

    refused(loaded, Faulty(store, fetch=missing), root, "uid 0000000007 is missing")


def test_low_recall_is_refused_with_its_value(loaded: Loaded, store: Store, root: Path) -> None:
    """An index that finds half of what it should answers fast and badly."""

    def halved(searcher: Searcher) -> Any:
        dense = searcher.dense

        def answer(vector: np.ndarray, top_k: int, *, exact: bool = False) -> list[Hit]:
            return [*dense(vector, 60)[: top_k // 2], *dense(vector, 60)[-(top_k - top_k // 2) :]]

        return answer

    refused(loaded, Faulty(store, dense=halved), root, r"has recall@10 0\.5\d* .* below min_recall = 0.95")


def test_an_index_that_returns_the_same_hit_ten_times_has_no_recall(loaded: Loaded, store: Store, root: Path) -> None:
    """Counting hits instead of distinct products would call this perfect."""

    def same(searcher: Searcher) -> Any:
        dense = searcher.dense
        return lambda vector, top_k, exact=False: dense(vector, 1) * top_k

    refused(loaded, Faulty(store, dense=same), root, r"has recall@10 0\.1000")


def test_a_dead_text_index_is_refused(loaded: Loaded, store: Store, root: Path) -> None:
    """Hybrid search would go on with dense hits alone, and nobody would know."""
    faulty = Faulty(store, bm25=lambda searcher: lambda question, top_k: [])
    refused(loaded, faulty, root, "found none of 60 products by their own titles")


def test_equal_texts_do_not_count_against_the_recall(
    make_catalogue: Callable[[Sequence[Product]], Path], model: Path, root: Path
) -> None:
    """Fifty products of one text are all the true nearest: which ten come back is chance."""
    rows = [row._replace(uid=f"A{n}") for n, row in enumerate(products(2) * 30)]
    assert build_version(root, make_catalogue(rows), model).stats["recall"] == 1.0


def test_a_catalogue_smaller_than_ten_is_verified(
    make_catalogue: Callable[[Sequence[Product]], Path], model: Path, root: Path
) -> None:
    """Recall@10 of four products is recall@4."""
    made = build_version(root, make_catalogue(products(4)), model)
    assert (made.stats["recall"], made.stats["recall_at"]) == (1.0, 4)


def test_a_verified_version_is_reused(loaded: Loaded, store: Store, root: Path) -> None:
    """A second trigger must not search by brute force again."""
    first = verify(*loaded, INDEX, store, root=root)
    shots: list[dict[str, Any]] = []
    second = verify(*loaded, INDEX, store, root=root, sink=shots.append)
    assert second.reused
    assert second.path == first.path
    assert shots == []


def test_a_reused_version_must_reach_a_raised_bar(loaded: Loaded, store: Store, root: Path) -> None:
    """min_recall is not in the fingerprint, so it must be asked again."""

    def tenth_missing(searcher: Searcher) -> Any:
        dense = searcher.dense
        return lambda vector, top_k, exact=False: dense(vector, top_k - 1)

    low = IndexSettings(min_recall=0.8)
    assert verify(*loaded, low, Faulty(store, dense=tenth_missing), root=root).stats["recall"] == pytest.approx(0.9)
    with pytest.raises(VerificationFailed, match=r"recall@10 0\.9000 .* min_recall = 0\.95"):
        verify(*loaded, INDEX, store, root=root)


def test_a_version_that_the_store_lost_is_verified_anew(
    loaded: Loaded, store: Store, root: Path, tiny_model: Path
) -> None:
    """A version.json of an index that is gone would be published, and every query would fail."""
    catalogue, model = write_catalogue(root, products(60)), publish_model(root, tiny_model)
    first = verify(*loaded, INDEX, store, root=root)
    shutil.rmtree(root / loaded[1][0]["path"])
    again = load(root, catalogue, model, INDEX)
    second = verify(*again, INDEX, store, root=root)
    assert second.path == first.path
    assert second.reused  # the shard was built again in its place, so the version holds
    shutil.rmtree(root / loaded[1][0]["path"])
    with pytest.raises(Exception, match="does not exist"):
        verify(*again, INDEX, store, root=root)
    assert artifacts.published(root, kinds.VERSION) == []
    third = verify(*load(root, catalogue, model, INDEX), INDEX, store, root=root)
    assert not third.reused


def test_settings_that_contradict_the_plan_are_refused(loaded: Loaded, store: Store, root: Path) -> None:
    """A run whose settings changed midway must not mix two indexes."""
    with pytest.raises(BadSettings, match=r"hnsw_m = 8 \(planned: 16\)"):
        verify(*loaded, IndexSettings(hnsw_m=8), store, root=root)


def test_the_sample_is_spread_over_every_shard(
    make_catalogue: Callable[[Sequence[Product]], Path],
    model: Path,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fault in one shard must have its chance to be seen."""
    import include.index.checks as module

    monkeypatch.setattr(module, "SAMPLES", 12)
    plan, shards = load(root, make_catalogue(products(60)), model, INDEX, shards=4)
    asked: list[str] = []

    def spy(searcher: Searcher) -> Any:
        fetch = searcher.fetch

        def answer(uids: Sequence[str]) -> Any:
            asked.extend(uids)
            return fetch(uids)

        return answer

    verify(plan, shards, INDEX, Faulty(open_store(INDEX, root=root), fetch=spy), root=root)
    sizes = [shard["points"] for shard in shards]
    borders = np.cumsum(sizes)
    counts = np.bincount(np.searchsorted(borders, [int(uid) for uid in asked], side="right"), minlength=4)
    assert counts.tolist() == [3, 3, 3, 3]


@pytest.mark.parametrize(("worded", "share"), [(0, None), (1, 1.0)])
def test_titles_without_a_letter_are_no_fault_of_the_text_index(
    root: Path, tiny_model: Path, caplog: pytest.LogCaptureFixture, worded: int, share: float | None
) -> None:
    """Signs alone have no word to search by: "the text index is missing" sends the user to look for a fault."""
    rows = [row._replace(title="\N{GRINNING FACE}" * (n + 1)) for n, row in enumerate(products(20))]
    rows[:worded] = products(worded)
    made = build_version(root, write_catalogue(root, rows), publish_model(root, tiny_model))
    assert made.stats["found_by_words"] == share
    assert ("BM25 is not checked: none of 20" in caplog.text) is (worded == 0)


def test_products_of_one_title_find_each_other(root: Path, tiny_model: Path) -> None:
    """Of a hundred equal titles BM25 returns ten: any of them shows that the text index is there."""
    rows = [Product(f"{number:010d}", "Kettle", "") for number in range(60)]
    made = build_version(root, write_catalogue(root, rows), publish_model(root, tiny_model))
    assert made.stats["found_by_words"] == 1.0
