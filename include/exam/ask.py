"""Asking a version an exam, in batches, with progress; a killed exam goes on at its batch."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from include.answering.asker import Asker
from include.answering.batches import in_batches
from include.core.answer_settings import AnswerSettings
from include.core.index_settings import IndexSettings
from include.core.progress import Progress
from include.model.onnx_session import FOR_MANY
from include.questions.questions import Question
from include.store.connection import ServerConnection

BATCH = 32  # questions: so many are lost at most when the process is killed
MOST = 2000  # questions of an exam: intervals of some hundredths, minutes of work
TOP_K = 10  # products that are looked at

log = logging.getLogger(__name__)


def chosen(questions: Sequence[Question]) -> list[Question]:
    """As many of the questions as are asked, in their order: by a hash, since a file may be sorted by what they are."""
    if len(questions) <= MOST:
        return list(questions)
    log.warning("%s of %s questions are asked, drawn by a hash of their text", f"{MOST:,}", f"{len(questions):,}")
    marks = [hashlib.sha256(f"{each.question}\n{each.id}".encode()).hexdigest() for each in questions]
    last = sorted(marks)[MOST - 1]
    return [each for each, mark in zip(questions, marks, strict=True) if mark <= last]


def ask(
    questions: Sequence[Question],
    settings: AnswerSettings,
    index: IndexSettings,
    progress: Progress,
    *,
    root: Path,
    server: ServerConnection | None = None,
    scratch: Path | None = None,
) -> list[dict[str, Any]]:
    """The entries of `include.answering.answer.answer`, in the questions' order.

    Args:
        questions: To ask.
        settings: How to answer; `version` says which is asked.
        index: Where the index is.
        progress: Counts the questions.
        root: The data directory.
        server: Needed for `store="server"`.
        scratch: Where finished batches are kept for a retry; None keeps none.

    Raises:
        As `include.answering.answer.answer`.
    """
    kept = None if scratch is None else scratch / settings.version
    if kept is not None:
        kept.mkdir(exist_ok=True)
    found: list[dict[str, Any]] = []
    with Asker.open(settings.version, index, root=root, server=server, threads=FOR_MANY) as asker:
        for part, result in in_batches(questions, BATCH, lambda texts: asker.answer(texts, settings), kept):
            found += result["answers"]
            progress.advance(len(part), version=settings.version)
    return found
