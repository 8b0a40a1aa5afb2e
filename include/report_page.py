"""What a run's report shows: the decision, retrieval before and after, training, data, index, stages, the run.

Each part is made from what the stages left behind, and says so where something is missing.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeGuard

from include.html_page import (
    Figure,
    Markup,
    bar_chart,
    element,
    join,
    line_chart,
    missing,
    page,
    pairs,
    section,
    table,
    text,
)
from include.progress import clock

STAGES = ("download", "convert", "fine_tune", "evaluate", "plan_shards", "verify")
FATES = ("read", "accepted", "rejected", "merged")
MAIN_METRICS = ("r@10", "recall@10", "p@1")  # the first of them that a protocol has is drawn
EXAMPLES = 10


def render(facts: Mapping[str, Any], written_at: datetime) -> str:
    """The page, from nothing but `facts`."""
    results, metrics = facts["results"], facts["metrics"]
    parts = [
        element("h1", "Run report"),
        element("p", f"{facts['run_id']} · written {written_at:%Y-%m-%d %H:%M} UTC", class_="sub"),
        _decision(results.get("publish"), metrics),
        _evaluation(metrics),
        _training(results.get("fine_tune"), facts["history"]),
        _data(results.get("convert")),
        _index(results),
        _timings(results),
        _run(facts),
    ]
    return page(f"Vitrine: {facts['run_id']}", join(parts))


def _decision(decision: Mapping[str, Any] | None, metrics: Mapping[str, Any] | None) -> Markup:
    if not decision:
        return section("Decision", missing("The decision: publish has left no result, so it"))
    published = decision.get("published") is True
    verdict = "Published: this version is live" if published else "Not published"
    said = element("p", decision.get("reason"), style="margin:0")
    banner = element(
        "div",
        join([element("strong", verdict), said]),
        class_="decision yes" if published else "decision",
    )
    rows = {name: decision.get(name) for name in ("version", "previous", "deleted")}
    gate = (metrics or {}).get("gate")
    content = [banner, pairs("Index versions", rows)]
    if isinstance(gate, Mapping):
        content.append(pairs("The gate: what evaluation said", gate))
    return section("Decision", *content)


def _evaluation(metrics: Mapping[str, Any] | None) -> Markup:
    protocols = (metrics or {}).get("protocols")
    if not isinstance(protocols, Mapping) or not protocols:
        return section("Retrieval, before and after", missing("The evaluation's metrics.json"))
    content: list[str] = []
    for name, protocol in protocols.items():
        content.append(_protocol(str(name), protocol))
    examples = (metrics or {}).get("examples")
    if isinstance(examples, Mapping):
        for kind, found in examples.items():
            content.append(_examples(f"Examples: {kind}", found))
    return section("Retrieval, before and after", *content)


def _protocol(name: str, protocol: Mapping[str, Any]) -> Markup:
    systems: Mapping[str, Mapping[str, float]] = protocol.get("systems") or {}
    names = list(dict.fromkeys(metric for values in systems.values() for metric in values))
    best = {
        metric: max((v[metric] for v in systems.values() if _is_number(v.get(metric))), default=None)
        for metric in names
    }
    rows: list[list[Any]] = []
    for system, values in systems.items():
        cells = [_score(values.get(metric), best[metric]) for metric in names]
        rows.append([system, *cells])
    if "base" in systems and "tuned" in systems:
        rows.append(["tuned − base", *(_gain(systems["base"].get(m), systems["tuned"].get(m)) for m in names)])
    caption = f"{name}: {text(protocol.get('queries'))} queries among {text(protocol.get('corpus'))} products"
    content = [table(caption, ["system", *names], rows)]
    shown = next((metric for metric in MAIN_METRICS if metric in names), names[0] if names else None)
    if shown is not None:
        bars = [(s, float(v[shown]), f"{v[shown]:.3f}") for s, v in systems.items() if _is_number(v.get(shown))]
        content.append(bar_chart(f"{shown}, {name}", bars, highest=1.0 if all(bar[1] <= 1 for bar in bars) else None))
    return join(content)


def _examples(caption: str, found: Any) -> Markup:
    if found == []:
        return element("p", f"{caption}: none.", class_="sub")
    listed = [each for each in found if isinstance(each, Mapping)][:EXAMPLES] if isinstance(found, list) else []
    columns = list(dict.fromkeys(str(key) for each in listed for key in each))
    return table(caption, columns, [[each.get(column) for column in columns] for each in listed])


def _training(summary: Mapping[str, Any] | None, history: Any) -> Markup:
    stats = (summary or {}).get("stats")
    steps = history.get("steps") if isinstance(history, Mapping) else history
    content = []
    if isinstance(steps, list) and steps:
        loss = _series(steps, "loss")
        rate = _series(steps, "learning_rate")
        content.append(line_chart("Training loss", *loss, x_name="step", y_name="loss"))
        content.append(line_chart("Learning rate", *rate, x_name="step", y_name="learning rate"))
    else:
        content.append(missing("The model's history.json"))
    content.append(pairs("Training", stats) if isinstance(stats, Mapping) and stats else missing("Its summary"))
    return section("Training", *content)


def _data(summary: Mapping[str, Any] | None) -> Markup:
    stats = (summary or {}).get("stats")
    if not isinstance(stats, Mapping) or not stats:
        return section("Data", missing("The summary of convert"))
    files = {name: value for name, value in stats.items() if isinstance(value, Mapping) and "read" in value}
    content = [
        table(
            "Lines by fate",
            ["file", *FATES, "adds up"],
            [[name, *(value.get(fate) for fate in FATES), _adds_up(value)] for name, value in files.items()],
        )
    ]
    for key, caption in (("reasons", "Rejected, by reason"), ("cleaned", "Cleaned, by rule")):
        counted = {name: value.get(key) or {} for name, value in files.items()}
        names = sorted({each for counts in counted.values() for each in counts})
        rows = [[each, *(counts.get(each, 0) for counts in counted.values())] for each in names]
        nothing = element("p", f"{caption}: none.", class_="sub")
        content.append(table(caption, ["what", *counted], rows) if rows else nothing)
    content += [_rejected(files), _lengths(files)]
    known = {*FATES, "reasons", "cleaned", "examples"}
    scalars = dict.fromkeys(k for v in files.values() for k, each in v.items() if _is_number(each) and k not in known)
    rows = [[key.replace("_", " "), *(value.get(key) for value in files.values())] for key in scalars]
    if rows:
        content.append(table("Other counts", ["what", *files], rows))
    rest = {name: value for name, value in stats.items() if name not in files}
    if rest:
        content.append(pairs("Catalogue", rest))
    return section("Data", *content)


def _rejected(files: Mapping[str, Mapping[str, Any]]) -> Markup:
    """The first rejected line of each reason, as convert kept it."""
    rows = [
        [name, reason, text(found.get("line")), found.get("excerpt")]
        for name, value in files.items()
        for reason, found in (value.get("examples") or {}).items()
        if isinstance(found, Mapping)
    ]
    return (
        table("The first rejected line of each reason", ["file", "reason", "line", "begins"], rows)
        if rows
        else Markup()
    )


def _lengths(files: Mapping[str, Mapping[str, Any]]) -> Markup:
    """Quantiles of the lengths, in characters, that convert gives as `<field>_chars`."""
    found = {
        f"{name}, {key.removesuffix('_chars')}": value[key]
        for name, value in files.items()
        for key in value
        if key.endswith("_chars") and isinstance(value[key], Mapping)
    }
    columns = list(dict.fromkeys(quantile for each in found.values() for quantile in each))
    rows = [[name, *(each.get(column) for column in columns)] for name, each in found.items()]
    return table("Lengths in characters", ["file, field", *columns], rows)


def _index(results: Mapping[str, Any]) -> Markup:
    content = []
    stats = (results.get("verify") or {}).get("stats")
    content.append(pairs("Verification", stats) if stats else missing("The result of verify"))
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
    rows: list[list[Any]] = []
    bars = []
    for label, summary in _stages(results):
        if not isinstance(summary, Mapping) or "fingerprint" not in summary:
            rows.append([label, None, None, "missing", None])
            continue
        seconds, reused = summary.get("seconds"), summary.get("reused")
        told = "by an earlier run, reused" if reused else "by this run"
        mark = element("code", summary["fingerprint"])
        rows.append([label, summary.get("kind"), mark, told, seconds])
        if _is_number(seconds):
            bars.append((label, float(seconds), _duration(float(seconds)) + (" (reused)" if reused else "")))
    header = ["stage", "output", "fingerprint", "made", "seconds"]
    return section("Stages", bar_chart("Time to make", bars), table("Outputs", header, rows))


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else clock(seconds)


def _stages(results: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name in STAGES:
        if name in results or name != "plan_shards":  # of plan_shards only the shards travel on
            yield name, results.get(name)
    for number, shard in enumerate(results.get("shards") or []):
        yield f"embed, shard {shard.get('shard', number)}", shard.get("embedding")


def _run(facts: Mapping[str, Any]) -> Markup:
    source = (facts["results"].get("download") or {}).get("stats")
    content = [pairs("Run", {"run": facts["run_id"], "logical date": facts["logical_date"]})]
    content.append(pairs("Catalogue file", source) if source else missing("The summary of download"))
    content.append(pairs("Packages", {name: found or "not installed" for name, found in facts["packages"].items()}))
    return section("Run", *content)


def _series(steps: Sequence[Any], key: str) -> tuple[list[float], list[float]]:
    found = [each for each in steps if isinstance(each, Mapping) and _is_number(each.get(key))]
    return [float(each.get("step", at)) for at, each in enumerate(found, 1)], [float(each[key]) for each in found]


def _adds_up(counts: Mapping[str, Any]) -> Markup:
    parts = [counts.get(fate) for fate in FATES]
    if not all(isinstance(part, int) for part in parts):
        return text(None)
    read, *fates = (int(part or 0) for part in parts)
    if read == sum(fates):
        return text("yes")
    return element("span", f"no: {sum(fates):,} of {read:,}", class_="warn")


def _score(value: Any, best: float | None) -> Any:
    if not _is_number(value):
        return None
    shown = f"{value:.4f}"
    return Figure(element("span", shown, class_="best", title="best")) if value == best else Figure(shown)


def _gain(before: Any, after: Any) -> Markup:
    return Figure(f"{after - before:+.4f}") if _is_number(before) and _is_number(after) else text(None)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
