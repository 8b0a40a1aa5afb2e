"""Decides whether a verified version goes live, moves the alias, and goes back when asked.

The steps, each atomic, under one lock a collection:

1. the journal says what is intended,
2. the store's alias moves: from here on queries see the new version,
3. the journal says that it happened,
4. versions beyond `keep_versions` are deleted (`include/publishing/retention.py`).

A process that is killed between any two leaves the old or the new version live, and the next call
finishes what it began.
"""

import logging
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from include.core.errors import UnknownVersion
from include.core.index_settings import IndexSettings
from include.core.settings import EvaluateSettings
from include.evaluation.summary import Gate
from include.index.checks import require_count
from include.publishing.catalogue_change import compare, is_sample, objection
from include.publishing.release import Release, asked_about, calibrated, fitted_weight, require_same_collection
from include.publishing.retention import delete_old
from include.publishing.verdict import Verdict, older, said, verdict
from include.results import Approval, Decision
from include.store.journal import Entry, Journal, history, now, publishing
from include.store.protocol import Store
from include.store.version import IndexVersion

__all__ = ["Release", "foresee", "history", "publish", "roll_back"]

log = logging.getLogger(__name__)

KNOWN = ("bm25_weight", "sample")  # of a version, by the run that found it out
EXAMINED = ("exam", "answering", "reader")  # likewise, and only together: the threshold is of this reader's scores


def publish(
    release: Release,
    index: IndexSettings,
    evaluate: EvaluateSettings,
    store: Store,
    *,
    root: Path,
    approval: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make a verified version the live one, unless a rule of `include.publishing.verdict` says no.

    Args:
        release: The version, and the run.
        index: `collection`, `store`, `keep_versions`.
        evaluate: `promote`, `max_gone`, `replace_with_sample`.
        store: Holds the version.
        root: The data directory.
        approval: What the task approve returned; None where it has not run.

    Returns:
        A `Decision`, as JSON.

    Raises:
        BadSettings: The date has no time zone, or the version is of another store or collection.
        VerificationFailed: The evaluation has no gate or is of another model, or the store no longer holds
            all points.
        ArtifactBusy: Another publication holds the lock.
    """
    made, gate = asked = asked_about(release, index, root)
    name = made.name
    told = None if approval is None else Approval.model_validate(approval)
    answer = told if told and told.asked else None
    with publishing(root, index.collection):
        journal = Journal.load(root, index.collection)
        live = store.live()
        journal.settle(live)
        entry = _entry(asked, release, journal, live, answer, root)
        decided = _decide(asked, entry, journal, live, answer, evaluate, root)
        previous = live
        if decided.publish and live == name:
            previous = _confirm(journal, entry)
        elif decided.publish:
            _move(journal, entry, made, store)
        deleted = delete_old(journal, store, index.keep_versions, root) if decided.publish else []
    state = "live" if decided.publish else "not published"
    log.info("version %s is %s: %s (live before: %s)", name, state, decided.reason, previous or "none")
    decision = Decision(
        version=name,
        published=decided.publish,
        reason=decided.reason,
        previous=previous,
        deleted=deleted,
        catalogue=decided.change,
        gate=None if gate is None else {"passed": gate["passed"], "reason": gate["reason"]},
        approval=None if approval is None else dict(approval),
    )
    return decision.model_dump()


def foresee(release: Release, index: IndexSettings, evaluate: EvaluateSettings, store: Store, *, root: Path) -> Verdict:
    """What `publish` would decide now without a person's answer: whether one is missing. Changes nothing.

    Raises:
        As `publish`, but for the points in the store.
    """
    asked = asked_about(release, index, root)
    with publishing(root, index.collection):
        journal = Journal.load(root, index.collection)
        live = store.live()
        journal.settle(live)
        entry = _entry(asked, release, journal, live, None, root)
        return _decide(asked, entry, journal, live, None, evaluate, root)


def roll_back(to: str, index: IndexSettings, store: Store, *, root: Path, run_id: str) -> dict[str, Any]:
    """Make an earlier version live again.

    Repeated, it goes further back: a version that was left by a rollback is not "previous". The next
    scheduled run publishes as usual.

    Args:
        to: `previous`, or the fingerprint of a version that was published and is still kept.
        index: `collection` and `store`.
        store: Holds the versions.
        root: The data directory.
        run_id: The run's name, for the journal.

    Returns:
        As `publish`.

    Raises:
        UnknownVersion: There is no such version to go back to; the message lists those that there are.
        VerificationFailed: The store no longer holds all its points.
    """
    with publishing(root, index.collection):
        journal = Journal.load(root, index.collection)
        live = store.live()
        journal.settle(live)
        there = [
            name
            for name in journal.by_publication()
            if name not in journal.deleting and IndexVersion.exists(root, name)
        ]
        if to == "previous":
            name = next((name for name in reversed(journal.line()) if name in there and name != live), None)
        else:
            name = to if to in there and to != live else None
        restored = journal.newest(name)
        if name is None or restored is None:
            others = [f"{each} (of {_date(journal, each)})" for each in there if each != live]
            raise UnknownVersion(
                f"There is no version {to!r} of collection {index.collection} to go back to; "
                + (f"version {live} is live." if live else "nothing is live."),
                f"Kept are: {', '.join(others) or 'none'}.",
            )
        made = IndexVersion.read(IndexVersion.path(root, name))
        require_same_collection(made, index)
        back = replace(restored, run_id=run_id, published_at=now(), previous=live, action="rolled back")
        _move(journal, back, made, store)
    log.info("rolled back from version %s to %s", live, name)
    reason = f"rolled back from {live}"
    decision = Decision(version=name, published=True, reason=reason, previous=live, deleted=[])
    return decision.model_dump(exclude_unset=True)


def _move(journal: Journal, entry: Entry, made: IndexVersion, store: Store) -> None:
    """Move the alias to a version that opens and is complete, and journal it."""
    with closing(store.open(entry.version, made.shards)) as searcher:
        require_count(entry.version, searcher, made.points)
    journal.intent = entry
    journal.deleting = [version for version in journal.deleting if version != entry.version]
    journal.save()
    store.set_live(entry.version)
    journal.settle(entry.version)


def _confirm(journal: Journal, entry: Entry) -> str | None:
    """Journal that a run stands by the version that is live; returns what was live before that version."""
    last = journal.newest(entry.version)
    previous = None if last is None else last.previous
    dates = [datetime.fromisoformat(each.logical_date) for each in (last or entry, entry)]
    if last is None or dates[0] < dates[1] or not _answers_alike(last, entry):
        journal.history.append(replace(entry, previous=previous, action="confirmed"))
        journal.save()
    return previous


def _answers_alike(last: Entry, entry: Entry) -> bool:
    """Whether questions are answered by the same: weight of BM25, threshold, reader."""
    first, second = ((each.bm25_weight, (each.answering or {}).get("threshold"), each.reader) for each in (last, entry))
    return first == second


def _entry(
    asked: tuple[IndexVersion, Gate | None],
    release: Release,
    journal: Journal,
    live: str | None,
    answer: Approval | None,
    root: Path,
) -> Entry:
    """What the journal would say of the publication; of a live version, with what only an earlier run has known."""
    made, gate = asked
    entry = Entry(
        made.name,
        release.logical_date.isoformat(),
        release.run_id,
        now(),
        live,
        bm25_weight=fitted_weight(release.evaluation),
        approved_by=None if answer is None else answer.by,
        approved_at=None if answer is None else answer.at,
        gate=None if gate is None else said(gate),
        sample=is_sample(root / made.catalogue, root),
        exam=None if release.exam is None else release.exam.name,
        answering=None if release.exam is None else calibrated(release.exam),
        reader=release.reader,
    )
    last = journal.newest(live) if live == made.name else None
    if last is None:
        return entry
    unknown = [name for name in KNOWN if getattr(entry, name) is None]
    if entry.exam is None:
        unknown += EXAMINED
    return replace(entry, **{name: getattr(last, name) for name in unknown})


def _decide(
    asked: tuple[IndexVersion, Gate | None],
    coming: Entry,
    journal: Journal,
    live: str | None,
    answer: Approval | None,
    evaluate: EvaluateSettings,
    root: Path,
) -> Verdict:
    made, gate = asked
    entry = journal.newest(live)
    if entry is None and live is not None:
        log.warning("the journal does not know the live version %s, so its date cannot be compared", live)
    other = None if live == made.name else live
    known = None if entry is None else entry.sample
    change = compare(root / made.catalogue, made.points, other, root=root, live_is_sample=known)
    if change is not None:
        log.info("the catalogue against the live one: %s", change)
    against = objection(change, evaluate, made.collection)
    live_date = None if entry is None else datetime.fromisoformat(entry.logical_date)
    outdated = older(live, live_date, datetime.fromisoformat(coming.logical_date))
    settled = live == made.name and (entry is None or _answers_alike(entry, coming))
    decided = verdict(
        evaluate, settled=settled, live=live, outdated=outdated, gate=gate, answer=answer, against=against
    )
    return replace(decided, change=change, against=against, live=live)


def _date(journal: Journal, version: str) -> str:
    entry = journal.newest(version)
    return "an unknown date" if entry is None else entry.logical_date
