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
    try:
        return int(json.loads(config.read_bytes())["dim"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadModel(
            f"{config} does not give the model's dimension as `dim` ({error!r}); a DistilBERT model was expected.",
            "Clear fine_tune to make the model again, or check the base_model setting.",
        ) from error


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
    limit = read_json(path / "config.json").get("max_position_embeddings")
    if not isinstance(limit, int) or limit < 3:
        raise BadModel(f"{path}/config.json has max_position_embeddings = {limit!r}, expected a whole number.", REBUILD)
    for name, key in (("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")):
        if (path / name).is_file() and isinstance(length := read_json(path / name).get(key), int):
            return min(length, limit)
    return limit


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
    except ValueError as error:
        raise BadModel(f"{file} is not JSON ({error}).", next_step) from error
    if not isinstance(content, dict):
        raise BadModel(f"{file} should hold a JSON object, it holds a {type(content).__name__}.", next_step)
    return content
