"""What a person is shown when a run asks whether its version may go live (`promote = approval`), and the answer.

The request is Markdown for Airflow's *Required Actions*: what the gate said, retrieval before and after, counts. The
whole report is the run's tab *Report*, written just before the request.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.core.errors import AlreadyAsked
from include.core.files import write_json
from include.core.space import no_space_explained
from include.evaluation.comparison import Comparison, comparisons, interval, label
from include.run import Run

if TYPE_CHECKING:  # a DAG file imports this module: nothing heavy
    from include.publishing.verdict import Verdict

log = logging.getLogger(__name__)

APPROVE, REJECT = "Approve", "Reject"  # Airflow's UI knows these two as an approval
SHOWN = ("ndcg@10", "r@10", "recall@10", "p@1", "mrr")


def request_approval(
    run: Run, results: Mapping[str, Any], link: str, show: Callable[[Mapping[str, Any]], None]
) -> dict[str, Any]:
    """Ask a person whether the version may go live, where `promote = approval`; else pass at once.

    Args:
        run: The run.
        results: By stage, the summaries so far.
        link: The address of the run's report.
        show: Writes that report, given what became of the question: `asked`, `since`, `catalogue`.

    Returns:
        `{"asked": False, "reason"}`, or `{"asked": True, "subject", "body"}` (Markdown) of the question.

    Raises:
        AlreadyAsked: The run has asked about other figures.
    """
    from include.publishing.publish import foresee

    index, evaluate = run.settings.index, run.settings.evaluate
    if evaluate.promote != "approval":
        return {"asked": False, "reason": f"promote is {evaluate.promote}"}
    version, evaluation = (Path(results[stage]["path"]) for stage in ("verify", "evaluate"))
    decided = foresee(
        version, evaluation, index, evaluate, run.open_store(), root=run.root, logical_date=run.logical_date
    )
    if not decided.ask:
        log.info("nobody is asked: %s", decided.reason)
        return {"asked": False, "reason": decided.reason}
    now = datetime.now(UTC)
    asked = request(results, decided, collection=index.collection, hours=evaluate.approval_hours, link=link, now=now)
    catalogue = None if decided.change is None else asdict(decided.change)
    show({"asked": True, "since": now.isoformat(timespec="seconds"), "catalogue": catalogue})
    about = {name: results[name]["fingerprint"] for name in ("verify", "evaluate")}
    ask_once(run.root, run.run_id, {**about, "live": decided.live})  # last: a failure before it is no question asked
    log.info("asking a person, under Required Actions: %s\n%s", asked["subject"], asked["body"])
    return {"asked": True, **asked}


def request(
    results: Mapping[str, Any], decided: "Verdict", *, collection: str, hours: float, link: str, now: datetime
) -> dict[str, str]:
    """Subject and body (Markdown) of the request.

    Args:
        results: By stage, the summaries of `convert`, `evaluate` and `verify`.
        decided: What would be decided without an answer; what speaks against the change of the catalogue stands first.
        collection: The index's name.
        hours: How long an answer is waited for.
        link: The address of the run's report.
        now: The moment of asking, with a time zone.
    """
    live, change, against = decided.live, decided.change, decided.against
    metrics = results["evaluate"]["stats"]
    gate = metrics["gate"]
    version = results["verify"]["fingerprint"]
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
        *(_compared(each) for each in comparisons(metrics)),
        _counts(results),
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
    """The result of the task approve, see `include.publishing.verdict.Answer`.

    Args:
        chosen: The chosen options.
        by: The person's name; None where nobody answered in time.
        at: When.
        live: The version that was live when the question was asked; None for none.
    """
    approved = list(chosen) == [APPROVE] and by is not None
    told = {"by": by, "at": at.astimezone(UTC).isoformat(timespec="seconds"), "live": live}
    return {"asked": True, "approved": approved, **told}


def _note(root: Path, run_id: str) -> Path:
    return root / "approval" / f"{hashlib.sha256(run_id.encode()).hexdigest()[:32]}.json"


def _compared(found: Comparison) -> str:
    """A protocol's systems, and how the tuned one differs, as a Markdown table."""
    names = [name for name in SHOWN if name in found.metrics] or list(found.metrics[:4])
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
    title = f"**{_escaped(found.name)}**: {found.queries:,} queries among {found.corpus:,} products"
    return f"{title}\n\n{_table(['system', *map(label, names)], rows)}"


def _difference(value: Mapping[str, Any] | None) -> str:
    if value is None:
        return "–"
    shown = f"{value['difference']:+.3f} ({value['low']:+.3f} to {value['high']:+.3f})".replace("-", "−")
    return shown if value["verdict"] == "same" else f"**{shown} {value['verdict']}**"


def _counts(results: Mapping[str, Any]) -> str:
    rows = (results.get("convert") or {}).get("stats", {}).get("trn") or {}
    index = results["verify"].get("stats") or {}
    told = []
    if rows:
        counted = ", ".join(f"{rows[fate]:,} {fate}" for fate in ("rejected", "merged") if fate in rows)
        told.append(f"{rows['accepted']:,} products of {rows['read']:,} lines ({counted})")
    if "points" in index:
        told.append(f"{index['points']:,} points in the index")
    if "recall" in index:
        told.append(f"its recall@10 against exact search {index['recall']:.3f}")
    return "; ".join(told) + "." if told else ""


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---", *("--:" for _ in header[1:])], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", str(text)).replace("\n", " ")
