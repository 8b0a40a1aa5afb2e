"""SIGKILL while an artifact is being made: the retry completes, nothing is doubled, no litter stays."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from include.core import artifacts
from include.core.environment import REPOSITORY

THING = artifacts.Kind("thing", 1)
WRITER = """
import sys, time
from pathlib import Path
from include.core import artifacts

def write(space):
    (space.path / "part.bin").write_bytes(b"x" * 1000)
    (space.scratch / "checkpoint").write_text("1")
    print("writing", flush=True)
    time.sleep(float(sys.argv[2]))
    return {"by": sys.argv[3]}

artifacts.build(Path(sys.argv[1]), artifacts.Kind("thing", 1), write, settings={})
print("done", flush=True)
"""


def writer(root: Path, seconds: float, name: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), str(seconds), name],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(REPOSITORY)},
    )


def test_a_killed_attempt_leaves_nothing_published_and_the_retry_cleans_up(root: Path) -> None:
    """The litter of killed attempts would fill the disk; its lock would block the retry."""
    first = writer(root, 60, "first")
    with first:
        assert first.stdout is not None
        assert first.stdout.readline() == "writing\n"
        first.send_signal(signal.SIGKILL)
    assert artifacts.published(root, THING) == []
    assert len(list((root / "thing").glob(".tmp-*"))) == 1

    def write(space: artifacts.Workspace) -> dict[str, str]:
        assert (space.scratch / "checkpoint").read_text() == "1"
        return {"by": "retry"}

    made = artifacts.build(root, THING, write, settings={}, lock_timeout=5)
    assert artifacts.read(made.path).stats == {"by": "retry"}
    assert not list((root / "thing").glob(".tmp-*"))
    assert not list((root / "thing").glob(".scratch-*"))


def test_an_orphaned_first_try_and_its_retry_do_not_write_at_once(root: Path) -> None:
    """Airflow starts the retry after the heartbeat timeout though the orphan still runs."""
    orphan = writer(root, 1.0, "orphan")
    with orphan:
        assert orphan.stdout is not None
        assert orphan.stdout.readline() == "writing\n"
        began = time.monotonic()
        made = artifacts.build(root, THING, lambda _: {"by": "retry"}, settings={}, lock_timeout=30)
        assert made.reused
        assert made.stats == {"by": "orphan"}, "the retry takes the orphan's result"
        assert time.monotonic() - began > 0.3
