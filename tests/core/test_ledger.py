"""What a run's record says: what it has used, and when it was last seen."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.core import artifacts, kinds, ledger
from include.core.in_use import last_used, lock_of
from include.core.ledger import RunRecord

VERSION, MODEL = f"version/{'a' * 16}", f"model/{'b' * 16}"


def begun(root: Path, name: str, *, ago: float = 0.0) -> datetime:
    """A run that has begun its stage `verify` so many days ago."""
    then = datetime.now(UTC) - timedelta(days=ago)
    ledger.begin(root, RunRecord(run_id=name, began=then, seen=then), "verify", [])
    return then


def test_everything_that_a_stage_is_given_is_found_however_deep_it_lies() -> None:
    """`approve` is given all results by task: what it waits for must stay for days."""
    given = ({"verify": {"path": f"/data/{VERSION}"}, "shards": [{"fine_tune": {"path": f"/data/{MODEL}/"}}]}, "link")
    assert set(ledger.named_in(given)) == {VERSION, MODEL}


def test_the_end_of_a_run_that_is_forgotten_leaves_no_record(tmp_path: Path) -> None:
    """Clearing `report` of old runs would push real ones out of the last."""
    begun(tmp_path, "known")
    ledger.end(tmp_path, "forgotten", "report", [])
    ledger.finish(tmp_path, "forgotten")
    assert [record.run_id for record in ledger.records(tmp_path)] == ["known"]


def test_runs_are_in_the_order_in_which_their_stages_began(tmp_path: Path) -> None:
    before = begun(tmp_path, "old", ago=3)
    begun(tmp_path, "new", ago=2)
    ledger.end(tmp_path, "old", "report", [VERSION])
    ledger.finish(tmp_path, "old")
    new, old = ledger.records(tmp_path)
    assert (new.run_id, old.run_id, old.seen, old.used) == ("new", "old", before, {VERSION})


def test_another_users_artifact_is_marked_as_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a shared data directory only a file's owner may choose its time."""
    made = artifacts.build(tmp_path, kinds.SOURCE, lambda _: {}, settings={})
    os.utime(lock_of(made.path), (0, 0))
    os.utime(made.path, (0, 0))
    utime = os.utime

    def refuse(path: Path, times: Any = None) -> None:
        if times is not None:
            raise PermissionError(1, "Operation not permitted")
        utime(path)

    monkeypatch.setattr(os, "utime", refuse)
    assert artifacts.use(made.path)
    assert last_used(made.path) > 10**9


def test_a_time_in_whole_seconds_counts_as_the_latest_that_it_may_mean(tmp_path: Path) -> None:
    """FAT keeps every second second: what was used just now must not look older than the stage that used it."""
    made = artifacts.build(tmp_path, kinds.SOURCE, lambda _: {}, settings={})
    for path in (made.path, lock_of(made.path)):
        os.utime(path, (1000, 1000))
    assert last_used(made.path) >= 1002
