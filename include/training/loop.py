"""The training loop: steps from the last checkpoint on to the end, the same bits whether it was killed or not.

Batches and dropout are functions of (seed, epoch, step), so on a CPU, with the same number of threads, a
resumed run ends with the same bits as an undisturbed one.
"""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from include.core.errors import TrainingDiverged
from include.core.progress import Progress, Sink
from include.core.space import require
from include.core.train_settings import TrainSettings
from include.training.batches import Step, TrainingData, schedule, steps_in_all
from include.training.checkpoint import KEPT, Checkpoints
from include.training.distributed import ALONE, Processes
from include.training.step import adamw, memory_explained, take
from include.training.trackers import Track

if TYPE_CHECKING:
    import torch

    from include.model.encoder import Encoder

log = logging.getLogger("include.training.loop")

INTERVAL = 1.0  # seconds between two snapshots to the sink; 0 for one a step
FIRST, LAST = 10, 50  # steps: the mean loss of the last ones, against that of the first ones
RISEN = 1.5  # so many times as high is no noise: the model has forgotten what the base knew


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
        from include.model.directory import require_finite

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
    data: TrainingData,
    settings: TrainSettings,
    *,
    checkpoints: Checkpoints,
    sink: Sink | None = None,
    track: Track | None = None,
    processes: Processes = ALONE,
) -> Training:
    """Train `encoder` in place, from the last checkpoint on where there is one.

    Args:
        encoder: Holds the base model's weights.
        data: The same in every process.
        settings: See `TrainSettings`.
        checkpoints: Every process reads them, the first one writes them.
        sink: See `include.training.train.train`.
        track: Gets every step's number and figures, of this attempt.
        processes: That train together.

    Raises:
        TrainingDiverged, BadModel, BadSettings: See `include.training.train.train`.
    """
    training = Training(encoder, adamw(encoder, settings))
    _resume(training, checkpoints, processes)
    total = steps_in_all(len(data.pairs), settings)
    if processes.rank == 0:
        _require_room(encoder, checkpoints, -(-(total - training.step) // settings.checkpoint_steps))
    encoder.model.train()
    earlier, began, seen = training.seconds, time.monotonic(), 0
    with Progress("fine-tune", total, unit="steps", sink=sink, start=training.step, interval=INTERVAL) as progress:
        for step in schedule(data.lengths(), settings, done=training.step):
            with memory_explained(step, data, settings):
                loss, known = take(step, encoder, training.optimizer, data, settings, processes)
            figures = {
                "loss": loss,
                "learning_rate": step.rate,
                "seconds": round(earlier + time.monotonic() - began, 3),
                "pairs": len(step.batch),
                "known_positives": known,
            }
            training.step = step.number
            training.history.append({"step": step.number, **figures})
            _require_sound(training.history, step, checkpoints)
            if processes.rank == 0 and (step.number % settings.checkpoint_steps == 0 or step.number == total):
                checkpoints.save(training.state(), step=step.number)
            seen += len(step.batch)
            speed = round(seen / max(time.monotonic() - began, 1e-9), 1)
            if track is not None:
                track(step.number, {**figures, "pairs_per_second": speed})
            progress.advance(1, loss=round(loss, 4), pairs_per_second=speed)
    encoder.model.train(False)
    return training


def _resume(training: Training, checkpoints: Checkpoints, processes: Processes) -> None:
    """Go back to the last checkpoint, which the first process chooses; a fresh start where there is none."""
    state = checkpoints.latest() if processes.rank == 0 else None
    if at := processes.from_first(state["step"] if state else 0):
        training.restore(state or checkpoints.load(checkpoints.path(at)), checkpoints.directory)
        log.info("resuming after step %d, at the last checkpoint", training.step)


def _require_room(encoder: "Encoder", checkpoints: Checkpoints, more: int) -> None:
    """Ask for what training will write: so many checkpoints, of which it keeps some, and the model, twice (ONNX)."""
    parameters = sum(weight.numel() for weight in encoder.model.parameters())
    held = [file.stat().st_size for file in checkpoints.newest_first()]
    at_once = min(len(held) + more, KEPT + 1)  # the oldest goes when the newest is whole
    kept = min(len(held) + more, KEPT)
    # Float32 weights, and in a checkpoint AdamW's two moments of each.
    need = 4 * parameters * max(3 * at_once, 3 * kept + 2) - sum(held)
    require(checkpoints.directory, max(need, 0), f"Training a model of {parameters:,} parameters")


def _require_sound(history: Sequence[Mapping[str, float]], step: Step, checkpoints: Checkpoints) -> None:
    """Check the loss after a step, before a checkpoint holds it.

    Raises:
        TrainingDiverged: It, or the gradient, is not finite, or it has risen far above its start.
    """
    loss = history[-1]["loss"]
    what = _risen(history) if math.isfinite(loss) else f"Loss or gradient became {loss}"
    if what:
        good = next(iter(checkpoints.newest_first()), "none: training had not come that far")
        raise TrainingDiverged(
            f"{what} at step {step.number}, at learning rate {step.rate:.3g}; the last good checkpoint is {good}.",
            "Lower learning_rate, raise warmup_share, or set precision to float32, and trigger again.",
        )


def _risen(history: Sequence[Mapping[str, float]]) -> str:
    """What to say of a loss that has risen far above its start; empty where it has not."""
    if len(history) < FIRST + LAST:
        return ""
    before = float(np.mean([each["loss"] for each in history[:FIRST]]))
    after = float(np.mean([each["loss"] for each in history[-LAST:]]))
    if after <= RISEN * before:
        return ""
    return f"The loss rose from {before:.3f} (first {FIRST} steps) to {after:.3f} (last {LAST})"
