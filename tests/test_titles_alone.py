"""A catalogue of titles alone, from its file to an answer: nothing to train on, and still an index."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include import stages
from include.core.answer_settings import AnswerSettings
from include.core.forms import pipeline_settings
from include.run import Run
from include.training.train import UNTRAINED
from tests.small import products


def test_a_catalogue_of_titles_alone_goes_live_and_says_that_nothing_was_trained(
    root: Path, tmp_path: Path, tiny_base: Path, training_here: None
) -> None:
    """Titles can be searched: such a catalogue ended at training, after the download and the conversion."""
    lines = [json.dumps({"uid": row.uid, "title": row.title}) for row in products(40)]
    source = tmp_path / "titles.jsonl"
    source.write_text("\n".join(lines) + "\n")
    settings = pipeline_settings({"source": str(source), "base_model": str(tiny_base), "shards": 1})
    run = Run(settings, root, "run", datetime(2026, 1, 1, tzinfo=UTC))
    results: dict[str, Any] = {"download": stages.download(run)}
    catalogue = results["convert"] = stages.convert(run, results["download"])
    model = results["fine_tune"] = stages.fine_tune(run, catalogue)
    results["evaluate"] = stages.evaluate(run, catalogue, model)
    results["shards"] = [
        stages.upsert(run, stages.embed(run, part)) for part in stages.plan_shards(run, catalogue, model)
    ]
    results["verify"] = stages.verify(run, results["shards"])
    results["approve"] = stages.request_approval(run, results, "")
    results["publish"] = stages.publish(run, results["verify"], results["evaluate"], results["approve"])
    assert results["publish"]["published"]
    assert UNTRAINED in results["publish"]["reason"]
    report = stages.report(results, root=root, run_id="run", logical_date=run.logical_date.isoformat())
    page = (Path(report["path"]) / "report.html").read_text()
    assert f"{UNTRAINED.capitalize()}." in page
    assert "Nothing was measured" in page
    assert "is missing" not in page
    found = stages.answer_question("golden bottle number 39", AnswerSettings(), run.settings.index, root=root)
    assert found["answers"][0]["question"] == "golden bottle number 39"
    assert "0000000039" in [each["uid"] for each in found["answers"][0]["products"]]
