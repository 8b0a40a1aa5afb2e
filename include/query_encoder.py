"""The bi-encoder for questions: ONNX Runtime and tokenizers alone, so that a process answers within a second.

Gives the same vectors as `include.encoder`, from the `onnx/model.onnx` that it saved, without torch
and transformers, which take six seconds to import.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from include.errors import BadModel, BadSettings

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ONNX_FILE = "onnx/model.onnx"
BATCH = 32  # texts that go through the model at once
REBUILD = "Run fine_tune again (clear the task): it writes the model's directory anew."


class QueryEncoder:
    """Turns a few short texts into vectors, on the CPU.

    Args:
        path: A directory that `include.encoder.Encoder.save` wrote.
        threads: Of ONNX Runtime, within one operator. A question is short: more than two do not help.
        dimensions: Of each vector the first so many are kept, as in the index; 0 for all.

    Attributes:
        dim: Length of a vector.
        max_tokens: Longer texts are cut, in word pieces, CLS and SEP included.

    Raises:
        BadModel: The ONNX copy or the tokenizer is missing or damaged.
        BadSettings: The model's vectors have fewer dimensions.
    """

    def __init__(self, path: Path, *, threads: int = 2, dimensions: int = 0) -> None:
        import onnxruntime

        self.max_tokens = stored_max_tokens(path)
        self.tokenizer = load_tokenizer(path, self.max_tokens)
        self.tokenizer.enable_padding()
        file = path / ONNX_FILE
        if not file.is_file():
            raise BadModel(f"{file} is missing: {path} cannot encode questions.", REBUILD)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
            whole = int(self._session.get_outputs()[0].shape[-1])
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise BadModel(f"{file} cannot be loaded ({type(error).__name__}: {error}).", REBUILD) from error
        require_dimensions(dimensions, whole)
        self.dim = dimensions or whole

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of `texts`: (n, dim) float32, L2-normalised, in their order."""
        made = [np.empty((0, self.dim), np.float32)]
        for start in range(0, len(texts), BATCH):
            encoded = self.tokenizer.encode_batch_fast(printable(texts[start : start + BATCH]))
            inputs = {
                "input_ids": np.array([text.ids for text in encoded], np.int64),
                "attention_mask": np.array([text.attention_mask for text in encoded], np.int64),
            }
            vectors = self._session.run(None, inputs)[0][:, : self.dim]
            made.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
        return np.concatenate(made)


def require_dimensions(kept: int, whole: int) -> None:
    """Check that vectors of `whole` dimensions have the first `kept`.

    Raises:
        BadSettings: They have not.
    """
    if kept > whole:
        raise BadSettings(
            f"dimensions is {kept}; the model's vectors have {whole}.", f"Choose 1 to {whole}, or 0 for all of them."
        )


def load_tokenizer(path: Path, max_tokens: int) -> "Tokenizer":
    """The word-piece tokenizer of a model directory, cutting at `max_tokens`, without padding.

    Raises:
        BadModel: tokenizer.json is missing or damaged.
    """
    from tokenizers import Tokenizer

    file = path / "tokenizer.json"
    if not file.is_file():
        raise BadModel(f"{file} is missing.", REBUILD)
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises plain Exception
        raise BadModel(f"{file} cannot be loaded ({error}).", REBUILD) from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def stored_max_tokens(path: Path) -> int:
    """How many word pieces of a text the model in `path` was made to see, CLS and SEP included.

    Raises:
        BadModel: A configuration file is missing or damaged.
    """
    limit = _read_json(path / "config.json").get("max_position_embeddings")
    if not isinstance(limit, int) or limit < 3:
        raise BadModel(f"{path}/config.json has max_position_embeddings = {limit!r}, expected a whole number.", REBUILD)
    for name, key in (("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")):
        if (path / name).is_file() and isinstance(length := _read_json(path / name).get(key), int):
            return min(length, limit)
    return limit


def printable(texts: Sequence[str]) -> list[str]:
    """`texts` with lone surrogates, which have no UTF-8 and which tokenizers refuses, made question marks."""
    return [text if text.isascii() else text.encode("utf-8", "replace").decode() for text in texts]


def _read_json(file: Path) -> dict[str, object]:
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise BadModel(f"{file} is missing.", REBUILD) from None
    except ValueError as error:
        raise BadModel(f"{file} is not JSON ({error}).", REBUILD) from error
    if not isinstance(content, dict):
        raise BadModel(f"{file} should hold a JSON object, it holds a {type(content).__name__}.", REBUILD)
    return content
