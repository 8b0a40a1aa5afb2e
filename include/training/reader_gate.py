"""The reader's gate: what its logits mean, and whether it ranks better than today's relevance, on held-out questions.

Logits become probabilities together with that relevance (J. Platt, "Probabilistic Outputs for Support Vector Machines",
1999). A reader is judged by probabilities that were fitted on the questions of other products. One that does not rank
better beyond noise is kept, but not used: it costs time with each question.
"""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from include.core.arrays import AnyFloats, Bools, Floats, Vectors
from include.model.reader import probabilities
from include.training.reader_figures import Group, difference, measure

log = logging.getLogger(__name__)

FOLDS = 5  # of the held-out products
RIDGE = 0.1  # on the weights of calibration: a few held-out questions must not make them wild


def calibrated(seen: Sequence[AnyFloats], products: Sequence[str]) -> tuple[Floats, list[Floats]]:
    """Weights for `include.model.reader.probabilities`, and what the questions' passages have without them.

    Args:
        seen: For each held-out question (passages, 2): logits and relevance, the passage that answers first.
        products: Each question's; two at least.

    Returns:
        (3,) weights, fitted on all questions; and for each question (passages,) probabilities by weights that were
        fitted on the questions of products in other folds.
    """
    folds = {product: number % FOLDS for number, product in enumerate(dict.fromkeys(products))}
    weights = [
        _fitted([each for each, product in zip(seen, products, strict=True) if folds[product] != fold])
        for fold in range(min(FOLDS, len(folds)))
    ]
    found = [probabilities(each, weights[folds[product]]) for each, product in zip(seen, products, strict=True)]
    return _fitted(seen), found


def _fitted(seen: Sequence[AnyFloats]) -> Floats:
    return _logistic(np.concatenate(seen), np.concatenate([np.arange(len(each)) == 0 for each in seen]))


def judged(scores: Sequence[Floats], today: Sequence[Vectors]) -> dict[str, Any]:
    """The figures of both, and whether the reader is used.

    Args:
        scores: From `calibrated`.
        today: For each question the relevance of the same passages.
    """
    ours, theirs = _groups(scores), _groups(today)
    apart = difference(ours, theirs)
    value, low, high = apart["ndcg"]
    used = low > 0
    word = "better than" if used else "not told apart from" if high >= 0 else "worse than"
    reason = (
        f"by nDCG on {len(scores)} held-out questions the reader is {word} today's relevance ({value:+.3f}, 95 % "
        f"interval {low:+.3f} to {high:+.3f})" + ("" if used else ": it is not used")
    )
    log.log(logging.INFO if used else logging.WARNING, "%s", reason)
    return {
        "figures": {"reader": measure(ours), "relevance": measure(theirs), "difference": apart},
        "used": used,
        "reason": reason,
    }


def _groups(scores: Sequence[AnyFloats]) -> list[Group]:
    """Each held-out question with its answer, and again without it."""
    with_answer = [(np.arange(len(each)) == 0, each) for each in scores]
    return with_answer + [(np.zeros(len(each) - 1, bool), each[1:]) for each in scores if len(each) > 1]


def _logistic(seen: AnyFloats, answers: Bools) -> Floats:
    """Weights with which `probabilities` makes probabilities of logits and relevance; Platt's targets.

    Args:
        seen: (passages, 2).
        answers: (passages,): whether each answers.
    """
    features = np.column_stack([seen, np.ones(len(seen))]).astype(np.float64)
    positives = int(answers.sum())
    targets = np.where(answers, (positives + 1) / (positives + 2), 1 / (len(answers) - positives + 2))
    weights = np.array([1.0, 0.0, 0.0])
    for _ in range(200):  # Newton's method, in steps of at most 1: convex
        said = probabilities(seen, weights)
        curve = (features * (said * (1 - said))[:, None]).T @ features + RIDGE * np.eye(3)
        move = np.clip(np.linalg.solve(curve, features.T @ (said - targets) + RIDGE * weights), -1, 1)
        weights = weights - move
        if np.abs(move).max() < 1e-9:
            break
    return weights
