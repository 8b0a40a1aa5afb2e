"""Fills the templates of `include/report/templates/`; `include/report/charts.py` draws. No script, no outside asset.

Whatever a template shows is escaped, so a product title cannot become part of the page; a name that it is not given is
an error. Colours follow the reader's light or dark setting; tables have captions and headers, charts a name and a
description.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

MISSING = "–"


@dataclass(frozen=True)
class Cell:
    """A table's cell that is more than a value.

    Attributes:
        words: What it shows.
        kind: The class of its words in the style; `code` sets them as code, `ask` has a link to
            the Ask page, which whoever serves the page shows.
        small: In small print below them.
        figure: Whether it stands for a number: set flush right.
    """

    words: str
    kind: str = ""
    small: str = ""
    figure: bool = True


class Part(NamedTuple):
    """A part of the page under its title; the contents list leads to it. Without a body it is left out."""

    title: str
    body: Markup

    @property
    def anchor(self) -> str:
        """Its place in the page, for links."""
        return self.title.lower().replace(" ", "-")


def render(template: str, **values: Any) -> Markup:
    """A template filled with values."""
    return Markup(TEMPLATES.get_template(f"{template}.html.j2").render(values))  # noqa: S704  it has escaped them


def missing(what: str) -> Markup:
    """Says that something is not there, in the place where it would be."""
    return render("missing", what=what)


def shown(value: Any) -> str:
    """`value` as readable text: thousands in integers, four digits in fractions, a dash for nothing."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        value = (f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}") if math.isfinite(value) else ""
    if isinstance(value, Mapping):
        value = "; ".join(f"{shown(key)}: {shown(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        value = ", ".join(map(shown, value))
    return MISSING if value is None else str(value) or MISSING


def _is_figure(value: Any) -> bool:
    if isinstance(value, Cell):
        return value.figure
    return isinstance(value, int | float) and not isinstance(value, bool)


TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters["shown"] = shown
TEMPLATES.tests |= {"figure": _is_figure, "cell": lambda value: isinstance(value, Cell)}
