"""What only the embedded store has: immutable shard artifacts, views, shared shards."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from include.core import artifacts, kinds
from include.core.errors import DamagedArtifact, UnknownVersion, VerificationFailed
from include.core.index_settings import IndexSettings
from include.index.checks import LEAST_COSINE
from include.store.edge import EdgeSearcher, EdgeStore
from include.store.protocol import PointBatch, point_id
from include.store.version import IndexVersion
from tests.index.points import batches, build, load, vectors, version_id, write_version
from tests.small import Product, products

INDEX = IndexSettings()
SEARCH = """
import sys
from pathlib import Path
import numpy as np
from include.store.edge import EdgeSearcher
searcher = EdgeSearcher([Path(path) for path in sys.argv[2:]])
print("open", flush=True)
sys.stdin.readline()
for _ in range(30):
    for vector in np.load(sys.argv[1]):
        hits = [hit.uid for hit in searcher.hybrid(vector, "kettle 17", 10)]
print(hits, flush=True)
searcher.close()
"""


@pytest.fixture
def store(root: Path) -> EdgeStore:
    return EdgeStore(INDEX, root=root)


def contents(path: Path) -> dict[str, str]:
    """Every file below `path` with its sha256."""
    files = sorted(entry for entry in path.rglob("*") if entry.is_file())
    return {file.relative_to(path).as_posix(): artifacts.file_sha256(file) for file in files}


@pytest.mark.parametrize("count", [1, 2, 10, 11])
def test_a_small_shard_opens_more_than_once(count: int, store: EdgeStore, root: Path) -> None:
    """With ten points or fewer the engine's journal went with the first opening, and the artifact was damaged."""
    rows, values = products(count), vectors(count)
    [shard] = load(store, version_id("small"), rows, values, INDEX, shards=1)
    for _ in range(2):
        searcher = store.open(version_id("small"), [shard])
        assert (searcher.count(), searcher.bm25("number 0", 1)[0].uid) == (count, rows[0].uid)
        searcher.close()
    assert artifacts.read(root / shard["path"]).stats["points"] == count


def test_a_shard_is_unchanged_after_it_was_searched(store: EdgeStore, root: Path) -> None:
    """The engine writes when it opens a shard; an artifact that changes no longer verifies and is rebuilt."""
    version, shards, _, values = build(store, root, "a", INDEX)
    paths = [root / shard["path"] for shard in shards]
    before = [contents(path) for path in paths]
    for _ in range(2):
        searcher = store.open(version, shards)
        searcher.hybrid(values[0], "kettle", 5)
        searcher.dense(values[0], 5, exact=True)
        searcher.fetch(["0000000001"])
        searcher.close()
    assert [contents(path) for path in paths] == before
    for path in paths:
        artifacts.read(path)


def test_an_open_shard_holds_no_holes_in_memory(store: EdgeStore, root: Path) -> None:
    """The engine read 32 MiB of nothing for each shard, and more for each attribute: 64 shards took 2 GiB."""
    version, shards, _, _ = build(store, root, "a", INDEX)
    with closing(store.open(version, shards)):
        maps = Path("/proc/self/smaps").read_text(encoding="utf-8")
    held = [int(size) for size in re.findall(rf" {re.escape(str(root))}/.*\n(?:.*\n){{3}}Rss: +(\d+) kB", maps)]
    assert 0 < sum(held) < 8 * 1024


def test_several_processes_read_one_shard_at_once(store: EdgeStore, root: Path, tmp_path: Path) -> None:
    """Airflow answers questions in parallel; readers must not disturb one another or the artifact."""
    version, shards, _, values = build(store, root, "a", INDEX)
    np.save(tmp_path / "queries.npy", values[:5])
    paths = [str(root / shard["path"]) for shard in shards]
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", SEARCH, str(tmp_path / "queries.npy"), *paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    assert all(reader.stdout is not None and reader.stdout.readline() == "open\n" for reader in readers)
    for reader in readers:  # all have it open: now let them search
        assert reader.stdin is not None
        reader.stdin.write("go\n")
        reader.stdin.flush()
    outputs = {reader.communicate(timeout=120)[0] for reader in readers}
    assert [reader.returncode for reader in readers] == [0, 0, 0]
    searcher = store.open(version, shards)
    expected = [hit.uid for hit in searcher.hybrid(values[4], "kettle 17", 10)]
    searcher.close()
    assert outputs == {f"{expected}\n"}
    for path in paths:
        artifacts.read(Path(path))


def test_closing_leaves_no_temporary_files(
    store: EdgeStore, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A view left behind by every question would fill the disk's table of files."""
    version, shards, _, _ = build(store, root, "a", INDEX)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    place = set(tmp_path.iterdir())
    searcher = store.open(version, shards)
    assert set(tmp_path.iterdir()) != place
    searcher.close()
    searcher.close()
    assert set(tmp_path.iterdir()) == place
    forgotten = store.open(version, shards)
    del forgotten
    assert set(tmp_path.iterdir()) == place
    (root / shards[1]["path"] / "manifest.json").unlink()
    with pytest.raises(DamagedArtifact):
        store.open(version, shards)
    assert set(tmp_path.iterdir()) == place


def test_a_shard_that_exists_is_not_loaded_again(store: EdgeStore, root: Path) -> None:
    """A second run on unchanged data must cost seconds: the batches are not even read."""
    unread: Iterator[PointBatch] = (pytest.fail("the batches were read") for _ in range(1))
    _, shards, _, _ = build(store, root, "a", INDEX, shards=1)
    again = store.upsert(version_id("b"), 0, unread, inputs={"embedding": f"{version_id('a')}-0-200"})
    assert (again["path"], again["reused"], shards[0]["reused"]) == (shards[0]["path"], True, False)


def test_other_hnsw_settings_give_another_shard(store: EdgeStore, root: Path) -> None:
    """A reused shard with the old graph would make the setting a lie."""
    rows, values = products(20), vectors(20)
    paths = {
        EdgeStore(IndexSettings(**{name: value}), root=root).upsert(
            "0" * 16, 0, batches(rows, values), inputs={"embedding": "e"}
        )["path"]
        for name, value in (("hnsw_m", 16), ("hnsw_m", 8), ("hnsw_ef_construct", 64), ("collection", "other"))
    }
    assert len(paths) == 3  # the collection's name does not shape the bytes


@pytest.mark.parametrize(("kept", "room"), [("float32", 1.0), ("float16", 0.5), ("turbo8", 0.26), ("int8", 1.26)])
def test_the_graph_finds_nearly_all_neighbours(kept: str, room: float, root: Path) -> None:
    """Above 10 MB of vectors search walks the HNSW graph; below, it is exact and shows nothing."""
    store = EdgeStore(IndexSettings(vector_format=kept), root=root)
    rng = np.random.default_rng(0)
    count = round(3500 / min(room, 1.0))
    values = (rng.normal(size=(count, 12)) @ rng.normal(size=(12, 768))).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    rows = [Product(f"{number}", f"title {number}", "") for number in range(len(values))]
    shard = store.upsert("0" * 16, 0, batches(rows, values, size=256), inputs={"embedding": "large"})
    made = artifacts.read(root / shard["path"])
    assert made.stats["indexed"] == made.stats["points"] == count
    graph = next((root / shard["path"]).rglob("links_compressed.bin"))
    assert graph.stat().st_size > count * 16
    stored = [file for file in graph.parents[1].glob("vector_storage/*") if file.is_file()]
    assert sum(file.stat().st_size for file in stored) < room * values.nbytes + 200_000
    searcher = store.open("0" * 16, [shard])
    assert float(searcher.fetch(["7"])["7"][0] @ values[7]) > LEAST_COSINE, "verify compares with the embedding"
    found = 0
    for query in values[::100]:
        exact = {hit.uid for hit in searcher.dense(query, 10, exact=True)}
        found += len(exact & {hit.uid for hit in searcher.dense(query, 10)})
    searcher.close()
    assert found / (10 * len(values[::100])) >= 0.97


def test_a_shard_that_two_versions_share_is_not_deleted(store: EdgeStore, root: Path) -> None:
    """Equal shards are one directory: deleting the old version must not break the new one."""
    old, old_shards, rows, values = build(store, root, "old", INDEX)
    own = store.upsert("0" * 16, 1, batches(rows[:50], values[:50]), inputs={"embedding": "own"})
    new_shards = [old_shards[0], own]
    new = write_version(root, "new", INDEX, new_shards)
    store.set_live(new)
    store.delete(old, old_shards)
    searcher = store.open(new, new_shards)
    assert searcher.count() == 150
    searcher.close()
    assert not (root / old_shards[1]["path"]).exists()


def test_a_damaged_version_stops_no_work_on_another(store: EdgeStore, root: Path) -> None:
    """Whoever rolls back from a damaged live version, or publishes past one, must get there."""
    bad, bad_shards, _, _ = build(store, root, "bad", INDEX)
    good = write_version(root, "good", INDEX, bad_shards)
    manifest = IndexVersion.path(root, bad) / artifacts.MANIFEST
    manifest.write_bytes(b"")
    store.set_live(good)
    assert store.live() == good
    store.delete(bad, bad_shards)
    assert [(root / shard["path"]).is_dir() for shard in bad_shards] == [True, True], "the good version has them too"
    (manifest.parent / "version.json").unlink()
    assert store.versions() == [good]


def test_a_reader_outlives_the_deletion_of_its_version(store: EdgeStore, root: Path) -> None:
    """A question that is being answered while old versions are cleared away must still be answered."""
    version, shards, rows, values = build(store, root, "a", INDEX)
    searcher = store.open(version, shards)
    store.delete(version, shards)
    assert searcher.dense(values[150], 1)[0].uid == rows[150].uid
    assert searcher.bm25("number 17", 1)[0].uid == rows[17].uid
    searcher.close()
    with pytest.raises(UnknownVersion, match="does not exist"):
        store.open(version, shards)


def test_a_damaged_shard_is_refused(store: EdgeStore, root: Path) -> None:
    """The engine would map a cut-short file and crash the process."""
    version, shards, _, _ = build(store, root, "a", INDEX)
    matrix = next((root / shards[1]["path"]).rglob("matrix.dat"))
    matrix.write_bytes(matrix.read_bytes()[:-100])
    with pytest.raises(DamagedArtifact, match=r"matrix\.dat has \d+ bytes"):
        store.open(version, shards)


def test_a_shard_that_the_engine_cannot_load_is_named(store: EdgeStore, root: Path) -> None:
    """The engine raises plain Exceptions: they must get a class and the shard's place."""
    version, shards, _, _ = build(store, root, "a", INDEX, shards=1)
    path = root / shards[0]["path"]
    config = path / "shard" / "edge_config.json"
    config.write_text("!" * config.stat().st_size)  # same size: the quick check passes
    with pytest.raises(DamagedArtifact, match=f"cannot load the shard {path}"):
        store.open(version, shards)


def test_the_same_uid_twice_fails_and_leaves_nothing(store: EdgeStore, root: Path) -> None:
    """The second would silently replace the first."""
    rows = [*products(10), products(1)[0]]
    with pytest.raises(VerificationFailed, match="given 11 points and holds 10"):
        store.upsert("0" * 16, 0, batches(rows, vectors(11)), inputs={"embedding": "twice"})
    assert artifacts.published(root, kinds.EDGE) == []


def test_a_shard_without_points_fails(store: EdgeStore, root: Path) -> None:
    """An empty shard is a planning error, and Edge cannot be opened without a dimension."""
    with pytest.raises(VerificationFailed, match="Shard 4 has no points"):
        store.upsert("0" * 16, 4, iter(()), inputs={"embedding": "none"})
    assert artifacts.published(root, kinds.EDGE) == []


def test_a_batch_of_another_dimension_is_refused(store: EdgeStore, root: Path) -> None:
    """Vectors of two models in one shard cannot be compared."""
    rows = products(2000)

    def mixed() -> Iterator[PointBatch]:
        yield from batches(rows[:1000], vectors(1000), size=1000)
        yield from batches(rows[1000:], vectors(1000, dim=7), size=1000)

    with pytest.raises(VerificationFailed, match="7 dimensions, others have 24"):
        store.upsert("0" * 16, 0, mixed(), inputs={"embedding": "mixed"})
    assert artifacts.published(root, kinds.EDGE) == []


def test_an_unreadable_alias_is_an_error_not_an_empty_index(store: EdgeStore, root: Path) -> None:
    """Taking a damaged alias for "nothing is live" would let deletion remove the live version."""
    path = root / "index" / "products" / "live.json"
    path.parent.mkdir(parents=True)
    for content in ("", "[]", '{"other": 1}', "{"):
        path.write_text(content)
        with pytest.raises(DamagedArtifact, match=r"live\.json cannot be read"):
            store.live()


def test_the_alias_is_a_small_json_file(store: EdgeStore, root: Path) -> None:
    """Other tools and people read it."""
    version, _, _, _ = build(store, root, "a", INDEX, count=20)
    store.set_live(version)
    assert json.loads((root / "index" / "products" / "live.json").read_bytes()) == {"version": version}


def test_searching_imports_nothing_heavy() -> None:
    """Answering a question must not wait for torch, pyarrow or qdrant_client to be imported."""
    code = (
        "import sys; import include.store.edge; "
        "print([name for name in ('torch', 'pyarrow', 'pandas', 'qdrant_client', 'airflow', 'grpc') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_ids_in_the_shard_are_the_uuids_of_the_uids(store: EdgeStore, root: Path) -> None:
    """Random ids would duplicate every product at the next load."""
    import qdrant_edge

    _, shards, rows, _ = build(store, root, "a", INDEX, count=30)
    searcher = EdgeSearcher([root / shard["path"] for shard in shards])
    records = [
        record
        for shard in searcher._shards
        for record in shard.scroll(qdrant_edge.ScrollRequest(limit=100, with_payload=True))[0]
    ]
    assert {str(record.id) for record in records} == {point_id(row.uid) for row in rows}
    searcher.close()
