"""Evaluation: every system measured, and what is kept of it."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.catalogue.convert import convert
from include.catalogue.schema import PRODUCTS_FILE, held_out_rows
from include.core import artifacts, kinds
from include.core.errors import BadSettings
from include.core.index_settings import IndexSettings
from include.core.pipeline_settings import PipelineSettings
from include.core.progress import Snapshot
from include.core.settings import MINILM_PACKAGE, ConvertSettings, EmbedSettings, EvaluateSettings, SourceSettings
from include.core.train_settings import TrainSettings
from include.evaluation.evaluate import evaluate, table
from include.evaluation.exact_search import dense_search
from include.evaluation.examples import won_and_lost
from include.evaluation.fusion_weight import LEAST_OF_QUESTIONS
from include.evaluation.metrics import judge, summary
from include.evaluation.protocols import Protocol, query_to_label, title_to_content
from include.index.embed import embed
from include.index.plan import plan_shards
from include.model.base import resolve_base
from include.model.encoder import Encoder
from include.model.query_encoder import QueryEncoder
from include.source.download import download
from include.store.live import LiveModel
from include.training.train import UNTRAINED
from include.training.train import train as fine_tune
from tests.small import THINGS, Product, products, publish_model

SETTINGS = EvaluateSettings()
MakeCatalogue = Callable[[Sequence[Product]], Path]


@pytest.fixture
def train(tiny_base: Path) -> TrainSettings:
    return TrainSettings(base_model=str(tiny_base), holdout=10, max_tokens=64)


def chosen(train: TrainSettings, *, dimensions: int = 0, **evaluate: Any) -> PipelineSettings:
    """All settings but those of training as they are, or with these changes."""
    embed = EmbedSettings(dimensions=dimensions)
    return PipelineSettings(train=train, evaluate=EvaluateSettings(**evaluate), embed=embed)


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
    made = evaluate(catalogue, model, chosen(train), root=root, live=LiveModel(live, 32), sink=told.append)
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
    root: Path,
    catalogue: Path,
    model: Path,
    tiny_model: Path,
    train: TrainSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unchanged runs cost seconds, also once the model has become the live one and has no rival left."""
    live = other_model(root, tiny_model, tmp_path)
    first = evaluate(catalogue, model, chosen(train, tolerance=1), root=root, live=LiveModel(live, 32))
    assert first.stats["gate"]["passed"]
    again = evaluate(catalogue, model, chosen(train, tolerance=1), root=root, live=LiveModel(live, 32))
    as_live = evaluate(catalogue, model, chosen(train, tolerance=1), root=root, live=LiveModel(model, 32))
    assert (again.reused, again.stats) == (True, first.stats)
    assert (as_live.reused, as_live.fingerprint) == (True, first.fingerprint)
    monkeypatch.setattr(kinds, "EVALUATION", replace(kinds.EVALUATION, format=kinds.EVALUATION.format + 1))
    newer = evaluate(catalogue, model, chosen(train, tolerance=1), root=root, live=LiveModel(model, 32))
    assert not newer.reused, "an evaluation of an older format is not what this version would write"
    monkeypatch.undo()
    changed = evaluate(catalogue, model, chosen(train, tolerance=0.5), root=root, live=LiveModel(model, 32))
    assert not changed.reused
    assert "live" not in changed.stats["protocols"]["title_to_content"]["systems"]


def test_what_is_live_already_stays(root: Path, catalogue: Path, model: Path, train: TrainSettings) -> None:
    """A run that refreshes embeddings with the live model has nobody to beat; nor is it a first publication."""
    made = evaluate(catalogue, model, chosen(train), root=root, live=LiveModel(model, 32))
    assert (made.stats["gate"]["passed"], made.stats["gate"]["reason"]) == (True, "the new model is the live one")


def test_fewer_dimensions_are_measured_as_the_index_will_hold_them(
    root: Path, catalogue: Path, model: Path, train: TrainSettings
) -> None:
    """A gate that sees the whole vectors would let an index of their useless first eighth go live."""
    whole = evaluate(catalogue, model, chosen(train), root=root, live=LiveModel(model, 32)).stats
    few = evaluate(catalogue, model, chosen(train, dimensions=4), root=root, live=LiveModel(model, 32)).stats
    for found in (few["protocols"][name]["systems"] for name in whole["protocols"]):
        assert found["live"] == found["base"], "the live version has all dimensions, and the base model's weights"
        assert found["tuned"]["mrr@10"] < found["live"]["mrr@10"]
    assert not few["gate"]["passed"]
    assert "live" not in whole["protocols"]["title_to_content"]["systems"]


def test_the_stated_shape_is_the_real_one(
    root: Path, catalogue: Path, model: Path, tiny_model: Path, train: TrainSettings, tmp_path: Path
) -> None:
    """The report and the demo read these keys."""
    live = other_model(root, tiny_model, tmp_path)
    stats = evaluate(catalogue, model, chosen(train), root=root, live=LiveModel(live, 32)).stats
    assert set(stats) == {
        "protocols", "confidence", "resamples", "gate", "fusion", "examples", "seconds",
    }  # fmt: skip
    for protocol in stats["protocols"].values():
        names = set(protocol["systems"]["tuned"])
        assert "ndcg@10" in names
        assert set(protocol["intervals"]) == set(protocol["systems"])
        assert set(protocol["differences"]) == {"tuned-base", "tuned-live", "tuned-bm25", "hybrid-tuned"}
        for system, found in protocol["intervals"].items():
            assert set(found) == names
            for name, (low, high) in found.items():
                assert low <= protocol["systems"][system][name] <= high
        for found in protocol["differences"].values():
            assert set(found) == names
            assert all(each["low"] <= each["difference"] <= each["high"] for each in found.values())
    assert {"psp@1", "psp@3", "psp@5"} < set(stats["protocols"]["query_to_label"]["systems"]["bm25"])
    fusion = stats["fusion"]
    fitted = fusion["protocols"]["title_to_content"]["bm25_weight"]
    assert fusion["bm25_weight"] == max(fitted, LEAST_OF_QUESTIONS), "people's questions need the words more"
    assert fusion["protocols"]["query_to_label"]["fitted_on"] == "held-out products"
    assert list(fusion["protocols"]["query_to_label"]["curve"])[:2] == ["0.00", "0.05"]
    assert {each["rival"] for each in stats["gate"]["comparisons"]} == {"base", "live"}


def test_another_filter_file_is_another_evaluation(
    root: Path, catalogue: Path, model: Path, train: TrainSettings, tmp_path: Path
) -> None:
    """The path is the same, the pairs are not: figures of the old ones must not be found again."""
    path = tmp_path / "filter_labels_test.txt"
    path.write_text("0 0\n")
    settings = chosen(train, filter_file=str(path))
    first = evaluate(catalogue, model, settings, root=root)
    assert first.stats["protocols"]["query_to_label"]["unanswered"] == 1
    assert first.stats["protocols"]["query_to_label"]["queries"] == 9
    assert "unanswered" not in first.stats["protocols"]["title_to_content"]
    path.write_text("0 0\n1 1\n")
    second = evaluate(catalogue, model, settings, root=root)
    assert second.stats["protocols"]["query_to_label"]["unanswered"] == 2
    path.unlink()
    with pytest.raises(BadSettings, match="cannot be read"):
        evaluate(catalogue, model, settings, root=root)


def test_related_titles_decide_only_where_they_were_trained(
    root: Path, catalogue: Path, model: Path, train: TrainSettings
) -> None:
    """Without related pairs in training, their recall is shown but does not decide."""
    alone = train.model_copy(update={"related_share": 0.0})
    made = evaluate(catalogue, model, chosen(alone), root=root)
    assert "query_to_label" in made.stats["protocols"]
    assert "query_to_label" not in made.stats["gate"]["reason"]
    assert "query_to_label" in evaluate(catalogue, model, chosen(train), root=root).stats["gate"]["reason"]


def test_nothing_to_ask_is_said(
    make_catalogue: MakeCatalogue,
    model: Path,
    root: Path,
    tiny_model: Path,
    tmp_path: Path,
    train: TrainSettings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A trained model without figures may become the first index; a live model does not give way to it."""
    catalogue = make_catalogue([Product(f"{n}", f"title {n}", "") for n in range(20)])
    assert title_to_content(catalogue, [], train, SETTINGS) is None
    assert query_to_label(catalogue, [], train, SETTINGS) is None
    made = evaluate(catalogue, model, chosen(train), root=root)
    assert "has nothing to measure models by" in caplog.text
    assert made.stats["protocols"] == {}
    assert made.stats["gate"]["passed"] is True
    assert "no question to measure models by" in made.stats["gate"]["reason"]
    assert "no live model is replaced" in made.stats["gate"]["reason"]

    live = LiveModel(other_model(root, tiny_model, tmp_path), 32)
    gate = evaluate(catalogue, model, chosen(train), root=root, live=live).stats["gate"]
    assert gate["passed"] is False
    assert "no question to measure models by" in gate["reason"]
    gate = evaluate(catalogue, model, chosen(train, tolerance=1), root=root, live=live).stats["gate"]
    assert gate["passed"]


def test_titles_alone_pass_with_the_base_model_as_it_is(
    make_catalogue: MakeCatalogue, root: Path, tiny_model: Path, tmp_path: Path, train: TrainSettings
) -> None:
    """Else such a catalogue never gets an index; but an index that was trained does not give way unseen."""
    catalogue = make_catalogue([Product(f"{n}", f"title {n}", "") for n in range(20)])
    made = fine_tune(catalogue, train, root=root)
    gate = evaluate(catalogue, made.path, chosen(train), root=root).stats["gate"]
    assert gate["passed"]
    assert gate["reason"] == UNTRAINED

    changed = make_catalogue([Product(f"{n}", f"other title {n}", "") for n in range(20)])
    next_one = fine_tune(changed, train, root=root)  # the same weights under another fingerprint
    assert next_one.fingerprint != made.fingerprint
    gate = evaluate(changed, next_one.path, chosen(train), root=root, live=LiveModel(made.path, 32)).stats["gate"]
    assert gate["passed"]
    trained = LiveModel(other_model(root, tiny_model, tmp_path), 32)
    gate = evaluate(changed, next_one.path, chosen(train), root=root, live=trained).stats["gate"]
    assert not gate["passed"]
    assert gate["reason"].startswith(UNTRAINED)
    assert "the live model stays" in gate["reason"]


def test_an_empty_filter_file_is_none(root: Path, catalogue: Path, model: Path, train: TrainSettings) -> None:
    """Over REST an empty field is an empty string: it was read as the directory `.`"""
    empty = evaluate(catalogue, model, chosen(train, filter_file=""), root=root)
    assert empty.fingerprint == evaluate(catalogue, model, chosen(train), root=root).fingerprint
    assert "unanswered" not in empty.stats["protocols"]["query_to_label"]


def test_examples_show_what_rose_and_what_fell() -> None:
    """A person judges by examples; a rank off by one would mislead."""
    protocol = Protocol("x", ["a", "b", "c"], ["A", "B", "C"], [frozenset([n]) for n in range(3)], ("p@1",), 3)
    other = Protocol("y", ["d"], ["A", "B", "C"], [frozenset([0])], ("p@1",), 3)
    base = np.array([[1, 2, 0], [1, 0, 2], [0, 1, -1]])
    tuned = np.array([[0, 1, 2], [0, 2, 1], [0, 1, -1]])
    assert won_and_lost([(other, base[:1, :2], tuned[:1]), (protocol, base, tuned)]) == {
        "won": [
            {"protocol": "y", "query": "d", "wanted": "A", "base rank": None, "tuned rank": 1},
            {"protocol": "x", "query": "a", "wanted": "A", "base rank": 3, "tuned rank": 1},
        ],
        "lost": [{"protocol": "x", "query": "b", "wanted": "B", "base rank": 1, "tuned rank": 3}],
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
    made = query_to_label(catalogue, [], TrainSettings(), SETTINGS)
    assert made is not None
    assert (len(made.queries), len(made.corpus)) == (304, 1035)
    encoder = Encoder.load(resolve_base(MINILM_PACKAGE, root=root).path, max_tokens=96)
    vectors = encoder.encode([*made.queries, *made.corpus])
    ranking = dense_search(vectors[:304], vectors[304:], 100)
    found = summary(judge(ranking, made.relevant), ["p@1", "r@10", "mrr@100"])
    assert found == pytest.approx({"p@1": 0.753, "r@10": 0.980, "mrr@100": 0.840}, abs=0.02)


def test_what_a_model_has_encoded_is_not_encoded_again(
    root: Path,
    make_catalogue: MakeCatalogue,
    model: Path,
    tiny_model: Path,
    train: TrainSettings,
    tmp_path: Path,
    encoded: list[str],
) -> None:
    """A night's run measured its base on 50,000 texts that the run before had measured it on."""
    alone = [Product(f"T{number}", f"label {thing}", "") for number, thing in enumerate(THINGS[:5])]
    catalogue = make_catalogue([*products(60), *alone])
    first = evaluate(catalogue, model, chosen(train), root=root)
    corpus = {row.content for row in products(60)} | {row.title for row in alone}
    assert corpus < set(encoded)
    each = len(encoded) // 2
    assert sorted(encoded[:each]) == sorted(set(encoded[:each])), "a text of both protocols, too, is encoded once"

    encoded.clear()
    shards = plan_shards(catalogue, model, EmbedSettings(shards=1), IndexSettings(), root=root).path
    made = embed(shards, 0, root=root).stats
    assert (made["embedded"], made["copied"]) == (60, 5), "a product of a title alone is what its label is"
    assert set(encoded).isdisjoint(row.title for row in alone)

    encoded.clear()
    other = other_model(root, tiny_model, tmp_path)
    changed = make_catalogue([*products(61), *alone])
    second = evaluate(changed, other, chosen(train), root=root, live=LiveModel(model, 32))
    times = Counter(encoded)
    assert times[products(1)[0].content] == 1, "by the new model alone: base and live model have it"
    assert times[products(61)[60].content] == 3
    systems = [made.stats["protocols"]["query_to_label"]["systems"] for made in (first, second)]
    for name in ("p@1", "mrr@10", "ndcg@10"):  # PSP also depends on the products that there are
        assert systems[0]["base"][name] == systems[1]["base"][name]
        assert systems[0]["tuned"][name] == systems[1]["live"][name]
