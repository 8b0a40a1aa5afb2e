"""From a file of questions to a file of answers, all of them by one version of the index.

The file is fetched and read once, so that a bad one is known before the first question is asked. Then its questions are
asked in chunks of a version that is opened once; what each chunk was told is kept, so that a killed process goes on
there, with the version that it began with.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.answering.asker import Asker, require_generator
from include.answering.batches import in_batches
from include.batch.figures import Figures, is_labelled
from include.batch.summary import Answered
from include.batch.write import Kind, writer
from include.core import artifacts, kinds
from include.core.answer_settings import AnswerSettings
from include.core.artifacts import Artifact, Workspace
from include.core.errors import BadSource, DamagedArtifact, UnknownVersion
from include.core.files import write_json
from include.core.forms import parse
from include.core.in_use import last_written
from include.core.index_settings import IndexSettings
from include.core.progress import Progress, Sink
from include.core.settings import SourceSettings
from include.core.space import require
from include.formats.archive import Archive
from include.formats.table_forms import TableForm
from include.model.onnx_session import FOR_MANY
from include.questions.file_rows import MOST_NAMES, FileRows
from include.questions.questions import Question
from include.source.download import download

if TYPE_CHECKING:
    from include.answering.llm_connection import LlmConnection
    from include.store.connection import ServerConnection

CHUNK = 128  # questions that are asked at once: more encode little faster, and are lost when the process is killed
CHUNK_LLM = 8  # where a language model writes: each takes seconds, and may cost money
ENTRY_BYTES = 1000  # of an answer in its file, beside those of each product; seen: 700
PRODUCT_BYTES = 900  # seen: 600
ANSWERS, REJECTED_FILE = "answers", "rejected.jsonl"
QUESTIONS_FILE, PINNED_FILE = "questions.jsonl", "version.json"  # in the scratch directory
STALE = 7 * 24 * 3600.0  # seconds after which what nobody went on with is deleted

WANTED = (
    'Each row needs a field `question`, such as {"question": "Which lamp is for the garden?"} in a line of JSON or a '
    "column of that name in a table; see A file of questions in docs/operations.md. Correct the file or "
    "`questions_file`, then trigger again."
)

log = logging.getLogger(__name__)


def answer_file(
    place: str,
    settings: AnswerSettings,
    index: IndexSettings,
    *,
    root: Path,
    run_id: str,
    connections: "tuple[ServerConnection | None, LlmConnection | None]" = (None, None),
    sink: Sink | None = None,
) -> Artifact:
    """Answer the questions of a file.

    Args:
        place: Where the file is, as a catalogue may be: a path or an address, of any form.
        settings: How each question is answered; of version "live" the one that is live when it begins.
        index: Where the index is.
        root: The data directory.
        run_id: Whose file of answers it is: a retry goes on with it, another run asks anew.
        connections: To the Qdrant server, for `store="server"`, and to the language model, for `generator="llm"`.
        sink: Receives progress: bytes of the file, then questions.

    Returns:
        Kind `answers`: `answers.jsonl`, `answers.csv` or `answers.parquet` (see `include.batch.write`), and
        `rejected.jsonl`; its statistics are `Answered`.

    Raises:
        BadSource: The file cannot be read, or no row of it is a question.
        NoLiveIndex, UnknownVersion, BadFilter, BadSettings: As `include.answering.answer.answer`.
        GeneratorUnavailable: The language model did not answer, and `llm_fallback` is off.
        StorageFull: The disk has no room.
    """
    require_generator(settings, connections[1])
    artifacts.sweep(root, kinds.ANSWERS, lambda scratch: time.time() - last_written(scratch) > STALE)
    with _of_questions():
        source = download(parse(SourceSettings, {"source": place}), root=root, sink=sink)

    def write(space: Workspace) -> Mapping[str, Any]:
        began = time.monotonic()
        with _of_questions():
            made, kind = _read(source, space, sink)
        batch = _Batch(made, settings, space, sink)
        asker, notes = _open(settings, index, space.scratch, root, connections[0])
        with asker:
            batch.ask(asker, kind, connections[1])
        made.notes = notes
        made.seconds = round(time.monotonic() - began, 3)
        return made.model_dump()

    shaping = {"run": run_id, "answering": settings.model_dump(), "store": index.store, "collection": index.collection}
    answers = artifacts.build(
        root, kinds.ANSWERS, write, settings=shaping, inputs={"questions": str(source.stats["sha256"])}
    )
    _tell(Answered.model_validate(answers.stats), answers.path)
    return answers


def _read(source: Artifact, space: Workspace, sink: Sink | None) -> tuple[Answered, Kind]:
    """Check every row: the questions into the scratch directory, the others, with reasons, beside the answers."""
    origin = str(source.stats["origin"])
    artifacts.read(source.path)
    with (
        (space.path / REJECTED_FILE).open("w", encoding="utf-8") as aside,
        (space.scratch / QUESTIONS_FILE).open("w", encoding="utf-8") as asked,
        Archive(source.path / source.stats["file"], origin, space.scratch) as archive,
    ):
        rows = FileRows(lambda row: aside.write(json.dumps(row, ensure_ascii=False) + "\n"), labelled=False)
        kind = _kind(archive)
        made = Answered(origin=origin, file=f"{ANSWERS}.{kind}")
        total = sum(member.size for member in archive.members["trn"])
        with Progress("read questions", total, unit="bytes", sink=sink) as progress:
            for question, _ in rows.of(archive, progress):
                asked.write(replace(question, id=question.id or str(rows.read)).as_json() + "\n")
    made.read, made.blank, made.rejected = rows.read, rows.blank, rows.rejected
    made.asked = rows.read - rows.rejected
    made.reasons, made.examples = dict(rows.reasons.most_common()), rows.examples
    made.ignored = dict(rows.ignored.most_common(MOST_NAMES))
    if not made.asked:
        raise BadSource(
            f"No row of the questions file {origin} can be asked: {rows.told()}.",
            WANTED,
        )
    return made, kind


@contextmanager
def _of_questions() -> Iterator[None]:
    """Faults of a catalogue are told as those of a file of questions."""
    try:
        yield
    except BadSource as fault:
        if "`source`" not in fault.next_step:
            raise
        raise BadSource(fault.what.replace("no catalogue", "no file of questions"), WANTED) from fault


def _kind(archive: Archive) -> Kind:
    """Of the file of answers: that of the (first) file of questions."""
    form = archive.members["trn"][0].look.form
    if isinstance(form, TableForm):
        return "csv" if "Excel" in form.name else "parquet"
    return "csv" if form is not None and "table" in form.name else "jsonl"


def _open(
    settings: AnswerSettings, index: IndexSettings, scratch: Path, root: Path, server: "ServerConnection | None"
) -> tuple[Asker, list[str]]:
    """The version that an earlier try began with, while it is kept; else the wanted one. And what to say of that."""
    pinned, notes = scratch / PINNED_FILE, []
    earlier = None
    with suppress(FileNotFoundError, ValueError):
        earlier = str(json.loads(pinned.read_bytes()))
    try:
        asker = Asker.open(earlier or settings.version, index, root=root, server=server, threads=FOR_MANY)
    except (UnknownVersion, DamagedArtifact) as gone:
        if earlier is None or settings.version != "live":
            raise
        asker = Asker.open("live", index, root=root, server=server, threads=FOR_MANY)
        notes = [
            f"Version {earlier}, with which an earlier try began, cannot be asked any more ({gone.what}) All "
            f"questions are asked anew, of the live version {asker.version.name}."
        ]
        log.warning("%s", notes[0])
    write_json(pinned, asker.version.name)
    return asker, notes


class _Batch:
    """The questions of one file, and what is counted of their answers."""

    def __init__(self, made: Answered, settings: AnswerSettings, space: Workspace, sink: Sink | None) -> None:
        self._made = made
        self._settings = settings
        self._space = space
        self._sink = sink
        self._figures = Figures(settings.top_k)

    def ask(self, asker: Asker, kind: Kind, llm: "LlmConnection | None") -> None:
        """Ask them all, and write the answers as they come."""
        made, entry = self._made, ENTRY_BYTES + PRODUCT_BYTES * self._settings.top_k
        kept = self._space.scratch / _name(asker)
        kept.mkdir(exist_ok=True)
        chunk = CHUNK_LLM if self._settings.generator == "llm" else CHUNK
        before = min(made.asked, chunk * sum(1 for _ in kept.glob("[!.]*.json")))
        if before:
            log.info("an earlier try has answered %s of %s questions", f"{before:,}", f"{made.asked:,}")
        require(self._space.path, float(entry * (2 * made.asked - before)), f"Answering {made.asked:,} questions")
        chunks = in_batches(self._questions(), chunk, lambda texts: asker.answer(texts, self._settings, llm=llm), kept)
        with (
            writer(self._space.path / made.file, kind) as file,
            Progress("answer questions", made.asked, unit="questions", sink=self._sink, start=before) as progress,
        ):
            done = 0
            for part, result in chunks:
                file.write(self._rows(part, result["answers"], asker))
                done += len(part)
                progress.update(max(done, before), version=asker.version.name)
                self._about(result)
            made.per_second = round(progress.rate, 2)
        made.model, made.products = str(asker.version.model), asker.version.points
        made.labelled, made.unknown_products = self._figures.labelled, self._figures.unknown
        made.figures = self._figures.means()

    def _questions(self) -> Iterator[Question]:
        with (self._space.scratch / QUESTIONS_FILE).open(encoding="utf-8", newline="\n") as stream:
            yield from map(Question.from_json, stream)

    def _rows(self, part: list[Question], entries: list[dict[str, Any]], asker: Asker) -> list[dict[str, Any]]:
        named = {uid for question in part if is_labelled(question) for uid in question.uids}
        known = asker.searcher.fetch(sorted(named)) if named else {}
        self._made.found += sum(bool(each["found"]) for each in entries)
        return [
            {"id": question.id, **each, "figures": self._figures.add(question, each, known)}
            for question, each in zip(part, entries, strict=True)
        ]

    def _about(self, result: Mapping[str, Any]) -> None:
        """What holds for all of them, as the result of one question tells it."""
        for name in ("version", "bm25_weight", "threshold", "threshold_from", "filter", "facets"):
            setattr(self._made, name, result[name])


def _name(asker: Asker) -> str:
    """Of the directory of what a version has answered: another threshold, weight or reader answers otherwise."""
    entry = asker.published
    known = None if entry is None else (entry.bm25_weight, entry.answering, entry.reader)
    return f"{asker.version.name}-{hashlib.sha256(repr(known).encode()).hexdigest()[:8]}"


def _tell(made: Answered, path: Path) -> None:
    log.info(
        "%s of %s rows asked, %s set aside; %s questions answered by version %s, %s a second: %s",
        *(f"{made.asked:,}", f"{made.read:,}", f"{made.rejected:,}", f"{made.found:,}", made.version),
        *(made.per_second, path / made.file),
    )
    for reason, count in made.reasons.items():
        where = ", ".join(f"line {each['line']}: {each['excerpt']!r:.80}" for each in made.examples[reason])
        log.warning("%d rows set aside, %s (%s)", count, reason, where)
    if made.ignored:
        log.warning("fields that mean nothing here: %s", ", ".join(made.ignored))
    for name, each in made.figures.items():
        log.info("%s: %.3f of %s questions", name, each["value"], f"{each['questions']:,}")
