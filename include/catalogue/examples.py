"""Questions to begin with, made of a catalogue's own products: for a page on which nothing has been asked yet."""

import re
from collections.abc import Iterator
from pathlib import Path

from include.catalogue.schema import open_parquet

READ = 200  # products, the first of each of ROW_GROUPS row groups
ROW_GROUPS = 5
NAME_WORDS = 7  # at most
ENGLISH = "english"

# What a text tells, and the question that it answers. All English: other catalogues are shown names alone.
TOLD = (
    (r"\bholds? (?:up to )?[\d.,]+", "How much does the {name} hold?"),
    (r"\bweighs? (?:only |about )?[\d.,]+", "How heavy is the {name}?"),
    (r"\bcompatible with \w+", "What is the {name} compatible with?"),
    (r"\bwarranty\b", "How long is the warranty of the {name}?"),
    (r"\bdishwasher safe\b", "Is the {name} dishwasher safe?"),
)
FACTS = 3  # questions for one; the others are names, which always find something
_CUT = re.compile(r"\s*(?:[,(\[|–—:;]| - ).*", re.DOTALL)


def example_questions(products: Path, count: int = 5, *, language: str | None = ENGLISH) -> list[str]:
    """Questions that products of a catalogue answer; the same for the same catalogue. Fewer where titles are no names.

    Args:
        products: A catalogue's `products.parquet`.
        count: At most so many.
        language: The catalogue's, as an index version has it. Facts are asked for in English alone, since they are
            told by English words; of another language the questions are names of products.
    """
    rows = [(name, content) for title, content in _rows(products) if (name := _name(title))]
    asked: dict[str, str] = {}  # by question, its product's name
    for pattern, question in TOLD if language == ENGLISH else ():
        told = ((name, content) for name, content in rows if name not in asked.values())
        found = next((name for name, content in told if re.search(pattern, content, re.IGNORECASE)), None)
        if found is not None and len(asked) < min(FACTS, count):
            asked[question.format(name=found)] = found
    # The others from all over what was read: products that stand side by side are often alike.
    for step in range(count if rows else 0):
        name, _ = rows[step * len(rows) // count]
        if len(asked) < count and name not in asked.values():
            asked[name] = name
    return list(asked)


def _rows(products: Path) -> Iterator[tuple[str, str]]:
    with open_parquet(products) as file:
        groups = range(0, file.num_row_groups, max(1, file.num_row_groups // ROW_GROUPS))
        for batch in file.iter_batches(READ, row_groups=list(groups)[:ROW_GROUPS], columns=["title", "content"]):
            yield from zip(batch["title"].to_pylist(), batch["content"].to_pylist(), strict=True)


def _name(title: str) -> str:
    """What to call a product: its title up to the first sign; empty of a title that is no short name."""
    words = _CUT.sub("", title).split()
    return " ".join(words) if 1 < len(words) <= NAME_WORDS and any(word.isalpha() for word in words) else ""
