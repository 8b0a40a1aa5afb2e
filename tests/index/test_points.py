"""Joining the catalogue with its vectors."""

import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.catalogue.text_hash import text_hash
from include.core.errors import DamagedArtifact, VerificationFailed
from include.index.points import read_points
from include.model.vectors import VECTORS_FILE
from include.store.protocol import PointBatch, point_id
from include.store.terms import Terms
from tests.index.points import vectors
from tests.small import Product, products

MakeCatalogue = Callable[[Sequence[Product]], Path]


def write_vectors(path: Path, rows: Sequence[Product], values: np.ndarray, *, row_group_rows: int = 7) -> Path:
    """An embedding directory with the contract's columns, in row groups unlike the catalogue's."""
    path.mkdir(parents=True)
    dim = values.shape[1]
    table = pa.table(
        {
            "uid": pa.array([row.uid for row in rows], pa.string()),
            "text_hash": pa.array([text_hash(row.title, row.content) for row in rows], pa.binary(16)),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(values.ravel(), pa.float32()), dim),
        }
    )
    pq.write_table(table, path / VECTORS_FILE, row_group_size=row_group_rows, write_page_checksum=True)
    return path


def joined(batches: Sequence[PointBatch]) -> dict[str, np.ndarray]:
    return {uid: vector for batch in batches for uid, vector in zip(batch.uids, batch.vectors, strict=True)}


def test_point_ids_never_change() -> None:
    """Another id for the same uid would duplicate every stored point."""
    assert point_id("0001360000") == "36d21fc9-9d1b-5845-9acb-e4aa460c0954"
    assert point_id("007") != point_id("7")
    assert uuid.UUID(point_id("七")).version == 5


def test_rows_meet_their_vectors_whatever_the_chunks(make_catalogue: MakeCatalogue, tmp_path: Path) -> None:
    """Files with different row groups must join row by row, or products get each other's vectors."""
    rows = products(60)
    catalogue = make_catalogue(rows)
    for groups in ([0, 1, 2, 3, 4, 5], [2, 4], [5]):
        part = [row for group in groups for row in rows[group * 10 : group * 10 + 10]]
        values = vectors(len(part))
        embedding = write_vectors(tmp_path / f"e{len(groups)}", part, values)
        for size in (1, 9, 10, 256):
            batches = list(read_points(catalogue, groups, embedding, "english", batch=size))
            assert [uid for batch in batches for uid in batch.uids] == [row.uid for row in part]
            assert all(len(batch) == size for batch in batches[:-1])
            np.testing.assert_array_equal(np.concatenate([batch.vectors for batch in batches]), values)
            assert batches[0].vectors.dtype == np.float32
            assert [point_id(uid) for uid in batches[0].uids] == batches[0].ids
            assert batches[0].payloads[0] == {
                "uid": part[0].uid,
                "title": part[0].title,
                "content": part[0].content,
                "text": Terms("english").product(part[0].title, part[0].content),
            }


def test_another_number_of_vectors_is_refused(make_catalogue: MakeCatalogue, tmp_path: Path) -> None:
    """A cut-short embedding must not become a smaller index."""
    rows = products(60)
    embedding = write_vectors(tmp_path / "e", rows[:19], vectors(19))
    with pytest.raises(VerificationFailed, match=r"19 vectors.*20 products"):
        next(read_points(make_catalogue(rows), [0, 1], embedding, "english"))


def test_another_order_is_refused(make_catalogue: MakeCatalogue, tmp_path: Path) -> None:
    """Swapped rows would give two products each other's vectors."""
    rows = products(60)
    swapped = [rows[1], rows[0], *rows[2:10]]
    embedding = write_vectors(tmp_path / "e", swapped, vectors(10))
    with pytest.raises(VerificationFailed, match="uid '0000000001' where the catalogue has uid '0000000000'"):
        list(read_points(make_catalogue(rows), [0], embedding, "english"))


def test_a_vector_of_another_text_is_refused(make_catalogue: MakeCatalogue, tmp_path: Path) -> None:
    """An embedding of last week's catalogue has the same uids and stale vectors."""
    rows = products(60)
    stale = [*rows[:9], rows[9]._replace(content="changed")]
    embedding = write_vectors(tmp_path / "e", stale, vectors(10))
    with pytest.raises(VerificationFailed, match=r"'0000000009'.*another text"):
        list(read_points(make_catalogue(rows), [0], embedding, "english", batch=3))


@pytest.mark.parametrize(("factor", "shown"), [(np.nan, "nan"), (0.0, "0"), (2.0, "2"), (np.inf, "inf")])
def test_unusable_vectors_are_refused(make_catalogue: MakeCatalogue, tmp_path: Path, factor: float, shown: str) -> None:
    """NaN, zero or unnormalised vectors make cosines meaningless, and Qdrant takes some of them."""
    rows = products(60)
    values = vectors(10)
    values[4] *= factor
    embedding = write_vectors(tmp_path / "e", rows[:10], values)
    with pytest.raises(VerificationFailed, match=f"'0000000004'.*(length {shown}|length nan)"):
        list(read_points(make_catalogue(rows), [0], embedding, "english"))


def test_empty_vectors_are_refused(make_catalogue: MakeCatalogue, tmp_path: Path) -> None:
    """A null vector would be read as whatever lies in memory."""
    rows = products(60)
    embedding = write_vectors(tmp_path / "e", rows[:10], vectors(10))
    table = pq.read_table(embedding / VECTORS_FILE)
    lists = [None, *table.column("vector").to_pylist()[1:]]
    broken = table.set_column(2, "vector", pa.array(lists, table.schema.field("vector").type))
    pq.write_table(broken, embedding / VECTORS_FILE)
    with pytest.raises(VerificationFailed, match="empty vectors"):
        list(read_points(make_catalogue(rows), [0], embedding, "english"))


def test_a_flipped_byte_in_the_vectors_is_noticed(make_catalogue: MakeCatalogue, tmp_path: Path) -> None:
    """Parquet reads a flipped byte as wrong data unless page checksums are on."""
    rows = products(60)
    values = vectors(10)
    embedding = write_vectors(tmp_path / "e", rows[:10], values)
    path = embedding / VECTORS_FILE
    content = bytearray(path.read_bytes())
    place = content.find(values[0, :1].tobytes())
    assert place > 0
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedArtifact, match=r"(?i)crc|checksum"):
        list(read_points(make_catalogue(rows), [0], embedding, "english"))


def test_a_missing_file_is_a_damaged_artifact(make_catalogue: MakeCatalogue, tmp_path: Path) -> None:
    """A raw OSError would not be retried by class, and would not say what to do."""
    with pytest.raises(DamagedArtifact, match="nowhere"):
        next(read_points(make_catalogue(products(10)), [0], tmp_path / "nowhere", "english"))
