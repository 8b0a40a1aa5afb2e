"""What is counted of a questions file, in the artifact's statistics."""

from typing import Any

from pydantic import BaseModel, Field


class Spoken(BaseModel):
    """What people said of answers.

    Attributes:
        versions: Of each version, how many answers are `up` and `down`: the last verdict of each user counts.
        replaced: Verdicts that the same user has replaced since.
        unreadable: Lines of the record that are no verdict.
        questions: How many questions they make.
        unused: Verdicts that make none, by reason.
        wrong: The last ones that judge an answer wrong: `question`, `answer`, `right` product, `comment`.
    """

    versions: dict[str, dict[str, int]] = {}
    replaced: int = 0
    unreadable: int = 0
    questions: int = 0
    unused: dict[str, int] = {}
    wrong: list[dict[str, str]] = []


class Fates(BaseModel):
    """What became of every row: read = accepted + rejected + merged.

    Attributes:
        origin: Where the file is from, without secrets.
        read: Rows, but for blank ones.
        accepted: Kept as questions.
        rejected: Set aside in `rejected.jsonl`, by `reasons`.
        merged: The same question about the same products as a row before; its evidence is kept with that one.
        blank: Rows with nothing in them.
        reasons: Of the rejected, how many by reason.
        examples: Of each reason some rows, with their line and beginning.
        unknown_uids: Ids in accepted rows that are no product of this catalogue, and were left out.
        ignored: Fields that mean nothing here, by name.
        parts: Accepted questions by part.
        answerable, with_evidence: Of the accepted.
        kinds, languages: Likewise; "" is none given.
        feedback: What people said of answers, whose questions are rows too; None where nobody has, or it is not taken.
        asked: Of the questions that it makes some: `question`, and the `part` that it is in.
    """

    origin: str = ""
    read: int = 0
    accepted: int = 0
    rejected: int = 0
    merged: int = 0
    blank: int = 0
    reasons: dict[str, int] = {}
    examples: dict[str, list[dict[str, Any]]] = {}
    unknown_uids: int = 0
    ignored: dict[str, int] = {}
    parts: dict[str, int] = {}
    answerable: int = 0
    with_evidence: int = 0
    kinds: dict[str, int] = {}
    languages: dict[str, int] = {}
    feedback: Spoken | None = Field(None, exclude_if=lambda said: said is None)
    asked: list[dict[str, str]] = Field([], exclude_if=lambda asked: not asked)
