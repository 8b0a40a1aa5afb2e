"""The live version is followed: no request fails, none mixes versions, and what is not used is closed."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient

from include.answering import products
from include.answering.asker import Asker
from include.core.answer_settings import AnswerSettings
from include.core.errors import UnknownVersion
from include.core.index_settings import IndexSettings
from include.serving.versions import OpenVersions
from include.store import server
from include.store.connection import ServerConnection
from include.store.edge import EdgeSearcher
from tests.indexed import INDEX, Shop, day, open_shop

THREADS = 4
SETTINGS = AnswerSettings()


class Watched:
    """How many searchers are open, and whether one was used after it was closed."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.open: set[int] = set()
        made, closed = EdgeSearcher.__init__, EdgeSearcher.close

        def opening(searcher: EdgeSearcher, *given: Any, **options: Any) -> None:
            made(searcher, *given, **options)
            self.open.add(id(searcher))

        def closing(searcher: EdgeSearcher) -> None:
            self.open.discard(id(searcher))
            closed(searcher)

        patch.setattr(EdgeSearcher, "__init__", opening)
        patch.setattr(EdgeSearcher, "close", closing)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


@pytest.fixture
def versions(shop: Shop, watched: Watched) -> Iterator[OpenVersions]:
    shop.publish(1)
    made = OpenVersions(INDEX, SETTINGS, root=shop.root)
    yield made
    made.close()
    assert watched.open == set()


@pytest.fixture
def on_a_server(root: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Shop, OpenVersions]]:
    """Four versions on a Qdrant server, which the client simulates in this process; the first is live."""
    with closing(QdrantClient(location=":memory:")) as client:
        monkeypatch.setattr(server, "_client", lambda _: client)  # else each has a server of its own
        connection = ServerConnection(location=":memory:")
        shop = open_shop(root, tiny_model, IndexSettings(store="server"), connection)
        shop.publish(1)
        versions = OpenVersions(shop.index, SETTINGS, root=root, server=connection)
        yield shop, versions
        versions.close()


def test_ten_publications_under_load(shop: Shop, versions: OpenVersions) -> None:
    publish_under_load(shop, versions)


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant")
@pytest.mark.filterwarnings("ignore:Local mode performs exact")
def test_ten_publications_under_load_on_a_server(on_a_server: tuple[Shop, OpenVersions]) -> None:
    publish_under_load(*on_a_server)


def publish_under_load(shop: Shop, versions: OpenVersions) -> None:
    """Each reply's texts are those of the version that it names, and none fails."""
    versions.start()
    stop, seen = threading.Event(), set()

    def ask(thread: int) -> int:
        count = 0
        while not stop.is_set():
            found = versions.serve("live", one_of_two if (count + thread) % 2 else other)
            titles = [each["title"] for each in found["products"] if "edition" in each["title"]]
            assert titles == [shop.editions[found["version"]]]
            seen.add(found["version"])
            count += 1
        return count

    def one_of_two(asker: Asker) -> dict[str, Any]:
        return products.search(asker, "golden edition", SETTINGS)

    def other(asker: Asker) -> dict[str, Any]:
        found = asker.answer(["golden edition"], SETTINGS)
        return {"version": found["version"], "products": found["answers"][0]["products"]}

    with ThreadPoolExecutor(THREADS) as pool:
        running = [pool.submit(ask, thread) for thread in range(THREADS)]
        try:
            for wanted in shop.ten_moves():
                for _ in range(1200):
                    with versions.asker() as asker:
                        if asker.version.name == wanted:
                            break
                    threading.Event().wait(0.05)
                else:
                    raise AssertionError(f"{wanted} was never open")
        finally:
            stop.set()
        assert all(each.result() > 0 for each in running)
    assert len(seen) > 2


def test_a_request_keeps_its_version_to_the_end(shop: Shop, versions: OpenVersions, watched: Watched) -> None:
    versions.follow()
    with versions.asker() as before:
        shop.publish(2)
        versions.follow()
        with versions.asker() as after:
            assert (before.version.name, after.version.name) == (shop.versions[0], shop.versions[1])
            assert len(watched.open) == 2
        found = products.search(before, "golden edition", SETTINGS)
        assert "golden edition 1" in [each["title"] for each in found["products"]]
    assert len(watched.open) == 1


def test_a_version_of_the_same_model_does_not_load_it_again(
    shop: Shop, versions: OpenVersions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading is most of what a publish waits for; and both would be in memory until the old version is closed."""
    versions.follow()
    with versions.asker() as before, monkeypatch.context() as patch:
        patch.setattr("include.model.query_encoder.QueryEncoder.__init__", lambda *_, **__: 1 / 0)
        shop.publish(2)
        versions.follow()
        with versions.asker() as after:
            assert (after.version.name, after.encoder) == (shop.versions[1], before.encoder)


def test_what_is_published_with_the_same_version_is_seen(shop: Shop, versions: OpenVersions) -> None:
    """Danger: the alias stays, and the threshold or the reader that goes with it is another one."""
    versions.follow()
    shop.publish(1, day(5))
    versions.follow()
    with versions.asker() as asker:
        assert asker.published is not None
        assert (asker.version.name, asker.published.action) == (shop.versions[0], "confirmed")


def test_at_most_one_other_version_stays_open(shop: Shop, versions: OpenVersions, watched: Watched) -> None:
    versions.follow()
    for number in (2, 3, 4, 1):
        with versions.asker(shop.versions[number - 1]) as asker:
            assert asker.version.name == shop.versions[number - 1]
        assert len(watched.open) <= 2
    with ThreadPoolExecutor(THREADS) as pool:  # opened once, however many ask for it at once
        found = list(pool.map(lambda _: versions.serve(shop.versions[1], id), range(8)))
    assert len(set(found)) == 1
    with pytest.raises(UnknownVersion), versions.asker("0" * 16):
        pass


def test_a_version_that_cannot_answer_does_not_go_live(
    shop: Shop, versions: OpenVersions, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions.follow()
    shop.publish(2)
    with monkeypatch.context() as patch:
        patch.setattr(EdgeSearcher, "_worded", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            versions.follow()
        versions.follow()  # left alone for a while: no error again, and nothing opened
    with versions.asker() as asker:
        assert asker.version.name == shop.versions[0]
    assert len(watched.open) == 1


def test_where_the_live_version_was_deleted_meanwhile_the_request_is_done_on_the_new_one(
    shop: Shop, versions: OpenVersions
) -> None:
    """A Qdrant server deletes a version under its readers; the embedded store does not."""
    versions.follow()
    shop.publish(2)

    def deleted(asker: Asker) -> str:
        if asker.version.name == shop.versions[0]:
            raise UnknownVersion("It is gone.")
        return asker.version.name

    assert versions.serve("live", deleted) == shop.versions[1]
    with pytest.raises(UnknownVersion):
        versions.serve(shop.versions[0], deleted)
