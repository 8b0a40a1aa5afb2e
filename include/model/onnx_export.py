"""The bi-encoder as an ONNX graph: word pieces and mask in, pooled and normalised vectors out.

Written node by node rather than through `torch.onnx.export`: the graph is thirty lines of DistilBERT,
the bytes are a function of the weights alone, and it takes a second where both of torch 2.13's
exporters raise deprecation warnings. Only standard operators (opset 20), so that any runtime reads it.
"""

from collections.abc import Mapping
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
    from onnx import TensorProto, checker, helper

    graph = _Graph(weights)
    ids, mask = "input_ids", "attention_mask"
    hidden = _transformer(graph, config, ids, mask)
    weight = graph.node("Unsqueeze", graph.node("Cast", mask, to=TensorProto.FLOAT), graph.ints([2]))
    total = graph.node("ReduceSum", graph.node("Mul", hidden, weight), graph.ints([1]), keepdims=0)
    count = graph.node("Max", graph.node("ReduceSum", weight, graph.ints([1]), keepdims=0), graph.number(1.0))
    pooled = graph.node("Div", total, count)
    norm = graph.node("Max", graph.node("ReduceL2", pooled, graph.ints([1])), graph.number(1e-12))
    graph.node("Div", pooled, norm, output="sentence_embedding")

    def tensor(name: str, kind: int, shape: list[str | int]) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "distilbert-bi-encoder",
            [tensor(name, TensorProto.INT64, ["batch", "length"]) for name in (ids, mask)],
            [tensor("sentence_embedding", TensorProto.FLOAT, ["batch", config["dim"]])],
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

    heads, dim = int(config["n_heads"]), int(config["dim"])
    length = graph.node("Shape", ids, start=1, end=2)
    positions = graph.node("Slice", graph.weight("embeddings.position_embeddings.weight"), graph.ints([0]), length)
    words = graph.node("Gather", graph.weight("embeddings.word_embeddings.weight"), ids)
    hidden = graph.layer_norm("embeddings.LayerNorm", graph.node("Add", words, positions))
    seen = graph.node("Unsqueeze", graph.node("Cast", mask, to=TensorProto.BOOL), graph.ints([1, 2]))
    bias = graph.node("Where", seen, graph.number(0.0), graph.number(LOWEST))  # (batch, 1, 1, length)
    split, joined = graph.ints([0, 0, heads, dim // heads]), graph.ints([0, 0, dim])
    for layer in range(int(config["n_layers"])):
        name = f"transformer.layer.{layer}"

        def part(which: str, order: list[int], *, name: str = name, hidden: str = hidden) -> str:
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
        hidden = graph.layer_norm(f"{name}.output_layer_norm", graph.node("Add", outer, hidden))
    return hidden
