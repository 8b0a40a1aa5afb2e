"""The reader for answering: ONNX Runtime and tokenizers alone.

Gives the figures of the `include.training.reader_model.ReaderModel` that was saved there, but for the rounding of 8-bit
products.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from include.core.arrays import AnyFloats, Floats, Vectors
from include.core.errors import BadModel
from include.model.directory import encodable, load_tokenizer, read_json
from include.model.onnx_session import open_session

if TYPE_CHECKING:
    from tokenizers import Tokenizer

READER_FILE = "onnx/reader.onnx"
READER_CONFIG = "reader.json"
INPUTS = ["question", "passages", "mask"]  # of the graph
QUESTION_TOKENS = 40  # word pieces, CLS and SEP included
PASSAGE_TOKENS = 64
BATCH = 8  # pairs of like length that go through the model at once
REBUILD = "Run train_reader again (clear the task): it writes the reader's directory anew."


class Reader:
    """Says how likely a passage answers a question, on the CPU. Safe to use from several threads.

    Args:
        path: Artifact of kind `reader`.
        threads: Of ONNX Runtime, within one operator.

    Attributes:
        least: A passage with this score or a higher one counts as an answer: a tenth of the answerable questions that
            were held out from its training have none.

    Raises:
        BadModel: A file of it is missing or damaged, or of an earlier version of this program.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        # Each with its own limit: a tokenizer is used by several threads at once as long as none of them changes it.
        self._asked, self._read = load_tokenizer(path, QUESTION_TOKENS), load_tokenizer(path, PASSAGE_TOKENS)
        config = read_json(path / READER_CONFIG, REBUILD)
        numbers = [*config.get("weights", []), config.get("least")]
        if len(numbers) != 4 or not all(isinstance(each, float) for each in numbers):
            raise BadModel(f"{path / READER_CONFIG} has weights and least {numbers!r}, expected 3 and 1.", REBUILD)
        self._weights, self.least = np.array(numbers[:3]), float(numbers[3])
        self._session = open_session(path / READER_FILE, threads, REBUILD)
        if (inputs := [each.name for each in self._session.get_inputs()]) != INPUTS:
            raise BadModel(f"{path / READER_FILE} takes {inputs}, expected {INPUTS}: it has another form.", REBUILD)

    def score(self, question: str, passages: Sequence[str], relevance: Vectors) -> Vectors:
        """How likely each passage answers the question.

        Args:
            question: As it is searched for.
            passages: Each with its product's title in front.
            relevance: (passages,) of each without a reader: see `include.answering.passages.relevance`.

        Returns:
            (passages,) float32, 0-1.
        """
        seen = np.column_stack([self.logits(question, passages), relevance])
        return probabilities(seen, self._weights).astype(np.float32)

    def logits(self, question: str, passages: Sequence[str]) -> Vectors:
        """What the model says before calibration: (passages,) float32."""
        asked = _ids(self._asked, [question])[0]
        read = _ids(self._read, passages)
        order = sorted(range(len(read)), key=lambda place: len(read[place]))
        found = np.empty(len(read), np.float32)
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            found[batch] = self._session.run(None, _inputs(asked, [read[place] for place in batch]))[0]
        return found


def _ids(tokenizer: "Tokenizer", texts: Sequence[str]) -> list[list[int]]:
    return [each.ids for each in tokenizer.encode_batch_fast(encodable(texts))]


def probabilities(seen: AnyFloats, weights: Floats) -> Floats:
    """What logits and relevance mean: (n,), 0-1.

    Args:
        seen: (n, 2): a passage's logit, and its relevance without a reader.
        weights: (3,): of the two, and what is added.
    """
    found: Floats = 1 / (1 + np.exp(-np.clip(seen.astype(np.float64) @ weights[:2] + weights[2], -50, 50)))
    return found


def _inputs(question: list[int], passages: Sequence[list[int]]) -> dict[str, np.ndarray]:
    """The graph's inputs, all int64."""
    ids = np.zeros((len(passages), max(map(len, passages))), np.int64)
    mask = np.zeros_like(ids)
    for row, passage in enumerate(passages):
        ids[row, : len(passage)], mask[row, : len(passage)] = passage, 1
    return dict(zip(INPUTS, (np.array([question], np.int64), ids, mask), strict=True))
