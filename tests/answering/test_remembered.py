"""include/answering/remembered.py: a text is encoded once, and memory does not grow with the questions."""

from collections.abc import Sequence

import numpy as np

from include.answering.remembered import Remembering
from include.core.arrays import Vectors


class Counting:
    """An encoder that notes what it was given."""

    dim = 2

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.asked.append(list(texts))
        return np.array([[len(text), ord(text[0])] for text in texts], np.float32).reshape(len(texts), 2)


def test_what_was_encoded_lately_is_not_encoded_again() -> None:
    """Of a thousand questions over one catalogue most find what others found."""
    encoder = Counting()
    remembering = Remembering(encoder, most=3)
    calls = [["a", "bb", "a"], ["bb", "ccc"], [], ["a", "dd"], ["ccc", "a"], ["e", "f", "g", "hhhh"], ["hhhh", "e"]]
    for texts in calls:
        assert remembering.encode(texts).tolist() == Counting().encode(texts).tolist(), texts
    wanted = [texts for texts in encoder.asked if texts]
    assert wanted == [["a", "bb"], ["ccc"], ["dd"], ["e", "f", "g", "hhhh"], ["e"]]


def test_a_vector_that_is_kept_keeps_no_other() -> None:
    """One popular word would hold the hundreds that were encoded with it."""
    remembering = Remembering(Counting(), most=1)
    remembering.encode([str(number) for number in range(100)])
    assert [vector.base for vector in remembering._kept.values()] == [None]
