"""A data directory of an earlier commit is reused whole: see tests/recorded/README.md."""

import logging
from pathlib import Path

import pytest

from include import stages
from include.core.settings import AnswerSettings
from include.store.journal import Journal
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
    made = [source, catalogue, model, evaluation, *(each["embedding"] for each in embedded), version]
    # The evaluation alone is of an earlier format: without general questions.
    assert [each["kind"] for each in made if not each["reused"]] == ["evaluation"]
    assert [each["upsert"]["reused"] for each in loaded] == [True, True]
    decision = stages.publish(run, version, evaluation, {"asked": False, "reason": "promote is auto"})
    assert decision["version"] == live == version["fingerprint"]

    (entry,) = Journal.load(run.root, "products").history
    assert (entry.version, entry.run_id, entry.sample) == (live, "recorded", True)

    title = "sleeping bag"
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
