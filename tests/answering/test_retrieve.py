"""Which products come first."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from include.answering.asked import Asked
from include.answering.retrieve import Search, find
from include.core.answer_settings import AnswerSettings
from include.core.index_settings import IndexSettings
from include.store.stores import open_store
from tests.index.points import load, vectors, version_id
from tests.small import Product

ROWS = [
    Product("gas", "weber gas grill", "A grill."),
    Product("coal", "weber charcoal barbecue", "It is a large grill of steel which stands on three legs."),
    Product("small", "samsung 46 inch television", "An lcd television."),
    Product("large", "samsung 55 inch television set", "With lcd, on a stand of glass, for the wall as well."),
]


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("weber gas grill", "gas"),
        ("weber grill, not gas", "coal"),
        ("weber grills that are not gas", "coal"),
        ("samsung television 46 inch lcd", "small"),
        ("samsung lcd television bigger than 50 inches", "large"),
    ],
)
def test_what_contradicts_the_question_comes_last(root: Path, question: str, first: str) -> None:
    """Words and meaning like best what is excluded: "not gas" is about gas. It is kept, behind the others."""
    store, version = open_store(IndexSettings(), root=root), version_id("excluded")
    shards = load(store, version, ROWS, vectors(len(ROWS)), IndexSettings(), shards=1, language="english")
    with closing(store.open(version, shards, language="english")) as searcher:
        search = Search(AnswerSettings(mode="bm25", top_k=2), None, None)
        [(hits, cosines)] = find([Asked.as_written(question)], np.ones((1, 24), np.float32), searcher, search)
    assert hits[0].uid == first
    assert len(hits) == len(cosines) == 2
