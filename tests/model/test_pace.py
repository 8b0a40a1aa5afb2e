"""How texts are encoded fastest: measured with real texts, remembered, and without effect on the vectors."""

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from include.model import pace
from include.model.distilbert import can_pack, cast, hidden_states, packed
from include.model.encoder import Encoder
from include.model.pace import Pace
from include.model.passes import without_padding
from tests.small import products

TEXTS = [row.content for row in products(40)]


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Pace]]:
    """Few texts are worth measuring; a list of what was tried, each time that something was."""
    tried: list[Sequence[Pace]] = []
    fastest = pace.fastest
    monkeypatch.setattr(pace, "WORTH_MEASURING", 10)
    monkeypatch.setattr(pace, "SECONDS", 0.0)

    def spy(ways: Sequence[Pace], rate: Callable[[Pace], float]) -> tuple[Pace, dict[str, float]]:
        tried.append(ways)
        return fastest(ways, rate)

    monkeypatch.setattr(pace, "fastest", spy)
    return tried


def test_the_fastest_way_is_measured_once_and_told(
    root: Path, tiny_base: Path, measuring: list[Sequence[Pace]], caplog: pytest.LogCaptureFixture
) -> None:
    """A number that was right on another machine made encoding slower than its peers."""
    caplog.set_level(logging.INFO)
    expected = Encoder.load(tiny_base, max_tokens=48, precision="float32").encode(TEXTS)
    for _ in range(2):
        found = Encoder.load(tiny_base, max_tokens=48, measured=root).encode(TEXTS)
        assert (found * expected).sum(axis=1).min() > 0.999
    assert len(measuring) == 1
    [file] = (root / "speed").iterdir()
    kept = json.loads(file.read_bytes())
    assert Pace(kept["precision"], kept["streams"], kept["batch_tokens"]) in measuring[0]
    assert f"{kept['precision']}, {kept['streams']} x {kept['batch_tokens']} tokens" in caplog.text


@pytest.mark.parametrize("damage", ["{", '{"of": {}}', "[]", '{"precision": "float32", "streams": 1}'])
def test_a_damaged_or_foreign_file_is_measured_anew(
    root: Path, tiny_base: Path, measuring: list[Sequence[Pace]], damage: str
) -> None:
    """A data directory is copied from another machine, or its disk was full."""
    encoder = Encoder.load(tiny_base, max_tokens=48, measured=root)
    encoder.encode(TEXTS)
    [file] = (root / "speed").iterdir()
    file.write_text(damage)
    encoder.encode(TEXTS)
    assert len(measuring) == 2
    assert json.loads(file.read_bytes())["batch_tokens"] > 0


def test_what_is_fixed_by_hand_and_little_work_are_not_measured(
    root: Path, tiny_base: Path, measuring: list[Sequence[Pace]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed product must not wait for a measurement, nor a setting be overruled by one."""
    encoder = Encoder.load(tiny_base, max_tokens=48, measured=root)
    encoder.encode(TEXTS, batch_tokens=512)
    monkeypatch.setattr(pace, "WORTH_MEASURING", 10**6)
    encoder.encode(TEXTS)
    assert measuring == []
    assert not (root / "speed").exists()


def test_streams_and_sizes_do_not_shape_the_vectors(
    root: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results come from several threads: a batch in the wrong rows is a wrong vector for every product."""
    encoder = Encoder.load(tiny_base, max_tokens=48, precision="float32", measured=root)
    expected = encoder.encode(TEXTS, batch_tokens=64)
    threads = torch.get_num_threads()
    monkeypatch.setattr(pace, "remembered", lambda *_: Pace("float32", 3, 100))
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_weights_give_the_same_states(tiny_base: Path, dtype: torch.dtype) -> None:
    """A product that forgets a bias or the state before it still gives vectors of length 1."""
    if not can_pack(dtype):
        pytest.skip("this processor has no such products")
    encoder = Encoder.load(tiny_base, max_tokens=48)
    ids, mask = encoder.pad(encoder.tokenize(TEXTS[:5]))
    with torch.inference_mode():
        plain = cast(encoder.model, dtype)
        expected, found = (hidden_states(each, ids, mask)[mask.bool()] for each in (plain, packed(plain)))
    bound = 1e-5 if dtype == torch.float32 else 0.1
    torch.testing.assert_close(found, expected, atol=bound, rtol=bound)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")  # what a CPU does instead of a GPU's kernel
@pytest.mark.parametrize(("precision", "bound"), [("float32", 0.99999), ("bfloat16", 0.999)])
def test_texts_without_padding_get_the_same_vectors(tiny_base: Path, precision: str, bound: float) -> None:
    """A position counted from the wrong text's start, or attention across texts, is seen on no CPU otherwise."""
    encoder = Encoder.load(tiny_base, max_tokens=48, precision=precision, dimensions=16)
    ids = encoder.tokenize(["", "red", *TEXTS[:9]])
    with torch.no_grad():
        weights = cast(encoder.model.train(False), torch.float32 if precision == "float32" else torch.bfloat16)
        found = without_padding(encoder, ids, weights)
        expected = encoder.forward(*encoder.pad(ids), weights)
    assert found.shape == (11, 16)
    assert (found * expected).sum(dim=1).min() > bound
