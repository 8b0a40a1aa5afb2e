"""Training of the reader, which says how likely a passage answers a question; see `reader_model.py`.

A step takes some questions, each with a passage that answers and `NEGATIVES` that do not, and lowers two losses: the
softmax over a question's passages (listwise), for their order, and the cross-entropy of each alone, smoothed, for what
a score means between questions. A killed training goes on at its last checkpoint, to the same bits.

The questions of some products are held out. On them its logits become probabilities and it is measured against today's
relevance; see `reader_gate.py`.
"""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from include.core import artifacts, kinds
from include.core.arrays import Ints, Vectors
from include.core.artifacts import Artifact, Workspace
from include.core.errors import TrainingDiverged
from include.core.files import write_json
from include.core.progress import Progress, Sink
from include.core.train_settings import ReaderSettings
from include.model.directory import WEIGHTS, require_finite
from include.model.onnx_export import write_reader_onnx
from include.model.reader import PASSAGE_TOKENS, QUESTION_TOKENS, READER_CONFIG, READER_FILE
from include.training.checkpoint import Checkpoints
from include.training.reader_gate import calibrated, judged
from include.training.reader_rows import Passages, Row, held_out

if TYPE_CHECKING:
    from torch import Tensor

    from include.training.reader_model import ReaderModel

log = logging.getLogger(__name__)

# How well passages answer a question today: cosines with it, (passages,), and their texts.
Relevance = Callable[[str, Vectors, Sequence[str]], Vectors]

MOST_HELD_OUT = 400  # questions
NEGATIVES = 3  # passages that do not answer, for each question of a step
BATCH = 12  # questions of a step
SMOOTHING = 0.05  # of the labels: some of what we take for no answer is one
ANSWER_WEIGHT = 1.5  # of a passage that answers, in the cross-entropy
HEAD_FACTOR = 5.0  # the heads' learning rate is so many times that of the layers
SCALE_RATE = 5e-3  # of the scales and the offset
WARMUP = 30  # steps; of a short training a tenth
CHECKPOINT_STEPS = 25
REFUSED = 0.1  # of the answerable held-out questions: that is where a score begins to count as an answer
SEED = 1


def train_reader(
    rows: Sequence[Row],
    model: Path,
    settings: ReaderSettings,
    *,
    root: Path,
    relevance: Relevance,
    sink: Sink | None = None,
) -> Artifact:
    """Train a reader, in this process.

    Args:
        rows: Questions with their answers; `reader_rows.too_few` has nothing to say of them.
        model: Artifact of kind `model`, or the directory of a bi-encoder: where the reader starts from.
        settings: Epochs, learning rate, layers.
        root: The data directory.
        relevance: What it is measured against.
        sink: Receives progress, in steps.

    Returns:
        Artifact of kind `reader`; its statistics have `figures` (of the reader, of today's relevance, and the
        `difference`, see `reader_figures.measure`), `used` and the `reason`.

    Raises:
        TrainingDiverged: The loss became NaN or infinite.
        BadModel: The model or a checkpoint cannot be used.
    """
    inputs = {"weights": sha256((model / WEIGHTS).read_bytes()).hexdigest()[:16], "rows": _fingerprint(rows)}
    shaping = settings.model_dump(exclude={"reader"})
    mark = artifacts.fingerprint(kinds.READER, shaping, inputs)

    def write(space: Workspace) -> dict[str, Any]:
        job = _Job(rows, model, settings, Checkpoints(space.scratch, mark), sink)
        return job.write(space.path, relevance)

    return artifacts.build(root, kinds.READER, write, settings=shaping, inputs=inputs)


def _fingerprint(rows: Sequence[Row]) -> str:
    return sha256(json.dumps([asdict(row) for row in rows]).encode()).hexdigest()[:16]


@dataclass
class _Job:
    """A training whose inputs are found."""

    rows: Sequence[Row]
    model: Path
    settings: ReaderSettings
    checkpoints: Checkpoints
    sink: Sink | None

    def write(self, path: Path, relevance: Relevance) -> dict[str, Any]:
        """Train, measure, and save to `path`; returns what the manifest keeps."""
        import torch

        from include.model.encoder import Encoder
        from include.training.reader_model import ReaderModel

        torch.manual_seed(SEED)
        encoder = Encoder.load(self.model, device="cpu")
        texts = [row.question for row in self.rows], [row.answer for row in self.rows]
        others = [text for row in self.rows for text in row.others]
        asked, answers, wrong = (encoder.encode(each, stage="read passages") for each in (*texts, others))
        passages = Passages(self.rows, asked, answers, wrong)
        held = held_out(self.rows)
        taught, tested = np.flatnonzero(~held), np.flatnonzero(held)[:MOST_HELD_OUT]
        reader = ReaderModel(encoder, self.settings.reader_layers)
        questions = reader.states(texts[0], QUESTION_TOKENS)
        states = reader.states(passages.texts, PASSAGE_TOKENS)
        began = time.monotonic()
        losses = self._fit(reader, passages, questions, states, taught)
        candidates = [passages.candidates(row, tested) for row in tested]
        pairs = [(questions[row], states[one]) for row, some in zip(tested, candidates, strict=True) for one in some]
        ends = np.cumsum([len(some) for some in candidates])[:-1]
        logits = np.split(reader.predict(pairs), ends)
        vectors = np.concatenate([answers, wrong])
        today = [
            relevance(self.rows[row].question, vectors[some] @ asked[row], [passages.texts[one] for one in some])
            for row, some in zip(tested, candidates, strict=True)
        ]
        seen = [np.column_stack(each) for each in zip(logits, today, strict=True)]
        weights, found = calibrated(seen, [self.rows[row].product for row in tested])
        least = float(np.quantile([each.max() for each in found], REFUSED))
        save(reader, path, {"weights": weights.tolist(), "least": least, "apart": reader.apart})
        return {
            "questions": len(taught),
            "held_out": len(tested),
            "first_loss": round(float(np.mean(losses[: len(losses) // 10 + 1])), 4),
            "last_loss": round(float(np.mean(losses[-(len(losses) // 10 + 1) :])), 4),
            "seconds_training": round(time.monotonic() - began, 1),
            **judged(found, today),
        }

    def _fit(
        self,
        reader: "ReaderModel",
        passages: Passages,
        questions: "list[Tensor]",
        states: "list[Tensor]",
        taught: Ints,
    ) -> list[float]:
        """Train in place, from the last checkpoint on; returns each step's loss."""
        import torch

        wrong = {row: passages.wrong(row, taught) for row in taught.tolist()}
        optimizer = _adamw(reader, self.settings.reader_learning_rate)
        rates = [group["lr"] for group in optimizer.param_groups]
        losses: list[float] = []
        if state := self.checkpoints.latest():
            require_finite(state["model"], f"A checkpoint in {self.checkpoints.directory}", "Delete it and retry.")
            reader.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            losses = list(state["losses"])
            log.info("resuming after step %d, at the last checkpoint", len(losses))
        lengths = np.array([len(questions[row]) + len(states[row]) for row in range(len(questions))])
        schedule = [
            batch
            for epoch in range(self.settings.reader_epochs)
            for batch in _batches(taught, lengths, np.random.default_rng([SEED, epoch]))
        ]
        warmup = min(WARMUP, 1 + len(schedule) // 10)
        reader.train()
        with Progress("train reader", len(schedule), unit="steps", sink=self.sink, start=len(losses)) as progress:
            for step in range(len(losses), len(schedule)):
                batch, random = schedule[step], np.random.default_rng([SEED, 1, step])
                torch.manual_seed(step)
                chosen = [[row, *passages.drawn(row, wrong[row], NEGATIVES, random)] for row in batch.tolist()]
                logits = reader(
                    [questions[some[0]] for some in chosen for _ in some],
                    [states[one] for some in chosen for one in some],
                ).view(len(batch), -1)
                loss = _loss(logits)
                if not math.isfinite(loss.item()):
                    raise TrainingDiverged(
                        f"The reader's loss became {loss.item()} at step {step + 1}.", "Lower reader_learning_rate."
                    )
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                torch.nn.utils.clip_grad_norm_([each for each in reader.parameters() if each.requires_grad], 1.0)
                share = min(1.0, (step + 1) / warmup) * (1 - step / len(schedule))
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * share
                optimizer.step()
                losses.append(loss.item())
                if (step + 1) % CHECKPOINT_STEPS == 0 or step + 1 == len(schedule):
                    made = {"model": reader.state_dict(), "optimizer": optimizer.state_dict(), "losses": losses}
                    self.checkpoints.save(made, step=step + 1)
                progress.advance(1, loss=round(losses[-1], 4))
        reader.train(False)
        return losses


def _batches(rows: Ints, lengths: Ints, random: np.random.Generator) -> Iterator[Ints]:
    """The rows in batches of like length, in random order."""
    order = random.permutation(rows)
    made: list[Ints] = []
    for start in range(0, len(order), 20 * BATCH):
        block = order[start : start + 20 * BATCH]
        block = block[np.argsort(lengths[block], kind="stable")]
        made += [block[at : at + BATCH] for at in range(0, len(block), BATCH)]
    yield from (made[place] for place in random.permutation(len(made)))


def _adamw(reader: "ReaderModel", rate: float) -> Any:
    import torch

    layers = [each for each in reader.transformer.parameters() if each.requires_grad]
    heads = [reader.head.weight, reader.pick.weight, reader.marks]
    groups = [
        {"params": layers, "lr": rate, "weight_decay": 0.01},
        {"params": heads, "lr": rate * HEAD_FACTOR, "weight_decay": 0.01},
        {"params": [reader.head.bias, reader.scale, reader.late], "lr": SCALE_RATE, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, fused=True)


def _loss(logits: "Tensor") -> "Tensor":
    """Of (questions, passages) logits, the first passage of each being the one that answers."""
    import torch
    from torch.nn import functional

    labels = torch.full_like(logits, SMOOTHING)
    labels[:, 0] = 1 - SMOOTHING
    weights = torch.ones_like(logits)
    weights[:, 0] = ANSWER_WEIGHT
    order = functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))
    return order + functional.binary_cross_entropy_with_logits(logits, labels, weight=weights)


def save(reader: "ReaderModel", path: Path, config: dict[str, Any]) -> None:
    """Write what `include.model.reader.Reader` opens.

    Args:
        reader: In any state of its training.
        path: A directory; made if there is none.
        config: `weights` (of logit and relevance, and what is added), `least`, `apart`.
    """
    from safetensors.numpy import save as tensors

    encoder = reader.encoder
    encoder.save(path, graph=False)  # that is of vectors, which a reader does not give
    weights = {name: value.detach().float().cpu().numpy() for name, value in encoder.model.state_dict().items()}
    weights |= reader.head_weights()
    (path / WEIGHTS).write_bytes(tensors(weights, metadata={"format": "pt"}))
    write_reader_onnx(weights, encoder.model.config.to_dict(), reader.apart, path / READER_FILE, integers=True)
    write_json(path / READER_CONFIG, config)
