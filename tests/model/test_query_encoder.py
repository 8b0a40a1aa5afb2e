"""The question encoder: the encoder's vectors but for their rounding, without torch, within a second."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from include.core.environment import REPOSITORY
from include.core.errors import BadModel, BadSettings
from include.model.directory import WEIGHTS
from include.model.encoder import Encoder
from include.model.onnx_export import write_onnx
from include.model.query_encoder import BATCH, ONNX_FILE, QueryEncoder

TEXTS = ["which kettle is red?", "", "lamp " * 60, "水 ünïcode \ud800 & more", "a"]


@pytest.fixture(scope="module")
def saved(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved bi-encoder of 2 layers that cuts texts at 24 word pieces."""
    path = tmp_path_factory.mktemp("saved") / "model"
    Encoder.load(tiny_base, max_tokens=24, precision="float32").save(path)
    return path


@pytest.mark.parametrize(("integers", "least"), [(True, 0.99), (False, 0.9999)])
@pytest.mark.parametrize("once", [False, True])
def test_vectors_equal_the_encoders(saved: Path, tmp_path: Path, once: bool, integers: bool, least: float) -> None:
    """Danger: questions live in another space than the products, and nothing is found."""
    path = shutil.copytree(saved, tmp_path / "copy")
    if not integers:
        as_floats(path)
    questions = [*TEXTS, *(f"number {number} lamp" for number in range(BATCH))]
    encoder = QueryEncoder(path, once=once)
    found = encoder.encode(questions)
    expected = Encoder.load(path, precision="float32").encode(questions)
    assert (encoder.dim, encoder.max_tokens) == (32, 24)
    assert found.shape == (len(questions), 32)
    assert found.dtype == np.float32
    assert (found * expected).sum(1).min() >= least
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_the_first_dimensions_alone_are_unit_vectors_of_both_encoders(saved: Path) -> None:
    """Danger: products cut to fewer dimensions than questions, or left with other lengths."""
    few = QueryEncoder(saved, dimensions=8)
    found, whole = few.encode(TEXTS), QueryEncoder(saved).encode(TEXTS)
    assert few.dim == 8
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found * np.linalg.norm(whole[:, :8], axis=1, keepdims=True), whole[:, :8], atol=1e-5)
    encoder = Encoder.load(saved, precision="float32", dimensions=8)
    assert (found * encoder.encode(TEXTS)).sum(1).min() >= 0.99
    for kind in (Encoder.load, QueryEncoder):
        with pytest.raises(BadSettings, match="dimensions is 33; the model's vectors have 32"):
            kind(saved, dimensions=33)


def test_minilm_vectors_equal_the_encoders(minilm_base: Path, tmp_path: Path) -> None:
    """Danger: the graph is right for two tiny layers, and wrong for a real model."""
    encoder = Encoder.load(minilm_base, max_tokens=64, precision="float32")
    encoder.save(tmp_path)
    found, expected = QueryEncoder(tmp_path).encode(TEXTS), encoder.encode(TEXTS)
    assert (found * expected).sum(1).min() >= 0.97
    assert (found * expected).sum(1)[[0, 2, 3, 4]].min() >= 0.99, "of all but the empty text"
    as_floats(tmp_path)
    assert (QueryEncoder(tmp_path).encode(TEXTS) * expected).sum(1).min() >= 0.9999


def test_a_model_whose_vectors_integers_would_change_keeps_floats(
    saved: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Danger: a base model with a few huge values finds other products for a question than it was trained to."""
    from safetensors.numpy import load_file, save_file

    copy = shutil.copytree(saved, tmp_path / "copy")
    weights = load_file(copy / WEIGHTS)
    for name in ("transformer.layer.0.sa_layer_norm", "transformer.layer.1.sa_layer_norm"):
        weights[f"{name}.weight"][3] *= 3000  # beside which all else is rounded to nothing
        for each in ("lin1", "lin2"):
            layer = name.replace("sa_layer_norm", f"ffn.{each}.weight")
            weights[layer][:, 3] *= 1 / 3000 if each == "lin1" else 1
    save_file(weights, copy / WEIGHTS, metadata={"format": "pt"})
    encoder = Encoder.load(copy, precision="float32")
    encoder.save(tmp_path / "made")
    assert "questions are encoded with floats" in caplog.text
    found = QueryEncoder(tmp_path / "made").encode(TEXTS)
    assert (found * encoder.encode(TEXTS)).sum(1).min() >= 0.999
    assert [file.name for file in (tmp_path / "made" / "onnx").iterdir()] == ["model.onnx"]


def as_floats(path: Path) -> None:
    """Have a saved model's graph multiply floats."""
    from safetensors.numpy import load_file

    config = json.loads((path / "config.json").read_text())
    write_onnx(load_file(path / WEIGHTS), config, path / ONNX_FILE)


def test_a_text_has_one_vector_whatever_it_is_asked_with(saved: Path) -> None:
    """Danger: padding leaks into the vectors, so the same question finds other products in a batch."""
    encoder = QueryEncoder(saved)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    assert (alone * encoder.encode(TEXTS)).sum(1).min() >= 0.99999


def test_texts_are_cut_where_the_model_was_trained_to(saved: Path) -> None:
    """Danger: a long question is cut elsewhere than the products were, or breaks the position table."""
    encoder = QueryEncoder(saved)
    long, cut = encoder.encode(["lamp " * 500, "lamp " * 22])  # 22 pieces, CLS and SEP
    np.testing.assert_allclose(long, cut, atol=1e-6)


def test_no_texts_give_no_vectors(saved: Path) -> None:
    """Danger: an empty list of questions crashes."""
    assert QueryEncoder(saved).encode([]).shape == (0, 32)


def test_it_imports_neither_torch_nor_transformers_and_loads_fast(minilm_base: Path, tmp_path: Path) -> None:
    """Danger: each question waits six seconds for imports that it does not use."""
    Encoder.load(minilm_base, max_tokens=64, precision="float32").save(tmp_path)
    program = """
import json, sys, time
from pathlib import Path
began = time.process_time()
from include.model.query_encoder import QueryEncoder
encoder = QueryEncoder(Path(sys.argv[1]), threads=1)
encoder.encode(["which kettle is red?"])
heavy = {"torch", "transformers", "pandas", "pyarrow", "onnx", "huggingface_hub"} & set(sys.modules)
print(json.dumps({"heavy": sorted(heavy), "seconds": time.process_time() - began}))
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(done.stdout)
    assert found["heavy"] == []
    assert found["seconds"] < 1, "processor time, so that a busy machine does not fail it"


def test_a_damaged_or_missing_model_says_what_to_do(saved: Path, tmp_path: Path) -> None:
    """Danger: the person who asks gets ONNX Runtime's protobuf message, or wrong vectors."""
    copy = shutil.copytree(saved, tmp_path / "copy")
    graph = (copy / ONNX_FILE).read_bytes()
    (copy / ONNX_FILE).write_bytes(graph[: len(graph) // 2])
    with pytest.raises(BadModel, match=r"onnx.*Run fine_tune again"):
        QueryEncoder(copy)
    (copy / ONNX_FILE).unlink()
    with pytest.raises(BadModel, match=r"model\.onnx is missing.*Run fine_tune again"):
        QueryEncoder(copy)
    (copy / "tokenizer.json").write_text("{}")
    with pytest.raises(BadModel, match=r"tokenizer\.json cannot be loaded"):
        QueryEncoder(copy)
    with pytest.raises(BadModel, match=r"config\.json is missing"):
        QueryEncoder(tmp_path / "nowhere")
