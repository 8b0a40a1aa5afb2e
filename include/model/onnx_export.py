"""The bi-encoder as an ONNX graph: word pieces and mask in, pooled and normalised vectors out; and the reader.

Written node by node rather than through `torch.onnx.export`: the graph is thirty lines of DistilBERT,
the bytes are a function of the weights alone, and it takes a second where both of torch 2.13's
exporters raise deprecation warnings. Only standard operators (opset 20), so that any runtime reads it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# The graph is part of a model: who changes it, or these two, raises the format of MODEL in include/core/kinds.py.
OPSET = 20  # the first with Gelu
IR_VERSION = 9
ACTIVATIONS = {"gelu": "Gelu", "relu": "Relu"}  # DistilBERT's name -> ONNX's
LOWEST = float(np.finfo(np.float32).min)


def write_onnx(weights: Mapping[str, np.ndarray], config: Mapping[str, Any], path: Path) -> None:
    """Write the graph of a DistilBERT bi-encoder.

    Its inputs are `input_ids` and `attention_mask`, (batch, length) int64, its output is
    `sentence_embedding`, (batch, dim) float32: masked mean pooling, L2-normalised.

    Args:
        weights: DistilBertModel's, by name, float32.
        config: DistilBERT's configuration; its activation is one of ACTIVATIONS.
        path: The file; its directory exists.
    """
    from onnx import TensorProto

    graph = _Graph(weights)
    ids, mask = "input_ids", "attention_mask"
    hidden = _transformer(graph, config, ids, mask)
    weight = graph.node("Unsqueeze", graph.node("Cast", mask, to=TensorProto.FLOAT), graph.ints([2]))
    total = graph.node("ReduceSum", graph.node("Mul", hidden, weight), graph.ints([1]), keepdims=0)
    count = graph.node("Max", graph.node("ReduceSum", weight, graph.ints([1]), keepdims=0), graph.number(1.0))
    pooled = graph.node("Div", total, count)
    norm = graph.node("Max", graph.node("ReduceL2", pooled, graph.ints([1])), graph.number(1e-12))
    graph.node("Div", pooled, norm, output="sentence_embedding")

    _write(graph, "distilbert-bi-encoder", (ids, mask), ("sentence_embedding", ["batch", int(config["dim"])]), path)


def write_reader_onnx(weights: Mapping[str, np.ndarray], config: Mapping[str, Any], apart: int, path: Path) -> None:
    """Write the graph of a reader, `include.training.reader_model.ReaderModel`.

    Its inputs are `input_ids`, `positions` and `segments`, (batch, length) int64: the question's word pieces, then
    the passage's, each with positions from 0; segments are 1, 2, and 0 on padding. Its output is `logits`, (batch,).

    Args:
        weights: DistilBertModel's, and the head's as `reader.…`, by name, float32.
        config: DistilBERT's configuration.
        apart: In the first so many layers a text sees itself alone.
        path: The file; its directory exists.
    """
    from onnx import TensorProto

    graph = _Graph(weights)
    ids, positions, segments = "input_ids", "positions", "segments"
    places = graph.node("Gather", graph.weight("embeddings.position_embeddings.weight"), positions)
    words = graph.node("Gather", graph.weight("embeddings.word_embeddings.weight"), ids)
    state = graph.layer_norm("embeddings.LayerNorm", graph.node("Add", words, places))
    seen = graph.node("Cast", segments, to=TensorProto.BOOL)
    alike = graph.node(
        "Equal",
        graph.node("Unsqueeze", segments, graph.ints([1])),
        graph.node("Unsqueeze", segments, graph.ints([2])),
    )
    own = _bias(graph, graph.node("Unsqueeze", alike, graph.ints([1])))  # (batch, 1, length, length)
    for layer in range(apart):
        state = _layer(graph, config, layer, state, own)
    state = graph.node("Add", state, graph.node("Gather", graph.weight("reader.marks"), segments))
    both = _bias(graph, graph.node("Unsqueeze", seen, graph.ints([1, 2])))
    for layer in range(apart, int(config["n_layers"])):
        state = _layer(graph, config, layer, state, both)

    def mean(segment: int) -> str:
        """Of the states of one text, (batch, dim)."""
        within = graph.node("Equal", segments, graph.ints([segment]))
        weight = graph.node("Unsqueeze", graph.node("Cast", within, to=TensorProto.FLOAT), graph.ints([2]))
        total = graph.node("ReduceSum", graph.node("Mul", state, weight), graph.ints([1]), keepdims=0)
        return graph.node("Div", total, graph.node("ReduceSum", weight, graph.ints([1]), keepdims=0))

    means = [mean(1), mean(2)]
    product = graph.node("Mul", *means)
    lengths = [graph.node("ReduceL2", each, graph.ints([1]), keepdims=0) for each in means]
    dot = graph.node("ReduceSum", product, graph.ints([1]), keepdims=0)
    cosine = graph.node("Div", dot, graph.node("Mul", *lengths))
    first = graph.node("Squeeze", graph.node("Gather", state, graph.ints([0]), axis=1), graph.ints([1]))
    read = graph.node("Add", first, graph.node("Mul", product, graph.weight("reader.product")))
    judged = graph.node("Squeeze", graph.linear("reader.head", read), graph.ints([1]))
    graph.node("Add", judged, graph.node("Mul", cosine, graph.weight("reader.scale")), output="logits")
    _write(graph, "distilbert-reader", (ids, positions, segments), ("logits", ["batch"]), path)


def _write(graph: "_Graph", name: str, inputs: Sequence[str], output: tuple[str, list[str | int]], path: Path) -> None:
    from onnx import TensorProto, checker, helper

    def tensor(name: str, kind: int, shape: list[str | int]) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            name,
            [tensor(each, TensorProto.INT64, ["batch", "length"]) for each in inputs],
            [tensor(output[0], TensorProto.FLOAT, output[1])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="vitrine",
    )
    checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


class _Graph:
    """Nodes and constants in the making; a value goes by its name."""

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._weights = weights
        self._known: set[str] = set()

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: np.ndarray) -> str:
        from onnx import numpy_helper

        if name not in self._known:
            self._known.add(name)
            self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def ints(self, values: list[int]) -> str:
        return self.constant("ints_" + "_".join(map(str, values)), np.array(values, np.int64))

    def number(self, value: float) -> str:
        return self.constant(f"number_{value!r}", np.array(value, np.float32))

    def weight(self, name: str) -> str:
        return self.constant(name, self._weights[name])

    def linear(self, name: str, value: str) -> str:
        # torch keeps (out, in); MatMul wants (in, out), and a constant need not be transposed at run time.
        matrix = self.constant(f"{name}.weight", self._weights[f"{name}.weight"].T)
        return self.node("Add", self.node("MatMul", value, matrix), self.weight(f"{name}.bias"))

    def layer_norm(self, name: str, value: str) -> str:
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.node("LayerNormalization", value, scale, bias, axis=-1, epsilon=1e-12)


def _transformer(graph: _Graph, config: Mapping[str, Any], ids: str, mask: str) -> str:
    """Add DistilBertModel's forward pass; returns the last hidden states, (batch, length, dim)."""
    from onnx import TensorProto

    length = graph.node("Shape", ids, start=1, end=2)
    positions = graph.node("Slice", graph.weight("embeddings.position_embeddings.weight"), graph.ints([0]), length)
    words = graph.node("Gather", graph.weight("embeddings.word_embeddings.weight"), ids)
    hidden = graph.layer_norm("embeddings.LayerNorm", graph.node("Add", words, positions))
    seen = graph.node("Unsqueeze", graph.node("Cast", mask, to=TensorProto.BOOL), graph.ints([1, 2]))
    bias = _bias(graph, seen)  # (batch, 1, 1, length)
    for layer in range(int(config["n_layers"])):
        hidden = _layer(graph, config, layer, hidden, bias)
    return hidden


def _bias(graph: _Graph, seen: str) -> str:
    """What attention's scores get added: nothing where a piece is seen, the lowest number elsewhere."""
    return graph.node("Where", seen, graph.number(0.0), graph.number(LOWEST))


def _layer(graph: _Graph, config: Mapping[str, Any], layer: int, hidden: str, bias: str) -> str:
    heads, dim = int(config["n_heads"]), int(config["dim"])
    split, joined = graph.ints([0, 0, heads, dim // heads]), graph.ints([0, 0, dim])
    name = f"transformer.layer.{layer}"

    def part(which: str, order: list[int]) -> str:
        value = graph.linear(f"{name}.attention.{which}", hidden)
        return graph.node("Transpose", graph.node("Reshape", value, split), perm=order)

    scores = graph.node("MatMul", part("q_lin", [0, 2, 1, 3]), part("k_lin", [0, 2, 3, 1]))
    scores = graph.node("Add", graph.node("Mul", scores, graph.number((dim // heads) ** -0.5)), bias)
    mixed = graph.node("MatMul", graph.node("Softmax", scores, axis=-1), part("v_lin", [0, 2, 1, 3]))
    mixed = graph.node("Reshape", graph.node("Transpose", mixed, perm=[0, 2, 1, 3]), joined)
    mixed = graph.linear(f"{name}.attention.out_lin", mixed)
    hidden = graph.layer_norm(f"{name}.sa_layer_norm", graph.node("Add", mixed, hidden))
    inner = graph.node(ACTIVATIONS[config["activation"]], graph.linear(f"{name}.ffn.lin1", hidden))
    outer = graph.linear(f"{name}.ffn.lin2", inner)
    return graph.layer_norm(f"{name}.output_layer_norm", graph.node("Add", outer, hidden))
