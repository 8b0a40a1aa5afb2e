"""From a question to an answer with its sources, over the live index.

The steps: open the version, read the questions (`questions.py`, `asked.py`), find products and score their passages
(`retrieve.py`, `passages.py`), decide which answer (`asks.py`, `judge.py`), quote those or say that nothing does
(`extract.py`); with `llm` a language model writes (`llm.py`). Imports only what that needs: ONNX Runtime, tokenizers,
the embedded engine.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from include.answering.asked import Asked
from include.answering.extract import entry, extract
from include.answering.foreign import Reading
from include.answering.judge import judge
from include.answering.judged import Judged, Thresholds
from include.answering.language import CODES
from include.answering.llm import Writer
from include.answering.llm_connection import LlmConnection
from include.answering.narrowed import Narrowed, narrow, nothing_left
from include.answering.passages import Retrieved, encode
from include.answering.questions import checked, refused
from include.answering.read import open_reader, read_passages
from include.answering.reply import Reply
from include.answering.retrieve import Search, find, scored
from include.answering.spelling import mended
from include.answering.support import similarity
from include.answering.translation import nothing_known, translator_for
from include.core import artifacts, kinds
from include.core.errors import BadQuestion, BadSettings, DamagedArtifact, NoLiveIndex, UnknownVersion
from include.core.settings import AnswerSettings, IndexSettings
from include.model.directory import reads_many_languages
from include.model.reader import Reader
from include.store.connection import ServerConnection
from include.store.journal import Entry, published
from include.store.protocol import BM25_WEIGHT, Store
from include.store.searcher import Searcher
from include.store.stores import open_store
from include.store.version import IndexVersion
from include.store.vocabulary import VOCABULARY_FILE, Vocabulary

if TYPE_CHECKING:
    from include.model.query_encoder import QueryEncoder

log = logging.getLogger(__name__)

THRESHOLD = 0.5  # of answers, where none was calibrated
_Write: TypeAlias = Callable[[Asked, Retrieved, Judged], Reply]


class _Laps:
    """Seconds of each step since the one before it."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.seconds: dict[str, float] = {}

    def end(self, step: str) -> None:
        self.seconds[step] = self.total() - sum(self.seconds.values())

    def total(self) -> float:
        return time.monotonic() - self._began


def answer(
    questions: Sequence[str],
    settings: AnswerSettings,
    index: IndexSettings,
    *,
    root: Path,
    server: ServerConnection | None = None,
    llm: LlmConnection | None = None,
) -> dict[str, Any]:
    """Answer questions from the index.

    Args:
        questions: Each 1 to 2,000 characters. One that is not does not fail the others.
        settings: How many products, search mode, generator, threshold, version.
        index: Where the index is: its store and collection.
        root: The data directory.
        server: Needed for `store="server"`.
        llm: Needed for `generator="llm"`.

    Returns:
        JSON-able: `version`, `bm25_weight` (None but in hybrid mode), `threshold` of answers, 0-1, and
        `threshold_from`: "the form", "calibration" by questions, or "default" where there were none; `seconds`,
        `milliseconds` by step, `filter` (as it was read; None without),
        `facets` (by attribute, `{"value", "count", "filter"}` over all that match), and
        `answers`, for each question `question`, `answer`, `found`, `sources` (marker [n] is the n-th of them),
        `products` (all that were retrieved, by rank), `confidence` (`retrieval`: cosine of the nearest product,
        `answer`: how surely it is answered, both 0-1), `searched` (the text searched for), `mended` (its
        words that were spelt wrong), `language` (ISO 639-1 or empty), `translated` (None, or from, to, by),
        `generator` (of `reply.Generation`; None where nothing was written), `warnings`, `seconds`, `error` (None;
        of a question that could not be asked, `what` came and the `next_step`). A product has `uid`, `title`,
        `score` (cosine with the question), `rank` (in the search, from 1), `snippet` (its best sentence), and
        `attributes` if it has any; sources are products.

    Raises:
        BadQuestion: Every question is empty or too long.
        BadFilter: The filter cannot be read, or names what the index does not have.
        BadSettings: `generator="llm"` or `store="server"` without a connection.
        NoLiveIndex: Nothing has been published.
        UnknownVersion: The version does not exist, or no longer.
        GeneratorUnavailable: The language model did not answer, and `llm_fallback` is off.
    """
    laps = _Laps()
    read = checked(questions)
    _require_generator(settings, llm)
    version, searcher = _open(open_store(index, root=root, server=server), settings.version, index, root)
    laps.end("open")
    reading = _reading(settings, version, root)
    asked: Sequence[Asked] = [reading.read(question) for question in read if isinstance(question, str)]
    laps.end("read questions")
    with closing(searcher):
        entry = _entry(root, index.collection, version.name)
        weight = _weight(settings, entry)
        reader = open_reader(_reader(settings, entry, root))
        settings, told = _with_threshold(settings, entry, reader)
        narrowed = narrow(settings, version.attributes, searcher)
        laps.end("filter")
        search = Search(settings, weight, narrowed.where, reader)
        found = None if narrowed.left == 0 else _retrieve(asked, version, searcher, search, root, laps)
    shared = laps.total() / len(asked)
    if found is None:
        written = [nothing_left(each, narrowed) for each in asked]
    else:
        asked, judged, encoder = found
        written = _all_written(asked, judged, narrowed, _writing(settings, llm, encoder, reading), shared)
    laps.end("generate")
    milliseconds = {step: round(1000 * seconds, 1) for step, seconds in laps.seconds.items()}
    log.info("version %s, milliseconds: %s", version.name, milliseconds)
    _tell(narrowed)
    answers = iter(written)
    return {
        "version": version.name,
        "bm25_weight": weight,
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


def _require_generator(settings: AnswerSettings, llm: LlmConnection | None) -> None:
    if settings.generator == "llm" and llm is None:
        raise BadSettings(
            "generator = 'llm' needs a language model, and there is no connection.",
            "Make the Airflow connection `llm_default`, or set generator = 'extractive'.",
        )


def _open(store: Store, wanted: str, index: IndexSettings, root: Path) -> tuple[IndexVersion, Searcher]:
    """The version's description and the version itself, open for reading."""
    if wanted != "live":
        version = _describe(store, wanted, index, root)
        return version, store.open(wanted, version.shards, language=version.language)
    tried: str | None = None
    while True:
        live = store.live()
        if live is None:
            raise NoLiveIndex(
                f"Nothing has been published in collection {index.collection!r} ({index.store}) under {root}.",
                "Trigger train_and_index and let it finish, then ask again.",
            )
        try:
            version = _describe(store, live, index, root)
            return version, store.open(live, version.shards, language=version.language)
        except (UnknownVersion, DamagedArtifact):
            if live == tried:
                raise
            tried = live  # the alias may have moved, and the old version gone, since it was read


def _describe(store: Store, wanted: str, index: IndexSettings, root: Path) -> IndexVersion:
    path = IndexVersion.path(root, wanted)
    if not path.exists():
        raise UnknownVersion(
            f"Index version {wanted} does not exist in {path.parent}.",
            f"Kept versions: {_kept(store)}. Or ask for `live`.",
        )
    version = IndexVersion.read(path, verify=False)
    if (version.collection, version.store) != (index.collection, index.store):
        raise UnknownVersion(
            f"Index version {wanted} belongs to collection {version.collection!r} ({version.store}), not to "
            f"{index.collection!r} ({index.store}).",
            f"Kept versions there: {_kept(store)}. Or ask for `live`.",
        )
    return version


def _kept(store: Store) -> str:
    return ", ".join(store.versions()) or "none"


def _reading(settings: AnswerSettings, version: IndexVersion, root: Path) -> Reading:
    """How the version's questions are read; the language of one made before is not known, and none is translated."""
    model = artifacts.read(root / version.model, verify=False).path
    file = IndexVersion.path(root, version.name) / VOCABULARY_FILE
    known = Vocabulary(file).count if file.exists() else nothing_known
    return Reading(
        CODES.get(version.language or "", ""),
        translator_for(settings.translator, known),
        multilingual=reads_many_languages(model),
        known=known,
    )


def _entry(root: Path, collection: str, version: str) -> Entry | None:
    """What was published with the version; None where it never was, or where that cannot be read."""
    try:
        return published(root, collection, version)
    except DamagedArtifact as damage:  # it holds the way back, not the index: questions are answered meanwhile
        log.warning("BM25's weight and the threshold are the defaults, and no reader reads: %s", damage)
        return None


def _weight(settings: AnswerSettings, entry: Entry | None) -> float | None:
    """BM25's weight in hybrid search: the asked-for one, else the version's own; None in other modes."""
    if settings.mode != "hybrid":
        return None
    if settings.bm25_weight is not None:
        return settings.bm25_weight
    return BM25_WEIGHT if entry is None or entry.bm25_weight is None else entry.bm25_weight


def _with_threshold(settings: AnswerSettings, entry: Entry | None, reader: Reader | None) -> tuple[AnswerSettings, str]:
    """The settings with the threshold of answers that holds, and where that is from."""
    if settings.threshold is not None:
        return settings, "the form"
    if entry is not None and entry.answering is not None:
        asked = entry.reader if settings.read_with == "published" else settings.read_with
        # What was calibrated with a reader says nothing of scores without it, or of another's.
        if entry.reader == (None if reader is None else asked):
            return settings.model_copy(update={"threshold": entry.answering["threshold"]}), "calibration"
    return settings.model_copy(update={"threshold": THRESHOLD}), "default"


def _reader(settings: AnswerSettings, entry: Entry | None, root: Path) -> Path | None:
    """Where the reader is: the asked-for one, else the version's own; None where there is none."""
    mark = settings.read_with
    if mark == "published":
        mark = "none" if entry is None or entry.reader is None else entry.reader
    path = None if mark == "none" else artifacts.locate(root, kinds.READER, mark)
    if path is not None and settings.read_with != "published" and not path.exists():
        raise BadSettings(
            f"read_with = {mark!r}: there is no such reader in {path.parent}.",
            "Give the fingerprint of one that is there, or `published`, or `none`.",
        )
    return path


def _tell(narrowed: Narrowed) -> None:
    """The filter and the counts, for the log."""
    if narrowed.where is not None:
        log.info("filter %s: %d products", narrowed.filter, narrowed.left)
    for name, values in narrowed.facets.items():
        log.info("%s: %s", name, ", ".join(f"{each['value']} {each['count']}" for each in values) or "no values")


def _retrieve(
    asked: Sequence[Asked], version: IndexVersion, searcher: Searcher, search: Search, root: Path, laps: _Laps
) -> tuple[Sequence[Asked], list[tuple[Retrieved, Judged]], "QueryEncoder"]:
    """The questions as they are searched for, for each the products, passages and what answers; what encoded them."""
    from include.model.query_encoder import QueryEncoder

    model = artifacts.read(root / version.model, verify=False).path
    encoder = QueryEncoder(model, dimensions=version.dim)
    laps.end("load model")
    asked = mended(asked, version, searcher, encoder.knows, root)
    laps.end("spelling")
    vectors = encoder.encode([each.text for each in asked])
    laps.end("encode")
    found = find(asked, vectors, searcher, search)
    laps.end("search")
    retrieved = scored(asked, vectors, found, encoder)
    laps.end("score sentences")
    encode_all = partial(encode, encoder=encoder)
    answering = read_passages(asked, retrieved, search.reader)
    laps.end("read sentences")
    judged = [
        judge(each, own, encode_all, Thresholds(), told)
        for each, own, told in zip(asked, retrieved, answering, strict=True)
    ]
    laps.end("judge")
    return asked, list(zip(retrieved, judged, strict=True)), encoder


def _all_written(
    asked: Sequence[Asked], found: Sequence[tuple[Retrieved, Judged]], narrowed: Narrowed, write: _Write, shared: float
) -> list[dict[str, Any]]:
    """Each question's entry in the result; `shared` are its seconds of the work done for all of them."""
    written = []
    for each, (retrieved, judged) in zip(asked, found, strict=True):
        began = time.monotonic()
        reply = write(each, retrieved, judged)
        warnings = narrowed.warnings(each.language)
        written.append(entry(each, retrieved, judged, reply, warnings, shared + time.monotonic() - began))
    return written


def _writing(settings: AnswerSettings, llm: LlmConnection | None, encoder: "QueryEncoder", reading: Reading) -> _Write:
    """What writes this run's answers; a language model is not asked where no sentence answers."""
    model = None
    if llm is not None and settings.generator == "llm":
        model = Writer(llm, similarity(encoder), fallback=settings.llm_fallback)

    def write(asked: Asked, retrieved: Retrieved, judged: Judged) -> Reply:
        extracted = extract(asked, retrieved, reading.lacking(asked, judged), settings.threshold or 0.0)
        titles = {hit.title for hit in retrieved.hits}
        if model is not None and extracted.cited:
            text = asked.text if asked.translated else asked.question
            return reading.reply(asked, model.write(text, retrieved, extracted), titles)
        return reading.reply(asked, extracted, titles)

    return write
