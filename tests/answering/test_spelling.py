"""Mistyped words are mended against the index's own; nothing else is touched."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from include.answering.answer import answer
from include.answering.asked import Asked
from include.answering.questions import as_text
from include.answering.spelling import Spelling
from include.core.answer_settings import AnswerSettings
from include.core.index_settings import IndexSettings
from include.store.stores import open_store
from include.store.vocabulary import Vocabulary, write_vocabulary
from tests.index.points import load, vectors, version_id
from tests.indexed import open_shop
from tests.small import Product

TITLES = [
    *("wireless headphones by sennheiser", "wireless headphones by sony", "external hard drive", "portable hard drive"),
    *("kitchenaid blender, red", "kitchenaid mixer, red", "bagless upright vacuum", "an upright vacuum by hoover"),
    *("tv box", "gps receiver with one channel", "tv receiver with one channel", "lipstick, matte", "blu-ray player"),
    *(
        "it is still sure to write",
        "still sure to last",
        "a stronger pole",
        "stronger glue",
        "glass coffee maker",
        "steel coffee maker",
        "the candle",
        "bluray disc",
    ),
]
MODELS_OWN = {"xbox", "kindle", "guitar", "cancel"}


@pytest.fixture(scope="module")
def spelling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spelling]:
    root = tmp_path_factory.mktemp("spelling")
    rows = [Product(f"U{number}", title, "") for number, title in enumerate(TITLES)]
    index, version = IndexSettings(), version_id("spelling")
    store = open_store(index, root=root)
    shards = load(store, version, rows, vectors(len(rows)), index, shards=1, language="english")
    write_vocabulary(TITLES, root / "words.tsv")
    with closing(store.open(version, shards, language="english")) as searcher:
        yield Spelling(Vocabulary(root / "words.tsv"), searcher, "english", MODELS_OWN.__contains__)


@pytest.mark.parametrize(
    ("question", "mended"),
    [
        ("Wireles hedphones", {"wireles": "wireless", "hedphones": "headphones"}),
        ("sennhiser headfones", {"sennhiser": "sennheiser", "headfones": "headphones"}),
        ("an external harddrive", {"harddrive": "hard drive"}),
        ("bagles vaccum", {"bagles": "bagless", "vaccum": "vacuum"}),
        ("cofee maker", {"cofee": "coffee"}),
    ],
)
def test_what_was_meant_is_found(spelling: Spelling, question: str, mended: dict[str, str]) -> None:
    """Each of these found nothing by its words."""
    made = spelling.mend(Asked.as_written(question))
    assert made.mended == mended
    assert made.question == question
    assert made.text.lower() == " ".join(mended.get(word, word) for word in question.lower().split(" "))


def test_two_words_become_one_where_the_index_has_only_that(spelling: Spelling) -> None:
    """ "kitchen aid" is how people write the brand, and no product does."""
    made = spelling.mend(Asked.as_written("Kitchen Aid blendr, red?"))
    assert (made.text, made.mended) == ("kitchenaid blender, red?", {"kitchen aid": "kitchenaid", "blendr": "blender"})


@pytest.mark.parametrize(
    "question",
    [
        "wireless headphones",
        "xbox",  # not "tv box"
        "kindle",  # not "candle"
        "baby stroller",  # not "stronger"
        "gopro hero",
        "dyson",
        "chanel lipstick",  # not "channel"
        "blu ray",  # products have it, with a hyphen
        "mp3x5 or a-headfone",  # parts of model numbers
        "esmalte com brilho para criança",  # another language's words
        "headphone",  # its stem is there
        "",
        "?! 😀",
    ],
)
def test_what_was_not_mistyped_stays(spelling: Spelling, question: str) -> None:
    """A wrong mend is worse than none."""
    assert spelling.mend(Asked.as_written(question)) == Asked.as_written(question)


@pytest.mark.parametrize(
    ("question", "offered"), [("chanel", "channel"), ("shure", "sure"), ("Stihl chainsaw?", "still")]
)
def test_a_brand_that_is_not_sold_is_not_mended_away(spelling: Spelling, question: str, offered: str) -> None:
    """Danger: who asks for a brand is answered with whatever is spelt like it."""
    made = spelling.mend(Asked.as_written(question))
    assert (made.text, made.mended, made.warnings) == (question, {}, (f"Did you mean: {offered}?",))


def test_the_vocabulary_reads_back_what_was_written(tmp_path: Path) -> None:
    """Counts are of products, not of occurrences; a letter without words has none."""
    assert write_vocabulary(["red red kettle", "Kettle é 5", ""], tmp_path / "words.tsv") == 4
    read = Vocabulary(tmp_path / "words.tsv")
    assert [read.count(word) for word in ("kettle", "red", "é", "5", "ket", "ettle", "")] == [2, 1, 1, 1, 0, 0, 0]
    assert read.beginning("k", 5, 7) == ["kettle"]
    assert read.beginning("k", 7, 9) == read.beginning("x", 1, 9) == []
    write_vocabulary([], tmp_path / "none.tsv")
    assert Vocabulary(tmp_path / "none.tsv").beginning("k", 1, 9) == []


def test_an_answer_says_what_was_mended_and_leads_with_a_named_uid(tmp_path: Path, tiny_model: Path) -> None:
    """Whoever is shown other products than asked for must see why."""
    shop = open_shop(tmp_path / "data", tiny_model)
    shop.publish(1)
    questions = ["a silvr kettle of wood", "0000000021?"]
    typo, uid = answer(questions, AnswerSettings(), IndexSettings(), root=shop.root)["answers"]
    assert (typo["searched"], typo["mended"]) == ("a silver kettle of wood", {"silvr": "silver"})
    assert "\nShowing results for: a silver kettle of wood\nAnswer: " in as_text(typo)
    assert "Showing results" not in as_text(uid)
    assert (typo["question"], uid["products"][0]["uid"], uid["mended"]) == (questions[0], "0000000021", {})
