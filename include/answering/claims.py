"""What a sentence claims that its source must hold letter by letter: numbers with their units, names, what is denied.

A model that writes "1.9 litres" for 1.7, "Sony" for Bose, or leaves out a "not", changes few words and little of the
meaning that a vector sees. So these are compared as they stand. No conversion is made: "60 minutes" is not found in "1
hour", and no sum or difference is found where the source has only its parts.
"""

import re

import regex

from include.answering.units import UNITS, number
from include.answering.wording import keywords

Quantity = tuple[str, str]  # a number in its plainest form, and its unit's; no unit is ""

_COUNTS = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_COUNTED = {word: str(number) for number, word in enumerate(_COUNTS, 2)}
_NUMBER = re.compile(
    r"(?<![^\W_])(?:(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?)|(?P<word>" + "|".join(_COUNTS) + r")\b)"
    r"(?:[\s-]{0,2}(?P<unit>''|[^\W\d_]+|[°″′\"'%]))?",
    re.IGNORECASE,
)
_NAME = regex.compile(
    r"(?<![\p{Alphabetic}\p{N}])(?:\p{Lu}[\p{Alphabetic}\p{N}]*|\p{Alphabetic}+\p{N}[\p{Alphabetic}\p{N}]*)"
)
_STARTS = re.compile(r"(?:^|[.!?:;]\s|\n)[\W\d_]*\Z")
_CLAUSE = re.compile(r"[,;:!?()]|\.\s|\s[-–—]\s|\b(?:but|and|while|although|though|however|yet)\b", re.IGNORECASE)
_NOT = re.compile(
    r"\b(?:not(?! only| just| merely)|no(?!\.?\s?\d)|"  # "No 5" is a name
    r"never|without|cannot|neither|nor|non|lacks?|excludes?|excluding)\b|n['’]t\b",
    re.IGNORECASE,
)
FREE = (  # without something
    r"\b([^\W_]+)[\s-]free\b(?! (?:of|from|with|shipping|delivery|returns?|gifts?|samples?|trial))|"
    r"\bfree (?:of|from) ((?:[^\W_]+ or )?[^\W_]+)"
)
_FREE = re.compile(FREE, re.IGNORECASE)
_ABSENT = re.compile(r"\W+(?:yet |always )?(?:included|supplied|provided|available|required|needed)\b", re.IGNORECASE)


def quantities(text: str) -> set[Quantity]:
    """The numbers of a text, each with the unit behind it.

    >>> sorted(quantities("Holds 1,200 ml, for six; 1.50 Litres."))
    [('1.5', 'l'), ('1200', 'ml'), ('6', '')]
    """
    return {_quantity(found) for found in _NUMBER.finditer(text)}


def missing_quantities(claimed: str, source: str) -> list[str]:
    """The numbers of `claimed` that `source` does not have, or has with another unit; as they are shown."""
    held = quantities(source)
    bare = {value for value, unit in held if not unit}
    return [
        f"{value} {unit}".strip()
        for value, unit in sorted(quantities(claimed))
        if (value, unit) not in held and value not in (bare if unit else {each for each, _ in held})
    ]


def missing_names(claimed: str, source: str) -> list[str]:
    """The names in `claimed`, capitals inside a sentence and model numbers, that `source` does not have."""
    squeezed = "".join(char for char in source.casefold() if char.isalnum())
    return [
        found[0]
        for found in _NAME.finditer(claimed)
        if found[0] != "I"
        and not (_STARTS.search(claimed[: found.start()]) and found[0][1:].islower())
        and found[0].casefold() not in squeezed
    ]


def contradicts(claimed: str, passage: str) -> bool:
    """Whether a word is denied in one of the two texts and affirmed in the other."""
    ours, theirs = _polarity(claimed), _polarity(passage)
    return any(theirs[word].isdisjoint(polarity) for word, polarity in ours.items() if word in theirs)


def _quantity(found: re.Match[str]) -> Quantity:
    unit = UNITS.get((found["unit"] or "").lower())
    counted = _COUNTED.get((found["word"] or "").lower())
    return counted or f"{number(found['digits']):.10g}", unit.name if unit else ""


def _polarity(text: str) -> dict[str, set[bool]]:
    """Of each word that carries meaning, whether it is denied, affirmed, or both in turn."""
    found: dict[str, set[bool]] = {}
    for denied, part in zip((False, True), read_denials(text), strict=True):
        for word in keywords(part):
            found.setdefault(word, set()).add(denied)
    return found


def read_denials(text: str) -> tuple[str, str]:
    """What a text affirms, and what it denies.

    A denial reaches to the end of its clause, "not included" over the whole of it; "BPA-free" denies BPA.

    >>> read_denials("It is BPA-free and does not leak. Batteries not included.")
    ('It is     does  ', 'BPA  leak Batteries   included.')
    """
    affirmed, denied = [], []
    for clause in _CLAUSE.split(text):
        denied += [freed[1] or freed[2] for freed in _FREE.finditer(clause)]
        rest = _FREE.sub(" ", clause)
        if denial := _NOT.search(rest):
            before, behind = rest[: denial.start()], rest[denial.end() :]
            absent = _ABSENT.match(behind)
            affirmed.append("" if absent else before)
            denied += [before, behind] if absent else [behind]
        else:
            affirmed.append(rest)
    return " ".join(affirmed), " ".join(denied)
