"""Whether a product's text says what a sentence says of it.

First what must stand there letter by letter (`include.answering.claims`); then the meaning: how near the sentence is to
the nearest passage. A reader, where one is trained, tells that better than `similarity`; it takes its place.

`similarity` was fitted on 1,500 written answers of HetPQA's training part, each against its own evidence among up to
seven other passages of the product, and against passages of the same and of another product without it. On 398 answers
of the dev part: AUROC 0.965 over all, 0.869 within one product. At its limit 0.17 of the true sentences are refused,
and 0.01 pass with another product's text. (`benchmarks/llm.py` prints them.)
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from include.answering.claims import contradicts, missing_names, missing_quantities
from include.answering.passages import sentences
from include.answering.wording import keywords
from include.catalogue.attributes import AttributeValue, bounded, shown
from include.store.protocol import Hit

if TYPE_CHECKING:
    from include.model.query_encoder import QueryEncoder

# How likely a product says a sentence, 0-1; of its passages the first is its title.
Supports: TypeAlias = Callable[[str, Sequence[str]], float]

SUPPORTED = 0.5  # from here on it does
STEEPNESS, MIDDLE = 4.4, 0.8  # of the logistic curve over cosine plus word overlap
MOST_PASSAGES = 12  # of a product that are encoded: those with most words in common


def product_passages(hit: Hit) -> list[str]:
    """A product's title, sentences and attributes; what it is not, said with "not"."""
    return [hit.title, *sentences(hit.content), *(_stated(*each) for each in bounded(hit.attributes).items())]


def unsupported(sentence: str, products: Sequence[Sequence[str]], supports: Supports) -> str | None:
    """Why no product text says `sentence`, for the reader; None where one does.

    Args:
        sentence: Without markers of citations.
        products: The passages of each product that it cites; none where it cites nothing.
        supports: Compares the meaning.
    """
    passages = [passage for product in products for passage in product]
    if not passages:
        return "no product is cited"
    source = "\n".join(passages)
    if numbers := missing_quantities(sentence, source):
        return f"{', '.join(numbers)} is not in what is cited"
    if names := missing_names(sentence, source):
        return f"{', '.join(names)} is not in what is cited"
    said = set(keywords(sentence))
    nearest = max(passages, key=lambda passage: _share(said, passage))
    if contradicts(sentence, nearest):
        return "what is cited says the contrary"
    best = max(supports(sentence, product) for product in products)
    return None if best >= SUPPORTED else "what is cited does not say it"


def similarity(encoder: "QueryEncoder") -> Supports:
    """Support by cosine and word overlap, in place of a reader."""

    def supports(sentence: str, passages: Sequence[str]) -> float:
        said = set(keywords(sentence))
        told = (said - set(keywords(passages[0]))) or said  # that a product is named is no sign of what is said of it
        overlaps = np.array([_share(told, passage) for passage in passages])
        kept = np.argsort(-overlaps, kind="stable")[:MOST_PASSAGES]
        encoded = encoder.encode([sentence, *(passages[number] for number in kept)])
        best = float((encoded[1:] @ encoded[0] + overlaps[kept]).max())
        return 1 / (1 + float(np.exp(STEEPNESS * (MIDDLE - best))))

    return supports


def _share(said: set[str], passage: str) -> float:
    """The share of these words that the passage has."""
    return len(said.intersection(keywords(passage))) / max(len(said), 1)


def _stated(name: str, value: AttributeValue) -> str:
    if isinstance(value, bool):
        return f"{'' if value else 'not '}{name.replace('_', ' ')}"
    return shown({name.replace("_", " "): value})
