"""A questions file becomes an artifact: every row is accepted, rejected with a reason, or merged.

The file is read as a catalogue is (`include.formats`): JSON lines, CSV, Parquet and the rest, packed or not. Its rows
stay in memory: a question has some hundred bytes.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.core import artifacts, kinds
from include.core.artifacts import Artifact, Workspace
from include.core.errors import BadSource
from include.core.progress import Progress, Sink
from include.formats.archive import Archive
from include.questions.file_rows import MOST_NAMES, FileRows, Place
from include.questions.questions import QUESTIONS_FILE, SHARES, Question, folded
from include.questions.rows import SAME_ID, UNKNOWN_UID
from include.questions.summary import Fates

REJECTED_FILE = "rejected.jsonl"

log = logging.getLogger(__name__)


def accept(source: Path, products: Path, catalogue: str, *, root: Path, sink: Sink | None = None) -> Artifact:
    """Make the questions artifact from a source artifact.

    Args:
        source: Artifact of kind `source`; its stats name the file and its sha256.
        products: The catalogue's Parquet file of products, with a column `uid`.
        catalogue: The fingerprint of the catalogue's artifact.
        root: The data directory.
        sink: Receives progress, in bytes of the file.

    Returns:
        Kind `questions` with `questions.jsonl` and `rejected.jsonl`; its statistics are `Fates`.

    Raises:
        BadSource: The file cannot be read, or no row of it can be used.
        DamagedArtifact: The source artifact does not match its manifest.
    """
    origin = artifacts.read(source, verify=False)
    name = str(origin.stats.get("origin", ""))

    def write(space: Workspace) -> Mapping[str, Any]:
        artifacts.read(source)
        reading = _Reading(name)
        rows = reading.rows
        with Archive(source / origin.stats["file"], name, space.scratch) as archive:
            total = sum(member.size for member in archive.members["trn"])
            with Progress("read_questions", total, unit="bytes", sink=sink) as progress:
                for question, place in rows.of(archive, progress):
                    reading.merge(question, place)
        return reading.written(space.path, products).model_dump()

    inputs = {"source": origin.stats["sha256"], "catalogue": catalogue}
    made = artifacts.build(root, kinds.QUESTIONS, write, settings={"shares": SHARES}, inputs=inputs)
    _tell(Fates.model_validate(made.stats))
    return made


class _Reading:
    """The rows of a file, one after another."""

    def __init__(self, origin: str) -> None:
        self._fates = Fates(origin=origin)
        self._found: dict[tuple[Any, ...], tuple[Question, Place]] = {}
        self._rejected: list[dict[str, Any]] = []
        self.rows = FileRows(self._rejected.append)

    def merge(self, question: Question, place: Place) -> None:
        """Keep a question, with its evidence where it was there before."""
        key = (folded(question.question), frozenset(question.uids), question.answerable)
        if key not in self._found:
            self._found[key] = question, place
            return
        self._fates.merged += 1
        first, at = self._found[key]
        evidence = tuple(dict.fromkeys((*first.evidence, *question.evidence)))
        self._found[key] = replace(first, evidence=evidence), at

    def written(self, directory: Path, products: Path) -> Fates:
        """Compare the uids with the catalogue's, write both files, and count.

        Raises:
            BadSource: No row can be used.
        """
        fates, rows = self._fates, self.rows
        accepted = list(self._of_catalogue(products))
        fates.read, fates.blank, fates.rejected = rows.read, rows.blank, rows.rejected
        fates.reasons, fates.examples = dict(rows.reasons.most_common()), rows.examples
        fates.ignored = dict(rows.ignored.most_common(MOST_NAMES))
        if not accepted:
            raise BadSource(
                f"No row of the questions file {fates.origin} can be used: {rows.told()}.",
                "Each row needs `question` and `uids` with ids of this catalogue, or `answerable` = `false`; see "
                "Questions in docs/operations.md. Correct the file or the setting `questions`, then clear the task.",
            )
        fates.accepted = len(accepted)
        fates.parts = {name: sum(each.part == name for each in accepted) for name in SHARES}
        fates.answerable = sum(each.answerable for each in accepted)
        fates.with_evidence = sum(bool(each.evidence) for each in accepted)
        fates.kinds = dict(Counter(each.kind for each in accepted).most_common(MOST_NAMES))
        fates.languages = dict(Counter(each.lang for each in accepted).most_common(MOST_NAMES))
        _write_lines(directory / QUESTIONS_FILE, (each.as_json() for each in accepted))
        _write_lines(directory / REJECTED_FILE, (json.dumps(each, ensure_ascii=False) for each in self._rejected))
        return fates

    def _of_catalogue(self, products: Path) -> Iterator[Question]:
        """The questions that this catalogue can be asked, with its own uids alone."""
        known = known_uids(products, {uid for question, _ in self._found.values() for uid in question.uids})
        ids: set[str] = set()
        for question, place in self._found.values():
            uids = tuple(uid for uid in question.uids if uid in known)
            if question.answerable and not uids:
                self.rows.set_aside(place, UNKNOWN_UID)
            elif question.id in ids:
                self.rows.set_aside(place, SAME_ID)
            else:
                ids.add(question.id)
                self._fates.unknown_uids += len(question.uids) - len(uids)
                yield replace(question, uids=uids)


def known_uids(products: Path, wanted: set[str]) -> set[str]:
    """Which of the ids are products of a catalogue's Parquet file."""
    values = pa.array(sorted(wanted), pa.string())
    found: set[str] = set()
    with pq.ParquetFile(products, page_checksum_verification=True) as file:
        for batch in file.iter_batches(columns=["uid"]):
            uids = batch.column(0)
            found.update(uids.filter(pc.is_in(uids, values)).to_pylist())
    return found


def _write_lines(file: Path, lines: Iterator[str]) -> None:
    with file.open("w", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in lines)


def _tell(fates: Fates) -> None:
    log.info(
        "questions: %d rows, %d accepted, %d rejected, %d merged; %s",
        *(fates.read, fates.accepted, fates.rejected, fates.merged),
        ", ".join(f"{count:,} to {part}" for part, count in fates.parts.items()),
    )
    for reason, count in fates.reasons.items():
        where = ", ".join(f"line {each['line']}: {each['excerpt']!r:.80}" for each in fates.examples[reason])
        log.warning("questions: %d rejected, %s (%s)", count, reason, where)
    if fates.unknown_uids:
        log.warning("questions: %d ids are no products of this catalogue and were left out", fates.unknown_uids)
    if fates.ignored:
        log.warning("questions: fields that mean nothing here: %s", ", ".join(fates.ignored))
