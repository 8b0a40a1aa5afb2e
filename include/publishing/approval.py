"""What a person is shown when a run asks whether its version may go live (`promote = approval`), and the answer.

The request is Markdown for Airflow's *Required Actions*: what the gate said, retrieval before and after, counts. The
whole report is the run's tab *Report*, written just before the request.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.core.errors import AlreadyAsked
from include.core.files import write_json
from include.core.space import no_space_explained
from include.evaluation.summary import Difference, MetricName, ProtocolFigures, interval, label
from include.exam.summary import JUDGED, NAMES, Examined
from include.results import Approval, Candidate, stats_of
from include.run import Run

if TYPE_CHECKING:  # a DAG file imports this module: nothing heavy
    from include.publishing.verdict import Verdict

log = logging.getLogger(__name__)

APPROVE, REJECT = "Approve", "Reject"  # Airflow's UI knows these two as an approval
SHOWN: tuple[MetricName, ...] = ("ndcg@10", "r@10", "p@1", "mrr@10")


def request_approval(
    run: Run, results: Mapping[str, Any], link: str, show: Callable[[Mapping[str, Any]], None]
) -> dict[str, Any]:
    """Ask a person whether the version may go live, where `promote = approval`; else pass at once.

    Args:
        run: The run.
        results: By stage, the summaries so far.
        link: The address of the run's report.
        show: Writes that report, given the `Approval` so far, as JSON.

    Returns:
        `{"asked": False, "reason"}`, or `{"asked": True, "subject", "body"}` (Markdown) of the question.

    Raises:
        AlreadyAsked: The run has asked about other figures.
    """
    from include.publishing.publish import Release, foresee

    index, evaluate = run.settings.index, run.settings.evaluate
    if evaluate.promote != "approval":
        return {"asked": False, "reason": f"promote is {evaluate.promote}"}
    found = Candidate.model_validate(results)
    exam = found.examine.path if found.examine is not None and found.examine.stats.decides else None
    reader = found.train_reader.fingerprint if found.train_reader and found.train_reader.stats.used else None
    release = Release(found.verify.path, found.evaluate.path, run.logical_date, run.run_id, exam, reader)
    decided = foresee(release, index, evaluate, run.open_store(), root=run.root)
    if not decided.ask:
        log.info("nobody is asked: %s", decided.reason)
        return {"asked": False, "reason": decided.reason}
    now = datetime.now(UTC)
    asked = request(found, decided, collection=index.collection, hours=evaluate.approval_hours, link=link, now=now)
    waiting = Approval(asked=True, since=now.isoformat(timespec="seconds"), catalogue=decided.change)
    show(waiting.model_dump(exclude_unset=True))
    about = {"verify": found.verify.fingerprint, "evaluate": found.evaluate.fingerprint}
    about |= {} if found.examine is None else {"examine": found.examine.fingerprint}
    ask_once(run.root, run.run_id, {**about, "live": decided.live})  # last: a failure before it is no question asked
    log.info("asking a person, under Required Actions: %s\n%s", asked["subject"], asked["body"])
    return {"asked": True, **asked}


def request(
    found: Candidate, decided: "Verdict", *, collection: str, hours: float, link: str, now: datetime
) -> dict[str, str]:
    """Subject and body (Markdown) of the request.

    Args:
        found: The version, and what speaks for it.
        decided: What would be decided without an answer; what speaks against the change of the catalogue stands first.
        collection: The index's name.
        hours: How long an answer is waited for.
        link: The address of the run's report.
        now: The moment of asking, with a time zone.
    """
    from include.publishing.verdict import together

    live, change, against = decided.live, decided.change, decided.against
    version, examined = found.verify.fingerprint, stats_of(found.examine)
    gate = together(found.evaluate.stats.gate, examined.gate if examined else None) or found.evaluate.stats.gate
    objections = [*([against.headline] if against else []), *([] if gate["passed"] else ["the gate did not pass"])]
    overruled = f", although {' and '.join(objections)}" if objections else ""
    until = (now + timedelta(hours=hours)).astimezone(UTC)
    parts = [
        f"**Look at the catalogue**: {_escaped(against.words)}." if against else "",
        f"**The gate {'passed' if gate['passed'] else 'did not pass'}**: {_escaped(gate['reason'])}.",
        f"Version `{version}` of collection `{collection}`, of {now.astimezone(UTC):%Y-%m-%d %H:%M} UTC. "
        + (f"Live is `{live}`." if live else "Nothing is live yet."),
        f"*{APPROVE}* publishes it{overruled}; *{REJECT}* keeps it, unpublished. Without an answer until "
        f"{until:%Y-%m-%d %H:%M} UTC it is not published. **[The run's report]({link})** has the examples of questions "
        "won and lost, the plots and the rest.",
        f"**Catalogue against the live one**: {_escaped(str(change))}." if change and not against else "",
        _answers(examined) if examined else "",
        *(_compared(name, each) for name, each in found.evaluate.stats.protocols.items()),
        _counts(found),
    ]
    subject = f"Publish version {version} of {collection}{overruled}?"
    return {"subject": subject, "body": "\n\n".join(part for part in parts if part)}


def ask_once(root: Path, run_id: str, about: Mapping[str, Any]) -> None:
    """Note what a run asks about; a repeated question has to be about the same.

    Airflow keeps a task's first request when the cleared task asks again: its figures would be those of then, and a
    person would approve one version looking at another's.

    Args:
        root: The data directory.
        run_id: The run's name.
        about: JSON-serialisable.

    Raises:
        AlreadyAsked: The run has asked about something else.
        StorageFull: The disk has no room for the note.
    """
    note = _note(root, run_id)
    asked = {"run_id": run_id, **about}
    try:
        before = json.loads(note.read_bytes())
    except FileNotFoundError:
        with no_space_explained(root):
            note.parent.mkdir(parents=True, exist_ok=True)
            write_json(note, asked)
        return
    if before != asked:
        raise AlreadyAsked(
            f"Run {run_id} has asked a person about {before}; now it would be about {asked}, and Airflow would go on "
            "showing the first request's figures.",
            "Trigger a new run: it reuses everything that is unchanged and asks anew.",
        )


def asked_about(root: Path, run_id: str) -> dict[str, Any]:
    """What a run has asked about: see `ask_once`."""
    found: dict[str, Any] = json.loads(_note(root, run_id).read_bytes())
    return found


def answered(chosen: Sequence[str], *, by: str | None, at: datetime, live: str | None) -> dict[str, Any]:
    """The result of the task approve: an `Approval`, as JSON.

    Args:
        chosen: The chosen options.
        by: The person's name; None where nobody answered in time.
        at: When.
        live: The version that was live when the question was asked; None for none.
    """
    approved = list(chosen) == [APPROVE] and by is not None
    when = at.astimezone(UTC).isoformat(timespec="seconds")
    return Approval(asked=True, approved=approved, by=by, at=when, live=live).model_dump(exclude_unset=True)


def _note(root: Path, run_id: str) -> Path:
    return root / "approval" / f"{hashlib.sha256(run_id.encode()).hexdigest()[:32]}.json"


def _answers(found: Examined) -> str:
    """The exam's figures, before and after, as a Markdown table; then those of each kind."""
    rows = []
    for part, scored in [("all", found.total), *found.kinds.items()]:
        for name in JUDGED:
            both = [scored.figures.get(system, {}).get(name) for system in ("live", "new")]
            if any(both):
                cells = [f"{one['value']:.3f} ({interval((one['low'], one['high']))})" if one else "–" for one in both]
                rows.append([f"{_escaped(part)}: {NAMES[name]}", *cells, _difference(scored.differences.get(name))])
    title = f"**Answers**: {found.questions:,} questions of the exam"
    return f"{title}\n\n{_table(['figure', 'live', 'new', 'new − live'], rows)}"


def _compared(protocol: str, found: ProtocolFigures) -> str:
    """A protocol's systems, and how the tuned one differs, as a Markdown table."""
    names = [name for name in SHOWN if name in found.metrics]
    rows: list[list[str]] = []
    for system, values in found.systems.items():
        cells = []
        for name in names:
            value, bounds = values.get(name), found.intervals.get(system, {}).get(name)
            cells.append("–" if value is None else f"{value:.3f}" + (f" ({interval(bounds)})" if bounds else ""))
        rows.append([f"**{system}**" if system == "tuned" else system, *cells])
    for pair, differences in found.differences.items():
        if pair.startswith("tuned-"):
            rows.append([pair.replace("-", " − "), *(_difference(differences.get(name)) for name in names)])
    title = f"**{_escaped(protocol)}**: {found.queries:,} queries among {found.corpus:,} products"
    return f"{title}\n\n{_table(['system', *map(label, names)], rows)}"


def _difference(value: Difference | None) -> str:
    if value is None:
        return "–"
    shown = f"{value['difference']:+.3f} ({value['low']:+.3f} to {value['high']:+.3f})".replace("-", "−")
    return shown if value["verdict"] == "same" else f"**{shown} {value['verdict']}**"


def _counts(found: Candidate) -> str:
    lines, index = found.convert.stats.trn, found.verify.stats
    return (
        f"{lines.accepted:,} products of {lines.read:,} lines ({lines.rejected:,} rejected, {lines.merged:,} merged); "
        f"{index.points:,} points in the index; its recall@10 against exact search {index.recall:.3f}."
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---", *("--:" for _ in header[1:])], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", str(text)).replace("\n", " ")
