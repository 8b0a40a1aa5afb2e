"""The products for a question, without an answer: what a page shows while a person types; and how many have what."""

from typing import Any

from include.answering.asker import Asker
from include.answering.extract import product
from include.answering.laps import Laps
from include.answering.narrowed import narrow
from include.answering.opening import weight
from include.answering.questions import checked
from include.answering.retrieve import Search
from include.core.answer_settings import AnswerSettings
from include.core.errors import BadQuestion
from include.store.filters import COUNTED

SEARCHED = ("question", "searched", "mended", "language", "translated", "products", "warnings")  # of an answer's entry


def search(asker: Asker, question: str, settings: AnswerSettings) -> dict[str, Any]:
    """The products for a question by rank; their sentences are not read.

    Args:
        asker: The open version.
        question: 1 to 2,000 characters.
        settings: As of an answer; what is about answers alone is not looked at.

    Returns:
        As JSON: `version`, `bm25_weight`, `filter`, `facets`, `seconds` and `milliseconds` as of an answer; `question`,
        `searched`, `mended`, `language`, `translated`, `warnings` as of its entry; `products`, without `snippet`.

    Raises:
        BadQuestion: The question is empty or too long.
        BadFilter: The filter cannot be read, or it or `facets` name what the index does not have.
    """
    laps = Laps()
    (text,) = map(str, checked([question]))
    asked = asker.reading(settings.translator).read(text)
    laps.end("read questions")
    bm25 = weight(settings, asker.published)
    narrowed = narrow(settings, asker.version.attributes, asker.searcher)
    laps.end("filter")
    products: list[dict[str, Any]] = []
    if narrowed.left != 0:
        (asked,), _, [(hits, cosines)] = asker.find([asked], Search(settings, bm25, narrowed.where), laps)
        products = [product(*each, rank) for rank, each in enumerate(zip(hits, cosines, strict=True), 1)]
    told = asked.entry(products=products, warnings=narrowed.warnings(asked.language))
    return {
        "version": asker.version.name,
        "bm25_weight": bm25,
        "filter": narrowed.filter,
        "facets": narrowed.facets,
        **{name: told[name] for name in SEARCHED},
        "seconds": round(laps.total(), 4),
        "milliseconds": laps.milliseconds(),
    }


def count(asker: Asker, settings: AnswerSettings) -> dict[str, Any]:
    """How many products a filter leaves, and how many of them have each value.

    Args:
        asker: The open version.
        settings: Its `filter` and `facets`; where `facets` is empty, every attribute is counted that can be.

    Returns:
        As JSON: `version`, `filter` and `facets` as of an answer, `products`: how many.

    Raises:
        BadFilter: The filter cannot be read, or it or `facets` name what the index does not have.
    """
    every = ", ".join(each.name for each in asker.version.attributes if each.type in COUNTED)
    counted = settings.model_copy(update={"facets": settings.facets or every})
    narrowed = narrow(counted, asker.version.attributes, asker.searcher)
    left = asker.version.points if narrowed.left is None else narrowed.left
    return {"version": asker.version.name, "filter": narrowed.filter, "products": left, "facets": narrowed.facets}


def described(asker: Asker, uid: str) -> dict[str, Any]:
    """One product as the index has it.

    Args:
        asker: The open version.
        uid: The product's id in the catalogue.

    Returns:
        As JSON: `version`, `uid`, `title`, `text`, and `attributes` by name, whole.

    Raises:
        BadQuestion: There is no such product.
    """
    stored = asker.searcher.fetch([uid]).get(uid)
    if stored is None:
        raise BadQuestion(f"There is no product with the uid {uid[:200]!r}.", "Search for it by its title.")
    payload = stored[1]
    return {
        "version": asker.version.name,
        "uid": payload["uid"],
        "title": payload["title"],
        "text": payload["content"],
        "attributes": payload.get("attributes", {}),
    }
