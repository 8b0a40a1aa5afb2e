"""A model's directory in the Hugging Face layout: what its configuration says, and its tokenizer."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.core.errors import BadModel, BadSettings

if TYPE_CHECKING:
    from tokenizers import Tokenizer

REBUILD = "Run fine_tune again (clear the task): it writes the model's directory anew."


def model_dim(model: Path) -> int:
    """Dimension of a model's vectors, from its `config.json`.

    Raises:
        BadModel: The file is missing or does not say.
    """
    config = model / "config.json"
    next_step = "Clear fine_tune to make the model again, or check the base_model setting."
    dim = read_json(config, next_step).get("dim")
    if not isinstance(dim, int) or dim < 1:
        raise BadModel(f"{config} has dim = {dim!r}, expected the dimension of a DistilBERT's vectors.", next_step)
    return dim


def kept_dimensions(model: Path, dimensions: int) -> int:
    """How long an index's vectors are: `dimensions`, or as long as the model's where that is 0.

    Raises:
        BadModel: See `model_dim`.
        BadSettings: The model's are shorter.
    """
    whole = model_dim(model)
    require_dimensions(dimensions, whole)
    return dimensions or whole


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
    limit = _length(path, "config.json", "max_position_embeddings")
    for name, key in (("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")):
        if (path / name).is_file() and isinstance(read_json(path / name).get(key), int):
            return min(_length(path, name, key), limit)
    return limit


def _length(path: Path, name: str, key: str) -> int:
    """A number of word pieces that is large enough for CLS, SEP and one more."""
    length = read_json(path / name).get(key)
    if not isinstance(length, int) or length < 3:
        raise BadModel(f"{path}/{name} has {key} = {length!r}, expected a whole number above 2.", REBUILD)
    return length


def encodable(texts: Sequence[str]) -> list[str]:
    """`texts` with lone surrogates, which have no UTF-8 and which tokenizers refuses, made question marks."""
    return [text if text.isascii() else text.encode("utf-8", "replace").decode() for text in texts]


def read_json(file: Path, next_step: str = REBUILD) -> dict[str, Any]:
    """The JSON object in a file of a model directory.

    Raises:
        BadModel: There is none; `next_step` is what to do about it.
    """
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise BadModel(f"{file} is missing.", next_step) from None
    except (ValueError, RecursionError) as error:
        raise BadModel(f"{file} is not JSON ({error}).", next_step) from error
    if not isinstance(content, dict):
        raise BadModel(f"{file} should hold a JSON object, it holds a {type(content).__name__}.", next_step)
    return content
