"""Verdicts become questions, as a questions file has them.

| the answer | verdict | becomes |
|---|---|---|
| found something | up | the question, its sources as `uids`, what is quoted as `evidence` |
| found nothing | up | the question, not answerable |
| any | down, with the right product | the question, with that product |
| any | down | nothing: it is counted and told |
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from include.feedback.store import Feedback, Kept, read
from include.questions.accept import Said
from include.questions.questions import FEEDBACK, Question, folded
from include.questions.rows import FIELDS
from include.questions.summary import Spoken

MOST_TOLD = 50  # verdicts in a report
LONGEST_TOLD = 300  # characters of an answer there
WRONG = "judged wrong, without the right product"
UNCLEAR = "judged wrong, and which product is right is not clear"
FILTERED = "asked with a filter, which a question of the exam has not"
CONTRADICTORY = "people contradict each other"
UNSAID = "found, without a source"


def taken(root: Path, collection: str) -> Said | None:
    """The questions that people's verdicts make; None where nobody has said anything."""
    kept = read(root, collection)
    return as_questions(kept) if kept.rows else None


def exported(root: Path, collection: str) -> Iterator[str]:
    """The lines of a questions file; none where nobody has said anything that makes a question."""
    found = taken(root, collection)
    for each in found.questions if found else ():
        row = {name: value for name, value in asdict(each).items() if name in FIELDS}
        yield json.dumps(row, ensure_ascii=False)


def as_questions(kept: Kept) -> Said:
    """The questions of verdicts, and what is to be told of them."""
    latest = kept.latest()
    versions: dict[str, dict[str, int]] = {}
    groups: dict[str, list[Feedback]] = {}
    unused = Counter[str]()
    for each in latest:
        counts = versions.setdefault(each.version, {"up": 0, "down": 0})
        counts[each.verdict] += 1
        if (reason := _useless(each)) is not None:
            unused[reason] += 1
        groups.setdefault(folded(each.question), []).append(each)
    questions = []
    for name, said in groups.items():
        telling = [each for each in said if _useless(each) is None]
        if _contradict(said):
            unused[CONTRADICTORY] += len(telling)
        elif telling:
            questions.append(_question(name, telling))
    spoken = Spoken(
        versions=versions,
        replaced=len(kept.rows) - len(latest),
        unreadable=kept.unreadable,
        questions=len(questions),
        unused=dict(unused.most_common()),
        wrong=[_told(each) for each in reversed(latest) if each.verdict == "down"][:MOST_TOLD],
    )
    return Said(questions, spoken)


def _useless(said: Feedback) -> str | None:
    """Why a verdict makes no question; None where it does."""
    if said.filtered:
        return FILTERED
    if said.verdict == "up":
        return UNSAID if said.found and not said.sources else None
    if said.right is None:
        return UNCLEAR if said.right_given else WRONG
    return None


def _contradict(said: Sequence[Feedback]) -> bool:
    """Whether of the verdicts on one question not all can be true."""
    said = [each for each in said if not each.filtered]
    praised = {uid for each in said if each.verdict == "up" and each.found for uid in each.sources}
    absent = any(each.verdict == "up" and not each.found for each in said)
    if absent and (praised or any(each.verdict == "down" and (each.right or not each.found) for each in said)):
        return True
    return any(praised.intersection(each.sources) for each in said if each.verdict == "down" and each.found)


def _question(name: str, said: Sequence[Feedback]) -> Question:
    """The question that verdicts which agree make."""
    ups = [each for each in said if each.verdict == "up" and each.found]
    named = [each.right for each in said if each.verdict == "down" and each.right is not None]
    uids = tuple(dict.fromkeys([uid for each in ups for uid in each.sources] + named))
    return Question(
        id=f"said-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:12]}",
        question=" ".join(said[-1].question.split()),
        uids=uids,
        evidence=tuple(dict.fromkeys(quote for each in ups for quote in each.quotes)),
        answerable=bool(uids),
        lang=said[-1].lang,
        kind=FEEDBACK,
        feedback=True,
    )


def _told(said: Feedback) -> dict[str, str]:
    """A wrong answer, for the report."""
    answer = said.answer if len(said.answer) <= LONGEST_TOLD else f"{said.answer[:LONGEST_TOLD]}…"
    right = said.right or said.right_given or ""
    return {"question": said.question, "answer": answer, "right": right, "comment": said.comment or ""}
