"""The report of a run that failed: what failed, why, what to do, where its log is, and what is there already."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from include.core.failure import Failure, sentences
from include.evaluation.comparison import is_number
from include.report.html import render, shown

# The page is served as `vitrine/runs/<dag>/<run>/report`, below the UI's base: four steps lead back to it.
BASE = "../../../../"
SHARDS_SHOWN = 8
SHOWN = {"fine_tune": ("pairs", "steps", "first_loss", "last_loss"), "verify": ("points", "recall")}
ENDED = "It was ended with the run, or had been killed before: it left no message. Its log shows how far it came."
AGAIN = "To go on, clear the first task that is not green, with those after it: what is stored is not made again."


def failed_run(results: Mapping[str, Any]) -> Markup:
    """The sections of the page, from the records of `include.core.failure` under `failed`, and the stages' results."""
    failed: Sequence[Failure] = results.get("failed") or []
    alike: dict[tuple[Any, ...], list[Failure]] = {}
    for each in failed:
        alike.setdefault((each["task"], each["class"], each["what"]), []).append(each)
    failures = [_failure(group, stopped=bool(results.get("stopped"))) for group in alike.values()]
    return render("failed", failures=failures, again=AGAIN, made=_made(results))


def _failure(group: Sequence[Failure], *, stopped: bool) -> dict[str, Any]:
    """Failures of one task for one reason: a mapped task often fails in many instances at once."""
    first = group[0]
    shards = [each["map_index"] for each in group if each["map_index"] >= 0]
    title = f"{first['task']} failed" + (f", {_shards(shards)}" if shards else "")
    if stopped and first["class"] is None:
        title = f"{first['task']} was running then"
        first = {**first, "what": ENDED, "next_step": AGAIN}
    return {
        "title": title,
        "said": sentences(first["what"]),
        "steps": sentences(first["next_step"]),
        "tries": f"{first['class']}, try {first['try_number']} of {first['max_tries']}" if first["class"] else "",
        "logs": [_log(each) for each in group[:SHARDS_SHOWN]],
    }


def _log(each: Failure) -> tuple[str, str]:
    words = f"Log of {each['task']}" + (f", shard {each['map_index']}" if each["map_index"] >= 0 else "")
    return words, BASE + each["log"]


def _shards(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:SHARDS_SHOWN]))
    more = f" and {len(numbers) - SHARDS_SHOWN} more" if len(numbers) > SHARDS_SHOWN else ""
    return f"shard{'s' if len(numbers) > 1 else ''} {shown}{more}"


def _made(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A line for each stage that has a result, with what it counted."""
    lines = [(name, describe(name, results.get(name))) for name in ("download", "convert", "fine_tune", "evaluate")]
    shards = results.get("shards") or []
    if shards:
        points = sum((each.get("upsert") or {}).get("points") or 0 for each in shards)
        lines.append(("embed, upsert", f"{len(shards):,} shards with {points:,} products"))
    lines.append(("verify", describe("verify", results.get("verify"))))
    return [(name, said) for name, said in lines if said]


def describe(stage: str, summary: Mapping[str, Any] | None) -> str:
    """What a stage counted, in a line; empty if it left no result."""
    stats = (summary or {}).get("stats")
    if not isinstance(stats, Mapping):
        return ""
    said = {"download": _download, "convert": _convert, "evaluate": _evaluate}.get(stage)
    return (said(stats) if said else _figures({name: stats.get(name) for name in SHOWN[stage]})) or "done"


def _download(stats: Mapping[str, Any]) -> str:
    return f"{stats.get('file')}, {shown(stats.get('bytes'))} bytes"


def _convert(stats: Mapping[str, Any]) -> str:
    lines = []
    for name, each in stats.items():
        if isinstance(each, Mapping) and "read" in each:
            fates = " + ".join(f"{shown(each.get(fate))} {fate}" for fate in ("accepted", "rejected", "merged"))
            lines.append(f"{name}: {shown(each['read'])} read = {fates}")
    products = stats.get("products")
    return "; ".join([f"{products:,} products"] * is_number(products) + lines)


def _evaluate(stats: Mapping[str, Any]) -> str:
    gate = stats.get("gate")
    return str(gate.get("reason")) if isinstance(gate, Mapping) else ""


def _figures(stats: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {shown(value)}" for name, value in stats.items() if is_number(value))
