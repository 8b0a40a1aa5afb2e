"""Which language a catalogue's words are in: told by the share of its words that are the empty ones of a language.

Only the languages that `stop_words.json` has a list of can be told. Words of one letter are not counted, and one word
alone tells nothing: "dan" is Dutch and Indonesian. Two languages that are close, such as Danish and Norwegian, are
compared by the words that only one of them has.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from include.catalogue.schema import PRODUCTS_FILE, open_parquet, product_text
from include.store.terms import NONE, stop_words
from include.store.words import words

log = logging.getLogger(__name__)

AUTO = "auto"
GROUPS, ROWS = 16, 256  # row groups, spread over the catalogue, and rows of each that are looked at
LEAST = 0.02  # share of the words, but for the most frequent one; an English catalogue's titles alone have 0.026
AHEAD = 1.2  # times the share of the next language, of words that it shares not: a catalogue of two languages has none


def language_of(catalogue: Path, setting: str) -> str:
    """The language of an index over this catalogue: `setting`, or what its texts say where that is `auto`.

    Returns:
        A Snowball language, or `none`: words are not stemmed, and none is empty.
    """
    if setting != AUTO:
        return setting
    found = detect(_sample(catalogue / PRODUCTS_FILE))
    log.info("language of the catalogue's words: %s", found)
    return found


def detect(texts: Iterable[str]) -> str:
    """The language whose empty words the texts have most of; `none` where no language stands out.

    >>> detect(["A kettle of steel, for tea", "The lamp is dimmable and it has a switch"])
    'english'
    >>> detect(["電気ケトル ガラス製です"])
    'none'
    """
    counts = Counter(word for text in texts for word in words(text))
    least = LEAST * max(sum(counts.values()), 1)
    lists = {name: {word for word in each["empty"].split() if len(word) > 1} for name, each in stop_words().items()}
    found = {name: sorted(counts[word] for word in empty) for name, empty in lists.items()}
    first, second = sorted(lists, key=lambda name: sum(found[name]))[-2:]
    own = {
        one: sum(counts[word] for word in lists[one] - lists[other])
        for one, other in ((first, second), (second, first))
    }
    other, best = sorted(own, key=lambda name: own[name])
    told = min(own[best], sum(found[best][:-1])) >= least and own[best] >= AHEAD * own[other]
    return best if told else NONE


def _sample(products: Path) -> Iterator[str]:
    with open_parquet(products) as file:
        for group in range(0, file.num_row_groups, -(-file.num_row_groups // GROUPS) or 1):
            batch = next(file.iter_batches(ROWS, row_groups=[group], columns=["title", "content"]), None)
            for row in batch.to_pylist() if batch is not None else ():
                yield product_text(row["title"], row["content"])
