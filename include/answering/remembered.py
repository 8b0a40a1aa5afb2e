"""Vectors that were computed before: other questions find the same products, and ask for the same words."""

from collections.abc import Sequence
from threading import Lock
from typing import Protocol

import numpy as np

from include.core.arrays import Vectors

MOST = 30_000  # vectors that are kept, 46 MB of 384 dimensions


class Encodes(Protocol):
    """Makes vectors of texts, (n, dim) float32."""

    @property
    def dim(self) -> int:
        """Of a vector."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """In their order."""


class Remembering:
    """An encoder that keeps the vectors of the texts that it had last; several threads may use it.

    Args:
        encoder: Makes those that are not kept.
        most: How many are kept.
    """

    def __init__(self, encoder: Encodes, most: int = MOST) -> None:
        self._encoder = encoder
        self._most = most
        self._lock = Lock()
        self._kept: dict[str, Vectors] = {}  # the one that was wanted last is the last

    @property
    def dim(self) -> int:
        """Of a vector."""
        return self._encoder.dim

    def encode(self, texts: Sequence[str]) -> Vectors:
        """The texts' vectors, (n, dim) float32, in their order."""
        wanted = dict.fromkeys(texts)
        with self._lock:
            found = {text: self._kept[text] for text in wanted if text in self._kept}
        unknown = [text for text in wanted if text not in found]
        # Copies: a row of a batch would keep the whole batch.
        found |= zip(unknown, map(np.copy, self._encoder.encode(unknown)), strict=True)
        with self._lock:
            for text in wanted:
                self._kept.pop(text, None)
                self._kept[text] = found[text]
            while len(self._kept) > self._most:
                del self._kept[next(iter(self._kept))]
        return np.stack([found[text] for text in texts]) if texts else np.empty((0, self.dim), np.float32)
