"""What a run's report shows: the decision, retrieval before and after, training, data, index, stages, versions.

Each part is made from what the stages left behind, and says so where something is missing. The page of a
run that failed holds what `include/report/failure.py` says, and nothing else.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from include.core.progress import clock
from include.evaluation.comparison import comparisons, is_number, label
from include.report.charts import bar_chart
from include.report.data import against_live, data
from include.report.failure import failed_run
from include.report.html import Markup, element, join, missing, page, pairs, section, side_by_side, table, text
from include.report.quality import main_metric, retrieval, training

STAGES = ("download", "convert", "fine_tune", "evaluate", "plan_shards", "verify")


def render(facts: Mapping[str, Any], written_at: datetime) -> str:
    """The page, from nothing but `facts`."""
    results, metrics = facts["results"], facts["metrics"]
    if results.get("failed") or results.get("stopped"):
        about = f"{facts['run_id']} · written {written_at:%Y-%m-%d %H:%M} UTC"
        verdict = "This run was ended from outside" if results.get("stopped") else "This run failed"
        head = [element("h1", verdict), element("p", about, class_="sub")]
        return page(f"{verdict}: {facts['run_id']}", join([*head, failed_run(results)]))
    decided = [results.get(name) or {} for name in ("publish", "approve")]
    parts = [
        element("h1", "Run report"),
        element("p", f"{facts['run_id']} · written {written_at:%Y-%m-%d %H:%M} UTC", class_="sub"),
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
    return page(f"Vitrine: {facts['run_id']}", join(parts))


def _decision(results: Mapping[str, Any], metrics: Mapping[str, Any] | None) -> Markup:
    decision, approval = (results.get(name) for name in ("publish", "approve"))
    asked = approval is not None and approval.get("asked") is True
    content: list[str] = []
    about: list[str] = []
    if decision:
        published = decision.get("published") is True
        verdict = "Published: this version is live" if published else "Not published"
        content.append(_banner(verdict, decision.get("reason"), "decision yes" if published else "decision"))
        about.append(pairs("Index versions", {name: decision.get(name) for name in ("version", "previous", "deleted")}))
    elif asked and approval is not None and "approved" not in approval:
        told = f"Since {text(approval.get('since'))}: approve or reject it under Required Actions."
        content.append(_banner("Waiting for a person", Markup(told), "decision wait"))
    else:
        told = "Publish has left no result: a task before it failed, or is still to come. The run's graph shows which."
        content.append(_banner("No decision", told, "decision"))
    if asked and approval is not None and "approved" in approval:
        answer = "approved" if approval["approved"] else "rejected" if approval.get("by") else "no answer in time"
        shown = {"answer": answer, "by": approval.get("by"), "at": approval.get("at")}
        about.append(pairs("The person's answer", shown))
    if about:
        content.append(side_by_side(*about))
    content += [element("p", note, class_="sub") for note in (results.get("download") or {}).get("notes") or []]
    gate = (metrics or {}).get("gate")
    if isinstance(gate, Mapping):
        shown = {name: value for name, value in gate.items() if not isinstance(value, list)}
        content.append(pairs("The gate: what evaluation said", shown))
    return section("Decision", *content)


def _banner(verdict: str, said: Any, kind: str) -> Markup:
    return element("div", join([element("strong", verdict), element("p", said)]), class_=kind)


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
    made = [
        (s, each["seconds"])
        for _, each in _stages(results)
        for s in [each.get("reused")]
        if is_number(each.get("seconds"))
    ]
    if made:
        tiles.append(
            (_duration(sum(seconds for reused, seconds in made if not reused)), "of work in this run's stages")
        )
    return (
        element(
            "div",
            join(
                element("div", Markup(f"<strong>{text(a)}</strong><span>{text(b)}</span>"), class_="tile")
                for a, b in tiles
            ),
            class_="tiles",
        )
        if tiles
        else Markup()
    )


def _index(results: Mapping[str, Any]) -> Markup:
    stats = _stats(results, "verify")
    content = [pairs("Verification", stats) if stats else missing("The result of verify")]
    shards = results.get("shards")
    if shards:
        rows = []
        for number, shard in enumerate(shards):
            embedded = (shard.get("embedding") or {}).get("stats") or {}
            loaded = shard.get("upsert") or {}
            counts = [embedded.get(key) for key in ("rows", "embedded", "copied", "tokens_per_second")]
            rows.append([shard.get("shard", number), *counts, loaded.get("points")])
        header = ["shard", "products", "embedded", "copied", "tokens/s", "points in the store"]
        content.append(table("Shards", header, rows))
    else:
        content.append(missing("The list of shards"))
    return section("Index", *content)


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
    content = [bar_chart("Time to make", bars, soft=soft)]
    if inner:
        content.append(bar_chart("Inside evaluate", inner))
    return section("Time by stage", *content)


def _versions(facts: Mapping[str, Any]) -> Markup:
    """What the run was made of: the outputs' fingerprints, the file, the settings, the packages."""
    results = facts["results"]
    rows = [
        [
            stage,
            summary.get("kind"),
            element("code", summary["fingerprint"]),
            "by an earlier run, reused" if summary.get("reused") else "by this run",
            summary.get("seconds"),
        ]
        if "fingerprint" in summary
        else [stage, None, None, "missing", None]
        for stage, summary in _stages(results)
    ]
    source, settings = _stats(results, "download"), facts.get("training_settings")
    content = [
        table("Outputs", ["stage", "output", "fingerprint", "made", "seconds"], rows),
        side_by_side(
            pairs("Run", {"run": facts["run_id"], "logical date": facts["logical_date"]}),
            pairs("Catalogue file", source) if source else missing("The summary of download"),
            pairs("Settings of training", settings) if settings else "",
            pairs("Packages", {name: found or "not installed" for name, found in facts["packages"].items()}),
        ),
    ]
    return section("Versions and fingerprints", *content)


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
