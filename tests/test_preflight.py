"""include/preflight.py: what a run could be told in its first seconds, it is not told after hours."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include import stages
from include.core import artifacts, kinds
from include.core.errors import OlderDate, Terminal
from include.core.forms import pipeline_settings
from include.preflight import preflight
from include.run import Run
from tests.indexed import Shop, day, open_shop


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Shop:
    return open_shop(tmp_path_factory.mktemp("built") / "data", tiny_model)


@pytest.fixture
def shop(built: Shop, root: Path) -> Shop:
    """A real catalogue of 10 January is live."""
    made = built.copy(root)
    made.publish(1, date=day(10))
    return made


def run(root: Path, date: datetime, **conf: Any) -> Run:
    settings = pipeline_settings({"source": "no such file.zip", **conf})
    return Run(settings=settings, root=root, run_id="r", logical_date=date)


def test_an_older_run_says_at_its_start_that_it_can_only_build(
    shop: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It trained for hours before publish refused its date."""
    file = tmp_path / "catalogue.jsonl"
    file.write_text('{"uid": "1", "title": "A kettle", "content": "It boils."}\n')
    with caplog.at_level(logging.WARNING):
        done = stages.download(run(shop.root, day(5), source=str(file)))
    [note] = done["notes"]
    assert note.startswith("This run can only build: the live version ")
    assert "2026-01-10T00:00:00+00:00, newer than this run's 2026-01-05T00:00:00+00:00" in note
    assert note in caplog.messages


def test_an_older_run_can_be_refused_before_it_fetches_a_byte(shop: Shop) -> None:
    """Terminal, with the way out; the missing file is not even looked for."""
    with pytest.raises(OlderDate, match="newer than this run's") as caught:
        stages.download(run(shop.root, day(5), older_dates="refuse"))
    assert isinstance(caught.value, Terminal)
    assert "older_dates = build" in caught.value.next_step
    assert artifacts.published(shop.root, kinds.SOURCE) == []
    with pytest.raises(Terminal, match=r"no such file\.zip"):  # a date that is not older goes on
        stages.download(run(shop.root, day(10), older_dates="refuse"))


def test_a_run_that_is_not_to_publish_says_so_and_is_not_refused(shop: Shop) -> None:
    """A backfill of versions, unpublished, is what `never` is for."""
    notes = preflight(run(shop.root, day(5), promote="never", older_dates="refuse"))
    assert notes == [
        "This run can only build: promote is never, so its version is built and verified, but not published."
    ]


def test_a_trial_on_the_sample_is_told_at_its_start(shop: Shop) -> None:
    """Ten minutes of training for an index that will be kept aside."""
    [note] = preflight(run(shop.root, day(11), source="sample"))
    assert "in collection products a real catalogue is live" in note
    assert preflight(run(shop.root, day(11), source="sample", replace_with_sample="products")) == []
    assert preflight(run(shop.root, day(11), source="sample", promote="approval")) == []
    assert preflight(run(shop.root, day(11), source="sample", collection="trial")) == []


def test_a_run_that_can_publish_is_told_nothing(shop: Shop, tmp_path: Path) -> None:
    """Warnings at each start are read by nobody."""
    assert preflight(run(shop.root, day(10))) == []
    assert preflight(run(tmp_path / "empty", datetime(2020, 1, 1, tzinfo=UTC))) == []
