"""The report's parts on quality: retrieval before and after, fusion, questions won and lost, training."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from include.answering.judged import THRESHOLD
from include.evaluation.bootstrap import FEWEST
from include.evaluation.summary import (
    Difference,
    Example,
    Fusion,
    Measured,
    MetricName,
    ProtocolFigures,
    interval,
    label,
)
from include.exam.examples import Example as ExamExample
from include.exam.summary import LESS_IS_BETTER, NAMES, Calibrated, Examined, Figure, Scored
from include.questions.questions import FEEDBACK
from include.questions.summary import Fates
from include.report import names
from include.report.charts import interval_chart, line_chart
from include.report.html import Cell, render, shown
from include.training.summary import History, Reading

MAIN: tuple[MetricName, ...] = ("ndcg@10", "r@10", "p@1")  # the first of them that a protocol has is drawn
VERDICTS = {"better": "▲ better", "worse": "▼ worse", "same": "≈ within noise"}
EXAMPLES = 8  # of each kind and protocol


def retrieval(measured: Measured | None) -> Markup:
    """Every protocol: a drawing of the main metric, all metrics, what changed beyond noise; fusion; examples."""
    if measured is None:
        return render("retrieval", measured=None)
    return render(
        "retrieval",
        measured=measured,
        protocols=[_protocol(name, each) for name, each in measured.protocols.items()],
        fusion=_fusion(measured.fusion),
        examples={kind: _examples(listed) for kind, listed in measured.examples.items()},
    )


def answers(
    fates: Fates | None, examined: Examined | None, reader: Reading | None, said: Mapping[str, Sequence[ExamExample]]
) -> Markup:
    """What became of the questions file, the exam of both versions, the reader; nothing without questions.

    Args:
        fates: Of the questions.
        examined: What the exam says.
        reader: What was trained on them.
        said: Some of the exam's answers by what they are, see `include.exam.examples`.
    """
    if fates is None:
        return Markup()
    exam = None
    if examined is not None:
        kinds = {kind: scored for kind, scored in examined.kinds.items() if kind != FEEDBACK}
        parts = {"all questions": examined.total, **kinds}
        exam = {
            "gate": examined.gate["reason"],
            "tables": {part: _exam_rows(scored) for part, scored in parts.items()},
            "threshold": _threshold(examined.answering),
            "examples": {
                kind: [[Cell(each.question, "ask", figure=False), each.answer, each.live] for each in some]
                for kind, some in said.items()
                if some
            },
        }
    counts = fates.model_dump(include={"read", "accepted", "rejected", "merged", "unknown_uids", "answerable"})
    rejected = [
        [reason, count, ", ".join(str(each["line"]) for each in fates.examples.get(reason, []))]
        for reason, count in fates.reasons.items()
    ]
    return render("answers", counts=counts | {"parts": fates.parts}, rejected=rejected, exam=exam, reader=reader)


def people(fates: Fates | None, examined: Examined | None) -> Markup:
    """What people said of answers, and how both versions answer what comes of it; nothing where nobody did."""
    if fates is None or fates.feedback is None:
        return Markup()
    spoken = fates.feedback
    scored = None if examined is None else examined.kinds.get(FEEDBACK)
    counts = {"questions made of them": spoken.questions, "replaced by a later verdict": spoken.replaced}
    return render(
        "said",
        versions=[[version, each["up"], each["down"]] for version, each in spoken.versions.items()],
        wrong=[[each["question"], each["answer"], each["right"], each["comment"]] for each in spoken.wrong],
        counts={**counts, "unreadable": spoken.unreadable},
        unused=list(spoken.unused.items()),
        asked=[[each["question"], each["part"]] for each in fates.asked],
        exam=[] if scored is None else _exam_rows(scored),
        few=FEWEST,
    )


def _threshold(found: Calibrated | None) -> dict[str, str]:
    """The threshold of answers, and what it leads to."""
    if found is None:
        return {"threshold": f"{THRESHOLD}, the default: too few unanswerable questions to calibrate by"}
    shares = {"answered wrongly": found["wrong_answers"], "refused wrongly": found["wrong_refusals"]}
    told = {name: f"{share:.0%}" for name, share in shares.items() if share is not None}
    return {
        "threshold": f"{found['threshold']:g}, by {found['questions']:,} questions kept for calibration",
        "wished": f"at most {found['wished']:.0%} of what nothing answers is answered",
        **told,
    }


def _exam_rows(scored: Scored) -> list[list[Any]]:
    """Of each figure: before, after, what differs, over how many questions."""
    rows: list[list[Any]] = []
    for name, each in scored.figures["new"].items():
        live, difference = scored.figures.get("live", {}).get(name), scored.differences.get(name)
        less = " (less is better)" if name in LESS_IS_BETTER else ""
        told = None if difference is None else _difference(difference)
        rows.append([f"{NAMES[name]}{less}", live and _figure(live), _figure(each), told, each["questions"]])
    return rows


def _figure(each: Figure) -> Cell:
    return Cell(f"{each['value']:.3f}", "", interval((each["low"], each["high"])))


def main_metric(found: ProtocolFigures) -> str:
    """The metric that stands for a protocol where there is room for one only."""
    return next((metric for metric in MAIN if metric in found.metrics), found.metrics[0])


def _protocol(name: str, found: ProtocolFigures) -> dict[str, Any]:
    main, systems, intervals = main_metric(found), found.systems, found.intervals
    dots = [(names.system(key), values[main], intervals.get(key, {}).get(main)) for key, values in systems.items()]
    best = {metric: max(values[metric] for values in systems.values()) for metric in found.metrics}
    figures = [
        [
            names.metric_cell(metric),
            *(
                _score(values[metric], best[metric], intervals.get(system, {}).get(metric))
                for system, values in systems.items()
            ),
        ]
        for metric in found.metrics
    ]
    compared = [names.pair_cell(pair) for pair in found.differences]
    differences = [
        [names.metric_cell(metric), *(_difference(by_metric[metric]) for by_metric in found.differences.values())]
        for metric in found.metrics
    ]
    if not compared:  # by an older evaluation
        compared, base, tuned = [names.pair_cell("tuned-base")], systems["base"], systems["tuned"]
        less = {metric: Cell(f"{tuned[metric] - base[metric]:+.4f}") for metric in found.metrics}
        differences = [[names.metric_cell(metric), cell] for metric, cell in less.items()]
    caption = f"{names.metric(main).capitalize()} ({label(main)})"
    return {
        "name": name,
        "title": names.protocol(name),
        "about": f"{found.queries:,} queries among {found.corpus:,} products",
        "chart": interval_chart(caption, dots, main=(names.system("tuned"),)),
        "systems": [names.system_cell(key) for key in systems],
        "figures": figures,
        "pairs": compared,
        "differences": differences,
    }


def _fusion(fusion: Fusion) -> dict[str, Any]:
    """The weight of BM25 beside the model, and what each weight would give."""
    plots, rows = [], []
    for name, found in fusion["protocols"].items():
        x, y = [float(weight) for weight in found["curve"]], list(found["curve"].values())
        if x:
            plots.append(line_chart(f"nDCG@10 by weight, {name}", x, y, x_name="weight of BM25", y_name="nDCG@10"))
        rows.append([name, found["bm25_weight"], found["queries"], found["fitted_on"]])
    return {"weight": fusion["bm25_weight"], "plots": plots, "rows": rows}


def _examples(listed: Sequence[Example]) -> dict[str, list[list[Any]]]:
    """For each protocol its rows: query, wanted, rank before, rank after."""
    rows: dict[str, list[list[Any]]] = {}
    for each in listed:
        ranks = [Cell("not found") if rank is None else rank for rank in (each["base rank"], each["tuned rank"])]
        rows.setdefault(each["protocol"], []).append([Cell(each["query"], "ask", figure=False), each["wanted"], *ranks])
    return {protocol: some[:EXAMPLES] for protocol, some in rows.items()}


class Before(NamedTuple):
    """The model that was live before: whether it is another, the settings that differ (name, then, now), its steps."""

    known: bool = False
    differ: Sequence[list[Any]] = ()
    history: History | None = None


def training(counted: Mapping[str, Any] | None, history: History | None, before: Before) -> Markup:
    """The curves of loss and learning rate, the settings that differ from before, and what training counted."""
    curves = []
    if history and history.steps:
        steps = [float(each["step"]) for each in history.steps]
        loss, rate = [each["loss"] for each in history.steps], [each["learning_rate"] for each in history.steps]
        curves = [
            line_chart("Training loss", steps, loss, x_name="step", y_name="loss", smooth=True),
            line_chart("Learning rate", steps, rate, x_name="step", y_name="learning rate"),
        ]
    if before.history and before.history.steps:
        steps = [float(each["step"]) for each in before.history.steps]
        loss = [each["loss"] for each in before.history.steps]
        title = "Training loss of the model that was live before"
        curves.append(line_chart(title, steps, loss, x_name="step", y_name="loss", smooth=True))
    untrained = str((counted or {}).get("untrained", "")).capitalize()
    return render(
        "training",
        curves=curves,
        untrained=untrained,
        counted=counted,
        told=_trained(counted or {}),
        before=before,
        pairs=history.pairs if history else {},
    )


def _trained(counted: Mapping[str, Any]) -> str:
    """What training did, in a sentence; empty where it did nothing."""
    pairs, first, last = (counted.get(name) for name in ("pairs", "first_loss", "last_loss"))
    if not pairs:
        return ""
    fell = f"; its error (loss) went from {shown(first)} to {shown(last)}" if first and last else ""
    return f"The model learned from {shown(pairs)} pairs of texts{fell}."


def _score(value: float, best: float, bounds: Sequence[float] | None) -> Cell:
    return Cell(f"{value:.4f}", "best" if value == best else "", interval(bounds) if bounds else "")


def _difference(value: Difference) -> Cell:
    words = f"{value['difference']:+.4f} {VERDICTS[value['verdict']]}"
    return Cell(words, value["verdict"], f"{value['low']:+.3f} to {value['high']:+.3f}")
