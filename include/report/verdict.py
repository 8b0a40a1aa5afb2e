"""The page's head: what became of the run in a sentence, the decision, the figures looked for first."""

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from include.core.progress import clock
from include.exam.summary import Scored
from include.report.html import render, shown
from include.report.names import metric, protocol
from include.report.quality import main_metric
from include.results import ALREADY_LIVE, CatalogueChange, Results, Summary

STAYS = "What was live before stays live."


def head(results: Results) -> Markup:
    """The verdict, its sentence and reason, the versions, the gate, and a few figures."""
    decision, approval, gate = results.publish, results.approve, results.evaluate and results.evaluate.stats.gate
    about: dict[str, Mapping[str, Any]] = {}
    verdict, kind, reason = _verdict(results)
    if decision:
        versions = {"version": decision.version, "previous": decision.previous, "deleted": decision.deleted}
        about["Index versions"] = versions
    if approval and approval.approved is not None:
        answer = "approved" if approval.approved else "rejected" if approval.by else "no answer in time"
        about["The person's answer"] = {"answer": answer, "by": approval.by, "at": approval.at}
    told = gate and {name: value for name, value in gate.items() if name != "comparisons"}
    notes = [note for made in (results.download, results.convert) if made for note in made.notes]
    said = {"verdict": verdict, "kind": kind, "sentence": sentence(results), "reason": reason}
    return render("decision", **said, about=about, notes=notes, gate=told, tiles=_tiles(results))


def sentence(results: Results) -> str:
    """What became of the run, for somebody who reads nothing else."""
    decision, approval = results.publish, results.approve
    if results.failed or results.stopped:
        ended = "was ended from outside" if results.stopped else "failed"
        return f"The run {ended}, so it changed nothing that people search. {STAYS}"
    if decision is None:
        if approval and approval.asked and approval.approved is None:
            return f"A new index is ready and waits for a person's yes{_told(results)}. Until then nothing changes."
        return f"Nothing has been decided yet. {STAYS}"
    if decision.reason == ALREADY_LIVE:
        return f"Nothing has changed: the index that this run came to was live already{_told(results)}."
    if not decision.published:
        return f"The new index did not go live{_told(results)}. {STAYS}"
    which = "new index went" if decision.previous else "first index is"
    return f"The {which} live{_told(results)}."


def _told(results: Results) -> str:
    """How well the new index finds things, and what becomes of the products; empty where neither is known."""
    told = [each for each in (_quality(results), _products(results)) if each]
    return ": " + "; ".join(told) if told else ""


def _quality(results: Results) -> str:
    """Of 100 questions, how many are right with the new index and with the one before: by the exam, else evaluation."""
    new, old, before = None, None, "the one before"
    if results.examine and (figures := _exam(results.examine.stats.total)):
        new, old = figures
        says = "it answers {} of 100 questions with the right product first"
    elif results.evaluate and (found := next(iter(results.evaluate.stats.protocols.values()), None)):
        rival = "live" if "live" in found.systems else "base"
        before = "the one before" if rival == "live" else "without training"
        new, old = (found.systems.get(name, {}).get("p@1") for name in ("tuned", rival))
        says = "it finds the right product at once for {} of 100 test questions"
    if new is None:
        return ""
    told = says.format(f"{100 * new:.0f}")
    return told if old is None else f"{told}, {before} {100 * old:.0f}"


def _exam(total: Scored) -> tuple[float, float | None] | None:
    new, live = (total.figures.get(version, {}).get("hit@1") for version in ("new", "live"))
    return None if new is None else (new["value"], live and live["value"])


def _products(results: Results) -> str:
    change = change_of(results)
    if change is None:
        return f"it holds {_count(results.verify.stats.points)}" if results.verify else ""
    if change.gone is None or change.new is None:
        before = "an unknown number" if change.live_products is None else f"{change.live_products:,}"
        return f"it holds {_count(change.products)}, the one before {before}"
    if not change.gone and not change.new:
        return f"the same {_count(change.products)} are there"
    gone = f"{_count(change.gone)} {'is' if change.gone == 1 else 'are'} gone" if change.gone else "no product is gone"
    new = f"{change.new:,} {'is' if change.new == 1 else 'are'}" if change.new else "none is"
    return f"{gone}, {new} new"


def _count(products: int) -> str:
    return f"{products:,} product{'' if products == 1 else 's'}"


def change_of(results: Results) -> CatalogueChange | None:
    """What the run's version changes in the live one's catalogue, as publish or the question to a person has it."""
    return next((each.catalogue for each in (results.publish, results.approve) if each and each.catalogue), None)


def _verdict(results: Results) -> tuple[str, str, str]:
    """The verdict in words, its class in the style, and the reason."""
    decision, approval = results.publish, results.approve
    if decision:
        verdict, kind = ("Published: this version is live", " yes") if decision.published else ("Not published", "")
        return verdict, kind, decision.reason
    if approval and approval.asked and approval.approved is None:
        since = f"Since {shown(approval.since)}: approve or reject it under Required Actions."
        return "Waiting for a person", " wait", since
    missing = "Publish has left no result: a task before it failed, or is still to come. The run's graph shows which."
    return "No decision", "", missing


def _tiles(results: Results) -> list[tuple[str, str, str]]:
    """The few figures that a reader looks for first: figure, what it is, and in small print its usual name."""
    tiles: list[tuple[str, str, str]] = []
    for name, found in results.evaluate.stats.protocols.items() if results.evaluate else ():
        main = main_metric(found)
        tuned, base = (found.systems[system][main] for system in ("tuned", "base"))
        said = f"{protocol(name)}: {metric(main)}; untrained {base:.3f}"
        tiles.append((f"{tuned:.3f}", said, f"{main}, {name}"))
    if results.convert and results.convert.stats.products is not None:
        tiles.append((f"{results.convert.stats.products:,}", "products", ""))
    if results.verify:
        checked = results.verify.stats
        said = "of the nearest products are found by the index, against looking at each"
        tiles.append((f"{checked.recall:.1%}", said, f"recall@{checked.recall_at}"))
    made = [summary for _, summary in stages(results) if summary]
    if made:
        tiles.append((duration(sum(each.seconds for each in made if not each.reused)), "of work in this run", ""))
    return tiles


def stages(results: Results) -> Iterator[tuple[str, Summary[Any] | None]]:
    """Each stage's summary; None where it left none."""
    yield "download", results.download
    yield "convert", results.convert
    if results.read_questions:
        yield "read_questions", results.read_questions
    yield "fine_tune", results.fine_tune
    yield "evaluate", results.evaluate
    yield "verify", results.verify
    if results.examine:
        yield "examine", results.examine
    for each in results.shards:
        yield f"embed, shard {each.shard}", each.embedding


def duration(seconds: float) -> str:
    """Seconds below a minute; then as a clock shows them."""
    return f"{seconds:.1f} s" if seconds < 60 else clock(seconds)
