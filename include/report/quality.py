"""The report's parts on quality: retrieval before and after, fusion, questions won and lost, training."""

from collections.abc import Mapping, Sequence
from typing import Any

from include.evaluation.comparison import Comparison, comparisons, interval, is_number, label
from include.report.charts import HALF, interval_chart, line_chart
from include.report.html import Figure, Markup, element, join, missing, pairs, section, side_by_side, table, text

MAIN = ("ndcg@10", "r@10", "recall@10", "p@1")  # the first of them that a protocol has is drawn
VERDICTS = {"better": "▲ better", "worse": "▼ worse", "same": "≈ within noise"}
EXAMPLES = 8  # of each kind and protocol


def retrieval(metrics: Mapping[str, Any] | None) -> Markup:
    """Every protocol: a drawing of the main metric, all metrics, what changed beyond noise; fusion; examples."""
    found = comparisons(metrics)
    if not found:
        nothing = element("p", "Nothing was measured: the catalogue has no question to measure models by.")
        return section("Retrieval, before and after", nothing if metrics else missing("The evaluation's metrics.json"))
    content: list[str] = []
    confidence = (metrics or {}).get("confidence")
    if is_number(confidence):
        told = f"In small print: the {100 * confidence:.0f} % interval, by paired bootstrap over the questions. "
        content.append(
            element(
                "p", told + "Better and worse are said only of differences whose interval excludes 0.", class_="sub"
            )
        )
    for each in found:
        content += _protocol(each)
    content.append(_fusion((metrics or {}).get("fusion")))
    examples = (metrics or {}).get("examples")
    if isinstance(examples, Mapping):
        content.append(element("h3", "Questions won and lost"))
        content += [_examples(str(kind), listed) for kind, listed in examples.items()]
    return section("Retrieval, before and after", *content)


def main_metric(found: Comparison) -> str | None:
    """The metric that stands for a protocol where there is room for one only."""
    return next((metric for metric in MAIN if metric in found.metrics), found.metrics[0] if found.metrics else None)


def _protocol(found: Comparison) -> list[str]:
    about = f"{text(found.queries)} queries among {text(found.corpus)} products"
    content: list[str] = [element("h3", f"{found.name}: {about}")]
    main = main_metric(found)
    if main is not None:
        bounds = {system: values.get(main) for system, values in found.intervals.items()}
        dots = [(s, float(v[main]), bounds.get(s)) for s, v in found.systems.items() if is_number(v.get(main))]
        content.append(interval_chart(f"{label(main)}, {found.name}", dots, main=("tuned",)))
    best = {m: max((v[m] for v in found.systems.values() if is_number(v.get(m))), default=None) for m in found.metrics}
    rows = [
        [
            label(m),
            *(_score(v.get(m), best[m], found.intervals.get(system, {}).get(m)) for system, v in found.systems.items()),
        ]
        for m in found.metrics
    ]
    content.append(table(f"{found.name}, {about}", ["metric", *found.systems], rows))
    if found.differences:
        pairs_of = [pair.replace("-", " − ") for pair in found.differences]
        rows = [[label(m), *(_difference(v.get(m)) for v in found.differences.values())] for m in found.metrics]
        content.append(table(f"{found.name}: what differs", ["metric", *pairs_of], rows))
    elif {"base", "tuned"} <= set(found.systems):
        base, tuned = found.systems["base"], found.systems["tuned"]
        rows = [[label(m), _gain(base.get(m), tuned.get(m))] for m in found.metrics]
        content.append(table(f"{found.name}: what differs", ["metric", "tuned − base"], rows))
    return content


def _fusion(fusion: Any) -> Markup:
    """The weight of BM25 beside the model, and what each weight would give."""
    if not isinstance(fusion, Mapping):
        return Markup()
    content: list[str] = [element("h3", "Words beside meaning: the fitted weight of BM25")]
    weight = fusion.get("bm25_weight")
    told = (
        "too few queries to fit one; queries use the default" if weight is None else f"{text(weight)} in hybrid search"
    )
    content.append(element("p", f"Published with the index: {told}."))
    plots, rows = [], []
    for name, found in (fusion.get("protocols") or {}).items():
        curve = found.get("curve") or {}
        x, y = [float(each) for each in curve], [float(each) for each in curve.values()]
        if curve:
            plots.append(
                line_chart(f"nDCG@10 by weight, {name}", x, y, x_name="weight of BM25", y_name="nDCG@10", width=HALF)
            )
        rows.append([name, found.get("bm25_weight"), found.get("queries"), found.get("fitted_on")])
    if plots:
        content.append(side_by_side(*plots))
    if rows:
        content.append(table("Fitted by protocol", ["protocol", "weight", "queries", "fitted on"], rows))
    return join(content)


def _examples(kind: str, found: Any) -> Markup:
    """A table for each protocol."""
    listed = [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []
    if not listed:
        return element("p", f"Examples: {kind}: none.", class_="sub")
    tables = []
    for protocol in dict.fromkeys(each.get("protocol") for each in listed):
        some = [each for each in listed if each.get("protocol") == protocol][:EXAMPLES]
        columns = [key for key in dict.fromkeys(str(key) for each in some for key in each) if key != "protocol"]
        caption = f"Examples: {kind}" + (f", {protocol}" if protocol else "")
        tables.append(
            table(caption, columns, [[_cell(column, each.get(column)) for column in columns] for each in some])
        )
    return join(tables)


def _cell(column: str, value: Any) -> Any:
    return Figure("not found") if value is None and column.endswith("rank") else value


def training(summary: Mapping[str, Any] | None, history: Any) -> Markup:
    """The curves of loss and learning rate, and what training counted."""
    stats = (summary or {}).get("stats")
    steps = history.get("steps") if isinstance(history, Mapping) else history
    content: list[str] = []
    if isinstance(steps, list) and steps:
        loss = line_chart(
            "Training loss", *_series(steps, "loss"), x_name="step", y_name="loss", width=HALF, smooth=True
        )
        rate = line_chart(
            "Learning rate", *_series(steps, "learning_rate"), x_name="step", y_name="learning rate", width=HALF
        )
        content.append(side_by_side(loss, rate))
    elif isinstance(stats, Mapping) and stats.get("untrained"):
        content.append(element("p", str(stats["untrained"]).capitalize() + "."))
    else:
        content.append(missing("The model's history.json"))
    counts = history.get("pairs") if isinstance(history, Mapping) else None
    content.append(
        side_by_side(
            pairs("Training", stats) if isinstance(stats, Mapping) and stats else missing("Its summary"),
            pairs("Pairs", counts) if isinstance(counts, Mapping) and counts else "",
        )
    )
    return section("Training", *content)


def _series(steps: Sequence[Any], key: str) -> tuple[list[float], list[float]]:
    found = [each for each in steps if isinstance(each, Mapping) and is_number(each.get(key))]
    return [float(each.get("step", at)) for at, each in enumerate(found, 1)], [float(each[key]) for each in found]


def _score(value: Any, best: float | None, bounds: Sequence[float] | None) -> Any:
    if not is_number(value):
        return None
    shown = element("span", f"{value:.4f}", class_="best", title="best") if value == best else Markup(f"{value:.4f}")
    within = element("small", interval(bounds)) if bounds else ""
    return Figure(shown + within)


def _difference(value: Mapping[str, Any] | None) -> Any:
    if value is None:
        return None
    verdict = str(value["verdict"])
    shown = element("span", f"{value['difference']:+.4f} {VERDICTS.get(verdict, verdict)}", class_=verdict)
    return Figure(shown + element("small", f"{value['low']:+.3f} to {value['high']:+.3f}"))


def _gain(before: Any, after: Any) -> Markup:
    return Figure(f"{after - before:+.4f}") if is_number(before) and is_number(after) else text(None)
