"""What the accepted rows of a catalogue file look like: lengths, scripts, texts that come again and again.

For the data report. Memory is bounded: one counter a length, and 8 bytes for each row whose text an earlier
row has.
"""

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from include.catalogue.columns import fixed, numbers
from include.catalogue.schema import read_rows
from include.catalogue.table_writer import TableWriter

Histogram = npt.NDArray[np.int64]

SHARES = {"min": 0.0, "p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "max": 1.0}
REPEATED = 20  # of the texts that come most often, so many are named

# The first word of a character's Unicode name is its script, but for Han and for what Chinese and Japanese write.
SCRIPTS = {
    "LATIN": "Latin",
    "CYRILLIC": "Cyrillic",
    "GREEK": "Greek",
    "CJK": "Han",
    "IDEOGRAPHIC": "Han",
    "HIRAGANA": "Kana",
    "KATAKANA": "Kana",
    "KATAKANA-HIRAGANA": "Kana",
    "HANGUL": "Hangul",
    "ARABIC": "Arabic",
    "HEBREW": "Hebrew",
    "DEVANAGARI": "Devanagari",
    "THAI": "Thai",
}
OTHER, NONE = "other", "none"
_BEYOND_LATIN = re.compile("[^\x00-\u024f\u1e00-\u1eff\u2000-\u2bff]")
_LATIN_LETTER = re.compile("[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff]")


class Profile:
    """Counts over the accepted rows of one file.

    Args:
        max_title_chars: No title is longer.
        max_content_chars: Likewise.
    """

    def __init__(self, max_title_chars: int, max_content_chars: int) -> None:
        self._titles = np.zeros(max_title_chars + 1, np.int64)
        self._contents = np.zeros(max_content_chars + 1, np.int64)
        self._scripts: Counter[str] = Counter()
        self._repeats: list[npt.NDArray[np.uint64]] = []

    def add(self, titles: pa.StringArray, contents: pa.StringArray, repeats: npt.NDArray[np.uint64]) -> None:
        """Count rows.

        Args:
            titles: Clean.
            contents: As many; empty where there is none.
            repeats: For each of these rows whose text is that of an earlier row: that row's number.
        """
        _count_lengths(self._titles, titles)
        _count_lengths(self._contents, contents)
        self._scripts.update(scripts(titles))
        if len(repeats):
            self._repeats.append(repeats)

    def stats(self, table: TableWriter) -> dict[str, Any]:
        """Shares and counts, lengths and scripts; `table` holds the rows that were counted, all written."""
        contents = self._contents.copy()
        contents[0] = 0
        rows = int(self._titles.sum())
        return {
            "with_content": round(int(contents.sum()) / rows, 4) if rows else 0.0,
            "without_content": rows - int(contents.sum()),
            "title_chars": quantiles(self._titles),
            "content_chars": quantiles(contents),
            "title_histogram": histogram(self._titles),
            "content_histogram": histogram(contents),
            "title_scripts": dict(self._scripts.most_common()),
            "repeated_texts": self._repeated(table),
        }

    def _repeated(self, table: TableWriter) -> list[dict[str, Any]]:
        if not self._repeats:
            return []
        first, counts = np.unique(np.concatenate(self._repeats), return_counts=True)
        top = np.lexsort((first, -counts))[:REPEATED]
        wanted = first[top].tolist()
        titles = _titles_at(table, wanted)
        return [
            {"title": titles[row], "line": row + 1, "count": 1 + count}
            for row, count in zip(wanted, counts[top].tolist(), strict=True)
        ]


def _titles_at(table: TableWriter, wanted: list[int]) -> dict[int, str]:
    """The titles of these rows, by row number; only row groups that hold one of them are read."""
    found: dict[int, str] = {}
    rows = fixed(np.array(wanted, np.int64), pa.int64())
    groups = [
        group for group, (low, high) in enumerate(table.row_ranges()) if any(low <= number <= high for number in wanted)
    ]
    for part in read_rows(table.path, ["row", "title"], groups):
        hits = part.filter(pc.is_in(part["row"], rows))
        found.update(zip(hits["row"].to_pylist(), hits["title"].to_pylist(), strict=True))
    return found


def scripts(titles: pa.StringArray) -> Counter[str]:
    """How many of these titles are in each script: that of most of their letters; `none` without any letter."""
    ascii_only = pc.string_is_ascii(titles)
    plain = titles.filter(ascii_only)
    lettered = pc.sum(pc.match_substring_regex(plain, "[A-Za-z]")).as_py() or 0
    found = Counter({"Latin": lettered, NONE: len(plain) - lettered})
    found.update(map(script, titles.filter(pc.invert(ascii_only)).to_pylist()))
    return +found


def script(title: str) -> str:
    """The script of most letters of `title`; of equally many, that of the first."""
    if _BEYOND_LATIN.search(title) is None:
        return "Latin" if _LATIN_LETTER.search(title) else NONE
    letters = Counter(found for found in map(_script_of, title) if found)
    return max(letters, key=letters.__getitem__) if letters else NONE


@lru_cache(maxsize=10_000)
def _script_of(character: str) -> str:
    if not character.isalpha():
        return ""
    words = unicodedata.name(character, "").split()
    first = words[1] if words[:1] in (["HALFWIDTH"], ["FULLWIDTH"]) else words[0] if words else ""
    return SCRIPTS.get(first, OTHER)


def _count_lengths(counts: Histogram, texts: pa.StringArray) -> None:
    lengths = numbers(pc.utf8_length(texts))
    counts += np.bincount(lengths, minlength=len(counts))


def quantiles(counts: Histogram) -> dict[str, int]:
    """Exact quantiles of lengths, in characters, from the number of texts of each length."""
    total = int(counts.sum())
    if not total:
        return {}
    below = np.cumsum(counts)
    return {name: int(np.searchsorted(below, max(share * total, 1))) for name, share in SHARES.items()}


def histogram(counts: Histogram) -> dict[str, list[int]]:
    """Bins whose bounds grow by halves of a doubling (1, 2, 3, 4, 6, 8, 12 …), for a plot on a logarithmic axis.

    Returns:
        `counts[i]` texts have a length in `bounds[i] <= length < bounds[i + 1]`; `bounds` is one longer. Texts of
        length 0 are in none. Bins before the shortest and behind the longest text are left out.
    """
    lengths = np.flatnonzero(counts[1:]) + 1
    if not len(lengths):
        return {"bounds": [], "counts": []}
    bounds = [1]
    while bounds[-1] <= lengths[-1]:
        power = 1 << (bounds[-1].bit_length() - 1)
        bounds.append(power * 3 // 2 if bounds[-1] == power > 1 else power * 2)
    while bounds[1] <= lengths[0]:
        bounds.pop(0)
    binned = np.add.reduceat(np.append(counts, 0), np.minimum(bounds, len(counts)))[:-1]
    return {"bounds": bounds, "counts": binned.tolist()}
