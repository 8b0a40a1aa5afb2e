"""What is old goes, and nothing that anybody needs: a year of runs, kills, and pruning beside runs in flight."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include import stages
from include.core import artifacts, kinds, ledger
from include.core.environment import REPOSITORY
from include.core.errors import DamagedArtifact, StorageFull, StoreUnavailable
from include.core.index_settings import IndexSettings
from include.core.settings import RetentionSettings
from include.core.space import SPARE
from include.publishing import prune as prune_module
from include.publishing import prune_command, room
from include.publishing.prune import prune
from include.store.connection import ServerConnection
from include.store.stores import open_store
from tests.publishing import pruning
from tests.small import copy_data
from tests.weekly import Weekly

KILLS = 10


def test_a_year_of_weekly_runs_leaves_no_more_than_was_asked_for(
    tmp_path: Path, tiny_base: Path, tiny_model: Path
) -> None:
    """Danger: a full disk after some months; or a live index whose model was removed."""
    shop = Weekly(tmp_path, tiny_base, tiny_model, keep_runs=3, keep_versions=2)
    for number in range(52):
        shop.week(number)
        assert shop.decision["published"], number
        assert shop.answers(), number
        counts = shop.counts()
        assert max(counts.values()) <= 3, (number, counts)
        assert counts["version"] <= 2, number
    assert counts.keys() >= {"source", "catalogue", "model", "evaluation", "plan", "embedding", "edge", "report"}
    assert len(list((shop.root / "runs").glob("*.json"))) == len(list((shop.root / "report/by_run").iterdir())) == 3
    locks = len(list(shop.root.glob("*/.*.lock")))
    assert locks <= sum(counts.values()) + 3  # of claims, runs and the journal


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, tiny_model: Path) -> Weekly:
    """Six weeks, of which nothing was pruned."""
    shop = Weekly(tmp_path_factory.mktemp("weeks"), tiny_base, tiny_model, keep_versions=2)
    for number in range(6):
        shop.week(number)
    return shop


@pytest.fixture
def shop(built: Weekly, tmp_path: Path) -> Weekly:
    made = Weekly(tmp_path / "shop", built.base, built.saved, keep_versions=2)
    made.rows = list(built.rows)
    copy_data(built.place, made.place)
    return made


def state(root: Path) -> list[str]:
    """What there is, but for locks and reports' and runs' files."""
    return sorted(path.relative_to(root).as_posix() for path in root.glob("*/[0-9a-f]*") if path.is_dir())


def killed(root: Path, at: int) -> int:
    """Prunes to two runs in a process that is killed at its change number `at`; returns the exit status."""
    command = [sys.executable, pruning.__file__, str(root), str(at), "2"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return int(done.stdout) if done.returncode == 0 else -1


def test_a_pruning_that_is_killed_anywhere_loses_nothing(shop: Weekly, tmp_path: Path) -> None:
    """Danger: half a model, or a version without its shards, in the place of what was old."""
    whole = tmp_path / "whole"
    copy_data(shop.root, whole)
    changes = killed(whole, 10**9)
    assert changes > 100
    seed = int(os.environ.get("VITRINE_FUZZ_SEED", "11"))
    print("seed", seed)
    drawn = random.Random(seed)
    for at in sorted(drawn.sample(range(1, changes + 1), KILLS)):
        root = tmp_path / f"killed at {at}"
        copy_data(shop.root, root)
        assert killed(root, at) == -1, at
        one = Weekly(root.parent, shop.base, shop.saved)
        one.root, one.rows = root, shop.rows
        assert one.answers(), at
        for kind in one.counts():  # none is half there
            for path in artifacts.published(root, artifacts.Kind(kind, 0)):
                artifacts.read(path)
        prune(root, RetentionSettings(keep_runs=2))
        assert state(root) == state(whole), at
        shutil.rmtree(root)


def test_the_next_run_completes_after_pruning_to_the_last(shop: Weekly) -> None:
    """Danger: what is gone is missed where it should be made again."""
    before = state(shop.root)
    done = prune(shop.root, RetentionSettings(keep_runs=1))
    assert done.freed > 0
    assert len(state(shop.root)) < len(before)
    shop.week(6)
    assert shop.decision["published"]
    assert shop.answers()


def test_runs_in_flight_complete_while_others_prune_without_end(shop: Weekly) -> None:
    """Danger: a run finds its catalogue gone, or the vectors that it has just copied."""
    end = threading.Event()
    raised: list[Exception] = []

    def go_on_pruning() -> None:
        while not end.is_set():
            try:
                prune(shop.root, RetentionSettings(keep_runs=1))
            except Exception as error:
                raised.append(error)

    thread = threading.Thread(target=go_on_pruning)
    thread.start()
    try:
        # One trains on the present file, the other goes on with the live model.
        flights = [shop.steps(shop.run(f"flight {each}", 10, retrain=each)) for each in ("auto", "never")]
        for _ in zip(*flights, strict=True):
            pass
    finally:
        end.set()
        thread.join()
    assert raised == []
    assert shop.decision["published"]
    assert shop.answers()


def test_an_old_run_that_is_cleared_after_pruning_makes_everything_again(shop: Weekly) -> None:
    """Airflow's *Clear task* on a run of last month: its outputs are gone, and it must not fail of it."""
    prune(shop.root, RetentionSettings(keep_runs=1))
    [record] = ledger.records(shop.root)
    assert record.run_id == "week 5"
    for _ in shop.steps(shop.run("week 1", 1, retrain="auto")):
        pass
    assert not shop.decision["published"], "a newer date is live"
    assert {each.run_id for each in ledger.records(shop.root)} == {"week 1", "week 5"}
    assert shop.answers()


def test_a_stage_whose_finding_is_pruned_before_it_is_noted_is_done_again(
    shop: Weekly, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment between "that one is there already" and its entry in the ledger."""
    run = shop.run("late", 10)
    source = stages.download(run)
    use, calls = artifacts.use, []

    def too_late(path: Path) -> bool:
        calls.append(path)
        if len(calls) == 1:
            shutil.rmtree(path)
        return use(path)

    monkeypatch.setattr(artifacts, "use", too_late)
    made = stages.convert(run, source)
    assert len(calls) == 2
    assert artifacts.read(Path(made["path"])).kind == "catalogue"


def test_what_a_run_under_way_or_waiting_for_a_person_needs_stays(shop: Weekly) -> None:
    """Three days later the person says yes: its version must still be there."""
    shop.change(7)
    waiting = shop.steps(shop.run("waits", 7, promote="approval", retrain="never"))
    while next(waiting) != "verify":
        pass
    [record] = [each for each in ledger.records(shop.root) if each.run_id == "waits"]
    shop.week(8)
    shop.week(9)
    prune(shop.root, RetentionSettings(keep_runs=1))
    assert all((shop.root / name).exists() for name in record.used)
    assert record.is_under_way(datetime.now(UTC) + timedelta(days=9)), "72 hours, and a week of silence"
    assert not record.is_under_way(datetime.now(UTC) + timedelta(days=11))


def test_a_checkpoint_stays_while_its_run_may_be_resumed(shop: Weekly) -> None:
    """A training of hours that was killed is gone on with by whoever clears it within the kept runs."""
    run = shop.run("killed", 10)
    catalogue = stages.convert(run, stages.download(run))

    def die(*_: Any, **__: Any) -> None:
        scratch = shop.root / "model" / f".scratch-{'a' * 16}"
        scratch.mkdir()
        (scratch / "step-0000000001.checkpoint").write_bytes(bytes(2**16))
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("include.training.train.train_in_subprocess", die)
        stages.fine_tune(run, catalogue)
    stages.prune(run)
    for number in (11, 12):
        prune(shop.root, RetentionSettings(keep_runs=2))
        assert (shop.root / "model" / f".scratch-{'a' * 16}").exists(), number
        assert Path(catalogue["path"]).exists()
        shop.week(number)
    prune(shop.root, RetentionSettings(keep_runs=2))
    assert not (shop.root / "model" / f".scratch-{'a' * 16}").exists(), "two newer runs have come"


def test_vectors_of_models_that_no_kept_run_used_go(shop: Weekly) -> None:
    """Each training makes a model, and each model vectors of 50,000 texts."""
    kept = sorted((shop.root / "vectors").iterdir())
    assert kept, "evaluation keeps vectors"
    forgotten = shop.root / "vectors" / "0123456789abcdef"
    forgotten.mkdir()
    os.utime(forgotten, (0, 0))
    [row] = [row for row in prune(shop.root, RetentionSettings(keep_runs=3)).kinds if row.kind == "vectors"]
    assert (row.stay, row.gone) == (len(kept), 1)
    assert sorted((shop.root / "vectors").iterdir()) == kept


def test_leftovers_of_dead_processes_go_at_once_and_damaged_ones_later(shop: Weekly) -> None:
    """What was set aside is kept for a look; what nobody will ever look at is not."""
    old = shop.root / "catalogue" / f".damaged-{'b' * 16}-12345678"
    for name in (f".tmp-{'a' * 16}-12345678", f".discarded-{'a' * 16}-12345678", old.name):
        (shop.root / "catalogue" / name).mkdir()
    young = shop.root / "model" / f".damaged-{'c' * 16}-12345678"
    young.mkdir()
    os.utime(old, (0, 0))
    done = prune(shop.root, RetentionSettings(keep_runs=3))
    left = [path.name for path in (shop.root / "catalogue").glob(".*") if not path.name.endswith(".lock")]
    assert left == []
    assert young.exists()
    assert [(row.stay, row.gone) for row in done.kinds if row.kind == "leftovers"] == [(1, 3)]


def test_nothing_whole_goes_while_fewer_runs_are_known_than_are_kept(shop: Weekly) -> None:
    """After an upgrade the ledger is empty: what it does not name is not old for that."""
    before = state(shop.root)
    prune(shop.root, RetentionSettings(keep_runs=7))
    assert state(shop.root) == before
    shutil.rmtree(shop.root / "runs")
    prune(shop.root, RetentionSettings(keep_runs=1))
    assert state(shop.root) == before


def test_runs_of_the_last_days_are_kept_whatever_their_number(shop: Weekly) -> None:
    before = state(shop.root)
    prune(shop.root, RetentionSettings(keep_runs=1, keep_days=1))
    assert state(shop.root) == before


def test_a_journal_that_cannot_be_read_stops_pruning(shop: Weekly) -> None:
    """Which versions are kept is not known then: nothing may go."""
    before = state(shop.root)
    (shop.root / "index" / "products" / "journal.json").write_text("{")
    with pytest.raises(DamagedArtifact, match=r"journal\.json"):
        prune(shop.root, RetentionSettings(keep_runs=1))
    assert state(shop.root) == before


def test_the_live_version_stays_though_its_journal_is_lost(shop: Weekly) -> None:
    """Who moved a damaged journal away was told that the live index stays."""
    (shop.root / "index" / "products" / "journal.json").unlink()
    shop.change(20)
    run = shop.run("another", 20, retrain="never")
    stages.download(run)
    stages.prune(run)
    prune(shop.root, RetentionSettings(keep_runs=1))
    assert shop.answers()


def test_the_shards_of_a_kept_version_stay_though_its_description_is_damaged(shop: Weekly) -> None:
    """It can be verified again from them; without them, it would be lost."""
    live = json.loads((shop.root / "index/products/live.json").read_text())["version"]
    shards = json.loads((shop.root / "version" / live / "version.json").read_text())["shards"]
    (shop.root / "version" / live / "version.json").write_text("{")
    prune(shop.root, RetentionSettings(keep_runs=1))
    assert all((shop.root / shard[name]).exists() for shard in shards for name in ("path", "embedding"))
    assert artifacts.described(shop.root / "version" / live).kind == "version"


def test_a_version_on_a_server_goes_with_its_collection(shop: Weekly, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old collections fill the server's disk, and nobody looks there."""
    index = IndexSettings(store="server")
    server = open_store(index, root=shop.root, server=ServerConnection(location=":memory:"))
    deleted: list[str] = []

    def delete(version: str, shards: Any) -> None:
        if len(deleted) == 1:
            raise StoreUnavailable("The server did not answer.")
        deleted.append(version)

    monkeypatch.setattr(server, "delete", delete)
    monkeypatch.setattr(
        prune_module, "open_store", lambda *given, **named: server if named["server"] else open_store(*given, **named)
    )
    plans = []
    for week in (1, 2, 3):
        run = replace(shop.run(f"server {week}", week, store="server"), server=ServerConnection(location=":memory:"))
        shop.change(week + 20)
        catalogue = stages.convert(run, stages.download(run))
        model = artifacts.read(artifacts.published(shop.root, kinds.MODEL)[0]).summary()
        [part] = stages.plan_shards(run, catalogue, model)
        ledger.finish(shop.root, run.run_id)
        plans.append(artifacts.read(Path(part["plan"])))
    local = prune(shop.root, RetentionSettings(keep_runs=1))
    assert [plan.path.exists() for plan in plans] == [True] * 3
    assert any(
        "of products on a Qdrant server stay: store = 'server' needs a connection" in note for note in local.notes
    )
    assert not any(row.gone for row in local.kinds if row.kind == "plan")
    away = prune(shop.root, RetentionSettings(keep_runs=1), server=ServerConnection(location=":memory:"))
    assert deleted == [plan.stats["version"] for plan in plans if not plan.path.exists()]
    assert len(deleted) == 1
    assert plans[2].path.exists()
    assert any("The server did not answer" in note for note in away.notes)


def test_the_command_shows_what_would_go_and_then_it_goes(
    shop: Weekly, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make prune ARGS=--dry-run` is looked at by somebody who is afraid of losing something."""
    monkeypatch.setenv("VITRINE_DATA", str(shop.root))
    before = sorted((path, path.stat().st_mtime_ns) for path in shop.root.rglob("*"))
    command = [sys.executable, "-m", "include.publishing.prune_command"]
    environment = {**os.environ, "GIVEN_ARGS": "--dry-run --keep-runs 2"}  # as the Makefile gives it
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    assert sorted((path, path.stat().st_mtime_ns) for path in shop.root.rglob("*")) == before
    shown = done.stdout
    assert "would go" in shown.splitlines()[0]
    rows = {line.split()[0]: line.split()[1:] for line in shown.splitlines()[1:-2]}
    assert prune_command.main(["--dry-run", "--keep-runs", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[:-2] == shown.splitlines()[:-2], "but for what is free on the disk"
    assert prune_command.main(["--keep-runs", "2"]) == 0
    went = capsys.readouterr().out
    assert {line.split()[0]: line.split()[1:] for line in went.splitlines()[1:-2]} == rows
    assert int(rows["catalogue"][0]) == 2 and int(rows["catalogue"][2]) == 4
    assert prune_command.main(["--keep-runs", "none"]) == 1
    assert "keep_runs = 'none'" in capsys.readouterr().err


def free(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(room, "free_bytes", lambda _: size)


def test_a_run_is_told_at_its_start_that_the_disk_will_not_do(shop: Weekly, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours of training, and then no room for the vectors."""
    needed = room.estimate(shop.root, "products")
    assert needed is not None
    assert needed.by_kind.keys() >= {"source", "catalogue", "model", "embedding", "edge"}
    shop.change(20)
    free(monkeypatch, needed.of("catalogue") + SPARE // 2)
    with pytest.raises(StorageFull, match=r"at least .* MiB .*as run week 5.*make prune"):
        stages.download(shop.run("full", 20, keep_runs=2))
    assert len(shop.counts()) and shop.counts()["catalogue"] == 2, "it has pruned before it gave up"
    free(monkeypatch, needed.of("catalogue", "tokens", "model") + 2 * SPARE)
    shop.change(21)
    monkeypatch.setattr(room, "WORKING", 10**4)
    [note] = stages.download(shop.run("tight", 21))["notes"]
    assert note.startswith("The disk may become full: this run may need ")
    free(monkeypatch, 0)
    assert stages.download(shop.run("same", 22))["notes"] == [], "the file is here already, and so is the rest"


def test_a_first_run_is_warned_by_the_size_of_its_file(
    tmp_path: Path, tiny_base: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Weekly(tmp_path, tiny_base, tiny_model)
    shop.change(0)
    free(monkeypatch, SPARE)
    [note] = stages.download(shop.run("first", 0))["notes"]
    assert "a first run may need 12 times its file, 1 MiB, and 16 MiB are free" in note


def test_the_end_of_a_run_warns_before_the_disk_is_full(shop: Weekly, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "WORKING", 10**9)
    done = stages.prune(shop.run("week 5", 5))
    assert done["notes"] and done["notes"][0].startswith("The disk is nearly full: another run like this may need ")
    assert done["next_run"] > done["free"]
