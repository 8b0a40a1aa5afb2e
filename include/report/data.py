"""The report's part on data: what became of every line, what was cleaned, how long texts are, what repeats."""

from collections.abc import Mapping
from typing import Any

from include.evaluation.comparison import is_number
from include.report.charts import HALF, bar_chart, histogram
from include.report.html import Markup, element, join, missing, pairs, section, side_by_side, table, text

FATES = ("read", "accepted", "rejected", "merged")
FIELDS = ("title", "content")
DUPLICATES = 10
COUNTED = {
    "reasons": "Rejected, by reason",
    "cleaned": "Cleaned, by rule",
    "mended": "Mended when read, by what it was",
    "ignored": "Fields that were ignored, by name",
}
Files = Mapping[str, Mapping[str, Any]]


def data(summary: Mapping[str, Any] | None) -> Markup:
    """Everything that convert counted; what it did not count is left out."""
    stats = (summary or {}).get("stats")
    if not isinstance(stats, Mapping) or not stats:
        return section("Data", missing("The summary of convert"))
    files = {name: value for name, value in stats.items() if isinstance(value, Mapping) and "read" in value}
    content: list[str] = [_warnings(files), _fates(files), _lengths(files), _scripts(files), _repeated(files)]
    for key, caption in COUNTED.items():
        counted = {name: value.get(key) or {} for name, value in files.items()}
        names = dict.fromkeys(each for counts in counted.values() for each in counts)
        rows = [[each, *(counts.get(each, 0) for counts in counted.values())] for each in names]
        nothing = element("p", f"{caption}: none.", class_="sub")
        content.append(table(caption, ["what", *counted], rows) if rows else nothing)
    content += [_rejected(files), _others(files)]
    rest = {name: value for name, value in stats.items() if name not in files}
    if rest:
        content.append(pairs("Catalogue", rest))
    return section("Data", *content)


def against_live(change: Mapping[str, Any] | None) -> Markup:
    """What the run's version changes in the live one's catalogue: a `CatalogueChange`."""
    if not isinstance(change, Mapping):
        return Markup()
    kinds = {True: "the synthetic sample", False: "a real one", None: "not known"}
    live, products, gone, new = (change.get(name) for name in ("live_products", "products", "gone", "new"))
    rows: list[list[Any]] = [
        ["products", live, products],
        ["products that the other has not", gone, new],
        ["kind of catalogue", kinds[change.get("live_is_sample")], kinds[change.get("is_sample")]],
    ]
    header = ["what", f"live version {change.get('live_version')}", "this run's version"]
    content: list[str] = [table("Products", header, rows)]
    if change.get("uncompared"):
        content.append(element("p", f"Their uids could not be compared: {change['uncompared']}.", class_="sub"))
    return section("Catalogue against the live one", *content)


def _warnings(files: Files) -> Markup:
    """What convert found wrong with most products or links of a file."""
    return join(
        element("p", warning, class_="warn") for each in files.values() for warning in each.get("warnings") or ()
    )


def _fates(files: Files) -> Markup:
    rows = [[name, *(value.get(fate) for fate in FATES), _adds_up(value)] for name, value in files.items()]
    content: list[str] = [table("Lines by fate", ["file", *FATES, "adds up"], rows)]
    for name, value in list(files.items())[:1]:  # trn: the products themselves
        read = value.get("read") or 0
        bars = [
            (fate, float(value[fate]), f"{value[fate]:,} ({value[fate] / read:.1%})")
            for fate in FATES[1:]
            if read and is_number(value.get(fate))
        ]
        soft = [fate for fate in FATES[1:] if fate != "accepted"]
        content.append(bar_chart(f"Lines of {name} by fate", bars, highest=float(read) or None, soft=soft))
    return join(content)


def _lengths(files: Files) -> Markup:
    """Histograms of the products' lengths, and quantiles of all files'."""
    plots = []
    for name, value in list(files.items())[:1]:
        for field in FIELDS:
            found = value.get(f"{field}_histogram")
            if isinstance(found, Mapping) and found.get("counts"):
                title = f"Length of {field}s, {name}"
                plots.append(histogram(title, found["bounds"], found["counts"], x_name="characters", width=HALF))
    content: list[str] = [side_by_side(*plots)] if plots else []
    quantiles = {
        f"{name}, {key.removesuffix('_chars')}": value[key]
        for name, value in files.items()
        for key in value
        if key.endswith("_chars") and isinstance(value[key], Mapping) and value[key]
    }
    columns = list(dict.fromkeys(quantile for each in quantiles.values() for quantile in each))
    rows = [[name, *(each.get(column) for column in columns)] for name, each in quantiles.items()]
    if rows:
        content.append(table("Lengths in characters", ["file, field", *columns], rows))
    return join(content)


def _scripts(files: Files) -> Markup:
    for name, value in list(files.items())[:1]:
        scripts = value.get("title_scripts")
        if isinstance(scripts, Mapping) and scripts:
            total = sum(scripts.values())
            bars = [(str(script), float(n), f"{n:,} ({n / total:.1%})") for script, n in scripts.items()]
            return bar_chart(f"Titles by script, {name}", bars)
    return Markup()


def _repeated(files: Files) -> Markup:
    rows = [
        [found.get("title"), name, found.get("line"), found.get("count")]
        for name, value in files.items()
        for found in (value.get("repeated_texts") or [])[:DUPLICATES]
        if isinstance(found, Mapping)
    ]
    counted = any("repeated_texts" in value for value in files.values())
    if not rows:
        return element("p", "Texts that repeat: none.", class_="sub") if counted else Markup()
    return table("Texts that repeat most", ["title", "file", "first line", "products"], rows)


def _rejected(files: Files) -> Markup:
    """The first rejected lines of each reason, as convert kept them."""
    rows = []
    for name, value in files.items():
        for reason, found in (value.get("examples") or {}).items():
            listed = [found] if isinstance(found, Mapping) else found
            rows += [[reason, name, text(each.get("line")), element("code", each.get("excerpt"))] for each in listed]
    if not rows:
        return Markup()
    return table("The first rejected lines of each reason", ["reason", "file", "line", "begins"], rows)


def _others(files: Files) -> Markup:
    names = dict.fromkeys(k for v in files.values() for k, each in v.items() if is_number(each) and k not in FATES)
    rows = [[key.replace("_", " "), *(value.get(key) for value in files.values())] for key in names]
    return table("Other counts", ["what", *files], rows) if rows else Markup()


def _adds_up(counts: Mapping[str, Any]) -> Markup:
    parts = [counts.get(fate) for fate in FATES]
    if not all(isinstance(part, int) for part in parts):
        return text(None)
    read, *fates = (int(part or 0) for part in parts)
    if read == sum(fates):
        return text("yes")
    return element("span", f"no: {sum(fates):,} of {read:,}", class_="warn")
