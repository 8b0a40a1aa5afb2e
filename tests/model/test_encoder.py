"""The bi-encoder: a text's vector is its own, and a saved model is the same model everywhere."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from include.core.arrays import Scores, Vectors
from include.core.errors import BadModel, BadSettings
from include.core.progress import Snapshot
from include.model.encoder import Encoder, resolve_precision
from include.model.passes import length_batches

TEXTS = [
    "red kettle number 7",
    "",
    "This lamp is made of glass. It is black. Model 3 weighs 4 kg. " * 4,
    "chair",
    "Ünïcode 水 \ud800 camera - number 12 ?",
]


@pytest.fixture(scope="module")
def encoder(tiny_base: Path) -> Encoder:
    return Encoder.load(tiny_base, max_tokens=48, device="cpu", precision="float32")


def cosines(one: Vectors, other: Vectors) -> Scores:
    found: Scores = (one * other).sum(1)
    return found


def tree(path: Path) -> dict[str, str]:
    files = (entry for entry in path.rglob("*") if entry.is_file())
    return {file.relative_to(path).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_padding_is_no_part_of_a_vector(encoder: Encoder) -> None:
    """Danger: the mean runs over padding too, so a text's vector depends on its neighbours in the batch."""
    ids = encoder.tokenize(TEXTS)
    with torch.inference_mode():
        together = encoder.forward(*encoder.pad(ids)).numpy()
        alone = np.concatenate([encoder.forward(*encoder.pad([row])).numpy() for row in ids])
        # the fault this guards against, to show that the texts would reveal it
        padded, mask = encoder.pad(ids)
        averaged = encoder.model(input_ids=padded, attention_mask=mask).last_hidden_state.mean(1).numpy()
    averaged /= np.linalg.norm(averaged, axis=1, keepdims=True)
    assert cosines(together, alone).min() >= 0.99999
    assert cosines(averaged, alone).min() < 0.999


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_row_depends_on_its_text_alone(tiny_base: Path, precision: str) -> None:
    """Danger: another shard size, another batch, another order give other vectors for the same product."""
    encoder = Encoder.load(tiny_base, max_tokens=48, device="cpu", precision=precision)
    texts = [*TEXTS, *(f"lamp number {number} " * (number % 9 + 1) for number in range(40))]
    expected = encoder.encode(texts)
    order = np.random.default_rng(3).permutation(len(texts))
    for batch_tokens in (1, 100, 1000):
        found = encoder.encode([texts[row] for row in order], batch_tokens=batch_tokens)
        assert cosines(found, expected[order]).min() >= (0.99999 if precision == "float32" else 0.9995)


def test_vectors_are_float32_of_length_one_in_the_order_of_the_texts(encoder: Encoder) -> None:
    """Danger: sorting by length leaves the rows sorted."""
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), encoder.dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for row, text in enumerate(TEXTS):
        assert cosines(vectors[row : row + 1], encoder.encode([text]))[0] >= 0.99999


def test_no_texts_give_no_vectors(encoder: Encoder) -> None:
    """Danger: a shard whose texts were all embedded before crashes."""
    assert encoder.encode([]).shape == (0, encoder.dim)
    assert encoder.tokenize([]) == []


def test_word_pieces_are_those_of_transformers(tiny_base: Path, encoder: Encoder) -> None:
    """Danger: the fast path cuts, normalises or pads in another way than the model was trained with."""
    from transformers import AutoTokenizer

    texts = [text for text in TEXTS if "\ud800" not in text]
    expected = AutoTokenizer.from_pretrained(tiny_base)(texts, truncation=True, max_length=48)["input_ids"]
    found = encoder.tokenize(texts)
    assert [row.dtype for row in found] == [np.dtype(np.int32)] * len(texts)
    assert [row.tolist() for row in found] == expected
    assert max(len(row) for row in found) == 48


def test_bfloat16_vectors_are_close_to_float32(minilm_base: Path) -> None:
    """Danger: a machine with bfloat16 and one without publish indexes that do not match."""
    exact = Encoder.load(minilm_base, max_tokens=64, device="cpu", precision="float32").encode(TEXTS)
    rounded = Encoder.load(minilm_base, max_tokens=64, device="cpu", precision="bfloat16").encode(TEXTS)
    assert rounded.dtype == np.float32
    assert cosines(exact, rounded).min() >= 0.999


def test_precision_auto_asks_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Danger: bfloat16 is emulated on a processor without it, many times slower."""
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True, "avx512_bf16": False})
    assert resolve_precision("auto", cpu) == "float32"
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert resolve_precision("auto", cpu) == "bfloat16"
    assert resolve_precision("float32", cpu) == "float32"
    with pytest.raises(BadSettings, match="float16"):
        resolve_precision("float16", cpu)


def test_gradients_flow_and_encoding_leaves_training_mode_alone(tiny_base: Path) -> None:
    """Danger: an evaluation in the middle of training turns dropout off for the rest of it."""
    encoder = Encoder.load(tiny_base, max_tokens=48, device="cpu", precision="bfloat16")
    encoder.model.train()
    vectors = encoder.forward(*encoder.pad(encoder.tokenize(TEXTS)))
    assert vectors.dtype == torch.float32
    vectors.sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.model.parameters())
    first, second = encoder.encode(TEXTS), encoder.encode(TEXTS)
    assert np.array_equal(first, second), "dropout was on while encoding"
    assert encoder.model.training


def test_encoding_follows_the_weights_as_they_change(tiny_base: Path) -> None:
    """Danger: a copy of old weights answers after a training step."""
    encoder = Encoder.load(tiny_base, max_tokens=48, device="cpu", precision="bfloat16")
    before = encoder.encode(TEXTS)
    with torch.no_grad():
        for parameter in encoder.model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    assert cosines(before, encoder.encode(TEXTS)).max() < 0.9


def test_progress_counts_word_pieces(encoder: Encoder) -> None:
    """Danger: the bar stands still, or ends at another number than its total."""
    seen: list[Snapshot] = []
    encoder.encode(TEXTS, batch_tokens=50, sink=seen.append, stage="embed shard 1")
    total = sum(len(row) for row in encoder.tokenize(TEXTS))
    assert (seen[-1]["stage"], seen[-1]["unit"]) == ("embed shard 1", "tokens")
    assert (seen[-1]["done"], seen[-1]["total"]) == (total, total)


def test_batches_keep_to_their_budget() -> None:
    """Danger: one long text in a batch of short ones multiplies its memory."""
    lengths = [int(length) for length in np.random.default_rng(5).integers(2, 97, 500)] + [4000]
    batches = list(length_batches(lengths, 512))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert batches[0] == [500], "longer than the budget: a batch of its own"
    for batch in batches[1:]:
        assert len(batch) * max(lengths[row] for row in batch) <= 512


def assert_sentence_transformers_agrees(path: Path, expected: np.ndarray, texts: list[str]) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(path), device="cpu")
    found = model.encode(texts, convert_to_numpy=True, show_progress_bar=False)
    assert [type(module).__name__ for module in model] == ["Transformer", "Pooling", "Normalize"]
    assert cosines(found, expected).min() >= 0.9999
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_sentence_transformers_gives_the_same_vectors(encoder: Encoder, tmp_path: Path) -> None:
    """Danger: a user loads the published model elsewhere and gets other vectors than the index holds."""
    texts = [text for text in TEXTS if "\ud800" not in text]
    encoder.save(tmp_path)
    assert_sentence_transformers_agrees(tmp_path, encoder.encode(texts), texts)


def test_sentence_transformers_gives_the_same_minilm_vectors(minilm_base: Path, tmp_path: Path) -> None:
    """Danger: as above, with a real vocabulary: accents, capitals, Chinese, cutting at max_tokens."""
    texts = [text for text in TEXTS if "\ud800" not in text]
    encoder = Encoder.load(minilm_base, max_tokens=32, device="cpu", precision="float32")
    encoder.save(tmp_path)
    assert_sentence_transformers_agrees(tmp_path, encoder.encode(texts), texts)


def test_a_saved_model_loads_as_it_was(encoder: Encoder, tmp_path: Path) -> None:
    """Danger: saving and loading loses the cut, the weights' precision or a file."""
    encoder.save(tmp_path / "one")
    again = Encoder.load(tmp_path / "one", device="cpu", precision="float32")
    assert again.max_tokens == encoder.max_tokens
    assert np.array_equal(again.encode(TEXTS), encoder.encode(TEXTS))
    again.save(tmp_path / "two")
    assert tree(tmp_path / "one") == tree(tmp_path / "two"), "equal weights, equal bytes"
    assert set(tree(tmp_path / "one")) == {
        "1_Pooling/config.json",
        "2_Normalize/config.json",
        "config.json",
        "config_sentence_transformers.json",
        "model.safetensors",
        "modules.json",
        "onnx/model.onnx",
        "sentence_bert_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_a_model_with_a_head_loads_without_it(tiny_base: Path, tmp_path: Path, encoder: Encoder) -> None:
    """Danger: the hub's distilbert-base-uncased, saved with its masked-word head, loads as random weights."""
    from safetensors.numpy import load_file, save_file

    copy = shutil.copytree(tiny_base, tmp_path / "headed")
    weights = {f"distilbert.{name}": value for name, value in load_file(tiny_base / "model.safetensors").items()}
    weights["distilbert.embeddings.LayerNorm.gamma"] = weights.pop("distilbert.embeddings.LayerNorm.weight")
    weights["vocab_projector.bias"] = np.zeros(3, np.float32)
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    headed = Encoder.load(copy, max_tokens=48, device="cpu", precision="float32")
    assert np.array_equal(headed.encode(TEXTS), encoder.encode(TEXTS))


def test_a_directory_that_does_not_fit_together_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    """Danger: weights that are missing, cut short or of another shape load as random numbers."""
    from safetensors.numpy import load_file, save_file

    copy = shutil.copytree(tiny_base, tmp_path / "copy")
    file = copy / "model.safetensors"
    whole = file.read_bytes()
    weights = load_file(file)

    file.write_bytes(whole[:-100])
    with pytest.raises(BadModel, match="damaged"):
        Encoder.load(copy)
    save_file({name: value for name, value in weights.items() if "q_lin" not in name}, file)
    with pytest.raises(BadModel, match=r"lacks 4 of DistilBERT's weights.*q_lin"):
        Encoder.load(copy)
    file.write_bytes(whole)

    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"hidden_dim": 60}))
    with pytest.raises(BadModel, match=r"config\.json says \(60"):
        Encoder.load(copy)
    (copy / "config.json").write_text(json.dumps(config | {"vocab_size": 20}))
    with pytest.raises(BadModel, match="word pieces"):
        Encoder.load(copy)
    (copy / "config.json").write_text(json.dumps(config | {"activation": "swish"}))
    with pytest.raises(BadModel, match="swish"):
        Encoder.load(copy)


@pytest.mark.parametrize("max_tokens", [2, 129])
def test_a_cut_that_the_model_cannot_take_is_refused(tiny_base: Path, max_tokens: int) -> None:
    """Danger: positions beyond the table crash in the middle of the first long batch."""
    with pytest.raises(BadSettings, match="3 to 128"):
        Encoder.load(tiny_base, max_tokens=max_tokens)
