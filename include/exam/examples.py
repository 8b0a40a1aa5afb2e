"""Some of an exam's answers, for a person to judge by: what is answered right, what wrong, and what is not found."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from include.core import artifacts
from include.core.errors import DamagedArtifact
from include.exam.examine import ANSWERS_FILE, LIVE, NEW

SHOWN = 4  # of each kind
LONGEST = 300  # characters of an answer
RIGHT, WRONG, NOT_FOUND = "right", "wrong", "not found"


class Example(NamedTuple):
    """A question with its answer, and what the live version answered; None where it was not asked that."""

    question: str
    answer: str
    live: str | None


def examples(exam: Path) -> dict[str, list[Example]]:
    """The first of each kind, in the order of the exam; none of an exam that is gone or damaged.

    Args:
        exam: Artifact of kind `exam`.
    """
    try:
        artifacts.read(exam)
        lines = (exam / ANSWERS_FILE).read_text(encoding="utf-8").split("\n")
        rows = [json.loads(line) for line in lines if line]
    except (DamagedArtifact, OSError, ValueError):
        return {}
    live = {row["id"]: _cut(row["answer"]) for row in rows if row["version"] == LIVE}
    found: dict[str, list[Example]] = {RIGHT: [], WRONG: [], NOT_FOUND: []}
    for row in rows:
        kind = _kind(row["figures"]) if row["version"] == NEW else None
        if kind is not None and len(found[kind]) < SHOWN:
            found[kind].append(Example(row["question"], _cut(row["answer"]), live.get(row["id"])))
    return found


def _kind(figures: Mapping[str, Any]) -> str | None:
    """What an answer is by its figures; None where they do not tell."""
    if (wrongly := figures.get("answered_wrongly")) is not None:
        return WRONG if wrongly else RIGHT
    if figures.get("refused_wrongly"):
        return NOT_FOUND
    right = figures.get("evidence_right", figures.get("hit@1"))
    return None if right is None else RIGHT if right else WRONG


def _cut(answer: str) -> str:
    return answer if len(answer) <= LONGEST else f"{answer[:LONGEST]}…"
