"""What is answered from the passages that answer, and the question's entry in the result."""

import re
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from include.answering.asked import Asked
from include.answering.judged import Judged
from include.answering.kinds import COLOUR
from include.answering.models import is_code
from include.answering.passages import LONGEST, Passage, Retrieved, attribute_texts
from include.answering.reply import NOTHING, Reply
from include.answering.sentences import say
from include.answering.wording import EMPTY
from include.catalogue.attributes import bounded
from include.store.protocol import Hit
from include.store.words import words

QUOTES = 3  # sentences in an answer to a question for a fact
LISTED = 5  # products in an answer to a question for products
_ENDS = re.compile(r"[.!?;。！？।॥؟۔][\"'”’)\]]*$")  # of a text that ends as a sentence does


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
    said = [f"“{_marked(text, retrieved.hits[product])}” [{cited.index(product) + 1}]" for text, product in kept]
    if not judged.fact and (further := len(judged.products) - len(cited)) > 0:
        said.append(say("more", asked.language, count=further))
    return Reply(" ".join(said), cited, [])


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
    if not judged.why:
        return nothing
    title = retrieved.hits[judged.products[0] if judged.products else 0].title
    return f"{nothing} {say(judged.why, asked.language, title=title, lacking=judged.lacking)}"


def _marked(text: str, hit: Hit) -> str:
    """The text with "…" where it was cut out of a longer sentence of the product."""
    if len(text) < LONGEST // 2 or text == hit.title:
        return text
    content = " ".join(hit.content.split())
    at = content.find(text)
    if at < 0:
        return text
    before, behind = content[:at].rstrip(), content[at + len(text) :].lstrip()
    begins = not before or _ENDS.search(before) or before == hit.title or len(before) < LONGEST // 2
    ends = not behind or _ENDS.search(text) or behind[0] in "•·▪●◦‣*/"
    return f"{'' if begins else '…'}{text}{'' if ends else '…'}"


def _varied(retrieved: Retrieved, passages: Sequence[int]) -> list[int]:
    """The passages without those of a product that is one before it in another colour, by its title."""
    kept: list[int] = []
    titles: list[frozenset[str]] = []
    for number in passages:
        title = frozenset(words(retrieved.hits[retrieved.passages[number].product].title))
        if not any(_variants(title, other) for other in titles):
            kept.append(number)
            titles.append(title)
    return kept


def _variants(title: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two titles' words differ in a colour, and in nothing else but model numbers."""
    apart = {word for word in title ^ other if word not in EMPTY and word not in ("finish", "finished")}
    colours = {word for word in apart if COLOUR.fullmatch(word)}
    return not apart or (bool(colours) and all(is_code(word) for word in apart - colours))


def _products(retrieved: Retrieved, judged: Judged) -> list[dict[str, Any]]:
    """All products by rank, each with its sentence that answers best; with its title where it has none."""
    best: dict[int, str] = {}
    shown = [{hit.title} for hit in retrieved.hits]  # beside the snippet
    # Beside the title of a product that is listed stands its best sentence, beside a fact the sentence that tells it.
    for number in judged.passages if judged.fact else ():
        _prefer(best, shown, retrieved.passages[number])
    shown = [{hit.title, *attribute_texts(hit)} for hit in retrieved.hits]
    for number in np.argsort(-retrieved.scores, kind="stable").tolist():
        _prefer(best, shown, retrieved.passages[number])
    return [
        product(hit, cosine, rank, snippet=best.get(rank - 1, hit.title))
        for rank, (hit, cosine) in enumerate(zip(retrieved.hits, retrieved.cosines, strict=True), 1)
    ]


def product(hit: Hit, cosine: float, rank: int, **more: str) -> dict[str, Any]:
    """A product as a result has it: `uid`, `title`, `score`, `rank`, then `more`, and `attributes` if it has any."""
    own = {"uid": hit.uid, "title": hit.title, "score": round(float(cosine), 4), "rank": rank, **more}
    return {**own, "attributes": bounded(hit.attributes)} if hit.attributes else own


def _prefer(best: dict[int, str], shown: Sequence[Collection[str]], passage: Passage) -> None:
    """Take a passage for its product's snippet, unless there is one, or it says what stands beside it already."""
    if passage.text not in shown[passage.product]:
        best.setdefault(passage.product, passage.text)
