"""earlier_versions.py: what the rollback's form offers can be told apart, and is what the rollback takes."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from include.core import artifacts
from include.core.errors import UnknownVersion
from include.core.index_settings import IndexSettings
from include.publishing.earlier_versions import PATTERN, earlier_versions, version_of
from include.publishing.publish import roll_back
from include.store.journal import Entry, directory
from tests.index.points import write_version
from tests.indexed import INDEX, Shop, open_shop

SERVER = IndexSettings(store="server", collection="shop")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Shop:
    """Four versions, none of them live."""
    return open_shop(tmp_path_factory.mktemp("built") / "data", tiny_model)


@pytest.fixture
def shop(built: Shop, root: Path) -> Shop:
    """A copy for one test, with three versions published, the third live."""
    copied = built.copy(root)
    for number in (1, 2, 3):
        copied.publish(number)
    return copied


def test_the_versions_that_are_kept_are_offered_by_date_size_and_model(shop: Shop) -> None:
    """Nobody knows sixteen digits by heart."""
    points = artifacts.read(shop.root / "version" / shop.versions[1]).stats["points"]
    second, first = earlier_versions(shop.root, INDEX)
    name = artifacts.read(shop.model).stats.get("base", "a model of its own")
    assert second == f"2026-01-02 00:00 UTC · {points:,} products · {name} · {shop.versions[1]}"
    assert first.startswith("2026-01-01 00:00 UTC")


def test_what_is_offered_can_be_gone_back_to(shop: Shop) -> None:
    """An offer that the task then refuses is worse than none."""
    offered = earlier_versions(shop.root, INDEX)[1]
    assert re.search(PATTERN, offered)
    assert roll_back(version_of(offered), INDEX, shop.store, root=shop.root, run_id="r")["version"] == shop.versions[0]
    assert shop.live == 1
    assert {version_of(line) for line in earlier_versions(shop.root, INDEX)} == {*shop.versions[1:3]}


def test_what_is_live_was_deleted_or_never_published_is_not_offered(shop: Shop) -> None:
    """The list is what there is to go back to."""
    shop.publish(4, keep_versions=2)
    assert [version_of(line) for line in earlier_versions(shop.root, INDEX)] == [shop.versions[2]]
    assert earlier_versions(shop.root, IndexSettings(collection="other")) == []
    assert earlier_versions(shop.root, IndexSettings(store="server")) == [], "the form says embedded"


def test_a_servers_versions_are_offered_without_asking_it(root: Path) -> None:
    """A DAG file must not wait for a server each time it is parsed."""
    names = [write_version(root, name, SERVER, [{"shard": 0, "points": 1695}], model="model/m") for name in "ab"]
    history = [asdict(Entry(name, f"2026-01-0{day}T03:00:00+00:00", "r", "")) for day, name in enumerate(names, 1)]
    directory(root, "shop").mkdir(parents=True)
    (directory(root, "shop") / "journal.json").write_text(
        json.dumps({"history": history, "intent": None, "deleting": []})
    )
    (root / "model" / "m").mkdir(parents=True)
    stats = {"base": "distilbert-base-uncased@12040accade4e8a0f71eabdb258fecc2e7e948be"}
    (root / "model" / "m" / artifacts.MANIFEST).write_text(json.dumps({"stats": stats}))
    line = f"2026-01-01 03:00 UTC · 1,695 products · distilbert-base-uncased · {names[0]}"
    assert earlier_versions(root, SERVER) == [line]


@pytest.mark.parametrize("content", ["{broken", "[]", "null", "3", '{"store": "embedded"}', "{}"])
def test_a_damaged_version_is_left_out_and_the_others_stay(
    shop: Shop, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A DAG file that does not import cannot roll anything back."""
    (shop.root / "version" / shop.versions[1] / "version.json").write_text(content)
    assert [version_of(line) for line in earlier_versions(shop.root, INDEX)] == [shop.versions[0]]
    assert f"version {shop.versions[1]} cannot be offered" in caplog.text


@pytest.mark.parametrize("content", ["{broken", "[]", '{"history": [{"version": 3}], "intent": null, "deleting": []}'])
def test_a_damaged_journal_offers_nothing(shop: Shop, content: str, caplog: pytest.LogCaptureFixture) -> None:
    """Likewise; the rollback itself then says what is damaged."""
    (directory(shop.root, "products") / "journal.json").write_text(content)
    assert earlier_versions(shop.root, INDEX) == []
    assert "no earlier version can be offered" in caplog.text


@pytest.mark.parametrize(
    ("choice", "version"),
    [
        (None, "previous"),
        ("", "previous"),
        ("previous", "previous"),
        ("0123456789abcdef", "0123456789abcdef"),
        ("2026-01-01 · 3 products · m · 0123456789abcdef ", "0123456789abcdef"),
    ],
)
def test_a_text_of_ones_own_is_taken_as_well(choice: str | None, version: str) -> None:
    """REST clients send the fingerprint alone; an emptied field is the version before."""
    assert version_of(choice) == version
    assert choice is None or re.search(PATTERN, choice)


def test_what_names_no_version_is_refused(shop: Shop) -> None:
    """By the form's pattern, and by the task where a client goes round it."""
    for text in ("yesterday", "0123456789abcde", "0123456789ABCDEF"):
        assert not re.search(PATTERN, text)
        with pytest.raises(UnknownVersion, match="Kept are"):
            roll_back(version_of(text), INDEX, shop.store, root=shop.root, run_id="r")
