"""From a question to an answer with its sources, over the live index.

The index finds products; the extractive generator quotes their sentences that answer, chosen by
`include.answering.passages`, or says that nothing does; `llm` has a language model write, see `include.answering.llm`.
Imports only what that needs: ONNX Runtime, tokenizers, the embedded engine.
"""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from include.answering.llm import LlmConnection, write_answer
from include.answering.passages import relevance, sentences, word_overlap
from include.answering.questions import checked, refused
from include.answering.reply import NOTHING
from include.core import artifacts
from include.core.arrays import Vectors
from include.core.errors import BadQuestion, BadSettings, DamagedArtifact, NoLiveIndex, UnknownVersion
from include.core.settings import AnswerSettings, IndexSettings
from include.store.connection import ServerConnection
from include.store.journal import fitted_weight
from include.store.protocol import BM25_WEIGHT, Hit, Searcher, Store
from include.store.stores import open_store

if TYPE_CHECKING:
    from include.model.query_encoder import QueryEncoder

log = logging.getLogger(__name__)

ENCODED_AT_ONCE = 8  # sentences of like length: less padding, a fifth faster than 32 on real products
MOST_SENTENCES = 48  # encoded for a question; the rest is left out by word overlap
QUOTES = 3  # sentences in an answer
CLOSE = 0.85  # a further quote has at least this share of the best one's score


@dataclass(frozen=True)
class Passage:
    """A sentence of a retrieved product.

    Attributes:
        product: The product's position among the hits.
        text: The sentence.
        scored: What is compared with the question: the title, then the sentence. "It holds 1.7 litres" alone
            does not say what does.
    """

    product: int
    text: str
    scored: str


@dataclass(frozen=True)
class Retrieved:
    """What was retrieved for a question: products by rank, their cosines, their sentences and scores."""

    hits: list[Hit]
    cosines: Vectors
    passages: list[Passage]
    scores: Vectors


def answer(
    questions: Sequence[str],
    settings: AnswerSettings,
    *,
    root: Path,
    collection: str = "products",
    store: Literal["embedded", "server"] = "embedded",
    server: ServerConnection | None = None,
    llm: LlmConnection | None = None,
) -> dict[str, Any]:
    """Answer questions from the index.

    Args:
        questions: Each 1 to 2,000 characters. One that is not does not fail the others.
        settings: How many products, search mode, generator, threshold, version.
        root: The data directory.
        collection, store, server: Where the index is.
        llm: Needed for `generator="llm"`.

    Returns:
        JSON-able: `version`, `bm25_weight` (None but in hybrid mode), `seconds`, `milliseconds` by step, and
        `answers`, for each question `question`, `answer`, `found`, `sources` (marker [n] is the n-th of them),
        `nearest` (products that were retrieved and not quoted), `warnings`, `seconds`, `error` (None; of a
        question that could not be asked, `what` came and the `next_step`). A source has `uid`, `title`, `score`
        (cosine with the question), `rank` (in the search, from 1), `snippet` (its best sentence).

    Raises:
        BadQuestion: Every question is empty or too long.
        BadSettings: `generator="llm"` or `store="server"` without a connection.
        NoLiveIndex: Nothing has been published.
        UnknownVersion: The version does not exist, or no longer.
        GeneratorUnavailable: The language model did not answer.
    """
    began = time.monotonic()
    read = checked(questions)
    asked = [question for question in read if isinstance(question, str)]
    if settings.generator == "llm" and llm is None:
        raise BadSettings(
            "generator = 'llm' needs a language model, and there is no connection.",
            "Make the Airflow connection `llm_default`, or set generator = 'extractive'.",
        )
    from include.model.query_encoder import QueryEncoder

    index = open_store(IndexSettings(store=store, collection=collection), root=root, server=server)
    made, searcher = _open(index, settings.version, collection, store, root)
    steps = {"open": time.monotonic() - began}
    try:
        encoder = QueryEncoder(artifacts.read(root / made["model"], verify=False).path, dimensions=made["dim"])
        steps["load model"] = time.monotonic() - began - sum(steps.values())
        vectors = encoder.encode(asked)
        steps["encode"] = time.monotonic() - began - sum(steps.values())
        weight = _weight(settings, root, collection, made["version"])
        retrieved = [
            _retrieve(searcher, question, vector, settings, weight)
            for question, vector in zip(asked, vectors, strict=True)
        ]
        steps["search"] = time.monotonic() - began - sum(steps.values())
    finally:
        searcher.close()
    found = _score(asked, vectors, retrieved, encoder)
    steps["score sentences"] = time.monotonic() - began - sum(steps.values())
    shared = (time.monotonic() - began) / len(asked)
    written = iter(
        [_written(question, each, settings, llm, shared) for question, each in zip(asked, found, strict=True)]
    )
    steps["generate"] = time.monotonic() - began - sum(steps.values())
    milliseconds = {name: round(1000 * seconds, 1) for name, seconds in steps.items()}
    log.info("version %s, milliseconds: %s", made["version"], milliseconds)
    return {
        "version": made["version"],
        "bm25_weight": weight,
        "answers": [
            refused(question, each) if isinstance(each, BadQuestion) else next(written)
            for question, each in zip(questions, read, strict=True)
        ],
        "seconds": round(time.monotonic() - began, 4),
        "milliseconds": milliseconds,
    }


def _open(index: Store, version: str, collection: str, store: str, root: Path) -> tuple[dict[str, Any], Searcher]:
    """The version's description and the version itself, open for reading."""
    if version != "live":
        made = _describe(index, version, collection, store, root)
        return made, index.open(version, made["shards"])
    tried: str | None = None
    while True:
        live = index.live()
        if live is None:
            raise NoLiveIndex(
                f"Nothing has been published in collection {collection!r} ({store}) under {root}.",
                "Trigger train_and_index and let it finish, then ask again.",
            )
        try:
            made = _describe(index, live, collection, store, root)
            return made, index.open(live, made["shards"])
        except (UnknownVersion, DamagedArtifact):
            if live == tried:
                raise
            tried = live  # the alias may have moved, and the old version gone, since it was read


def _describe(index: Store, version: str, collection: str, store: str, root: Path) -> dict[str, Any]:
    path = artifacts.locate(root, "version", version)
    if not path.exists():
        raise UnknownVersion(
            f"Index version {version} does not exist in {path.parent}.",
            f"Kept versions: {_kept(index)}. Or ask for `live`.",
        )
    artifacts.read(path, verify=False)
    made: dict[str, Any] = json.loads((path / "version.json").read_bytes())
    if (made["collection"], made["store"]) != (collection, store):
        raise UnknownVersion(
            f"Index version {version} belongs to collection {made['collection']!r} ({made['store']}), not to "
            f"{collection!r} ({store}).",
            f"Kept versions there: {_kept(index)}. Or ask for `live`.",
        )
    return made


def _kept(index: Store) -> str:
    return ", ".join(index.versions()) or "none"


def _weight(settings: AnswerSettings, root: Path, collection: str, version: str) -> float | None:
    """BM25's weight in hybrid search: the asked-for one, else the version's own; None in other modes."""
    if settings.mode != "hybrid":
        return None
    if settings.bm25_weight is not None:
        return settings.bm25_weight
    try:
        fitted = fitted_weight(root, collection, version)
    except DamagedArtifact as damage:  # it holds the way back, not the index: questions are answered meanwhile
        log.warning("BM25 weighs %s, whatever was fitted: %s", BM25_WEIGHT, damage)
        fitted = None
    return BM25_WEIGHT if fitted is None else fitted


def _retrieve(
    searcher: Searcher, question: str, vector: Vectors, settings: AnswerSettings, weight: float | None
) -> tuple[list[Hit], Vectors]:
    """Products by rank, and their cosines with the question, (n,) float32."""
    if settings.mode == "dense":
        hits = searcher.dense(vector, settings.top_k)
        return hits, np.array([hit.score for hit in hits], np.float32)
    if weight is None:
        hits = searcher.bm25(question, settings.top_k)
    else:
        hits = searcher.hybrid(vector, question, settings.top_k, bm25_weight=weight)
    stored = searcher.fetch([hit.uid for hit in hits])
    cosines = [
        float(stored[hit.uid][0] @ vector) / max(float(np.linalg.norm(stored[hit.uid][0])), 1e-12) for hit in hits
    ]
    return hits, np.array(cosines, np.float32)


def _score(
    questions: Sequence[str],
    vectors: Vectors,
    retrieved: Sequence[tuple[list[Hit], Vectors]],
    encoder: "QueryEncoder",
) -> list[Retrieved]:
    """Score the sentences of all questions' products; every distinct sentence is encoded once."""
    candidates = [_candidates(question, hits) for question, (hits, _) in zip(questions, retrieved, strict=True)]
    # By length, so that a batch has little padding.
    distinct = sorted({passage.scored for passages, _ in candidates for passage in passages}, key=len)
    place = {text: number for number, text in enumerate(distinct)}
    batches = [distinct[start : start + ENCODED_AT_ONCE] for start in range(0, len(distinct), ENCODED_AT_ONCE)]
    encoded = np.concatenate([np.empty((0, encoder.dim), np.float32), *map(encoder.encode, batches)])
    found = []
    for vector, (hits, cosines), (passages, overlaps) in zip(vectors, retrieved, candidates, strict=True):
        own = encoded[[place[passage.scored] for passage in passages]] @ vector
        found.append(Retrieved(hits, cosines, passages, relevance(own, overlaps)))
    return found


def _candidates(question: str, hits: Sequence[Hit]) -> tuple[list[Passage], Vectors]:
    """The sentences worth encoding, in order of product and place, and their word overlap with the question."""
    passages: list[Passage] = []
    seen: set[str] = set()
    for product, hit in enumerate(hits):
        # Many contents begin with their title. A product without content has its title to quote.
        for text in sentences(hit.content.removeprefix(hit.title)) or [hit.title]:
            scored = hit.title if text == hit.title else f"{hit.title}. {text}"
            if scored not in seen:
                seen.add(scored)
                passages.append(Passage(product, text, scored))
    overlaps = word_overlap(question, [passage.scored for passage in passages])
    if len(passages) > MOST_SENTENCES:
        kept = np.sort(np.argsort(-overlaps, kind="stable")[:MOST_SENTENCES])
        passages, overlaps = [passages[number] for number in kept], overlaps[kept]
    return passages, overlaps


def _written(
    question: str, found: Retrieved, settings: AnswerSettings, llm: LlmConnection | None, shared: float
) -> dict[str, Any]:
    """A question's entry in the result; `shared` are its seconds of the work done for all of them."""
    began = time.monotonic()
    made = _generate(question, found, settings, llm)
    return {"question": question, **made, "seconds": round(shared + time.monotonic() - began, 4), "error": None}


def _generate(question: str, found: Retrieved, settings: AnswerSettings, llm: LlmConnection | None) -> dict[str, Any]:
    order = np.argsort(-found.scores, kind="stable").tolist()
    enough = [number for number in order if found.scores[number] >= settings.threshold]
    if not enough:
        return _result(NOTHING, [], found, [])
    if llm is not None and settings.generator == "llm":
        reply = write_answer(question, found.hits, llm)
        return _result(reply.text, reply.cited, found, reply.warnings)
    least = CLOSE * found.scores[enough[0]]
    distinct: dict[str, Passage] = {}  # products of one family share sentences
    for number in enough:
        if found.scores[number] >= least:
            distinct.setdefault(found.passages[number].text, found.passages[number])
    quoted = list(distinct.values())[:QUOTES]
    cited = list(dict.fromkeys(passage.product for passage in quoted))
    text = " ".join(f"“{passage.text}” [{cited.index(passage.product) + 1}]" for passage in quoted)
    return _result(text, cited, found, [])


def _result(text: str, cited: Sequence[int], found: Retrieved, warnings: Sequence[str]) -> dict[str, Any]:
    best: dict[int, str] = {}
    for number in np.argsort(-found.scores, kind="stable").tolist():
        best.setdefault(found.passages[number].product, found.passages[number].text)

    def source(product: int) -> dict[str, Any]:
        hit = found.hits[product]
        return {
            "uid": hit.uid,
            "title": hit.title,
            "score": round(float(found.cosines[product]), 4),
            "rank": product + 1,
            "snippet": best.get(product, hit.title),
        }

    return {
        "answer": text,
        "found": bool(cited),
        "sources": [source(product) for product in cited],
        "nearest": [source(product) for product in range(len(found.hits)) if product not in cited],
        "warnings": list(warnings),
    }
