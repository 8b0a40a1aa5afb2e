"""What is answered from the passages that answer, and the question's entry in the result."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from include.answering.asked import Asked
from include.answering.judge import Judged
from include.answering.passages import Retrieved
from include.answering.reply import NOTHING, Reply
from include.answering.sentences import say
from include.answering.wording import is_model, stems
from include.catalogue.attributes import bounded

QUOTES = 3  # sentences in an answer to a question for a fact
LISTED = 5  # products in an answer to a question for products
ALIKE = 0.8  # of the words of two titles: variants of one model, of which one is listed


def extract(asked: Asked, retrieved: Retrieved, judged: Judged, threshold: float) -> Reply:
    """Quote the passages that answer; a reply that cites nothing where none does."""
    if judged.confidence < threshold or not judged.passages:
        return Reply(_nothing(asked, retrieved, judged), [], [])
    quoted: dict[str, int] = {}  # by text: products of one family share sentences
    for number in judged.passages if judged.fact else _varied(retrieved, judged.passages):
        passage = retrieved.passages[number]
        quoted.setdefault(passage.text, passage.product)
    kept = list(quoted.items())[: QUOTES if judged.fact else LISTED]
    cited = list(dict.fromkeys(product for _, product in kept))
    text = " ".join(f"“{text}” [{cited.index(product) + 1}]" for text, product in kept)
    return Reply(text, cited, [])


def entry(
    asked: Asked, retrieved: Retrieved, judged: Judged, reply: Reply, warnings: Sequence[str], seconds: float
) -> dict[str, Any]:
    """The question's entry in the result.

    Args:
        asked: The question.
        retrieved: What was found for it.
        judged: What of that answers.
        reply: What is answered; its `cited` are positions among the products.
        warnings: Of the search; those of the reply come after them.
        seconds: That it took.
    """
    products = _products(retrieved, judged)
    nearest = float(retrieved.cosines.max(initial=0.0))
    return asked.entry(
        answer=say("nothing", asked.language) if reply.text == NOTHING else reply.text,
        found=bool(reply.cited),
        sources=[products[product] for product in reply.cited],
        products=products,
        confidence={"retrieval": round(min(max(nearest, 0.0), 1.0), 4), "answer": round(judged.confidence, 4)},
        generator=asdict(reply.generation),
        warnings=[*warnings, *reply.warnings],
        seconds=round(seconds, 4),
    )


def _nothing(asked: Asked, retrieved: Retrieved, judged: Judged) -> str:
    """That nothing answers, and what was looked for."""
    nothing = say("nothing", asked.language)
    if not judged.lacking:
        return nothing
    if judged.fact and judged.products:
        title = retrieved.hits[judged.products[0]].title
        return f"{nothing} {say('does_not_tell', asked.language, title=title, lacking=judged.lacking)}"
    return f"{nothing} {say('no_product_with', asked.language, lacking=judged.lacking)}"


def _varied(retrieved: Retrieved, passages: Sequence[int]) -> list[int]:
    """The passages without those of a product whose title is nearly that of one before it."""
    kept: list[int] = []
    titles: list[frozenset[str]] = []
    for number in passages:
        title = retrieved.hits[retrieved.passages[number].product].title
        own = frozenset(word for word in stems(title) if not is_model(word))
        if all(len(own & other) < ALIKE * max(len(own | other), 1) for other in titles):
            kept.append(number)
            titles.append(own)
    return kept


def _products(retrieved: Retrieved, judged: Judged) -> list[dict[str, Any]]:
    """All products by rank, each with its sentence that answers best; with its title where it has none."""
    best: dict[int, str] = {}
    by_score = np.argsort(-retrieved.scores, kind="stable").tolist()
    # Beside the title of a product that is listed stands its best sentence, beside a fact the sentence that tells it.
    for number in [*(judged.passages if judged.fact else ()), *by_score]:
        passage = retrieved.passages[number]
        if passage.text != retrieved.hits[passage.product].title:
            best.setdefault(passage.product, passage.text)
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
