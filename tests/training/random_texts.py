"""Word pieces drawn at random, and a loss of their vectors: also for processes that a test starts."""

import numpy as np
import torch

from include.training.loss import contrastive_loss


def texts(count: int, seed: int = 3) -> list[np.ndarray]:
    """Word pieces of texts of many lengths."""
    draw = np.random.default_rng(seed)
    return [draw.integers(5, 40, draw.integers(3, 30)).astype(np.int32) for _ in range(count)]


def loss_of(vectors: torch.Tensor) -> torch.Tensor:
    half = len(vectors) // 2
    known = torch.zeros(half, half, dtype=torch.bool)
    known[0, 1] = True
    return contrastive_loss(vectors[:half], vectors[half:], known, scale=20.0)
