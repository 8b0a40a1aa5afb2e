"""The attributes of a catalogue, as `products.parquet` keeps them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from include.catalogue.attributes import Attribute
from include.catalogue.schema import PRODUCTS, PRODUCTS_FILE, read_attributes, with_attributes
from tests.small import products, write_catalogue

SHOP = (
    Attribute(name="brand", type="keyword", field="Brand"),
    Attribute(name="price", type="money", field="Price (EUR)"),
    Attribute(name="tags", type="keywords", field="tags"),
)


def test_a_catalogue_without_attributes_has_the_schema_it_always_had() -> None:
    assert with_attributes(()) == PRODUCTS


def test_attributes_are_read_back_from_the_file_alone(root: Path) -> None:
    values: list[dict[str, object]] = [{"brand": "Sony", "price": 199.0, "tags": ["new", "red"]}, {"brand": None}]
    path = write_catalogue(root, products(2), attributes=SHOP, values=values) / PRODUCTS_FILE
    assert read_attributes(path) == SHOP
    assert pq.read_table(path)["attributes"].to_pylist() == [
        values[0],
        {"brand": None, "price": None, "tags": None},
    ]
    assert pq.read_schema(path).field("attributes").type == pa.struct(
        [("brand", pa.string()), ("price", pa.float64()), ("tags", pa.list_(pa.string()))]
    )


def test_a_file_without_attributes_says_so(tmp_path: Path) -> None:
    path = tmp_path / "products.parquet"
    pq.write_table(PRODUCTS.empty_table(), path)
    assert read_attributes(path) == ()
