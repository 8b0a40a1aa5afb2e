"""A self-contained HTML page: escaped text, tables, and small SVG charts. No script, no outside asset.

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
    return table(caption, ["name", "value"], [(name.replace("_", " "), text(value)) for name, value in values.items()])


def line_chart(
    title: str, x: Sequence[float], y: Sequence[float], *, x_name: str, y_name: str, points: int = 400
) -> Markup:
    """A line through (x, y): the mean of each stretch, in at most `points` stretches.

    Args:
        title: What it shows.
        x: Ascending, as many as `y`.
        y: Values; those that are not finite are left out.
        x_name: What `x` counts.
        y_name: What `y` measures.
        points: More than these are averaged, so that the page stays small.
    """
    kept = [(float(a), float(b)) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b)]
    if len(kept) < 2:
        return missing(title)
    stride = math.ceil(len(kept) / points)
    stretches = [kept[start : start + stride] for start in range(0, len(kept), stride)]
    means = [(sum(a for a, _ in part) / len(part), sum(b for _, b in part) / len(part)) for part in stretches]
    if len(means) == 1:
        means = kept
    width, height, left, bottom, top, right = 720, 260, 64, 40, 12, 12
    x_ticks = ticks(means[0][0], means[-1][0])
    y_ticks = ticks(min(b for _, b in means), max(b for _, b in means))
    x_low, x_high, y_low, y_high = means[0][0], means[-1][0], y_ticks[0], y_ticks[-1]

    def across(value: float) -> float:
        return left + (value - x_low) / ((x_high - x_low) or 1) * (width - left - right)

    def down(value: float) -> float:
        return height - bottom - (value - y_low) / ((y_high - y_low) or 1) * (height - bottom - top)

    parts = []
    for tick in y_ticks:
        at = down(tick)
        parts.append(f'<line class="grid" x1="{left}" x2="{width - right}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{text(tick)}</text>')
    for tick in x_ticks:
        if x_low <= tick <= x_high:
            parts.append(
                f'<text x="{across(tick):.1f}" y="{height - bottom + 18}" text-anchor="middle">{text(tick)}</text>'
            )
    parts.append(f'<text x="{width - right}" y="{height - 4}" text-anchor="end">{text(x_name)}</text>')
    path = " ".join(f"{across(a):.1f},{down(b):.1f}" for a, b in means)
    parts.append(f'<polyline class="line" points="{path}"/>')
    told = f"{y_name} against {x_name}: from {text(kept[0][1])} at {text(kept[0][0])} to {text(kept[-1][1])} "
    told += f"at {text(kept[-1][0])}; lowest {text(min(b for _, b in kept))}."
    return _figure(title, Markup(told), width, height, parts)


def bar_chart(title: str, bars: Sequence[tuple[str, float, str]], *, highest: float | None = None) -> Markup:
    """Horizontal bars, one under another.

    Args:
        title: What they compare.
        bars: Label, value (not negative), and the text written beside the bar.
        highest: The value of a full bar; by default the largest one.
    """
    kept = [bar for bar in bars if math.isfinite(bar[1]) and bar[1] >= 0]
    if not kept:
        return missing(title)
    full = highest or max(value for _, value, _ in kept) or 1.0
    width, step, left, right = 720, 26, 190, 110
    parts = []
    for number, (label, value, beside) in enumerate(kept):
        at = number * step + 4
        length = max(min(value / full, 1.0) * (width - left - right), 1.0)
        parts.append(f'<text x="{left - 10}" y="{at + 14}" text-anchor="end">{text(label)}</text>')
        parts.append(f'<rect class="bar" x="{left}" y="{at}" width="{length:.1f}" height="{step - 8}" rx="3"/>')
        parts.append(f'<text x="{left + length + 8:.1f}" y="{at + 14}">{text(beside)}</text>')
    told = Markup("; ".join(f"{text(label)} {text(beside)}" for label, _, beside in kept))
    return _figure(title, told, width, len(kept) * step + 8, parts)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers that span `low` to `high`."""
    if high <= low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(number * step, 12) for number in range(first, last + 1)]


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


def _figure(title: str, told: Markup, width: int, height: int, parts: Sequence[str]) -> Markup:
    drawing = (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{text(title)}. {told}">'
        f"<title>{text(title)}</title><desc>{told}</desc>{''.join(parts)}</svg>"
    )
    return element("figure", join([element("figcaption", title), Markup(drawing)]))


STYLE = """
:root { color-scheme: light dark; --back: #fbfbfa; --card: #fff; --ink: #1d2329; --soft: #5b6672; --rule: #dfe3e7;
  --accent: #1f6feb; --good: #157347; --good-back: #e7f5ec; --bad: #9a5b00; --bad-back: #fdf3e1; }
@media (prefers-color-scheme: dark) { :root { --back: #14181d; --card: #1b2027; --ink: #e6eaee; --soft: #9aa6b2;
  --rule: #313943; --accent: #6aa5ff; --good: #6fd39b; --good-back: #16301f; --bad: #f0b656; --bad-back: #33270f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 0 0 .75rem; }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 1.1rem 1.25rem;
  margin: 1rem 0; }
.sub { color: var(--soft); margin: 0 0 1rem; }
.decision { border-left: 5px solid var(--bad); background: var(--bad-back); padding: .8rem 1rem; border-radius: 8px; }
.decision strong { color: var(--bad); display: block; font-size: 1.1rem; }
.decision.yes { border-color: var(--good); background: var(--good-back); } .decision.yes strong { color: var(--good); }
.missing { color: var(--soft); font-style: italic; } .warn { color: var(--bad); font-weight: 600; }
.scroll { overflow-x: auto; margin: .5rem 0 1rem; }
table { border-collapse: collapse; min-width: min(26rem, 100%); font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: .2rem 0 .4rem; }
th, td { text-align: left; padding: .35rem 1.4rem .35rem 0; border-bottom: 1px solid var(--rule); vertical-align: top;
  overflow-wrap: break-word; } td { overflow-wrap: anywhere; }
thead th { color: var(--soft); font-weight: 600; white-space: nowrap; } tbody th { font-weight: 500; }
th.number, td.number { text-align: right; white-space: nowrap; } .best { font-weight: 700; }
figure { margin: .5rem 0 1rem; } figcaption { color: var(--soft); margin-bottom: .3rem; }
svg { width: 100%; height: auto; max-width: 720px; } svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
.grid { stroke: var(--rule); } .line { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; }
.bar { fill: var(--accent); } code { font-size: .92em; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
"""
