"""Small SVG charts for a page: lines, bars, histograms, figures with their intervals.

Each is a `figure` with a caption; the drawing has a name and a description in words, for who does not see it.
Everything is drawn in a box that scales with the page: 720 wide, or half of it. Colours
are the page's (`include/report/templates/style.css.j2`).
"""

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from include.report.html import missing, render, shown

WIDTH = 720
HALF = 430  # for two beside each other
RIGHT = 12


def line_chart(
    title: str,
    x: Sequence[float],
    y: Sequence[float],
    *,
    x_name: str,
    y_name: str,
    points: int = 400,
    smooth: bool = False,
) -> Markup:
    """A line through (x, y), half a page wide.

    Args:
        title: What it shows.
        x: Ascending, as many as `y`.
        y: Values; those that are not finite are left out.
        x_name: What `x` counts.
        y_name: What `y` measures.
        points: More than these are averaged, so that the page stays small.
        smooth: Draw the running mean, and the points themselves faintly.
    """
    kept = [(float(a), float(b)) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b)]
    if len(kept) < 2:
        return missing(title)
    means = _means(kept, math.ceil(len(kept) / points))
    height, left, bottom, top = 260, 64, 40, 12
    y_ticks = ticks(min(b for _, b in means), max(b for _, b in means))
    x_low, x_high, y_low, y_high = means[0][0], means[-1][0], y_ticks[0], y_ticks[-1]

    def across(value: float) -> float:
        return left + (value - x_low) / ((x_high - x_low) or 1) * (HALF - left - RIGHT)

    def down(value: float) -> float:
        return height - bottom - (value - y_low) / ((y_high - y_low) or 1) * (height - bottom - top)

    def path(line: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{across(a):.1f},{down(b):.1f}" for a, b in line)

    parts = []
    for tick in y_ticks:
        at = down(tick)
        parts.append(f'<line class="grid" x1="{left}" x2="{HALF - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(_label(left - 8, at + 4, shown(tick), "end"))
    parts += [
        _label(across(tick), height - bottom + 18, shown(tick), "middle")
        for tick in ticks(x_low, x_high)
        if x_low <= tick <= x_high
    ]
    parts.append(_label(HALF - RIGHT, height - 4, x_name, "end"))
    window = len(means) // 40 if smooth else 0
    if window > 1:  # a curve of single batches is mostly noise
        parts.append(f'<polyline class="faint" points="{path(means)}"/>')
    parts.append(f'<polyline class="line" points="{path(_smooth(means, window))}"/>')
    told = f"{y_name} against {x_name}: from {shown(kept[0][1])} at {shown(kept[0][0])} to {shown(kept[-1][1])} "
    told += f"at {shown(kept[-1][0])}; lowest {shown(min(b for _, b in kept))}."
    return _figure(title, told, height, parts, HALF)


def bar_chart(
    title: str, bars: Sequence[tuple[str, float, str]], *, highest: float | None = None, soft: Sequence[str] = ()
) -> Markup:
    """Horizontal bars, one under another.

    Args:
        title: What they compare.
        bars: Label, value (not negative), and the text written beside the bar.
        highest: The value of a full bar; by default the largest one.
        soft: Labels whose bars are drawn in a softer colour.
    """
    kept = [bar for bar in bars if math.isfinite(bar[1]) and bar[1] >= 0]
    if not kept:
        return missing(title)
    full = highest or max(value for _, value, _ in kept) or 1.0
    step, left, right = 26, 190, 150
    parts = []
    for number, (label, value, beside) in enumerate(kept):
        at = number * step + 4
        length = max(min(value / full, 1.0) * (WIDTH - left - right), 1.0)
        kind = "bar other" if label in soft else "bar"
        parts.append(_label(left - 10, at + 14, label, "end"))
        parts.append(f'<rect class="{kind}" x="{left}" y="{at}" width="{length:.1f}" height="{step - 8}" rx="3"/>')
        parts.append(_label(left + length + 8, at + 14, beside, "start"))
    told = "; ".join(f"{label} {beside}" for label, _, beside in kept)
    return _figure(title, told, len(kept) * step + 8, parts)


def interval_chart(
    title: str, rows: Sequence[tuple[str, float, Sequence[float] | None]], *, main: Sequence[str] = ()
) -> Markup:
    """Figures as dots, their intervals as lines through them, half a page wide.

    Args:
        title: What they measure.
        rows: Label, figure, and `[low, high]` or None.
        main: Labels that are drawn in the page's own colour.
    """
    kept = [row for row in rows if math.isfinite(row[1])]
    if not kept:
        return missing(title)
    step, left, right = 30, 140, 48
    ends = [end for _, value, bounds in kept for end in (value, *(bounds or ()))]
    marks = ticks(min(ends), max(ends), 3)
    low, high = marks[0], marks[-1]
    height = len(kept) * step + 30

    def across(value: float) -> float:
        return left + (value - low) / ((high - low) or 1) * (HALF - left - right)

    parts = []
    for mark in marks:
        at = across(mark)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{height - 26}"/>')
        parts.append(_label(at, height - 8, shown(mark), "middle"))
    for number, (label, value, bounds) in enumerate(kept):
        y = number * step + 18
        drawn = [f'<circle class="dot" cx="{across(value):.1f}" cy="{y}" r="5"/>']
        if bounds is not None:
            first, last = (across(end) for end in bounds)
            drawn.insert(0, f'<line class="whisker" x1="{first:.1f}" x2="{last:.1f}" y1="{y}" y2="{y}"/>')
        parts.append(f'<g class="{"main" if label in main else "rest"}">{"".join(drawn)}</g>')
        parts.append(_label(left - 12, y + 4, label, "end"))
        parts.append(_label(HALF - 4, y + 4, f"{value:.3f}", "end", ink=True))
    told = "; ".join(
        f"{label} {value:.3f}" + (f" ({bounds[0]:.3f} to {bounds[1]:.3f})" if bounds is not None else "")
        for label, value, bounds in kept
    )
    return _figure(title, told, height, parts, HALF)


def histogram(
    title: str, bounds: Sequence[float], counts: Sequence[float], *, x_name: str, width: int = WIDTH
) -> Markup:
    """Columns side by side, all of one width: for bins that grow.

    Args:
        title: What is counted.
        bounds: The bins' edges, one more than `counts`.
        counts: How many are in each.
        x_name: What the edges measure.
        width: Of the drawing.
    """
    if not counts or len(bounds) != len(counts) + 1 or max(counts) <= 0:
        return missing(title)
    height, left, bottom, top = 220, 20, 40, 22
    wide = (width - left - RIGHT) / len(counts)
    every = math.ceil(len(bounds) * 55 / width)
    parts = []
    for number, count in enumerate(counts):
        tall = count / max(counts) * (height - bottom - top)
        at = left + number * wide
        y = height - bottom - tall
        parts.append(
            f'<rect class="bar" x="{at + 1:.1f}" y="{y:.1f}" width="{max(wide - 2, 1):.1f}" height="{tall:.1f}"/>'
        )
        if count and len(counts) * 40 <= width:
            parts.append(_label(at + wide / 2, y - 5, shown(count), "middle"))
    parts += [
        _label(left + number * wide, height - bottom + 16, shown(bound), "middle")
        for number, bound in enumerate(bounds)
        if number % every == 0
    ]
    parts.append(_label(width - RIGHT, height - 4, x_name, "end"))
    most = max(range(len(counts)), key=lambda number: counts[number])
    told = f"{shown(sum(counts))} in all, from {shown(bounds[0])} to {shown(bounds[-1])} {x_name}; most, "
    told += f"{shown(counts[most])}, from {shown(bounds[most])} to {shown(bounds[most + 1])}."
    return _figure(title, told, height, parts, width)


def scatter_chart(
    title: str, places: Sequence[tuple[float, float]], titles: Sequence[str], groups: Sequence[int], told: str
) -> Markup:
    """Points on a plane; which one it is, a point says when the pointer is over it.

    Args:
        title: What it shows.
        places: Of each point, 0-1, from the left and from below.
        titles: Of each point.
        groups: Of each point, the number of its colour: `c0`, `c1` … in the style.
        told: The drawing in words.
    """
    if not places:
        return missing(title)
    height, edge = 380, 10
    drawn: dict[int, list[str]] = {}
    for (a, b), name, group in zip(places, titles, groups, strict=True):
        x, y = edge + a * (WIDTH - 2 * edge), height - edge - b * (height - 2 * edge)
        point = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>{escape(name)}</title></circle>'
        drawn.setdefault(group, []).append(point)
    parts = [f'<g class="c{group}">{"".join(points)}</g>' for group, points in sorted(drawn.items(), reverse=True)]
    return _figure(title, told, height, parts)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers that span `low` to `high`."""
    if high <= low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _means(line: Sequence[tuple[float, float]], stride: int) -> list[tuple[float, float]]:
    """The mean of each stretch of `stride` points."""
    stretches = [line[start : start + stride] for start in range(0, len(line), stride)]
    means = [(sum(a for a, _ in part) / len(part), sum(b for _, b in part) / len(part)) for part in stretches]
    return means if len(means) > 1 else list(line)


def _smooth(line: Sequence[tuple[float, float]], window: int) -> list[tuple[float, float]]:
    """The running mean over `window` points to both sides, fewer at the ends."""
    smooth = []
    for number, (a, _) in enumerate(line):
        reach = min(window, number, len(line) - 1 - number)
        near = line[number - reach : number + reach + 1]
        smooth.append((a, sum(b for _, b in near) / len(near)))
    return smooth


def _label(x: float, y: float, words: str, anchor: str, *, ink: bool = False) -> str:
    kind = ' class="ink"' if ink else ""
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _figure(title: str, told: str, height: int, parts: Sequence[str], width: int = WIDTH) -> Markup:
    drawing = Markup("".join(parts))  # noqa: S704  numbers, and words that `_label` has escaped
    return render("figure", title=title, told=told, width=width, height=height, drawing=drawing)
