"""What a run's report shows: the verdict, then each part, its detail folded.

Each part is made from what the stages left behind, and says so where something is missing. The page of a
run that failed holds what `include/report/failure.py` says, and nothing else.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from markupsafe import Markup
from pydantic import BaseModel

from include.core.space import mebibytes
from include.exam.examples import Example
from include.report.charts import bar_chart, scatter_chart
from include.report.data import against_live, data
from include.report.embedding_map import OTHERS, Mapped
from include.report.failure import failed_run
from include.report.html import Cell, Part, render
from include.report.quality import Before, answers, people, retrieval, training
from include.report.rejected import Rejected
from include.report.verdict import change_of, duration, head, sentence, stages
from include.results import Results, stats_of
from include.training.summary import History

OTHER_COLOUR = 6  # after those of the groups


class Facts(BaseModel):
    """All that a page is made from; packages by name, the settings and history are the model's."""

    results: Results
    run_id: str
    logical_date: str | None
    packages: Mapping[str, str | None]
    training_settings: Mapping[str, Any]
    history: History | None
    settings_before: Mapping[str, Any] = {}
    history_before: History | None = None


class Extra(NamedTuple):
    """What is read from the artifacts when the page is written; None where there is none."""

    map: Mapped | None = None
    rejected: Rejected | None = None
    exam: Mapping[str, Sequence[Example]] = {}


def page(facts: Facts, written_at: datetime, extra: Extra) -> str:
    """The whole document."""
    results = facts.results
    about = {"run_id": facts.run_id, "written_at": written_at}
    if results.failed or results.stopped:
        verdict = "This run was ended from outside" if results.stopped else "This run failed"
        start = render("lead", sentence=sentence(results)) + failed_run(results)
        return render("page", title=verdict, heading=verdict, head=start, parts=[], **about)
    parts = [
        Part("What changes in the catalogue", against_live(change_of(results))),
        Part("How well it finds", retrieval(stats_of(results.evaluate))),
        Part(
            "How well it answers",
            answers(
                stats_of(results.read_questions),
                stats_of(results.examine),
                stats_of(results.train_reader),
                extra.exam,
            ),
        ),
        Part("What people said", people(stats_of(results.read_questions), stats_of(results.examine))),
        Part("A map of the products", _map(extra.map)),
        Part("Training", training(stats_of(results.fine_tune), facts.history, _before(facts))),
        Part("The catalogue file", data(stats_of(results.convert), extra.rejected)),
        Part("The index", _index(results)),
        Part("Time", _timings(results)),
        Part("Disk", _disk(results)),
        Part("Versions and fingerprints", _versions(facts)),
    ]
    kept = [each for each in parts if each.body]
    return render("page", title="Vitrine", heading="Run report", head=head(results), parts=kept, **about)


def _map(found: Mapped | None) -> Markup:
    """The map with its legend; nothing where there is none."""
    if found is None:
        return Markup()
    numbers = {name: OTHER_COLOUR if name == OTHERS else number for number, name in enumerate(found.names)}
    groups = [numbers[name] for name in found.groups]
    counts = [(name, number, groups.count(number)) for name, number in numbers.items()]
    told = "; ".join(f"{name}: {count:,} products" for name, _, count in counts)
    title = f"{len(found.titles):,} of {found.products:,} products by meaning"
    chart = scatter_chart(title, found.places, found.titles, groups, told)
    return render("map", chart=chart, legend=counts, coloured_by=found.coloured_by, explained=found.explained)


def _before(facts: Facts) -> Before:
    """The settings of training that differ from those of the model that was live before, and its curve."""
    now, then = facts.training_settings, facts.settings_before
    names = dict.fromkeys([*now, *then]) if then else {}
    differ = [[name, then.get(name), now.get(name)] for name in names if then.get(name) != now.get(name)]
    return Before(bool(then), differ, facts.history_before)


def _index(results: Results) -> Markup:
    rows = []
    for each in results.shards:
        made = each.embedding.stats
        work = ["reused", "reused"] if each.embedding.reused else [made.embedded, made.copied]
        rows.append([each.shard, made.rows, *work, made.tokens_per_second, each.upsert.points])
    return render("index", verified=results.verify and results.verify.stats.model_dump(), shards=rows)


def _timings(results: Results) -> Markup:
    made = [(stage, summary) for stage, summary in stages(results) if summary]
    bars = [
        (stage, each.seconds, duration(each.seconds) + (" (reused)" if each.reused else "")) for stage, each in made
    ]
    charts = [bar_chart("Time to make", bars, soft=[stage for stage, each in made if each.reused])]
    if results.evaluate and (parts := results.evaluate.stats.seconds):
        charts.append(bar_chart("Inside evaluate", [(name, s, duration(s)) for name, s in parts.items()]))
    longest = max((each for each in made if not each[1].reused), key=lambda each: each[1].seconds, default=None)
    told = "Earlier runs had made everything." if made else ""
    if longest:
        told = f"The longest stage was {longest[0]}, {duration(longest[1].seconds)}."
    return render("timings", charts=charts, told=told)


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
        for stage, made in stages(facts.results)
    ]
    return render(
        "versions",
        outputs=rows,
        run={"run": facts.run_id, "logical date": facts.logical_date},
        source=stats_of(facts.results.download),
        settings=facts.training_settings,
        packages={name: found or "not installed" for name, found in facts.packages.items()},
    )
