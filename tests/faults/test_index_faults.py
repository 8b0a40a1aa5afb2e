"""Kills around the vector index: a SIGKILL leaves no half shard, no half alias, and harms no reader."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from include.core import artifacts, kinds
from include.core.environment import REPOSITORY
from include.core.index_settings import IndexSettings
from include.store.edge import EdgeStore
from tests.index.points import batches, build, vectors, write_version
from tests.small import products

INDEX = IndexSettings()
COUNT = 2500
UPSERT = """
import sys, threading
from pathlib import Path
from include.store.edge import EdgeStore
from include.core.index_settings import IndexSettings
from tests.index.points import batches, vectors
from tests.small import products

def until_killed():
    for number, batch in enumerate(batches(products(2500), vectors(2500), size=500)):
        if sys.argv[2] == "load" and number == 4:  # 2000 points have gone into the engine
            print("loading", flush=True)
            threading.Event().wait()
        yield batch

def sink(shot):
    if sys.argv[2] == "optimise" and shot["stage"].startswith("optimise"):
        print("optimising", flush=True)
        if shot["done"]:  # after the engine, before the artifact appears
            threading.Event().wait()

store = EdgeStore(IndexSettings(), root=Path(sys.argv[1]))
store.upsert("0" * 16, 0, until_killed(), inputs={"embedding": "e"}, sink=sink)
"""
REVISE = """
import sys, threading
from pathlib import Path
from include.store.edge import EdgeStore
from include.core.index_settings import IndexSettings
from include.store.protocol import Change, point_id
from tests.index.points import batches, vectors
from tests.small import products

def until_killed():
    yield from batches(products(30)[20:], vectors(10, seed=1))
    if sys.argv[2] == "load":
        print("loading", flush=True)
        threading.Event().wait()

def sink(shot):
    if sys.argv[2] == "optimise" and shot["stage"].startswith("optimise"):
        print("optimising", flush=True)
        threading.Event().wait()

gone = [point_id(row.uid) for row in products(30)[15:]]
change = Change({"path": sys.argv[3]}, gone, until_killed(), 10, 1995)
store = EdgeStore(IndexSettings(), root=Path(sys.argv[1]))
print(store.revise("0" * 16, 0, change, inputs={"embedding": "e"}, sink=sink)["points"], flush=True)
"""
READ = """
import sys, threading
from pathlib import Path
from include.store.edge import EdgeSearcher
searcher = EdgeSearcher([Path(path) for path in sys.argv[1:]])
searcher.bm25("kettle", 3)
print("open", flush=True)
threading.Event().wait()
"""
SET_LIVE = """
import os, signal, sys
from pathlib import Path
from include.store.edge import EdgeStore
from include.core.index_settings import IndexSettings

root, version, moment = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
replace = os.replace
def killed(*names):
    if moment == "after":
        replace(*names)
    os.kill(os.getpid(), signal.SIGKILL)
os.replace = killed
EdgeStore(IndexSettings(), root=root).set_live(version)
"""


def start(code: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


def kill_at(process: "subprocess.Popen[str]", marker: str) -> None:
    """Wait for the line `marker`, then SIGKILL."""
    assert process.stdout is not None
    line = process.stdout.readline()
    process.kill()
    process.communicate(timeout=60)
    assert (line, process.returncode) == (f"{marker}\n", -signal.SIGKILL)


@pytest.mark.parametrize(("moment", "marker"), [("load", "loading"), ("optimise", "optimising")])
def test_a_killed_upsert_is_made_whole_by_its_retry(root: Path, tmp_path: Path, moment: str, marker: str) -> None:
    """Half a shard that passes for a whole one would lose products without any error."""
    kill_at(start(UPSERT, str(root), moment), marker)
    assert artifacts.published(root, kinds.EDGE) == []
    rows, values = products(COUNT), vectors(COUNT)
    found = {}
    for place in (root, tmp_path / "undisturbed"):
        store = EdgeStore(INDEX, root=place)
        shard = store.upsert("0" * 16, 0, batches(rows, values, size=500), inputs={"embedding": "e"})
        searcher = store.open("0" * 16, [shard])
        assert (shard["points"], shard["reused"], searcher.count()) == (COUNT, False, COUNT)
        found[place] = (shard["path"], searcher.fetch([row.uid for row in rows]))
        searcher.close()
    (path, after_kill), (expected_path, expected) = found.values()
    assert path == expected_path
    assert after_kill.keys() == expected.keys() == {row.uid for row in rows}
    for uid, (vector, payload) in expected.items():
        np.testing.assert_array_equal(after_kill[uid][0], vector)
        assert after_kill[uid][1] == payload
    left = {entry.name for entry in (root / "edge").iterdir() if not entry.name.endswith(".lock")}
    assert left == {Path(path).name}


@pytest.mark.parametrize(("moment", "marker"), [("load", "loading"), ("optimise", "optimising")])
def test_a_killed_revision_leaves_the_live_shard_as_it_was_and_its_retry_completes(
    root: Path, moment: str, marker: str
) -> None:
    """It works on a copy: readers of the live version must notice nothing, and no half copy may pass for a shard."""
    store = EdgeStore(INDEX, root=root)
    version, [live], rows, _ = build(store, root, "live", INDEX, count=2000, shards=1)
    searcher = store.open(version, [live])
    before = searcher.bm25("kettle number 17", 10)
    kill_at(start(REVISE, str(root), moment, live["path"]), marker)
    assert artifacts.published(root, kinds.EDGE) == [root / live["path"]]
    artifacts.read(root / live["path"])  # every byte of it
    assert searcher.bm25("kettle number 17", 10) == before
    searcher.close()
    retry = start(REVISE, str(root), "never", live["path"])
    assert retry.communicate(timeout=120)[0] == "1995\n"
    paths = artifacts.published(root, kinds.EDGE)
    [made] = [path for path in paths if path != root / live["path"]]
    left = {entry.name for entry in (root / "edge").iterdir() if not entry.name.endswith(".lock")}
    assert left == {path.name for path in paths}
    revised = store.open("0" * 16, [{"path": made.relative_to(root)}])
    assert sorted(revised.fetch([row.uid for row in rows])) == [row.uid for row in [*rows[:15], *rows[20:]]]
    revised.close()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_while_the_alias_moves_leaves_one_version_live(root: Path, moment: str) -> None:
    """An alias that points at nothing takes the search down; the next publication must work."""
    store = EdgeStore(INDEX, root=root)
    old, shards, _, _ = build(store, root, "old", INDEX, count=20, shards=1)
    new = write_version(root, "new", INDEX, shards)
    store.set_live(old)
    process = start(SET_LIVE, str(root), new, moment)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert store.live() == (new if moment == "after" else old)
    store.set_live(new)
    assert store.live() == new


def test_a_killed_reader_harms_neither_the_shard_nor_other_readers(root: Path) -> None:
    """The engine maps the files for writing: a reader's death must not show in them."""
    store = EdgeStore(INDEX, root=root)
    version, shards, _, values = build(store, root, "a", INDEX)
    paths = [root / shard["path"] for shard in shards]
    names = [sorted(path.rglob("*")) for path in paths]
    searcher = store.open(version, shards)
    before = searcher.hybrid(values[3], "kettle", 10)
    kill_at(start(READ, *map(str, paths)), "open")
    assert searcher.hybrid(values[3], "kettle", 10) == before
    searcher.close()
    again = store.open(version, shards)
    assert again.hybrid(values[3], "kettle", 10) == before
    again.close()
    for path, expected in zip(paths, names, strict=True):
        artifacts.read(path)
        assert sorted(path.rglob("*")) == expected
