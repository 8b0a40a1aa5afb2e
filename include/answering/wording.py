"""The words of questions and of products, and whether one has the other's: by stem, as a part, or run together."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING

from include.store.words import words

if TYPE_CHECKING:
    import Stemmer

PART = 0.8  # of a word that only begins or ends like the product's
_SHORTEST_PART = 4  # letters
_SHORTEST_JOINED = 6  # letters of a word that may be two in the product: "eyeshadow", "eye shadow"
_LONGEST = 40  # letters of a word that are compared

# Words of a question that say nothing about what it asks for.
EMPTY = frozenset(
    [
        "a",
        "about",
        "all",
        "also",
        "am",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "been",
        "being",
        "both",
        "but",
        "by",
        "can",
        "could",
        "did",
        "do",
        "does",
        "doing",
        "done",
        "each",
        "either",
        "else",
        "ever",
        "every",
        "everything",
        "for",
        "from",
        "get",
        "gets",
        "getting",
        "give",
        "given",
        "go",
        "goes",
        "got",
        "had",
        "has",
        "have",
        "having",
        "help",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "just",
        "let",
        "like",
        "m",
        "make",
        "makes",
        "many",
        "may",
        "me",
        "might",
        "more",
        "most",
        "much",
        "must",
        "my",
        "need",
        "needs",
        "no",
        "non",
        "not",
        "of",
        "off",
        "on",
        "only",
        "or",
        "other",
        "our",
        "out",
        "over",
        "please",
        "product",
        "products",
        "put",
        "re",
        "s",
        "same",
        "shall",
        "she",
        "should",
        "show",
        "so",
        "some",
        "something",
        "such",
        "t",
        "tell",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "thing",
        "things",
        "this",
        "those",
        "to",
        "too",
        "us",
        "use",
        "used",
        "uses",
        "using",
        "ve",
        "very",
        "want",
        "was",
        "we",
        "well",
        "were",
        "what",
        "when",
        "where",
        "which",
        "while",
        "who",
        "whose",
        "why",
        "will",
        "with",
        "within",
        "without",
        "would",
        "you",
        "your",
        "yours",
        "looking",
        "find",
        "buy",
        "sell",
        "recommend",
        "suggest",
        "best",
        "good",
        "great",
        "offer",
        "offers",
        "available",
        "come",
        "comes",
        "don",
        "doesn",
        "isn",
        "aren",
        "won",
        "kind",
        "kinds",
        "type",
        "types",
        "sort",
        "list",
        "anything",
        "item",
        "items",
        "line",
        "range",
        "model",
        "models",
        "brand",
        "brands",
        "called",
        "named",
        "d",
        "ll",
        "really",
        "actually",
        "made",
    ]
)
_DIGITS_AND_LETTERS = re.compile(r"(?=.*\d)(?=.*[^\W\d_])")


@cache
def _stemmer() -> "Stemmer.Stemmer":
    import Stemmer

    return Stemmer.Stemmer("english")


def stems(text: str) -> list[str]:
    """The stems of a text's words, in order, empty words included."""
    return list(_stemmer().stemWords(words(text)))


def telling(text: str) -> list[str]:
    """The stems of the words that carry meaning, each once, in order."""
    return list(dict.fromkeys(_stemmer().stemWords([word for word in words(text) if word not in EMPTY])))


def acronyms(text: str) -> dict[str, list[str]]:
    """The initials of three and more words in a row, with their stems: "sun protection factor" gives `spf`."""
    found = words(text)
    runs = [found[begin:end] for begin in range(len(found)) for end in range(begin + 3, min(begin + 5, len(found)) + 1)]
    return {
        "".join(word[0] for word in run): stems(" ".join(run)) for run in runs if not any(word in EMPTY for word in run)
    }


def is_model(word: str) -> bool:
    """Whether it looks like a model number: digits and letters, such as `kdl46s4100`."""
    return bool(_DIGITS_AND_LETTERS.match(word))


class Wording:
    """A text's words, for comparison with those of a question."""

    def __init__(self, text: str) -> None:
        self.stems = frozenset(stems(text))
        self._joined = "".join(words(text))

    def has(self, word: str) -> float:
        """How surely the text has a question's stem: 1, `PART`, or 0."""
        if len(word) < _SHORTEST_PART and word.endswith("s"):  # "tvs": Snowball stems no word so short
            word = word[:-1]
        if word in self.stems:
            return 1.0
        numbered = any(map(str.isdigit, word))
        if numbered and len(word) >= 3 and word in self._joined:
            return 1.0
        if len(word) >= _SHORTEST_JOINED and word in self._joined:
            return 1.0
        if numbered:
            return 0.0
        part = any(_alike(word, each) for each in self.stems)
        return PART if part else 0.0


def weighted(having: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """The weighted mean of values by word, 0-1; 0 where there are no words."""
    total = sum(weights[word] for word in having)
    return sum(weights[word] * value for word, value in having.items()) / total if total else 0.0


def lacking(asked: Iterable[str], *having: Wording) -> list[str]:
    """The stems that none of the texts has."""
    return [word for word in asked if not any(each.has(word) for each in having)]


def _alike(word: str, other: str) -> bool:
    if len(word) == 2 and not set(word) & set("aeiouy"):  # "tv" of "hdtv"
        return len(other) == 4 and other.endswith(word)
    if min(len(word), len(other)) < _SHORTEST_PART:  # "dsc" of "dscw300"
        return len(word) == _SHORTEST_PART - 1 and other.startswith(word) and is_model(other)
    return other.startswith(word) or word.startswith(other) or other.endswith(word) or word.endswith(other)
