"""The forward pass written for speed is transformers' own, in values and in gradients."""

from pathlib import Path

import numpy as np
import pytest
import torch

from include.model.distilbert import _dropped, cast, hidden_states
from include.model.encoder import Encoder

LENGTHS = [3, 17, 40, 8]


def batch(encoder: Encoder) -> tuple[torch.Tensor, torch.Tensor]:
    draw = np.random.default_rng(1)
    return encoder.pad([draw.integers(5, 60, length).astype(np.int32) for length in LENGTHS])


@pytest.fixture
def encoder(tiny_base: Path) -> Encoder:
    return Encoder.load(tiny_base, max_tokens=64, precision="float32")


def test_hidden_states_and_gradients_are_those_of_transformers(encoder: Encoder) -> None:
    """A projection mixed up or a scale forgotten still trains, to a model that nobody else can load."""
    ids, mask = batch(encoder)
    kept = mask.bool()
    found = hidden_states(cast(encoder.model, torch.float32), ids, mask)[kept]
    expected = encoder.model(input_ids=ids, attention_mask=mask).last_hidden_state[kept]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    pull = torch.randn(found.shape, generator=torch.Generator().manual_seed(2))
    wanted = torch.autograd.grad((expected * pull).sum(), list(encoder.model.parameters()))
    given = torch.autograd.grad((found * pull).sum(), list(encoder.model.parameters()))
    for (name, _), one, other in zip(encoder.model.named_parameters(), given, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=2e-4, msg=name)


def test_padding_changes_nothing(encoder: Encoder) -> None:
    """A mask that leaks makes a text's vector depend on what shares its batch."""
    ids, mask = batch(encoder)
    for precision in ("float32", "bfloat16"):
        encoder.precision = precision
        together = encoder.forward(ids, mask)
        alone = torch.cat([encoder.forward(ids[[n], :length], mask[[n], :length]) for n, length in enumerate(LENGTHS)])
        assert (together * alone).sum(dim=1).min() > (0.99999 if precision == "float32" else 0.999)


def test_bfloat16_stays_near_float32(encoder: Encoder) -> None:
    """What is lost by rounding must stay far below the differences between products."""
    ids, mask = batch(encoder)
    exact = encoder.forward(ids, mask)
    encoder.precision = "bfloat16"
    assert (encoder.forward(ids, mask) * exact).sum(dim=1).min() > 0.999


def test_dropout_drops_its_share_keeps_the_mean_and_follows_the_seed() -> None:
    """A share off by a bit of the draw, or eight equal elements in a row, would regularise otherwise than asked."""
    values = torch.ones(1000, 1003)
    torch.manual_seed(4)
    found = _dropped(values, 0.1)
    share = float((found == 0).float().mean())
    assert share == pytest.approx(26 / 256, abs=0.002)
    assert float(found.mean()) == pytest.approx(1.0, abs=0.002)
    by_place = (found.flatten()[: 8 * 100_000].view(-1, 8) == 0).float().mean(dim=0)
    assert by_place.tolist() == pytest.approx([26 / 256] * 8, abs=0.01), "each of the eight elements of a draw"
    neighbours = (found[:, :-1] == 0) & (found[:, 1:] == 0)
    assert float(neighbours.float().mean()) == pytest.approx((26 / 256) ** 2, abs=0.002)
    torch.manual_seed(4)
    assert torch.equal(_dropped(values, 0.1), found)
    assert not torch.equal(_dropped(values, 0.1), found)
    assert _dropped(values, 0.0) is values


def test_dropout_is_off_outside_of_training(encoder: Encoder) -> None:
    """A vector must not depend on chance."""
    ids, mask = batch(encoder)
    assert torch.equal(encoder.forward(ids, mask), encoder.forward(ids, mask))
    encoder.model.train()
    assert not torch.equal(encoder.forward(ids, mask), encoder.forward(ids, mask))
