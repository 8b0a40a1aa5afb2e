"""Whether a passage gives the fact that is asked for, and of which product.

A fact is quoted from the product that the question names, and from one of the same name. A passage gives it if it has
the kind of answer that is asked for, or else the words that ask ("warranty"), or something near them: cosine of these
words with the passage, without its title.
"""

import re
from collections.abc import Sequence

import numpy as np

from include.answering.asks import MEASURES, Asks, modifiers
from include.answering.judged import BETWEEN, Encode, Judged, Thresholds, share
from include.answering.passages import Passage, Retrieved
from include.answering.phrases import as_written, phrase, untold
from include.answering.wording import Wording, is_model, lacking, weighted
from include.core.arrays import Vectors

ELSEWHERE = 0.4  # the most confidence in a fact of a product that is not the one asked about
MODEL = 4.0  # weight of a model number among the words that name a product
READ = 12  # passages of the named products that are read for a fact, the most relevant
# Asked so, a number with a unit in the title answers: of "37 ' lcd hdtv" the screen, of "16gb flash drive" the memory.
_SIZE = re.compile(r"size|how (?:big|large)|capacity|memory|storage|\b[gtm]b\b|inch", re.IGNORECASE)


def judge_fact(
    asked: Asks, found: Retrieved, encode: Encode, thresholds: Thresholds, answering: Vectors | None
) -> Judged:
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
    told = share(asked.focus, titles[first], texts[first], {})
    foreign = _is_another(asked, titles[first], texts[first], titles)
    own = [number for number, passage in enumerate(found.passages) if passage.product in products]
    own = sorted(own, key=lambda number: -float(found.scores[number]))[:READ]
    passages = [found.passages[number] for number in own]
    near = np.zeros(len(own), np.float32)  # of the words that ask, with the passages
    beyond = bool(missing or asked.kinds or asked.options)  # the name, which the title has
    if answering is not None and (beyond or not asked.about):
        rated = [float(answering[number]) for number in own]
    else:
        vectors = encode([phrase(asked, missing), *(passage.text for passage in passages)])
        near = vectors[1:] @ vectors[0]
        rated = [
            _rated(asked, missing, passage, float(cosine), thresholds)
            for passage, cosine in zip(passages, near, strict=True)
        ]
        if not beyond:
            names = {found.hits[product].title for product in products}
            rest = asked.about and any(passage.text not in names for passage in passages)
            rated = [
                rate if (passage.text in names) != rest else 0.0 for rate, passage in zip(rated, passages, strict=True)
            ]
    there = not foreign and (not asked.focus or told >= thresholds.product)
    if not there:
        rated = [min(rate, ELSEWHERE) for rate in rated]
    order = sorted(range(len(own)), key=lambda n: (-rated[n], -float(near[n]) - float(found.scores[own[n]])))
    answers = [own[n] for n in order if rated[n] >= 0.5]
    lacks, why = untold(asked, missing, titles[first]), "does_not_tell"
    if not there and nowhere:
        lacks, why = BETWEEN.join(as_written(asked.text, nowhere).split()), "no_product_with"
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


def _same(title: Wording, other: Wording, focus: Sequence[str]) -> bool:
    """Whether two titles have the same of the words that name a product."""
    return all((title.has(word) > 0) == (other.has(word) > 0) for word in focus)
