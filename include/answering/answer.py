"""From a question to an answer with its sources, over the live index.

The index finds products; the extractive generator quotes their sentences that answer, chosen by
`include.answering.passages`, or says that nothing does; `llm` has a language model write, see `include.answering.llm`.
Imports only what that needs: ONNX Runtime, tokenizers, the embedded engine.
"""

import logging
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from include.answering.llm import LlmConnection, write_answer
from include.answering.narrowed import Narrowed, narrow, nothing_left
from include.answering.passages import Passage, Retrieved, score
from include.answering.questions import checked, refused
from include.answering.reply import NOTHING
from include.catalogue.attributes import bounded
from include.core import artifacts
from include.core.arrays import Vectors
from include.core.errors import BadQuestion, BadSettings, DamagedArtifact, NoLiveIndex, UnknownVersion
from include.core.settings import AnswerSettings, IndexSettings
from include.store.connection import ServerConnection
from include.store.filters import Filter
from include.store.journal import published
from include.store.protocol import BM25_WEIGHT, Hit, Store
from include.store.searcher import Searcher
from include.store.stores import open_store
from include.store.version import IndexVersion

log = logging.getLogger(__name__)

QUOTES = 3  # sentences in an answer
CLOSE = 0.85  # a further quote has at least this share of the best one's score


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
        JSON-able: `version`, `bm25_weight` (None but in hybrid mode), `seconds`, `milliseconds` by step, `filter` (as
        it was read; None without), `facets` (by attribute, `{"value", "count", "filter"}` over all that match), and
        `answers`, for each question `question`, `answer`, `found`, `sources` (marker [n] is the n-th of them),
        `nearest` (products that were retrieved and not quoted), `warnings`, `seconds`, `error` (None; of a
        question that could not be asked, `what` came and the `next_step`). A source has `uid`, `title`, `score`
        (cosine with the question), `rank` (in the search, from 1), `snippet` (its best sentence), and `attributes`
        if it has any.

    Raises:
        BadQuestion: Every question is empty or too long.
        BadFilter: The filter cannot be read, or names what the index does not have.
        BadSettings: `generator="llm"` or `store="server"` without a connection.
        NoLiveIndex: Nothing has been published.
        UnknownVersion: The version does not exist, or no longer.
        GeneratorUnavailable: The language model did not answer.
    """
    laps = _Laps()
    read = checked(questions)
    asked = [question for question in read if isinstance(question, str)]
    _require_generator(settings, llm)
    version, searcher = _open(open_store(index, root=root, server=server), settings.version, index, root)
    laps.end("open")
    with closing(searcher):
        weight = _weight(settings, root, index.collection, version.name)
        narrowed = narrow(settings, version.attributes, searcher)
        laps.end("filter")
        search = _Search(settings, weight, narrowed.where)
        retrieved = None if narrowed.left == 0 else _retrieve(asked, version, searcher, search, root, laps)
    shared = laps.total() / len(asked)
    written = _all_written(asked, retrieved, narrowed, settings, llm, shared)
    laps.end("generate")
    milliseconds = {step: round(1000 * seconds, 1) for step, seconds in laps.seconds.items()}
    log.info("version %s, milliseconds: %s", version.name, milliseconds)
    _tell(narrowed)
    answers = iter(written)
    return {
        "version": version.name,
        "bm25_weight": weight,
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
        return version, store.open(wanted, version.shards)
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
            return version, store.open(live, version.shards)
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


def _weight(settings: AnswerSettings, root: Path, collection: str, version: str) -> float | None:
    """BM25's weight in hybrid search: the asked-for one, else the version's own; None in other modes."""
    if settings.mode != "hybrid":
        return None
    if settings.bm25_weight is not None:
        return settings.bm25_weight
    try:
        entry = published(root, collection, version)
        fitted = None if entry is None else entry.bm25_weight
    except DamagedArtifact as damage:  # it holds the way back, not the index: questions are answered meanwhile
        log.warning("BM25 weighs %s, whatever was fitted: %s", BM25_WEIGHT, damage)
        fitted = None
    return BM25_WEIGHT if fitted is None else fitted


def _tell(narrowed: Narrowed) -> None:
    """The filter and the counts, for the log."""
    if narrowed.where is not None:
        log.info("filter %s: %d products", narrowed.filter, narrowed.left)
    for name, values in narrowed.facets.items():
        log.info("%s: %s", name, ", ".join(f"{each['value']} {each['count']}" for each in values) or "no values")


@dataclass(frozen=True)
class _Search:
    """How products are looked for: `weight` is BM25's in hybrid search."""

    settings: AnswerSettings
    weight: float | None
    where: Filter | None


def _retrieve(
    questions: Sequence[str],
    version: IndexVersion,
    searcher: Searcher,
    search: _Search,
    root: Path,
    laps: _Laps,
) -> list[Retrieved]:
    """The products for each question, their sentences scored."""
    from include.model.query_encoder import QueryEncoder

    model = artifacts.read(root / version.model, verify=False).path
    encoder = QueryEncoder(model, dimensions=version.dim)
    laps.end("load model")
    vectors = encoder.encode(questions)
    laps.end("encode")
    hits = [_search(searcher, question, vector, search) for question, vector in zip(questions, vectors, strict=True)]
    laps.end("search")
    scored = score(questions, vectors, hits, encoder)
    laps.end("score sentences")
    return scored


def _search(searcher: Searcher, question: str, vector: Vectors, search: _Search) -> tuple[list[Hit], Vectors]:
    """Products by rank, and their cosines with the question, (n,) float32."""
    top_k, where = search.settings.top_k, search.where
    if search.settings.mode == "dense":
        hits = searcher.dense(vector, top_k, where=where)
        return hits, np.array([hit.score for hit in hits], np.float32)
    if search.weight is None:
        hits = searcher.bm25(question, top_k, where=where)
    else:
        hits = searcher.hybrid(vector, question, top_k, bm25_weight=search.weight, where=where)
    stored = searcher.fetch([hit.uid for hit in hits])
    cosines = [
        float(stored[hit.uid][0] @ vector) / max(float(np.linalg.norm(stored[hit.uid][0])), 1e-12) for hit in hits
    ]
    return hits, np.array(cosines, np.float32)


def _all_written(
    questions: Sequence[str],
    retrieved: Sequence[Retrieved] | None,
    narrowed: Narrowed,
    settings: AnswerSettings,
    llm: LlmConnection | None,
    shared: float,
) -> list[dict[str, Any]]:
    """Each question's entry in the result; `retrieved` is None where the filter leaves no product."""
    if retrieved is None:
        return [nothing_left(question, narrowed) for question in questions]
    made = [_written(*each, settings, llm, shared) for each in zip(questions, retrieved, strict=True)]
    return [{**each, "warnings": [*narrowed.warnings, *each["warnings"]]} for each in made]


def _written(
    question: str, retrieved: Retrieved, settings: AnswerSettings, llm: LlmConnection | None, shared: float
) -> dict[str, Any]:
    """A question's entry in the result; `shared` are its seconds of the work done for all of them."""
    began = time.monotonic()
    reply = _generate(question, retrieved, settings, llm)
    return {"question": question, **reply, "seconds": round(shared + time.monotonic() - began, 4), "error": None}


def _generate(
    question: str, retrieved: Retrieved, settings: AnswerSettings, llm: LlmConnection | None
) -> dict[str, Any]:
    order = np.argsort(-retrieved.scores, kind="stable").tolist()
    enough = [number for number in order if retrieved.scores[number] >= settings.threshold]
    if not enough:
        return _result(NOTHING, [], retrieved, [])
    if llm is not None and settings.generator == "llm":
        reply = write_answer(question, retrieved.hits, llm)
        return _result(reply.text, reply.cited, retrieved, reply.warnings)
    least = CLOSE * retrieved.scores[enough[0]]
    distinct: dict[str, Passage] = {}  # products of one family share sentences
    for number in enough:
        if retrieved.scores[number] >= least:
            distinct.setdefault(retrieved.passages[number].text, retrieved.passages[number])
    quoted = list(distinct.values())[:QUOTES]
    cited = list(dict.fromkeys(passage.product for passage in quoted))
    text = " ".join(f"“{passage.text}” [{cited.index(passage.product) + 1}]" for passage in quoted)
    return _result(text, cited, retrieved, [])


def _result(text: str, cited: Sequence[int], retrieved: Retrieved, warnings: Sequence[str]) -> dict[str, Any]:
    best: dict[int, str] = {}
    for number in np.argsort(-retrieved.scores, kind="stable").tolist():
        best.setdefault(retrieved.passages[number].product, retrieved.passages[number].text)

    def source(product: int) -> dict[str, Any]:
        hit = retrieved.hits[product]
        return {
            "uid": hit.uid,
            "title": hit.title,
            "score": round(float(retrieved.cosines[product]), 4),
            "rank": product + 1,
            "snippet": best.get(product, hit.title),
            **({"attributes": bounded(hit.attributes)} if hit.attributes else {}),
        }

    return {
        "answer": text,
        "found": bool(cited),
        "sources": [source(product) for product in cited],
        "nearest": [source(product) for product in range(len(retrieved.hits)) if product not in cited],
        "warnings": list(warnings),
    }
