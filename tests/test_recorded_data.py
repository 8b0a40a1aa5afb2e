"""A data directory of an earlier commit is reused whole: see tests/recorded/README.md."""

import logging
from pathlib import Path

import pytest

from include import stages
from include.core.answer_settings import AnswerSettings
from include.store.journal import Journal
from include.store.version import IndexVersion
from include.training.train import train
from tests.recorded_run import run_on, unpacked


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """The recorded directory, unpacked: `base` and `data`."""
    return unpacked(tmp_path)


def test_every_stage_of_a_run_is_reused_and_the_live_index_answers(recorded: Path) -> None:
    """Danger: after an update the first run downloads, trains and embeds for hours what is there already."""
    run = run_on(recorded)
    live = run.open_store().live()
    source = stages.download(run)
    catalogue = stages.convert(run, source)
    model = stages.fine_tune(run, catalogue)
    evaluation = stages.evaluate(run, catalogue, model)
    embedded = [stages.embed(run, shard) for shard in stages.plan_shards(run, catalogue, model)]
    loaded = [stages.upsert(run, shard) for shard in embedded]
    version = stages.verify(run, loaded)
    made = [source, catalogue, model, *(each["embedding"] for each in embedded)]
    assert [each["reused"] for each in made] == [True] * 5
    # Since then an index holds terms in the place of words (`edge` 2), and evaluation's BM25 ranks by them.
    assert [each["upsert"]["reused"] for each in loaded] == [False, False]
    assert (evaluation["reused"], version["reused"]) == (False, False)
    assert IndexVersion.read(run.root / "version" / str(live)).language is None
    assert IndexVersion.read(Path(version["path"])).language == "english"
    title = "sleeping bag"
    before = stages.answer_question(title, AnswerSettings(), run.settings.index, root=run.root)
    assert (before["version"], before["answers"][0]["mended"]) == (live, {})
    assert before["answers"][0]["products"], before
    decision = stages.publish(run, version, evaluation, {"asked": False, "reason": "promote is auto"})
    assert decision["version"] == version["fingerprint"] == run.open_store().live()

    first, second = Journal.load(run.root, "products").history
    assert (first.version, first.run_id, first.sample) == (live, "recorded", True)
    assert (second.version, second.previous) == (version["fingerprint"], live)

    answers = stages.answer_question(title, AnswerSettings(), run.settings.index, root=run.root)["answers"]
    assert answers[0]["sources"], answers


def test_a_training_that_was_killed_goes_on_at_its_checkpoint(recorded: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Danger: an update in the middle of a night's training begins it again."""
    run = run_on(recorded, max_steps=6, seed=2)
    catalogue = stages.convert(run, stages.download(run))
    caplog.set_level(logging.INFO)
    made = train(Path(catalogue["path"]), run.settings.train, root=run.root)
    assert not made.reused
    assert "resuming after step 4," in caplog.text, caplog.text
