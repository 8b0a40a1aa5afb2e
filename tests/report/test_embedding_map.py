"""The map of the products: a sample of bounded size, coloured by what tells most of them apart."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from include.catalogue.attributes import Attribute
from include.core.arrays import Vectors
from include.model.vectors import VECTORS_FILE, column, schema, writer
from include.report.embedding_map import LONGEST_TITLE, OTHERS, POINTS, Mapped, map_of
from tests.small import THINGS, products, write_catalogue

BRAND = Attribute(name="brand", field="brand", type="keyword")


def stored(folder: Path, uids: Sequence[str], vectors: Vectors, group: int = 100) -> Path:
    """An embedding's file."""
    folder.mkdir()
    columns = schema(vectors.shape[1])
    table = pa.table([pa.array(uids), pa.array([bytes(16)] * len(uids), pa.binary(16)), column(vectors)], columns)
    with writer(folder / VECTORS_FILE, columns) as out:
        out.write_table(table, row_group_size=group)
    return folder


def mapped(root: Path, count: int, values: Sequence[Mapping[str, object]] = (), shards: int = 1) -> Mapped | None:
    """The map of `count` products whose vectors say what thing they are."""
    rows = products(count)
    catalogue = write_catalogue(root, rows, row_group_rows=500, attributes=[BRAND] if values else (), values=values)
    draw = np.random.default_rng(7)
    vectors = np.eye(16, dtype=np.float32)[[number % len(THINGS) for number in range(count)]]
    vectors += draw.normal(0, 0.02, vectors.shape).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    parts = np.array_split(np.arange(count), shards)
    embeddings = [stored(root / f"e{n}", [rows[i].uid for i in part], vectors[part]) for n, part in enumerate(parts)]
    return map_of(catalogue, embeddings)


def test_alike_products_get_one_colour_named_by_their_words(root: Path) -> None:
    """Six colours without a meaning are decoration."""
    found = mapped(root, 200)
    assert found is not None
    assert found.coloured_by is None
    assert len(found.names) == 6
    assert {word for name in found.names for word in name.split(", ")} & set(THINGS)
    by_thing: dict[str, set[str]] = {}
    for title, group in zip(found.titles, found.groups, strict=True):
        by_thing.setdefault(title.split()[1], set()).add(group)
    assert all(len(groups) == 1 for groups in by_thing.values()), "one thing, one colour"


def test_an_attribute_colours_where_it_tells_most_products_apart(root: Path) -> None:
    """A shop knows its own brands better than any clustering does."""
    brands = [{"brand": f"brand {number % 3}" if number % 10 else None} for number in range(100)]
    found = mapped(root, 100, brands)
    assert found is not None and found.coloured_by == "brand"
    assert set(found.names) == {"brand 0", "brand 1", "brand 2", OTHERS}
    assert found.names[-1] == OTHERS
    assert found.groups.count(OTHERS) == 10


def test_a_map_of_many_products_is_a_sample_over_all_shards(root: Path) -> None:
    """A store of a million products must not become a page of a hundred megabytes."""
    found = mapped(root, 5000, shards=3)
    assert found is not None
    assert found.products == 5000
    assert POINTS - 100 <= len(found.titles) <= POINTS
    numbers = sorted(int(title.rpartition(" ")[2]) for title in found.titles)
    assert numbers[0] < 100 and numbers[-1] >= 4900
    assert max(map(len, found.titles)) <= LONGEST_TITLE
    assert all(0 <= place <= 1 for point in found.places for place in point)


@pytest.mark.parametrize("count", [1, 9])
def test_of_a_few_products_there_is_no_map(root: Path, count: int) -> None:
    """Nine points show nothing, and two of them divide by nought."""
    assert mapped(root, count) is None


def test_products_of_one_text_lie_in_one_place(root: Path) -> None:
    """Danger: no variance at all, and the picture is full of NaN."""
    rows = products(20)
    vectors = np.zeros((20, 4), dtype=np.float32)
    vectors[:, 0] = 1
    found = map_of(write_catalogue(root, rows), [stored(root / "e", [row.uid for row in rows], vectors)])
    assert found is not None
    assert np.isfinite(found.places).all()


def test_without_its_files_a_report_goes_without_a_map(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Danger: pruning has taken the vectors, and the whole page is lost for a picture."""
    assert map_of(write_catalogue(root, products(20)), [root / "gone"]) is None
    assert "goes without its map" in caplog.text
