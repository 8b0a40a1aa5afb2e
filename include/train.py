"""Contrastive fine-tuning of the bi-encoder; also a program: `python -m include.train`.

A step takes a batch of pairs of texts, encodes both sides, and lowers the symmetric InfoNCE loss
(`include/loss.py`) over in-batch negatives, known positives left out (`include/pairs.py`). AdamW with
linear warm-up and decay; gradients clipped to norm 1; weights in float32, matrix products in bfloat16
where the hardware computes in it.

A killed run resumes at its last checkpoint. Batches and dropout are functions of (seed, epoch, step),
so on a CPU, with the same number of threads, it ends with the same bits as an undisturbed one.

The fingerprint holds the precision, "auto" resolved, but not the device, number of threads or library
versions: those change a model by rounding, and a model trained on a GPU is not trained again on a
machine without one. The device is in the statistics.
"""

import hashlib
import json
import logging
import math
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from include import artifacts, checkpoint
from include.artifacts import Artifact, Workspace
from include.batches import Tokens, batches, steps_in_epoch, tokenise
from include.errors import BadSettings, TrainingDiverged
from include.forms import parse
from include.pairs import Ints, Pairs, find_pairs
from include.progress import Progress, Sink
from include.settings import TrainSettings
from include.train_process import run_as_child, train_in_subprocess

if TYPE_CHECKING:
    import torch

    from include.encoder import Encoder

__all__ = ["train", "train_in_subprocess"]

log = logging.getLogger("include.train")  # __name__ is __main__ when this is the program

MODEL_VERSION = 1
HISTORY_FILE = "history.json"
MAX_GRADIENT_NORM = 1.0


@dataclass
class Training:
    """What a step changes, and so what a checkpoint holds."""

    encoder: "Encoder"
    optimizer: "torch.optim.Optimizer"
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """For `restore`: tensors, numbers, lists and dicts."""
        import torch

        return {
            "model": self.encoder.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "history": self.history,
            "rng": torch.get_rng_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to what `state` returned."""
        import torch

        self.encoder.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        self.history = state["history"]
        torch.set_rng_state(state["rng"])

    @property
    def seconds(self) -> float:
        """Spent on the steps so far, those of killed attempts up to their checkpoints included."""
        return self.history[-1]["seconds"] if self.history else 0.0


def train(
    catalogue: Path, settings: TrainSettings, *, root: Path, sink: Sink | None = None, interval: float = 1.0
) -> Artifact:
    """Fine-tune the base model on a catalogue, in this process.

    Args:
        catalogue: The artifact's directory.
        settings: All of `TrainSettings`.
        root: The data directory.
        sink: Receives progress, counted in steps, with loss and pairs per second.
        interval: Seconds between two snapshots to the sink; 0 for one a step.

    Returns:
        An artifact of kind `model`: the sentence-transformers layout with `history.json`.

    Raises:
        EmptyCatalogue: There are fewer than two pairs.
        TrainingDiverged: The loss or the gradient became NaN or infinite.
        BadModel: The base model or a checkpoint cannot be used.
        BadSettings: The batch does not fit into the GPU's memory, or the model takes no text that long.
    """
    import torch

    from include.base_model import resolve_base
    from include.encoder import Encoder, resolve_precision

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = resolve_precision(settings.precision, device)
    source = artifacts.read(catalogue)
    base = resolve_base(settings.base_model, root=root)
    shaping = {**settings.model_dump(exclude={"checkpoint_steps", "base_model"}), "precision": precision}
    inputs = {"catalogue": source.fingerprint, "base": base.fingerprint}
    mark = artifacts.fingerprint("model", MODEL_VERSION, shaping, inputs)

    def write(space: Workspace) -> dict[str, Any]:
        encoder = Encoder.load(base.path, max_tokens=settings.max_tokens, device=str(device), precision=precision)
        pairs, tokens = tokenise(catalogue, find_pairs(catalogue, settings), encoder, sink=sink)
        log.info(
            "%d pairs (%s) from %s, %s on %s", len(pairs), _counted(pairs.counts), base.name, precision, device.type
        )
        trained = fit(
            encoder, pairs, tokens, settings, scratch=space.scratch, fingerprint=mark, sink=sink, interval=interval
        )
        encoder.save(space.path)
        artifacts.write_json(space.path / HISTORY_FILE, {"steps": trained.history, "pairs": pairs.counts})
        losses = [each["loss"] for each in trained.history]
        tenth = math.ceil(len(losses) / 10)  # one batch says little
        return {
            "steps": trained.step,
            "pairs": len(pairs),
            "first_loss": float(np.mean(losses[:tenth])),
            "last_loss": float(np.mean(losses[-tenth:])),
            "seconds_training": trained.seconds,
            "pairs_per_second": round(sum(each["pairs"] for each in trained.history) / trained.seconds, 1),
            "precision": precision,
            "device": device.type,
            "base": base.name,
            "held_out": pairs.counts["held_out"],
        }

    return artifacts.build(root, "model", MODEL_VERSION, write, settings=shaping, inputs=inputs)


def fit(
    encoder: "Encoder",
    pairs: Pairs,
    tokens: Tokens,
    settings: TrainSettings,
    *,
    scratch: Path,
    fingerprint: str,
    sink: Sink | None = None,
    interval: float = 1.0,
) -> Training:
    """Train `encoder` in place, from the last checkpoint in `scratch` where there is one.

    Args:
        encoder: Holds the base model's weights.
        pairs, tokens: From `tokenise`.
        settings: See `TrainSettings`.
        scratch: Where checkpoints lie.
        fingerprint: Of settings and inputs; a checkpoint with another is refused.
        sink, interval: See `train`.

    Raises:
        TrainingDiverged, BadModel, BadSettings: See `train`.
    """
    import torch

    training = Training(encoder, _adamw(encoder, settings))
    if state := checkpoint.latest(scratch, fingerprint=fingerprint):
        training.restore(state)
        log.info("resuming after step %d, at the last checkpoint", training.step)
    per_epoch = steps_in_epoch(len(pairs), settings.batch_size)
    total = settings.epochs * per_epoch
    if settings.max_steps:
        total = min(total, settings.max_steps)
    lengths = tokens.length[pairs.left] + tokens.length[pairs.right]
    encoder.model.train()
    began = time.monotonic() - training.seconds
    seen, here = 0, time.monotonic()
    order: list[Ints] = []
    with Progress("fine-tune", total, unit="steps", sink=sink, start=training.step, interval=interval) as progress:
        while training.step < total:
            epoch, within = divmod(training.step, per_epoch)
            if within == 0 or not order:
                order = batches(lengths, settings.batch_size, seed=settings.seed, epoch=epoch)
            rate = learning_rate(training.step, total, settings)
            batch = order[within]
            # Dropout depends on the step, not on how many steps this process has done.
            torch.manual_seed(_step_seed(settings.seed, epoch, within))
            try:
                loss, known = _step(training, pairs, tokens, batch, settings.scale, rate)
            except torch.OutOfMemoryError as error:
                raise _out_of_memory(settings, batch, lengths, error) from error
            training.step += 1
            if not math.isfinite(loss):
                raise _diverged(training.step, rate, loss, scratch)
            seen += len(batch)
            training.history.append(
                {
                    "step": training.step,
                    "loss": loss,
                    "learning_rate": rate,
                    "seconds": round(time.monotonic() - began, 3),
                    "pairs": len(batch),
                    "known_positives": known,
                }
            )
            if training.step % settings.checkpoint_steps == 0 or training.step == total:
                checkpoint.save(scratch, training.state(), step=training.step, fingerprint=fingerprint)
            speed = seen / max(time.monotonic() - here, 1e-9)
            progress.advance(1, loss=round(loss, 4), pairs_per_second=round(speed, 1))
    encoder.model.train(False)
    return training


def learning_rate(step: int, total: int, settings: TrainSettings) -> float:
    """Of a step, counted from 0: rises over the warm-up, then falls linearly; never 0, which would be a lost step."""
    warmup = math.ceil(total * settings.warmup_share)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    return settings.learning_rate * (total - step) / (total - warmup)


def _step(
    training: Training, pairs: Pairs, tokens: Tokens, batch: Ints, scale: float, rate: float
) -> tuple[float, float]:
    """One step. Returns the loss, and the share of the batch's negatives that were known positives.

    A loss or gradient that is not finite is returned as it is, and the weights stay untouched.
    """
    import torch

    from include.loss import contrastive_loss

    encoder = training.encoder
    known = pairs.known_positives(batch)
    left = encoder.forward(*encoder.pad(tokens.of(pairs.left[batch])))
    right = encoder.forward(*encoder.pad(tokens.of(pairs.right[batch])))
    loss = contrastive_loss(left, right, torch.from_numpy(known).to(encoder.device), scale=scale)
    value = loss.item()
    if not math.isfinite(value):
        return value, 0.0
    training.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(encoder.model.parameters(), MAX_GRADIENT_NORM).item()
    if not math.isfinite(norm):
        return norm, 0.0
    for group in training.optimizer.param_groups:
        group["lr"] = rate
    training.optimizer.step()
    return value, round(float(known.sum()) / (known.size - len(known)), 4)


def _adamw(encoder: "Encoder", settings: TrainSettings) -> "torch.optim.Optimizer":
    import torch

    parameters = [weight for weight in encoder.model.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in parameters if weight.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [weight for weight in parameters if weight.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def _step_seed(seed: int, epoch: int, step: int) -> int:
    digest = hashlib.blake2b(f"{seed} {epoch} {step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1  # torch takes 63 bits


def _diverged(step: int, rate: float, loss: float, scratch: Path) -> TrainingDiverged:
    good = checkpoint.newest(scratch)
    return TrainingDiverged(
        f"Loss or gradient became {loss} at step {step}, at learning rate {rate:.3g}; the last good checkpoint is "
        f"{good or 'none: training had not come that far'}.",
        "Lower learning_rate, raise warmup_share, or set precision to float32, and trigger again.",
    )


def _out_of_memory(settings: TrainSettings, batch: Ints, lengths: Ints, error: Exception) -> BadSettings:
    return BadSettings(
        f"The GPU's memory does not hold a step of batch_size={settings.batch_size} with max_tokens="
        f"{settings.max_tokens} ({len(batch)} pairs, {int(lengths[batch].max())} word pieces in the longest): "
        f"{str(error).splitlines()[0]}",
        "Lower batch_size (or max_tokens) and trigger again, or free the GPU.",
    )


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m include.train`: train, and report in JSON lines on standard output."""
    parser = ArgumentParser(prog="python -m include.train", description="Fine-tune the bi-encoder on a catalogue.")
    parser.add_argument("--root", type=Path, required=True, help="the data directory")
    parser.add_argument("--catalogue", type=Path, required=True, help="the catalogue artifact's directory")
    parser.add_argument("--settings", type=json.loads, default={}, help="TrainSettings as a JSON object")
    parser.add_argument("--parent", type=int, help="end when the process with this id ends")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between two lines of progress")
    given = parser.parse_args(arguments)

    def work(sink: Sink) -> Artifact:
        settings = parse(TrainSettings, given.settings)
        return train(given.catalogue, settings, root=given.root, sink=sink, interval=given.interval)

    return run_as_child(work, parent=given.parent)


if __name__ == "__main__":
    raise SystemExit(main())
