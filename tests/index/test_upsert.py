"""upsert.py: one shard into the store."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from include.core.errors import BadSettings, DamagedArtifact, VerificationFailed
from include.core.index_settings import IndexSettings
from include.core.settings import EmbedSettings
from include.index.embed import embed
from include.index.plan import plan_shards
from include.index.upsert import upsert
from include.store.protocol import PointBatch
from include.store.stores import open_store

INDEX = IndexSettings()


@pytest.fixture
def planned(catalogue: Path, model: Path, root: Path) -> Path:
    return plan_shards(catalogue, model, EmbedSettings(shards=2), INDEX, root=root).path


def test_a_shards_summary_is_json_and_a_retry_changes_nothing(planned: Path, root: Path) -> None:
    """The summary goes through Airflow's database; a retry must not make points twice."""
    store = open_store(INDEX, root=root)
    embedding = embed(planned, 1, root=root).path
    first = upsert(planned, 1, embedding, INDEX, store, root=root)
    second = upsert(planned, 1, embedding, INDEX, store, root=root)
    assert json.loads(json.dumps(first)) == first
    assert (first["shard"], first["points"]) == (1, 30)
    assert root / first["embedding"] == embedding
    assert second["path"] == first["path"]
    searcher = store.open("any", [second])
    assert searcher.count() == 30
    searcher.close()


def test_another_shards_embedding_is_refused(planned: Path, root: Path) -> None:
    """Vectors of other products under these uids."""
    embedding = embed(planned, 0, root=root).path
    with pytest.raises(VerificationFailed, match="uid"):
        upsert(planned, 1, embedding, INDEX, open_store(INDEX, root=root), root=root)
    assert list((root / "edge").glob("[!.]*")) == []


def test_a_damaged_embedding_is_refused(planned: Path, root: Path) -> None:
    """It would be indexed as it is."""
    embedding = embed(planned, 0, root=root).path
    path = embedding / "vectors.parquet"
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedArtifact, match="sha256"):
        upsert(planned, 0, embedding, INDEX, open_store(INDEX, root=root), root=root)


def test_settings_that_contradict_the_plan_are_refused(planned: Path, root: Path) -> None:
    """The version's name stands for its settings."""
    embedding = embed(planned, 0, root=root).path
    other = IndexSettings(collection="toys", hnsw_ef_construct=64)
    with pytest.raises(BadSettings, match=r"collection = 'toys' .*hnsw_ef_construct = 64 \(planned: 128\)"):
        upsert(planned, 0, embedding, other, open_store(other, root=root), root=root)
    smaller = IndexSettings(vector_format="turbo8")
    with pytest.raises(BadSettings, match=r"vector_format = 'turbo8' \(planned: 'float32'\)"):
        upsert(planned, 0, embedding, smaller, open_store(smaller, root=root), root=root)


def test_a_shard_deleted_just_after_it_was_found_is_loaded_again(planned: Path, root: Path) -> None:
    """Another run deletes the old version that this shard is shared with, at the worst moment."""
    store = open_store(INDEX, root=root)
    embedding = embed(planned, 0, root=root).path
    calls = 0

    class Racing:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def upsert(self, version: str, shard: int, batches: Iterable[PointBatch], **options: Any) -> dict[str, Any]:
            nonlocal calls
            calls += 1
            made = store.upsert(version, shard, batches, **options)
            if calls == 1:
                shutil.rmtree(root / made["path"])
            return made

    summary = upsert(planned, 0, embedding, INDEX, Racing(), root=root)
    assert calls == 2
    assert (root / summary["path"]).is_dir()
    assert len(list((root / "building").glob("*/0.json"))) == 1
