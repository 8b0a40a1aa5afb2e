"""The contrastive loss against a plain reference, and what masking must do to the gradient."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from include.training.loss import contrastive_loss


def vectors(count: int, seed: int) -> torch.Tensor:
    return normalize(torch.randn(count, 8, generator=torch.Generator().manual_seed(seed)), dim=-1)


def nothing_known(count: int) -> torch.Tensor:
    return torch.zeros(count, count, dtype=torch.bool)


def test_equals_symmetric_infonce_written_out() -> None:
    """A sign or an axis mixed up would still train, only worse; so compare with the formula, by hand."""
    left, right, scale = vectors(5, 0), vectors(5, 1), 20.0
    known = nothing_known(5)
    known[0, 3] = known[2, 1] = True
    cosine = (left @ right.T).double() * scale
    total = 0.0
    for i in range(5):
        row = [cosine[i, j].exp() for j in range(5) if j == i or not known[i, j]]
        column = [cosine[j, i].exp() for j in range(5) if j == i or not known[j, i]]
        total += -math.log(cosine[i, i].exp() / sum(row)) - math.log(cosine[i, i].exp() / sum(column))
    assert contrastive_loss(left, right, known, scale=scale).item() == pytest.approx(total / 10, rel=1e-5)


def test_a_known_positive_is_not_pushed_away() -> None:
    """Without masking, two listings of one product are torn apart by every batch that holds both."""
    left, right = vectors(4, 2).requires_grad_(), vectors(4, 3).requires_grad_()
    known = nothing_known(4)
    known[0, 1:] = True  # all that is not its own
    known[1:, 0] = True
    contrastive_loss(left, right, known, scale=20.0).backward()
    assert left.grad is not None
    assert torch.equal(left.grad[0], torch.zeros(8)), "no negative is left for pair 0, so nothing may move it"
    assert left.grad[1].abs().sum() > 0


def test_the_own_pair_is_kept_even_if_marked_as_known() -> None:
    """A mask with a True diagonal would make the loss infinite."""
    left, right = vectors(4, 4), vectors(4, 5)
    every_diagonal = torch.eye(4, dtype=torch.bool)
    assert contrastive_loss(left, right, every_diagonal, scale=20.0) == contrastive_loss(
        left, right, nothing_known(4), scale=20.0
    )


def test_is_computed_in_float32_under_autocast() -> None:
    """bfloat16 logits of scale 20 are off by up to 0.06: the loss would stall early."""
    left, right = vectors(6, 6), vectors(6, 7)
    plain = contrastive_loss(left, right, nothing_known(6), scale=20.0)
    with torch.autocast("cpu", torch.bfloat16):
        under = contrastive_loss(left, right, nothing_known(6), scale=20.0)
    assert under.dtype == torch.float32
    assert torch.equal(plain, under)
