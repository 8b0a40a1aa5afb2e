"""include/core/artifacts.py: nothing half-made is ever taken for whole, and nothing is made twice."""

import errno
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from include.core import artifacts
from include.core.errors import ArtifactBusy, DamagedArtifact, StorageFull
from include.core.files import lock, write_json

THING = artifacts.Kind("thing", 1)


def make(
    root: Path, text: str = "hello", *, calls: list[str] | None = None, settings: dict[str, Any] | None = None
) -> artifacts.Artifact:
    def write(space: artifacts.Workspace) -> dict[str, Any]:
        (space.path / "inner").mkdir()
        (space.path / "inner" / "data.txt").write_text(text)
        if calls is not None:
            calls.append(text)
        return {"rows": 1}

    return artifacts.build(root, THING, write, settings=settings or {"a": 1}, inputs={"from": "f00"})


def test_an_artifact_is_made_once_and_then_reused(root: Path) -> None:
    """Without this a retry or a second trigger repeats hours of work."""
    calls: list[str] = []
    first, second = make(root, calls=calls), make(root, calls=calls)
    assert (first.reused, second.reused) == (False, True)
    assert calls == ["hello"]
    assert first.path == second.path
    assert second.stats == {"rows": 1}
    assert second.inputs == {"from": "f00"}
    assert (second.path / "inner" / "data.txt").read_text() == "hello"


def test_other_settings_or_inputs_or_format_give_another_fingerprint() -> None:
    """Equal fingerprints for different work would serve stale results."""
    marks = {
        artifacts.fingerprint(THING, {"a": 1}),
        artifacts.fingerprint(THING, {"a": 2}),
        artifacts.fingerprint(artifacts.Kind("thing", 2), {"a": 1}),
        artifacts.fingerprint(artifacts.Kind("other", 1), {"a": 1}),
        artifacts.fingerprint(THING, {"a": 1}, {"from": "x"}),
    }
    assert len(marks) == 5
    assert artifacts.fingerprint(THING, {"a": 1, "b": 2}) == artifacts.fingerprint(THING, {"b": 2, "a": 1})


def test_a_failed_attempt_leaves_nothing_that_looks_published(root: Path) -> None:
    """A half-written directory taken for an output would lose rows silently."""

    def write(space: artifacts.Workspace) -> dict[str, Any]:
        (space.path / "half.txt").write_text("half")
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        artifacts.build(root, THING, write, settings={})
    assert artifacts.published(root, THING) == []
    assert not list((root / "thing").glob(".tmp-*"))


def test_scratch_outlives_a_failed_attempt_and_goes_with_success(root: Path) -> None:
    """Checkpoints must survive a failure, and must not pile up after success."""

    def fail(space: artifacts.Workspace) -> dict[str, Any]:
        (space.scratch / "checkpoint").write_text("7")
        raise ValueError

    def succeed(space: artifacts.Workspace) -> dict[str, Any]:
        return {"resumed_at": (space.scratch / "checkpoint").read_text()}

    with pytest.raises(ValueError):
        artifacts.build(root, THING, fail, settings={})
    assert artifacts.build(root, THING, succeed, settings={}).stats == {"resumed_at": "7"}
    assert not list((root / "thing").glob(".scratch-*"))


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "manifest", "no files", "no manifest"])
def test_a_damaged_artifact_is_refused_and_then_made_again(root: Path, damage: str) -> None:
    """One flipped byte read as data gives wrong vectors that no later check can tell."""
    made = make(root)
    file = made.path / "inner" / "data.txt"
    match damage:
        case "flip":
            file.write_text("hellp")
        case "truncate":
            file.write_text("hell")
        case "remove":
            file.unlink()
        case "manifest":
            (made.path / artifacts.MANIFEST).write_text('{"files": ')
        case "no files":
            manifest = json.loads((made.path / artifacts.MANIFEST).read_bytes())
            del manifest["files"]
            (made.path / artifacts.MANIFEST).write_text(json.dumps(manifest))
        case "no manifest":
            (made.path / artifacts.MANIFEST).unlink()
    with pytest.raises(DamagedArtifact, match=str(made.path)):
        artifacts.read(made.path)
    again = make(root)
    assert not again.reused
    assert artifacts.read(again.path).stats == {"rows": 1}
    assert len(list((root / "thing").glob(".damaged-*"))) == 1, "the damaged one is kept aside for a look"


def test_reading_without_verification_still_notices_a_short_file(root: Path) -> None:
    """The query path skips the hashes; a truncated index must not be opened all the same."""
    made = make(root)
    (made.path / "inner" / "data.txt").write_text("hellp")
    assert artifacts.read(made.path, verify=False).stats == {"rows": 1}
    (made.path / "inner" / "data.txt").write_text("hel")
    with pytest.raises(DamagedArtifact, match="3 bytes, the manifest says 5"):
        artifacts.read(made.path, verify=False)


def test_a_held_lock_ends_in_a_clear_error(root: Path) -> None:
    """Two tries that write at once would mix their files."""
    (root / "thing").mkdir(parents=True)
    mark = artifacts.fingerprint(THING, {})
    with lock(root / "thing" / f".{mark}.lock", timeout=0), pytest.raises(ArtifactBusy, match="earlier try"):
        artifacts.build(root, THING, lambda _: {}, settings={}, lock_timeout=0.3)


def test_a_full_disk_is_explained(root: Path) -> None:
    """A bare OSError tells a user of the UI nothing."""

    def write(space: artifacts.Workspace) -> dict[str, Any]:
        raise OSError(errno.ENOSPC, "No space left on device", str(space.path / "vectors.parquet"))

    with pytest.raises(StorageFull, match=r"disk .* is full .* retry the task"):
        artifacts.build(root, THING, write, settings={})
    assert artifacts.published(root, THING) == []


def test_other_os_errors_pass_unchanged(root: Path) -> None:
    """A permission error called "disk full" would send the reader the wrong way."""

    def write(space: artifacts.Workspace) -> dict[str, Any]:
        raise PermissionError(errno.EACCES, "denied")

    with pytest.raises(PermissionError):
        artifacts.build(root, THING, write, settings={})


def test_json_is_replaced_whole(tmp_path: Path) -> None:
    """The alias file is read by queries while it is written."""
    file = tmp_path / "live.json"
    write_json(file, {"version": "a"})
    write_json(file, {"version": "b"})
    assert json.loads(file.read_text()) == {"version": "b"}
    with pytest.raises(ValueError):
        write_json(file, {"version": float("nan")})
    assert json.loads(file.read_text()) == {"version": "b"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["live.json"]


def test_published_lists_newest_first_without_litter(root: Path) -> None:
    """Reuse across runs looks through earlier artifacts; a temporary directory is none."""
    first = make(root, settings={"n": 1})
    second = make(root, settings={"n": 2})
    (root / "thing" / ".tmp-dead-1").mkdir()
    (root / "thing" / "stray").mkdir()
    assert set(artifacts.published(root, THING)) == {first.path, second.path}


def test_the_newest_artifact_that_fits_is_the_first(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A damaged one must neither be reused nor end the search; an older one serves."""
    made = [make(root, settings={"n": number, "fits": number != 3}) for number in range(4)]
    for age, each in enumerate(reversed(made)):
        os.utime(each.path / artifacts.MANIFEST, (1e9 - age, 1e9 - age))
    (made[2].path / "inner" / "data.txt").write_text("HELLO")  # of equal size: its hash alone tells

    def found(*, verify: bool) -> list[int]:
        fitting = artifacts.newest_first(root, THING, lambda each: bool(each.settings["fits"]), verify=verify)
        return [each.settings["n"] for each in fitting]

    assert found(verify=False) == [2, 1, 0]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert found(verify=True) == [1, 0]
    assert f"{made[2].path}/inner/data.txt has sha256" in caplog.text
