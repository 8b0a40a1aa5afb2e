"""The bi-encoder: DistilBERT, masked mean pooling, L2 normalisation.

A text's vector is the mean of the last hidden states of its own word pieces: padding is masked out,
so a text has the same vector alone and in a batch with longer ones (Reimers and Gurevych,
Sentence-BERT, 2019, arXiv 1908.10084).
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from include.core.errors import BadModel, BadSettings
from include.core.progress import Progress, Sink
from include.model.directory import (
    WEIGHTS,
    check_distilbert,
    encodable,
    load_tokenizer,
    read_weights,
    require_dimensions,
    stored_max_tokens,
)
from include.model.query_encoder import ONNX_FILE
from include.model.query_graph import write_query_graph

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import DistilBertModel

    from include.model.distilbert import Weights

# Read by OpenMP when torch is first imported. Threads that spin while they wait for one another lose three quarters of
# the speed as soon as anything else (Airflow's own processes) wants the same cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

TOKENIZE_AT_ONCE = 4096  # texts: bounds the memory of tokenizers' own objects
SPECIAL_TOKENS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
# The sentence-transformers modules, by the names that every version since 2 reads.
MODULES = [("0", "", "Transformer"), ("1", "1_Pooling", "Pooling"), ("2", "2_Normalize", "Normalize")]


class Encoder:
    """A DistilBERT bi-encoder on one device.

    Attributes:
        model: The DistilBertModel, weights in float32.
        tokenizer: Of the tokenizers library; cuts at `max_tokens`, does not pad.
        dim: Length of a vector; less than the model's own where only the first dimensions are kept.
        max_tokens: Longer texts are cut, in word pieces, CLS and SEP included.
        device: Where the model is.
        precision: "bfloat16" or "float32": what matrix products are computed in.
        precisions: Those among which `encode` may choose, where `measured` says that it may.
        measured: The data directory where the fastest way to encode is measured and remembered, see
            `include.model.pace`; None for the usual way.
    """

    def __init__(
        self,
        model: "DistilBertModel",
        tokenizer: "Tokenizer",
        *,
        max_tokens: int,
        device: "torch.device",
        precision: str,
        config: dict[str, Any],
        dimensions: int = 0,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.device = device
        self.precision = precision
        self.dim: int = dimensions or model.config.dim
        self.precisions = [precision]
        self.measured: Path | None = None
        self._config = config

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        max_tokens: int | None = None,
        device: str = "auto",
        precision: str = "auto",
        dimensions: int = 0,
        measured: Path | None = None,
    ) -> "Encoder":
        """Load a base model's directory or a saved bi-encoder.

        Args:
            path: Holds config.json, model.safetensors, tokenizer.json.
            max_tokens: Where to cut texts; None for what the directory says.
            device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1" …
            precision: "auto" (bfloat16 where the device computes in it), "bfloat16", "float32".
            dimensions: Of each vector the first so many are kept; 0 for all.
            measured: See the attribute.

        Raises:
            BadModel: The directory does not hold an intact DistilBERT.
            BadSettings: `max_tokens`, `precision` or `dimensions` is out of range.
        """
        import torch
        from transformers import DistilBertConfig, DistilBertModel

        from include.model.distilbert import can_pack

        config = check_distilbert(path)
        require_dimensions(dimensions, int(config["dim"]))
        limit = int(config["max_position_embeddings"])
        length = stored_max_tokens(path) if max_tokens is None else max_tokens
        if not 3 <= length <= limit:
            raise BadSettings(
                f"max_tokens is {length}; the model in {path} takes 3 to {limit}.", "Choose one of those."
            )
        place = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
        tokenizer = load_tokenizer(path, length)
        if absent := [token for token in SPECIAL_TOKENS.values() if tokenizer.token_to_id(token) is None]:
            raise BadModel(f"{path}/tokenizer.json lacks {', '.join(absent)}.", "Use DistilBERT's own tokenizer.")
        if (size := tokenizer.get_vocab_size()) > config["vocab_size"]:
            raise BadModel(
                f"{path}/tokenizer.json has {size} word pieces, the model only {config['vocab_size']}.",
                "Use the tokenizer that the model was trained with.",
            )
        model = DistilBertModel(DistilBertConfig.from_dict(config, attn_implementation="sdpa"))
        model.load_state_dict(read_weights(path / WEIGHTS, model.state_dict()))
        model.train(False).to(place)
        encoder = cls(
            model,
            tokenizer,
            max_tokens=length,
            device=place,
            precision=resolve_precision(precision, place),
            config=config,
            dimensions=dimensions,
        )
        encoder.measured = measured
        if precision == "auto" and place.type == "cpu" and can_pack(torch.bfloat16):
            encoder.precisions = ["bfloat16", "float32"]
        return encoder

    @property
    def shape(self) -> dict[str, int]:
        """What of the model decides how long a pass takes."""
        numbers = {name: int(self._config[name]) for name in ("dim", "hidden_dim", "n_layers", "n_heads")}
        return {**numbers, "max_tokens": self.max_tokens}

    def tokenize(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Word pieces of each text: int32 ids with CLS and SEP, at most `max_tokens`."""
        return [
            np.array(encoded.ids, np.int32)
            for start in range(0, len(texts), TOKENIZE_AT_ONCE)
            for encoded in self.tokenizer.encode_batch_fast(encodable(texts[start : start + TOKENIZE_AT_ONCE]))
        ]

    def weights(self) -> "Weights":
        """The model's weights as matrix products take them: cast once, for all batches of a pass."""
        import torch

        from include.model.distilbert import cast

        return cast(self.model, torch.bfloat16 if self.precision == "bfloat16" else torch.float32)

    def forward(
        self, input_ids: "torch.Tensor", attention_mask: "torch.Tensor", weights: "Weights | None" = None
    ) -> "torch.Tensor":
        """Vectors of a padded batch, differentiable.

        Args:
            input_ids: (n, length) int64, padded at the end.
            attention_mask: (n, length), 1 on word pieces, 0 on padding.
            weights: From `weights()`, where several batches share a pass.

        Returns:
            (n, dim) float32, L2-normalised.
        """
        import torch

        from include.model.distilbert import hidden_states

        hidden = hidden_states(weights or self.weights(), input_ids, attention_mask)
        mask = attention_mask.unsqueeze(-1).float()
        pooled = (hidden.float() * mask).sum(1) / mask.sum(1).clamp(min=1)
        return torch.nn.functional.normalize(pooled[:, : self.dim], dim=-1)

    def encode(
        self, texts: Sequence[str], *, batch_tokens: int = 0, sink: Sink | None = None, stage: str = "embed"
    ) -> np.ndarray:
        """Vectors of `texts`, in their order: (n, dim) float32, L2-normalised.

        Texts of like length share a batch, so little is spent on padding.

        Args:
            texts: Any number; memory holds their word pieces and their vectors.
            batch_tokens, sink, stage: See `encode_ids`.
        """
        return self.encode_ids(self.tokenize(texts), batch_tokens=batch_tokens, sink=sink, stage=stage)

    def encode_ids(
        self, ids: Sequence[np.ndarray], *, batch_tokens: int = 0, sink: Sink | None = None, stage: str = "embed"
    ) -> np.ndarray:
        """`encode` for texts that are word pieces already, with CLS and SEP.

        Args:
            ids: Word pieces of each text.
            batch_tokens: Most word pieces in a batch, padding included; 0 for what is fastest here.
            sink: Receives progress, counted in word pieces.
            stage: The name that progress goes by.
        """
        from include.model.pace import Pace
        from include.model.passes import encoded, fast_weights, length_batches, pace_for

        vectors = np.empty((len(ids), self.dim), np.float32)
        lengths = [len(row) for row in ids]
        pace = Pace(self.precision, 1, batch_tokens) if batch_tokens else pace_for(self, ids)
        batches = list(length_batches(lengths, pace.batch_tokens))
        with Progress(stage, sum(lengths), unit="tokens", sink=sink) as progress:
            made = encoded(self, ids, batches, pace.streams, fast_weights(self, pace.precision))
            for batch, found in zip(batches, made, strict=True):
                vectors[batch] = found
                progress.advance(sum(lengths[row] for row in batch))
        return vectors

    def pad(self, ids: Sequence[np.ndarray]) -> tuple["torch.Tensor", "torch.Tensor"]:
        """A batch on the model's device: `input_ids` and `attention_mask`, each (n, longest) int64."""
        import torch

        shape = (len(ids), max(len(row) for row in ids))
        padded = np.zeros(shape, np.int64)
        mask = np.zeros(shape, np.int64)
        for number, row in enumerate(ids):
            padded[number, : len(row)] = row
            mask[number, : len(row)] = 1
        return torch.from_numpy(padded).to(self.device), torch.from_numpy(mask).to(self.device)

    def save(self, path: Path, *, graph: bool = True) -> None:
        """Write the bi-encoder in the layout of sentence-transformers, and its ONNX copy for questions.

        `SentenceTransformer(str(path))`, `Encoder.load(path)` and `QueryEncoder(path)` read it. Equal
        weights give equal bytes.

        Args:
            path: A directory; made if there is none.
            graph: Whether to write the ONNX copy.
        """
        from safetensors.numpy import save
        from tokenizers import Tokenizer

        for folder in ("1_Pooling", "2_Normalize", "onnx"):
            (path / folder).mkdir(parents=True, exist_ok=True)
        weights = {name: value.detach().float().cpu().numpy() for name, value in self.model.state_dict().items()}
        (path / WEIGHTS).write_bytes(save(weights, metadata={"format": "pt"}))
        if graph:
            first, last = self.tokenizer.encode("").ids
            write_query_graph(weights, self._config, (first, last), path / ONNX_FILE)

        tokenizer = Tokenizer.from_str(self.tokenizer.to_str())
        tokenizer.no_padding()
        tokenizer.no_truncation()
        (path / "tokenizer.json").write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
        files: dict[str, object] = {
            "config.json": self._config | {"architectures": ["DistilBertModel"], "dtype": "float32"},
            "tokenizer_config.json": {
                **SPECIAL_TOKENS,
                # Reads tokenizer.json as it is, instead of building a tokenizer anew from the vocabulary.
                "tokenizer_class": "PreTrainedTokenizerFast",
                "model_input_names": ["input_ids", "attention_mask"],
                "model_max_length": self.max_tokens,
            },
            "sentence_bert_config.json": {"max_seq_length": self.max_tokens, "do_lower_case": False},
            "config_sentence_transformers.json": {
                "prompts": {"query": "", "document": ""},
                "default_prompt_name": None,
                "similarity_fn_name": "cosine",
            },
            "modules.json": [
                {"idx": number, "name": name, "path": folder, "type": f"sentence_transformers.models.{kind}"}
                for number, (name, folder, kind) in enumerate(MODULES)
            ],
            "1_Pooling/config.json": {
                "word_embedding_dimension": self.model.config.dim,
                "pooling_mode_mean_tokens": True,
            },
            "2_Normalize/config.json": {},
        }
        for name, content in files.items():
            (path / name).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def resolve_precision(precision: str, device: "torch.device") -> str:
    """What "auto" means on a device: bfloat16 where its matrix units compute in it, else float32.

    Raises:
        BadSettings: Neither "auto", "bfloat16" nor "float32".
    """
    import torch

    if precision not in ("auto", "bfloat16", "float32"):
        raise BadSettings(f"precision is {precision!r}.", "Choose auto, bfloat16 or float32.")
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    capabilities = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return "bfloat16" if capabilities.get("amx_bf16") or capabilities.get("avx512_bf16") else "float32"
