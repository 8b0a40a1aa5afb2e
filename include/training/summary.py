"""What training leaves in the model's `history.json`, for the report's curves."""

from pydantic import BaseModel
from typing_extensions import TypedDict


class Step(TypedDict):
    """One step: its number, from 1, its loss and its learning rate."""

    step: int
    loss: float
    learning_rate: float


class Reading(BaseModel):
    """What the reader's training counted and measured, as far as others read it.

    Attributes:
        questions: It was trained on.
        held_out: It was measured on.
        used: Whether it answers with the version.
        reason: Why, in words.
    """

    questions: int
    held_out: int
    used: bool
    reason: str


class History(BaseModel):
    """All steps, and what the pairs were counted from."""

    steps: list[Step] = []
    pairs: dict[str, int] = {}
