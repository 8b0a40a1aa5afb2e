"""Evaluation: what is asked, what is counted, and what the gate says."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include import artifacts
from include.base_model import resolve_base
from include.bm25 import Bm25
from include.catalogue import PRODUCTS_FILE, held_out_rows
from include.convert import convert
from include.download import download
from include.encoder import Encoder
from include.errors import EmptyCatalogue
from include.evaluate import evaluate, examples, gate, table
from include.exact_search import dense_search, hybrid_search
from include.index import BM25_WEIGHT
from include.metrics import summary
from include.progress import Snapshot
from include.protocols import Protocol, query_to_label, title_to_content
from include.query_encoder import QueryEncoder
from include.settings import MINILM_PACKAGE, ConvertSettings, EvaluateSettings, SourceSettings, TrainSettings
from tests.small import Product, products, publish_model

SETTINGS = EvaluateSettings()
MakeCatalogue = Callable[[Sequence[Product]], Path]


@pytest.fixture
def train(tiny_base: Path) -> TrainSettings:
    return TrainSettings(base_model=str(tiny_base), holdout=10, max_tokens=64)


def other_model(root: Path, tiny_model: Path, tmp_path: Path) -> Path:
    """A published model with other weights than `tiny_model`."""
    import torch

    encoder = Encoder.load(tiny_model, device="cpu", precision="float32")
    torch.manual_seed(5)
    with torch.no_grad():
        for weight in encoder.model.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.05)
    encoder.save(tmp_path / "other")
    return publish_model(root, tmp_path / "other")


def test_measures_every_system_and_keeps_the_figures(
    root: Path, catalogue: Path, model: Path, tiny_model: Path, train: TrainSettings, tmp_path: Path
) -> None:
    """The figures decide what goes live: they are checked against a search written independently here."""
    told: list[Snapshot] = []
    live = other_model(root, tiny_model, tmp_path)
    made = evaluate(catalogue, model, train, SETTINGS, root=root, live=live, sink=told.append)
    assert made.kind == "evaluation"
    assert made.inputs["model"] == artifacts.read(model).fingerprint
    stored = json.loads((made.path / "metrics.json").read_bytes())
    assert stored == made.stats
    assert artifacts.read(made.path).stats == stored
    assert list(stored["protocols"]) == ["title_to_content", "query_to_label"]
    for protocol in stored["protocols"].values():
        assert list(protocol["systems"]) == ["bm25", "base", "tuned", "hybrid", "live"]
    assert {shot["stage"] for shot in told} >= {"evaluate base, title_to_content", "evaluate live, query_to_label"}

    rows = products(60)
    held = [rows[row] for row in held_out_rows(catalogue / PRODUCTS_FILE, 10, train.seed)]
    encoder = QueryEncoder(model)
    scores = encoder.encode([row.title for row in held]) @ encoder.encode([row.content for row in rows]).T
    ranks = [(scores[n] > scores[n, rows.index(row)] + 1e-6).sum() for n, row in enumerate(held)]
    found = stored["protocols"]["title_to_content"]
    assert (found["queries"], found["corpus"], found["whole_corpus"]) == (10, 60, 60)
    # The encoder may compute in bfloat16, so a rank beside the cut may differ.
    assert found["systems"]["tuned"]["r@10"] == pytest.approx(np.mean(np.array(ranks) < 10), abs=0.1001)
    assert found["systems"]["tuned"]["r@100"] == 1.0
    assert found["systems"]["bm25"]["p@1"] == 1.0  # the number in the title is in the content


def test_a_second_run_finds_the_first_ones_figures(
    root: Path, catalogue: Path, model: Path, tiny_model: Path, train: TrainSettings, tmp_path: Path
) -> None:
    """Unchanged runs cost seconds, also once the model has become the live one and has no rival left."""
    live = other_model(root, tiny_model, tmp_path)
    first = evaluate(catalogue, model, train, EvaluateSettings(tolerance=1), root=root, live=live)
    assert first.stats["gate"]["passed"]
    again = evaluate(catalogue, model, train, EvaluateSettings(tolerance=1), root=root, live=live)
    as_live = evaluate(catalogue, model, train, EvaluateSettings(tolerance=1), root=root, live=model)
    assert (again.reused, again.stats) == (True, first.stats)
    assert (as_live.reused, as_live.fingerprint) == (True, first.fingerprint)
    changed = evaluate(catalogue, model, train, EvaluateSettings(tolerance=0.5), root=root, live=model)
    assert not changed.reused
    assert "live" not in changed.stats["protocols"]["title_to_content"]["systems"]


def figures(**recall: float) -> dict[str, Any]:
    return {"queries": 1, "corpus": 1, "systems": {name: {"r@10": value} for name, value in recall.items()}}


@pytest.mark.parametrize(
    ("systems", "passed", "said"),
    [
        ({"base": 0.80, "tuned": 0.90}, True, "tuned 0.9000, base 0.8000"),
        ({"base": 0.80, "tuned": 0.78}, True, "not lower by more than 0.02"),
        ({"base": 0.80, "tuned": 0.7799}, False, "tuned 0.7799, base 0.8000"),
        ({"base": 0.80, "tuned": 0.90, "live": 0.95}, False, "live 0.9500"),
        ({"base": 0.80, "tuned": 0.94, "live": 0.95}, True, "live 0.9500"),
        ({"bm25": 1.00, "base": 0.80, "tuned": 0.80, "hybrid": 1.0}, True, "base"),
    ],
)
def test_the_gate_compares_with_base_and_live(systems: dict[str, float], passed: bool, said: str) -> None:
    """A worse model must not replace a better one; float dust at the tolerance must not stop an equal one."""
    made = gate({"title_to_content": figures(**systems)}, 0.02, ["title_to_content"])
    assert made["passed"] is passed
    assert said in made["reason"]


def test_the_gate_judges_all_that_was_trained_for() -> None:
    """Good at contents and ruined for related titles is not good."""
    protocols = {"title_to_content": figures(base=0.5, tuned=0.9), "query_to_label": figures(base=0.9, tuned=0.5)}
    made = gate(protocols, 0.02, list(protocols))
    assert not made["passed"]
    assert "query_to_label" in made["reason"]
    assert "title_to_content" not in made["reason"]
    assert gate(protocols, 0.02, ["title_to_content"])["passed"]


def test_related_titles_decide_only_where_they_were_trained(
    root: Path, catalogue: Path, model: Path, train: TrainSettings
) -> None:
    """Without related pairs in training, their recall is shown but does not decide."""
    alone = train.model_copy(update={"related_share": 0.0})
    made = evaluate(catalogue, model, alone, SETTINGS, root=root)
    assert "query_to_label" in made.stats["protocols"]
    assert "query_to_label" not in made.stats["gate"]["reason"]
    assert "query_to_label" in evaluate(catalogue, model, train, SETTINGS, root=root).stats["gate"]["reason"]


def test_a_bounded_corpus_keeps_every_answer(make_catalogue: MakeCatalogue, train: TrainSettings) -> None:
    """A corpus drawn without the held-out products would make every query unanswerable."""
    catalogue = make_catalogue(products(300))
    made = title_to_content(catalogue, train, EvaluateSettings(eval_corpus=100))
    assert made is not None
    rows = products(300)
    held = held_out_rows(catalogue / PRODUCTS_FILE, 10, train.seed)
    assert (len(made.corpus), made.whole) == (100, 300)
    assert made.queries == [rows[row].title for row in held]
    assert [made.corpus[min(places)] for places in made.relevant] == [rows[row].content for row in held]
    again = title_to_content(catalogue, train, EvaluateSettings(eval_corpus=100))
    assert again == made
    other = title_to_content(catalogue, train.model_copy(update={"seed": 1}), EvaluateSettings(eval_corpus=100))
    assert other is not None
    assert other.corpus != made.corpus


def test_products_of_equal_content_share_a_place(make_catalogue: MakeCatalogue, train: TrainSettings) -> None:
    """Editions of a book share their description: finding the other edition's is no mistake."""
    rows = [Product(f"{n}", f"title {n}", f"content {n // 2}") for n in range(100)]
    made = title_to_content(make_catalogue(rows), train, SETTINGS)
    assert made is not None
    assert len(made.corpus) == 50
    assert all(
        made.corpus[min(places)] == f"content {int(query.split()[1]) // 2}"
        for query, places in zip(made.queries, made.relevant, strict=True)
    )


def test_titles_that_are_their_own_content_are_not_asked(make_catalogue: MakeCatalogue, train: TrainSettings) -> None:
    """Such a query finds itself, whatever the model."""
    rows = [Product(f"{n}", f"text {n}", f"text {n}" if n % 2 else f"content {n}") for n in range(100)]
    made = title_to_content(make_catalogue(rows), train, SETTINGS)
    assert made is not None
    assert 0 < len(made.queries) < 10
    assert all(int(query.split()[1]) % 2 == 0 for query in made.queries)


def test_labels_follow_target_ind(catalogue: Path, train: TrainSettings) -> None:
    """`target_ind` are rows of lbl, not positions in what is left of it."""
    made = query_to_label(catalogue, train, SETTINGS)
    assert made is not None
    assert made.corpus == [f"label {thing}" for thing in ("kettle", "lamp", "chair", "camera", "drill")]
    assert made.queries == [row.title for row in products(10)]
    assert made.relevant == [frozenset([number % 5]) for number in range(10)]
    fewer = query_to_label(catalogue, train, EvaluateSettings(eval_queries=10, eval_corpus=100))
    assert fewer == made


def test_nothing_to_ask_is_said(make_catalogue: MakeCatalogue, model: Path, root: Path, train: TrainSettings) -> None:
    """A gate without figures would let anything through."""
    catalogue = make_catalogue([Product(f"{n}", f"title {n}", "") for n in range(20)])
    assert title_to_content(catalogue, train, SETTINGS) is None
    assert query_to_label(catalogue, train, SETTINGS) is None
    with pytest.raises(EmptyCatalogue, match="nothing to evaluate on"):
        evaluate(catalogue, model, train, SETTINGS, root=root)
    assert artifacts.published(root, "evaluation") == []


def test_search_in_blocks_is_search(tmp_path: Path) -> None:
    """Blocks bound the memory; a block's best must not push out another's better."""
    random = np.random.default_rng(0)
    queries = random.normal(size=(7, 16)).astype(np.float32)
    corpus = random.normal(size=(501, 16)).astype(np.float32)
    expected = np.argsort(-(queries @ corpus.T), axis=1, kind="stable")[:, :20]
    for block in (1, 64, 10_000):
        assert dense_search(queries, corpus, 20, block=block).tolist() == expected.tolist()
    assert dense_search(queries, corpus[:3], 20).shape == (7, 3)


def test_hybrid_is_the_indexs_fusion() -> None:
    """A hybrid row that the index does not reproduce would promise what users do not get."""
    random = np.random.default_rng(0)
    corpus = random.normal(size=(400, 8)).astype(np.float32)
    corpus /= np.linalg.norm(corpus, axis=1, keepdims=True)
    texts = [f"word{number % 40} item{number}" for number in range(400)]
    queries = ["item7 word3", "nothing known"]
    ranking = hybrid_search(corpus[[20, 30]], corpus, Bm25(texts), queries, 10)
    cosines = np.maximum(corpus[[20, 30]] @ corpus.T, 0)
    words, scores = Bm25(texts).search(queries, 400)
    for row in range(2):
        fused = (1 - BM25_WEIGHT) * cosines[row]
        for item, score in zip(words[row], scores[row], strict=True):
            if item >= 0:
                fused[item] += BM25_WEIGHT * score / scores[row, 0]
        assert ranking[row].tolist() == np.argsort(-fused)[:10].tolist()


def test_examples_show_what_rose_and_what_fell() -> None:
    """A person judges by examples; a rank off by one would mislead."""
    protocol = Protocol("x", ["a", "b", "c"], ["A", "B", "C"], [frozenset([n]) for n in range(3)], ("p@1",), 3)
    base = np.array([[1, 2, 0], [1, 0, 2], [0, 1, -1]])
    tuned = np.array([[0, 1, 2], [0, 2, 1], [0, 1, -1]])
    assert examples(protocol, base, tuned) == {
        "won": [{"query": "a", "wanted": "A", "base rank": 3, "tuned rank": 1}],
        "lost": [{"query": "b", "wanted": "B", "base rank": 1, "tuned rank": 3}],
    }


def test_the_table_is_aligned() -> None:
    """It is read in a log, where nothing else lines it up."""
    systems = {"bm25": {"p@1": 0.5, "r@10": 1.0}, "hybrid": {"p@1": 0.25, "r@10": 0.125}}
    lines = table({"title_to_content": {"queries": 1200, "corpus": 3, "systems": systems}})
    assert lines[0] == "title_to_content: 1,200 queries among 3 texts"
    assert [len(line) for line in lines[1:]] == [len(lines[1])] * 3
    assert lines[3].split() == ["hybrid", "0.2500", "0.1250"]


def test_known_minilm_figures_on_real_products(root: Path, real_zip: Path) -> None:
    """The whole path from the archive to the figures, against those measured elsewhere (shared/data/README.md)."""
    source = download(SourceSettings(source=str(real_zip)), root=root)
    catalogue = convert(source.path, ConvertSettings(), root=root).path
    made = query_to_label(catalogue, TrainSettings(), SETTINGS)
    assert made is not None
    assert (len(made.queries), len(made.corpus)) == (304, 1035)
    encoder = Encoder.load(resolve_base(MINILM_PACKAGE, root=root).path, max_tokens=96)
    vectors = encoder.encode([*made.queries, *made.corpus])
    ranking = dense_search(vectors[:304], vectors[304:], 100)
    hits = np.array([[item in wanted for item in row] for wanted, row in zip(made.relevant, ranking, strict=True)])
    relevant = np.array([len(wanted) for wanted in made.relevant])
    found = summary(hits, relevant, ["p@1", "r@10", "mrr@100"])
    assert found == pytest.approx({"p@1": 0.753, "r@10": 0.980, "mrr@100": 0.840}, abs=0.02)
