"""Splitting product texts into sentences, and scoring those."""

import csv
import time
from collections import defaultdict
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.answering.passages import LONGEST, OVERLAP_WEIGHT, relevance, sentences, word_overlap
from include.answering.wording import keywords
from tests.conftest import REAL_DATA


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Holds 12.5 oz. of tea. It is red.", ["Holds 12.5 oz. of tea.", "It is red."]),
        ("22.6 cu . ft. steel door. 4 shelves.", ["22.6 cu . ft. steel door.", "4 shelves."]),
        ("Holds 12 oz. The door is big!", ["Holds 12 oz.", "The door is big!"]),
        ("Soft look.Features:Food-proof colour", ["Soft look.", "Features:Food-proof colour"]),
        ("1. Open it. 2. Plug it in. 3. Enjoy it.", ["1. Open it.", "2. Plug it in.", "3. Enjoy it."]),
        (
            "Made in the U.S. and sold by Acme Inc. It is fine.",
            ["Made in the U.S. and sold by Acme Inc.", "It is fine."],
        ),
        ("it works great. i love it.", ["it works great.", "i love it."]),
        (
            "See fig. 3 or ask Dr. Smith about No. 5. It works.",
            ["See fig. 3 or ask Dr. Smith about No. 5.", "It works."],
        ),
        ("• one two • three four\n five six // seven eight", ["one two", "three four", "five six", "seven eight"]),
        ("5 in. long and 7 . 3 lbs. heavy", ["5 in. long and 7 . 3 lbs. heavy"]),
        ("Really? Yes! “It is.” He knew.", ["Really? Yes!", "“It is.”", "He knew."]),
        ("Weighs 60 g. IPX4 rated.", ["Weighs 60 g.", "IPX4 rated."]),
        ("The power is 2200 W. It is new.", ["The power is 2200 W.", "It is new."]),
        ("Lasts 8 h. on 5 V. or more. By J. Smith.", ["Lasts 8 h. on 5 V. or more.", "By J. Smith."]),
        ("容量是一点七升。采用不锈钢材质！保修期为两年？", ["容量是一点七升。", "采用不锈钢材质！", "保修期为两年？"]),
        ("「ガラス製です。」軽いです。", ["「ガラス製です。」", "軽いです。"]),
        ("यह किताब अच्छी है। इसमें सौ पृष्ठ हैं॥ नई है।", ["यह किताब अच्छी है।", "इसमें सौ पृष्ठ हैं॥", "नई है।"]),
        ("هل هو أحمر؟ نعم. یہ نیا ہے۔ اچھا ہے۔", ["هل هو أحمر؟", "نعم. یہ نیا ہے۔", "اچھا ہے۔"]),
        ("", []),
        (" \n\t ", []),
    ],
)
def test_splits_where_a_reader_would(text: str, expected: list[str]) -> None:
    """A quote that breaks off at "cu." is no answer."""
    assert sentences(text) == expected


@given(st.text(alphabet="abAB gW8。।؟.!?\n•*/5,;:'\"()", max_size=600))
def test_loses_no_letter_and_keeps_to_the_limit(text: str) -> None:
    """A sentence that vanishes can never be quoted, one without end is no quote."""
    made = sentences(text)
    assert all(piece and len(piece) <= LONGEST and piece == piece.strip() for piece in made)
    letters = [character for character in text if character.isalnum()]
    assert [character for piece in made for character in piece if character.isalnum()] == letters


@pytest.mark.parametrize("unit", [".", "a.", "a . ", "A. b", " ", "•", '.")', "\n", "* ", "a ", "wordy.Words", "x"])
def test_time_grows_with_the_length_and_no_faster(unit: str) -> None:
    """Texts come from strangers: one that takes quadratic time would hang the query path (200,000: hours)."""
    began = time.process_time()
    sentences(unit * (200_000 // len(unit)))
    assert time.process_time() - began < 5


def test_a_long_run_is_cut_at_a_comma() -> None:
    """Half of the real products' contents have no full stop at all."""
    text = ", ".join(f"feature number {number} of the product" for number in range(20))
    made = sentences(text)
    assert len(made) > 2
    assert all(piece.endswith(",") for piece in made[:-1])
    assert " ".join(made) == text


def test_keywords_drop_what_every_sentence_has() -> None:
    """ "The … is of" would match every sentence."""
    assert keywords("The capacity of these kettles is it") == ["capac", "kettl"]
    assert keywords("किताब की कीमत") == ["किताब", "की", "कीमत"]


def test_overlap_weighs_rare_words_more() -> None:
    """A word that all candidates share tells nothing."""
    shares = word_overlap("kettle warranty", ["the kettle is red", "kettle with warranty", "kettle", "lamp"])
    assert shares[1] == pytest.approx(1.0)
    assert shares[0] == shares[2] < 0.5
    assert shares[3] == 0
    assert word_overlap("what is it?", ["it is what it is"]).tolist() == [0]
    assert word_overlap("kettle", []).tolist() == []


def test_relevance_is_a_weighted_mean() -> None:
    """Scores are compared with a threshold from 0 to 1."""
    mixed = relevance(np.array([1.0, 0.0], np.float32), np.array([1.0, 1.0], np.float32))
    assert mixed == pytest.approx([1.0, OVERLAP_WEIGHT])


def test_overlap_ranks_evidence_better_than_chance_on_hetpqa() -> None:
    """The half of HetPQA's questions that the weight was not chosen on: P@1 of overlap alone was 0.521."""
    path = Path(REAL_DATA / "hetpqa-evidence-dev.tsv")
    if not path.exists():
        pytest.skip(f"HetPQA is not here ({path})")
    groups: dict[tuple[str, str], list[tuple[str, bool]]] = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            if sha256(row["qid"].encode()).digest()[0] % 2:
                groups[row["qid"], row["question"]].append((row["candidate"], row["label"] != "0"))
    ranked = [
        (rows, word_overlap(question, [candidate for candidate, _ in rows]))
        for (_, question), rows in groups.items()
        if 0 < sum(label for _, label in rows) < len(rows)
    ]
    first = [rows[int(np.argmax(shares))][1] for rows, shares in ranked]
    chance = [sum(label for _, label in rows) / len(rows) for rows, _ in ranked]
    assert len(first) == 194
    assert np.mean(first) > 0.48 > np.mean(chance) + 0.1
