"""Whether the live index still answers as well as when it was published: it is asked the same questions again.

What may have changed since: files, the disk, a server's data, the code that answers. Each is found by asking.
"""

import logging
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from include.core import artifacts, kinds
from include.core.answer_settings import AnswerSettings
from include.core.errors import AnswersWorse, DamagedArtifact, UnknownVersion, VerificationFailed
from include.core.index_settings import IndexSettings
from include.core.progress import Progress, Sink
from include.exam.ask import TOP_K, ask, chosen
from include.exam.compare import compare, gate
from include.exam.examine import kept_scores
from include.exam.scoring import score
from include.questions.questions import Questions, read
from include.store.connection import ServerConnection
from include.store.journal import Journal, published
from include.store.protocol import Store
from include.store.stores import open_store
from include.store.version import IndexVersion

NOW, THEN = "the live index", "published"
MEND = (
    "Trigger roll_back: it puts the version before it back. Or trigger train_and_index: it builds the index anew; then "
    "trigger check_answers again."
)

log = logging.getLogger(__name__)


def check_live(
    index: IndexSettings, *, root: Path, server: ServerConnection | None = None, sink: Sink | None = None
) -> dict[str, Any]:
    """Ask the live version the exam that it was published with.

    Returns:
        JSON-able: `checked`; `version` (None where nothing is live); `questions`, how many were asked; `reason`, in
        words, also why nothing was asked; and `figures`, now and when it was published, by figure.

    Raises:
        VerificationFailed: The live index is damaged, or gone though versions were published.
        AnswersWorse: It answers worse than when it was published, beyond noise.
        StoreUnavailable: The store did not answer.
    """
    store = open_store(index, root=root, server=server)
    live = store.live()
    if live is None:
        if Journal.load(root, index.collection).history:
            raise VerificationFailed(
                f"Nothing is live in collection {index.collection}, though it was published.", MEND
            )
        return _unasked(None, f"nothing has been published in collection {index.collection} yet")
    try:
        entry = published(root, index.collection, live)
        _require_whole(live, None if entry is None else entry.reader, store, root)
        if entry is None or entry.exam is None:
            return _unasked(
                live,
                f"version {live} was published without questions, so only its products were counted. Set `questions` "
                "in train_and_index to have its answers checked",
            )
        exam = artifacts.locate(root, kinds.EXAM, entry.exam)
        then = kept_scores(exam)
        asked = read(artifacts.locate(root, kinds.QUESTIONS, artifacts.read(exam).inputs["questions"]))
        return _asked(live, asked, then, index, root=root, server=server, sink=sink)
    except (DamagedArtifact, UnknownVersion) as damage:
        raise VerificationFailed(f"The live version {live} is damaged: {damage.what}", MEND) from damage


def _require_whole(live: str, reader: str | None, store: Store, root: Path) -> None:
    """Whether every file of the version and of its reader is as it was published, and every product is there."""
    made = IndexVersion.read(IndexVersion.path(root, live))
    artifacts.read(root / made.model)
    if reader is not None:
        artifacts.read(artifacts.locate(root, kinds.READER, reader))
    for shard in made.shards:
        if "path" in shard:
            artifacts.read(root / shard["path"])
    with closing(store.open(live, made.shards)) as searcher:
        count = searcher.count()
    if count != made.points:
        raise DamagedArtifact(f"It holds {count:,} products, {made.points:,} were published.")


def _asked(
    live: str,
    questions: Questions,
    then: Mapping[str, Any],
    index: IndexSettings,
    *,
    root: Path,
    server: ServerConnection | None,
    sink: Sink | None,
) -> dict[str, Any]:
    exam = [each for each in chosen(questions.of("exam")) if each.id in then]
    if not exam:
        return _unasked(live, f"none of the questions that version {live} was published with is of the exam")
    settings = AnswerSettings(top_k=TOP_K, version=live)
    with Progress("check_answers", len(exam), unit="questions", sink=sink) as progress:
        entries = ask(exam, settings, index, progress, root=root, server=server)
    scores = {
        NOW: [score(question, each) for question, each in zip(exam, entries, strict=True)],
        THEN: [then[question.id] for question in exam],
    }
    compared = compare(exam, scores, NOW, THEN)
    found = gate(compared, NOW, THEN, 0.0)
    if not found["passed"]:
        raise AnswersWorse(f"Version {live} of collection {index.collection}: {found['reason']}.", MEND)
    log.info("%s", found["reason"])
    return {
        "checked": True,
        "version": live,
        "questions": len(exam),
        "reason": found["reason"],
        "figures": compared.model_dump()["figures"],
    }


def _unasked(version: str | None, why: str) -> dict[str, Any]:
    log.warning("no question was asked: %s", why)
    return {"checked": False, "version": version, "questions": 0, "reason": why, "figures": {}}
