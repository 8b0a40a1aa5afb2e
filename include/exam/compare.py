"""The figures of an exam, with intervals, and whether one version answers worse than another, beyond noise.

Intervals and differences are by the paired bootstrap over questions (`include.evaluation.bootstrap`), each figure over
the questions that it applies to.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from include.evaluation.bootstrap import FEWEST, Bootstrap
from include.evaluation.metrics import Metric
from include.evaluation.summary import Difference, Gate
from include.exam.summary import JUDGED, LESS_IS_BETTER, NAMES, FigureName, Scored, Scores
from include.questions.questions import FEEDBACK, Question

MOST_KINDS = 20  # that are told; the questions of further ones are in the total
_OPPOSITE: dict[str, str] = {"better": "worse", "worse": "better", "same": "same"}


def compare(questions: Sequence[Question], scores: Mapping[str, Sequence[Scores]], first: str, second: str) -> Scored:
    """The figures of each version over all questions, and `first` minus `second` where both are there.

    Figures on products are over the answerable questions, so that a version is not praised for finding what it cannot
    answer.

    Args:
        questions: That were asked.
        scores: By version, those of each question.
        first, second: Two of the versions.
    """
    return _compared(questions, scores, (first, second), everything=False)


def by_kind(
    questions: Sequence[Question], scores: Mapping[str, Sequence[Scores]], first: str, second: str
) -> dict[str, Scored]:
    """Likewise, of the questions of each kind that is given."""
    given = {each.kind for each in questions if each.kind}
    kinds = sorted(given, key=lambda kind: (kind != FEEDBACK, kind))[:MOST_KINDS]
    made = {}
    for kind in kinds:
        own = [number for number, each in enumerate(questions) if each.kind == kind]
        part = {system: [given[number] for number in own] for system, given in scores.items()}
        made[kind] = _compared([questions[number] for number in own], part, (first, second), everything=True)
    return made


def gate(compared: Scored, first: str, second: str, tolerance: float) -> Gate:
    """Whether `first` answers no worse than `second`, beyond noise: by each figure of `JUDGED`.

    Args:
        compared: Of both.
        first, second: What they are called in the reason.
        tolerance: Slack in each of the shares, 0-1.
    """
    differences = {name: compared.differences[name] for name in JUDGED if name in compared.differences}
    worse = [name for name, each in differences.items() if _loss(name, each) > tolerance]
    slack = f" (tolerance {tolerance})" if tolerance else ""
    told = "; ".join(_said(name, compared, first, second) for name in worse or differences)
    if not differences:
        told = "no question of the exam applies"
    elif not worse and all(compared.figures[first][name]["questions"] < FEWEST for name in differences):
        told = f"fewer than {FEWEST} questions tell nothing ({told})"
    verdict = "worse" if worse else "no worse"
    return {
        "passed": not worse,
        "reason": f"{_name(first)} answers {verdict} than {_name(second)}{slack}: {told}",
        "tolerance": tolerance,
    }


def _loss(name: FigureName, difference: Difference) -> float:
    """The least that is lost, with 95 % certainty; below 0 where nothing is sure."""
    return difference["low"] if name in LESS_IS_BETTER else -difference["high"]


def _said(name: FigureName, compared: Scored, first: str, second: str) -> str:
    ours, theirs = compared.figures[first][name], compared.figures[second][name]
    each = compared.differences[name]
    return (
        f"{NAMES[name]} {ours['value']:.3f} against {theirs['value']:.3f} of {ours['questions']:,} questions "
        f"({each['difference']:+.3f}, 95 % interval {each['low']:+.3f} to {each['high']:+.3f})"
    )


def _name(version: str) -> str:
    return {"new": "the new version", "live": "the live one", "published": "when it was published"}.get(
        version, version
    )


def _compared(
    questions: Sequence[Question], scores: Mapping[str, Sequence[Scores]], pair: tuple[str, str], *, everything: bool
) -> Scored:
    made = Scored(figures={system: {} for system in scores})
    for name in NAMES:
        asked = [
            number
            for number, question in enumerate(questions)
            if all(name in given[number] for given in scores.values())
            and (everything or question.answerable or name == "answered_wrongly")
        ]
        if not asked:
            continue
        weights = np.array([questions[number].weight for number in asked])
        metrics: dict[str, dict[str, Metric]] = {
            system: {name: Metric(weights * np.array([given[number][name] for number in asked]), weights)}
            for system, given in scores.items()
        }
        drawn = Bootstrap(metrics)
        intervals = drawn.intervals()
        for system, own in metrics.items():
            low, high = intervals[system][name]
            figure = round(own[name].figure, 4)
            made.figures[system][name] = {"value": figure, "low": low, "high": high, "questions": len(asked)}
        for differences in drawn.differences([pair]).values():
            made.differences[name] = _as_meant(name, differences[name])
    return made


def _as_meant(name: FigureName, difference: Difference) -> Difference:
    """Of a figure of which less is better, the verdict the other way round."""
    if name not in LESS_IS_BETTER:
        return difference
    verdict = _OPPOSITE[difference["verdict"]]
    return Difference(**{**difference, "verdict": verdict})  # type: ignore[typeddict-item]
