"""The report's part on data: what became of every line, what was cleaned, how long texts are, what repeats."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from include.catalogue.summary import ChosenFields, Counted, FileCounts
from include.report.charts import HALF, bar_chart, histogram
from include.report.html import Cell, render, shown
from include.report.rejected import Rejected
from include.results import CatalogueChange

DUPLICATES = 10
COUNTED: dict[str, Callable[[FileCounts], Mapping[str, int]]] = {
    "Rejected, by reason": lambda counts: counts.reasons,
    "Cleaned, by rule": lambda counts: counts.cleaned,
    "Mended when read, by what it was": lambda counts: counts.mended,
    "Fields that were ignored, by name": lambda counts: counts.ignored,
}
OTHERS = (
    *("blank", "short", "merged_different", "same_text", "distinct_texts", "links", "emptied_contents"),
    *("with_content", "without_content", "links_nowhere"),
)
SAID = {"short": "rows with fewer cells than the header"}


def data(counted: Counted | None, rejected: Rejected | None = None) -> Markup:
    """Everything that convert counted; what it did not count is left out."""
    if counted is None:
        return render("data", files=None)
    files = counted.files
    header, quantiles = _quantiles(files)
    return render(
        "data",
        told=_told(counted.trn),
        download=rejected,
        files=list(files),
        warnings=[warning for each in files.values() for warning in each.warnings],
        mapping=_mapping(counted.mapping),
        attributes=_attributes(counted),
        fates=[
            [name, each.read, each.accepted, each.rejected, each.merged, _adds_up(each)] for name, each in files.items()
        ],
        fate_chart=_fates(counted.trn),  # the products themselves
        lengths=_lengths(counted.trn),
        quantiles_header=header,
        quantiles=quantiles,
        scripts=_scripts(counted.trn),
        repeated=[
            [found["title"], name, found["line"], found["count"]]
            for name, each in files.items()
            for found in each.repeated_texts[:DUPLICATES]
        ],
        counted={caption: _named([count(each) for each in files.values()]) for caption, count in COUNTED.items()},
        rejected=[
            [reason, line.get("file", name), shown(line["line"]), Cell(line["excerpt"], "code", figure=False)]
            for name, each in files.items()
            for reason, lines in each.examples.items()
            for line in lines
        ],
        others=_others(files),
        products=counted.products,
    )


def _told(trn: FileCounts) -> str:
    """What became of the products' lines, in a sentence."""
    why = ", ".join(f"{reason}: {count:,}" for reason, count in trn.reasons.items())
    rejected = f"{trn.rejected:,} were rejected" + (f" ({why})" if why else "")
    return f"{trn.accepted:,} of {trn.read:,} lines became products; {rejected}, {trn.merged:,} merged with another."


def against_live(change: CatalogueChange | None) -> Markup:
    """What the run's version changes in the live one's catalogue."""
    if change is None:
        return Markup()
    kinds = {True: "the synthetic sample", False: "a real one", None: "not known"}
    rows: list[list[Any]] = [
        ["products", change.live_products, change.products],
        ["kind of catalogue", kinds[change.live_is_sample], kinds[change.is_sample]],
    ]
    header = ["what", f"live version {change.live_version}", "this run's version"]
    fates = {
        "removed": change.gone,
        "added": change.new,
        "changed text": change.changed_text,
        "changed attributes alone": change.changed_attributes,
        "unchanged": change.unchanged,
    }
    counted = [[fate, count] for fate, count in fates.items() if count is not None]
    return render("catalogue_change", header=header, rows=rows, fates=counted, uncompared=change.uncompared)


def _mapping(chosen: ChosenFields | None) -> dict[str, str]:
    """Our fields, each with the columns that it was made of."""
    if chosen is None:
        return {}
    content = ", ".join(chosen.content) or "none"
    if chosen.labelled:
        content += " (each with its name: no column is a description)"
    return {"uid": chosen.uid, "title": chosen.title, "content": content}


def _attributes(counted: Counted) -> list[list[Any]]:
    """Each attribute: its column and type, how many products have it, what did not read as its type."""
    rows = []
    for each in counted.mapping.attributes if counted.mapping else ():
        values = counted.trn.attributes[each.name]
        share = f"{values.filled:,} ({values.filled / max(counted.trn.accepted, 1):.1%})"
        currencies = ", ".join(f"{currency} {count:,}" for currency, count in values.currencies.items())
        rows.append([each.name, each.field, each.type, share, values.unread, ", ".join(values.examples), currencies])
    return rows


def _fates(trn: FileCounts) -> Markup:
    fates = {"accepted": trn.accepted, "rejected": trn.rejected, "merged": trn.merged}
    bars = [(fate, float(count), f"{count:,} ({count / trn.read:.1%})") for fate, count in fates.items() if trn.read]
    return bar_chart("Lines of trn by fate", bars, highest=float(trn.read) or None, soft=("rejected", "merged"))


def _lengths(trn: FileCounts) -> list[Markup]:
    """Histograms of the products' lengths."""
    histograms = {"titles": trn.title_histogram, "contents": trn.content_histogram}
    return [
        histogram(f"Length of {field}, trn", found["bounds"], found["counts"], x_name="characters", width=HALF)
        for field, found in histograms.items()
        if found["counts"]
    ]


def _quantiles(files: Mapping[str, FileCounts]) -> tuple[list[str], list[list[Any]]]:
    """Header and rows: of every file and field."""
    fields = [
        (f"{name}, {field}", quantiles)
        for name, each in files.items()
        for field, quantiles in (("title", each.title_chars), ("content", each.content_chars))
        if quantiles
    ]
    columns = list(dict.fromkeys(column for _, quantiles in fields for column in quantiles))
    return ["file, field", *columns], [[name, *map(quantiles.get, columns)] for name, quantiles in fields]


def _scripts(trn: FileCounts) -> Markup:
    scripts, total = trn.title_scripts, sum(trn.title_scripts.values())
    bars = [(script, float(n), f"{n:,} ({n / total:.1%})") for script, n in scripts.items()]
    return bar_chart("Titles by script, trn", bars) if bars else Markup()


def _named(counted: Sequence[Mapping[str, int]]) -> list[list[Any]]:
    """A row for each name, with each file's count."""
    names = dict.fromkeys(name for counts in counted for name in counts)
    return [[name, *(counts.get(name, 0) for counts in counted)] for name in names]


def _others(files: Mapping[str, FileCounts]) -> list[list[Any]]:
    rows = {name: [getattr(counts, name) for counts in files.values()] for name in OTHERS}
    return [
        [SAID.get(name, name.replace("_", " ")), *row]
        for name, row in rows.items()
        if any(each is not None for each in row)
    ]


def _adds_up(counts: FileCounts) -> str | Cell:
    fates = counts.accepted + counts.rejected + counts.merged
    return "yes" if counts.read == fates else Cell(f"no: {fates:,} of {counts.read:,}", "warn", figure=False)
