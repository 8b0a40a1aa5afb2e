"""Asks questions of one open version of an index: from questions to answers with their sources.

The steps: read the questions (`questions.py`, `foreign.py`), mend and encode them, find products and score their
passages (`retrieve.py`, `passages.py`), decide which answer (`asks.py`, `judge.py`), quote those or say that nothing
does (`extract.py`); with `llm` a language model writes (`llm.py`). What is slow to open is opened by the first
question that needs it, and kept.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from include.answering.asked import SCHEMA, Asked
from include.answering.extract import entry, extract
from include.answering.foreign import Reading
from include.answering.judge import judge
from include.answering.judged import THRESHOLD, Judged, Thresholds
from include.answering.language import CODES
from include.answering.laps import Laps
from include.answering.llm import Writer
from include.answering.llm_connection import LlmConnection
from include.answering.narrowed import Narrowed, narrow, nothing_left
from include.answering.opening import open_version, published_with, reader_path, weight
from include.answering.passages import Retrieved, encode
from include.answering.questions import checked, refused
from include.answering.read import open_reader, read_passages
from include.answering.remembered import Remembering
from include.answering.reply import Reply
from include.answering.retrieve import Search, find, scored
from include.answering.spelling import Spelling
from include.answering.support import similarity
from include.answering.translation import nothing_known, translator_for
from include.core import artifacts
from include.core.answer_settings import AnswerSettings
from include.core.arrays import Vectors
from include.core.errors import BadQuestion, BadSettings
from include.core.index_settings import IndexSettings
from include.model.directory import reads_many_languages
from include.model.reader import Reader
from include.store.connection import ServerConnection
from include.store.journal import Entry
from include.store.protocol import Hit
from include.store.searcher import Searcher
from include.store.stores import open_store
from include.store.version import IndexVersion
from include.store.vocabulary import VOCABULARY_FILE, Vocabulary

if TYPE_CHECKING:
    from include.model.query_encoder import QueryEncoder
    from include.store.apart import Processes

log = logging.getLogger(__name__)

_Write: TypeAlias = Callable[[Asked, Retrieved, Judged], Reply]


@dataclass
class Asker:
    """One version, open for questions; closed by `close`, or at the end of a `with`. Safe to use from several threads.

    Attributes:
        version: Its description.
        searcher: The version itself.
        published: What was published with it; None where it never was.
        root: The data directory.
        threads: Of each model, within one operator; `onnx_session.FOR_MANY` where many questions are asked in a row.
        once: It is closed after one call, so that its model is opened quickly rather than run quickly.
    """

    version: IndexVersion
    searcher: Searcher
    published: Entry | None
    root: Path
    threads: int = 1
    once: bool = False
    _readers: dict[Path, Reader | None] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        wanted: str,
        index: IndexSettings,
        *,
        root: Path,
        server: ServerConnection | None = None,
        threads: int = 1,
        once: bool = False,
        processes: "Processes | None" = None,
    ) -> Self:
        """Open a version.

        Args:
            wanted: Its fingerprint, or "live".
            index: Where it is: store and collection.
            root: The data directory.
            server: Needed for `store="server"`.
            threads, once: See the class.
            processes: That search an embedded version, where several questions are asked at once; None: this one does.

        Raises:
            NoLiveIndex: Nothing has been published.
            UnknownVersion: The version does not exist, or no longer.
            BadSettings: `store="server"` without a connection.
        """
        store = open_store(index, root=root, server=server, processes=processes)
        version, searcher = open_version(store, wanted, index, root)
        return cls(version, searcher, published_with(root, index.collection, version.name), root, threads, once)

    def close(self) -> None:
        """Give back what the version holds open."""
        self.searcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take_over(self, other: Self) -> None:
        """Use the models that another open version has loaded, where they are this one's too: loading takes longest."""
        if (self.version.model, self.version.dim) == (other.version.model, other.version.dim):
            self.encoder = other.encoder
        path = reader_path(AnswerSettings(), self.published, self.root)
        self._readers |= {each: reader for each, reader in other._readers.items() if each == path}

    def answer(
        self,
        questions: Sequence[str],
        settings: AnswerSettings,
        *,
        llm: LlmConnection | None = None,
        laps: Laps | None = None,
    ) -> dict[str, Any]:
        """Answer questions; see `include.answering.answer.answer`.

        Args:
            questions: Each 1 to 2,000 characters. One that is not does not fail the others.
            settings: Its `version` is not looked at.
            llm: Needed for `generator="llm"`.
            laps: What was done before it, which counts among the seconds.
        """
        laps = laps or Laps()
        read = checked(questions)
        require_generator(settings, llm)
        reading = self.reading(settings.translator)
        asked: Sequence[Asked] = [reading.read(question) for question in read if isinstance(question, str)]
        laps.end("read questions")
        bm25 = weight(settings, self.published)
        reader = self._reader(settings)
        settings, told = self._with_threshold(settings, reader)
        narrowed = narrow(settings, self.version.attributes, self.searcher)
        laps.end("filter")
        search = Search(settings, bm25, narrowed.where, reader)
        found = None if narrowed.left == 0 else self._retrieve(asked, search, laps)
        shared = laps.total() / len(asked)
        if found is None:
            written = [nothing_left(each, narrowed) for each in asked]
        else:
            written = _all_written(found, narrowed, self._writing(settings, llm, reading), shared)
        laps.end("generate")
        milliseconds = laps.milliseconds()
        log.info("version %s, milliseconds: %s", self.version.name, milliseconds)
        _tell(narrowed)
        answers = iter(written)
        return {
            "schema": SCHEMA,
            "version": self.version.name,
            "bm25_weight": bm25,
            "threshold": settings.threshold,
            "threshold_from": told,
            "filter": narrowed.filter,
            "facets": narrowed.facets,
            "answers": [
                refused(question, each) if isinstance(each, BadQuestion) else next(answers)
                for question, each in zip(questions, read, strict=True)
            ],
            "seconds": round(laps.total(), 4),
            "milliseconds": milliseconds,
        }

    @cached_property
    def encoder(self) -> "QueryEncoder":
        """The version's model."""
        from include.model.query_encoder import QueryEncoder

        return QueryEncoder(self._model, threads=self.threads, dimensions=self.version.dim, once=self.once)

    @cached_property
    def _remembering(self) -> Remembering:
        return Remembering(self.encoder)

    @cached_property
    def _model(self) -> Path:
        return artifacts.read(self.root / self.version.model, verify=False).path

    @cached_property
    def _multilingual(self) -> bool:
        return reads_many_languages(self._model)

    @cached_property
    def _vocabulary(self) -> Vocabulary | None:
        file = IndexVersion.path(self.root, self.version.name) / VOCABULARY_FILE
        return Vocabulary(file) if file.exists() else None

    @cached_property
    def _spelling(self) -> Spelling | None:
        if self.version.language is None or self._vocabulary is None:
            return None
        return Spelling(self._vocabulary, self.searcher, self.version.language, self.encoder.knows)

    def reading(self, translator: str) -> Reading:
        """How questions are read; the language of a version made before is not known, and none is translated."""
        known = nothing_known if self._vocabulary is None else self._vocabulary.count
        return Reading(
            CODES.get(self.version.language or "", ""),
            translator_for(translator, known),
            multilingual=self._multilingual,
            known=known,
        )

    def _reader(self, settings: AnswerSettings) -> Reader | None:
        path = reader_path(settings, self.published, self.root)
        if path is None:
            return None
        if path not in self._readers:
            self._readers[path] = open_reader(path, threads=self.threads)
        return self._readers[path]

    def _with_threshold(self, settings: AnswerSettings, reader: Reader | None) -> tuple[AnswerSettings, str]:
        """The settings with the threshold of answers that holds, and where that is from."""
        if settings.threshold is not None:
            return settings, "the form"
        entry = self.published
        if entry is not None and entry.answering is not None:
            asked = entry.reader if settings.read_with == "published" else settings.read_with
            # What was calibrated with a reader says nothing of scores without it, or of another's.
            if entry.reader == (None if reader is None else asked):
                return settings.model_copy(update={"threshold": entry.answering["threshold"]}), "calibration"
        return settings.model_copy(update={"threshold": THRESHOLD}), "default"

    def _retrieve(self, asked: Sequence[Asked], search: Search, laps: Laps) -> list[tuple[Asked, Retrieved, Judged]]:
        """Each question as it is searched for, its products and passages, and what of them answers."""
        asked, vectors, found = self.find(asked, search, laps)
        retrieved = scored(asked, vectors, found, self._remembering)
        laps.end("score sentences")
        answering = read_passages(asked, retrieved, search.reader)
        laps.end("read sentences")
        encode_all = partial(encode, encoder=self._remembering)
        judged = [
            judge(each, own, encode_all, Thresholds(), told)
            for each, own, told in zip(asked, retrieved, answering, strict=True)
        ]
        laps.end("judge")
        return list(zip(asked, retrieved, judged, strict=True))

    def find(
        self, asked: Sequence[Asked], search: Search, laps: Laps
    ) -> tuple[Sequence[Asked], Vectors, list[tuple[list[Hit], Vectors]]]:
        """The questions mended, their vectors, (questions, dim) float32, and of each its products and cosines."""
        encoder = self.encoder
        laps.end("load model")
        if self._spelling is not None:
            asked = [self._spelling.mend(each) for each in asked]
        laps.end("spelling")
        vectors = encoder.encode([each.text for each in asked])
        laps.end("encode")
        found = find(asked, vectors, self.searcher, search)
        laps.end("search")
        return asked, vectors, found

    def _writing(self, settings: AnswerSettings, llm: LlmConnection | None, reading: Reading) -> _Write:
        """What writes this run's answers; a language model is not asked where no sentence answers."""
        model = None
        if llm is not None and settings.generator == "llm":
            model = Writer(llm, similarity(self.encoder), fallback=settings.llm_fallback)

        def write(asked: Asked, retrieved: Retrieved, judged: Judged) -> Reply:
            extracted = extract(asked, retrieved, reading.lacking(asked, judged), settings.threshold or 0.0)
            titles = {hit.title for hit in retrieved.hits}
            if model is not None and extracted.cited:
                text = asked.text if asked.translated else asked.question
                return reading.reply(asked, model.write(text, retrieved, extracted), titles)
            return reading.reply(asked, extracted, titles)

        return write


def require_generator(settings: AnswerSettings, llm: LlmConnection | None) -> None:
    """Look whether there is what writes the answers.

    Raises:
        BadSettings: `generator="llm"` without a connection.
    """
    if settings.generator == "llm" and llm is None:
        raise BadSettings(
            "generator = 'llm' needs a language model, and there is no connection.",
            "Make the Airflow connection `llm_default`, or set generator = 'extractive'.",
        )


def _all_written(
    found: Sequence[tuple[Asked, Retrieved, Judged]], narrowed: Narrowed, write: _Write, shared: float
) -> list[dict[str, Any]]:
    """Each question's entry in the result; `shared` are its seconds of the work done for all of them."""
    written = []
    for asked, retrieved, judged in found:
        began = time.monotonic()
        reply = write(asked, retrieved, judged)
        warnings = narrowed.warnings(asked.language)
        written.append(entry(asked, retrieved, judged, reply, warnings, shared + time.monotonic() - began))
    return written


def _tell(narrowed: Narrowed) -> None:
    """The filter and the counts, for the log."""
    if narrowed.where is not None:
        log.info("filter %s: %d products", narrowed.filter, narrowed.left)
    for name, values in narrowed.facets.items():
        log.info("%s: %s", name, ", ".join(f"{each['value']} {each['count']}" for each in values) or "no values")
