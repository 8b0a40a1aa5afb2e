"""What a catalogue says of a product beside its uid, title and content: brand, price, category, each of one type.

Convert writes them as one struct column of `products.parquet` (`include.catalogue.schema`), the index keeps them in
the payload under `attributes`, filters compare them. Light: whoever answers a question imports this.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

AttributeType: TypeAlias = Literal["text", "keyword", "number", "money", "date", "boolean", "keywords"]
AttributeValue: TypeAlias = str | float | bool | list[str]


LONGEST_SHOWN = 200  # characters of a text where a product is shown
MOST_SHOWN = 20  # values of a list, likewise


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


def bounded(values: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
    """A product's attributes for whoever reads them: long texts end in `…`, long lists in `… and 3 more`."""
    return {name: _bounded(value) for name, value in values.items()}


def shown(values: Mapping[str, AttributeValue]) -> str:
    """A product's attributes in one line, as they are written in a filter: `brand: Sony · price: 199 · new: true`."""
    return " · ".join(f"{name}: {_shown(value)}" for name, value in values.items())


def _bounded(value: AttributeValue) -> AttributeValue:
    if isinstance(value, list):
        left = len(value) - MOST_SHOWN
        return [_cut(each) for each in value[:MOST_SHOWN]] + ([f"… and {left:,} more"] if left > 0 else [])
    return _cut(value) if isinstance(value, str) else value


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _shown(value: AttributeValue) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return value.removesuffix("T00:00:00Z") if isinstance(value, str) else f"{value:.15g}"
