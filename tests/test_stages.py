"""include/stages.py: malformed catalogues fail at the right task, in one sentence, and leave nothing behind."""

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include import stages
from include.catalogue.schema import PRODUCTS_FILE, read_rows
from include.core import artifacts, kinds
from include.core.answer_settings import AnswerSettings
from include.core.errors import NoLiveIndex, NotPublished, Terminal, Transient, VitrineError
from include.core.forms import pipeline_settings
from include.results import as_list
from include.run import Run
from include.store.version import IndexVersion
from tests.small import products

LINE = json.dumps({"uid": "0000000001", "title": "A kettle", "content": "It boils water."}).encode() + b"\n"


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def packed(lines: bytes) -> bytes:
    return archive({"LF-Amazon-1.3M/trn.json.gz": gzip.compress(lines)})


MALFORMED: dict[str, tuple[Callable[[], bytes], str, str]] = {
    # name: content, the stage that must refuse it, a word that its sentence must have
    "not a zip": (lambda: b"\x00\x01\x02 no catalogue at all", "download", "neither"),
    "truncated": (lambda: packed(LINE * 500)[:-200], "download", "truncated|cut|ends"),
    "an html page": (lambda: b"<!DOCTYPE html><html><body>Sign in</body></html>", "download", "web page|HTML"),
    "empty file": (lambda: b"", "download", "empty"),
    "zip-slip member": (lambda: archive({"../../etc/trn.json": LINE}), "download", r"\.\./"),
    "no trn.json": (lambda: archive({"readme.txt": b"hello", "data/other.txt": b"a,b"}), "download", "other.txt"),
    "empty trn.json": (lambda: packed(b""), "convert", "no|empty"),
    "every line bad": (lambda: packed(b"{not json\n" * 50), "convert", "50"),
    "flipped byte": (lambda: flipped(packed(LINE * 500)), "download", "damaged|CRC|corrupt"),
}


def flipped(content: bytes) -> bytes:
    place = content.index(b"trn.json.gz") + 60
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_catalogue_fails_at_the_right_task_and_leaves_no_artifact(
    name: str, root: Path, tmp_path: Path
) -> None:
    """A bad file that passes a stage is found three stages later, or never."""
    content, failing, words = MALFORMED[name]
    file = tmp_path / "catalogue.zip"
    file.write_bytes(content())
    settings = pipeline_settings({"source": str(file)})
    run = Run(settings=settings, root=root, run_id="r", logical_date=datetime(2026, 11, 22, tzinfo=UTC))

    if failing == "download":
        with pytest.raises(VitrineError, match=words) as caught:
            stages.download(run)
    else:
        source = stages.download(run)
        with pytest.raises(VitrineError, match=words) as caught:
            stages.convert(run, source)
        assert artifacts.published(root, kinds.CATALOGUE) == []
        assert not list((root / "catalogue").glob(".tmp-*"))
    if failing == "download":
        assert artifacts.published(root, kinds.SOURCE) == []
    assert isinstance(caught.value, Terminal) != isinstance(caught.value, Transient)
    assert caught.value.what.strip().count("\n") == 0, "one sentence, not a page"
    assert caught.value.next_step, "it says what to do"


def test_the_date_in_a_source_is_the_runs_own(root: Path, tmp_path: Path) -> None:
    """A backfill that reads today's file for each past day builds one index many times."""
    (tmp_path / "2026-03-01.jsonl").write_bytes(LINE)
    settings = pipeline_settings({"source": f"{tmp_path}/{{date}}.jsonl"})
    run = Run(settings=settings, root=root, run_id="r", logical_date=datetime(2026, 3, 1, tzinfo=UTC))
    assert stages.download(run)["stats"]["bytes"] == len(LINE)
    other = Run(settings=settings, root=root, run_id="r", logical_date=datetime(2026, 3, 2, tzinfo=UTC))
    with pytest.raises(Terminal, match=r"2026-03-02\.jsonl"):
        stages.download(other)


def test_one_shard_is_taken_as_several_are() -> None:
    """Airflow hands over a single mapped result without its list: a catalogue of one shard could not be verified."""
    one = {"shard": 0, "upsert": {}}
    assert as_list(one) == [one]
    assert as_list(iter([one, one])) == [one, one]


def test_real_products_become_a_live_index_of_every_accepted_uid(root: Path, real_zip: Path, tiny_base: Path) -> None:
    """The first version lost half of the rows on the way: the count of points is the count of uids."""
    conf = {"source": str(real_zip), "base_model": str(tiny_base), "max_steps": 2, "max_tokens": 16, "shards": 2}
    settings = pipeline_settings({**conf, "row_group_rows": 900, "tolerance": 1.0, "min_recall": 0.5})
    run = Run(settings=settings, root=root, run_id="r", logical_date=datetime(2026, 11, 22, tzinfo=UTC))
    catalogue = stages.convert(run, stages.download(run))
    model = stages.fine_tune(run, catalogue)
    evaluation = stages.evaluate(run, catalogue, model)
    shards = [stages.upsert(run, stages.embed(run, part)) for part in stages.plan_shards(run, catalogue, model)]
    version = stages.verify(run, shards)
    assert stages.publish(run, version, evaluation, {"asked": False, "reason": "promote is auto"})["published"]

    counts = catalogue["stats"]["trn"]
    assert counts["read"] == counts["accepted"] + counts["rejected"] + counts["merged"]
    rows = read_rows(Path(catalogue["path"]) / PRODUCTS_FILE, ["uid"])
    uids = {uid for table in rows for uid in table.column("uid").to_pylist()}
    store = run.open_store()
    searcher = store.open(str(store.live()), [part["upsert"] for part in shards])
    try:
        assert searcher.count() == len(uids) == counts["accepted"]
    finally:
        searcher.close()


@pytest.fixture
def start(root: Path, catalogue: Path, tiny_base: Path, training_here: None) -> Callable[..., Run]:
    """A function that gives the run of this name with these settings, over a catalogue of 60 products."""

    def make(run_id: str, **conf: Any) -> Run:
        small = {"base_model": str(tiny_base), "max_steps": 2, "batch_size": 8, "max_tokens": 16, "holdout": 10}
        settings = pipeline_settings({**small, "tolerance": 1.0, "min_recall": 0.5, "row_group_rows": 100, **conf})
        date = datetime(2026, 11, 22, tzinfo=UTC)
        return Run(settings=settings, root=root, run_id=run_id, logical_date=date)

    return make


def test_an_index_of_fewer_dimensions_is_built_and_asked(start: Callable[..., Run], catalogue: Path) -> None:
    """For Matryoshka models: every stage, and the question, must cut the vectors at the same place."""
    run = start("r", matryoshka="16", dimensions=16)
    model = stages.fine_tune(run, summary(catalogue))
    evaluation = stages.evaluate(run, summary(catalogue), model)
    parts = stages.plan_shards(run, summary(catalogue), model)
    version = stages.verify(run, [stages.upsert(run, stages.embed(run, part)) for part in parts])
    assert version["stats"]["recall"] > 0.9
    assert stages.publish(run, version, evaluation, {"asked": False, "reason": "promote is auto"})["published"]
    settings = AnswerSettings(threshold=0.0, mode="dense")
    found = stages.answer_question(products(60)[7].title, settings, run.settings.index, root=run.root)
    assert found["answers"][0]["sources"], "found in the index, and their sentences scored"
    assert IndexVersion.read(Path(version["path"])).dim == 16
    again = start("again", matryoshka="16", hard_negatives=2, seed=3)
    assert stages.fine_tune(again, summary(catalogue))["stats"]["steps"] == 2


def summary(path: Path) -> dict[str, Any]:
    return artifacts.read(path).summary()


def test_retrain_always_trains_once_a_run(start: Callable[..., Run], catalogue: Path) -> None:
    """Each run its own model, but a retry that trained again would throw hours away."""
    first = stages.fine_tune(start("one", retrain="always"), summary(catalogue))
    retry = stages.fine_tune(start("one", retrain="always"), summary(catalogue))
    other = stages.fine_tune(start("two", retrain="always"), summary(catalogue))
    assert (first["reused"], retry["reused"], other["reused"]) == (False, True, False)
    assert retry["fingerprint"] == first["fingerprint"] != other["fingerprint"]


def test_retrain_auto_trains_when_something_changed(
    start: Callable[..., Run], catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unchanged catalogue costs no process, whatever `retrain` said before; a changed setting is not overlooked."""
    first = stages.fine_tune(start("one", retrain="always"), summary(catalogue))
    changed = stages.fine_tune(start("two", seed=43), summary(catalogue))
    assert not changed["reused"] and changed["fingerprint"] != first["fingerprint"]
    monkeypatch.setattr("include.training.train.train_in_subprocess", None)  # it cannot be called
    again = stages.fine_tune(start("three"), summary(catalogue))
    assert again["reused"] and again["fingerprint"] == first["fingerprint"]


def test_retrain_never_takes_the_live_model(start: Callable[..., Run], catalogue: Path) -> None:
    """A refresh of the index must not wait for training, nor change the model behind the answers."""
    with pytest.raises(NoLiveIndex, match="retrain = auto first"):
        stages.fine_tune(start("too early", retrain="never"), summary(catalogue))

    run = start("first")
    model = stages.fine_tune(run, summary(catalogue))
    evaluation = stages.evaluate(run, summary(catalogue), model)
    parts = stages.plan_shards(run, summary(catalogue), model)
    version = stages.verify(run, [stages.upsert(run, stages.embed(run, part)) for part in parts])
    approval = stages.request_approval(run, {"verify": version, "evaluate": evaluation}, "link")
    assert approval == {"asked": False, "reason": "promote is auto"}
    assert stages.publish(run, version, evaluation, approval)["published"]

    refresh = start("refresh", retrain="never", seed=44)  # other settings of training do not matter then
    found = stages.fine_tune(refresh, summary(catalogue))
    assert (found["fingerprint"], found["reused"]) == (model["fingerprint"], True)
    assert stages.evaluate(refresh, summary(catalogue), found)["stats"]["gate"]["passed"], "it is live already"


@pytest.mark.parametrize(
    ("states", "told"),
    [
        ({"convert": "failed", "publish": "upstream_failed"}, "convert failed"),
        ({"shard.embed_1": "failed", "publish": "upstream_failed", "report": "failed"}, r"shard\.embed_1 failed"),
        ({"publish": "upstream_failed", "prune": "failed"}, "the run was ended from outside"),
        ({"convert": "success", "publish": "skipped"}, "the run was ended from outside"),
        ({"publish": "None"}, "the run was ended from outside"),
        ({}, "the run was ended from outside"),
    ],
)
def test_a_run_without_a_decision_is_no_success(states: dict[str, str], told: str) -> None:
    """Alerts look at the run's state, which is this task's: nothing published, nothing green."""
    with pytest.raises(NotPublished, match=f"has not come to its decision: {told}"):
        stages.outcome(states)


def test_a_failed_report_or_pruning_does_not_fail_a_published_run() -> None:
    """The index is live: a red run would send somebody to mend what works."""
    stages.outcome({"publish": "success", "report": "failed", "prune": "failed"})


def test_a_trial_on_the_sample_leaves_the_real_index_live(
    root: Path, tmp_path: Path, tiny_base: Path, training_here: None
) -> None:
    """The whole way, from the form's default source: it replaced 1,695 real products, and the run was green."""
    file = tmp_path / "mine.jsonl"
    lines = [{"uid": row.uid, "title": row.title, "content": row.content} for row in products(60)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    small = {"base_model": str(tiny_base), "max_steps": 2, "batch_size": 8, "max_tokens": 16, "holdout": 10}
    conf = {**small, "tolerance": 1.0, "min_recall": 0.5, "shards": 1, "sample_products": 50}

    def go(run_id: str, **more: Any) -> dict[str, Any]:
        date = datetime(2026, 11, 22, tzinfo=UTC)
        run = Run(settings=pipeline_settings({**conf, **more}), root=root, run_id=run_id, logical_date=date)
        catalogue = stages.convert(run, stages.download(run))
        model = stages.fine_tune(run, catalogue)
        evaluation = stages.evaluate(run, catalogue, model)
        parts = stages.plan_shards(run, catalogue, model)
        version = stages.verify(run, [stages.upsert(run, stages.embed(run, part)) for part in parts])
        approval = stages.request_approval(run, {"verify": version, "evaluate": evaluation}, "link")
        return stages.publish(run, version, evaluation, approval)

    real = go("mine", source=str(file))
    trial = go("trial")
    assert real["published"]
    assert not trial["published"]
    assert trial["reason"].startswith("kept, not published: the synthetic sample would replace a real catalogue: ")
    run = Run(settings=pipeline_settings(conf), root=root, run_id="look", logical_date=datetime.now(UTC))
    assert run.open_store().live() == real["version"]
    assert go("meant", replace_with_sample="products")["published"]
