"""The bi-encoder for questions: ONNX Runtime and tokenizers alone, so that a process answers within a second.

Gives the vectors of `include.model.encoder`, but for the rounding of 8-bit products, from the `onnx/model.onnx` that it
saved (see `query_graph.py`), without torch and transformers, which take six seconds to import.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from include.core.errors import BadModel
from include.model.directory import REBUILD, encodable, load_tokenizer, require_dimensions, stored_max_tokens
from include.model.onnx_session import open_session

ONNX_FILE = "onnx/model.onnx"
BATCH = 32  # texts that go through the model at once


class QueryEncoder:
    """Turns a few short texts into vectors, on the CPU. Safe to use from several threads.

    Args:
        path: A directory that `include.model.encoder.Encoder.save` wrote.
        threads: Of ONNX Runtime, within one operator; `FOR_MANY` where there are many texts.
        dimensions: Of each vector the first so many are kept, as in the index; 0 for all.
        once: For a few texts, see `open_session`.

    Attributes:
        dim: Length of a vector.
        max_tokens: Longer texts are cut, in word pieces, CLS and SEP included.

    Raises:
        BadModel: The ONNX copy or the tokenizer is missing or damaged.
        BadSettings: The model's vectors have fewer dimensions.
    """

    def __init__(self, path: Path, *, threads: int = 1, dimensions: int = 0, once: bool = False) -> None:
        self.max_tokens = stored_max_tokens(path)
        self.tokenizer = load_tokenizer(path, self.max_tokens)
        self.tokenizer.enable_padding()
        file = path / ONNX_FILE
        self._session = open_session(file, threads, REBUILD, once=once)
        whole = self._session.get_outputs()[0].shape[-1]
        if not isinstance(whole, int):
            raise BadModel(f"{file} gives vectors of no fixed length ({whole!r}).", REBUILD)
        require_dimensions(dimensions, whole)
        self.dim = dimensions or whole

    def knows(self, word: str) -> bool:
        """Whether a word, in small letters, is one piece of the model's vocabulary: a common word or name."""
        return self.tokenizer.token_to_id(word) is not None

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of `texts`: (n, dim) float32, L2-normalised, in their order."""
        batches = [np.empty((0, self.dim), np.float32)]
        for start in range(0, len(texts), BATCH):
            encoded = self.tokenizer.encode_batch_fast(encodable(texts[start : start + BATCH]))
            inputs = {
                "input_ids": np.array([text.ids for text in encoded], np.int64),
                "attention_mask": np.array([text.attention_mask for text in encoded], np.int64),
            }
            vectors = self._session.run(None, inputs)[0][:, : self.dim]
            batches.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
        return np.concatenate(batches)
