"""Decides whether a verified version goes live, moves the alias, and goes back when asked.

The steps, each atomic, under one lock a collection:

1. the journal says what is intended,
2. the store's alias moves: from here on queries see the new version,
3. the journal says that it happened,
4. versions beyond `keep_versions` are deleted.

A process that is killed between any two leaves the old or the new version live, and the next call
finishes what it began.

What is deleted: of versions that were once live, all but the live one and those published last, as
many as `keep_versions` says. With a version go its data in the store (shards that other versions share
stay, also with versions still under construction), its `version` and its `plan` artifact. Versions that
were built but never published stay, as do catalogues, models and embeddings: the embeddings are the
source of truth, and later runs copy from them.
"""

import logging
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from include import artifacts
from include.checks import require_count
from include.errors import BadSettings, DamagedArtifact, UnknownVersion, VerificationFailed
from include.index import Store, building
from include.journal import Entry, Journal, history, kept, now, publishing, require_aware
from include.settings import EvaluateSettings, IndexSettings
from include.verify import read_version

__all__ = ["history", "live_model", "publish", "roll_back"]

log = logging.getLogger(__name__)


def publish(
    version: Path,
    evaluation: Path | None,
    index: IndexSettings,
    evaluate: EvaluateSettings,
    store: Store,
    *,
    root: Path,
    logical_date: datetime,
    run_id: str,
) -> dict[str, Any]:
    """Make a verified version the live one, unless a rule says no.

    In this order: `promote = never`; the version is live already (its entry gets the newer date); the
    evaluation's gate did not pass; the live version is of a newer logical date.

    Args:
        version: Artifact of kind `version`.
        evaluation: Artifact of kind `evaluation` whose statistics hold `gate: {"passed", "reason"}`; None
            publishes without a gate.
        index: `collection`, `store`, `keep_versions`.
        evaluate: `promote`.
        store: Holds the version.
        root: The data directory.
        logical_date: The date that the run stands for, with a time zone.
        run_id: The run's name, for the journal.

    Returns:
        `{"version", "published", "reason", "previous", "deleted"}`: previous is the version that was live
        before (None for none), deleted the versions that were removed.

    Raises:
        BadSettings: The date has no time zone, or the version is of another store or collection.
        VerificationFailed: The evaluation has no gate or is of another model, or the store no longer holds
            all points.
        ArtifactBusy: Another publication holds the lock.
    """
    require_aware(logical_date)
    made = read_version(version)
    _require_same_collection(made, index)
    gate = None if evaluation is None else _gate(evaluation, made, root)
    name: str = made["version"]
    with publishing(root, index.collection):
        journal = Journal.load(root, index.collection)
        live = store.live()
        journal.settle(live)
        entry = Entry(name, logical_date.isoformat(), run_id, now(), live)
        published, previous = False, live
        if evaluate.promote == "never":
            reason = "promote is never: the version is built and verified, but not published"
        elif live == name:
            published, reason, previous = True, "already live", _confirm(journal, entry)
        elif gate is not None and not gate["passed"]:
            reason = f"the gate did not pass: {gate['reason']}"
        elif (newer := _newer_live_date(journal, live, logical_date)) is not None:
            reason = (
                f"the live version {live} is of {newer.isoformat()}, newer than this run's {logical_date.isoformat()}"
            )
        else:
            _move(journal, entry, made, store)
            published, reason = True, "published" if gate is None else f"published: {gate['reason']}"
        deleted = _delete_old(journal, store, index.keep_versions, root) if published else []
    log.info("version %s: %s (live before: %s)", name, reason, previous or "none")
    return {"version": name, "published": published, "reason": reason, "previous": previous, "deleted": deleted}


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
        there = [name for name in journal.by_publication() if name not in journal.deleting and _exists(name, root)]
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
        made = read_version(artifacts.locate(root, "version", name))
        _require_same_collection(made, index)
        _move(journal, Entry(name, restored.logical_date, run_id, now(), live, "rolled back"), made, store)
    log.info("rolled back from version %s to %s", live, name)
    return {"version": name, "published": True, "reason": f"rolled back from {live}", "previous": live, "deleted": []}


def live_model(store: Store, *, root: Path) -> Path | None:
    """The model artifact of the live version, to compare a new one with.

    None before the first publication, and, with a warning, where the live version's files are gone or
    damaged: then there is nothing to compare with, and refusing would keep the broken index live.
    """
    live = store.live()
    if live is None:
        return None
    try:
        model = root / str(read_version(artifacts.locate(root, "version", live))["model"])
        return artifacts.read(model).path
    except DamagedArtifact as damage:
        log.warning("the model of the live version %s cannot be compared with: %s", live, damage)
        return None


def _move(journal: Journal, entry: Entry, made: dict[str, Any], store: Store) -> None:
    """Move the alias to a version that opens and is complete, and journal it."""
    searcher = store.open(entry.version, made["shards"])
    try:
        require_count(entry.version, searcher, made["points"])
    finally:
        searcher.close()
    journal.intent = entry
    journal.deleting = [version for version in journal.deleting if version != entry.version]
    journal.save()
    store.set_live(entry.version)
    journal.settle(entry.version)


def _confirm(journal: Journal, entry: Entry) -> str | None:
    """Journal that a run stands by the version that is live; returns what was live before that version."""
    last = journal.newest(entry.version)
    previous = None if last is None else last.previous
    if last is None or datetime.fromisoformat(last.logical_date) < datetime.fromisoformat(entry.logical_date):
        journal.history.append(replace(entry, previous=previous, action="confirmed"))
        journal.save()
    return previous


def _newer_live_date(journal: Journal, live: str | None, logical_date: datetime) -> datetime | None:
    """The live version's logical date, if it is newer than `logical_date`."""
    entry = journal.newest(live)
    if entry is None:
        if live is not None:
            log.warning("the journal does not know the live version %s, so its date cannot be compared", live)
        return None
    date = datetime.fromisoformat(entry.logical_date)
    return date if date > logical_date else None


def _delete_old(journal: Journal, store: Store, keep_versions: int, root: Path) -> list[str]:
    """Delete the published versions beyond `keep_versions`, and those whose deletion was cut short."""
    live = store.live()
    existing = [version for version in journal.by_publication() if _exists(version, root)]
    keep = kept(journal, live, keep_versions, existing)
    old = [version for version in existing if version not in keep]
    if not old and not journal.deleting:
        return []
    journal.deleting = old  # from here on no rollback offers them
    journal.save()
    deleted = []
    for version in old:
        path = artifacts.locate(root, "version", version)
        try:
            made = read_version(path)
        except DamagedArtifact as damage:  # must not stop publications for ever
            log.warning("version %s is not deleted: %s", version, damage)
            continue
        with building.deciding(root):
            claimed = building.claimed(root)
            store.delete(version, [shard for shard in made["shards"] if shard.get("path") not in claimed])
            artifacts.discard(root / made["plan"])
            artifacts.discard(path)  # last, so that a cut-short deletion is found again
        deleted.append(version)
        log.info("deleted version %s: %d versions are kept", version, keep_versions)
    journal.deleting = []
    journal.save()
    return deleted


def _date(journal: Journal, version: str) -> str:
    entry = journal.newest(version)
    return "an unknown date" if entry is None else entry.logical_date


def _exists(version: str, root: Path) -> bool:
    return (artifacts.locate(root, "version", version) / artifacts.MANIFEST).exists()


def _gate(evaluation: Path, version: dict[str, Any], root: Path) -> dict[str, Any]:
    """The evaluation's decision on the version's model.

    Raises:
        VerificationFailed: There is none, or it is about another model.
    """
    made = artifacts.read(evaluation)
    model = artifacts.read(root / version["model"], verify=False).fingerprint
    if made.inputs.get("model", model) != model:
        raise VerificationFailed(
            f"{evaluation} evaluates model {made.inputs['model']}, version {version['version']} has model {model}.",
            "Clear evaluate and publish, so that both are of this run's model.",
        )
    gate = made.stats.get("gate")
    if not isinstance(gate, dict) or not {"passed", "reason"} <= set(gate):
        raise VerificationFailed(
            f"{evaluation} has no gate (passed, reason) in its statistics, so nothing says that the model may go live.",
            "Clear evaluate and run it again.",
        )
    return gate


def _require_same_collection(made: dict[str, Any], index: IndexSettings) -> None:
    for name in ("store", "collection"):
        if made[name] != getattr(index, name):
            raise BadSettings(
                f"Version {made['version']} was built for {name} {made[name]!r}, the settings say "
                f"{getattr(index, name)!r}.",
                "Use the settings that the run was planned with.",
            )
