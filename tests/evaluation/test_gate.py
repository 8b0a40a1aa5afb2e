"""The gate: what passes, what does not, and that a worse model does not go live."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include import stages
from include.core import artifacts, kinds
from include.core.forms import pipeline_settings
from include.core.settings import MINILM_PACKAGE
from include.evaluation.gate import METRIC, decide
from include.evaluation.summary import ProtocolFigures
from include.model.base import resolve_base
from include.model.encoder import Encoder
from include.run import Run
from tests.small import publish_model

BETTER = (0.05, 0.02, 0.08)  # difference, low, high
SAME = (0.01, -0.02, 0.04)
WORSE = (-0.05, -0.08, -0.02)


def protocol(**rivals: tuple[float, float, float]) -> ProtocolFigures:
    """The tuned model, at 0.8, compared with each rival."""
    made: dict[str, Any] = {"queries": 100, "corpus": 100, "systems": {"tuned": {METRIC: 0.8}}, "differences": {}}
    for rival, (difference, low, high) in rivals.items():
        verdict = "better" if low > 0 else "worse" if high < 0 else "same"
        made["systems"][rival] = {METRIC: 0.8 - difference}
        compared = {"difference": difference, "low": low, "high": high, "verdict": verdict}
        made["differences"][f"tuned-{rival}"] = {METRIC: compared}
    return ProtocolFigures(**made)


@pytest.mark.parametrize(
    ("titles", "labels", "tolerance", "passed", "said"),
    [
        ({"base": BETTER}, None, 0, True, "better than the base on titles (0.800 against 0.750: +0.050"),
        ({"base": BETTER}, {"base": SAME}, 0, True, "not told apart from the base on labels"),
        ({"base": BETTER}, {"base": WORSE}, 0, False, "is worse than the base on labels"),
        ({"base": SAME, "live": SAME}, None, 0, False, "does not beat the base: it is not told apart"),
        ({"base": SAME, "live": SAME}, None, 0, False, "retrain = never takes the new catalogue live"),
        ({"base": BETTER, "live": SAME}, None, 0, True, "not told apart from the live model on titles"),
        ({"base": BETTER, "live": WORSE}, None, 0, False, "is worse than the live model on titles"),
        ({"base": SAME, "live": BETTER}, None, 0, False, "does not beat the base"),
        ({"base": SAME, "live": WORSE}, {"base": BETTER, "live": BETTER}, 0, False, "worse than the live model on tit"),
        ({"base": SAME, "live": SAME}, None, 0.03, True, "(tolerance 0.03)"),
        ({"base": SAME, "live": SAME}, None, 0.01, False, "does not beat the base"),
        ({"base": BETTER, "live": WORSE}, None, 0.03, True, "worse than the live model"),
        ({"base": BETTER, "live": WORSE}, None, 0.01, False, "worse than the live model"),
        ({"base": (-1.0, -1.0, -1.0), "live": (-1.0, -1.0, -1.0)}, None, 1, True, "tolerance 1"),
        ({"base": (0.0, 0.0, 0.0), "live": SAME}, None, 0, False, "+0.000, 95 % interval +0.000 to +0.000"),
    ],
)
def test_the_gate_asks_for_proof(
    titles: dict[str, Any], labels: dict[str, Any] | None, tolerance: float, passed: bool, said: str
) -> None:
    """A worse model must not replace a better one, and noise is no progress."""
    protocols = {"titles": protocol(**titles)} | ({} if labels is None else {"labels": protocol(**labels)})
    made = decide(protocols, tolerance, list(protocols), has_rival="live" in titles)
    assert made["passed"] is passed
    assert said in made["reason"]
    assert made["reason"].startswith("by nDCG@10 the new model")
    assert (made["tolerance"], made["metric"]) == (tolerance, "ndcg@10")
    assert len(made["comparisons"]) == len(titles) + len(labels or {})


def test_only_judged_protocols_decide() -> None:
    """A model that was not trained for related titles is not held to them, nor carried by them."""
    protocols = {"titles": protocol(base=BETTER), "labels": protocol(base=WORSE)}
    assert decide(protocols, 0, ["titles"])["passed"]
    assert not decide(protocols, 0, ["labels"])["passed"]
    assert "labels" not in decide(protocols, 0, ["titles"])["reason"]


@pytest.mark.parametrize(
    ("live", "passed"), [({}, True), ({"live": SAME}, True), ({"live": BETTER}, True), ({"live": WORSE}, False)]
)
def test_a_base_model_as_it_is_need_not_beat_itself(live: dict[str, Any], passed: bool) -> None:
    """It is the base: held to a proof against itself, it could never go live; against the live model it can be."""
    equal = (0.0, 0.0, 0.0)
    made = decide({"labels": protocol(base=equal, **live)}, 0, ["labels"], has_rival=bool(live), untrained="as it is")
    assert made["passed"] is passed
    assert ("as it is" if passed else "worse than the live model") in made["reason"]


@pytest.mark.parametrize(
    ("titles", "labels", "passed", "said"),
    [
        (
            SAME,
            None,
            True,
            "nothing was live, so the new model need not beat the base: by nDCG@10 it is not told apart",
        ),
        ((0.0, -1.0, 1.0), None, True, "nothing was live"),  # fewer than 10 queries
        (SAME, WORSE, False, "is worse than the base on labels"),
        (WORSE, None, False, 'nothing is live yet. Train more gently (a lower learning_rate ("Learning rate"), fewer'),
        (BETTER, None, True, "by nDCG@10 the new model is better than the base"),
    ],
)
def test_where_nothing_is_live_no_proof_is_asked_for(titles: Any, labels: Any, passed: bool, said: str) -> None:
    """A shop whose products the base model knows well has trained, waited, and never gets an index."""
    protocols = {"titles": protocol(base=titles)} | ({} if labels is None else {"labels": protocol(base=labels)})
    made = decide(protocols, 0, list(protocols))
    assert made["passed"] is passed
    assert said in made["reason"]


@pytest.mark.parametrize("rival", [False, True])
def test_what_cannot_be_measured_goes_live_only_where_no_model_is(rival: bool) -> None:
    """Hours of training, a green run, and never an index; but an index that was measured does not give way unseen."""
    made = decide({}, 0, [], has_rival=rival)
    assert made["passed"] is not rival
    words = "nothing shows that it is better" if rival else "nothing could be measured, and no live model is replaced"
    assert made["reason"].endswith(words)


def test_the_culprit_alone_is_named() -> None:
    """A reader looks for what went wrong."""
    made = decide({"titles": protocol(base=BETTER, live=WORSE)}, 0, ["titles"])
    assert "base" not in made["reason"]
    assert [each["rival"] for each in made["comparisons"]] == ["base", "live"]


def test_the_live_model_passes() -> None:
    """Fresh embeddings of the live model must not be stopped because it once failed to beat the base."""
    made = decide({"titles": protocol(base=WORSE)}, 0, ["titles"], is_live=True)
    assert (made["passed"], made["reason"]) == (True, "the new model is the live one")


def damaged(encoder: Encoder, path: Path) -> Path:
    """The model with noise on its weights: not random, but clearly worse."""
    import torch

    torch.manual_seed(3)
    with torch.no_grad():
        for weight in encoder.model.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.35 * float(weight.std()) if weight.dim() > 1 else 0.0)
    encoder.save(path)
    return path


def test_a_first_model_that_is_no_better_than_its_base_is_published(
    root: Path, tiny_base: Path, tmp_path: Path
) -> None:
    """With nothing live the run ended green, and the shop was left without any index."""
    conf = {"sample_products": 120, "base_model": str(tiny_base), "max_tokens": 24, "min_recall": 0.5, "shards": 1}
    run = Run(pipeline_settings(conf), root, "first", datetime(2026, 11, 21, tzinfo=UTC))
    Encoder.load(resolve_base(str(tiny_base), root=root).path, max_tokens=24, precision="float32").save(tmp_path / "m")
    model = artifacts.read(publish_model(root, tmp_path / "m")).summary()
    catalogue = stages.convert(run, stages.download(run))
    evaluation = stages.evaluate(run, catalogue, model)
    (part,) = stages.plan_shards(run, catalogue, model)
    version = stages.verify(run, [stages.upsert(run, stages.embed(run, part))])
    decision = stages.publish(run, version, evaluation, {"asked": False, "reason": "promote is auto"})
    assert decision["published"]
    assert decision["reason"].startswith("published: nothing was live, so the new model need not beat the base")
    assert run.open_store().live() == version["fingerprint"]


def test_a_regression_is_built_but_not_published(root: Path, tiny_base: Path, tmp_path: Path) -> None:
    """The night's training went wrong: customers must keep the better index, and the run must say why."""
    conf = {
        "sample_products": 250, "base_model": str(tiny_base), "max_tokens": 24, "holdout": 50,
        "max_content_chars": 150, "min_recall": 0.5, "shards": 1,
    }  # fmt: skip
    first = Run(pipeline_settings({**conf, "tolerance": 1}), root, "first", datetime(2026, 11, 21, tzinfo=UTC))
    night = dataclasses.replace(
        first, settings=pipeline_settings(conf), run_id="night", logical_date=datetime(2026, 11, 22, tzinfo=UTC)
    )
    encoder = Encoder.load(resolve_base(MINILM_PACKAGE, root=root).path, max_tokens=24, precision="float32")
    encoder.save(tmp_path / "good")
    good = artifacts.read(publish_model(root, tmp_path / "good")).summary()
    bad = artifacts.read(publish_model(root, damaged(encoder, tmp_path / "bad"))).summary()
    catalogue = stages.convert(first, stages.download(first))
    decisions = []
    for run, model in ((first, good), (night, bad)):
        evaluation = stages.evaluate(run, catalogue, model)
        parts = stages.plan_shards(run, catalogue, model)
        version = stages.verify(run, [stages.upsert(run, stages.embed(run, part)) for part in parts])
        decisions.append(stages.publish(run, version, evaluation, {"asked": False, "reason": "promote is auto"}))

    published, refused = decisions
    gate = evaluation["stats"]["gate"]
    verdicts = {(each["rival"], each["protocol"]): each["verdict"] for each in gate["comparisons"]}
    assert published["published"]
    assert verdicts["live", "title_to_content"] == "worse"
    assert verdicts["base", "title_to_content"] == "better", "damaged, yet better than a random base: a trap"
    assert not refused["published"]
    assert "worse than the live model on title_to_content" in refused["reason"]
    assert artifacts.locate(root, kinds.VERSION, refused["version"]).is_dir(), "built and verified"
    assert night.open_store().live() == published["version"] != refused["version"]
