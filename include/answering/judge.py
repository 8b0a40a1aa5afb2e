"""Which products a question is about, and which of their passages answer it: rules over what `asks` has read.

A fact is quoted from the product that the question names, and from one of the same name. A passage gives it if it has
the kind of answer that is asked for, or else the words that ask ("warranty"), or something near them: cosine of these
words with the passage, without its title. Products are an answer if one of them has the words that name the thing.

Figures come from questions over two hundred of which were written for it, beside the open exam; see docs/benchmarks.md.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from include.answering.asked import Asked
from include.answering.asks import MEASURES, Asks, asks, modifiers
from include.answering.claims import read_denials
from include.answering.limits import Limit, contradicts, keeps, limit, without
from include.answering.models import unknown_model
from include.answering.passages import Passage, Retrieved
from include.answering.phrases import as_written, phrase, untold
from include.answering.unwanted import denies, unwanted
from include.answering.wording import Wording, is_model, lacking, neighbours, stems, weighted
from include.core.arrays import Vectors
from include.store.words import words

Encode = Callable[[Sequence[str]], Vectors]

SAME_NAME = 0.85  # of the best product's share of the naming words: also the product that is asked about
CLOSE = 0.85  # of the best passage's relevance, where relevance decides
SERVED = ("", "en")  # languages whose questions the rules read; a question of unknown language is taken for one
ELSEWHERE = 0.4  # the most confidence in a fact of a product that is not the one asked about
MODEL = 4.0  # weight of a model number among the words that name a product
THING_IN_CONTENT = 0.5  # the same of the last one, which says what it is: the microphone of "usb microphone"
IN_CONTENT = 0.9  # of a naming word that the content has, not the title
WORDS_OF_NEED = 0.2  # AUROC 0.95 of 57 needs, met and unmet; 0.90 by cosine, 0.77 by share alone
READ = 12  # passages of the named products that are read for a fact, the most relevant
SOFT = 0.72  # cosine of two words that mean the same: "fridge" and "refrigerator" 0.96, "ipad" and "ipod" 0.53
SOFT_PRODUCTS = 5  # the first so many, whose titles' words are compared by meaning
# Asked so, a number with a unit in the title answers: of "37 ' lcd hdtv" the screen, of "16gb flash drive" the memory.
_SIZE = re.compile(r"size|how (?:big|large)|capacity|memory|storage|\b[gtm]b\b|inch", re.IGNORECASE)


@dataclass(frozen=True)
class Thresholds:
    """From where on something counts.

    Attributes:
        name: Share of the words that name the thing, which one product must have.
        need: For what somebody wants to do: cosine of one product, and `WORDS_OF_NEED` of the share of its words.
        asked: Share of a fact's asking words that the passage must have where no kind of answer is asked for.
        near: Cosine of the asking words with a passage, in their stead.
        specific: The same where a kind is asked for with a word of its own: of "shelf life" the shelf.
        relevance: Of a passage, for questions in a language that the rules do not know.
        product: Share of a fact's naming and asking words that the product must have.
    """

    name: float = 0.65
    need: float = 0.32
    asked: float = 0.5
    near: float = 0.5
    product: float = 0.35
    specific: float = 0.2
    relevance: float = 0.35


@dataclass(frozen=True)
class Judged:
    """What answers a question.

    Attributes:
        confidence: 0-1 that it is answered; from 0.5 on the rules say so.
        fact: A fact was asked for, else products.
        products: Those that the answer may be taken from, by rank.
        passages: Of the answer, the best first.
        lacking: What no text tells, in the question's words.
        why: Of the sentences that which says so; empty where nothing can be told.
    """

    confidence: float
    fact: bool = False
    products: Sequence[int] = ()
    passages: Sequence[int] = ()
    lacking: str = ""
    why: str = ""


def judge(
    asked: Asked, found: Retrieved, encode: Encode, thresholds: Thresholds, answering: Vectors | None = None
) -> Judged:
    """Decide what answers.

    Args:
        asked: The question.
        found: What was retrieved for it.
        encode: Texts to L2-normalised vectors.
        thresholds: From where on something counts.
        answering: (passages,) float32, 0-1, how likely each answers, where a reader has told; in place of the rules for
            facts. 0.5 is where it says so.
    """
    if not found.passages:
        return Judged(0.0)
    if model := unknown_model(without(asked.text), found.hits):
        return Judged(ELSEWHERE / 2, lacking=model, why="no_model")
    if (asked.translated["to"] if asked.translated else asked.language) not in SERVED:
        return _near(found, thresholds)
    read = asks(asked.text)
    of_product = read.which and read.main and not any(Wording(hit.title).has(read.main) for hit in found.hits)
    if read.fact and not (read.focus or read.kinds or read.options):  # "How are you?"
        return Judged(0.0)
    if read.fact or of_product:
        return _fact(read, found, encode, thresholds, answering)
    return _products(read, found, encode, thresholds)


def _near(found: Retrieved, thresholds: Thresholds) -> Judged:
    """Of a language that the rules do not know: passages near the question."""
    order = np.argsort(-found.scores, kind="stable").tolist()
    best = float(found.scores[order[0]])
    close = [number for number in order if found.scores[number] >= CLOSE * best]
    products = list(dict.fromkeys(found.passages[number].product for number in close))
    return Judged(_scaled(best, thresholds.relevance), True, products, close)


def _products(asked: Asks, found: Retrieved, encode: Encode, thresholds: Thresholds) -> Judged:
    """A question for products: those that have the words which name the thing, and contradict nothing."""
    titles = [Wording(f"{hit.title} {hit.uid}") for hit in found.hits]
    texts = [Wording(read_denials(hit.content)[0]) for hit in found.hits]
    naming = asked.words if asked.need else asked.head or asked.words
    soft = _soft(asked, titles, texts, found, encode)
    more = len(naming) < len(asked.words)  # "pocket camera | for holidays"
    whole = [_share(asked.words, title, text, soft) for title, text in zip(titles, texts, strict=True)]
    bound = limit(asked.text)
    fitting = [
        number
        for number in _not_excluded(asked, found)
        if not (bound and contradicts(found.hits[number].title, found.hits[number].content, bound))
    ]
    if not fitting:
        return Judged(0.0)
    most = max(whole[number] for number in fitting)
    # A need's words stand scattered in products that have nothing to do with it: meaning counts before them.
    pairs = [neighbours(asked.text) & neighbours(hit.content) for hit in found.hits] if asked.need else []
    fit = [
        float(near) + WORDS_OF_NEED * (share + bool(both))
        for near, share, both in zip(found.cosines, whole, pairs, strict=False)
    ]
    rating = fit if asked.need else whole
    top = max(rating[number] for number in fitting)
    fitting = [number for number in fitting if rating[number] >= SAME_NAME * top]
    # "Dishwashers" are no dishwasher-safe pans.
    sole = len(naming) == 1 and not any(titles[number].has(naming[0]) == 1 for number in fitting)
    thing = "" if asked.need or not naming or sole else naming[-1]
    shares = {number: _share(naming, titles[number], texts[number], soft, thing, more) for number in fitting}
    best = max(shares.values())
    products = [number for number in fitting if asked.need or shares[number] >= SAME_NAME * best]
    least = thresholds.need if asked.need else thresholds.name
    if asked.need:
        best = top
    lead = {number: _lead(number, asked, titles[number], found, bound) for number in products}
    missing = lacking(naming, *titles, *texts) if best < least else []
    confidence = _scaled(best, least)
    if confidence > 0.5:  # surest where all that is asked for is there
        confidence = 0.5 + (confidence - 0.5) * most
    lacks = "”, “".join(as_written(asked.text, missing).split())
    return Judged(confidence, False, products, list(lead.values()), lacks, "no_product_with" if lacks else "")


def _not_excluded(asked: Asks, found: Retrieved) -> list[int]:
    """The products that are not what is not wanted: those that deny it, or else those that affirm it nowhere."""
    fitting = [number for number, hit in enumerate(found.hits) if not unwanted(asked, hit.title, hit.content)]
    return [n for n in fitting if denies(asked, found.hits[n].title, found.hits[n].content)] or fitting


def _lead(product: int, asked: Asks, title: Wording, found: Retrieved, bound: Limit | None) -> int:
    """The passage to quote for a product: its title, unless a sentence has asked words or the limit that it lacks."""
    own = [number for number, passage in enumerate(found.passages) if passage.product == product]
    if bound and not keeps(found.hits[product].title, bound):
        own = [number for number in own if keeps(found.passages[number].text, bound)] or own
    if asked.need:
        return max(own, key=lambda number: float(found.scores[number]), default=-1)
    missing = lacking(asked.words, title)
    told = [(len(missing) - len(lacking(missing, Wording(read_denials(found.passages[n].text)[0])))) for n in own]
    if missing and max(told, default=0) > 0:
        return max(zip(told, (float(found.scores[n]) for n in own), own, strict=True))[2]
    return next((n for n in own if found.passages[n].text == found.hits[product].title), own[0] if own else -1)


def _fact(asked: Asks, found: Retrieved, encode: Encode, thresholds: Thresholds, answering: Vectors | None) -> Judged:
    """A question for a fact: passages of the named product that have the kind of answer, or the words that ask."""
    titles = [Wording(f"{hit.title} {hit.uid}") for hit in found.hits]
    texts = [Wording(f"{hit.title} {hit.content}") for hit in found.hits]
    rarity = {
        word: (MODEL if is_model(word) and len(word) > 3 else 1.0) / (1 + sum(title.has(word) > 0 for title in titles))
        for word in asked.focus
    }
    named = [weighted({word: title.has(word) for word in asked.focus}, rarity) for title in titles]
    best = max(named)
    first = named.index(best)
    products = [n for n, share in enumerate(named) if share == best and _same(titles[n], titles[first], asked.focus)]
    missing = lacking(asked.focus, titles[first])
    nowhere = lacking(asked.focus, *titles, *texts)
    told = _share(asked.focus, titles[first], texts[first], {})
    foreign = _is_another(asked, titles[first], texts[first], titles)
    own = [number for number, passage in enumerate(found.passages) if passage.product in products]
    own = sorted(own, key=lambda number: -float(found.scores[number]))[:READ]
    passages = [found.passages[number] for number in own]
    asking = phrase(asked, missing)
    vectors = encode([asking, *(passage.text for passage in passages)])
    near = vectors[1:] @ vectors[0]
    rated = [
        _rated(asked, missing, passage, float(cosine), thresholds)
        for passage, cosine in zip(passages, near, strict=True)
    ]
    if not (missing or asked.kinds or asked.options):  # nothing is asked beyond the name, which the title has
        names = {found.hits[product].title for product in products}
        rated = [rate if passage.text in names else 0.0 for rate, passage in zip(rated, passages, strict=True)]
    if answering is not None:
        rated = [float(answering[number]) for number in own]
    there = not foreign and (not asked.focus or told >= thresholds.product)
    if not there:
        rated = [min(rate, ELSEWHERE) for rate in rated]
    order = sorted(range(len(own)), key=lambda n: (-rated[n], -float(near[n]) - float(found.scores[own[n]])))
    answers = [own[n] for n in order if rated[n] >= 0.5]
    lacks, why = untold(asked, missing, titles[first]), "does_not_tell"
    if not there and nowhere:
        lacks, why = "”, “".join(as_written(asked.text, nowhere).split()), "no_product_with"
    return Judged(
        max(rated, default=0.0),
        True,
        products if there else [],
        answers or [own[n] for n in order[:1]],
        lacks,
        why if lacks else "does_not_tell_it",
    )


def _is_another(asked: Asks, title: Wording, text: Wording, titles: Sequence[Wording]) -> bool:
    """Whether a product is not the one that is named: of another brand, or of that brand another thing.

    Of "the canon dishwasher" no canon camera, where other products are dishwashers: elsewhere it may be a synonym.
    """
    for word, thing in modifiers(asked):
        if word in asked.focus and title.has(thing) and not text.has(word):
            return True
        names = asked.focus[asked.focus.index(word) :] if word in asked.focus else ()
        alone = names[1:2] == (thing,) and not any(title.has(each) for each in names[1:])
        if alone and title.has(word) and not text.has(thing) and any(each.has(thing) == 1 for each in titles):
            return True
    return False


def _rated(asked: Asks, missing: Sequence[str], passage: Passage, near: float, thresholds: Thresholds) -> float:
    """How surely a passage of the named product gives the fact, 0-1; from 0.5 on it does."""
    having = Wording(passage.text)
    spelt = {word for short, run in asked.acronyms.items() if short in having.stems for word in run}
    share = 1 - len(set(lacking(missing, having)) - spelt) / len(missing) if missing else 1.0
    support = 0.5 * share + 0.5 * min(max(near, 0.0), 1.0)
    if asked.kinds:
        # A number, such as "ps3", names and does not ask: that some product has it was seen to.
        wanted = [*asked.specific, *(word for word in missing if word not in MEASURES and not is_model(word))]
        fits = any(
            kind.name == "use" for kind in asked.kinds
        )  # "compatible with the X5" need not say that it is a camera
        special = fits or not wanted or any(map(having.has, wanted)) or near >= thresholds.specific
        in_title = passage.scored == passage.text and _SIZE.search(asked.phrase) is not None
        given = _gives(asked, passage.text, ["size"] if in_title else wanted)
        return 0.6 + 0.4 * support if (special or in_title) and given else 0.45 * support
    if asked.options:
        return 0.6 + 0.4 * support if any(having.has(option) for option in asked.options) else 0.45 * support
    if asked.main and asked.main in missing and not having.has(asked.main):
        share = 0.0
    return 0.5 + 0.5 * support if share >= thresholds.asked or near >= thresholds.near else 0.45 * support


def _gives(asked: Asks, text: str, wanted: Sequence[str]) -> bool:
    """Whether a text has a kind of answer that is more than the question's own numbers."""
    for kind in asked.kinds:
        if not wanted and any(how.search(asked.text) and not word.search(text) for how, word in kind.needs):
            continue
        for match in kind.given.finditer(text):
            numbers = set(re.findall(r"\d+(?:[.,]\d+)*", match[0]))
            repeated = kind.measured and numbers and not numbers - asked.numbers
            aside = not wanted and kind.unless and kind.unless.search(text[: match.start()][-60:])
            if not repeated and not aside:
                return True
    return False


def _share(
    asked: Sequence[str], title: Wording, text: Wording, soft: dict[str, set[str]], thing: str = "", more: bool = False
) -> float:
    """How much of the words a product has, 0-1; model numbers, and the thing where more is said of it, count twice."""
    having = {
        word: max(
            title.has(word),
            (THING_IN_CONTENT if word == thing else IN_CONTENT) * text.has(word),
            float(bool(soft.get(word, set()) & title.stems)),
        )
        for word in asked
    }
    return weighted(having, {word: 2.0 if is_model(word) or (word == thing and more) else 1.0 for word in asked})


def _soft(
    asked: Asks, titles: Sequence[Wording], texts: Sequence[Wording], found: Retrieved, encode: Encode
) -> dict[str, set[str]]:
    """By word that no product has whole, the stems of the titles' words that mean the same."""
    whole = {word for word in asked.words if any(text.has(word) == 1 for text in (*titles, *texts))}
    missing = [word for word in asked.words if word not in whole and not any(map(str.isdigit, word))]
    there = sorted({each for hit in found.hits[:SOFT_PRODUCTS] for each in words(hit.title) if len(each) > 2})
    if not missing or not there:
        return {}
    vectors = encode([*(as_written(asked.text, [word]) for word in missing), *there])
    near = vectors[: len(missing)] @ vectors[len(missing) :].T
    return {
        word: {
            stem
            for n in np.flatnonzero(near[row] >= SOFT)
            for stem in stems(there[n])
            if not word.startswith(stem) and not word.endswith(stem)  # a coat is no raincoat, dew no dewalt
        }
        for row, word in enumerate(missing)
    }


def _scaled(value: float, least: float) -> float:
    """0-1, with 0.5 at the least value that counts."""
    value = min(max(value, 0.0), 1.0)
    return 0.5 * value / least if value < least else 0.5 + 0.5 * (value - least) / (1 - least)


def _same(title: Wording, other: Wording, focus: Sequence[str]) -> bool:
    """Whether two titles have the same of the words that name a product."""
    return all((title.has(word) > 0) == (other.has(word) > 0) for word in focus)
