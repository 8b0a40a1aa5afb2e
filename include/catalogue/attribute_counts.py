"""The attributes of a file's products: their two columns in the table, and what is counted of them."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.json

from include.catalogue.attribute_reader import EXAMPLES, AttributeRows
from include.catalogue.attributes import Attribute
from include.catalogue.columns import fixed


class AttributeCounts:
    """Adds the columns and counts, by attribute: values, values that do not read as their type, currencies.

    Args:
        schema: Of the products, `attributes` included.
        attributes: Those.
    """

    def __init__(self, schema: pa.Schema, attributes: Sequence[Attribute]) -> None:
        self._schema = schema
        self._types = {each.name: each.type for each in attributes}
        self._fields = list(schema.field("attributes").type)
        self._filled: Counter[str] = Counter()
        self._unread: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}
        self._currencies: dict[str, Counter[str]] = {}

    def add(self, products: pa.Table, rows: AttributeRows) -> pa.Table:
        """`products` with the columns `attributes` and `attributes_hash`; `rows` are as many."""
        self._unread.update(rows.unread)
        for name, found in rows.examples.items():
            examples = self._examples.setdefault(name, [])
            examples += found[: EXAMPLES - len(examples)]
        for name, counts in rows.currencies.items():
            self._currencies.setdefault(name, Counter()).update(counts)
        values = pyarrow.json.read_json(
            pa.BufferReader(rows.lines),
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(rows.lines) + 1),
            parse_options=pyarrow.json.ParseOptions(
                explicit_schema=pa.schema(self._fields), unexpected_field_behavior="error"
            ),
        ).combine_chunks()
        structs = pa.StructArray.from_arrays([column.chunk(0) for column in values.columns], fields=self._fields)
        hashes = fixed(rows.hashes, pa.binary(16))
        return pa.Table.from_arrays([*products.columns, structs, hashes], schema=self._schema)

    def count(self, products: pa.Table) -> None:
        """Count the values of products that are accepted."""
        structs = products["attributes"].chunk(0)
        for number, field in enumerate(self._fields):
            self._filled[field.name] += len(structs) - structs.field(number).null_count

    def stats(self) -> dict[str, dict[str, Any]]:
        """By attribute, as `include.catalogue.summary.AttributeValues` has it."""
        return {
            field.name: {
                "type": self._types[field.name],
                "filled": self._filled[field.name],
                "unread": self._unread[field.name],
                "examples": self._examples.get(field.name, []),
                "currencies": dict(self._currencies.get(field.name, Counter()).most_common()),
            }
            for field in self._fields
        }
