"""What a reader says of the passages, where the version was published with one."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from include.answering.asked import Asked
from include.answering.passages import Retrieved
from include.core import artifacts
from include.core.arrays import Vectors
from include.core.errors import BadModel, DamagedArtifact
from include.model.reader import Reader

log = logging.getLogger(__name__)

READ = 8  # passages of a question that are read, the most relevant; the others count as no answer


def open_reader(path: Path | None, *, threads: int = 1) -> Reader | None:
    """The reader there; None without one, or where it is damaged: relevance decides then, and the log says so.

    Args:
        path: Artifact of kind `reader`.
        threads: See `Reader`.
    """
    if path is None:
        return None
    try:
        return Reader(artifacts.read(path, verify=False).path, threads=threads)
    except (BadModel, DamagedArtifact) as fault:
        log.warning("Sentences are chosen without the reader: %s %s", fault.what, fault.next_step)
        return None


def read_passages(
    asked: Sequence[Asked], retrieved: Sequence[Retrieved], reader: Reader | None
) -> list[Vectors | None]:
    """For each question how likely its passages answer: (passages,) float32, 0-1, from 0.5 on they do.

    None without a reader.
    """
    if reader is None:
        return [None] * len(asked)
    return [_read(each.text, found, reader) for each, found in zip(asked, retrieved, strict=True)]


def _read(question: str, found: Retrieved, reader: Reader) -> Vectors:
    chosen = np.argsort(-found.scores, kind="stable")[:READ]
    texts = [found.passages[number].scored for number in chosen.tolist()]
    least = min(max(reader.least, 0.01), 0.99)
    told = reader.score(question, texts, found.scores[chosen])
    answering = np.zeros(len(found.passages), np.float32)
    answering[chosen] = np.where(told < least, 0.5 * told / least, 0.5 + 0.5 * (told - least) / (1 - least))
    return answering
