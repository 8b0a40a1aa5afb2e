"""What a catalogue says of a product beside its uid, title and content: brand, price, category, each of one type.

Convert writes them as one struct column of `products.parquet` (`include.catalogue.schema`), the index keeps them in
the payload under `attributes`, filters compare them. Light: whoever answers a question imports this.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

AttributeType: TypeAlias = Literal["text", "keyword", "number", "money", "date", "boolean", "keywords"]
AttributeValue: TypeAlias = str | float | bool | list[str]


class Attribute(BaseModel):
    """One attribute of a catalogue.

    Attributes:
        name: As filters, payloads and answers call it: lower case, letters, digits and `_`, not a digit first.
        type: Of its values. `text` is searched by words, `keyword` compared whole, `keywords` is a list of those;
            `number` and `money` (an amount without its currency) are floats, `date` is a point in time in UTC.
        field: What the file calls it.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    type: AttributeType
    field: str


def shown(values: Mapping[str, AttributeValue]) -> str:
    """A product's attributes in one line, as they are written in a filter: `brand: Sony · price: 199 · new: true`."""
    return " · ".join(f"{name}: {_shown(value)}" for name, value in values.items())


def _shown(value: AttributeValue) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return value.removesuffix("T00:00:00Z") if isinstance(value, str) else f"{value:.15g}"
