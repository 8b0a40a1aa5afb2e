"""The report's part on data: what became of every line, what was cleaned, how long texts are, what repeats."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from include.evaluation.comparison import is_number
from include.report.charts import HALF, bar_chart, histogram
from include.report.html import Cell, render, shown

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
    stats = (summary or {}).get("stats") or {}
    files = {name: value for name, value in stats.items() if isinstance(value, Mapping) and "read" in value}
    header, quantiles = _quantiles(files)
    return render(
        "data",
        files=list(files),
        warnings=[warning for each in files.values() for warning in each.get("warnings") or ()],
        fates=[[name, *(value.get(fate) for fate in FATES), _adds_up(value)] for name, value in files.items()],
        fate_charts=_fates(files),
        lengths=_lengths(files),
        quantiles_header=header,
        quantiles=quantiles,
        scripts=_scripts(files),
        repeated=_repeated(files),
        counted={caption: _counted(files, key) for key, caption in COUNTED.items()},
        rejected=_rejected(files),
        others=_others(files),
        rest={name: value for name, value in stats.items() if name not in files},
    )


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
    return render("catalogue_change", header=header, rows=rows, uncompared=change.get("uncompared"))


def _fates(files: Files) -> list[Markup]:
    charts = []
    for name, value in list(files.items())[:1]:  # trn: the products themselves
        read = value.get("read") or 0
        bars = [
            (fate, float(value[fate]), f"{value[fate]:,} ({value[fate] / read:.1%})")
            for fate in FATES[1:]
            if read and is_number(value.get(fate))
        ]
        soft = [fate for fate in FATES[1:] if fate != "accepted"]
        charts.append(bar_chart(f"Lines of {name} by fate", bars, highest=float(read) or None, soft=soft))
    return charts


def _lengths(files: Files) -> list[Markup]:
    """Histograms of the products' lengths."""
    plots = []
    for name, value in list(files.items())[:1]:
        for field in FIELDS:
            found = value.get(f"{field}_histogram")
            if isinstance(found, Mapping) and found.get("counts"):
                title = f"Length of {field}s, {name}"
                plots.append(histogram(title, found["bounds"], found["counts"], x_name="characters", width=HALF))
    return plots


def _quantiles(files: Files) -> tuple[list[str], list[list[Any]]]:
    """Header and rows: of every file and field."""
    quantiles = {
        f"{name}, {key.removesuffix('_chars')}": value[key]
        for name, value in files.items()
        for key in value
        if key.endswith("_chars") and isinstance(value[key], Mapping) and value[key]
    }
    columns = list(dict.fromkeys(quantile for each in quantiles.values() for quantile in each))
    rows = [[name, *(each.get(column) for column in columns)] for name, each in quantiles.items()]
    return ["file, field", *columns], rows


def _scripts(files: Files) -> Markup:
    for name, value in list(files.items())[:1]:
        scripts = value.get("title_scripts")
        if isinstance(scripts, Mapping) and scripts:
            total = sum(scripts.values())
            bars = [(str(script), float(n), f"{n:,} ({n / total:.1%})") for script, n in scripts.items()]
            return bar_chart(f"Titles by script, {name}", bars)
    return Markup()


def _repeated(files: Files) -> list[list[Any]]:
    return [
        [found.get("title"), name, found.get("line"), found.get("count")]
        for name, value in files.items()
        for found in (value.get("repeated_texts") or [])[:DUPLICATES]
        if isinstance(found, Mapping)
    ]


def _counted(files: Files, key: str) -> list[list[Any]]:
    counted = [value.get(key) or {} for value in files.values()]
    names = dict.fromkeys(each for counts in counted for each in counts)
    return [[each, *(counts.get(each, 0) for counts in counted)] for each in names]


def _rejected(files: Files) -> list[list[Any]]:
    """The first rejected lines of each reason, as convert kept them."""
    return [
        [reason, name, shown(each.get("line")), Cell(each.get("excerpt"), "code", figure=False)]
        for name, value in files.items()
        for reason, listed in (value.get("examples") or {}).items()
        for each in listed
    ]


def _others(files: Files) -> list[list[Any]]:
    names = dict.fromkeys(k for v in files.values() for k, each in v.items() if is_number(each) and k not in FATES)
    return [[key.replace("_", " "), *(value.get(key) for value in files.values())] for key in names]


def _adds_up(counts: Mapping[str, Any]) -> Any:
    parts = [counts.get(fate) for fate in FATES]
    if not all(isinstance(part, int) for part in parts):
        return None
    read, *fates = (int(part or 0) for part in parts)
    return "yes" if read == sum(fates) else Cell(f"no: {sum(fates):,} of {read:,}", "warn", figure=False)
