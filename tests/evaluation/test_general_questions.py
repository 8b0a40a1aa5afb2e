"""include/evaluation/general_questions.py: what people ask in words of their own is not lost to a shortcut."""

import hashlib
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.catalogue.schema import PRODUCTS_FILE, held_out_rows
from include.core.forms import pipeline_settings
from include.core.settings import EvaluateSettings
from include.core.train_settings import TrainSettings
from include.evaluation.evaluate import evaluate
from include.evaluation.general_questions import general_question, title_words
from include.evaluation.protocols import sentence_to_product
from tests.small import Product, write_catalogue

PLACES = ["kitchen", "garden", "office", "bedroom", "garage", "balcony", "campsite", "classroom", "boat", "cellar"]
USES = ["cooking", "reading", "sleeping", "mending", "painting", "writing", "washing", "drying", "sewing", "fishing"]
ROWS = [
    Product(
        f"{number:06d}",
        f"QX{1000 + number} {thing}",
        f"Article QX{1000 + number} is made for {use} in the {place}. Who likes {use} takes it along to the {place}.",
    )
    for number, (place, use, thing) in enumerate(itertools.product(PLACES, USES, ["set", "kit"]))
]


def test_a_question_has_no_code_no_number_and_no_name() -> None:
    """With one of these in it, a model that looks at codes alone would find the product."""
    titles = ["Sony WX-100 kettle", *(f"Acme {n} kettle" for n in range(200))]
    content = "The WX-100 from Sony boils 2 litres for tea at night. The kettle's handle stays cool. Steel."
    made = general_question(titles[0], content, title_words(titles), len(titles))
    assert made == "the from boils litres for tea at night"
    assert general_question("A lamp", "Too short. Steel.", title_words(titles), len(titles)) is None
    assert general_question("A lamp", "", title_words(titles), 201) is None


def test_held_out_products_are_asked_for_in_their_own_words(root: Path) -> None:
    """A product that training has seen would be found by heart."""
    catalogue, train = write_catalogue(root, ROWS), TrainSettings(holdout=20)
    held = held_out_rows(catalogue / PRODUCTS_FILE, train.holdout, train.seed)
    made = sentence_to_product(catalogue, held, train, EvaluateSettings(eval_corpus=100))
    assert made is not None
    assert (len(made.queries), len(made.corpus)) == (20, 100)
    for row, query, relevant in zip(held, made.queries, made.relevant, strict=True):
        assert made.corpus[min(relevant)] == f"{ROWS[row].title}. {ROWS[row].content}"
        assert set(query.split()) <= set(ROWS[row].content.lower().replace(".", "").split())
        assert "qx" not in query
    assert sentence_to_product(catalogue, [], train, EvaluateSettings()) is None


class Bag:
    """Encodes a text as its words: those that are codes, those that are not, or both."""

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self._wanted = wanted

    def encode(self, texts: Sequence[str], **_: Any) -> np.ndarray:
        vectors = np.full((len(texts), 512), 1e-3, np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().replace(".", " ").split():
                if self._wanted(word):
                    vectors[row, int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "little") % 512] += 1
        made: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return made


def is_code(word: str) -> bool:
    return any(map(str.isdigit, word))


@pytest.mark.parametrize(
    ("learnt", "passed"), [(is_code, False), (lambda word: True, True)], ids=["codes alone", "codes too"]
)
def test_a_model_that_looks_at_codes_alone_does_not_pass(
    learnt: Callable[[str], bool],
    passed: bool,
    root: Path,
    model: Path,
    tiny_base: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It finds every held-out title's content, and nothing that a person asks in their own words."""
    catalogue = write_catalogue(root, ROWS)
    bags = {model: Bag(learnt)}
    monkeypatch.setattr(
        "include.model.encoder.Encoder.load", lambda path, **_: bags.get(path, Bag(lambda word: not is_code(word)))
    )
    settings = pipeline_settings({"base_model": str(tiny_base), "holdout": 30})
    made = evaluate(catalogue, model, settings, root=root).stats
    titles = made["protocols"]["title_to_content"]["differences"]["tuned-base"]["ndcg@10"]
    assert titles["verdict"] == "better"
    assert made["gate"]["passed"] is passed, made["gate"]["reason"]
    assert ("worse than the base on sentence_to_product" in made["gate"]["reason"]) is not passed
    assert made["fusion"]["bm25_weight"] == made["fusion"]["protocols"]["title_to_content"]["bm25_weight"]
