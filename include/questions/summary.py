"""What is counted of a questions file, in the artifact's statistics."""

from typing import Any

from pydantic import BaseModel


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
