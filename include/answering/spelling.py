"""Mistyped words of a question, mended against the words of the index.

A wrong mend is worse than none. So a word stays as it is if it is short or has digits, if any product has it, if it is
an empty word of any language, or if the model's own vocabulary has it as one piece: these are the common words and
names of its language, "xbox" and "kindle" among them, whether the shop sells such things or not. A question in another
language than the index's is left alone.

What else is replaced by the nearest word of the index that begins with the same letter: one change, of a long word two
if it ends with the same letter too; of several the one that ends so, then the most frequent. Or it is cut into two
words that stand together in some product ("harddrive"). Two words are made one where no product has them together and
some have the one word ("kitchen aid"). The new word must stand beside another of the question's in some product, if
those are in any: "chanel lipstick" is not "channel lipstick". Where none of them is in any, or there are none, a
shorter word may be a brand that is not sold ("chanel", "stihl chainsaw"): it stays, and the nearest word is offered.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import pairwise

from rapidfuzz import process
from rapidfuzz.distance import OSA, JaroWinkler

from include.answering.asked import Asked
from include.answering.sentences import say
from include.store.searcher import Searcher
from include.store.terms import NONE, Terms, empty_words, fold, stop_words
from include.store.vocabulary import Vocabulary

SHORTEST = 5  # letters of a word that is mended
LONG = 8  # letters from which two changes are one mistake, and a word is no brand that is one change from another
ALIKE = 0.91  # by Jaro and Winkler, of words that differ by two changes: "stroller" is not "stronger"
CLEAR = 3  # of a word of less than SURE letters, a nearest one must be so many times as frequent as the next
SURE = 6
PART = 3  # letters of each word that a missing space would give
SEEN = 20  # products in which a new word is looked for beside others
LOOKED_AT = 5  # products in which two words are looked for together
MOST_MENDED = 8  # unknown words of a question that are looked at: more are no typing mistakes

_WORD = re.compile(r"[^\W\d_]+")


class Spelling:
    """Mends questions to one version.

    Args:
        vocabulary: Its words.
        searcher: The version, open: it knows rare words that the vocabulary leaves out, and which stand together.
        language: Of its terms.
        common: Whether a word is one of the model's own.
    """

    def __init__(
        self, vocabulary: Vocabulary, searcher: Searcher, language: str, common: Callable[[str], bool]
    ) -> None:
        self._vocabulary = vocabulary
        self._searcher = searcher
        self._language = language
        self._terms = Terms(language)
        self._common = common

    def mend(self, asked: Asked) -> Asked:
        """The question with its mistyped words replaced in `text`, and named in `mended`."""
        if self._foreign(asked.text):
            return asked
        mended = dict((*self._split(asked.text), *self._single(asked.text)))
        fits = self._in_place(_put(mended, asked.text), mended)
        offered = [right for wrong, right in mended.items() if fits[wrong] is None]
        mended = {wrong: right for wrong, right in mended.items() if fits[wrong]}
        warnings = (say("did_you_mean", asked.language, words=", ".join(offered)),) if offered else ()
        return replace(
            asked,
            text=_put(mended, asked.text),
            mended={**asked.mended, **mended},
            warnings=(*asked.warnings, *warnings),
        )

    def _foreign(self, text: str) -> bool:
        """Whether the question's empty words are those of another language."""
        asked = set(_WORD.findall(text.lower()))
        counts = {language: len(asked & words) for language, words in _empty_of_all().items()}
        return self._language != NONE and max(counts.values()) > counts.get(self._language, 0)

    def _split(self, text: str) -> Iterator[tuple[str, str]]:
        """Pairs of words that should be one."""
        found = list(_WORD.finditer(text.lower()))
        for first, second in pairwise(found):
            one, pair = first[0] + second[0], f"{first[0]} {second[0]}"
            spaced = text[first.end() : second.start()] == " " and min(len(first[0]), len(second[0])) >= PART
            if spaced and self._vocabulary.count(one) > 1 and not self._together(first[0], second[0]):
                yield pair, one

    def _single(self, text: str) -> Iterator[tuple[str, str]]:
        unknown = [word for word in dict.fromkeys(_whole_words(text.lower())) if not self._known(word)]
        for word in unknown[:MOST_MENDED]:
            if (right := self._nearest(word) or self._parted(word)) is not None:
                yield word, right

    def _known(self, word: str) -> bool:
        return (
            len(word) < SHORTEST
            or self._vocabulary.count(word) > 0
            or self._common(word)
            or any(fold(word) in empty_words(language) for language in stop_words())
            or bool(self._searcher.bm25(word, 1))
        )

    def _nearest(self, word: str) -> str | None:
        """The word of the index that was meant."""
        most = 2 if len(word) >= LONG else 1
        words = self._vocabulary.beginning(word[0], len(word) - most, len(word) + most)
        near = process.extract(word, words, scorer=OSA.distance, score_cutoff=most, limit=None)
        order = sorted(
            (distance, each[-1] != word[-1], -self._vocabulary.count(each), each)
            for each, distance, _ in near
            if distance == 1 or (each[-1] == word[-1] and JaroWinkler.similarity(word, each) >= ALIKE)
        )
        if not order:
            return None
        alike = [-count for *kind, count, _ in order if kind == list(order[0][:2])]
        if len(word) < SURE and len(alike) > 1 and alike[0] < CLEAR * alike[1]:
            return None
        return order[0][3]

    def _parted(self, word: str) -> str | None:
        """The word as two, if both are frequent and stand together in some product."""
        for place in range(PART, len(word) - PART + 1):
            one, two = word[:place], word[place:]
            if min(self._vocabulary.count(one), self._vocabulary.count(two)) > 1 and self._together(one, two):
                return f"{one} {two}"
        return None

    def _in_place(self, text: str, mended: Mapping[str, str]) -> dict[str, bool | None]:
        """By mistyped word whether the new one fits: it stands beside another word of the question in some product.

        Where no other word of the question is in the products that fit it best: None for a word that may be a brand.

        Args:
            text: The question with all new words.
            mended: The new words by those that they are for.
        """
        asked = set(self._terms.question(text).split())
        hits = self._searcher.bm25(text, SEEN) if mended else []
        found = [asked.intersection(self._terms.product(hit.title, hit.content).split()) for hit in hits]
        fits: dict[str, bool | None] = {}
        for wrong, right in mended.items():
            own = set(self._terms.question(right).split())
            if any(each - own for each in found):
                fits[wrong] = any(own & each and each - own for each in found)
            else:
                fits[wrong] = True if len(wrong) >= LONG else None
        return fits

    def _together(self, one: str, two: str) -> bool:
        pattern = re.compile(rf"(?<!\w){re.escape(one)}\W?{re.escape(two)}", re.IGNORECASE)
        hits = self._searcher.bm25(f"{one} {two}", LOOKED_AT)
        return any(pattern.search(f"{hit.title}. {hit.content}") for hit in hits)


@cache
def _empty_of_all() -> dict[str, frozenset[str]]:
    return {language: frozenset(lists["empty"].split()) for language, lists in stop_words().items()}


def _put(mended: Mapping[str, str], text: str) -> str:
    for wrong, right in mended.items():
        text = re.sub(rf"(?<!\w){re.escape(wrong)}(?!\w)", right, text, flags=re.IGNORECASE)
    return text


def _whole_words(text: str) -> Iterator[str]:
    """Words of letters alone, not parts of such as "mp3" or "x-box"."""
    for found in re.finditer(r"(?<![\w\-/.@])[^\W\d_]+(?![\w\-/@]|\.\w)", text):
        yield found[0]
