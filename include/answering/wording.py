"""The words of questions and of products, and whether one has the other's: by stem, as a part, or run together."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from include.store.words import words

if TYPE_CHECKING:
    import Stemmer

OTHERWISE = 0.9  # of a word that the product says otherwise: its scent, where it is asked how it smells
PART = 0.6  # of a word that only begins or ends like the product's: alone it names nothing, "table" of "portable"
_SHORTEST_PART = 4  # letters
_SHORTEST_JOINED = 6  # letters of a word that may be two in the product: "eyeshadow", "eye shadow"
_VOWELS = frozenset("aeiouy")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that say nothing of a thing, in any sentence.
COMMON = _names(
    "a about all also am an and any are as at be been but by can could did do does for from had has have how i if "
    "in into is it its just me my of on or our so than that the their them then there these they this to was "
    "we were what when where which who why will with would you your"
)
# And of a question what says nothing about what it asks for.
EMPTY = COMMON | _names(
    "actually anything aren available being best both brand brands buy called come comes d doesn doing don done "
    "each either else ever every everything find get gets getting give given go goes good got great having help "
    "isn item items kind kinds let like line list ll looking m made make makes many may might model models more "
    "most much must named need needs no non not off offer offers ok okay only other out over own please product "
    "products put range re really recommend right s same sell shall she should show some something sort such "
    "suggest t tell thing things those too type types us use used uses using ve very want well while whose within "
    "without won work works yours"
)
# Other words for what is asked, in texts about products of any kind: verbs, and the nouns of their facts.
_MEANT = {
    "smell": "scent scented fragrance fragranced aroma odour odor perfume",
    "perfume": "scent fragrance",
    "scent": "fragrance perfume smell",
    "fragrance": "scent perfume",
    "stay": "last hold wear",
    "last": "hold stay wear",
    "hold": "last",
    "cost": "price",
    "weigh": "weight",
    "compatible": "fit fits works",
    "contacts": "lens lenses",
    "spaghetti": "pasta",
}
_DIGITS_AND_LETTERS = re.compile(r"(?=.*\d)(?=.*[^\W\d_])")


@cache
def _stemmer() -> "Stemmer.Stemmer":
    import Stemmer

    return Stemmer.Stemmer("english")


def stems(text: str) -> list[str]:
    """The stems of a text's words, in order, empty words included."""
    return list(_stemmer().stemWords(words(text)))


def keywords(text: str) -> list[str]:
    """The stems of a sentence's words but for `COMMON`, in order."""
    return list(_stemmer().stemWords([word for word in words(text) if word not in COMMON]))


def telling(text: str) -> list[str]:
    """The stems of a question's words that carry meaning, each once, in order."""
    return list(dict.fromkeys(_stemmer().stemWords([word for word in words(text) if word not in EMPTY])))


@cache
def _meant() -> dict[str, frozenset[str]]:
    """By stem the stems of the other words."""
    return {stems(word)[0]: frozenset(stems(others)) for word, others in _MEANT.items()}


def acronyms(text: str) -> dict[str, list[str]]:
    """The initials of three and more words in a row, with their stems: "sun protection factor" gives `spf`."""
    found = words(text)
    runs = [found[begin:end] for begin in range(len(found)) for end in range(begin + 3, min(begin + 5, len(found)) + 1)]
    return {
        "".join(word[0] for word in run): stems(" ".join(run)) for run in runs if not any(word in EMPTY for word in run)
    }


def neighbours(text: str) -> set[tuple[str, str]]:
    """Pairs of words that carry meaning and stand side by side, as stems: "the cigarette lighter"."""
    found = [(word in EMPTY, stem) for word, stem in zip(words(text), stems(text), strict=True)]
    return {(one, two) for (empty, one), (vacant, two) in pairwise(found) if not empty and not vacant}


def is_model(word: str) -> bool:
    """Whether it looks like a model number: digits and letters, such as `kdl46s4100`."""
    return bool(_DIGITS_AND_LETTERS.match(word))


class Wording:
    """A text's words, for comparison with those of a question."""

    def __init__(self, text: str) -> None:
        self.stems = frozenset(stems(text))
        self._spaced = f" {' '.join(self.stems)} "
        self._written = f" {' '.join(words(text))} "
        self._joined = self._written.replace(" ", "")

    def has(self, word: str) -> float:
        """How surely the text has a question's stem: 1, `PART`, or 0."""
        if len(word) < _SHORTEST_PART and word.endswith("s"):  # "tvs": Snowball stems no word so short
            word = word[:-1]
        if word in self.stems:
            return 1.0
        if not _meant().get(word, frozenset()).isdisjoint(self.stems):
            return OTHERWISE
        numbered = any(map(str.isdigit, word))
        if numbered and len(word) >= 3 and word in self._joined:
            return 1.0
        if len(word) >= _SHORTEST_JOINED and word in self._joined and self._run_together(word):
            return 1.0
        if numbered:
            return 0.0
        return PART if self._alike(word) else 0.0

    def _run_together(self, word: str) -> bool:
        """Whether some of its words are this one, whole but for an ending: "eye shadows", not "dew alternative"."""
        return re.search(rf" {' ?'.join(map(re.escape, word))}(?:e?s|e|ers?|ing|y)? ", self._written) is not None

    def _alike(self, word: str) -> bool:
        """Whether one of its words begins or ends with this one, or this one ends with one of its words."""
        if len(word) == 2:  # "tv" of "hdtv"
            return not set(word) & _VOWELS and any(len(each) == 4 and each.endswith(word) for each in self.stems)
        if len(word) == 3:  # "dsc" of "dscw300"
            return any(each.startswith(word) and is_model(each) for each in self.stems)
        if len(word) < _SHORTEST_PART:
            return False
        parts = {word[-cut:] for cut in range(_SHORTEST_PART, len(word))}
        return f" {word}" in self._spaced or f"{word} " in self._spaced or not parts.isdisjoint(self.stems)


def weighted(having: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """The weighted mean of values by word, 0-1; 0 where there are no words."""
    total = sum(weights[word] for word in having)
    return sum(weights[word] * value for word, value in having.items()) / total if total else 0.0


def lacking(asked: Iterable[str], *having: Wording) -> list[str]:
    """The stems that none of the texts has."""
    return [word for word in asked if not any(each.has(word) for each in having)]
