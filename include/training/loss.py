"""The contrastive loss: InfoNCE over in-batch and hard negatives, known positives left out."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def contrastive_loss(left: Tensor, right: Tensor, known: Tensor, *, scale: float, symmetric: bool = True) -> Tensor:
    """InfoNCE of a batch of n pairs, each text's negatives being the other pairs' texts and the hard negatives.

    Row i asks which `right` belongs to `left[i]`, column j which `left` belongs to `right[j]`; the loss
    is the mean of both cross-entropies (van den Oord et al. 2018, arXiv:1807.03748; symmetric as in
    CLIP, Radford et al. 2021, arXiv:2103.00020). A known positive that is not the pair's own is no
    negative: it gets no probability and no gradient.

    Args:
        left: (n, dim) floating point, L2-normalised.
        right: (n + m, dim) floating point, L2-normalised: the n pairs' own, then m hard negatives.
        known: (n, n + m) bool; True where `right[j]` is known to belong to `left[i]`. The diagonal is not read.
        scale: What the cosine is multiplied by, 1 / temperature.
        symmetric: False asks for rows only.

    Returns:
        A float32 scalar; natural logarithm, so `log(n)` is chance where nothing is masked and m is 0.
    """
    with torch.autocast(left.device.type, enabled=False):  # bfloat16 has 8 bits: too few for a softmax
        logits = scale * left.float() @ right.float().T
        own = torch.eye(*logits.shape, dtype=torch.bool, device=left.device)
        logits = logits.masked_fill(known & ~own, float("-inf"))
        target = torch.arange(len(left), device=left.device)
        rows = functional.cross_entropy(logits, target)
        if not symmetric:
            return rows
        return (rows + functional.cross_entropy(logits[:, : len(left)].T, target)) / 2


def matryoshka_loss(
    left: Tensor, right: Tensor, known: Tensor, *, dimensions: Sequence[int], scale: float, symmetric: bool = True
) -> Tensor:
    """The mean of `contrastive_loss` over the whole vectors and over their first `dimensions`, each normalised anew.

    A. Kusupati et al.: "Matryoshka Representation Learning" (2022, arXiv:2205.13147), all weights equal.

    Args:
        left, right, known, scale, symmetric: See `contrastive_loss`.
        dimensions: How many of the first dimensions are to be good vectors by themselves.
    """
    losses = [contrastive_loss(left, right, known, scale=scale, symmetric=symmetric)]
    for first in dimensions:
        begin, end = (functional.normalize(side[:, :first].float(), dim=-1) for side in (left, right))
        losses.append(contrastive_loss(begin, end, known, scale=scale, symmetric=symmetric))
    return torch.stack(losses).mean()
