"""The contrastive loss: symmetric InfoNCE over in-batch negatives, known positives left out."""

import torch
from torch import Tensor
from torch.nn import functional


def contrastive_loss(left: Tensor, right: Tensor, known: Tensor, *, scale: float) -> Tensor:
    """Symmetric InfoNCE of a batch of n pairs, each text's negatives being the other pairs' texts.

    Row i asks which `right` belongs to `left[i]`, column j which `left` belongs to `right[j]`; the loss
    is the mean of both cross-entropies (van den Oord et al. 2018, arXiv:1807.03748; symmetric as in
    CLIP, Radford et al. 2021, arXiv:2103.00020). A known positive that is not the pair's own is no
    negative: it gets no probability and no gradient.

    Args:
        left: (n, dim) floating point, L2-normalised.
        right: (n, dim) floating point, L2-normalised.
        known: (n, n) bool; True where `right[j]` is known to belong to `left[i]`. The diagonal is not read.
        scale: What the cosine is multiplied by, 1 / temperature.

    Returns:
        A float32 scalar; natural logarithm, so `log(n)` is chance where nothing is masked.
    """
    with torch.autocast(left.device.type, enabled=False):  # bfloat16 has 8 bits: too few for a softmax
        logits = scale * left.float() @ right.float().T
        own = torch.eye(len(left), dtype=torch.bool, device=left.device)
        logits = logits.masked_fill(known & ~own, float("-inf"))
        target = torch.arange(len(left), device=left.device)
        return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2
