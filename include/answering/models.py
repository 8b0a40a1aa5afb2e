"""Model numbers that a question names: `kx-tg6545`, the "7d" of "canon eos 7d", the "1450" of "garmin nuvi 1450".

A product without the number is another product, however like it is. Numbers that count or measure ("120gb",
"50 inches", "802.11n", "1080p", "4th") are none.
"""

import re
from collections.abc import Sequence

from include.answering.wording import EMPTY, Wording, is_model, stems
from include.store.protocol import Hit
from include.store.terms import empty_words, fold, stop_words
from include.store.words import words


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_QUANTITY = re.compile(
    r"\d+(?:st|nd|rd|th|[gmtk]b|mpx?|i|p|x|k|g|kg|mg|lbs?|oz|m?l|cl|qt|gal|cu|w|kw|k?wh|v|vac|vdc|m?ah?|amps?|"
    r"[kmg]?hz|dba?|mm|cm|m|km|in|inch(?:es)?|ft|feet|yd|sq|m2|h|hrs?|hours?|mins?|s|secs?|ms|days?|months?|years?|yrs?|"
    r"rpm|ppm|fps|dpi|mph|[mgk]bps|btus?|c|f|pack|pcs?|pk|way|ch|in1|bit|a|ac|n|[23]?d(?<=[23]d))|"
    r"mp\d|mpeg\d|h26\d|[ab]\d|ip[x\d]\d|\d+f\d+|\d+x\d+|\d+to\d+"
)
_TOKEN = re.compile(r"[^\s,;:?!()\"“”]+")
_FOR = _names("for with on as than fit fits to in into use uses take takes")
_NO_NAME = EMPTY | _names(
    "number no nr shade size sizes spf version page step age ages year years season part over under above below least "
    "most than between up top first last around approximately price cost max min"
)
_BASE = 5  # letters and digits of two numbers that differ in the letters behind these: "wm2233w", "wm2233hw"


def unknown_model(question: str, hits: Sequence[Hit]) -> str:
    """The first model number in the question that no product has, as it is written; empty where there is none.

    Whatever it is for is left out ("case for my nikon d90"): an accessory's text need not name it.
    """
    tokens = [token.strip(".'’") for token in _TOKEN.findall(question)]
    titles = [Wording(f"{hit.title} {hit.uid}") for hit in hits]
    texts = [f"{hit.title} {hit.uid} {hit.content} {' '.join(map(str, hit.attributes.values()))}" for hit in hits]
    for place, token in enumerate(tokens):
        before = tokens[place - 1].lower() if place else ""
        if not _is_model(token, before, tokens[place + 1 : place + 2], titles) or _for_another(tokens[:place], titles):
            continue
        if not any(_has(text, "".join(words(token)), before) for text in texts):
            return token if len(token) > 4 or not before else f"{before} {token}"
    return ""


def is_code(word: str) -> bool:
    """Whether a title's word is a model number: letters with digits that measure nothing, or many digits."""
    return (is_model(word) and not _QUANTITY.fullmatch(word)) or (word.isdigit() and len(word) >= _BASE)


def _is_model(token: str, before: str, behind: Sequence[str], titles: Sequence[Wording]) -> bool:
    """Letters with digits that measure nothing, or a number behind a name that a title has, but before no noun."""
    code = "".join(words(token))
    if not any(map(str.isdigit, code)) or _QUANTITY.fullmatch(code) or re.search(r"\d[.,/]\d|['″]", token):
        return False
    name = before.isalpha() and before not in _NO_NAME and not _is_empty(before)
    named = name and any(title.has(stems(before)[0]) == 1 for title in titles)
    if is_model(code):
        return named or len(code) > 3
    counts = bool(behind) and re.fullmatch(
        r"and|or|to|x|-|gb|tb|mb|in|inch|ft|cm|mm|\w+s|w\w*|mega\w+", behind[0], re.I
    )
    return named and 2 <= len(code) <= 5 and not counts


def _is_empty(word: str) -> bool:
    """Whether it is an empty word of any language: "a copa de 1998" names no model of "de"."""
    return any(fold(word) in empty_words(language) for language in stop_words())


def _for_another(before: Sequence[str], titles: Sequence[Wording]) -> bool:
    """Whether the tokens before it say what it is for: of "case for my nikon d90" the title has the case."""
    near = next((n for n in range(len(before) - 1, max(len(before) - 6, 0), -1) if before[n].lower() in _FOR), 0)
    things = [stem for word in before[:near] if word.lower() not in EMPTY for stem in stems(word)]
    return any(title.has(thing) == 1 for thing in things for title in titles)


def _has(text: str, code: str, before: str) -> bool:
    found = words(text)
    if code in found:
        return True
    joined = "".join(found)
    if len(code) > 3 or is_model(code):
        if code in joined if len(code) > 3 else f"{''.join(words(before))}{code}" in joined:
            return True
    elif any(code in word and is_model(word) for word in found) or f"{before}{code}" in joined:
        return True
    base = code.rstrip("abcdefghijklmnopqrstuvwxyz")
    return len(base) >= _BASE and base in joined
