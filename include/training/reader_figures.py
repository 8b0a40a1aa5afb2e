"""How well passages are told apart: by rank within a question, and by score between questions.

P@1 and nDCG are over the questions that have an answer among their candidates. AUROC is how often such a question's
best score is above that of a question without one; "wrong answers" is the share of the latter that would be answered
where so many of the former are refused. Intervals: the bootstrap over questions, as in `include.evaluation.bootstrap`.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from include.core.arrays import AnyFloats, Bools, Floats

RESAMPLES = 1000
SEED = 19
REFUSED = (5, 20)  # per cent of the answerable questions

Group = tuple[Bools, AnyFloats]  # a question's candidates: whether each answers, and its score


def measure(groups: Sequence[Group]) -> dict[str, list[float]]:
    """Each figure with its 95 % interval: `[figure, low, high]`, rounded to 4 digits.

    Args:
        groups: At least one with an answer and one without.
    """
    return {name: _with_interval(values) for name, values in _drawn([groups])[0].items()}


def difference(ours: Sequence[Group], theirs: Sequence[Group]) -> dict[str, list[float]]:
    """How much each figure of `ours` is above that of `theirs`, over the same questions; see `measure`."""
    first, second = _drawn([ours, theirs])
    return {name: _with_interval(first[name] - second[name]) for name in first}


def _with_interval(values: Floats) -> list[float]:
    """Of (1 + draws,) values, the first of which is of all questions as they are."""
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return [round(float(each), 4) for each in (values[0], low, high)]


def _drawn(systems: Sequence[Sequence[Group]]) -> list[dict[str, Floats]]:
    """The figures of each system over all questions, then over each draw of them, the same for all systems."""
    has = np.array([labels.any() for labels, _ in systems[0]])
    random = np.random.default_rng(SEED)
    some, none = np.flatnonzero(has), np.flatnonzero(~has)
    draws = [(some, none)] + [
        (random.choice(some, len(some)), random.choice(none, len(none))) for _ in range(RESAMPLES)
    ]
    return [_figures(groups, draws) for groups in systems]


def _figures(groups: Sequence[Group], draws: Sequence[tuple[AnyFloats, AnyFloats]]) -> dict[str, Floats]:
    best = np.array([scores.max() for _, scores in groups])
    ranked = [_ranked(labels, scores) if labels.any() else (0.0, 0.0) for labels, scores in groups]
    first, gain = np.array(ranked).T
    found: dict[str, list[float]] = {}
    for some, none in draws:
        each: Mapping[str, float] = {
            "p@1": float(first[some].mean()),
            "ndcg": float(gain[some].mean()),
            "auroc": auroc(best[some], best[none]),
            **{
                f"wrong answers at {share} % refused": float(
                    (best[none] >= np.quantile(best[some], share / 100)).mean()
                )
                for share in REFUSED
            },
        }
        for name, value in each.items():
            found.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in found.items()}


def _ranked(labels: Bools, scores: AnyFloats) -> tuple[float, float]:
    """Whether the first candidate answers, and nDCG."""
    sorted_labels = labels[np.argsort(-scores, kind="stable")]
    discounts = 1 / np.log2(np.arange(2, len(labels) + 2))
    return float(sorted_labels[0]), float((sorted_labels * discounts).sum() / discounts[: labels.sum()].sum())


def auroc(above: AnyFloats, below: AnyFloats) -> float:
    """The share of pairs in which the first is above the second, ties counting half."""
    ordered = np.sort(below)
    places = np.searchsorted(ordered, above, "left") + np.searchsorted(ordered, above, "right")
    return float(places.mean() / (2 * len(below)))
