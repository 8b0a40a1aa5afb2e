"""The training loop: steps from the last checkpoint on to the end, the same bits whether it was killed or not.

Batches and dropout are functions of (seed, epoch, step), so on a CPU, with the same number of threads, a
resumed run ends with the same bits as an undisturbed one.
"""

import hashlib
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from include.core.arrays import Ints
from include.core.errors import BadSettings, TrainingDiverged
from include.core.progress import Progress, Sink
from include.core.settings import TrainSettings
from include.core.space import require
from include.training import checkpoint
from include.training.batches import TextTokens, batches, steps_in_epoch
from include.training.distributed import ALONE, Processes
from include.training.negatives import HardNegatives
from include.training.pairs import Pairs
from include.training.trackers import Track

if TYPE_CHECKING:
    import torch

    from include.model.encoder import Encoder

log = logging.getLogger("include.training.loop")

MAX_GRADIENT_NORM = 1.0
FIRST, LAST = 10, 50  # steps: the mean loss of the last ones, against that of the first ones
RISEN = 1.5  # so many times as high is no noise: the model has forgotten what the base knew


@dataclass(frozen=True)
class Batches:
    """What training is fed with.

    Attributes:
        pairs: The pairs of texts.
        texts: Their word pieces.
        negatives: Further negatives of each pair's product; None for those of the batch alone.
    """

    pairs: Pairs
    texts: TextTokens
    negatives: HardNegatives | None = None

    def lengths(self) -> Ints:
        """Word pieces of each pair."""
        return self.texts.length[self.pairs.left] + self.texts.length[self.pairs.right]


@dataclass
class Training:
    """What a step changes, and so what a checkpoint holds."""

    encoder: "Encoder"
    optimizer: "torch.optim.Optimizer"
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """For `restore`: tensors, numbers, lists and dicts."""
        return {
            "model": self.encoder.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "history": self.history,
        }

    def restore(self, state: dict[str, Any], scratch: Path) -> None:
        """Go back to what `state` returned; it lies in `scratch`.

        Raises:
            BadModel: A weight is NaN or infinite.
        """
        from include.model.encoder import require_finite

        next_step = "Delete that directory and retry the task: it starts from the base model again."
        require_finite(state["model"], f"The checkpoint of step {state['step']} in {scratch}", next_step)
        self.encoder.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        self.history = state["history"]

    @property
    def seconds(self) -> float:
        """Spent on the steps so far, those of killed attempts up to their checkpoints included."""
        return self.history[-1]["seconds"] if self.history else 0.0


def fit(
    encoder: "Encoder",
    data: Batches,
    settings: TrainSettings,
    *,
    scratch: Path,
    fingerprint: str,
    sink: Sink | None = None,
    interval: float = 1.0,
    track: Track | None = None,
    processes: Processes = ALONE,
) -> Training:
    """Train `encoder` in place, from the last checkpoint in `scratch` where there is one.

    Args:
        encoder: Holds the base model's weights.
        data: The same in every process.
        settings: See `TrainSettings`.
        scratch: Where checkpoints lie; every process reads them, the first one writes them.
        fingerprint: Of settings and inputs; a checkpoint with another is refused.
        sink, interval: See `include.training.train.train`.
        track: Gets every step's number and figures, of this attempt.
        processes: That train together.

    Raises:
        TrainingDiverged, BadModel, BadSettings: See `include.training.train.train`.
    """
    import torch

    training = Training(encoder, adamw(encoder, settings))
    state = checkpoint.latest(scratch, fingerprint=fingerprint) if processes.rank == 0 else None
    if at := processes.from_first(state["step"] if state else 0):
        training.restore(state or checkpoint.load(checkpoint.path_of(scratch, at), fingerprint=fingerprint), scratch)
        log.info("resuming after step %d, at the last checkpoint", training.step)
    per_epoch = steps_in_epoch(len(data.pairs), settings.batch_size)
    total = settings.epochs * per_epoch
    if settings.max_steps:
        total = min(total, settings.max_steps)
    if processes.rank == 0:
        _require_room(encoder, scratch, -(-(total - training.step) // settings.checkpoint_steps))
    lengths = data.lengths()
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
            seed = _step_seed(settings.seed, epoch, within)
            try:
                loss, known = _step(training, data, batch, settings, rate, seed, processes)
            except torch.OutOfMemoryError as error:
                raise _out_of_memory(settings, batch, lengths, error) from error
            training.step += 1
            if not math.isfinite(loss):
                raise _diverged(training.step, rate, f"Loss or gradient became {loss}", scratch)
            if risen := _risen([*training.history, {"loss": loss}]):
                raise _diverged(training.step, rate, risen, scratch)
            seen += len(batch)
            figures = {
                "loss": loss,
                "learning_rate": rate,
                "seconds": round(time.monotonic() - began, 3),
                "pairs": len(batch),
                "known_positives": known,
            }
            training.history.append({"step": training.step, **figures})
            last = training.step == total
            if processes.rank == 0 and (training.step % settings.checkpoint_steps == 0 or last):
                checkpoint.save(scratch, training.state(), step=training.step, fingerprint=fingerprint)
            speed = round(seen / max(time.monotonic() - here, 1e-9), 1)
            if track is not None:
                track(training.step, {**figures, "pairs_per_second": speed})
            progress.advance(1, loss=round(loss, 4), pairs_per_second=speed)
    encoder.model.train(False)
    return training


def _require_room(encoder: "Encoder", scratch: Path, checkpoints: int) -> None:
    """Ask for what training will write: so many checkpoints, of which it keeps some, and the model, twice (ONNX)."""
    parameters = sum(weight.numel() for weight in encoder.model.parameters())
    held = [file.stat().st_size for file in scratch.glob("step-*.checkpoint")]
    at_once = min(len(held) + checkpoints, checkpoint.KEPT + 1)  # the oldest goes when the newest is whole
    kept = min(len(held) + checkpoints, checkpoint.KEPT)
    # Float32 weights, and in a checkpoint AdamW's two moments of each.
    need = 4 * parameters * max(3 * at_once, 3 * kept + 2) - sum(held)
    require(scratch, max(need, 0), f"Training a model of {parameters:,} parameters")


def learning_rate(step: int, total: int, settings: TrainSettings) -> float:
    """Of a step, counted from 0: rises over the warm-up, then falls linearly; never 0, which would be a lost step."""
    warmup = math.ceil(total * settings.warmup_share)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    return settings.learning_rate * (total - step) / (total - warmup)


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


def _step(
    training: Training,
    data: Batches,
    batch: Ints,
    settings: TrainSettings,
    rate: float,
    seed: int,
    processes: Processes,
) -> tuple[float, float]:
    """One step. Returns the loss, and the share of the batch's negatives that were known positives.

    A loss or gradient that is not finite is returned as it is, and the weights stay untouched.
    """
    import torch

    from include.training.gradient_cache import backward
    from include.training.loss import matryoshka_loss

    encoder, pairs = training.encoder, data.pairs
    extra, owners = data.negatives.of(pairs, batch) if data.negatives else (None, None)
    known = pairs.known_positives(batch, extra, owners)
    sides = [pairs.left[batch], pairs.right[batch], *([] if extra is None else [extra])]
    distinct, place = np.unique(np.concatenate(sides), return_inverse=True)  # a text twice in a batch is encoded once
    at = torch.from_numpy(place).to(encoder.device)
    mask = torch.from_numpy(known).to(encoder.device)
    nested = dimensions(settings, encoder.dim)

    def loss_of(vectors: "torch.Tensor") -> "torch.Tensor":
        left, right = vectors[at[: len(batch)]], vectors[at[len(batch) :]]
        return matryoshka_loss(left, right, mask, dimensions=nested, scale=settings.scale, symmetric=settings.symmetric)

    training.optimizer.zero_grad(set_to_none=True)
    value = backward(
        encoder,
        data.texts.of(distinct),
        loss_of,
        seed=seed,
        memory_tokens=2 * settings.mini_batch * settings.max_tokens,
        processes=processes,
    )
    if not math.isfinite(value):
        return value, 0.0
    norm = torch.nn.utils.clip_grad_norm_(encoder.model.parameters(), MAX_GRADIENT_NORM).item()
    if not math.isfinite(norm):
        return norm, 0.0
    for group in training.optimizer.param_groups:
        group["lr"] = rate
    training.optimizer.step()
    return value, round(float(known.sum()) / (known.size - len(known)), 4)


def _step_seed(seed: int, epoch: int, step: int) -> int:
    digest = hashlib.blake2b(f"{seed} {epoch} {step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1  # torch takes 63 bits


def _risen(history: Sequence[Mapping[str, float]]) -> str:
    """What to say of a loss that has risen far above its start; empty where it has not."""
    if len(history) < FIRST + LAST:
        return ""
    before = float(np.mean([each["loss"] for each in history[:FIRST]]))
    after = float(np.mean([each["loss"] for each in history[-LAST:]]))
    if after <= RISEN * before:
        return ""
    return f"The loss rose from {before:.3f} (first {FIRST} steps) to {after:.3f} (last {LAST})"


def _diverged(step: int, rate: float, what: str, scratch: Path) -> TrainingDiverged:
    good = checkpoint.newest(scratch)
    return TrainingDiverged(
        f"{what} at step {step}, at learning rate {rate:.3g}; the last good checkpoint is "
        f"{good or 'none: training had not come that far'}.",
        "Lower learning_rate, raise warmup_share, or set precision to float32, and trigger again.",
    )


def _out_of_memory(settings: TrainSettings, batch: Ints, lengths: Ints, error: Exception) -> BadSettings:
    return BadSettings(
        f"The GPU's memory does not hold a step of batch_size={settings.batch_size} in mini-batches of mini_batch="
        f"{settings.mini_batch} with max_tokens={settings.max_tokens} ({len(batch)} pairs, "
        f"{int(lengths[batch].max())} word pieces in the longest): {str(error).splitlines()[0]}",
        "Lower mini_batch (the gradient stays the same) and trigger again, or free the GPU.",
    )
