"""A self-contained HTML page: escaped text and tables; `include/report/charts.py` draws. No script, no outside asset.

Everything that is not `Markup` is escaped, so a product title cannot become part of the page. Colours
follow the reader's light or dark setting; tables have captions and headers, charts a name and a description.
"""

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MISSING = "–"


class Markup(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


class Figure(Markup):
    """Markup that stands for a number: set flush right in tables."""

    __slots__ = ()


def text(value: Any) -> Markup:
    """`value` as readable, escaped text: thousands in integers, four digits in fractions, a dash for nothing."""
    if isinstance(value, Markup):
        return value
    if value is None:
        return Markup(MISSING)
    if isinstance(value, bool | int | float):
        return _number(value)
    if isinstance(value, Mapping):
        return Markup("; ".join(f"{text(key)}: {text(inner)}" for key, inner in value.items()) or MISSING)
    if isinstance(value, list | tuple):
        return Markup(", ".join(text(inner) for inner in value) or MISSING)
    return Markup(html.escape(str(value)) or MISSING)


def join(parts: Iterable[str]) -> Markup:
    """Markup parts, one after another; plain strings among them are escaped."""
    return Markup("\n".join(text(part) for part in parts))


def element(name: str, content: Any, **attributes: str) -> Markup:
    """One element; `class_` stands for `class`, and other underscores in names for hyphens."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{html.escape(v)}"' for key, v in attributes.items())
    return Markup(f"<{name}{given}>{text(content)}</{name}>")


def section(title: str, *content: str) -> Markup:
    """A part of the page with its heading."""
    return element("section", join([element("h2", title), *content]))


def missing(what: str) -> Markup:
    """Says that something is not there, in the place where it would be."""
    return element("p", f"{what} is missing.", class_="missing")


def table(caption: str, header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> Markup:
    """A table whose first column names the rows.

    Args:
        caption: Shown above it.
        header: Column names.
        rows: Cells; numbers are set flush right.
    """
    kept = [list(row) for row in rows]
    numeric = {column for row in kept for column, value in enumerate(row) if column and _is_figure(value)}
    head = "".join(
        element("th", name, scope="col", class_="number" if column in numeric else "text")
        for column, name in enumerate(header)
    )
    lines = []
    for row in kept:
        cells = [element("th", row[0], scope="row")]
        cells += [
            element("td", value, class_="number") if _is_figure(value) else element("td", value) for value in row[1:]
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    if not lines:
        return missing(caption)
    body = Markup(
        f"<caption>{text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{chr(10).join(lines)}</tbody>"
    )
    # Scrolls sideways on a small screen; focusable, so that the keyboard can do it too.
    return element("div", element("table", body), class_="scroll", tabindex="0", role="region", aria_label=caption)


def pairs(caption: str, values: Mapping[str, Any]) -> Markup:
    """A table of names and values."""
    rows = [(name.replace("_", " "), text(value)) for name, value in values.items()]
    return element("div", table(caption, ["name", "value"], rows), class_="facts")


def side_by_side(*parts: str) -> Markup:
    """Parts beside each other where the page is wide enough."""
    return element("div", join(part for part in parts if part), class_="plots")


def page(title: str, body: str) -> str:
    """The whole document."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


def _number(value: float) -> Markup:
    if isinstance(value, bool):
        return Markup("yes" if value else "no")
    if isinstance(value, int):
        return Markup(f"{value:,}")
    if not math.isfinite(value):
        return Markup(MISSING)
    return Markup(f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}")


def _is_figure(value: Any) -> bool:
    return isinstance(value, Figure) or (isinstance(value, int | float) and not isinstance(value, bool))


DARK = """color-scheme: dark; --back: #12161b; --card: #1a2027; --ink: #e6eaee; --soft: #9aa6b2; --rule: #2d3540;
  --accent: #6aa5ff; --other: #64788d; --warm: #f59e6c; --good: #6fd39b; --good-back: #16301f; --bad: #f0b656;
  --bad-back: #33270f; --wait: #8bb8ff; --wait-back: #172740;"""
# The reader's system decides between light and dark, unless whoever shows the page has set `data-theme`.
STYLE = """
:root { color-scheme: light; --back: #f6f7f8; --card: #fff; --ink: #1a2027; --soft: #5a6673; --rule: #e1e5e9;
  --accent: #1f6feb; --other: #8fa3b8; --warm: #c2410c; --good: #157347; --good-back: #e7f5ec; --bad: #9a5b00;
  --bad-back: #fdf3e1; --wait: #1f5fbf; --wait-back: #e8f0fd; }
@media (prefers-color-scheme: dark) { :root:not([data-theme="light"]) { @dark@ } }
:root[data-theme="dark"] { @dark@ }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.55 system-ui, sans-serif; }
main { max-width: 64rem; margin: 0 auto; padding: 1.75rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; letter-spacing: -.01em; } h2 { font-size: 1.15rem; margin: 0 0 .9rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 1.2rem 1.4rem;
  margin: 1rem 0; }
.sub { color: var(--soft); margin: 0 0 1rem; overflow-wrap: anywhere; }
.decision { border-left: 5px solid var(--bad); background: var(--bad-back); padding: .8rem 1rem; border-radius: 8px; }
.decision strong { color: var(--bad); display: block; font-size: 1.15rem; } .decision p { margin: 0; }
.decision p + p, .decision strong + p { margin-top: .3rem; } .decision { overflow-wrap: anywhere; }
h1, h2, a { overflow-wrap: anywhere; } a { color: var(--accent); margin-right: 1.2rem; }
ul { margin: 0; padding-left: 1.2rem; } li { margin: .25rem 0; overflow-wrap: anywhere; }
.decision + .sub { margin-top: .6rem; }
.decision.yes { border-color: var(--good); background: var(--good-back); } .decision.yes strong { color: var(--good); }
.decision.wait { border-color: var(--wait); background: var(--wait-back); }
.decision.wait strong { color: var(--wait); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .8rem; margin: 1rem 0 0; }
.tile { border: 1px solid var(--rule); border-radius: 10px; padding: .7rem .9rem; background: var(--card); }
.tile strong { display: block; font-size: 1.45rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: .87rem; display: block; }
.missing { color: var(--soft); font-style: italic; } .warn, .worse { color: var(--bad); font-weight: 600; }
.better { color: var(--good); font-weight: 600; } small { color: var(--soft); display: block; font-size: .8em; }
.scroll { overflow-x: auto; margin: .5rem 0 1rem; }
table { border-collapse: collapse; min-width: min(26rem, 100%); font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: .2rem 0 .4rem; }
th, td { text-align: left; padding: .38rem 1.4rem .38rem 0; border-bottom: 1px solid var(--rule); vertical-align: top;
  overflow-wrap: break-word; } td { overflow-wrap: anywhere; }
thead th { color: var(--soft); font-weight: 600; white-space: nowrap; } tbody th { font-weight: 500; }
th.number, td.number { text-align: right; white-space: nowrap; } .best { font-weight: 700; }
.facts thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(25rem, 100%), 1fr)); gap: .4rem 1.6rem; }
figure { margin: .5rem 0 1rem; } figcaption { color: var(--soft); margin-bottom: .3rem; }
svg { width: 100%; height: auto; max-width: 720px; display: block; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; } svg text.ink { fill: var(--ink); }
.grid { stroke: var(--rule); } .line { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; }
.faint { fill: none; stroke: var(--accent); stroke-width: 1; opacity: .3; }
.bar { fill: var(--accent); } .bar.other { fill: var(--other); } .bar.warm { fill: var(--warm); }
.whisker { stroke: var(--other); stroke-width: 2; } .dot { fill: var(--other); }
.main .whisker { stroke: var(--accent); } .main .dot { fill: var(--accent); }
code { font-size: .92em; } details { margin: .6rem 0; } summary { cursor: pointer; color: var(--soft); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
""".replace("@dark@", DARK)
