"""Gradient caching gives the gradient of the whole batch, whatever the memory, in one process or in several."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path

import pytest
import torch

from include.core.environment import REPOSITORY
from include.model.encoder import Encoder
from include.training.gradient_cache import backward
from tests.training.random_texts import loss_of, texts

# Relative to the largest entry: floating-point sums in another order, in float32.
TOLERANCE = 2e-5


@pytest.fixture
def encoder(tiny_base: Path) -> Encoder:
    made = Encoder.load(tiny_base, max_tokens=32, precision="float32")
    made.model.train()  # dropout is on: both passes must draw the same
    return made


def gradient(encoder: Encoder, run: Callable[[], float]) -> tuple[float, dict[str, torch.Tensor]]:
    encoder.model.zero_grad()
    loss = run()
    return loss, {name: w.grad.clone() for name, w in encoder.model.named_parameters() if w.grad is not None}


def assert_close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    largest = max(float(each.abs().max()) for each in one.values())
    assert largest > 0, "a gradient of nought equals itself and says nothing"
    for name, each in one.items():
        assert (each - other[name]).abs().max() <= TOLERANCE * largest, name


def test_equals_the_gradient_of_plain_autograd_without_dropout(encoder: Encoder) -> None:
    """The cache is an identity of calculus: if it is off by a factor or an order, training is another one."""
    encoder.model.train(False)
    batch = texts(64)

    def plain() -> float:
        loss = loss_of(encoder.forward(*encoder.pad(batch)))
        loss.backward()
        return loss.item()

    expected, wanted = gradient(encoder, plain)
    for memory in (10_000, 300, 60):  # all at once; cached in a few chunks; in many
        found, given = gradient(encoder, partial(backward, encoder, batch, loss_of, seed=1, memory_tokens=memory))
        assert found == pytest.approx(expected, rel=1e-5)
        assert_close(wanted, given)


def test_with_dropout_the_cached_gradient_is_the_uncached_one(encoder: Encoder) -> None:
    """A second pass with other dropout gives the gradient of another loss than was computed."""
    batch = texts(48)
    kept, wanted = gradient(
        encoder, lambda: backward(encoder, batch, loss_of, seed=5, memory_tokens=10_000, chunk_tokens=120)
    )
    cached, given = gradient(
        encoder, lambda: backward(encoder, batch, loss_of, seed=5, memory_tokens=120, chunk_tokens=120)
    )
    other, _ = gradient(encoder, lambda: backward(encoder, batch, loss_of, seed=6, memory_tokens=120, chunk_tokens=120))
    assert cached == kept
    assert other != kept, "dropout is off: the comparison above says nothing"
    assert_close(wanted, given)


def test_a_batch_beyond_memory_needs_the_memory_of_a_chunk(encoder: Encoder) -> None:
    """If graphs were kept, an effective batch of 1,024 would not fit where one of 64 does."""
    batch = texts(1024)
    alive, peak = 0, 0

    def pack(tensor: torch.Tensor) -> "_Held":
        nonlocal alive, peak
        alive += tensor.nbytes
        peak = max(peak, alive)
        return _Held(tensor, release)

    def release(size: int) -> None:
        nonlocal alive
        alive -= size

    peaks = []
    for memory in (10**9, 512):
        alive = peak = 0
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda held: held.tensor):
            backward(encoder, batch, loss_of, seed=1, memory_tokens=memory, chunk_tokens=512)
        encoder.model.zero_grad()
        peaks.append(peak)
    assert peaks[1] < peaks[0] / 5


class _Held:
    """A tensor that autograd has saved; says when it lets go."""

    def __init__(self, tensor: torch.Tensor, release: Callable[[int], None]) -> None:
        self.tensor = tensor
        self._release = release

    def __del__(self) -> None:
        self._release(self.tensor.nbytes)


TWO = """
import sys
from functools import partial
from pathlib import Path
import torch
from include.training.distributed import join, leave
from include.model.encoder import Encoder
from include.training.gradient_cache import backward
from tests.training.random_texts import loss_of, texts

torch.set_num_threads(1)
processes = join()
encoder = Encoder.load(Path(sys.argv[1]), max_tokens=32, precision="float32")
encoder.model.train()
for memory in sys.argv[3:]:
    encoder.model.zero_grad()
    loss = backward(encoder, texts(48), loss_of, seed=5, memory_tokens=int(memory), chunk_tokens=120,
                    processes=processes)
    torch.save({"loss": loss, "gradient": {n: w.grad for n, w in encoder.model.named_parameters()}},
               f"{sys.argv[2]}/{memory}-{processes.rank}")
leave(processes)
"""


def test_two_processes_have_the_loss_and_the_gradient_of_one(encoder: Encoder, tiny_base: Path, tmp_path: Path) -> None:
    """Each process sees half of the batch: without the exchange it would train on half of the negatives."""
    memories = ("120", "10000")  # with the cache, and without
    program = tmp_path / "two.py"
    program.write_text(TWO)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(program)]
    subprocess.run(
        [*command, str(tiny_base), str(tmp_path), *memories],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=240,
        capture_output=True,
    )
    loss, wanted = gradient(
        encoder, lambda: backward(encoder, texts(48), loss_of, seed=5, memory_tokens=10_000, chunk_tokens=120)
    )
    for memory, rank in product(memories, (0, 1)):
        found = torch.load(tmp_path / f"{memory}-{rank}")
        assert found["loss"] == pytest.approx(loss, rel=1e-6)
        assert_close(wanted, found["gradient"])
