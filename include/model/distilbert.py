"""DistilBERT's forward pass, written for speed; equal to transformers' own (tested), with its weights.

Three things cost transformers' pass more than half of its time on a CPU in bfloat16: activations are cast back and
forth between layers, attention with dropout runs in float32, and each dropout draws a random number per element.
Here activations stay in bfloat16 from the first layer to the last (weights are float32, cast once for many
batches; layer norms and softmax add up in float32), the three projections of attention are one product,
attention's own dropout is left out, and eight elements share a draw. V. Sanh et al., 2019, arXiv:1910.01108.

Without gradients, `packed` weights lie as oneDNN's products on a CPU read them, and each product adds its bias, and
what else follows it (GELU, the state before), while its results are still at hand.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from transformers import DistilBertModel

EPSILON = 1e-12  # of DistilBERT's layer norms


@dataclass(frozen=True)
class Affine:
    """Weight and bias of a linear layer or a layer norm."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Layer:
    """One transformer block."""

    projections: Affine  # query, key, value: (3 dim, dim)
    output: Affine
    attention_norm: Affine
    widen: Affine
    narrow: Affine
    norm: Affine


@dataclass(frozen=True)
class Weights:
    """A model's weights as `hidden_states` takes them; part of the graph where gradients are on."""

    words: Tensor
    positions: Tensor
    norm: Affine
    layers: tuple[Layer, ...]
    heads: int
    dropout: float


def cast(model: "DistilBertModel", dtype: torch.dtype) -> Weights:
    """The weights of a model, matrices in `dtype`; dropout is that of its mode.

    Args:
        model: Its weights are float32.
        dtype: What matrix products are computed in.
    """

    def linear(*layers: torch.nn.Linear) -> Affine:
        parts = [(each.weight.to(dtype), each.bias.to(dtype)) for each in layers]
        weights, biases = zip(*parts, strict=True)
        return Affine(torch.cat(weights), torch.cat(biases)) if len(layers) > 1 else Affine(weights[0], biases[0])

    def norm(layer: torch.nn.LayerNorm) -> Affine:
        return Affine(layer.weight, layer.bias)

    embeddings: Any = model.embeddings
    blocks: Any = model.transformer.layer
    layers = tuple(
        Layer(
            linear(block.attention.q_lin, block.attention.k_lin, block.attention.v_lin),
            linear(block.attention.out_lin),
            norm(block.sa_layer_norm),
            linear(block.ffn.lin1),
            linear(block.ffn.lin2),
            norm(block.output_layer_norm),
        )
        for block in blocks
    )
    return Weights(
        embeddings.word_embeddings.weight,
        embeddings.position_embeddings.weight,
        norm(embeddings.LayerNorm),
        layers,
        model.config.n_heads,
        model.config.dropout if model.training else 0.0,
    )


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this processor has `packed` products in `dtype`."""
    if not torch.backends.mkldnn.is_available():
        return False
    return dtype != torch.bfloat16 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def packed(weights: Weights) -> Weights:
    """The same for passes without gradients and dropout on a CPU; see `can_pack`."""

    def pack(layer: Affine) -> Affine:
        return Affine(torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), None), layer.bias.detach())

    layers = tuple(
        replace(
            layer,
            projections=pack(layer.projections),
            output=pack(layer.output),
            widen=pack(layer.widen),
            narrow=pack(layer.narrow),
        )
        for layer in weights.layers
    )
    return replace(weights, layers=layers)


def hidden_states(weights: Weights, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    """The last layer's output.

    Args:
        weights: From `cast`.
        input_ids: (n, length) int64, padded at the end.
        attention_mask: (n, length), 1 on word pieces, 0 on padding.

    Returns:
        (n, length, dim) in the dtype of `weights`' matrices.
    """
    dtype = weights.layers[0].output.bias.dtype
    embedded = functional.embedding(input_ids, weights.words) + weights.positions[: input_ids.shape[1]]
    state = _dropped(_normed(embedded, weights.norm).to(dtype), weights.dropout)
    return through(weights, state, attention_mask)


def through(weights: Weights, state: Tensor, attention_mask: Tensor) -> Tensor:
    """What `weights.layers` make of the states before them.

    Args:
        weights: From `cast`; their layers may be some of the model's.
        state: (n, length, dim) in the dtype of the matrices.
        attention_mask: (n, length), 1 on word pieces, 0 on padding.

    Returns:
        (n, length, dim), in the same dtype.
    """
    rows, length, dim = state.shape
    padding = None
    if state.device.type != "cpu" or not attention_mask.all():  # texts sorted by length often need none
        unpadded = torch.zeros(attention_mask.shape, dtype=state.dtype, device=state.device)
        padding = unpadded.masked_fill(attention_mask == 0, torch.finfo(state.dtype).min).view(rows, 1, 1, length)

    def attend(projected: Tensor) -> Tensor:
        query, key, value = projected.view(rows, length, 3, weights.heads, -1).permute(2, 0, 3, 1, 4)
        return _attention(query, key, value, padding).transpose(1, 2).reshape(rows * length, dim)

    return _layers(weights, state.view(rows * length, dim), attend).view(rows, length, dim)


def unpadded_states(weights: Weights, input_ids: Tensor, offsets: Tensor, longest: int) -> Tensor:
    """The last layer's output for texts one after another, without padding and gradients: for GPUs.

    Args:
        weights: From `cast`.
        input_ids: (tokens,) int64, of all texts.
        offsets: (texts + 1,) int64: text i has `input_ids[offsets[i]:offsets[i + 1]]`.
        longest: Word pieces of the longest text.

    Returns:
        (tokens, dim) in the dtype of the matrices.
    """
    places = torch.arange(len(input_ids), device=offsets.device) - offsets[:-1].repeat_interleave(offsets.diff())
    embedded = functional.embedding(input_ids, weights.words) + weights.positions[places]
    state = _normed(embedded, weights.norm).to(weights.layers[0].output.bias.dtype)

    def attend(projected: Tensor) -> Tensor:
        query, key, value = (
            torch.nested.nested_tensor_from_jagged(each.contiguous(), offsets, min_seqlen=1, max_seqlen=longest)
            for each in projected.view(len(state), 3, weights.heads, -1).unbind(1)
        )
        mixed = functional.scaled_dot_product_attention(
            query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
        )
        return mixed.transpose(1, 2).values().reshape(state.shape)

    return _layers(weights, state, attend)


def _layers(weights: Weights, state: Tensor, attend: Callable[[Tensor], Tensor]) -> Tensor:
    """What the layers make of states (tokens, dim); `attend` mixes their projections, (tokens, 3 dim), to as many."""
    for layer in weights.layers:
        mixed = attend(_linear(state, layer.projections))
        state = _normed(_added(mixed, layer.output, state), layer.attention_norm)
        state = _normed(_added(_widened(state, layer.widen), layer.narrow, state, weights.dropout), layer.norm)
    return state


def _attention(query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None) -> Tensor:
    """Each (n, heads, length, head dim). Written out on a CPU.

    For texts of one or two hundred word pieces, plain products are faster there than the fused kernel, and far faster
    in the backward pass.
    """
    if query.device.type != "cpu":
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=padding)
    scores = torch.matmul(query * query.shape[-1] ** -0.5, key.transpose(-1, -2))
    if padding is not None:
        scores.add_(padding)
    return torch.matmul(torch.softmax(scores, dim=-1), value)


def _widened(values: Tensor, layer: Affine) -> Tensor:
    """A linear layer and GELU."""
    if layer.weight.is_mkldnn:
        return _tensor(_fused()(values, layer.weight, layer.bias, "gelu", [], "none"))
    return functional.gelu(_linear(values, layer))


def _added(values: Tensor, layer: Affine, state: Tensor, dropout: float = 0.0) -> Tensor:
    """A linear layer, dropout, and the state before it."""
    if layer.weight.is_mkldnn:
        return _tensor(_fused().binary(values, state, layer.weight, layer.bias, "add"))
    return _dropped(_linear(values, layer), dropout).add_(state)


def _linear(values: Tensor, layer: Affine) -> Tensor:
    if layer.weight.is_mkldnn:
        return _tensor(_fused()(values, layer.weight, layer.bias, "none", [], ""))
    if values.device.type != "cpu":
        return functional.linear(values, layer.weight, layer.bias)
    return torch.mm(values, layer.weight.t()).add_(layer.bias)  # faster than with the bias in the product


def _fused() -> Any:
    return torch.ops.mkldnn._linear_pointwise  # what torch.compile makes of such products; needs no compiler itself


def _tensor(made: Any) -> Tensor:
    return made  # type: ignore[no-any-return]


def _normed(values: Tensor, norm: Affine) -> Tensor:
    weight, bias = norm.weight, norm.bias
    if values.device.type != "cpu":  # only the CPU's kernel takes float32 weights with bfloat16 values
        weight, bias = weight.to(values.dtype), bias.to(values.dtype)
    return functional.layer_norm(values, values.shape[-1:], weight, bias, EPSILON)


def _dropped(values: Tensor, share: float) -> Tensor:
    """Dropout; on a CPU in steps of 1/256, eight elements to a draw."""
    if not share:
        return values
    if values.device.type != "cpu":
        return functional.dropout(values, share)
    limit = round(256 * share)
    draws = torch.empty((values.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    kept = draws.view(torch.uint8)[: values.numel()].view(values.shape) >= limit
    return values * kept.to(values.dtype).mul_(256 / (256 - limit))
