"""Whether a verified version goes live: the rules in their order, and a person's answer where one is asked for.

Both the task that asks a person and the one that publishes decide by `verdict`, so that nobody is asked about
what no answer could change.
"""

from dataclasses import dataclass
from datetime import datetime

from include.core.settings import EvaluateSettings
from include.evaluation.summary import Gate
from include.publishing.catalogue_change import Objection
from include.results import ALREADY_LIVE, UNRECORDED, Approval, CatalogueChange


@dataclass(frozen=True)
class Verdict:
    """What becomes of a verified version.

    Attributes:
        publish: Whether the version goes live (or stays, where it is live already).
        reason: Why, in words.
        ask: Whether only a person's answer is missing.
        change: What the version changes in the live one's catalogue; None where there is nothing to compare.
        against: What speaks against that change; None where nothing does.
        live: The version that it was decided over; None for none.
    """

    publish: bool
    reason: str
    ask: bool = False
    change: CatalogueChange | None = None
    against: Objection | None = None
    live: str | None = None


def verdict(
    evaluate: EvaluateSettings,
    *,
    settled: bool,
    live: str | None,
    outdated: str | None,
    gate: Gate | None,
    answer: Approval | None,
    against: Objection | None,
) -> Verdict:
    """Decide on one version. The first rule that applies does.

    1. `promote = never`: not published.
    2. It is live already, with the same weight of BM25, threshold and reader: it stays. With others it is a publication
       like any other.
    3. The live version stands for a newer date: not published, whoever approves.
    4. `promote = approval`: a person's answer decides, also against what follows; no answer is no, and so is a yes
       to replacing another version than the one that is live now.
    5. Too much of the live catalogue would be gone, or a sample would replace a real one: not published.
    6. The gate decides.

    Args:
        evaluate: `promote`.
        settled: Whether it is live as it would be published.
        live: The live version's, None for none.
        outdated: From `older`: why its date keeps it from going live; None where it does not.
        gate: What evaluation and the exam said: `passed`, `reason`; None publishes without a gate.
        answer: A person's, None where nobody was asked.
        against: What speaks against the change of the catalogue.
    """
    if evaluate.promote == "never":
        return Verdict(False, "promote is never: the version is built and verified, but not published")
    if settled:
        return Verdict(True, ALREADY_LIVE)
    if outdated is not None:
        return Verdict(False, outdated)
    if evaluate.promote == "approval":
        return _approved(gate, against, answer, live)
    return _automatic(gate, against)


def older(live: str | None, live_date: datetime | None, logical_date: datetime) -> str | None:
    """Why a run's date keeps its version from going live, in words; None where it does not."""
    if live_date is None or live_date <= logical_date:
        return None
    dates = f"{live_date.isoformat()}, newer than this run's {logical_date.isoformat()}"
    return f"the live version {live} is of {dates}"


def together(*gates: Gate | None) -> Gate | None:
    """What several gates say as one: each has to pass, and those that did not are the reason; None where none is."""
    there = [gate for gate in gates if gate is not None]
    if len(there) < 2:
        return next(iter(there), None)
    telling = [gate for gate in there if not gate["passed"]] or there
    passed = all(gate["passed"] for gate in there)
    return {"passed": passed, "reason": "; ".join(gate["reason"] for gate in telling)}


def said(gate: Gate) -> str:
    """What the gate said, in words."""
    return f"the gate {'passed' if gate['passed'] else 'did not pass'}: {gate['reason']}"


def _automatic(gate: Gate | None, against: Objection | None) -> Verdict:
    if against is not None:
        told = "" if gate is None else f" ({said(gate)})"
        return Verdict(False, f"kept, not published: {against.words}. {against.way_out}{told}")
    if gate is None:
        return Verdict(True, "published")
    return Verdict(gate["passed"], f"published: {gate['reason']}" if gate["passed"] else said(gate))


def _approved(gate: Gate | None, against: Objection | None, answer: Approval | None, live: str | None) -> Verdict:
    told = "; ".join(
        words for words in (against and against.words, None if gate is None else said(gate)) if words is not None
    )
    if answer is None:
        return Verdict(False, "; ".join(filter(None, ("nobody was asked: clear the task approve", told))), ask=True)
    if answer.is_yes and answer.live not in (UNRECORDED, live):
        seen, now = (f"version {each}" if each else "nothing" for each in (answer.live, live))
        return Verdict(
            False,
            f"kept, not published: {answer.told}, when {seen} was live; now it is {now}, and nobody has compared with "
            "that. Trigger a new run: it reuses everything that is unchanged and asks anew.",
        )
    overruled = answer.is_yes and (against is not None or (gate is not None and not gate["passed"]))
    return Verdict(answer.is_yes, (", although " if overruled else "; ").join(filter(None, (answer.told, told))))
