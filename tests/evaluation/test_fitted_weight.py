"""BM25's fitted weight on its way from the evaluation to the answer: it belongs to the version."""

import json
from pathlib import Path
from typing import Any

import pytest

from include.answering.answer import answer
from include.core import artifacts, kinds
from include.core.answer_settings import AnswerSettings
from include.core.forms import allowed, form_fields, from_form
from include.core.index_settings import IndexSettings
from include.store.journal import Journal, history, published
from include.store.protocol import BM25_WEIGHT
from tests.indexed import Shop, day, open_shop

QUESTION = "silver kettle number 14 of wood"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Shop:
    return open_shop(tmp_path_factory.mktemp("built") / "data", tiny_model)


@pytest.fixture
def shop(built: Shop, root: Path) -> Shop:
    """Four verified versions, none live; a copy for one test."""
    return built.copy(root)


def evaluated(shop: Shop, weight: float | None) -> Path:
    """An evaluation whose gate passed and that fitted this weight."""
    stats = {"gate": {"passed": True, "reason": "better"}, "fusion": {"bm25_weight": weight, "protocols": {}}}
    inputs = {"model": artifacts.read(shop.model, verify=False).fingerprint}
    return artifacts.build(shop.root, kinds.EVALUATION, lambda _: stats, settings=stats, inputs=inputs).path


def asked(shop: Shop, **settings: Any) -> dict[str, Any]:
    return answer([QUESTION], AnswerSettings(**settings), IndexSettings(), root=shop.root)


def test_answers_use_the_live_versions_weight(shop: Shop) -> None:
    """A weight fitted for another model, or a constant, can make hybrid search worse than either side."""
    shop.publish(1, evaluation=evaluated(shop, 1.0))
    found = asked(shop)
    assert found["bm25_weight"] == 1.0

    def retrieved(made: dict[str, Any]) -> list[tuple[str, int]]:
        [each] = made["answers"]
        return [(source["uid"], source["rank"]) for source in each["products"]]

    assert retrieved(found) == retrieved(asked(shop, bm25_weight=1.0))
    assert retrieved(found) != retrieved(asked(shop, bm25_weight=0.0))
    assert asked(shop, bm25_weight=0.0)["bm25_weight"] == 0.0, "what is asked for wins, 0 too"
    assert asked(shop, mode="dense")["bm25_weight"] is None


def test_a_rollback_brings_back_the_versions_own_weight(shop: Shop) -> None:
    """The old model with the new model's weight is a mixture that nobody measured."""
    shop.publish(1, evaluation=evaluated(shop, 0.35))
    shop.publish(2, evaluation=evaluated(shop, 0.0))
    assert asked(shop)["bm25_weight"] == 0.0
    assert asked(shop, version=shop.versions[0])["bm25_weight"] == 0.35
    shop.roll_back()
    assert asked(shop)["bm25_weight"] == 0.35
    assert [entry["bm25_weight"] for entry in history(shop.root, "products")] == [0.35, 0.0, 0.35]


def test_a_confirmed_version_keeps_its_weight(shop: Shop) -> None:
    """A later run without a fit must not take it away; one with a fit brings its own."""
    shop.publish(1, evaluation=evaluated(shop, 0.35))
    shop.publish(1, date=day(5))
    assert asked(shop)["bm25_weight"] == 0.35
    shop.publish(1, date=day(6), evaluation=evaluated(shop, 0.1))
    assert asked(shop)["bm25_weight"] == 0.1


def test_versions_without_a_weight_use_the_constant(shop: Shop) -> None:
    """Versions from before there were fitted weights, and catalogues too small to fit one."""
    shop.publish(1)
    assert asked(shop)["bm25_weight"] == BM25_WEIGHT
    shop.publish(2, evaluation=evaluated(shop, None))
    assert asked(shop)["bm25_weight"] == BM25_WEIGHT
    path = shop.root / "index" / "products" / "journal.json"
    value = json.loads(path.read_bytes())
    for entry in value["history"]:
        del entry["bm25_weight"]
    path.write_text(json.dumps(value))
    assert asked(shop)["bm25_weight"] == BM25_WEIGHT


def test_a_version_is_answered_with_its_weight_from_the_moment_it_is_live(shop: Shop) -> None:
    """Killed between the alias's move and the journal's note: the weight is in the intent."""
    shop.publish(1, evaluation=evaluated(shop, 0.35))
    journal = Journal.load(shop.root, "products")
    journal.intent = journal.history.pop()
    journal.save()
    entry = published(shop.root, "products", shop.versions[0])
    assert entry is not None and entry.bm25_weight == 0.35
    assert published(shop.root, "products", shop.versions[1]) is None


def test_a_damaged_journal_does_not_silence_the_shop(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """The journal is for the way back: while a person mends it, questions are answered, and the log says how."""
    shop.publish(1, evaluation=evaluated(shop, 0.35))
    (shop.root / "index" / "products" / "journal.json").write_text("{broken")
    assert asked(shop)["bm25_weight"] == BM25_WEIGHT
    assert "not a publication journal" in caplog.text


def test_an_empty_field_of_the_form_is_the_fitted_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A form that sends 0 for an empty field would switch the words off."""
    field = form_fields([AnswerSettings])["bm25_weight"]
    assert (field["type"], field["default"]) == (["null", "number"], None)
    assert (field["minimum"], field["maximum"], allowed(field)) == (0, 1, "0 to 1")
    assert from_form({"bm25_weight": None}, AnswerSettings)[0].bm25_weight is None
    assert from_form({"bm25_weight": 0}, AnswerSettings)[0].bm25_weight == 0.0
    monkeypatch.setenv("VITRINE_BM25_WEIGHT", "0.4")
    assert form_fields([AnswerSettings])["bm25_weight"]["default"] == 0.4
