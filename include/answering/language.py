"""Which language a question is in, told by its common words, its letters and endings, and its script.

A question is short, and often three words from a shop's shelf: what is not sure has no language, and is taken for the
catalogue's. A wrong guess costs more than none, since the question would be translated, or refused.

| question | language | why |
|---|---|---|
| A chaleira é segura para lava-louças? | pt | é, para, -eira |
| filmadora à prova d'água | pt | à, água |
| aspiradora con filtro hepa para alfombras | es | con; para is Portuguese too |
| Wie lang ist das Kabel? | de | wie, ist, das |
| sony wireless headphones | | no common word |
| eau de toilette | | de is a word of four languages |
| どの炊飯器が一番ですか | ja | its script |
"""

import json
import re
from functools import cache
from pathlib import Path

from include.store.terms import fold, stop_words
from include.store.words import words

CODES = {  # Snowball's name of a language, by which an index goes, and ISO 639-1
    "arabic": "ar",
    "armenian": "hy",
    "basque": "eu",
    "catalan": "ca",
    "danish": "da",
    "dutch": "nl",
    "english": "en",
    "estonian": "et",
    "finnish": "fi",
    "french": "fr",
    "german": "de",
    "greek": "el",
    "hindi": "hi",
    "hungarian": "hu",
    "indonesian": "id",
    "irish": "ga",
    "italian": "it",
    "lithuanian": "lt",
    "nepali": "ne",
    "norwegian": "no",
    "portuguese": "pt",
    "romanian": "ro",
    "russian": "ru",
    "serbian": "sr",
    "spanish": "es",
    "swedish": "sv",
    "tamil": "ta",
    "turkish": "tr",
    "yiddish": "yi",
}
SURE = 1.0  # of evidence: a word that no other language has is 1, one of two languages a half
SHAPED = 0.4  # a word that is in no list and looks like one of the language
AHEAD = 1.5  # times the evidence for the next language
WORDS = 2  # that speak for a language; one alone may be a brand

# What people write in a shop's search field, by language, beside the empty words of `stop_words`; the English ones with
# those that are spelt like a word of another language.
SEARCHED = Path(__file__).with_name("searched_words.json")
# Letters and endings of words that are in no list.
_SHAPES = {
    "pt": re.compile(
        r"[ãõ]|ç[aãõo]|[^aeiou]lh[aeoã]|[ai]nh[ao]s?$|[áâéêíóôú].*[ao]gem$|(?:eir|dor|dur)as?$|ável$|ível$|[êô]"
    ),
    "es": re.compile(r"ñ|ción$|ciones$|[áéíóú].*idad$|llas?$|illos?$|(?:dor|dora)s?$"),
    "fr": re.compile(r"œ|^[dlj]['’][a-zéèêà]|eaux?$|euses?$|eurs?$|[èêîûë]"),
    "de": re.compile(r"[äöüß]|(?<!sams)ungs?$|keit$|heit$|^sch|tz"),
    "it": re.compile(r"zioni?$|[òìù]$|^(?:dell|nell|all|sull)|gli[ao]?$|cch"),
}
_SCRIPTS = (  # the first that has a letter of the question
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\u1100-\u11ff\uac00-\ud7af]")),
    ("zh", re.compile("[\u3400-\u9fff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
)
_LETTER = re.compile(r"[^\W\d_]")


def detect(question: str) -> str:
    """The language of a question, ISO 639-1; empty where it is not sure.

    >>> detect("Quanto pesa a chaleira?"), detect("How heavy is the kettle?"), detect("Brasato Mika")
    ('pt', 'en', '')
    """
    letters = _LETTER.findall(question)
    for code, script in _SCRIPTS:
        if 2 * len(script.findall(question)) > len(letters) or (code == "ja" and script.search(question)):
            return code
    (best, most), (_, second) = sorted(evidence(question).items(), key=lambda each: -sum(each[1]))[:2]
    return best if len(most) >= WORDS and sum(most) >= max(SURE, AHEAD * sum(second)) else ""


def evidence(question: str) -> dict[str, list[float]]:
    """For each language how much each of the question's words speaks for it, without those that do not."""
    found: dict[str, list[float]] = {code: [] for code in CODES.values()}
    for word in set(words(question)):
        weights = {
            code: SHAPED for code, shape in _SHAPES.items() if word.isalpha() and shape.search(word)
        } | _telling().get(word, {})
        for code, weight in weights.items():
            found[code].append(weight)
    return found


@cache
def _telling() -> dict[str, dict[str, float]]:
    """By word, also without its accents, the languages that have it, with the weight for each."""
    having: dict[str, set[str]] = {}
    for name, lists in stop_words().items():
        for word in " ".join(lists.values()).split():
            if len(word) > 1 or not word.isascii():  # "e", "l" and "n" are more often a brand's initials
                having.setdefault(word, set()).add(CODES[name])
    for code, listed in json.loads(SEARCHED.read_bytes()).items():
        for word in listed.split():
            having.setdefault(word, set()).add(code)
    for word in [each for each in having if len(each) > 2 and not each.isascii()]:
        having.setdefault(fold(word), set()).update(having[word])
    return {word: dict.fromkeys(codes, 1 / len(codes)) for word, codes in having.items()}
