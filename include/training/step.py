"""One step of training: the gradient of a batch's loss, and what AdamW makes of it."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from include.core.errors import BadSettings
from include.core.train_settings import TrainSettings
from include.training.batches import Step, TrainingData
from include.training.distributed import Processes

if TYPE_CHECKING:
    import torch

    from include.model.encoder import Encoder

MAX_GRADIENT_NORM = 1.0


def adamw(encoder: "Encoder", settings: TrainSettings) -> "torch.optim.Optimizer":
    """AdamW over all weights; decay is for matrices only."""
    import torch

    parameters = [weight for weight in encoder.model.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in parameters if weight.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [weight for weight in parameters if weight.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def dimensions(settings: TrainSettings, dim: int) -> list[int]:
    """The Matryoshka dimensions, largest first.

    Raises:
        BadSettings: One is 0 or not below the model's own.
    """
    chosen = sorted({int(each) for each in (settings.matryoshka or "").split(",") if each.strip()}, reverse=True)
    if chosen and not 0 < chosen[-1] <= chosen[0] < dim:
        raise BadSettings(
            f"matryoshka is {settings.matryoshka!r}; the base model's vectors have {dim} dimensions.",
            f"Choose numbers from 1 to {dim - 1}.",
        )
    return chosen


def take(
    step: Step,
    encoder: "Encoder",
    optimizer: "torch.optim.Optimizer",
    data: TrainingData,
    settings: TrainSettings,
    processes: Processes,
) -> tuple[float, float]:
    """Take a step. Returns the loss, and the share of the batch's negatives that were known positives.

    A loss or gradient that is not finite is returned as it is, and the weights stay untouched.
    """
    import torch

    from include.training.gradient_cache import backward
    from include.training.loss import matryoshka_loss

    pairs, size = data.pairs, len(step.batch)
    extra, owners = data.negatives.of(pairs, step.batch) if data.negatives else (None, None)
    known = pairs.known_positives(step.batch, extra, owners)
    sides = [pairs.left[step.batch], pairs.right[step.batch], *([] if extra is None else [extra])]
    distinct, place = np.unique(np.concatenate(sides), return_inverse=True)  # a text twice in a batch is encoded once
    at = torch.from_numpy(place).to(encoder.device)
    mask = torch.from_numpy(known).to(encoder.device)
    nested = dimensions(settings, encoder.dim)

    def loss_of(vectors: "torch.Tensor") -> "torch.Tensor":
        left, right = vectors[at[:size]], vectors[at[size:]]
        return matryoshka_loss(left, right, mask, dimensions=nested, scale=settings.scale, symmetric=settings.symmetric)

    optimizer.zero_grad(set_to_none=True)
    loss = backward(
        encoder,
        data.texts.of(distinct),
        loss_of,
        seed=step.seed,
        memory_tokens=2 * settings.mini_batch * settings.max_tokens,
        processes=processes,
    )
    if not math.isfinite(loss):
        return loss, 0.0
    norm = torch.nn.utils.clip_grad_norm_(encoder.model.parameters(), MAX_GRADIENT_NORM).item()
    if not math.isfinite(norm):
        return norm, 0.0
    for group in optimizer.param_groups:
        group["lr"] = step.rate
    optimizer.step()
    return loss, round(float(known.sum()) / (known.size - len(known)), 4)


@contextmanager
def memory_explained(step: Step, data: TrainingData, settings: TrainSettings) -> Iterator[None]:
    """Let a GPU that is too small for a step say what to do.

    Raises:
        BadSettings: The step does not fit into its memory.
    """
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        lengths = data.lengths()[step.batch]
        raise BadSettings(
            f"The GPU's memory does not hold a step of batch_size={settings.batch_size} in mini-batches of mini_batch="
            f"{settings.mini_batch} with max_tokens={settings.max_tokens} ({len(lengths)} pairs, "
            f"{int(lengths.max())} word pieces in the longest): {str(error).splitlines()[0]}",
            "Lower mini_batch (the gradient stays the same) and trigger again, or free the GPU.",
        ) from error
