"""The products for a question, and how near their sentences are to it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from include.answering.asked import Asked
from include.answering.asks import asks
from include.answering.limits import contradicts, limit
from include.answering.passages import Retrieved, score
from include.answering.remembered import Encodes
from include.answering.unwanted import unwanted
from include.core.answer_settings import AnswerSettings
from include.core.arrays import Vectors
from include.store.filters import Filter
from include.store.fusion import DEPTH, unmatched
from include.store.protocol import Hit
from include.store.searcher import Searcher

if TYPE_CHECKING:
    from include.model.reader import Reader


@dataclass(frozen=True)
class Search:
    """How products are looked for, and what reads them: `weight` is BM25's in hybrid search."""

    settings: AnswerSettings
    weight: float | None
    where: Filter | None
    reader: "Reader | None" = None


def find(
    asked: Sequence[Asked], vectors: Vectors, searcher: Searcher, search: Search
) -> list[tuple[list[Hit], Vectors]]:
    """For each question the products by rank, and their cosines with it, (n,) float32.

    Args:
        asked: The questions.
        vectors: (questions, dim) float32, of their texts.
        searcher: The open version.
        search: How to look.
    """
    return [_found(each.text, vector, searcher, search) for each, vector in zip(asked, vectors, strict=True)]


def scored(
    asked: Sequence[Asked], vectors: Vectors, found: Sequence[tuple[list[Hit], Vectors]], encoder: Encodes
) -> list[Retrieved]:
    """What was found, with the products' sentences and how well each fits the question."""
    given = [[kind.given for kind in asks(each.text).kinds] for each in asked]
    return score([each.text for each in asked], vectors, found, encoder, given)


def _found(text: str, vector: Vectors, searcher: Searcher, search: Search) -> tuple[list[Hit], Vectors]:
    unfit, where = _unfit(text), search.where
    top_k = search.settings.top_k if unfit is None else max(DEPTH, search.settings.top_k)
    if search.settings.mode == "dense":
        hits = searcher.dense(vector, top_k, where=where)
    elif search.weight is None:
        hits = searcher.bm25(text, top_k, where=where)
    else:
        hits = searcher.hybrid(vector, text, top_k, bm25_weight=search.weight, where=where)
    named = searcher.named(text, where=where)
    hits = [*named, *unmatched(sorted(hits, key=unfit) if unfit else hits, named)][: search.settings.top_k]
    return hits, np.array(_cosines(hits, vector, searcher), np.float32)


def _cosines(hits: Sequence[Hit], vector: Vectors, searcher: Searcher) -> list[float]:
    """Of each product and the question; the search may have told it."""
    unknown = [hit.uid for hit in hits if hit.cosine is None]
    stored = searcher.fetch(unknown) if unknown else {}
    found = {uid: float(own @ vector) / max(float(np.linalg.norm(own)), 1e-12) for uid, (own, _) in stored.items()}
    return [found[hit.uid] if hit.cosine is None else hit.cosine for hit in hits]


def _unfit(text: str) -> Callable[[Hit], bool] | None:
    """Whether a product contradicts what is asked for ("not gas", "larger than 40 inches"); None where nothing can.

    Such products are retrieved all the same, behind the others: a search by words and meaning likes them best.
    """
    bound, read = limit(text), asks(text)
    if bound is None and not read.excluded and not read.denied:
        return None

    def contradicting(hit: Hit) -> bool:
        return unwanted(read, hit.title, hit.content) or (
            bound is not None and contradicts(hit.title, hit.content, bound)
        )

    return contradicting
