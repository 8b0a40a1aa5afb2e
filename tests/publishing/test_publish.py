"""publish.py: which version is live."""

import json
import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import Literal

import pytest

from include.core import artifacts, kinds, removal
from include.core.errors import ArtifactBusy, BadSettings, DamagedArtifact, UnknownVersion, VerificationFailed
from include.core.index_settings import IndexSettings
from include.core.settings import EvaluateSettings
from include.index import claims
from include.index.verify import verify
from include.publishing.publish import Release, foresee, history, publish, roll_back
from include.store.connection import ServerConnection
from include.store.live import LiveModel, live_model
from include.store.stores import open_store
from include.store.version import IndexVersion
from tests.indexed import INDEX, Shop, answers, build_version, day, evaluation, load, open_shop
from tests.small import products, publish_model, write_catalogue


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Shop:
    """Four versions whose first shard is the same and whose second differs in one product."""
    return open_shop(tmp_path_factory.mktemp("built") / "data", tiny_model)


@pytest.fixture
def shop(built: Shop, root: Path) -> Shop:
    """A copy for one test."""
    return built.copy(root)


def test_the_first_version_goes_live(shop: Shop) -> None:
    """Before it, a query has nothing to search."""
    result = shop.publish(1)
    assert result == {
        "version": shop.versions[0], "published": True, "reason": "published", "previous": None, "deleted": [],
        "catalogue": None, "gate": None, "approval": None,
    }  # fmt: skip
    assert shop.live == 1
    [entry] = history(shop.root, "products")
    assert (entry["version"], entry["logical_date"], entry["run_id"], entry["previous"], entry["action"]) == (
        shop.versions[0], "2026-01-01T00:00:00+00:00", "run 1", None, "published",
    )  # fmt: skip
    assert datetime.fromisoformat(entry["published_at"]).tzinfo is not None
    assert answers(shop.store, shop.root, "edition 1") == "0000000030"


def test_promote_never_leaves_the_alias(shop: Shop) -> None:
    """A trial run must not reach customers."""
    shop.publish(1)
    result = shop.publish(2, promote="never")
    assert not result["published"]
    assert "promote is never" in result["reason"]
    assert (shop.live, shop.journal) == (1, [(1, "published", "01")])


def test_a_gate_that_did_not_pass_leaves_the_alias(shop: Shop) -> None:
    """A worse model must not replace a better one; the reason goes to the run's result."""
    shop.publish(1, evaluation=evaluation(shop.root, shop.model))
    worse = evaluation(shop.root, shop.model, passed=False, reason="recall@10 0.61, live 0.80")
    result = shop.publish(2, evaluation=worse)
    assert not result["published"]
    assert result["reason"] == "the gate did not pass: recall@10 0.61, live 0.80"
    assert result["previous"] == shop.versions[0]
    assert shop.live == 1


YES = {"asked": True, "approved": True, "by": "ana", "at": "2026-01-02T10:00:00+00:00"}
NO = YES | {"approved": False}
NOBODY = YES | {"approved": False, "by": None}


def test_a_person_publishes_also_against_the_gate_and_is_recorded(shop: Shop) -> None:
    """Who put a worse model live, when, and against what advice, must be found afterwards."""
    shop.publish(1)
    worse = evaluation(shop.root, shop.model, passed=False, reason="0.61, live 0.80")
    result = shop.publish(2, evaluation=worse, promote="approval", approval=YES)
    assert (result["published"], shop.live) == (True, 2)
    assert result["reason"] == (
        "approved by ana at 2026-01-02T10:00:00+00:00, although the gate did not pass: 0.61, live 0.80"
    )
    assert result["gate"] == {"passed": False, "reason": "0.61, live 0.80"}
    assert result["approval"] == YES
    entry = history(shop.root, "products")[-1]
    assert (entry["approved_by"], entry["approved_at"]) == ("ana", "2026-01-02T10:00:00+00:00")
    assert entry["gate"] == "the gate did not pass: 0.61, live 0.80"


@pytest.mark.parametrize(
    ("approval", "words"),
    [
        (NO, "rejected by ana at 2026-01-02"),
        (NOBODY, "nobody approved or rejected it until 2026-01-02"),
        (NOBODY | {"approved": True}, "nobody approved"),
        ({"asked": False, "reason": "already live"}, "nobody was asked"),
        (None, "nobody was asked"),
    ],
)
def test_without_a_persons_yes_nothing_is_published(shop: Shop, approval: object, words: str) -> None:
    """With promote = approval silence is no consent, even where the gate passed."""
    shop.publish(1)
    passed = evaluation(shop.root, shop.model)
    result = shop.publish(2, evaluation=passed, promote="approval", approval=approval)
    assert not result["published"]
    assert words in result["reason"]
    assert result["reason"].endswith("the gate passed: better")
    assert shop.live == 1
    assert shop.versions[1] in shop.marks(kinds.VERSION), "the built version is kept"


def test_an_approval_does_not_put_an_older_date_over_a_newer_one(shop: Shop) -> None:
    """Between the question and the answer another run may have published."""
    shop.publish(1, date=day(20))
    result = shop.publish(2, date=day(10), promote="approval", approval=YES)
    assert not result["published"]
    assert "newer than this run's" in result["reason"]
    assert shop.live == 1


def test_a_yes_to_replacing_one_version_does_not_replace_another(shop: Shop) -> None:
    """While a person thought it over, another run published: nobody saw the comparison with what is live now."""
    shop.publish(1)
    about_1 = YES | {"live": shop.versions[0]}
    shop.publish(2)
    result = shop.publish(3, promote="approval", approval=about_1)
    assert (result["published"], shop.live) == (False, 2)
    assert result["reason"] == (
        f"kept, not published: approved by ana at 2026-01-02T10:00:00+00:00, when version {shop.versions[0]} was live; "
        f"now it is version {shop.versions[1]}, and nobody has compared with that. Trigger a new run: it reuses "
        "everything that is unchanged and asks anew."
    )
    assert shop.versions[2] in shop.marks(kinds.VERSION), "the built version is kept"
    assert "when nothing was live" in shop.publish(3, promote="approval", approval=YES | {"live": None})["reason"]
    said_no = shop.publish(3, promote="approval", approval=about_1 | {"approved": False})["reason"]
    assert said_no.startswith("rejected by ana"), "a no stays a no"
    assert shop.publish(3, promote="approval", approval=YES | {"live": shop.versions[1]})["published"]
    assert shop.publish(3, promote="approval", approval=about_1)["reason"] == "already live", "a retry"


def test_a_yes_from_before_the_question_was_kept_still_counts(shop: Shop) -> None:
    """A run may wait for three days over an upgrade."""
    shop.publish(1)
    assert "live" not in YES
    assert shop.publish(2, promote="approval", approval=YES)["published"]


def test_what_is_foreseen_names_the_version_that_it_compares_with(shop: Shop) -> None:
    """The request's text and its comparison must be about one live version, also where another is published."""
    shop.publish(1)
    release = Release(shop.root / "version" / shop.versions[1], None, day(6), "r")
    foreseen = foresee(release, INDEX, EvaluateSettings(promote="approval"), shop.store, root=shop.root)
    assert foreseen.change is not None
    assert foreseen.live == foreseen.change.live_version == shop.versions[0]


def test_only_what_an_answer_could_change_is_asked(shop: Shop) -> None:
    """A question whose answer changes nothing teaches people to click without reading."""

    def asks(number: int, date: datetime, promote: Literal["auto", "approval", "never"] = "approval") -> bool:
        version = shop.root / "version" / shop.versions[number - 1]
        release = Release(version, evaluation(shop.root, shop.model), date, "r")
        return foresee(release, INDEX, EvaluateSettings(promote=promote), shop.store, root=shop.root).ask

    assert asks(1, day(5))
    assert shop.live is None, "asking changes nothing"
    shop.publish(1, date=day(5))
    assert not asks(1, day(6)), "live already"
    assert not asks(2, day(4)), "older than the live one"
    assert asks(2, day(6))
    assert not asks(2, day(6), "auto")
    assert not asks(2, day(6), "never")


def test_an_evaluation_without_a_gate_is_refused(shop: Shop) -> None:
    """No decision is not a yes."""
    model = artifacts.read(shop.model).fingerprint
    made = artifacts.build(shop.root, kinds.EVALUATION, lambda _: {}, settings={}, inputs={"model": model})
    with pytest.raises(VerificationFailed, match="has no gate"):
        shop.publish(1, evaluation=made.path)
    assert shop.live is None


def test_another_models_evaluation_is_refused(shop: Shop) -> None:
    """Its numbers say nothing about this index."""
    stats = {"gate": {"passed": True, "reason": "fine"}}
    made = artifacts.build(shop.root, kinds.EVALUATION, lambda _: stats, settings={}, inputs={"model": "other"})
    with pytest.raises(VerificationFailed, match="evaluates model other"):
        shop.publish(1, evaluation=made.path)
    assert shop.live is None


def test_an_older_date_never_replaces_a_newer_live_version(shop: Shop) -> None:
    """A backfill of January must not put January's catalogue in February's shop."""
    shop.publish(1, date=day(20))
    result = shop.publish(2, date=day(10))
    assert not result["published"]
    assert "2026-01-20T00:00:00+00:00" in result["reason"]
    assert "2026-01-10T00:00:00+00:00" in result["reason"]
    assert shop.live == 1
    assert shop.publish(2, date=day(20))["published"]  # an equal date is a correction of that day
    assert shop.live == 2


def test_dates_of_other_zones_are_compared_as_moments(shop: Shop) -> None:
    """As texts, 23:00+00:00 is later than 01:30+03:00 of the next day, and so it is as a moment."""
    shop.publish(1, date=datetime.fromisoformat("2026-01-05T23:00:00+00:00"))
    assert not shop.publish(2, date=datetime.fromisoformat("2026-01-06T01:30:00+03:00"))["published"]
    assert shop.publish(2, date=datetime.fromisoformat("2026-01-05T22:30:00-03:00"))["published"]


def test_a_date_without_a_zone_is_refused(shop: Shop) -> None:
    """Comparing it would raise in the middle of a publication, or be wrong by hours."""
    with pytest.raises(BadSettings, match="has no time zone"):
        shop.publish(1, date=datetime(2026, 1, 1))  # noqa: DTZ001
    assert shop.live is None


def test_publishing_the_live_version_again_only_notes_the_newer_date(shop: Shop) -> None:
    """An unchanged catalogue, daily: the guard must know that the live index is as good as today's."""
    shop.publish(1, date=day(1))
    for number in (5, 5, 3):  # a retry, and an older backfill, add nothing
        result = shop.publish(1, date=day(number))
        assert (result["published"], result["reason"], result["previous"]) == (True, "already live", None)
    assert shop.journal == [(1, "published", "01"), (1, "confirmed", "05")]
    assert not shop.publish(2, date=day(4))["published"]


def test_versions_beyond_keep_versions_are_deleted(shop: Shop) -> None:
    """Disks fill; but what other versions share must stay, and the live version works on."""
    shards = {number: IndexVersion.read(shop.root / "version" / v).shards for number, v in enumerate(shop.versions, 1)}
    assert shards[1][0]["path"] == shards[4][0]["path"]
    deleted = [shop.publish(number, keep_versions=2)["deleted"] for number in (1, 2, 3, 4)]
    assert deleted == [[], [], [shop.versions[0]], [shop.versions[1]]]
    assert shop.marks(kinds.VERSION) == set(shop.versions[2:])
    assert len(shop.marks(kinds.PLAN)) == 2
    assert shop.marks(kinds.EDGE) == {Path(s["path"]).name for number in (3, 4) for s in shards[number]}
    assert len(shop.marks(kinds.EMBEDDING)) == 5  # the source of truth stays
    assert shop.live == 4
    assert answers(shop.store, shop.root, "edition 4") == "0000000030"
    assert [number for number, _, _ in shop.journal] == [1, 2, 3, 4]


def test_a_version_that_was_never_published_is_not_deleted(shop: Shop) -> None:
    """A version that another run is about to publish must not vanish under it."""
    shop.publish(1, keep_versions=1)
    shop.publish(2, keep_versions=1)
    assert shop.marks(kinds.VERSION) == set(shop.versions[1:])
    assert shop.publish(3, keep_versions=1)["deleted"] == [shop.versions[1]]


def test_a_deleted_version_can_be_built_and_published_again(shop: Shop, tiny_model: Path) -> None:
    """A catalogue that returns to an earlier state has that state's version."""
    shop.publish(1, keep_versions=1)
    shop.publish(2, keep_versions=1)
    rows = products(40)
    rows[30] = rows[30]._replace(title="golden edition 1")
    again = build_version(shop.root, write_catalogue(shop.root, rows), publish_model(shop.root, tiny_model))
    assert again.fingerprint == shop.versions[0]
    assert shop.publish(1, date=day(9), keep_versions=1)["published"]
    assert answers(shop.store, shop.root, "edition 1") == "0000000030"


def test_rolling_back_goes_to_the_version_before(shop: Shop) -> None:
    """When the new index turns out bad, the old one must be a click away."""
    for number in (1, 2, 3):
        shop.publish(number)
    result = shop.roll_back()
    assert (result["version"], result["published"], result["previous"]) == (shop.versions[1], True, shop.versions[2])
    assert shop.live == 2
    assert shop.journal[-1] == (2, "rolled back", "02")
    assert answers(shop.store, shop.root, "edition 2") == "0000000030"


def test_rolling_back_twice_goes_further_back(shop: Shop) -> None:
    """Toggling between two bad versions helps nobody."""
    for number in (1, 2, 3):
        shop.publish(number)
    shop.roll_back()
    shop.roll_back()
    assert shop.live == 1
    with pytest.raises(UnknownVersion, match="no version 'previous'"):
        shop.roll_back()
    assert shop.live == 1


def test_after_a_rollback_the_next_run_publishes(shop: Shop) -> None:
    """A rollback is a stopgap: the next day's index goes live, and the way back skips the bad one."""
    for number in (1, 2, 3):
        shop.publish(number)
    shop.roll_back()
    assert shop.publish(4)["published"]
    assert shop.live == 4
    shop.roll_back()
    assert shop.live == 2


def test_rolling_back_to_a_named_version(shop: Shop) -> None:
    """The last good one may be older than the previous one."""
    for number in (1, 2, 3):
        shop.publish(number)
    shop.roll_back(shop.versions[0])
    assert shop.live == 1


@pytest.mark.parametrize("to", ["previous", "0123456789abcdef", "live version"])
def test_nothing_to_go_back_to_is_said(shop: Shop, to: str) -> None:
    """The message must list what there is, or the reader is stuck."""
    shop.publish(1)
    shop.publish(2, keep_versions=1)
    with pytest.raises(UnknownVersion, match=r"Kept are: none\."):
        shop.roll_back(shop.versions[1] if to == "live version" else to)
    assert shop.live == 2
    shop.publish(3)
    with pytest.raises(UnknownVersion, match=rf"Kept are: {shop.versions[1]} \(of 2026-01-02"):
        shop.roll_back("0123456789abcdef")


def test_nothing_to_go_back_to_before_the_first_publication(shop: Shop) -> None:
    """A fresh installation."""
    with pytest.raises(UnknownVersion, match="nothing is live"):
        shop.roll_back()


def test_a_rollback_to_a_broken_version_leaves_the_alias(shop: Shop) -> None:
    """Out of the frying pan must not lead to no index at all."""
    shop.publish(1)
    shop.publish(2)
    shards = IndexVersion.read(shop.root / "version" / shop.versions[0]).shards
    shutil.rmtree(shop.root / shards[1]["path"])
    with pytest.raises(UnknownVersion, match="does not exist"):
        shop.roll_back()
    assert shop.live == 2
    assert shop.journal[-1] == (2, "published", "02")


def test_a_version_that_lost_its_points_is_not_published(shop: Shop) -> None:
    """Hours may lie between verify and publish, when a person has to approve."""
    shop.publish(1)
    shards = IndexVersion.read(shop.root / "version" / shop.versions[1]).shards
    shutil.rmtree(shop.root / shards[1]["path"])
    with pytest.raises(UnknownVersion):
        shop.publish(2)
    assert shop.live == 1


def test_publishers_take_turns(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs that decide at once could both see the older live version."""
    import include.store.journal as journal

    monkeypatch.setattr(journal, "LOCK_TIMEOUT", 0.0)
    with journal.publishing(shop.root, "products"), pytest.raises(ArtifactBusy):
        shop.publish(1)
    assert shop.live is None
    shop.publish(1)
    assert shop.live == 1


def test_another_collections_version_is_refused(shop: Shop) -> None:
    """Its alias is another one."""
    release = Release(shop.root / "version" / shop.versions[0], None, day(1), "r")
    with pytest.raises(BadSettings, match="built for collection 'products', the settings say 'toys'"):
        publish(release, IndexSettings(collection="toys"), EvaluateSettings(), shop.store, root=shop.root)


def test_a_damaged_journal_is_not_overwritten(shop: Shop) -> None:
    """It holds the way back; a person must decide."""
    shop.publish(1)
    path = shop.root / "index" / "products" / "journal.json"
    path.write_text("{broken")
    with pytest.raises(DamagedArtifact, match="not a publication journal"):
        shop.publish(2)
    assert path.read_text() == "{broken"
    assert shop.live == 1


def test_the_journal_is_readable(shop: Shop) -> None:
    """A person on call reads it with a pager."""
    shop.publish(1)
    shop.publish(2)
    text = (shop.root / "index" / "products" / "journal.json").read_text()
    assert text.count("\n") > 15
    value = json.loads(text)
    assert value["intent"] is None
    assert value["deleting"] == []
    assert [entry["run_id"] for entry in value["history"]] == ["run 1", "run 2"]
    assert value["history"] == history(shop.root, "products")
    assert history(shop.root, "unknown") == []


def test_the_live_model_is_the_live_versions(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """Evaluation compares with it; where it is gone, a new index must still be able to replace it."""
    assert live_model(shop.store, root=shop.root) is None
    shop.publish(1)
    assert live_model(shop.store, root=shop.root) == LiveModel(shop.model, 32)
    (shop.model / "config.json").write_text("{}")
    assert live_model(shop.store, root=shop.root) is None
    assert shop.versions[0] in caplog.text


def test_a_shard_that_a_version_under_construction_uses_is_not_deleted(shop: Shop) -> None:
    """Two runs at once: one reuses an old version's shard, the other deletes that version."""
    model = shop.model
    for version in shop.versions[1:]:  # only version 1 is left to share its first shard
        removal.discard(shop.root / "version" / version)
    other = [row._replace(uid=f"other-{row.uid}", title=f"other {row.title}") for row in products(40)]
    newest = build_version(shop.root, write_catalogue(shop.root, other), model)
    shop.versions.append(newest.fingerprint)
    rows = [*products(20), *other[20:35]]
    plan, shards = load(shop.root, write_catalogue(shop.root, rows), model, INDEX)
    first = IndexVersion.read(shop.root / "version" / shop.versions[0]).shards
    assert shards[0]["path"] == first[0]["path"]

    shop.publish(1)
    assert shop.publish(5, keep_versions=1, max_gone=1.0)["deleted"] == [shop.versions[0]]
    assert (shop.root / first[0]["path"]).exists()
    assert not (shop.root / first[1]["path"]).exists()
    assert verify(plan, shards, INDEX, shop.store, root=shop.root).stats["recall"] >= 0.95
    assert list((shop.root / "building").glob("[!.]*")) == []


def test_claims_of_an_abandoned_run_end(shop: Shop) -> None:
    """A run that never came to verify must not keep its shards for ever."""
    shards = IndexVersion.read(shop.root / "version" / shop.versions[0]).shards
    assert claims.claim(shop.root, "0123456789abcdef", shards[1])
    assert claims.claimed(shop.root) == {shards[1]["path"]}
    os.utime(shop.root / "building" / "0123456789abcdef", (0, 0))
    assert claims.claimed(shop.root) == set()


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant")  # the simulation's limits
@pytest.mark.filterwarnings("ignore:Local mode performs exact")
def test_a_server_is_published_to_in_the_same_way(catalogue: Path, model: Path, root: Path) -> None:
    """The alias, the journal and the deletions must not depend on where the vectors are."""
    index = IndexSettings(store="server", collection="toys", keep_versions=1)
    store = open_store(index, root=root, server=ServerConnection(location=":memory:"))
    second = write_catalogue(root, products(50))
    versions = [build_version(root, rows, model, index, store) for rows in (catalogue, second)]
    for number, version in enumerate(versions, 1):
        release = Release(version.path, None, day(number), "r")
        result = publish(release, index, EvaluateSettings(), store, root=root)
        assert result["published"]
        assert store.live() == version.fingerprint
    assert result["deleted"] == [versions[0].fingerprint]
    assert store.versions() == [versions[1].fingerprint]
    assert answers(store, root, "golden jacket number 47") == "0000000047"
    with pytest.raises(UnknownVersion, match=r"Kept are: none\."):
        roll_back("previous", index, store, root=root, run_id="r")
