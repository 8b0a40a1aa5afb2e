"""Words: one way of cutting text, the index's own, for evaluation and answering.

Qdrant's tokenizer `word`, which both forms of the index use, cuts at every character that is not alphanumeric by Rust's
rule, that is neither Unicode's Alphabetic nor a number, and lower-cases each word. Alphabetic has the vowel signs of
Hindi, Tamil, Thai or Arabic, so these stay inside their words. It has neither Devanagari's virama nor Thai's tone
marks, so the engine cuts there, and so does `words`: evaluation's figures must stand for what the index will find.
Nothing is folded: `maquina` is not `máquina`, and a run of Chinese or Japanese is one word.
"""

import re

import regex

_ASCII = re.compile(r"[A-Za-z0-9]+")
_WORD = regex.compile(r"[\p{Alphabetic}\p{N}]+")


def words(text: str) -> list[str]:
    """The lower-cased words of a text, in order: "5.2 cu. ft." gives 5, 2, cu, ft."""
    found = _ASCII.findall(text) if text.isascii() else _WORD.findall(text)
    return [word.lower() for word in found]  # not before: the small form of "İ" has a dot that is no letter
