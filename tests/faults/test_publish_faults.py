"""A publication that is killed between any two of its steps."""

import json
from pathlib import Path

import pytest

from include.core import artifacts, kinds
from include.core.errors import UnknownVersion
from include.publishing.publish import history
from tests.faults.killed import kill_at_point
from tests.indexed import Shop, answers, day, open_shop

# Publishes version 2 over version 1 with keep_versions = 1, and stops at one of the calls below.
SCRIPT = """
from pathlib import Path
from datetime import UTC, datetime
import include.core.artifacts as artifacts
import include.core.removal as removal
from include.store.stores import open_store
from include.store.edge import EdgeStore
from include.store.journal import Journal
from include.publishing.publish import Release, publish, roll_back
from include.core.index_settings import IndexSettings
from include.core.settings import EvaluateSettings

version, root, action, where, when, count = Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:6], int(sys.argv[6])
owner, name = {
    "save": (Journal, "save"),
    "set_live": (EdgeStore, "set_live"),
    "replace": (artifacts.os, "replace"),
    "delete": (EdgeStore, "delete"),
    "discard": (removal, "discard"),
    "rename": (removal.os, "rename"),
}[where]
function, calls = getattr(owner, name), 0

def stopping(*arguments, **options):
    global calls
    calls += 1
    if calls == count and when == "before":
        reach(where)
    result = function(*arguments, **options)
    if calls == count and when == "after":
        reach(where)
    return result

index = IndexSettings(keep_versions=1)
store = open_store(index, root=root)
setattr(owner, name, stopping)
if action == "publish":
    date = datetime(2026, 1, 2, tzinfo=UTC)
    publish(Release(version, None, date, "killed"), index, EvaluateSettings(), store, root=root)
else:
    roll_back("previous", index, store, root=root, run_id="killed")
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Shop:
    return open_shop(tmp_path_factory.mktemp("built") / "data", tiny_model)


@pytest.fixture
def shop(built: Shop, root: Path) -> Shop:
    """Four versions, the first one live."""
    made = built.copy(root)
    made.publish(1, keep_versions=1)
    return made


def kill(shop: Shop, where: str, when: str, count: int = 1, action: str = "publish") -> None:
    version = shop.root / "version" / shop.versions[1]
    assert kill_at_point(SCRIPT, version, shop.root, action, where, when, count) == where


def works(shop: Shop) -> bool:
    return answers(shop.store, shop.root, f"golden edition {shop.live}") == "0000000030"


@pytest.mark.parametrize(
    ("where", "when", "count", "live"),
    [
        ("save", "before", 1, 1),  # nothing happened yet
        ("replace", "before", 1, 1),  # while the intent is written
        ("save", "after", 1, 1),  # the intent is written
        ("replace", "before", 2, 1),  # while the alias moves
        ("set_live", "after", 1, 2),  # the alias moved, the journal does not know
        ("replace", "before", 3, 2),  # while the journal learns it
        ("save", "after", 2, 2),  # published, nothing deleted yet
        ("delete", "before", 1, 2),  # what is to be deleted is written
        ("rename", "after", 1, 2),  # in the middle of removing a shard
        ("delete", "after", 1, 2),  # the shards are gone, the version's description is not
        ("discard", "after", 2, 2),  # the plan is gone
        ("discard", "after", 3, 2),  # all is gone, the journal does not know
    ],
)
def test_a_killed_publication_leaves_the_old_or_the_new_version_live(
    where: str, when: str, count: int, live: int, shop: Shop
) -> None:
    """A moment without a live index is a shop that answers nothing."""
    old = shop.versions[0]
    kill(shop, where, when, count)
    assert shop.live == live
    assert works(shop)

    result = shop.publish(2, keep_versions=1)
    assert result["published"]
    assert shop.live == 2
    assert works(shop)
    assert [(number, action) for number, action, _ in shop.journal] == [(1, "published"), (2, "published")]
    entry = history(shop.root, "products")[-1]
    assert (entry["previous"], entry["logical_date"]) == (old, "2026-01-02T00:00:00+00:00")
    assert shop.marks(kinds.VERSION) == set(shop.versions[1:])
    assert len(shop.marks(kinds.PLAN)) == 3
    journal = json.loads((shop.root / "index" / "products" / "journal.json").read_text())
    assert (journal["intent"], journal["deleting"]) == (None, [])
    with pytest.raises(UnknownVersion):  # half a version is never offered
        shop.roll_back()
    assert artifacts.read(shop.root / "version" / shop.versions[1]).kind == "version"


def test_another_run_after_a_kill_knows_what_is_live(shop: Shop) -> None:
    """The alias moved, the journal did not: an older run that comes next must still be held back."""
    kill(shop, "set_live", "after")
    result = shop.publish(3, date=day(1))
    assert not result["published"]
    assert "2026-01-02" in result["reason"]
    assert shop.live == 2
    assert [(number, action) for number, action, _ in shop.journal] == [(1, "published"), (2, "published")]


def test_a_publication_that_never_moved_the_alias_is_forgotten(shop: Shop) -> None:
    """An intent is not a fact: it must not hold an older run back, nor be offered for rollback."""
    kill(shop, "save", "after", 1)
    assert shop.publish(3, date=day(1))["published"]
    assert [(number, action) for number, action, _ in shop.journal] == [(1, "published"), (3, "published")]


@pytest.mark.parametrize(("where", "when", "live"), [("save", "after", 2), ("set_live", "after", 1)])
def test_a_killed_rollback_leaves_one_version_live(where: str, when: str, live: int, shop: Shop) -> None:
    """A rollback happens under pressure; it must not make things worse."""
    shop.publish(2)
    kill(shop, where, when, action="roll back")
    assert shop.live == live
    assert works(shop)
    assert shop.publish(3)["published"]
    assert works(shop)
    expected = [(1, "published"), (2, "published"), (1, "rolled back"), (3, "published")]
    assert [entry[:2] for entry in shop.journal] == (expected if live == 1 else [*expected[:2], expected[3]])
