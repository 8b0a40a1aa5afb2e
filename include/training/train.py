"""Contrastive fine-tuning of the bi-encoder; also a program: `python -m include.training.train`.

A step takes a batch of pairs of texts, encodes both sides, and lowers the symmetric InfoNCE loss
(`loss.py`) over in-batch and hard negatives, known positives left out (`pairs.py`). A batch
that is larger than memory goes through gradient caching (`gradient_cache.py`). AdamW with
linear warm-up and decay; gradients clipped to norm 1; weights in float32, matrix products in bfloat16
where the hardware computes in it. A killed run resumes at its last checkpoint (`loop.py`).

The fingerprint holds the precision, "auto" resolved, but not the device, the number of threads, processes or
mini-batches, or library versions: those change a model by rounding, and a model trained on a GPU is not
trained again on a machine without one. The device is in the statistics.
"""

import json
import logging
import math
import os
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from include.catalogue.identity import apart_from_attributes
from include.core import artifacts, kinds
from include.core.artifacts import Artifact, Workspace
from include.core.errors import DamagedArtifact
from include.core.files import write_json
from include.core.forms import parse
from include.core.progress import Sink
from include.core.train_settings import TrainSettings
from include.model.base import BaseModel, resolve_base
from include.model.tokens import CatalogueTokens, find, tokenize
from include.training.batches import TrainingData, locate_texts
from include.training.checkpoint import Checkpoints
from include.training.distributed import ALONE, Processes, join, leave
from include.training.loop import Training, fit
from include.training.negatives import HardNegatives
from include.training.pairs import Pairs, find_pairs
from include.training.process import launch, run_as_child, train_in_subprocess
from include.training.question_pairs import QUESTION_TEXTS, Beside, question_pairs
from include.training.step import dimensions
from include.training.trackers import open_tracker

if TYPE_CHECKING:
    import torch

    from include.model.encoder import Encoder

__all__ = ["train", "train_in_subprocess"]

log = logging.getLogger("include.training.train")  # __name__ is __main__ when this is the program

HISTORY_FILE = "history.json"
UNTRAINED = "nothing to train on: the base model is used as it is"
# What shapes memory, speed and what is written beside the model, but not the model.
NOT_SHAPING = {"base_model", "checkpoint_steps", "mini_batch", "processes", "retrain", "tracker"}


def train(
    catalogue: Path,
    settings: TrainSettings,
    *,
    root: Path,
    beside: Beside = Beside(),
    nonce: str = "",
    sink: Sink | None = None,
    processes: Processes = ALONE,
) -> Artifact:
    """Fine-tune the base model on a catalogue, in this process.

    Args:
        catalogue: The artifact's directory.
        settings: All of `TrainSettings`.
        root: The data directory.
        beside: Hard negatives, where they are wanted, and people's questions.
        nonce: Another one trains another model from the same inputs; the same one resumes and reuses.
        sink: Receives progress, counted in steps, with loss and pairs per second.
        processes: That train together, this one among them; all call this function.

    Returns:
        An artifact of kind `model`: the sentence-transformers layout with `history.json`. Where the catalogue
        gives no pairs to train on, it is the base model as it is, and `stats["untrained"]` says so.

    Raises:
        EmptyCatalogue: There is no product.
        TrainingDiverged: The loss or the gradient became NaN or infinite, or the loss rose far above its start.
        BadModel: The base model or a checkpoint cannot be used.
        BadSettings: The batch does not fit into the GPU's memory, or the model takes no text that long.
    """
    import torch

    from include.model.encoder import resolve_precision

    device = torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
    precision = resolve_precision(settings.precision, device)
    artifacts.read(catalogue)
    inputs = {"catalogue": apart_from_attributes(catalogue)}
    base = resolve_base(settings.base_model, root=root)
    inputs["base"] = base.fingerprint
    if beside.negatives is not None:
        inputs["negatives"] = artifacts.read(beside.negatives).fingerprint
    if questions := beside.mark:
        inputs["questions"] = questions
    shaping = {
        **settings.model_dump(exclude=NOT_SHAPING),
        "precision": precision,
        **({"nonce": nonce} if nonce else {}),
    }
    mark = artifacts.fingerprint(kinds.MODEL, shaping, inputs)
    job = _Job(catalogue, settings, root, beside, base, device, precision, mark, sink, processes)
    if processes.rank > 0:  # the first one says whether there is anything to do
        if scratch := processes.from_first(None):
            job.train(Path(scratch))
        at = artifacts.locate(root, kinds.MODEL, mark)
        name = kinds.MODEL.name
        return Artifact(kind=name, fingerprint=mark, path=at, stats={}, settings={}, inputs={}, seconds=0, files={})
    made = artifacts.build(root, kinds.MODEL, job.write, settings=shaping, inputs=inputs)
    if made.reused:
        processes.from_first(None)
    return made


@dataclass(frozen=True)
class _Job:
    """A training whose inputs are found; the same in every process that takes part, but for `sink` and rank."""

    catalogue: Path
    settings: TrainSettings
    root: Path
    beside: Beside
    base: BaseModel
    device: "torch.device"
    precision: str
    fingerprint: str
    sink: Sink | None
    processes: Processes

    def write(self, space: Workspace) -> dict[str, Any]:
        """Start the other processes, train, and write the model; returns what the manifest keeps of it."""
        self.processes.from_first(str(space.scratch))
        encoder, pairs, training = self.train(space.scratch)
        encoder.save(space.path)
        history = training.history if training else []
        write_json(space.path / HISTORY_FILE, {"steps": history, "pairs": pairs.counts})
        return {
            **(_figures(training, pairs) if training else {"steps": 0, "pairs": len(pairs), "untrained": UNTRAINED}),
            "precision": self.precision,
            "device": self.device.type,
            "processes": self.processes.count,
            "base": self.base.name,
            "held_out": pairs.counts["held_out"],
        }

    def train(self, scratch: Path) -> tuple["Encoder", Pairs, Training | None]:
        """Train the base model, with checkpoints in `scratch`; no training where there is nothing to train on."""
        from include.model.encoder import Encoder

        settings, processes = self.settings, self.processes
        encoder = Encoder.load(
            self.base.path, max_tokens=settings.max_tokens, device=str(self.device), precision=self.precision
        )
        dimensions(settings, encoder.dim)  # refuses before the work, not after
        pairs = find_pairs(self.catalogue, settings, self.beside.to_train_on())
        if pairs.lack:
            log.warning("%s (%s)", UNTRAINED, pairs.lack)
            return encoder, pairs, None
        data = self._data(pairs, encoder)
        counts = ", ".join(f"{name} {count}" for name, count in data.pairs.counts.items())
        by = f"{processes.count} processes on {self.device.type}" if processes.count > 1 else self.device.type
        log.info("%d pairs (%s) from %s, %s on %s", len(data.pairs), counts, self.base.name, self.precision, by)
        shown = {**settings.model_dump(), "catalogue": artifacts.read(self.catalogue, verify=False).fingerprint}
        tracker = settings.tracker if processes.rank == 0 else "none"
        checkpoints = Checkpoints(scratch, self.fingerprint)
        with open_tracker(tracker, root=self.root, fingerprint=self.fingerprint, settings=shown) as track:
            training = fit(
                encoder, data, settings, checkpoints=checkpoints, sink=self.sink, track=track, processes=processes
            )
        return encoder, pairs, training

    def _data(self, pairs: Pairs, encoder: "Encoder") -> TrainingData:
        """The pairs with their word pieces; the first process cuts those, the others find them."""
        tokenizer, limit = encoder.tokenizer, self.settings.max_tokens
        if self.processes.rank == 0:
            tokenize(self.catalogue, tokenizer, limit, root=self.root, sink=self.sink)
        self.processes.from_first(None)
        cut = find(self.catalogue, tokenizer, limit, root=self.root)
        if cut is None:
            raise DamagedArtifact(
                f"The word pieces of {self.catalogue} are gone while they are needed.", "Retry the task."
            )
        tokens, negatives = CatalogueTokens(cut, tokenizer), self.beside.negatives
        if QUESTION_TEXTS in pairs.columns:
            texts_of = question_pairs(self.catalogue, self.beside.to_train_on()).texts
            tokens.add(QUESTION_TEXTS, texts_of, tokenizer)
        hard = None if negatives is None else HardNegatives.open(negatives)
        pairs, texts = locate_texts(pairs, tokens, [hard.texts(pairs)] if hard else ())
        return TrainingData(pairs, texts, hard)


def trained_before(
    catalogue: Path, settings: TrainSettings, *, root: Path, beside: Beside = Beside()
) -> Artifact | None:
    """The newest model of this catalogue, base, settings and questions, whichever index its hard negatives came from.

    Each published model makes another index, and each index other hard negatives: without this, unchanged
    data would be trained on for ever.
    """
    inputs = {
        "catalogue": apart_from_attributes(catalogue),
        "base": resolve_base(settings.base_model, root=root).fingerprint,
    }
    questions, shaping = beside.mark, settings.model_dump(exclude={*NOT_SHAPING, "precision"})

    def fits(found: Artifact) -> bool:
        same = {name: value for name, value in found.settings.items() if name not in ("precision", "nonce")}
        wanted = settings.precision in ("auto", found.settings.get("precision"))
        known = inputs.items() <= found.inputs.items() and found.inputs.get("questions") == questions
        return same == shaping and wanted and known and _is_current(found, root)

    return next(artifacts.newest_first(root, kinds.MODEL, fits), None)


def _is_current(model: Artifact, root: Path) -> bool:
    """Whether a model and its hard negatives are of the formats that would be written now."""
    if not artifacts.is_of_format(model, kinds.MODEL):
        return False
    if (mark := model.inputs.get("negatives")) is None:
        return True
    try:
        mined = artifacts.read(artifacts.locate(root, kinds.NEGATIVES, mark), verify=False)
    except DamagedArtifact:
        return True  # of the model's own format, and nothing says otherwise
    return artifacts.is_of_format(mined, kinds.NEGATIVES)


def _figures(training: Training, pairs: Pairs) -> dict[str, Any]:
    """What the manifest keeps of a training."""
    losses = [each["loss"] for each in training.history]
    tenth = math.ceil(len(losses) / 10)  # one batch says little
    return {
        "steps": training.step,
        "pairs": len(pairs),
        "first_loss": float(np.mean(losses[:tenth])),
        "last_loss": float(np.mean(losses[-tenth:])),
        "seconds_training": training.seconds,
        "pairs_per_second": round(sum(each["pairs"] for each in training.history) / training.seconds, 1),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m include.training.train`: train, and report in JSON lines on standard output."""
    parser = ArgumentParser(
        prog="python -m include.training.train", description="Fine-tune the bi-encoder on a catalogue."
    )
    parser.add_argument("--root", type=Path, required=True, help="the data directory")
    parser.add_argument("--catalogue", type=Path, required=True, help="the catalogue artifact's directory")
    parser.add_argument("--settings", type=json.loads, default={}, help="TrainSettings as a JSON object")
    parser.add_argument("--negatives", type=Path, help="the negatives artifact's directory")
    parser.add_argument("--questions", type=Path, help="the questions artifact's directory")
    parser.add_argument("--nonce", default="", help="another one trains another model from the same inputs")
    parser.add_argument("--parent", type=int, help="end when the process with this id ends")
    given = parser.parse_args(arguments)

    def work(sink: Sink | None) -> Artifact:
        settings = parse(TrainSettings, given.settings)
        processes = join()
        try:
            return train(
                given.catalogue,
                settings,
                root=given.root,
                beside=Beside(given.negatives, given.questions),
                nonce=given.nonce,
                sink=sink,
                processes=processes,
            )
        finally:
            leave(processes)

    if "RANK" not in os.environ and (count := _processes(given.settings)) > 1:
        return launch(count, given, parent=given.parent)
    return run_as_child(work, parent=given.parent)


def _processes(settings: dict[str, Any]) -> int:
    """How many are to train together."""
    if wanted := int(settings.get("processes", TrainSettings().processes)):
        return wanted
    import torch

    return max(1, torch.cuda.device_count())


if __name__ == "__main__":
    raise SystemExit(main())
