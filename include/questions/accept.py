"""A questions file becomes an artifact: every row is accepted, rejected with a reason, or merged.

The file is read as a catalogue is (`include.formats`): JSON lines, CSV, Parquet and the rest, packed or not. Its rows
stay in memory: a question has some hundred bytes.
"""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.core import artifacts, kinds
from include.core.artifacts import Artifact, Workspace
from include.core.display import excerpt
from include.core.errors import BadSource
from include.core.progress import Progress, Sink
from include.formats.archive import Archive
from include.questions.file_rows import MOST_NAMES, FileRows, Place
from include.questions.questions import FEEDBACK, QUESTIONS_FILE, SHARES, Question, folded
from include.questions.rows import SAME_ID, UNKNOWN_UID
from include.questions.summary import Fates, Spoken

REJECTED_FILE = "rejected.jsonl"
OTHERWISE = "the questions file says otherwise"  # than people's verdicts
MOST_ASKED = 50  # questions of people's verdicts that are told

log = logging.getLogger(__name__)


class Said(NamedTuple):
    """What people said of answers.

    Attributes:
        questions: One of each question that they tell something about.
        spoken: The counts.
    """

    questions: Sequence[Question]
    spoken: Spoken

    @property
    def mark(self) -> str:
        """What identifies all of it."""
        told = repr([each.as_json() for each in self.questions]) + self.spoken.model_dump_json()
        return hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()


def accept(
    source: Path | None,
    products: Path,
    catalogue: str,
    said: Said | None = None,
    *,
    root: Path,
    sink: Sink | None = None,
) -> Artifact:
    """Make the questions artifact from a source artifact, from what people said, or from both.

    Args:
        source: Artifact of kind `source`; its stats name the file and its sha256. None for no file.
        products: The catalogue's Parquet file of products, with a column `uid`.
        catalogue: The fingerprint of the catalogue's artifact.
        said: What people said; its questions come behind the file's.
        root: The data directory.
        sink: Receives progress, in bytes of the file.

    Returns:
        Kind `questions` with `questions.jsonl` and `rejected.jsonl`; its statistics are `Fates`.

    Raises:
        BadSource: The file cannot be read, or no row of it can be used; what people said may be of no use.
        DamagedArtifact: The source artifact does not match its manifest.
    """
    origin = None if source is None else artifacts.read(source, verify=False)
    name = "" if origin is None else str(origin.stats.get("origin", ""))

    def write(space: Workspace) -> Mapping[str, Any]:
        reading = _Reading(name, file=source is not None)
        if source is not None and origin is not None:
            artifacts.read(source)
            with Archive(source / origin.stats["file"], name, space.scratch) as archive:
                total = sum(member.size for member in archive.members["trn"])
                with Progress("read_questions", total, unit="bytes", sink=sink) as progress:
                    for question, place in reading.rows.of(archive, progress):
                        reading.merge(question, place)
        if said is not None:
            reading.take(said)
        return reading.written(space.path, products).model_dump()

    inputs = {"catalogue": catalogue}
    if origin is not None:
        inputs["source"] = origin.stats["sha256"]
    if said is not None:
        inputs["feedback"] = said.mark
    made = artifacts.build(root, kinds.QUESTIONS, write, settings={"shares": SHARES}, inputs=inputs)
    _tell(Fates.model_validate(made.stats))
    return made


class _Reading:
    """The rows of a file, where there is one, and what people said, one after another."""

    def __init__(self, origin: str, *, file: bool) -> None:
        self._file = file
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

    def take(self, said: Said) -> None:
        """Add the questions that people's verdicts make; the file's word on a question stands."""
        told = {folded(question.question): key for key, (question, _) in self._found.items()}
        self._fates.feedback = said.spoken
        for number, each in enumerate(said.questions, 1):
            place = {"file": FEEDBACK, "line": number, "excerpt": excerpt(each.question.encode("utf-8", "replace"))}
            self.rows.read += 1
            before = told.get(folded(each.question))
            if before is not None and before[1:] != (frozenset(each.uids), each.answerable):
                self.rows.set_aside(place, OTHERWISE)
            else:
                self.merge(each, place)

    def written(self, directory: Path, products: Path) -> Fates:
        """Compare the uids with the catalogue's, write both files, and count.

        Raises:
            BadSource: No row of the file can be used.
        """
        fates, rows = self._fates, self.rows
        accepted = list(self._of_catalogue(products))
        fates.read, fates.blank, fates.rejected = rows.read, rows.blank, rows.rejected
        fates.reasons, fates.examples = dict(rows.reasons.most_common()), rows.examples
        fates.ignored = dict(rows.ignored.most_common(MOST_NAMES))
        if self._file and all(each.feedback for each in accepted):
            raise BadSource(
                f"No row of the questions file {fates.origin} can be used: {rows.told()}.",
                "Each row needs `question` and `uids` with ids of this catalogue, or `answerable` = `false`; see "
                "Questions in docs/operations.md. Correct the file or the setting `questions`, then clear the task.",
            )
        fates.accepted = len(accepted)
        fates.parts = {name: sum(each.part == name for each in accepted) for name in SHARES}
        fates.answerable = sum(each.answerable for each in accepted)
        fates.with_evidence = sum(bool(each.evidence) for each in accepted)
        said = [{"question": each.question, "part": each.part} for each in accepted if each.feedback]
        fates.asked = said[:MOST_ASKED]
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
    if (said := fates.feedback) is not None:
        log.info("feedback: %d questions of what people said; of no use: %s", said.questions, said.unused or "none")
    for reason, count in fates.reasons.items():
        where = ", ".join(f"line {each['line']}: {each['excerpt']!r:.80}" for each in fates.examples[reason])
        log.warning("questions: %d rejected, %s (%s)", count, reason, where)
    if fates.unknown_uids:
        log.warning("questions: %d ids are no products of this catalogue and were left out", fates.unknown_uids)
    if fates.ignored:
        log.warning("questions: fields that mean nothing here: %s", ", ".join(fates.ignored))
