"""Which of the retrieved passages answer a question, and the question's entry in the result."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from include.answering.asked import Asked
from include.answering.passages import Passage, Retrieved
from include.answering.reply import NOTHING, Reply
from include.answering.sentences import say
from include.catalogue.attributes import bounded
from include.core.arrays import Vectors

QUOTES = 3  # sentences in an answer
CLOSE = 0.85  # a further quote has at least this share of the best one's score


def extract(retrieved: Retrieved, threshold: float) -> Reply:
    """Quote the sentences that answer; a reply that cites nothing where none does.

    Args:
        retrieved: What was found.
        threshold: Of its scores: from there on a sentence counts as an answer.
    """
    scores = _scores(retrieved)
    order = np.argsort(-scores, kind="stable").tolist()
    enough = [number for number in order if scores[number] >= threshold]
    if not enough:
        return Reply(NOTHING, [], [])
    least = CLOSE * scores[enough[0]]
    distinct: dict[str, Passage] = {}  # products of one family share sentences
    for number in enough:
        if scores[number] >= least:
            distinct.setdefault(retrieved.passages[number].text, retrieved.passages[number])
    quoted = list(distinct.values())[:QUOTES]
    cited = list(dict.fromkeys(passage.product for passage in quoted))
    text = " ".join(f"“{passage.text}” [{cited.index(passage.product) + 1}]" for passage in quoted)
    return Reply(text, cited, [])


def entry(asked: Asked, retrieved: Retrieved, reply: Reply, warnings: Sequence[str], seconds: float) -> dict[str, Any]:
    """The question's entry in the result.

    Args:
        asked: The question.
        retrieved: What was found for it.
        reply: What is answered; its `cited` are positions among the products.
        warnings: Of the search; those of the reply come after them.
        seconds: That it took.
    """
    products = _products(retrieved)
    return asked.entry(
        answer=say("nothing", asked.language) if reply.text == NOTHING else reply.text,
        found=bool(reply.cited),
        sources=[products[product] for product in reply.cited],
        products=products,
        confidence={"retrieval": _share(retrieved.cosines), "answer": _share(_scores(retrieved))},
        generator=asdict(reply.generation),
        warnings=[*warnings, *reply.warnings],
        seconds=round(seconds, 4),
    )


def _scores(retrieved: Retrieved) -> Vectors:
    """How well each passage answers: as the reader says, where there is one."""
    return retrieved.scores if retrieved.read is None else retrieved.read


def _share(scores: Vectors) -> float:
    """The best of them, from 0 to 1."""
    return round(min(max(float(scores.max(initial=0.0)), 0.0), 1.0), 4)


def _products(retrieved: Retrieved) -> list[dict[str, Any]]:
    """All products by rank, each with its best sentence."""
    best: dict[int, str] = {}
    for number in np.lexsort((-retrieved.scores, -_scores(retrieved))).tolist():
        best.setdefault(retrieved.passages[number].product, retrieved.passages[number].text)
    return [
        {
            "uid": hit.uid,
            "title": hit.title,
            "score": round(float(cosine), 4),
            "rank": rank,
            "snippet": best.get(rank - 1, hit.title),
            **({"attributes": bounded(hit.attributes)} if hit.attributes else {}),
        }
        for rank, (hit, cosine) in enumerate(zip(retrieved.hits, retrieved.cosines, strict=True), 1)
    ]
