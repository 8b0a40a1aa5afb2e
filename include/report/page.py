"""What a run's report shows: the decision, retrieval before and after, training, data, index, stages, versions.

Each part is made from what the stages left behind, and says so where something is missing. The page of a
run that failed holds what `include/report/failure.py` says, and nothing else.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from markupsafe import Markup

from include.core.progress import clock
from include.evaluation.comparison import comparisons, is_number, label
from include.report.charts import bar_chart
from include.report.data import against_live, data
from include.report.failure import failed_run
from include.report.html import Cell, render, shown
from include.report.quality import main_metric, retrieval, training

STAGES = ("download", "convert", "fine_tune", "evaluate", "plan_shards", "verify")


def page(facts: Mapping[str, Any], written_at: datetime) -> str:
    """The whole document, from nothing but `facts`."""
    results, metrics = facts["results"], facts["metrics"]
    about = {"run_id": facts["run_id"], "written_at": written_at}
    if results.get("failed") or results.get("stopped"):
        verdict = "This run was ended from outside" if results.get("stopped") else "This run failed"
        return render("page", title=verdict, heading=verdict, parts=[failed_run(results)], **about)
    decided = [results.get(name) or {} for name in ("publish", "approve")]
    parts = [
        _decision(results, metrics),
        against_live(next((each["catalogue"] for each in decided if each.get("catalogue")), None)),
        _tiles(results, metrics),
        retrieval(metrics),
        training(results.get("fine_tune"), facts["history"]),
        data(results.get("convert")),
        _index(results),
        _timings(results),
        _versions(facts),
    ]
    return render("page", title="Vitrine", heading="Run report", parts=parts, **about)


def _decision(results: Mapping[str, Any], metrics: Mapping[str, Any] | None) -> Markup:
    decision, approval = (results.get(name) for name in ("publish", "approve"))
    asked = approval is not None and approval.get("asked") is True
    answered = asked and approval is not None and "approved" in approval
    about: dict[str, Mapping[str, Any]] = {}
    if decision:
        published = decision.get("published") is True
        verdict, kind = ("Published: this version is live", " yes") if published else ("Not published", "")
        said = decision.get("reason")
        about["Index versions"] = {name: decision.get(name) for name in ("version", "previous", "deleted")}
    elif asked and approval is not None and not answered:
        verdict, kind = "Waiting for a person", " wait"
        said = f"Since {shown(approval.get('since'))}: approve or reject it under Required Actions."
    else:
        verdict, kind = "No decision", ""
        said = "Publish has left no result: a task before it failed, or is still to come. The run's graph shows which."
    if answered and approval is not None:
        answer = "approved" if approval["approved"] else "rejected" if approval.get("by") else "no answer in time"
        about["The person's answer"] = {"answer": answer, "by": approval.get("by"), "at": approval.get("at")}
    notes = (results.get("download") or {}).get("notes") or []
    gate = (metrics or {}).get("gate")
    told = (
        {name: value for name, value in gate.items() if not isinstance(value, list)}
        if isinstance(gate, Mapping)
        else None
    )
    return render("decision", verdict=verdict, kind=kind, said=said, about=about, notes=notes, gate=told)


def _tiles(results: Mapping[str, Any], metrics: Mapping[str, Any] | None) -> Markup:
    """The few figures that a reader looks for first."""
    tiles: list[tuple[str, str]] = []
    for found in comparisons(metrics):
        name = main_metric(found)
        tuned, base = (found.systems.get(system, {}).get(str(name)) for system in ("tuned", "base"))
        if name is not None and is_number(tuned) and is_number(base):
            tiles.append((f"{tuned:.3f}", f"{label(name)}, {found.name}: tuned; base {base:.3f}"))
    products = _stats(results, "convert").get("products")
    if is_number(products):
        tiles.append((f"{products:,}", "products"))
    recall = _stats(results, "verify").get("recall")
    if is_number(recall):
        tiles.append((f"{recall:.3f}", "recall@10 of the index against exact search"))
    made = [(each.get("reused"), each["seconds"]) for _, each in _stages(results) if is_number(each.get("seconds"))]
    if made:
        work = sum(seconds for reused, seconds in made if not reused)
        tiles.append((_duration(work), "of work in this run's stages"))
    return render("tiles", tiles=tiles) if tiles else Markup()


def _index(results: Mapping[str, Any]) -> Markup:
    rows = []
    for number, shard in enumerate(results.get("shards") or []):
        embedded = (shard.get("embedding") or {}).get("stats") or {}
        loaded = shard.get("upsert") or {}
        counts = [embedded.get(key) for key in ("rows", "embedded", "copied", "tokens_per_second")]
        rows.append([shard.get("shard", number), *counts, loaded.get("points")])
    return render("index", verified=_stats(results, "verify"), shards=rows)


def _timings(results: Mapping[str, Any]) -> Markup:
    bars, soft = [], []
    for stage, summary in _stages(results):
        if is_number(seconds := summary.get("seconds")):
            bars.append(
                (stage, float(seconds), _duration(float(seconds)) + (" (reused)" if summary.get("reused") else ""))
            )
            soft += [stage] if summary.get("reused") else []
    parts = _stats(results, "evaluate").get("seconds")
    inner = (
        [(str(name), float(s), _duration(float(s))) for name, s in parts.items()] if isinstance(parts, Mapping) else []
    )
    charts = [bar_chart("Time to make", bars, soft=soft)]
    if inner:
        charts.append(bar_chart("Inside evaluate", inner))
    return render("timings", charts=charts)


def _versions(facts: Mapping[str, Any]) -> Markup:
    """What the run was made of: the outputs' fingerprints, the file, the settings, the packages."""
    results = facts["results"]
    rows = [
        [
            stage,
            summary.get("kind"),
            Cell(summary["fingerprint"], "code", figure=False),
            "by an earlier run, reused" if summary.get("reused") else "by this run",
            summary.get("seconds"),
        ]
        if "fingerprint" in summary
        else [stage, None, None, "missing", None]
        for stage, summary in _stages(results)
    ]
    return render(
        "versions",
        outputs=rows,
        run={"run": facts["run_id"], "logical date": facts["logical_date"]},
        source=_stats(results, "download"),
        settings=facts.get("training_settings"),
        packages={name: found or "not installed" for name, found in facts["packages"].items()},
    )


def _stages(results: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Each stage's summary; an empty one where it left none."""
    for name in STAGES:
        if name in results or name != "plan_shards":  # of plan_shards only the shards travel on
            yield name, results.get(name) or {}
    for number, shard in enumerate(results.get("shards") or []):
        yield f"embed, shard {shard.get('shard', number)}", shard.get("embedding") or {}


def _stats(results: Mapping[str, Any], stage: str) -> Mapping[str, Any]:
    found = (results.get(stage) or {}).get("stats")
    return found if isinstance(found, Mapping) else {}


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else clock(seconds)
