"""Questions to begin with: of the catalogue's own products, and such as are answered."""

from pathlib import Path

import pytest

from include.answering.asker import Asker
from include.catalogue.examples import example_questions
from include.catalogue.schema import PRODUCTS_FILE
from include.core.answer_settings import AnswerSettings
from include.core.index_settings import IndexSettings
from include.sample.products import FLAGSHIPS
from tests.indexed import build_version
from tests.small import Product, publish_model, write_catalogue

ROWS = [
    *(Product(f"{place:010}", each.title, each.content) for place, each in enumerate(FLAGSHIPS)),
    Product("0000000101", "ink tank magenta cli8m", "Compatible with the Pixma ip4200 and ip5200 printers."),
    Product("0000000102", "7", "A number is no name."),
    Product("0000000103", "An endless title " * 9, "Which nobody would type."),
]


def asked_of(root: Path, language: str | None) -> list[str]:
    return example_questions(write_catalogue(root, ROWS) / PRODUCTS_FILE, language=language)


def test_facts_are_asked_for_that_products_tell(root: Path) -> None:
    """A page of names alone hides that facts can be asked for."""
    asked = asked_of(root, "english")
    assert len(asked) == 5
    assert "How much does the Brasato Mika glass kettle hold?" in asked
    assert "What is the ink tank magenta cli8m compatible with?" in asked
    assert len(set(asked)) == 5
    assert asked == asked_of(root, "english")
    assert not any("endless" in each or each == "7" for each in asked)


@pytest.mark.parametrize("language", ["portuguese", None])
def test_of_another_language_names_are_asked_for(root: Path, language: str | None) -> None:
    """English questions of a Portuguese catalogue find nothing."""
    assert all(any(row.title.startswith(each) for row in ROWS) for each in asked_of(root, language))


def test_an_empty_catalogue_has_none(root: Path) -> None:
    """No product, no question; and no failure of the page."""
    assert example_questions(write_catalogue(root, []) / PRODUCTS_FILE) == []


def test_what_is_offered_is_answered(root: Path, tiny_model: Path) -> None:
    """An example that finds nothing is the worst first impression that a page can make."""
    catalogue = write_catalogue(root, ROWS)
    version = build_version(root, catalogue, publish_model(root, tiny_model))
    with Asker.open(version.fingerprint, IndexSettings(), root=root) as asker:
        told = asker.answer(example_questions(catalogue / PRODUCTS_FILE), AnswerSettings())["answers"]
    assert sum(each["found"] for each in told) >= 4, [(each["question"], each["answer"]) for each in told]
