"""A reader that was published with a version decides what answers; without it, or damaged, relevance does."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from include import reading
from include.answering.answer import answer
from include.core import artifacts, kinds
from include.core.answer_settings import AnswerSettings
from include.core.errors import BadModel, BadSettings
from include.core.index_settings import IndexSettings
from include.core.train_settings import ReaderSettings
from include.model.reader import READER_FILE, Reader
from include.publishing.needed import needed, published_versions, shelf
from include.training.reader import train_reader
from include.training.reader_rows import Row
from tests.indexed import Shop, day, open_shop
from tests.small import products

WEIGHT = "How heavy is silver kettle number 14?"


def rows(count: int = 90) -> list[Row]:
    """What the sample's products tell, asked for."""
    known = {each.uid: (each.title, each.content) for each in products(count)}
    asked = []
    for each in products(count):
        material, colour, weight = (f"{part.strip().removesuffix('.')}." for part in each.content.split(". "))
        wanted = [("How heavy is", weight), ("Which colour has", colour), ("What is it made of,", material)]
        question, evidence = wanted[int(each.uid) % 3]
        asked.append((f"{question} {each.title}?", [each.uid], [evidence]))
    return reading.rows(asked, known)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[Shop, Path]:
    """Four versions, none live, and a reader beside them."""
    shop = open_shop(tmp_path_factory.mktemp("built") / "data", tiny_model)
    settings = ReaderSettings(reader_epochs=20, reader_learning_rate=2e-3, reader_layers=1)
    made = train_reader(rows(), shop.model, settings, root=shop.root, relevance=reading.todays)
    return shop, made.path


@pytest.fixture
def shop(built: tuple[Shop, Path], root: Path) -> tuple[Shop, Path]:
    """A copy for one test."""
    return built[0].copy(root), root / built[1].relative_to(built[0].root)


def asked(shop: Shop, **settings: Any) -> dict[str, Any]:
    [found] = answer([WEIGHT], AnswerSettings(**settings), IndexSettings(), root=shop.root)["answers"]
    return dict(found)


def test_rows_have_the_title_the_evidence_and_the_products_other_sentences() -> None:
    """What is trained on is what is read later: the title in front of each sentence."""
    found = rows(3)[0]
    title = products(1)[0].title
    assert found.question == f"How heavy is {title}?"
    assert found.product == products(1)[0].uid
    assert found.answer == f"{title}. Model 0 weighs 1 kg."
    assert found.others and all(each.startswith(f"{title}. ") for each in found.others)
    assert found.answer not in found.others


def test_the_reader_chooses_the_sentence(shop: tuple[Shop, Path]) -> None:
    """Word overlap takes any sentence with the title's words; the question asks for one of them."""
    made, path = shop
    made.publish(1, reader=path.name)
    found = asked(made)
    assert "weighs" in found["answer"] and "made of" not in found["answer"]
    assert found["confidence"]["answer"] >= 0.5
    without = asked(made, read_with="none")
    assert without["confidence"] != found["confidence"]
    assert asked(made, read_with=path.name)["answer"] == found["answer"]


def test_a_rollback_takes_the_reader_with_it(shop: tuple[Shop, Path]) -> None:
    """A reader belongs to its version: a new one beside an old model is a mixture that nobody measured."""
    made, path = shop
    made.publish(1)
    plain = asked(made)["confidence"]
    made.publish(2, reader=path.name)
    assert asked(made)["confidence"] != plain
    made.roll_back()
    assert asked(made)["confidence"] == plain
    made.publish(2, date=day(9))
    assert asked(made)["confidence"] == plain, "published again by a run without a reader"


def test_a_damaged_reader_does_not_silence_the_shop(shop: tuple[Shop, Path], caplog: pytest.LogCaptureFixture) -> None:
    """Answers go on without it; the log says so and what to do."""
    made, path = shop
    made.publish(1, reader=path.name)
    without = asked(made, read_with="none")
    (path / READER_FILE).write_bytes(b"broken")
    assert {**asked(made), "seconds": 0} == {**without, "seconds": 0}
    assert "without the reader" in caplog.text and "again" in caplog.text
    shutil.rmtree(path)
    assert {**asked(made), "seconds": 0} == {**without, "seconds": 0}


def test_a_reader_that_is_asked_for_and_not_there_fails_the_run(shop: tuple[Shop, Path]) -> None:
    """A typing error in the form must not pass for an answer that the reader gave."""
    made, _ = shop
    made.publish(1)
    with pytest.raises(BadSettings, match="0000000000000000"):
        asked(made, read_with="0" * 16)


def test_pruning_spares_the_reader_of_a_published_version(shop: tuple[Shop, Path]) -> None:
    """Its fingerprint stands in the journal alone."""
    made, path = shop
    made.publish(1, reader=path.name)
    other = artifacts.build(made.root, kinds.READER, lambda _: {}, settings={"unused": 1}).path
    needs = needed(made.root, shelf(made.root), [], published_versions(made.root))
    assert f"reader/{path.name}" in needs and f"reader/{other.name}" not in needs


def test_reading_an_unknown_reader_says_where_it_looked(shop: tuple[Shop, Path]) -> None:
    """A typing error in the form must not look like a reader."""
    with pytest.raises(BadModel, match="missing"):
        Reader(shop[1].parent / "0123456789abcdef")
