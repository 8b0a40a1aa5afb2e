"""Rows of the synthetic catalogue (`include.sample.write`) made as long as those of AmazonTitles-1.3MM.

For measurements of speed and memory: there, what a row weighs decides. The real `trn` has 795-840 bytes a row:
a third without a content, the others of 47 to 1,728 characters (5-95 %), and 22 links. What is added here is
words without a meaning, about as hard to compress as English.
"""

import random
from functools import cache

from include.sample.dirt import Row
from include.sample.words import CATEGORIES

LINKS = 22.2  # entries of `target_ind` in a row, on average
MOST_LINKS = 150
MEDIAN_CHARS, SPREAD = 440, 0.85  # of contents: the median, and the deviation of its natural logarithm
MOST_CHARS = 8000
WORD = 6.9  # characters of a word, its space included
EMPTIED = 0.18  # with those that `include.sample.write` leaves empty, a third of all
NOTES = 0.15  # share of contents that end in an edition note


def lengthen(row: Row, dice: random.Random, labels: int) -> Row:
    """`row` with a longer content, or none, and more links to rows near its own.

    Args:
        row: Of `trn` or `tst`; its content may be empty, and stays so then.
        dice: Decides.
        labels: Rows of `lbl`.
    """
    content = "" if dice.random() < EMPTIED else row["content"]
    if content:
        missing = min(dice.lognormvariate(0, SPREAD) * MEDIAN_CHARS, MOST_CHARS) - len(content)
        content = " ".join([content, *dice.choices(_words(), k=max(int(missing / WORD), 0))])
        if dice.random() < NOTES:
            content += ". This text refers to the Hardcover edition."
    own = row["target_ind"]
    count = min(int(dice.expovariate(1 / (LINKS - 2))), MOST_LINKS)
    middle = own[0] if own else labels // 2
    low, high = max(middle - 500, 0), min(middle + 500, labels)
    targets = sorted({*own, *dice.choices(range(low, high), k=count)})
    return row | {"content": content, "target_ind": targets, "target_rel": [1.0] * len(targets)}


@cache
def _words() -> list[str]:
    """Every word of the vocabulary, and some of them with the full stop that ends a sentence."""
    words = {
        word
        for category in CATEGORIES
        for text in (*category.facts, *category.features.values())
        for word in text.split()
    }
    for category in CATEGORIES:
        for kind in category.kinds:
            words.update(" ".join((kind.name, kind.use, *kind.synonyms, *kind.accessories)).split())
    plain = sorted(word.strip(".,") for word in words)
    return plain * 9 + [f"{word}." for word in plain]
