"""include/training/question_pairs.py: training learns from people's questions, and from no question of the exam."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include import stages
from include.catalogue.schema import PRODUCTS_FILE, held_out_rows
from include.core import artifacts
from include.core.forms import pipeline_settings
from include.core.train_settings import TrainSettings
from include.questions.questions import Question, part
from include.run import Run
from include.training.pairs import find_pairs
from include.training.question_pairs import MOST_PRODUCTS, QUESTION_TEXTS, question_pairs
from tests.exam.people import DATE, asked_of, write_file
from tests.small import products

ROWS = products(60)
SETTINGS = TrainSettings(holdout=10)


def test_a_question_stands_beside_its_product_and_its_evidence(catalogue: Path) -> None:
    asked = [
        Question("a", "what holds water", ("0000000000",), ("It is red.", "of steel")),
        Question("b", "things for tea", tuple(row.uid for row in ROWS[:8]), ("It is red.",)),
        Question("c", "do you have submarines", (), answerable=False),
        Question("d", "what weighs 13 kg", ("gone",)),
    ]
    made = question_pairs(catalogue, asked)
    said = [(made.texts[left], made.texts[right], row) for left, right, row in made.pairs]
    assert said[:3] == [
        ("what holds water", f"{ROWS[0].title}. {ROWS[0].content}", 0),
        ("what holds water", f"{ROWS[0].title}. It is red.", 0),
        ("what holds water", f"{ROWS[0].title}. of steel", 0),
    ]
    assert [row for _, _, row in said[3:]] == list(range(MOST_PRODUCTS)), "and no evidence of several products"


def test_questions_about_held_out_products_are_left_out(catalogue: Path) -> None:
    """Their answers are the contents that evaluation asks for."""
    held = held_out_rows(catalogue / PRODUCTS_FILE, SETTINGS.holdout, SETTINGS.seed)
    asked = [Question(row.uid, f"is there a {row.title}", (row.uid,)) for row in ROWS]
    pairs = find_pairs(catalogue, SETTINGS, asked)
    assert pairs.counts["questions"] == len(ROWS) - len(held)
    assert not set(pairs.left_product[-pairs.counts["questions"] :].tolist()) & set(held)
    plain = find_pairs(catalogue, SETTINGS)
    assert "questions" not in plain.counts and QUESTION_TEXTS not in plain.columns
    assert np.array_equal(pairs.left_product[: len(plain)], plain.left_product)


def test_the_product_of_a_question_is_no_negative_of_another_that_asks_the_same(catalogue: Path) -> None:
    """Both answer it; to push one away would unlearn what was just taught."""
    row = ROWS[20]
    asked = [Question("a", "what is yellow", (ROWS[5].uid, ROWS[13].uid, ROWS[21].uid, row.uid))]
    pairs = find_pairs(catalogue, SETTINGS, asked)
    batch = np.arange(len(pairs))[-pairs.counts["questions"] :]
    known = pairs.known_positives(batch)
    assert len(batch) > 1 and known.sum() == len(batch) * (len(batch) - 1), "all but each pair's own"


@pytest.fixture
def run_with(root: Path, catalogue: Path, tiny_base: Path, training_here: None) -> Callable[..., Run]:
    def make(**conf: Any) -> Run:
        small = {"base_model": str(tiny_base), "max_steps": 2, "batch_size": 8, "max_tokens": 16, "holdout": 10}
        return Run(pipeline_settings({**small, "row_group_rows": 100, **conf}), root, "r", DATE)

    return make


def test_fine_tune_trains_on_the_part_train_alone(
    run_with: Callable[..., Run], catalogue: Path, tmp_path: Path
) -> None:
    """Another exam is no other model; another question to train on is; and no question is as it was before."""
    known = artifacts.read(catalogue).summary()
    plain = stages.fine_tune(run_with(), known)
    train, exam = (list(asked_of(ROWS, 20, name).all) for name in ("train", "exam"))
    assert {part(each.question) for each in train} == {"train"}

    def trained(asked: list[Question]) -> dict[str, Any]:
        run = run_with(questions=str(write_file(tmp_path / "q.jsonl", asked)))
        return stages.fine_tune(run, known, stages.read_questions(run, known))

    first = trained([*train, *exam])
    assert first["fingerprint"] != plain["fingerprint"]
    assert first["stats"]["pairs"] > plain["stats"]["pairs"]
    again = trained([*train, *exam[:10]])
    assert (again["fingerprint"], again["reused"]) == (first["fingerprint"], True)
    assert trained(train[:10])["fingerprint"] not in (first["fingerprint"], plain["fingerprint"])
    only_exam = trained(exam)
    assert (only_exam["fingerprint"], only_exam["reused"]) == (plain["fingerprint"], True)


def test_what_is_not_learned_from_trains_nothing_anew(
    run_with: Callable[..., Run], catalogue: Path, tmp_path: Path
) -> None:
    """Hours of training, and another index, because somebody named the kinds of his questions."""
    known = artifacts.read(catalogue).summary()
    asked = [each for each in asked_of(ROWS, 20, "train").all if each.answerable]
    none = [replace(each, answerable=False, uids=()) for each in asked]

    def trained(asked: list[Question]) -> str:
        run = run_with(questions=str(write_file(tmp_path / "q.jsonl", asked)))
        return str(stages.fine_tune(run, known, stages.read_questions(run, known))["fingerprint"])

    first = trained(asked)
    told = [replace(each, id=f"x{each.id}", kind="named", lang="en", weight=2.0) for each in asked]
    assert trained(told) == trained([*asked, *asked_of(ROWS, 20, "train").all]) == first
    assert trained([replace(each, evidence=("other words",)) for each in asked]) != first
    assert trained(none) == stages.fine_tune(run_with(), known)["fingerprint"]
