"""Terms: what of a text is searched by words, one definition for the index, its questions, and evaluation.

A word becomes its stem (Snowball's, of the index's language) without accents: `headphones` and `Headphone` are one
term, `maquina` and `máquina` too. A number gives one term with the letters before it and one with those after it,
however they are written: `TH-50 PZ800U`, `th50pz800u` and `TH 50PZ800 U` all give th50, 50pz, pz800 and 800u; `40 in`,
`40in` and `40 inches` give 40in. Words that a hyphen joins are also one: `blu-ray` gives blu, ray and bluray.

The index holds the terms, one space between two, in a payload field that the engine cuts as plain words: see
docs/decisions/0006-terms-are-our-own.md for why.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import Stemmer

from include.store.words import words

NONE = "none"  # the language of an index whose words are not stemmed
STOP_WORDS = Path(__file__).with_name("stop_words.json")  # Snowball's and NLTK's lists, and a shopper's asking words
MOST_KEPT = 1_000_000  # words whose terms are remembered

_LETTERS, _DIGITS = "[a-z]", "[0-9]"
_GAP = r"[ \-/_.]?"  # between a number and its letters
_THOUSANDS = re.compile(r"(?<![0-9.,])([0-9]{1,3}(?:,[0-9]{3})+)(?![0-9,])")
_INCHES = re.compile(r"(?<=[0-9]) ?(?:''|[\"”″])")
_NUMBER = re.compile(rf"{_DIGITS}+")
_BEFORE = re.compile(rf"(?<!{_LETTERS})({_LETTERS}+)({_GAP})\Z")
_SERIES = re.compile(rf"(?<!\w)({_LETTERS}{{1,4}})[ \-/]({_LETTERS}{{1,4}})\Z")  # NP-FH70, NP FH70
_REACH = 24  # characters before a number that are looked at
_AFTER = re.compile(rf"({_DIGITS}+(?:\.{_DIGITS}+)?){_GAP}(?=({_LETTERS}+))")
_JOINED = re.compile(rf"(?<!\w){_LETTERS}{{2,}}(?:-{_LETTERS}{{2,}})+(?!-?\w)")
_MIXED = re.compile(r"(?=.*[0-9])(?=.*[a-z])[a-z0-9]+")
_UNITS = {
    **dict.fromkeys(("inch", "inches"), "in"),
    **dict.fromkeys(("foot", "feet"), "ft"),
    **dict.fromkeys(("ounce", "ounces"), "oz"),
    **dict.fromkeys(("pound", "pounds", "lbs"), "lb"),
    **dict.fromkeys(("watt", "watts"), "w"),
    **dict.fromkeys(("volt", "volts"), "v"),
    **dict.fromkeys(("litre", "litres", "liter", "liters"), "l"),
    **dict.fromkeys(("metre", "metres", "meter", "meters"), "m"),
    **dict.fromkeys(("centimetre", "centimetres", "centimeter", "centimeters"), "cm"),
    **dict.fromkeys(("millimetre", "millimetres", "millimeter", "millimeters"), "mm"),
    **dict.fromkeys(("gram", "grams", "gramme", "grammes"), "g"),
    **dict.fromkeys(("kilogram", "kilograms", "kilo", "kilos", "kgs"), "kg"),
    **dict.fromkeys(("gigabyte", "gigabytes", "gigs"), "gb"),
    **dict.fromkeys(("terabyte", "terabytes"), "tb"),
    **dict.fromkeys(("megabyte", "megabytes"), "mb"),
    **dict.fromkeys(("megapixel", "megapixels", "mpx"), "mp"),
}


class Terms:
    """The terms of texts in one language: a Snowball language, or `NONE`.

    Safe to use from several threads in so far as each has its own.
    """

    def __init__(self, language: str) -> None:
        self._terms_of = _Remembered(_stemmer(language))
        self._empty = empty_words(language)

    def document(self, text: str) -> str:
        """All terms of a product's text, for the engine's field: one space between two."""
        return " ".join(filter(None, self._all(text, words)))

    def product(self, title: str, content: str) -> str:
        """The terms of a product: those of its title count twice, being what it is rather than what is said of it."""
        own = self.document(title)
        return f"{own} {own} {self.document(content)}".strip()

    def question(self, text: str) -> str:
        """The terms that are searched for: each once, without the words that say nothing of what is wanted.

        A question of nothing else ("The Who") is searched for as it is.
        """
        found = self._all(text, self._telling) if any(self._telling(text)) else self._all(text, words)
        return " ".join(dict.fromkeys(term for terms in found for term in terms.split()))

    def _telling(self, text: str) -> list[str]:
        return [word for word in words(text) if fold(word) not in self._empty]

    def _all(self, text: str, cut: Callable[[str], list[str]]) -> list[str]:
        text = text.lower()
        joined = _JOINED.findall(text) if "-" in text else []
        own = [self._terms_of[word.replace("-", "")] for word in joined]
        if _NUMBER.search(text):
            text = _INCHES.sub(" in ", _THOUSANDS.sub(lambda found: found[0].replace(",", ""), text))
            for number in _NUMBER.finditer(text):
                own += self._before(text[max(number.start() - _REACH, 0) : number.start()], number[0])
            for amount, unit in _AFTER.findall(text):
                own.append(amount.replace(".", "p") + (_UNITS.get(unit) or self._terms_of[unit]))
        return [self._terms_of[word] for word in cut(text)] + own

    def _before(self, text: str, number: str) -> Iterator[str]:
        """The terms of a number with what stands before it."""
        found = _BEFORE.search(text)
        whole = found and found[2] == " " and not text[: found.start()][-1:].isdigit()
        if found and not (whole and found[1] in self._empty):  # "for 12" is not "FOR12"
            yield found[1] + number
        if series := _SERIES.search(text):
            yield series[1] + series[2] + number


class _Remembered(dict[str, str]):
    """The terms of a word, worked out once; a word of letters and digits has none but those of its numbers."""

    def __init__(self, stem: Callable[[str], str]) -> None:
        self._stem = stem

    def __missing__(self, word: str) -> str:
        if len(self) > MOST_KEPT:
            self.clear()
        if word.isascii():
            terms = "" if _MIXED.fullmatch(word) else self._stem(word)
        else:  # a plural's ending may need its accent, and who asks may leave it out
            terms = " ".join(dict.fromkeys([fold(self._stem(word)), self._stem(fold(word))]))
        self[word] = terms
        return terms


def fold(word: str) -> str:
    """A word of Latin letters without their accents; any other as it is."""
    if word.isascii():
        return word
    plain = "".join(each for each in unicodedata.normalize("NFKD", word) if not unicodedata.combining(each))
    plain = plain.replace("ß", "ss").replace("ø", "o").replace("æ", "ae").replace("œ", "oe").replace("ł", "l")
    return plain if plain.isascii() else word


@cache
def empty_words(language: str) -> frozenset[str]:
    """The words, without accents, that no question is searched for by; none for a language without a list."""
    lists = stop_words().get(language, {})
    return frozenset(fold(word) for kind in lists.values() for word in kind.split())


@cache
def stop_words() -> dict[str, dict[str, str]]:
    """By language, words with a space between two: `empty` ones, and in some languages a shopper's `asking` ones."""
    lists: dict[str, dict[str, str]] = json.loads(STOP_WORDS.read_bytes())
    return lists


def _stemmer(language: str) -> Callable[[str], str]:
    return str if language == NONE else Stemmer.Stemmer(language, 0).stemWord  # its own cache off: ours is
