"""What answers a question, from where on, and how much of a question's words a product has."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from include.answering.wording import Wording, is_model, weighted
from include.core.arrays import Vectors

Encode = Callable[[Sequence[str]], Vectors]

THRESHOLD = 0.5  # of answers, where none was calibrated: the least confidence that is one
SAME_NAME = 0.85  # of the best product's share of the naming words, of which others count too
THING_IN_CONTENT = 0.5  # of the last naming word, where only the content has it: the microphone of "usb microphone"
IN_CONTENT = 0.9  # of another naming word
WORDS_OF_NEED = 0.2  # AUROC 0.95 of 57 needs, met and unmet; 0.90 by cosine, 0.77 by share alone


@dataclass(frozen=True)
class Thresholds:
    """From where on something counts.

    Attributes:
        name: Share of the words that name the thing, which one product must have.
        need: For what somebody wants to do: cosine of one product, and `WORDS_OF_NEED` of the share of its words.
        asked: Share of a fact's asking words that the passage must have where no kind of answer is asked for.
        near: Cosine of the asking words with a passage, in their stead.
        specific: The same where a kind is asked for with a word of its own: of "shelf life" the shelf.
        relevance: Of a passage, for questions in a language that the rules do not know.
        product: Share of a fact's naming and asking words that the product must have.
    """

    name: float = 0.65
    need: float = 0.32
    asked: float = 0.5
    near: float = 0.5
    product: float = 0.35
    specific: float = 0.2
    relevance: float = 0.35


BETWEEN = "”, “"  # of the words that are lacking


@dataclass(frozen=True)
class Judged:
    """What answers a question.

    Attributes:
        confidence: 0-1 that it is answered; from 0.5 on the rules say so.
        fact: A fact was asked for, else products.
        products: Those that the answer may be taken from, by rank.
        passages: Of the answer, the best first.
        lacking: What no text tells, in the words that were searched for; several with `BETWEEN` between them.
        why: Of the sentences that which says so; empty where nothing can be told.
    """

    confidence: float
    fact: bool = False
    products: Sequence[int] = ()
    passages: Sequence[int] = ()
    lacking: str = ""
    why: str = ""


def share(
    asked: Sequence[str], title: Wording, text: Wording, soft: dict[str, set[str]], thing: str = "", more: bool = False
) -> float:
    """How much of the words a product has, 0-1; model numbers, and the thing where more is said of it, count twice."""
    having = {
        word: max(
            title.has(word),
            (THING_IN_CONTENT if word == thing else IN_CONTENT) * text.has(word),
            float(bool(soft.get(word, set()) & title.stems)),
        )
        for word in asked
    }
    return weighted(having, {word: 2.0 if is_model(word) or (word == thing and more) else 1.0 for word in asked})


def scaled(value: float, least: float) -> float:
    """0-1, with 0.5 at the least value that counts."""
    value = min(max(value, 0.0), 1.0)
    return 0.5 * value / least if value < least else 0.5 + 0.5 * (value - least) / (1 - least)
