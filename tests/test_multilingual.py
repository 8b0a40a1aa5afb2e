"""A base model of the multilingual DistilBERT's shape, from the catalogue's file to an answer.

`distilbert-base-multilingual-cased` has 119,547 word pieces, so that ids take more than 16 bits, and its tokenizer
keeps capitals and accents. The model here has that shape, and the words of its catalogue behind the first 65,536 ids.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from include import stages
from include.catalogue.schema import PRODUCTS_FILE
from include.core.answer_settings import AnswerSettings
from include.core.forms import pipeline_settings
from include.model.directory import load_tokenizer
from include.model.encoder import Encoder
from include.model.query_encoder import QueryEncoder
from include.model.tokens import CatalogueTokens, find
from include.run import Run

WORD_PIECES = 119_547
MAX_TOKENS = 32
FIRST_WORD = 2**16 + 1
THINGS = ["Chaleira", "Cafeteira", "Luminária", "Câmera", "Furadeira", "Violão", "Mochila", "Relógio"]
COLOURS = ["azul", "preta", "vermelha", "amarela", "cinza"]
PARTS = ["aço", "algodão", "vidro", "couro", "plástico", "cerâmica", "madeira"]


def rows() -> list[dict[str, str]]:
    """Forty Portuguese products whose title and content belong together."""
    return [
        {
            "uid": f"{number:06d}",
            "title": f"{THINGS[number % 8]} {COLOURS[number % 5]} número {number}",
            "content": f"Esta {THINGS[number % 8].lower()} é feita de {PARTS[number % 7]}. Pesa {number + 1} kg.",
        }
        for number in range(40)
    ]


@pytest.fixture(scope="module")
def multilingual_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cased DistilBERT with 119,547 word pieces and random weights, in the hub's layout."""
    import torch
    from transformers import DistilBertConfig, DistilBertModel, DistilBertTokenizerFast

    texts = " ".join(" ".join(row.values()) for row in rows()).replace(".", " ")
    letters = sorted(set(texts) - {" "})
    words = sorted(set(texts.split()) | set(".?“"))
    known = list(dict.fromkeys([*words, *letters, *(f"##{letter}" for letter in letters)]))
    vocabulary = ["[PAD]", *(f"[unused{n}]" for n in range(1, 100)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary += [f"[filler{n}]" for n in range(FIRST_WORD - len(vocabulary))] + known
    vocabulary += [f"[more{n}]" for n in range(WORD_PIECES - len(vocabulary))]
    path = tmp_path_factory.mktemp("multilingual") / "distilbert-multilingual-cased"
    path.mkdir()
    (path / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    torch.manual_seed(0)
    config = DistilBertConfig(
        vocab_size=WORD_PIECES, dim=16, hidden_dim=32, n_layers=2, n_heads=4, max_position_embeddings=128
    )
    DistilBertModel(config).save_pretrained(path)
    tokenizer = DistilBertTokenizerFast(str(path / "vocab.txt"), do_lower_case=False, model_max_length=128)
    tokenizer.save_pretrained(path)
    return path


def pieces(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


def test_a_multilingual_cased_model_goes_through_the_whole_pipeline(
    root: Path, tmp_path: Path, multilingual_base: Path, training_here: None
) -> None:
    """Danger: an id above 65,535 that is kept in 16 bits is another word, and nothing shows it."""
    source = tmp_path / "produtos.jsonl"
    source.write_text("\n".join(json.dumps(row) for row in rows()) + "\n")
    conf = {
        "source": str(source),
        "base_model": str(multilingual_base),
        "shards": 1,
        "epochs": 1,
        "batch_size": 8,
        "max_tokens": MAX_TOKENS,
        "tolerance": 1.0,
    }
    run = Run(pipeline_settings(conf), root, "run", datetime(2026, 1, 1, tzinfo=UTC))
    results: dict[str, Any] = {"download": stages.download(run)}
    catalogue = results["convert"] = stages.convert(run, results["download"])
    model = results["fine_tune"] = stages.fine_tune(run, catalogue)
    assert json.loads((Path(model["path"]) / "history.json").read_text())["steps"]

    tokenizer = load_tokenizer(multilingual_base, MAX_TOKENS)
    cut = find(Path(catalogue["path"]), tokenizer, MAX_TOKENS, root=root)
    assert cut is not None
    titles = CatalogueTokens(cut, tokenizer).columns[PRODUCTS_FILE, "title"]
    assert titles.ids.dtype == np.uint32
    for number, row in enumerate(rows()):
        assert titles[number].tolist() == pieces(tokenizer, row["title"])
    assert int(titles.ids.min()) > 2**16

    tuned = Path(model["path"])
    saved = load_tokenizer(tuned, MAX_TOKENS)
    (capital, small, bare) = (pieces(saved, text) for text in ("Violão", "violão", "Violao"))
    assert len(capital) == 1  # a word of the vocabulary as it is written: neither lower-cased nor without its accent
    assert len({tuple(capital), tuple(small), tuple(bare)}) == 3
    texts = [row["title"] for row in rows()]
    vectors = QueryEncoder(tuned).encode(texts)
    assert np.abs(vectors - Encoder.load(tuned, device="cpu", precision="float32").encode(texts)).max() < 1e-3

    results["evaluate"] = stages.evaluate(run, catalogue, model)
    parts = stages.plan_shards(run, catalogue, model)
    results["shards"] = [stages.upsert(run, stages.embed(run, part)) for part in parts]
    results["verify"] = stages.verify(run, results["shards"])
    results["approve"] = stages.request_approval(run, results, "")
    results["publish"] = stages.publish(run, results["verify"], results["evaluate"], results["approve"])
    assert results["publish"]["published"], results["publish"]["reason"]
    for mode in ("hybrid", "dense"):
        found = stages.answer_question(
            "Violão preta número 21", AnswerSettings(mode=mode, top_k=3), run.settings.index, root=root
        )["answers"][0]
        assert "000021" in [each["uid"] for each in found["products"]], mode
