"""Fusing dense and BM25 results."""

import pytest

from include.core.answer_settings import AnswerSettings
from include.store.fusion import fuse, unmatched
from include.store.protocol import BM25_WEIGHT, Hit


def test_scores_are_a_weighted_sum_of_cosine_and_relative_bm25() -> None:
    """The formula that the docs state, by hand."""
    fused = fuse({"a": 0.8, "b": 0.5, "c": -0.3}, {"b": 12.0, "d": 6.0}, 10, bm25_weight=0.25)
    assert fused == [
        ("b", pytest.approx(0.75 * 0.5 + 0.25)),
        ("a", pytest.approx(0.75 * 0.8)),
        ("d", pytest.approx(0.125)),
        ("c", 0.0),
    ]


def test_ties_are_broken_by_uid_whatever_the_order() -> None:
    """Sets have no order of their own: results must not depend on hash seeds."""
    names = ["b", "a", "d", "c"]
    expected = [(name, 0.5) for name in sorted(names)]
    assert fuse(dict.fromkeys(names, 0.5), {}, 4, bm25_weight=0.0) == expected
    assert fuse(dict.fromkeys(reversed(names), 0.5), {}, 3, bm25_weight=0.0) == expected[:3]


def test_one_empty_side_leaves_the_order_of_the_other() -> None:
    """A question without a known word is still answered by meaning."""
    assert [uid for uid, _ in fuse({"a": 0.2, "b": 0.9}, {}, 5)] == ["b", "a"]
    assert [uid for uid, _ in fuse({}, {"a": 2.0, "b": 9.0}, 5)] == ["b", "a"]
    assert fuse({}, {}, 5) == []


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_a_weight_outside_its_range_is_refused(weight: float) -> None:
    """A weight of 2 would turn dense search upside down."""
    with pytest.raises(ValueError, match="from 0 to 1"):
        fuse({"a": 1.0}, {}, 1, bm25_weight=weight)


def test_unmatched_hits_are_those_of_other_products() -> None:
    """A product that is named and found must be shown once."""
    both, other = Hit("b", "B", "text b", 0.4), Hit("a", "A", "text a", 0.9)
    assert unmatched([both], [other, both]) == []
    assert unmatched([other, both], [both]) == [other]


def test_the_setting_names_the_weight_that_stands_in() -> None:
    """Two defaults would drift apart."""
    assert AnswerSettings().bm25_weight is None
    assert f"; {BM25_WEIGHT} where there was none" in str(AnswerSettings.model_fields["bm25_weight"].description)
