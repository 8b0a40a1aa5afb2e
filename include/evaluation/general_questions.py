"""General questions, as a guard: what a sentence of a held-out product's content says, without codes and names.

A model may learn a shortcut: where a product code stands in title and content, finding equal codes wins
`title_to_content`, and what people ask in words of their own gets lost. So codes, numbers and the rare words of the
product's own title are taken out of the question. The sentence stays in the product: without it, products that share
a template ("is made for … in the …") would be nearer than the one that is asked for.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

LEAST, MOST = 4, 12  # words of a question; a longer sentence is cut into several
RARE = 0.01  # share of the titles, at most, that a rare word stands in
_END = re.compile(r"(?<=[.!?;])\s+|[\n•]+")
_WORD = re.compile(r"\w+")


def title_words(titles: Sequence[str]) -> Counter[str]:
    """In how many of the titles each word stands."""
    return Counter(word for title in titles for word in set(_words(title)))


def general_question(title: str, content: str, frequent: Counter[str], titles: int) -> str | None:
    """A question for a product; None where no sentence has enough general words.

    Args:
        title, content: Of the product.
        frequent: From `title_words`.
        titles: How many titles that was.
    """
    own = {word for word in _words(title) if frequent[word] <= max(RARE * titles, 1)}
    asked = max((list(_general(sentence, own)) for sentence in _sentences(content)), key=len, default=[])
    return " ".join(asked) if len(asked) >= LEAST else None


def _sentences(content: str) -> Iterator[str]:
    """Pieces of a text, of at most MOST words between blanks each."""
    for sentence in _END.split(content):
        words = sentence.split()
        for start in range(0, len(words), MOST):
            yield " ".join(words[start : start + MOST])


def _general(sentence: str, own: Collection[str]) -> Iterator[str]:
    """The words of a sentence that are no codes, no numbers and not the product's own."""
    for word in _WORD.findall(sentence):
        folded = word.casefold()
        if folded not in own and not any(map(str.isdigit, word)):
            yield folded


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]
