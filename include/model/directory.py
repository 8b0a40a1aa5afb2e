"""A model's directory in the Hugging Face layout: what its configuration says, its weights, and its tokenizer."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.core.errors import BadModel, BadSettings
from include.core.settings import DISTILBERT, MINILM_PACKAGE
from include.model.onnx_export import ACTIVATIONS

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

WEIGHTS = "model.safetensors"
MULTILINGUAL_PIECES = 60_000  # models of one language have 20,000 to 52,000 word pieces
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


def reads_many_languages(model: Path) -> bool:
    """Whether a model's vocabulary is one of many languages: multilingual ones have 100,000 word pieces and more.

    Raises:
        BadModel: `config.json` is missing or damaged.
    """
    return int(read_json(model / "config.json").get("vocab_size", 0)) >= MULTILINGUAL_PIECES


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


def read_config(path: Path) -> dict[str, Any]:
    """The model configuration in a directory.

    Raises:
        BadModel: There is none, or it is not a JSON object.
    """
    next_step = "Name a directory in the Hugging Face layout: config.json, model.safetensors, tokenizer.json."
    if not (path / "config.json").exists():
        raise BadModel(f"{path} is not a model directory: it has no config.json.", next_step)
    return read_json(path / "config.json", next_step)


def check_distilbert(path: Path) -> dict[str, Any]:
    """The configuration of the DistilBERT in a directory, once it is sure that it is one.

    Raises:
        BadModel: Another kind of model, or weights or tokenizer missing.
    """
    config = read_config(path)
    if (kind := config.get("model_type")) != "distilbert":
        raise BadModel(
            f"{path} holds a model of type {kind!r}; Vitrine's encoder is a DistilBERT.",
            f"Use a DistilBERT such as `{DISTILBERT}`, or `{MINILM_PACKAGE}`.",
        )
    if (activation := str(config.get("activation"))) not in ACTIVATIONS:
        raise BadModel(f"{path} has the activation {activation!r}.", f"Known are: {', '.join(ACTIVATIONS)}.")
    if not (path / WEIGHTS).is_file():
        names = ", ".join(sorted(entry.name for entry in path.iterdir())) or "nothing"
        raise BadModel(
            f"{path} has no {WEIGHTS}, it has: {names}.",
            "Save the weights as safetensors (save_pretrained does that); a pickle is not opened, it can run code.",
        )
    if not (path / "tokenizer.json").is_file():
        raise BadModel(
            f"{path} has no tokenizer.json.",
            "Save the tokenizer there: transformers.AutoTokenizer.from_pretrained(...).save_pretrained(directory).",
        )
    return config


def read_weights(file: Path, expected: "dict[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """The weights of a DistilBertModel, also out of one with a head (the hub's has the masked-word head).

    Raises:
        BadModel: The file is damaged, or a weight is missing, has another shape, or is not finite.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    next_step = "Use a complete, undamaged DistilBERT: download or save it again."
    try:
        read = {
            # Weights converted from TensorFlow call a layer norm's parameters gamma and beta.
            re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name)).removeprefix("distilbert."): value
            for name, value in load_file(file).items()
        }
    except SafetensorError as error:
        raise BadModel(f"{file} is not a safetensors file, or damaged ({error}).", next_step) from error
    if missing := sorted(set(expected) - set(read)):
        raise BadModel(f"{file} lacks {len(missing)} of DistilBERT's weights, first {missing[0]}.", next_step)
    for name, like in expected.items():
        if (shape := tuple(read[name].shape)) != tuple(like.shape):
            raise BadModel(f"{file}: {name} is {shape}, config.json says {tuple(like.shape)}.", next_step)
    weights = {name: read[name] for name in expected}
    require_finite(weights, str(file), next_step)
    return weights


def require_finite(weights: "Mapping[str, torch.Tensor]", where: str, next_step: str) -> None:
    """Check that no weight is NaN or infinite: such a model gives vectors that are equal to nothing.

    Raises:
        BadModel: One is; the message counts them in the first such tensor.
    """
    for name, values in weights.items():
        if bad := int((~values.isfinite()).sum()):
            raise BadModel(f"{where}: {bad:,} of {values.numel():,} weights of {name} are NaN or infinite.", next_step)


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
    except OSError as error:
        raise BadModel(f"{file} cannot be read ({error.strerror or error}).", next_step) from error
    except (ValueError, RecursionError) as error:
        raise BadModel(f"{file} is not JSON ({error}).", next_step) from error
    if not isinstance(content, dict):
        raise BadModel(f"{file} should hold a JSON object, it holds a {type(content).__name__}.", next_step)
    return content
