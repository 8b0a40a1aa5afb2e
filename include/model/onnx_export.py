"""The bi-encoder as an ONNX graph: word pieces and mask in, pooled and normalised vectors out; and the reader.

Written node by node rather than through `torch.onnx.export`: the graph is thirty lines of DistilBERT,
the bytes are a function of the weights alone, and it takes a second where both of torch 2.13's
exporters raise deprecation warnings. Only standard operators (opset 20), so that any runtime reads it.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# The graph is part of a model: who changes what it computes, rounding apart, or these two, raises the format of MODEL
# in include/core/kinds.py.
OPSET = 20  # the first with Gelu
IR_VERSION = 9
ACTIVATIONS = {"gelu": "Gelu", "relu": "Relu"}  # DistilBERT's name -> ONNX's
LARGEST = 63  # of 8-bit weights: with twice that, processors without VNNI overflow
MIDDLE = 128  # zero as an unsigned 8-bit value; processors multiply these faster by such weights than signed ones
LOWEST = float(np.finfo(np.float32).min)


def write_onnx(
    weights: Mapping[str, np.ndarray], config: Mapping[str, Any], path: Path, *, integers: bool = False
) -> None:
    """Write the graph of a DistilBERT bi-encoder.

    Its inputs are `input_ids` and `attention_mask`, (batch, length) int64, its output is
    `sentence_embedding`, (batch, dim) float32: masked mean pooling, L2-normalised.

    Args:
        weights: DistilBertModel's, by name, float32.
        config: DistilBERT's configuration; its activation is one of ACTIVATIONS.
        path: The file; its directory exists.
        integers: Whether the layers multiply 8-bit integers. Each word piece is rounded by itself, so that a text has
            one vector whatever it is encoded with.
    """
    from onnx import TensorProto

    graph = (_RoundedPieces if integers else _Graph)(weights)
    ids, mask = "input_ids", "attention_mask"
    hidden = _embedded(graph, ids)
    hidden = _layers(graph, config, range(int(config["n_layers"])), hidden, _bias(graph, _seen(graph, mask)))
    weight = graph.node("Unsqueeze", graph.node("Cast", mask, to=TensorProto.FLOAT), graph.ints([2]))
    total = graph.node("ReduceSum", graph.node("Mul", hidden, weight), graph.ints([1]), keepdims=0)
    count = graph.node("Max", graph.node("ReduceSum", weight, graph.ints([1]), keepdims=0), graph.number(1.0))
    pooled = graph.node("Div", total, count)
    norm = graph.node("Max", graph.node("ReduceL2", pooled, graph.ints([1])), graph.number(1e-12))
    graph.node("Div", pooled, norm, output="sentence_embedding")

    shape = ["batch", "length"]
    _write(
        graph,
        "distilbert-bi-encoder",
        {ids: shape, mask: shape},
        ("sentence_embedding", ["batch", int(config["dim"])]),
        path,
    )


def write_reader_onnx(
    weights: Mapping[str, np.ndarray], config: Mapping[str, Any], apart: int, path: Path, *, integers: bool = False
) -> None:
    """Write the graph of a reader, `include.training.reader_model.ReaderModel`.

    Its inputs are the word pieces of one question, `question`, (1, length), and those of `passages` with their `mask`,
    (batch, length); all int64. Its output is `logits`, (batch,). What reads the question alone is computed once.

    Args:
        weights: DistilBertModel's, and the head's as `reader.…`, by name, float32.
        config: DistilBERT's configuration.
        apart: In the first so many layers a text sees itself alone.
        path: The file; its directory exists.
        integers: Whether the layers multiply 8-bit integers.
    """
    from onnx import TensorProto

    graph = (_Rounded if integers else _Graph)(weights)
    question, passages, mask = "question", "passages", "mask"
    first, last = range(apart), range(apart, int(config["n_layers"]))
    asked = _layers(graph, config, first, _embedded(graph, question))
    read = _layers(graph, config, first, _embedded(graph, passages), _bias(graph, _seen(graph, mask)))
    asked, read = (
        graph.node("Add", state, graph.node("Gather", graph.weight("reader.marks"), graph.ints([mark])))
        for mark, state in ((1, asked), (2, read))
    )
    rows = graph.node("Shape", passages, start=0, end=1)
    asked = graph.node("Expand", asked, graph.node("Concat", rows, graph.ints([1]), graph.ints([1]), axis=0))
    asked_length, read_length = (graph.node("Shape", each, start=1, end=2) for each in (question, passages))
    before = graph.node("Concat", graph.ints([0]), asked_length, graph.ints([0]), graph.ints([0]), axis=0)
    both = graph.node("Pad", mask, before, graph.constant("seen", np.array(1, np.int64)))
    state = graph.node("Concat", asked, read, axis=1)
    state = _layers(graph, config, last, state, _bias(graph, _seen(graph, both)))
    asked, read = graph.halves(state, graph.node("Concat", asked_length, read_length, axis=0))

    weight = graph.node("Unsqueeze", graph.node("Cast", mask, to=TensorProto.FLOAT), graph.ints([2]))
    total = graph.node("ReduceSum", graph.node("Mul", read, weight), graph.ints([1]), keepdims=0)
    count = graph.node("ReduceSum", weight, graph.ints([1]), keepdims=0)
    means = [graph.node("ReduceMean", asked, graph.ints([1]), keepdims=0), graph.node("Div", total, count)]
    product = graph.node("Mul", *means)
    lengths = [graph.node("ReduceL2", each, graph.ints([1]), keepdims=0) for each in means]
    dot = graph.node("ReduceSum", product, graph.ints([1]), keepdims=0)
    cosine = graph.node("Div", dot, graph.node("Mul", *lengths))
    start = graph.node("Squeeze", graph.node("Gather", asked, graph.ints([0]), axis=1), graph.ints([1]))
    judged = graph.node("Add", start, graph.node("Mul", product, graph.weight("reader.product")))
    judged = graph.node("Squeeze", graph.float_linear("reader.head", judged), graph.ints([1]))
    met = graph.node("Mul", _met(graph, asked, read, mask), graph.weight("reader.late"))
    judged = graph.node("Add", judged, met)
    graph.node("Add", judged, graph.node("Mul", cosine, graph.weight("reader.scale")), output="logits")
    shape = ["batch", "length"]
    inputs: dict[str, Sequence[str | int]] = {question: [1, "question length"], passages: shape, mask: shape}
    _write(graph, "distilbert-reader", inputs, ("logits", ["batch"]), path)


def _met(graph: "_Graph", asked: str, read: str, mask: str) -> str:
    """How well the question's word pieces are met by the passage's nearest, (batch,); without CLS and SEP of both."""
    from onnx import TensorProto

    end = graph.ints([np.iinfo(np.int64).max])
    inner = graph.node("Slice", mask, graph.ints([2]), end, graph.ints([1]))
    inner = graph.node("Cast", graph.node("Pad", inner, graph.ints([0, 1, 0, 1])), to=TensorProto.BOOL)
    asked = graph.node("Slice", asked, graph.ints([1]), graph.ints([-1]), graph.ints([1]))
    units = [graph.node("Div", each, graph.node("ReduceL2", each, graph.ints([2]))) for each in (asked, read)]
    alike = graph.node("MatMul", units[0], graph.node("Transpose", units[1], perm=[0, 2, 1]))
    seen = graph.node("Unsqueeze", inner, graph.ints([1]))
    nearest = graph.node("ReduceMax", graph.node("Where", seen, alike, graph.number(-1.0)), graph.ints([2]), keepdims=0)
    pick = graph.constant("reader.pick.weight", graph.weights["reader.pick.weight"].T)
    weight = graph.node("Softmax", graph.node("Squeeze", graph.node("MatMul", asked, pick), graph.ints([2])), axis=1)
    return graph.node("ReduceSum", graph.node("Mul", weight, nearest), graph.ints([1]), keepdims=0)


def _write(
    graph: "_Graph",
    name: str,
    inputs: Mapping[str, Sequence[str | int]],
    output: tuple[str, Sequence[str | int]],
    path: Path,
) -> None:
    from onnx import TensorProto, checker, helper

    def tensor(name: str, kind: int, shape: Sequence[str | int]) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            name,
            [tensor(each, TensorProto.INT64, shape) for each, shape in inputs.items()],
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
        self.weights = weights
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
        return self.constant(name, self.weights[name])

    def halves(self, value: str, lengths: str) -> tuple[str, str]:
        """The parts of a value along its second axis."""
        first, second = self.several("Split", 2, value, lengths, axis=1)
        return first, second

    def linear(self, name: str, value: str) -> str:
        return self.float_linear(name, value)

    def float_linear(self, name: str, value: str) -> str:
        # torch keeps (out, in); MatMul wants (in, out), and a constant need not be transposed at run time.
        matrix = self.constant(f"{name}.weight", self.weights[f"{name}.weight"].T)
        return self.node("Add", self.node("MatMul", value, matrix), self.weight(f"{name}.bias"))

    def several(self, kind: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """A node of several outputs."""
        from onnx import helper

        name = f"{kind}_{len(self.nodes)}"
        found = [f"{name}_{number}" for number in range(count)]
        self.nodes.append(helper.make_node(kind, inputs, found, name=name, **attributes))
        return found

    def layer_norm(self, name: str, value: str) -> str:
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.node("LayerNormalization", value, scale, bias, axis=-1, epsilon=1e-12)


class _Rounded(_Graph):
    """A graph whose linear layers multiply 8-bit integers: weights with a scale for each output, values with one."""

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        super().__init__(weights)
        self._values: dict[str, tuple[str, str, str]] = {}

    def linear(self, name: str, value: str) -> str:
        from onnx import TensorProto

        matrix = self.weights[f"{name}.weight"].T
        if value not in self._values:
            self._values[value] = self.rounded(value, len(matrix))  # once for three products
        values, scale, zero = self._values[value]
        scales = np.maximum(np.abs(matrix).max(0), 1e-12) / LARGEST
        whole = self.constant(f"{name}.weight", np.rint(matrix / scales).astype(np.int8))
        product = self.node("Cast", self.node("MatMulInteger", values, whole, zero), to=TensorProto.FLOAT)
        product = self.scaled(product, scale, self.constant(f"{name}.scale", scales.astype(np.float32)))
        return self.node("Add", product, self.weight(f"{name}.bias"))

    def rounded(self, value: str, width: int) -> tuple[str, str, str]:
        """The values of states (batch, length, width), their scale and their zero."""
        values, scale, zero = self.several("DynamicQuantizeLinear", 3, value)
        return values, scale, zero

    def scaled(self, product: str, scale: str, scales: str) -> str:
        """A product of integers in the measure of what was multiplied; ONNX Runtime does all of it at once."""
        return self.node("Mul", product, self.node("Mul", scale, scales))


class _RoundedPieces(_Rounded):
    """The same with a scale for the values of each word piece."""

    def rounded(self, value: str, width: int) -> tuple[str, str, str]:
        largest = self.node("ReduceMax", self.node("Abs", value), self.ints([-1]))
        scale = self.node("Max", self.node("Mul", largest, self.number(1 / 127)), self.number(1e-12))
        pieces, each = self.node("Reshape", value, self.ints([-1, width])), self.node("Reshape", scale, self.ints([-1]))
        zero = self.constant("zero", np.array(MIDDLE, np.uint8))
        zeros = self.node("Expand", zero, self.node("Shape", each))
        values = self.node("QuantizeLinear", pieces, each, zeros, axis=0)
        return self.node("Reshape", values, self.node("Shape", value)), scale, zero

    def scaled(self, product: str, scale: str, scales: str) -> str:
        # Not by the product of both: ONNX Runtime 1.32 would take the first piece's scale for all.
        return self.node("Mul", self.node("Mul", product, scales), scale)


def _embedded(graph: _Graph, ids: str) -> str:
    """The states before the first layer, (batch, length, dim)."""
    length = graph.node("Shape", ids, start=1, end=2)
    positions = graph.node("Slice", graph.weight("embeddings.position_embeddings.weight"), graph.ints([0]), length)
    words = graph.node("Gather", graph.weight("embeddings.word_embeddings.weight"), ids)
    return graph.layer_norm("embeddings.LayerNorm", graph.node("Add", words, positions))


def _seen(graph: _Graph, mask: str) -> str:
    """A mask as attention takes it, (batch, 1, 1, length)."""
    from onnx import TensorProto

    return graph.node("Unsqueeze", graph.node("Cast", mask, to=TensorProto.BOOL), graph.ints([1, 2]))


def _bias(graph: _Graph, seen: str) -> str:
    """What attention's scores get added: nothing where a piece is seen, the lowest number elsewhere."""
    return graph.node("Where", seen, graph.number(0.0), graph.number(LOWEST))


def _layers(graph: _Graph, config: Mapping[str, Any], layers: Iterable[int], hidden: str, bias: str = "") -> str:
    """Add these layers; returns what they make of the states, (batch, length, dim). Without bias all is seen."""
    for layer in layers:
        hidden = _layer(graph, config, layer, hidden, bias)
    return hidden


def _layer(graph: _Graph, config: Mapping[str, Any], layer: int, hidden: str, bias: str) -> str:
    heads, dim = int(config["n_heads"]), int(config["dim"])
    split, joined = graph.ints([0, 0, heads, dim // heads]), graph.ints([0, 0, dim])
    name = f"transformer.layer.{layer}"

    def part(which: str, order: list[int]) -> str:
        value = graph.linear(f"{name}.attention.{which}", hidden)
        return graph.node("Transpose", graph.node("Reshape", value, split), perm=order)

    scores = graph.node("MatMul", part("q_lin", [0, 2, 1, 3]), part("k_lin", [0, 2, 3, 1]))
    scores = graph.node("Mul", scores, graph.number((dim // heads) ** -0.5))
    scores = graph.node("Add", scores, bias) if bias else scores
    mixed = graph.node("MatMul", graph.node("Softmax", scores, axis=-1), part("v_lin", [0, 2, 1, 3]))
    mixed = graph.node("Reshape", graph.node("Transpose", mixed, perm=[0, 2, 1, 3]), joined)
    mixed = graph.linear(f"{name}.attention.out_lin", mixed)
    hidden = graph.layer_norm(f"{name}.sa_layer_norm", graph.node("Add", mixed, hidden))
    inner = graph.node(ACTIVATIONS[config["activation"]], graph.linear(f"{name}.ffn.lin1", hidden))
    outer = graph.linear(f"{name}.ffn.lin2", inner)
    return graph.layer_norm(f"{name}.output_layer_norm", graph.node("Add", outer, hidden))
