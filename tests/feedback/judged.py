"""A verdict, for tests."""

from typing import Any

from include.feedback.store import Feedback

VERSION = "0" * 16


def row(number: int, **more: Any) -> Feedback:
    """A verdict on an answer of a run."""
    given = {"user": "ana", "run_id": "r", "position": number, "version": VERSION, "question": f"which {number}"}
    return Feedback.model_validate({**given, "answer": "that", "found": True, "verdict": "up", **more})
