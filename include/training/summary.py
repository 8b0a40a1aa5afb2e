"""What training leaves in the model's `history.json`, for the report's curves."""

from pydantic import BaseModel
from typing_extensions import TypedDict


class Step(TypedDict):
    """One step: its number, from 1, its loss and its learning rate."""

    step: int
    loss: float
    learning_rate: float


class History(BaseModel):
    """All steps, and what the pairs were counted from."""

    steps: list[Step] = []
    pairs: dict[str, int] = {}
