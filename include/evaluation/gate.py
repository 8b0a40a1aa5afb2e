"""The gate: whether a new model may go live, decided by what was measured and how sure it is.

It is judged by nDCG@10: it looks at ranks, so it sees a right product that fell from first to tenth place,
which recall@10 does not; it counts every relevant product, which MRR does not; and both protocols have it.

The new model passes if, on the same held-out queries,

* it is on no judged protocol worse than the live model or than the base, and
* it is on at least one judged protocol better than the base,

each beyond noise: the 95 % interval of the difference (`include.evaluation.bootstrap`) excludes 0. A model that is
live already passes. Where nothing is live, the new model replaces nothing and need not be better than the base, or
such a catalogue would never have an index; worse it may not be. A base model that is used as it is, because the
catalogue gives nothing to train on, has only the live model to be held to. Where the catalogue has no question to
measure by, a model passes only if none is live. `tolerance` is slack in nDCG@10: worse then means
worse by more than it, and better not worse by as much.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from include.core.pipeline_settings import with_titles
from include.evaluation.summary import Compared, Gate, ProtocolFigures

METRIC: Final = "ndcg@10"
RIVALS = ("base", "live")
UNMEASURED = "; the catalogue has no question to measure models by (contents, or tst with links), so {}"
FIRST = "nothing was live, so the new model need not beat the base: by nDCG@10 it is {}"
HARMED = with_titles(
    "; nothing is live yet. Train more gently (a lower learning_rate, fewer epochs) or on more products, or let a "
    "person decide with promote = approval"
)
STALE = "; retrain = never takes the new catalogue live with the live model"
WORDS = {"better": "better than", "worse": "worse than", "same": "not told apart from"}


def decide(
    protocols: Mapping[str, ProtocolFigures],
    tolerance: float,
    judged: Sequence[str],
    *,
    is_live: bool = False,
    has_rival: bool = False,
    untrained: str = "",
) -> Gate:
    """The decision and its reason.

    Args:
        protocols: By name.
        tolerance: 0-1.
        judged: Names of the protocols that decide; none where the catalogue has nothing to ask.
        is_live: The new model is the live one.
        has_rival: Another model is live; without one, and without `is_live`, nothing is.
        untrained: Where the new model is the base as it is, a sentence that says so.

    Returns:
        All of it; the reason has figures and intervals.
    """
    comparisons = _comparisons(protocols, judged)
    worse = [each for each in comparisons if each["high"] < -tolerance]
    against_base = [each for each in comparisons if each["rival"] == "base"]
    # An interval cannot lie below -1, so at 1 even that end must pass.
    better = [each for each in against_base if each["low"] > -tolerance or tolerance >= 1]
    # What is not known to be better may be the first index, but a live model does not give way to it.
    excused = not has_rival or bool(untrained and judged)
    proven = bool(better) or excused or tolerance >= 1
    passed = is_live or (not worse and proven)
    slack = f" (tolerance {tolerance})" if tolerance else ""
    if is_live:
        reason = "the new model is the live one"
    elif worse:
        reason = f"by nDCG@10 the new model is {_said(worse)}{slack}{'' if has_rival else HARMED}"
    elif untrained:
        reason = untrained + ("" if passed else UNMEASURED.format("the live model stays"))
    elif not judged:
        so = (
            "nothing shows that it is better"
            if has_rival
            else "nothing could be measured, and no live model is replaced"
        )
        reason = "the new model is not compared with any" + UNMEASURED.format(so)
    elif not better and passed:
        reason = FIRST.format(_said(against_base)) + slack
    elif not better:
        reason = f"by nDCG@10 the new model does not beat the base: it is {_said(against_base)}{slack}{STALE}"
    else:
        reason = f"by nDCG@10 the new model is {_said(comparisons)}{slack}"
    return {
        "passed": passed,
        "reason": reason,
        "tolerance": tolerance,
        "metric": METRIC,
        "comparisons": comparisons,
    }


def _comparisons(protocols: Mapping[str, ProtocolFigures], judged: Sequence[str]) -> list[Compared]:
    """The new model against each rival, on each protocol that decides."""
    return [
        {
            "protocol": name,
            "rival": rival,
            "tuned": protocols[name].systems["tuned"][METRIC],
            "theirs": protocols[name].systems[rival][METRIC],
            **protocols[name].differences[f"tuned-{rival}"][METRIC],
        }
        for rival in RIVALS
        for name in judged
        if f"tuned-{rival}" in protocols[name].differences
    ]


def _said(comparisons: Sequence[Compared]) -> str:
    return "; ".join(
        f"{WORDS[each['verdict']]} {'the live model' if each['rival'] == 'live' else 'the base'} on {each['protocol']} "
        f"({each['tuned']:.3f} against {each['theirs']:.3f}: {each['difference']:+.3f}, 95 % interval "
        f"{each['low']:+.3f} to {each['high']:+.3f})"
        for each in comparisons
    )
