"""What a reader says of the passages, where the version was published with one."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from include.answering.asked import Asked
from include.answering.passages import Retrieved
from include.core import artifacts
from include.core.errors import BadModel, DamagedArtifact
from include.model.reader import Reader

log = logging.getLogger(__name__)

READ = 12  # passages of a question that are read, the most relevant; the others count as no answer


def open_reader(path: Path | None) -> Reader | None:
    """The reader there; None without one, or where it is damaged: relevance decides then, and the log says so."""
    if path is None:
        return None
    try:
        return Reader(artifacts.read(path, verify=False).path)
    except (BadModel, DamagedArtifact) as fault:
        log.warning("Sentences are chosen without the reader: %s %s", fault.what, fault.next_step)
        return None


def read_passages(asked: Sequence[Asked], retrieved: Sequence[Retrieved], reader: Reader) -> list[Retrieved]:
    """What was retrieved for each question, with what the reader says of its passages."""
    return [_read(each.text, found, reader) for each, found in zip(asked, retrieved, strict=True)]


def _read(question: str, found: Retrieved, reader: Reader) -> Retrieved:
    chosen = np.argsort(-found.scores, kind="stable")[:READ]
    scores = np.zeros(len(found.passages), np.float32)
    texts = [found.passages[number].scored for number in chosen.tolist()]
    scores[chosen] = reader.score(question, texts, found.scores[chosen])
    return replace(found, read=scores)
