"""A version searched in processes of their own: what happens where one of them, or the parent, ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from include.core.errors import DamagedArtifact, StoreUnavailable
from include.core.index_settings import IndexSettings
from include.store.apart import ApartSearcher, Processes
from include.store.edge import EdgeStore
from tests.index.points import build

INDEX = IndexSettings()
HOLD = """
import sys
from pathlib import Path
from include.store.apart import ApartSearcher, Processes
searcher = ApartSearcher([Path(path) for path in sys.argv[1:]], None, Processes(2))
print(searcher.count(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def paths(root: Path) -> list[Path]:
    _, shards, _, _ = build(EdgeStore(INDEX, root=root), root, "a", INDEX, count=40)
    return [root / shard["path"] for shard in shards]


def children(parent: int | str = "self") -> set[int]:
    """The processes that search for this one, or another."""
    started = (
        int(child) for tasks in Path(f"/proc/{parent}/task").glob("*/children") for child in tasks.read_text().split()
    )
    return {child for child in started if b"apart_process" in Path(f"/proc/{child}/cmdline").read_bytes()}


@contextmanager
def opened(paths: list[Path], count: int) -> Iterator[tuple[ApartSearcher, set[int]]]:
    """A searcher, and the processes that have the version open."""
    processes = Processes(count)
    searcher = ApartSearcher(paths, None, processes)
    try:
        yield searcher, {process._child.pid for process in list(searcher._free.queue)}
    finally:
        searcher.close()
        processes.close()
    assert children() == set()


def test_more_threads_than_processes_get_what_one_gets(paths: list[Path]) -> None:
    with opened(paths, 2) as (searcher, started), ThreadPoolExecutor(6) as pool:
        assert len(started) == 2
        assert len(children()) == 4
        alone = searcher.bm25("number 7", 5)
        assert alone
        assert list(pool.map(lambda _: searcher.bm25("number 7", 5), range(60))) == [alone] * 60


def test_a_killed_process_is_said_and_replaced(paths: list[Path]) -> None:
    with opened(paths, 1) as (searcher, (child,)):
        os.kill(child, signal.SIGKILL)
        with pytest.raises(StoreUnavailable, match=r"ended \(SIGKILL\).*Ask again"):
            searcher.count()
        assert searcher.count() == 40


def test_what_cannot_be_opened_says_why(paths: list[Path]) -> None:
    with closing(Processes(2)) as processes:
        whole = ApartSearcher(paths[:1], None, processes)
        next(paths[1].rglob("*.json")).write_text("{", encoding="utf-8")
        for _ in range(2):
            with pytest.raises(DamagedArtifact):
                ApartSearcher(paths, None, processes)
        with closing(whole), closing(ApartSearcher(paths[:1], None, processes)) as again:
            assert again.count() == whole.count() > 0
    assert children() == set()


def test_the_processes_of_a_version_that_is_closed_search_the_next(paths: list[Path]) -> None:
    with closing(Processes(1)) as processes:
        seen = set()
        for path in (*paths, *paths):
            with closing(ApartSearcher([path], None, processes)) as searcher:
                assert searcher.count() > 0
                seen |= children()
        assert len(seen) == 2
    assert children() == set()


def test_nothing_is_left_where_the_parent_is_killed(paths: list[Path], tmp_path: Path) -> None:
    """Neither processes nor their views of the shards."""
    views = tmp_path / "views"
    views.mkdir()
    parent = subprocess.Popen(
        [sys.executable, "-c", HOLD, *map(str, paths)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TMPDIR": str(views)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"40\n"
    started = children(parent.pid)
    assert len(started) == 4
    assert len(list(views.iterdir())) == 2
    parent.kill()
    parent.communicate(timeout=60)
    for _ in range(600):
        if not any(Path(f"/proc/{child}").exists() for child in started):
            break
        time.sleep(0.1)
    assert list(views.iterdir()) == []


def test_a_signal_to_the_whole_group_lets_a_call_end(paths: list[Path]) -> None:
    """Ctrl-C and a service's end reach the processes too; the parent ends them when it has what it asked for."""
    with opened(paths, 1) as (searcher, (child,)):
        for each in (signal.SIGINT, signal.SIGTERM):
            os.kill(child, each)
        assert searcher.count() == 40
