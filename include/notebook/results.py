"""Results as a notebook shows them: the same JSON as everywhere, and tables of it.

Product texts are other people's: what `repr` and HTML show of them can neither move a cursor nor run as a script.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from include.answering.questions import as_text
from include.core.redaction import escaped

if TYPE_CHECKING:
    import pandas as pd
    from jinja2 import Template

_PAGE = """
{%- for each in answers %}
<div style="margin: 0.5em 0 1em"><b><bdi>{{ each.question }}</bdi></b>
{%- if each.error %}<p>{{ each.error.what }} {{ each.error.next_step }}</p>{% else %}
{%- if each.mended %}<br><small>Searched for <bdi>{{ each.searched }}</bdi></small>{% endif %}
<p><bdi>{{ each.answer }}</bdi></p>
<ol>{% for one in each.sources or each.products %}<li><bdi>{{ one.title }}</bdi> <small>uid <bdi>{{ one.uid }}</bdi>, {{
 "%.3f" | format(one.score) }}</small>{% if one.snippet and one.snippet != one.title %}<br><bdi>{{ one.snippet
 }}</bdi>{% endif %}</li>{% endfor %}</ol>
{%- if each.products and not each.found %}<small>The nearest products.</small>{% endif %}
{%- endif %}</div>
{%- endfor %}"""


class Answers(dict[str, Any]):
    """The JSON of an answer; `answers` has an entry for each question."""

    def to_frame(self) -> "pd.DataFrame":
        """A row for each product of each question: question, rank, cited (its marker, or none), and its attributes."""
        return _frame(
            {"question": each["question"], "cited": _marker(each, product), **_row(product)}
            for each in self["answers"]
            for product in each["products"]
        )

    def __repr__(self) -> str:
        return "\n\n".join(_text(each) for each in self["answers"])

    def _repr_html_(self) -> str:
        return _template().render(answers=_printable(self["answers"]))


class Found(dict[str, Any]):
    """The JSON of a search."""

    def to_frame(self) -> "pd.DataFrame":
        """A row for each product, by rank."""
        return _frame(map(_row, self["products"]))

    def __repr__(self) -> str:
        lines = [f"{each['rank']}. {each['title']} · uid {each['uid']}" for each in self["products"]]
        return "\n".join(map(escaped, lines)) or "No products."


class Facets(dict[str, Any]):
    """The JSON of counts."""

    def to_frame(self) -> "pd.DataFrame":
        """A row for each value of each attribute: attribute, value, count, filter."""
        return _frame({"attribute": name, **each} for name, values in self["facets"].items() for each in values)

    def __repr__(self) -> str:
        lines = [f"{self['products']:,} products"]
        for name, values in self["facets"].items():
            lines.append(f"{name}: " + ", ".join(f"{each['value']} {each['count']:,}" for each in values))
        return "\n".join(map(escaped, lines))


class Versions(list[dict[str, Any]]):
    """The kept versions, the live one first."""

    def to_frame(self) -> "pd.DataFrame":
        """A row for each version, with dates as dates."""
        import pandas as pd

        frame = _frame(self)
        for name in {"logical_date", "published_at"} & set(frame.columns):
            frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
        return frame


def _frame(rows: Iterable[Mapping[str, Any]]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(list(rows))


def _row(product: Mapping[str, Any]) -> dict[str, Any]:
    """Rank, uid, title, score and snippet, then the attributes by name; one called like a column gets a `_` behind."""
    own = {name: product[name] for name in ("rank", "uid", "title", "score", "snippet") if name in product}
    taken = {*own, "question", "cited"}
    others = {f"{name}_" if name in taken else name: value for name, value in product.get("attributes", {}).items()}
    return {**own, **others}


def _marker(entry: Mapping[str, Any], product: Mapping[str, Any]) -> int | None:
    return next((number for number, each in enumerate(entry["sources"], 1) if each["rank"] == product["rank"]), None)


def _text(entry: Mapping[str, Any]) -> str:
    return "\n".join(escaped(line) for line in as_text(entry).split("\n"))


def _printable(value: Any) -> Any:
    """The same JSON with every text printable."""
    if isinstance(value, str):
        return escaped(" ".join(value.split()))
    if isinstance(value, Mapping):
        return {name: _printable(each) for name, each in value.items()}
    return [_printable(each) for each in value] if isinstance(value, list) else value


@cache
def _template() -> "Template":
    from jinja2 import Environment

    return Environment(autoescape=True).from_string(_PAGE)
