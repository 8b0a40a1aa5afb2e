"""The words of an index with the number of products that have each: what mistyped words are mended against.

One file of a version's artifact, sorted by word, a line each: `word<TAB>count`, after an empty first line. A word is
found by halves; only the lines of one first letter are taken apart.
"""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from include.store.words import words

VOCABULARY_FILE = "words.tsv"
MOST = 200_000  # words that are kept, the most frequent
HELD = 2_000_000  # words counted at once; beyond, those that came once are forgotten


class Vocabulary:
    """The words of a version; words that few of very many products have may be left out.

    Args:
        file: `VOCABULARY_FILE` of its artifact.
    """

    def __init__(self, file: Path) -> None:
        self._text = file.read_bytes()

    def count(self, word: str) -> int:
        """How many products have the word, in small letters; 0 where it is not kept."""
        key = f"{word}\t".encode()
        begin = self._at(key)
        if not self._text.startswith(key, begin):
            return 0
        return int(self._text[begin + len(key) : self._text.index(b"\n", begin)])

    def beginning(self, letter: str, least: int, most: int) -> list[str]:
        """The words that begin with this letter and have `least` to `most` characters."""
        begin, end = self._at(letter.encode()), self._at(letter.encode() + b"\xff")  # in no text
        return re.findall(rf"^(.{{{least},{most}}})\t", self._text[begin:end].decode(), re.MULTILINE)

    def _at(self, key: bytes) -> int:
        """Where the first line begins that is not before `key`; by halves, since UTF-8 is sorted as its characters."""
        low, high = 0, len(self._text)
        while low < high:
            middle = (low + high) // 2
            begin, end = self._text.rfind(b"\n", 0, middle) + 1, self._text.index(b"\n", middle)
            if self._text[begin:end] < key:
                low = end + 1
            else:
                high = begin
        return low


def write_vocabulary(texts: Iterable[str], file: Path) -> int:
    """Count the words of products, each once a product, and write them; how many were kept.

    Args:
        texts: A product's text each.
        file: Where to; replaced.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(set(words(text)))
        if len(counts) > HELD:
            counts = Counter({word: count for word, count in counts.items() if count > 1})
    kept = sorted(counts.most_common(MOST))
    file.write_text("\n" + "".join(f"{word}\t{count}\n" for word, count in kept), encoding="utf-8")
    return len(kept)
