"""Intervals by the bootstrap: how sure, how paired, how big."""

import math
import resource

import numpy as np
import pytest

from include.evaluation.bootstrap import FEWEST, Bootstrap, resampled
from include.evaluation.metrics import Metric


def of(values: np.ndarray, weights: np.ndarray | None = None) -> Metric:
    return Metric(np.asarray(values, float), np.ones(len(values)) if weights is None else weights)


def test_the_interval_of_a_mean_is_the_known_one() -> None:
    """An interval too narrow calls noise progress; the normal approximation is the yardstick."""
    values = (np.arange(400) % 4 == 0).astype(float)  # a share of 0.25
    low, high = Bootstrap({"tuned": {"p@1": of(values)}}).intervals()["tuned"]["p@1"]
    error = 1.96 * math.sqrt(0.25 * 0.75 / 400)
    assert (low, high) == pytest.approx((0.25 - error, 0.25 + error), abs=0.006)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """95 % means 95 of 100: drawn from a known share, about so many intervals must hold it."""
    random = np.random.default_rng(5)
    drawn = random.random((300, 150)) < 0.3
    found = Bootstrap({"s": {str(n): of(row) for n, row in enumerate(drawn)}}).intervals()["s"]
    held = np.mean([low <= 0.3 <= high for low, high in found.values()])
    print(f"seed 5: {held:.3f} of the intervals hold the truth")
    assert 0.91 <= held <= 0.98


def test_differences_are_paired() -> None:
    """Hard queries are hard for both: two systems that differ a little on each query differ for sure."""
    random = np.random.default_rng(1)
    hard = random.random(300)
    better, worse = of(0.02 + 0.9 * hard), of(0.9 * hard + 0.01 * random.random(300))
    alone = Bootstrap({"tuned": {"m": better}, "base": {"m": worse}}).intervals()
    assert alone["tuned"]["m"][0] < alone["base"]["m"][1], "side by side they overlap"
    [found] = Bootstrap({"tuned": {"m": better}, "base": {"m": worse}}).differences([("tuned", "base")]).values()
    assert found["m"]["verdict"] == "better"
    assert found["m"]["difference"] == pytest.approx(0.015, abs=0.001)
    [back] = Bootstrap({"tuned": {"m": worse}, "base": {"m": better}}).differences([("tuned", "base")]).values()
    assert back["m"]["verdict"] == "worse"
    assert back["m"]["low"] == -found["m"]["high"]


def test_noise_is_not_a_difference() -> None:
    """Two systems that win half of the queries each are the same."""
    random = np.random.default_rng(2)
    first, second = (of(random.random(200) < 0.5) for _ in range(2))
    [found] = Bootstrap({"a": {"m": first}, "b": {"m": second}}).differences([("a", "b"), ("a", "gone")]).values()
    assert found["m"]["verdict"] == "same"
    assert found["m"]["low"] <= 0 <= found["m"]["high"]


def test_equal_systems_differ_by_nothing() -> None:
    """A model compared with itself must not be better by rounding, nor -0.0 worse."""
    one = of(np.random.default_rng(0).random(50))
    assert Bootstrap({"a": {"m": one}, "b": {"m": one}}).differences([("a", "b")])["a-b"]["m"] == {
        "difference": 0.0, "low": 0.0, "high": 0.0, "verdict": "same",
    }  # fmt: skip


def test_a_ratio_of_sums_is_drawn_as_one() -> None:
    """PSP divides sums over queries: a mean of per-query ratios has another interval."""
    values, weights = np.array([0.0, 9.0] * 20), np.array([1.0, 9.0] * 20)
    metric = of(values, weights)
    assert metric.figure == pytest.approx(0.9)
    low, high = Bootstrap({"s": {"psp@1": metric}}).intervals()["s"]["psp@1"]
    assert 0.7 < low < 0.9 < high < 1


def test_few_queries_tell_nothing() -> None:
    """Two lucky queries of two are no proof, but their bootstrap has no spread at all."""
    best, worst = of(np.ones(FEWEST - 1)), of(np.zeros(FEWEST - 1))
    systems = {"tuned": {"m": best}, "base": {"m": worst}}
    assert Bootstrap(systems).intervals()["tuned"]["m"] == [0.0, 1.0]
    assert Bootstrap(systems).differences([("tuned", "base")])["tuned-base"]["m"] == {
        "difference": 1.0, "low": -1.0, "high": 1.0, "verdict": "same",
    }  # fmt: skip
    enough = {"tuned": {"m": of(np.ones(FEWEST))}, "base": {"m": of(np.zeros(FEWEST))}}
    assert Bootstrap(enough).differences([("tuned", "base")])["tuned-base"]["m"]["verdict"] == "better"


def test_the_same_queries_give_the_same_interval() -> None:
    """A gate that decides otherwise on a retry is a coin."""
    metric = of(np.random.default_rng(0).random(77))
    assert resampled([metric]).tolist() == resampled([metric]).tolist()
    assert len(set(resampled([metric]).ravel().tolist())) > 1000


def test_many_queries_are_drawn_in_bounded_memory() -> None:
    """100,000 queries by 2,000 draws at once are 1.6 GB."""
    metric = of(np.random.default_rng(0).random(100_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    drawn = resampled([metric] * 3, resamples=200)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert drawn.shape == (200, 3)
    assert drawn.std(axis=0) == pytest.approx([0.2887 / math.sqrt(100_000)] * 3, rel=0.2)
    assert grown < 300, f"{grown:.0f} MiB"
