"""The report's parts on quality: retrieval before and after, fusion, questions won and lost, training."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from include.evaluation.comparison import Comparison, comparisons, interval, is_number, label
from include.report.charts import HALF, interval_chart, line_chart
from include.report.html import Cell, render, shown

MAIN = ("ndcg@10", "r@10", "recall@10", "p@1")  # the first of them that a protocol has is drawn
VERDICTS = {"better": "▲ better", "worse": "▼ worse", "same": "≈ within noise"}
EXAMPLES = 8  # of each kind and protocol


def retrieval(metrics: Mapping[str, Any] | None) -> Markup:
    """Every protocol: a drawing of the main metric, all metrics, what changed beyond noise; fusion; examples."""
    known = metrics or {}
    return render(
        "retrieval",
        measured=bool(metrics),
        protocols=[_protocol(each) for each in comparisons(metrics)],
        confidence=known.get("confidence"),
        fusion=_fusion(known.get("fusion")),
        examples={kind: _examples(listed) for kind, listed in (known.get("examples") or {}).items()},
    )


def main_metric(found: Comparison) -> str | None:
    """The metric that stands for a protocol where there is room for one only."""
    return next((metric for metric in MAIN if metric in found.metrics), found.metrics[0] if found.metrics else None)


def _protocol(found: Comparison) -> dict[str, Any]:
    main = main_metric(found)
    chart = Markup()
    if main is not None:
        bounds = {system: values.get(main) for system, values in found.intervals.items()}
        dots = [(s, float(v[main]), bounds.get(s)) for s, v in found.systems.items() if is_number(v.get(main))]
        chart = interval_chart(f"{label(main)}, {found.name}", dots, main=("tuned",))
    best = {m: max((v[m] for v in found.systems.values() if is_number(v.get(m))), default=None) for m in found.metrics}
    figures = [
        [
            label(m),
            *(_score(v.get(m), best[m], found.intervals.get(system, {}).get(m)) for system, v in found.systems.items()),
        ]
        for m in found.metrics
    ]
    compared = [pair.replace("-", " − ") for pair in found.differences]
    differences = [[label(m), *(_difference(v.get(m)) for v in found.differences.values())] for m in found.metrics]
    if not compared and {"base", "tuned"} <= set(found.systems):
        compared, (base, tuned) = ["tuned − base"], (found.systems[name] for name in ("base", "tuned"))
        differences = [[label(m), _gain(base.get(m), tuned.get(m))] for m in found.metrics]
    return {
        "name": found.name,
        "about": f"{found.queries:,} queries among {found.corpus:,} products",
        "chart": chart,
        "systems": list(found.systems),
        "figures": figures,
        "pairs": compared,
        "differences": differences if compared else [],
    }


def _fusion(fusion: Any) -> dict[str, Any] | None:
    """The weight of BM25 beside the model, and what each weight would give."""
    if not isinstance(fusion, Mapping):
        return None
    weight = fusion.get("bm25_weight")
    plots, rows = [], []
    for name, found in (fusion.get("protocols") or {}).items():
        curve = found.get("curve") or {}
        x, y = [float(each) for each in curve], [float(each) for each in curve.values()]
        if curve:
            plots.append(
                line_chart(f"nDCG@10 by weight, {name}", x, y, x_name="weight of BM25", y_name="nDCG@10", width=HALF)
            )
        rows.append([name, found.get("bm25_weight"), found.get("queries"), found.get("fitted_on")])
    unfitted = "too few queries to fit one; queries use the default"
    told = unfitted if weight is None else f"{shown(weight)} in hybrid search"
    return {"told": told, "plots": plots, "rows": rows}


def _examples(listed: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str], list[list[Any]]]]:
    """For each protocol what to add to the caption, the columns and the rows."""
    tables = []
    for protocol in dict.fromkeys(each.get("protocol") for each in listed):
        some = [each for each in listed if each.get("protocol") == protocol][:EXAMPLES]
        columns = [key for key in dict.fromkeys(str(key) for each in some for key in each) if key != "protocol"]
        rows = [[_cell(column, each.get(column)) for column in columns] for each in some]
        tables.append((f", {protocol}" if protocol else "", columns, rows))
    return tables


def _cell(column: str, value: Any) -> Any:
    return Cell("not found") if value is None and column.endswith("rank") else value


def training(summary: Mapping[str, Any] | None, history: Any) -> Markup:
    """The curves of loss and learning rate, and what training counted."""
    stats = (summary or {}).get("stats") or {}
    steps = (history or {}).get("steps")
    curves = []
    if steps:
        curves = [
            line_chart("Training loss", *_series(steps, "loss"), x_name="step", y_name="loss", width=HALF, smooth=True),
            line_chart(
                "Learning rate", *_series(steps, "learning_rate"), x_name="step", y_name="learning rate", width=HALF
            ),
        ]
    untrained = str(stats.get("untrained", "")).capitalize()
    return render(
        "training", curves=curves, untrained=untrained, counted=stats, pairs=(history or {}).get("pairs") or {}
    )


def _series(steps: Sequence[Any], key: str) -> tuple[list[float], list[float]]:
    found = [each for each in steps if isinstance(each, Mapping) and is_number(each.get(key))]
    return [float(each.get("step", at)) for at, each in enumerate(found, 1)], [float(each[key]) for each in found]


def _score(value: Any, best: float | None, bounds: Sequence[float] | None) -> Cell | None:
    if not is_number(value):
        return None
    return Cell(f"{value:.4f}", "best" if value == best else "", interval(bounds) if bounds else "")


def _difference(value: Mapping[str, Any] | None) -> Cell | None:
    if value is None:
        return None
    verdict = str(value["verdict"])
    words = f"{value['difference']:+.4f} {VERDICTS.get(verdict, verdict)}"
    return Cell(words, verdict, f"{value['low']:+.3f} to {value['high']:+.3f}")


def _gain(before: Any, after: Any) -> Cell | None:
    return Cell(f"{after - before:+.4f}") if is_number(before) and is_number(after) else None
