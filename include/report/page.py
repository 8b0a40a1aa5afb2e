"""What a run's report shows: the decision, retrieval before and after, training, data, index, stages, disk, versions.

Each part is made from what the stages left behind, and says so where something is missing. The page of a
run that failed holds what `include/report/failure.py` says, and nothing else.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from markupsafe import Markup
from pydantic import BaseModel

from include.core.progress import clock
from include.core.space import mebibytes
from include.evaluation.summary import label
from include.report.charts import bar_chart
from include.report.data import against_live, data
from include.report.failure import failed_run
from include.report.html import Cell, render, shown
from include.report.quality import answers, main_metric, people, retrieval, training
from include.results import Results, Summary, stats_of
from include.training.summary import History


class Facts(BaseModel):
    """All that a page is made from; packages by name, the settings and history are the model's."""

    results: Results
    run_id: str
    logical_date: str | None
    packages: Mapping[str, str | None]
    training_settings: Mapping[str, Any]
    history: History | None


def page(facts: Facts, written_at: datetime) -> str:
    """The whole document."""
    results = facts.results
    about = {"run_id": facts.run_id, "written_at": written_at}
    if results.failed or results.stopped:
        verdict = "This run was ended from outside" if results.stopped else "This run failed"
        return render("page", title=verdict, heading=verdict, parts=[failed_run(results)], **about)
    changes = [each.catalogue for each in (results.publish, results.approve) if each and each.catalogue]
    parts = [
        _decision(results),
        against_live(changes[0] if changes else None),
        _tiles(results),
        retrieval(stats_of(results.evaluate)),
        answers(stats_of(results.read_questions), stats_of(results.examine), stats_of(results.train_reader)),
        people(stats_of(results.read_questions), stats_of(results.examine)),
        training(stats_of(results.fine_tune), facts.history),
        data(stats_of(results.convert)),
        _index(results),
        _timings(results),
        _disk(results),
        _versions(facts),
    ]
    return render("page", title="Vitrine", heading="Run report", parts=parts, **about)


def _decision(results: Results) -> Markup:
    decision, approval, gate = results.publish, results.approve, results.evaluate and results.evaluate.stats.gate
    about: dict[str, Mapping[str, Any]] = {}
    if decision:
        verdict, kind = ("Published: this version is live", " yes") if decision.published else ("Not published", "")
        said = decision.reason
        versions = {"version": decision.version, "previous": decision.previous, "deleted": decision.deleted}
        about["Index versions"] = versions
    elif approval and approval.asked and approval.approved is None:
        verdict, kind = "Waiting for a person", " wait"
        said = f"Since {shown(approval.since)}: approve or reject it under Required Actions."
    else:
        verdict, kind = "No decision", ""
        said = "Publish has left no result: a task before it failed, or is still to come. The run's graph shows which."
    if approval and approval.approved is not None:
        answer = "approved" if approval.approved else "rejected" if approval.by else "no answer in time"
        about["The person's answer"] = {"answer": answer, "by": approval.by, "at": approval.at}
    told = gate and {name: value for name, value in gate.items() if name != "comparisons"}
    notes = [note for made in (results.download, results.convert) if made for note in made.notes]
    return render("decision", verdict=verdict, kind=kind, said=said, about=about, notes=notes, gate=told)


def _tiles(results: Results) -> Markup:
    """The few figures that a reader looks for first."""
    tiles: list[tuple[str, str]] = []
    for name, found in results.evaluate.stats.protocols.items() if results.evaluate else ():
        metric = main_metric(found)
        tuned, base = (found.systems[system][metric] for system in ("tuned", "base"))
        tiles.append((f"{tuned:.3f}", f"{label(metric)}, {name}: tuned; base {base:.3f}"))
    if results.convert and results.convert.stats.products is not None:
        tiles.append((f"{results.convert.stats.products:,}", "products"))
    if results.verify:
        tiles.append((f"{results.verify.stats.recall:.3f}", "recall@10 of the index against exact search"))
    made = [summary for _, summary in _stages(results) if summary]
    if made:
        work = sum(each.seconds for each in made if not each.reused)
        tiles.append((_duration(work), "of work in this run's stages"))
    return render("tiles", tiles=tiles) if tiles else Markup()


def _index(results: Results) -> Markup:
    rows = []
    for each in results.shards:
        made = each.embedding.stats
        work = ["reused", "reused"] if each.embedding.reused else [made.embedded, made.copied]
        rows.append([each.shard, made.rows, *work, made.tokens_per_second, each.upsert.points])
    return render("index", verified=results.verify and results.verify.stats.model_dump(), shards=rows)


def _timings(results: Results) -> Markup:
    made = [(stage, summary) for stage, summary in _stages(results) if summary]
    bars = [
        (stage, each.seconds, _duration(each.seconds) + (" (reused)" if each.reused else "")) for stage, each in made
    ]
    charts = [bar_chart("Time to make", bars, soft=[stage for stage, each in made if each.reused])]
    if results.evaluate and (parts := results.evaluate.stats.seconds):
        charts.append(bar_chart("Inside evaluate", [(name, s, _duration(s)) for name, s in parts.items()]))
    return render("timings", charts=charts)


def _disk(results: Results) -> Markup:
    """What takes the room, and what pruning has freed."""
    failed = [f"prune failed: {each['what']} {each['next_step']}" for each in results.unpruned]
    if (pruned := results.prune) is None:
        return render("disk", rows=[], notes=failed) if failed else Markup()
    rows: list[list[Any]] = [
        [each.kind, each.stay, _mib(each.stay_bytes), each.gone, _mib(each.gone_bytes)]
        for each in sorted(pruned.kinds, key=lambda each: each.stay_bytes, reverse=True)
    ]
    rows.append(["all", *(sum(row[place] for row in rows) for place in range(1, 5))])
    next_run = pruned.next_run and mebibytes(pruned.next_run)
    free, size = mebibytes(pruned.free), mebibytes(pruned.size)
    return render("disk", rows=rows, notes=pruned.notes, runs=pruned.runs, free=free, size=size, next_run=next_run)


def _mib(size: int) -> float:
    return round(size / 2**20, 1)


def _versions(facts: Facts) -> Markup:
    """What the run was made of: the outputs' fingerprints, the file, the settings, the packages."""
    rows = [
        [
            stage,
            made.kind,
            Cell(made.fingerprint, "code", figure=False),
            "by an earlier run, reused" if made.reused else "by this run",
            made.seconds,
        ]
        if made
        else [stage, None, None, "missing", None]
        for stage, made in _stages(facts.results)
    ]
    return render(
        "versions",
        outputs=rows,
        run={"run": facts.run_id, "logical date": facts.logical_date},
        source=stats_of(facts.results.download),
        settings=facts.training_settings,
        packages={name: found or "not installed" for name, found in facts.packages.items()},
    )


def _stages(results: Results) -> Iterable[tuple[str, Summary[Any] | None]]:
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


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else clock(seconds)
