"""Sentences of product texts, and how well each answers a question.

Product texts are not prose: units with dots ("7.3 cu . ft."), glued sentences ("easy.Features:"), bullets,
long runs without any full stop. `sentences` copes with those in time linear in the text. `score` rates those of
what a search found; `relevance` combines the encoder's cosine with the share of the question's words that a sentence
has.

The weight was chosen on one half of HetPQA's dev questions (172 that have both relevant and irrelevant
evidence). On the other half (194), ranking each question's evidence with all-MiniLM-L6-v2, P@1 / nDCG:
BM25 0.515 / 0.755, cosine 0.634 / 0.827, this 0.680 / 0.847.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from include.answering.remembered import Encodes
from include.answering.wording import Wording, telling
from include.catalogue.attributes import bounded, shown
from include.core.arrays import Vectors
from include.store.protocol import Hit

ENCODED_AT_ONCE = 1200  # characters with padding: eight sentences of like length, or many words
MOST_SENTENCES = 8  # encoded for a question, beside titles: most of an answer's time. More find no more.
LONGEST = 240  # characters: a longer run is cut at a semicolon, comma or space
OVERLAP_WEIGHT = 0.3  # from 0.2 to 0.4, P@1 on the choosing half differs by one question


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# A full stop after these does not end a sentence, whatever follows.
_PREFIXES = _names("mr mrs ms dr st nr vs approx fig vol eg ie e.g i.e incl max min dept jr sr")
# Nor after these, unless a capital letter follows.
_UNITS = _names(
    "cu ft sq in lb lbs oz fl qt gal pt yd mm cm km kg mg ml hr hrs sec pc pcs pkg dia ca etc inc co corp ltd"
)
# Nor, unless a capital letter follows, after these behind a number: "60 g. IPX4" is two sentences, "J. Smith" is one.
_LETTER_UNITS = _names("a c f g h j k l m s v w")
_INITIALS = re.compile(r"[a-z](\.[a-z])+")
_LINE = re.compile(r"[\n\r•·▪●◦‣]")
_BULLET = re.compile(r" (?://|\*|\*\*) ")  # after white space was made single
# Of Chinese, Japanese, Hindi, Arabic and Urdu: they end a sentence whatever follows, and need no space after them.
_ALWAYS = "。！？｡।॥؟۔"
_STOP = re.compile(rf"(?:[.!?]+|[{_ALWAYS}]+)[\"'”’)\]」』）】]*")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Passage:
    """A sentence of a retrieved product.

    Attributes:
        product: The product's position among the hits.
        text: The sentence.
        scored: What is compared with the question: the title, then the sentence. "It holds 1.7 litres" alone
            does not say what does.
    """

    product: int
    text: str
    scored: str

    @property
    def is_title(self) -> bool:
        """Whether it is the product's title itself."""
        return self.text == self.scored


@dataclass(frozen=True)
class Retrieved:
    """What was retrieved for a question: products by rank, their cosines, their sentences and scores."""

    hits: list[Hit]
    cosines: Vectors
    passages: list[Passage]
    scores: Vectors


def sentences(text: str) -> list[str]:
    """Split a product's text into sentences, white space made single, in order.

    No piece is longer than `LONGEST` characters; one of a single word is joined to what follows. Joined
    again with spaces, the pieces give the text, but for bullets and white space.

    >>> sentences("A desk lamp, 4.5 W.  It is dimmable! • Steel")
    ['A desk lamp, 4.5 W.', 'It is dimmable!', 'Steel']
    """
    found: list[str] = []
    for line in _LINE.split(text):
        for item in _BULLET.split(_SPACE.sub(" ", line).strip()):
            for piece in pieces(item):
                found.extend(_cut(piece))
    return found


def word_overlap(question: str, candidates: Sequence[str]) -> NDArray[np.float32]:
    """For each candidate the share, 0-1, of the question's words that it has, rare words counting more.

    A word's weight is its BM25 inverse document frequency among the candidates.

    Returns:
        (candidates,) float32; zeros where the question has no word that carries meaning.
    """
    held = [Wording(candidate) for candidate in candidates]
    total = 0.0
    shares = np.zeros(len(held), np.float32)
    for word in telling(question):
        having = np.fromiter((each.has(word) for each in held), np.float32, len(held))
        count = np.count_nonzero(having)
        weight = math.log1p((len(held) - count + 0.5) / (count + 0.5))
        total += weight
        shares += np.float32(weight) * having
    return shares / np.float32(total or 1.0)


def relevance(cosines: NDArray[np.float32], overlaps: NDArray[np.float32]) -> NDArray[np.float32]:
    """How well sentences answer a question: the weighted mean of cosine and word overlap, at most 1.

    Args:
        cosines: (sentences,) float32, of question and sentence.
        overlaps: (sentences,) float32, from `word_overlap`.
    """
    mixed: NDArray[np.float32] = (1 - OVERLAP_WEIGHT) * cosines + OVERLAP_WEIGHT * overlaps
    return mixed


def score(
    questions: Sequence[str],
    vectors: Vectors,
    retrieved: Sequence[tuple[list[Hit], Vectors]],
    encoder: Encodes,
    given: Sequence[Sequence[re.Pattern[str]]] | None = None,
) -> list[Retrieved]:
    """Score the sentences of all questions' products; every distinct sentence is encoded once.

    Args:
        questions: The questions.
        vectors: (questions, dim) float32, their vectors.
        retrieved: For each its products, and their cosines with it.
        encoder: Of the index.
        given: For each what an answer to it has, such as a number with a unit; nothing where it is left out.
    """
    candidates = [
        _candidates(question, hits, answers)
        for question, (hits, _), answers in zip(questions, retrieved, given or [()] * len(questions), strict=True)
    ]
    encoded = iter(encode([one.scored for passages, _ in candidates for one in passages if not one.is_title], encoder))
    scored = []
    for vector, (hits, cosines), (passages, overlaps) in zip(vectors, retrieved, candidates, strict=True):
        own = [cosines[one.product] if one.is_title else next(encoded) @ vector for one in passages]
        scored.append(Retrieved(hits, cosines, passages, relevance(np.array(own, np.float32), overlaps)))
    return scored


def encode(texts: Sequence[str], encoder: Encodes) -> Vectors:
    """The texts' vectors, (n, dim) float32; each distinct one is encoded once, among others of like length."""
    distinct = sorted(dict.fromkeys(texts), key=len)
    place = {text: number for number, text in enumerate(distinct)}
    encoded = np.concatenate([np.empty((0, encoder.dim), np.float32), *map(encoder.encode, _batches(distinct))])
    return encoded[[place[text] for text in texts]]


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Texts, the shortest first, in batches that are about as much work each."""
    begin = 0
    for end in range(1, len(texts) + 1):
        if end == len(texts) or (end + 1 - begin) * len(texts[end]) > ENCODED_AT_ONCE:
            yield texts[begin:end]
            begin = end


def attribute_texts(hit: Hit) -> list[str]:
    """A product's attributes as passages: "brand: Sony"."""
    return [shown({name: value}) for name, value in bounded(hit.attributes).items()]


def _candidates(question: str, hits: Sequence[Hit], given: Sequence[re.Pattern[str]]) -> tuple[list[Passage], Vectors]:
    """The passages worth encoding, in order of product and place, and their word overlap with the question.

    All titles, and the sentences that have what an answer has, then those that share most words with the question.
    """
    passages: list[Passage] = []
    seen: set[str] = set()
    for product, hit in enumerate(hits):
        if hit.title.strip():  # also where another product has the same one: each may be what is quoted
            passages.append(Passage(product, hit.title, hit.title))
        # Many contents begin with their title.
        for text in [*sentences(hit.content.removeprefix(hit.title)), *attribute_texts(hit)]:
            scored = f"{hit.title}. {text}"
            if text.strip() and text != hit.title and scored not in seen:
                seen.add(scored)
                passages.append(Passage(product, text, scored))
    overlaps = word_overlap(question, [passage.scored for passage in passages])
    worth = [
        -overlap - any(each.search(passage.text) for each in given) if not passage.is_title else -math.inf
        for passage, overlap in zip(passages, overlaps.tolist(), strict=True)
    ]
    kept = np.sort(np.argsort(worth, kind="stable")[: len(hits) + MOST_SENTENCES])
    return [passages[number] for number in kept], overlaps[kept]


def pieces(line: str) -> Iterator[str]:
    """The sentences of one line, of any length."""
    begin = 0
    for stop in _STOP.finditer(line):
        end = stop.end()
        if end < len(line) and (line[stop.start()] in _ALWAYS or _ends_sentence(line, begin, stop.start(), end)):
            yield line[begin:end].strip()
            begin = end
    if rest := line[begin:].strip():
        yield rest


def _ends_sentence(line: str, begin: int, dot: int, end: int) -> bool:
    before = line[max(begin, dot - 20) : dot]
    following = line[end : end + 2].strip()[:1]
    word = before.rsplit(None, 1)[-1].lower().lstrip("(\"'") if before.strip() else ""
    if line[end] != " ":  # glued: "easy.Features" ends one, "12.5", "U.S.A" and "v2.0b" do not
        return len(word) > 2 and word[-2:].isalpha() and word.islower() and following.isupper()
    if line.find(" ", begin + 1, dot) < 0:  # one word so far, such as the "1." of a list
        return False
    if line[dot] != ".":
        return True
    unit = word in _UNITS and (word != "in" or any(map(str.isdigit, before[-12:])))  # "5 in." but "plug it in."
    unit = unit or (word in _LETTER_UNITS and before[: -len(word)].rstrip()[-1:].isdigit())
    initial = len(word) == 1 and word.isalpha() and not unit
    if word in _PREFIXES or initial or (word == "no" and following.isdigit()):
        return False
    if before.endswith(" ") and word.isdigit() and following.isdigit():  # "7 . 3"
        return False
    return following.isupper() or not (unit or _INITIALS.fullmatch(word))


def _cut(piece: str) -> Iterator[str]:
    begin = 0
    while len(piece) - begin > LONGEST:
        window = piece[begin : begin + LONGEST]
        ends = [window.rfind(mark) + 1 for mark in ("; ", ", ", " ")]
        # A mark in the first half would leave a stump.
        end = next((place for place in ends if place > LONGEST // 2), max(ends) or LONGEST)
        yield window[:end].strip()
        begin += end
    if rest := piece[begin:].strip():
        yield rest
