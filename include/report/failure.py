"""The report of a run that failed: what failed, why, what to do, where its log is, and what is there already."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from include.catalogue.summary import Counted
from include.core.failure import Failure, sentences
from include.report.html import render, shown
from include.results import Results

# The page is served as `vitrine/runs/<dag>/<run>/report`, below the UI's base: four steps lead back to it.
BASE = "../../../../"
SHARDS_SHOWN = 8
TRAINED = ("pairs", "steps", "first_loss", "last_loss")
ENDED = "It was ended with the run, or had been killed before: it left no message. Its log shows how far it came."
AGAIN = "To go on, clear the first task that is not green, with those after it: what is stored is not made again."


def failed_run(results: Results) -> Markup:
    """The sections of the page, from the records of `include.core.failure`, and what the stages before left."""
    alike: dict[tuple[Any, ...], list[Failure]] = {}
    for each in results.failed:
        alike.setdefault((each["task"], each["class"], each["what"]), []).append(each)
    failures = [_failure(group, stopped=results.stopped) for group in alike.values()]
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
        "tries": _tries(first),
        "logs": [_log(each) for each in group[:SHARDS_SHOWN]],
    }


def _tries(failure: Failure) -> str:
    """The error's class, and of one that is tried again which try it was."""
    kind = failure["class"] or ""
    return (
        kind
        if failure.get("terminal") or not kind
        else f"{kind}, try {failure['try_number']} of {failure['max_tries']}"
    )


def _log(each: Failure) -> tuple[str, str]:
    words = f"Log of {each['task']}" + (f", shard {each['map_index']}" if each["map_index"] >= 0 else "")
    return words, BASE + each["log"]


def _shards(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:SHARDS_SHOWN]))
    more = f" and {len(numbers) - SHARDS_SHOWN} more" if len(numbers) > SHARDS_SHOWN else ""
    return f"shard{'s' if len(numbers) > 1 else ''} {shown}{more}"


def _made(results: Results) -> list[tuple[str, str]]:
    """A line for each stage that has a result, with what it counted."""
    lines = []
    if (source := results.download) is not None:
        lines.append(("download", f"{source.stats['file']}, {shown(source.stats['bytes'])} bytes"))
    if results.convert is not None:
        lines.append(("convert", _counted(results.convert.stats)))
    if (model := results.fine_tune) is not None:
        lines.append(("fine_tune", _figures({name: model.stats.get(name) for name in TRAINED}) or "done"))
    if results.evaluate is not None:
        lines.append(("evaluate", results.evaluate.stats.gate["reason"]))
    if shards := results.shards:
        points = sum(shard.upsert.points for shard in shards)
        lines.append(("embed, upsert", f"{len(shards):,} shards with {points:,} products"))
    if (version := results.verify) is not None:
        lines.append(("verify", _figures({"points": version.stats.points, "recall": version.stats.recall})))
    return lines


def _counted(stats: Counted) -> str:
    lines = [] if stats.products is None else [f"{stats.products:,} products"]
    for name, each in stats.files.items():
        fates = f"{each.accepted:,} accepted + {each.rejected:,} rejected + {each.merged:,} merged"
        lines.append(f"{name}: {each.read:,} read = {fates}")
    return "; ".join(lines)


def _figures(stats: Mapping[str, float | None]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {shown(value)}" for name, value in stats.items() if value is not None)
