"""A catalogue that changes from run to run, through the stages: what is done again, what a person is told of it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include import stages
from include.catalogue.attributes import Attribute
from include.core import artifacts
from include.core.answer_settings import AnswerSettings
from include.core.forms import pipeline_settings
from include.model.encoder import Encoder
from include.run import Run
from tests.small import Product, products, write_catalogue

PRICE = [Attribute(name="price", type="money", field="Price")]


def run_of(root: Path, day: int, base: Path, **conf: Any) -> Run:
    settings = pipeline_settings({"base_model": str(base), "shards": 2, "max_steps": 2, "tolerance": 1.0, **conf})
    return Run(settings, root, f"run {day}", datetime(2026, 1, day, tzinfo=UTC))


def after(run: Run, catalogue: dict[str, Any]) -> dict[str, Any]:
    """All stages after convert; what each has left, by name."""
    left: dict[str, Any] = {"convert": catalogue}
    left["fine_tune"] = stages.fine_tune(run, catalogue)
    left["evaluate"] = stages.evaluate(run, catalogue, left["fine_tune"])
    parts = stages.plan_shards(run, catalogue, left["fine_tune"])
    left["shards"] = [stages.upsert(run, stages.embed(run, part)) for part in parts]
    left["verify"] = stages.verify(run, left["shards"])
    left["approve"] = stages.request_approval(run, left, "link")
    left["publish"] = stages.publish(run, left["verify"], left["evaluate"], left["approve"])
    return left


def priced(root: Path, rows: list[Product], prices: list[float]) -> dict[str, Any]:
    values = [{"price": price} for price in prices]
    return artifacts.read(write_catalogue(root, rows, attributes=PRICE, values=values)).summary()


def test_new_prices_train_no_model_and_embed_no_text(
    root: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Danger: a shop's prices change every night, and each night's run would train and embed for hours."""
    rows = products(100)
    prices = [10.0 + number for number in range(100)]
    first = after(run_of(root, 1, tiny_base), priced(root, rows, prices))
    assert first["publish"]["published"]

    monkeypatch.setattr(Encoder, "load", lambda *_, **__: pytest.fail("a model was loaded: something is embedded"))
    prices[20], prices[70] = 1.0, 2.0
    second = after(run_of(root, 2, tiny_base), priced(root, rows, prices))
    assert second["fine_tune"]["reused"]
    assert [shard["embedding"]["reused"] for shard in second["shards"]] == [True, True]
    assert [shard["upsert"]["reused"] for shard in second["shards"]] == [False, False], "their payloads are new"
    assert second["publish"]["published"]
    asked = AnswerSettings(mode="bm25", top_k=1)
    found = stages.answer_question(rows[70].title, asked, run_of(root, 2, tiny_base).settings.index, root=root)
    [source] = found["answers"][0]["products"]
    assert (source["uid"], source["attributes"]) == (rows[70].uid, {"price": 2.0})
    counted = {name: second["publish"]["catalogue"][name] for name in FATES}
    assert counted == {"gone": 0, "new": 0, "changed_text": 0, "changed_attributes": 2, "unchanged": 98}

    third = run_of(root, 3, tiny_base, retrain="never")
    turned = priced(root, [*rows[1:], rows[0]], [*prices[1:], 3.0])  # one row further, so no shard is as it was
    parts = stages.plan_shards(third, turned, stages.fine_tune(third, turned))
    made = [stages.embed(third, part)["embedding"]["stats"] for part in parts]
    assert [(each["embedded"], each["copied"]) for each in made] == [(0, 50), (0, 50)]


FATES = ("gone", "new", "changed_text", "changed_attributes", "unchanged")


def export(file: Path, rows: list[Product]) -> None:
    file.write_text("".join(json.dumps({"uid": row.uid, "title": row.title}) + "\n" for row in rows))


@pytest.fixture
def shop(root: Path, tmp_path: Path, tiny_base: Path) -> Path:
    """A shop of 60 products is live, from a file that the next export will replace."""
    file = tmp_path / "export.jsonl"
    export(file, products(60))
    run = run_of(root, 1, tiny_base, source=str(file))
    catalogue = stages.convert(run, stages.download(run))
    assert catalogue["notes"] == []
    assert after(run, catalogue)["publish"]["published"]
    return file


def test_half_an_export_is_told_before_training_and_never_replaces_the_whole(
    shop: Path, root: Path, tiny_base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Danger: the shop's export broke off, its half was read well, and half of the shop was gone by the morning."""
    rows = products(31)
    export(shop, [*rows[:30], rows[30]._replace(title="a renamed camera")])
    run = run_of(root, 2, tiny_base, source=str(shop))
    catalogue = stages.convert(run, stages.download(run))
    told = (
        "the live version has 60 products, this one 31; 29 of the live ones are gone (48%), 0 are new, 1 have another "
        "text, 0 other attributes alone, 30 are unchanged"
    )
    [note] = catalogue["notes"]
    assert note.startswith("This run can only build, its version would be kept and not published: more products are")
    assert told in note
    assert 'raise max_gone ("Products that may go") to 0.49' in note
    assert ("WARNING", note) in [(record.levelname, record.message) for record in caplog.records]

    left = after(run, catalogue)
    assert not left["publish"]["published"]
    assert told in left["publish"]["reason"]
    page = (Path(stages.report(left, root=root, run_id="r", logical_date="")["path"]) / "report.html").read_text()
    assert "This run can only build, its version" in page
    for fate in ("removed", "added", "changed text", "changed attributes alone", "unchanged"):
        assert f">{fate}</th>" in page, fate


def test_whoever_approves_sees_what_is_gone_and_changed(shop: Path, root: Path, tiny_base: Path) -> None:
    """With promote = approval half an export is a question, with the counts in it."""
    export(shop, products(30))
    run = run_of(root, 2, tiny_base, source=str(shop), promote="approval")
    catalogue = stages.convert(run, stages.download(run))
    [note] = catalogue["notes"]
    assert note.startswith("A person will be asked: more products are gone than max_gone = 0.3 allows: the live")
    left = after(run, catalogue)
    assert left["approve"]["subject"].endswith("although 50% of the live products are gone?")
    assert "30 of the live ones are gone (50%), 0 are new, 0 have another text" in left["approve"]["body"]
    assert "30 are unchanged" in left["approve"]["body"]


def test_a_run_that_publishes_nothing_is_not_told_what_is_gone(shop: Path, root: Path, tiny_base: Path) -> None:
    """Warnings at each run of a series that is only built are read by nobody."""
    export(shop, products(10))
    run = run_of(root, 2, tiny_base, source=str(shop), promote="never")
    assert stages.convert(run, stages.download(run))["notes"] == []
