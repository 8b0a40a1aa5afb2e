"""What pruning goes by: the runs' records, while they change, are odd, or cannot be written."""

import errno
import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include import stages
from include.core import artifacts, kinds, ledger
from include.core.artifacts import Artifact
from include.core.errors import DamagedArtifact, StorageFull
from include.core.files import write_json
from include.core.forms import pipeline_settings
from include.core.in_use import lock_of
from include.core.settings import RetentionSettings
from include.core.space import SPARE
from include.publishing import prune_command, room
from include.publishing.needed import needed
from include.publishing.prune import prune
from include.run import Run
from include.store.journal import Entry, Journal

LAST = RetentionSettings(keep_runs=1)


def run_of(root: Path, name: str, **conf: Any) -> Run:
    return Run(
        settings=pipeline_settings({"source": "/x", **conf}), root=root, run_id=name, logical_date=datetime.now(UTC)
    )


def stage_of(made: Artifact) -> Any:
    """A stage that finds an artifact."""

    def verify(_: Run) -> dict[str, Any]:
        return made.summary()

    return stages.recorded(verify)


def make(root: Path, name: str, kind: artifacts.Kind = kinds.SOURCE, size: int = 1) -> Artifact:
    """An artifact of so many bytes."""

    def write(space: artifacts.Workspace) -> dict[str, Any]:
        (space.path / "file").write_bytes(bytes(size))
        return {"bytes": size}

    return artifacts.build(root, kind, write, settings={"run": name})


def made_by(root: Path, name: str, kind: artifacts.Kind = kinds.SOURCE, size: int = 1, **conf: Any) -> Artifact:
    """What a run has made as its only stage, a minute ago, before it ended."""
    made = make(root, name, kind, size)
    stage_of(made)(run_of(root, name, **conf))
    ledger.finish(root, name)
    for path in (made.path, lock_of(made.path)):
        os.utime(path, (time.time() - 60.5,) * 2)
    return made


@pytest.mark.parametrize("began", [True, False])
def test_a_run_that_begins_while_a_pass_is_under_way_ends_the_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, began: bool
) -> None:
    """Its person clears `publish` of an old run, or rolls back: the version that goes live would be removed."""
    old, _ = made_by(tmp_path, "old", kinds.VERSION), made_by(tmp_path, "new")

    def meanwhile(*given: Any) -> set[str]:
        found = needed(*given)
        if began:
            now = datetime.now(UTC)
            ledger.begin(tmp_path, ledger.RunRecord(run_id="old", began=now, seen=now), "publish", [])
        else:
            journal = Journal.load(tmp_path, "products")
            journal.path.parent.mkdir(parents=True)
            journal.history.append(Entry(old.fingerprint, "2026-01-04", "old", "2026-01-04"))
            journal.save()
        return found

    with monkeypatch.context() as patch:
        patch.setattr("include.publishing.prune.needed", meanwhile)
        done = prune(tmp_path, LAST)
    assert old.path.exists()
    assert any("stopped early" in note for note in done.notes)


def test_a_trial_that_keeps_one_run_leaves_other_collections_alone(tmp_path: Path) -> None:
    kept = [made_by(tmp_path, f"product {each}", keep_runs=3) for each in range(3)]
    trials = [made_by(tmp_path, f"trial {each}", collection="trial", keep_runs=1) for each in range(2)]
    stages.prune(run_of(tmp_path, "trial 1", collection="trial", keep_runs=1))
    assert [made.path.exists() for made in (*kept, *trials)] == [True] * 3 + [False, True]
    made_by(tmp_path, "product 3", keep_runs=3)
    stages.prune(run_of(tmp_path, "product 3", keep_runs=3))
    assert [made.path.exists() for made in kept] == [False, True, True]


def test_what_is_set_in_the_environment_for_new_runs_does_not_prune_those_that_keep_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = [made_by(tmp_path, f"run {each}", keep_runs=4) for each in range(4)]
    monkeypatch.setenv("VITRINE_DATA", str(tmp_path))
    monkeypatch.setenv("VITRINE_KEEP_RUNS", "1")
    assert prune_command.main([]) == 0
    assert all(made.path.exists() for made in kept)


def test_a_run_keeps_its_outputs_at_its_own_end_though_others_began_later(tmp_path: Path) -> None:
    own = made_by(tmp_path, "own", keep_runs=1)
    made_by(tmp_path, "later", keep_runs=1)
    stages.prune(run_of(tmp_path, "own", keep_runs=1))
    assert own.path.exists()


def test_nothing_whole_goes_while_a_run_seems_to_be_of_the_future(tmp_path: Path) -> None:
    """After a clock is set back, today's run would be older than last week's."""
    made = [made_by(tmp_path, name) for name in ("first", "second")]
    record = ledger.records(tmp_path)[0].model_copy(update={"seen": datetime.now(UTC) + timedelta(days=30)})
    ledger.file_of(tmp_path, record.run_id).write_text(record.model_dump_json())
    done = prune(tmp_path, LAST)
    assert all(each.path.exists() for each in made)
    assert any("Was the clock set back?" in note for note in done.notes)


def test_a_full_disk_is_pruned_before_a_run_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first thing that a run, and its task prune, would write is a note for which there is no room."""
    old, new = made_by(tmp_path, "old", keep_runs=1), made_by(tmp_path, "new", keep_runs=1)
    full = [old]

    def no_room(path: Path, value: Any) -> None:
        if any(each.path.exists() for each in full):
            raise OSError(errno.ENOSPC, "No space left on device")
        write_json(path, value)

    monkeypatch.setattr("include.core.ledger.write_json", no_room)
    stage_of(make(tmp_path, "next"))(run_of(tmp_path, "next", keep_runs=1))
    assert {record.run_id for record in ledger.records(tmp_path)} == {"new", "next"}
    full[:] = [new]
    stages.prune(run_of(tmp_path, "next", keep_runs=1))
    assert ledger.records(tmp_path)[0].ended is not None


def test_what_is_no_collection_does_not_stop_pruning(tmp_path: Path) -> None:
    old, _ = made_by(tmp_path, "old"), made_by(tmp_path, "new")
    (tmp_path / "index" / "Old copy").mkdir(parents=True)
    (tmp_path / "index" / "notes.txt").write_text("mine")
    prune(tmp_path, LAST)
    assert not old.path.exists()


def estimated(root: Path, before: int, now: int) -> Artifact:
    """The source of a run whose collection's last run had one of `before` bytes, a catalogue and a model."""
    source = made_by(root, "week", size=before)
    others = [make(root, "week", kind, size=2**22) for kind in (kinds.CATALOGUE, kinds.MODEL)]
    ledger.end(root, "week", "convert", [f"{made.kind}/{made.fingerprint}" for made in (source, *others)])
    return make(root, "next", size=now)


@pytest.mark.parametrize(("before", "now", "free", "fails"), [(10**6, 10**5, 2, False), (10**5, 10**6, 2, True)])
def test_a_run_fails_only_if_its_catalogue_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int, now: int, free: int, fails: bool
) -> None:
    """A tenth of the file takes a tenth of the room, and the model may be there already."""
    source = estimated(tmp_path, before, now)
    monkeypatch.setattr(room, "free_bytes", lambda _: SPARE + free * 2**20)
    if fails:
        with pytest.raises(StorageFull, match="a file 10 times as large"):
            room.require_room(run_of(tmp_path, "next"), source)
        return
    [note] = room.require_room(run_of(tmp_path, "next"), source)
    assert "model 5 MiB" in note and "a file 0.1 times as large" in note


def test_a_last_source_of_unknown_size_counts_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = estimated(tmp_path, 10**5, 10**6)
    [last] = [each for each in (tmp_path / "source").glob("[!.]*") if each != source.path]
    shutil.rmtree(last)
    monkeypatch.setattr(room, "free_bytes", lambda _: 0)
    [note] = room.require_room(run_of(tmp_path, "next"), source)
    assert "a first run may need 12 times its file" in note


def test_a_record_that_cannot_be_read_stops_pruning_alone(tmp_path: Path) -> None:
    """A new file is fetched all the same: only who deletes must know what that run needs."""
    old, source = made_by(tmp_path, "old"), made_by(tmp_path, "new")
    (tmp_path / "runs" / f"{'f' * 32}.json").write_text("")
    [note] = room.require_room(run_of(tmp_path, "new"), source)
    assert f"{'f' * 32}.json" in note
    with pytest.raises(DamagedArtifact):
        prune(tmp_path, LAST)
    assert old.path.exists()
