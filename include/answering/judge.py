"""Which products a question is about, and which of their passages answer it: rules over what `asks` has read.

For a fact see `facts.py`. Products are an answer if one of them has the words that name the thing.

Figures come from questions over two hundred of which were written for it, beside the open exam; see docs/benchmarks.md.
"""

from collections.abc import Sequence

import numpy as np

from include.answering.asked import Asked
from include.answering.asks import Asks, asks
from include.answering.claims import read_denials
from include.answering.facts import ELSEWHERE, judge_fact
from include.answering.judged import BETWEEN, SAME_NAME, WORDS_OF_NEED, Encode, Judged, Thresholds, scaled, share
from include.answering.limits import Limit, contradicts, keeps, limit, without
from include.answering.models import unknown_model
from include.answering.passages import Retrieved
from include.answering.phrases import as_written
from include.answering.unwanted import denies, unwanted
from include.answering.wording import Wording, lacking, neighbours, stems
from include.core.arrays import Vectors
from include.store.words import words

CLOSE = 0.85  # of the best passage's relevance, where relevance decides
SERVED = ("", "en")  # languages whose questions the rules read; a question of unknown language is taken for one
SOFT = 0.72  # cosine of two words that mean the same: "fridge" and "refrigerator" 0.96, "ipad" and "ipod" 0.53
SOFT_PRODUCTS = 5  # the first so many, whose titles' words are compared by meaning


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
    if (asked.translated["to"] if asked.translated else asked.language) not in SERVED:
        return _near(found, thresholds)
    if model := unknown_model(without(asked.text), found.hits):
        return Judged(ELSEWHERE / 2, lacking=model, why="no_model")
    read = asks(asked.text)
    of_product = read.which and read.main and not any(Wording(hit.title).has(read.main) for hit in found.hits)
    if read.fact and not (read.focus or read.kinds or read.options):  # "How are you?"
        return Judged(0.0)
    if read.fact or of_product:
        return judge_fact(read, found, encode, thresholds, answering)
    return _products(read, found, encode, thresholds)


def _near(found: Retrieved, thresholds: Thresholds) -> Judged:
    """Of a language that the rules do not know: passages near the question."""
    order = np.argsort(-found.scores, kind="stable").tolist()
    best = float(found.scores[order[0]])
    close = [number for number in order if found.scores[number] >= CLOSE * best]
    products = list(dict.fromkeys(found.passages[number].product for number in close))
    return Judged(scaled(best, thresholds.relevance), True, products, close)


def _products(asked: Asks, found: Retrieved, encode: Encode, thresholds: Thresholds) -> Judged:
    """A question for products: those that have the words which name the thing, and contradict nothing."""
    titles = [Wording(f"{hit.title} {hit.uid}") for hit in found.hits]
    texts = [Wording(read_denials(hit.content)[0]) for hit in found.hits]
    naming = asked.words if asked.need else asked.head or asked.words
    soft = _soft(asked, titles, texts, found, encode)
    more = len(naming) < len(asked.words)  # "pocket camera | for holidays"
    whole = [share(asked.words, title, text, soft) for title, text in zip(titles, texts, strict=True)]
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
    shares = {number: share(naming, titles[number], texts[number], soft, thing, more) for number in fitting}
    best = max(shares.values())
    products = [number for number in fitting if asked.need or shares[number] >= SAME_NAME * best]
    least = thresholds.need if asked.need else thresholds.name
    if asked.need:
        best = top
    leads = [lead for number in products if (lead := _lead(number, asked, titles[number], found, bound)) is not None]
    missing = lacking(naming, *titles, *texts) if best < least else []
    confidence = scaled(best, least)
    if confidence > 0.5:  # surest where all that is asked for is there
        confidence = 0.5 + (confidence - 0.5) * most
    lacks = BETWEEN.join(as_written(asked.text, missing).split())
    return Judged(confidence, False, products, leads, lacks, "no_product_with" if lacks else "")


def _not_excluded(asked: Asks, found: Retrieved) -> list[int]:
    """The products that are not what is not wanted: those that deny it, or else those that affirm it nowhere."""
    fitting = [number for number, hit in enumerate(found.hits) if not unwanted(asked, hit.title, hit.content)]
    return [n for n in fitting if denies(asked, found.hits[n].title, found.hits[n].content)] or fitting


def _lead(product: int, asked: Asks, title: Wording, found: Retrieved, bound: Limit | None) -> int | None:
    """The passage to quote for a product: its title, unless a sentence has asked words or the limit that it lacks.

    None of a product without title and text.
    """
    own = [number for number, passage in enumerate(found.passages) if passage.product == product]
    if bound and not keeps(found.hits[product].title, bound):
        own = [number for number in own if keeps(found.passages[number].text, bound)] or own
    if asked.need:
        return max(own, key=lambda number: float(found.scores[number]), default=None)
    missing = lacking(asked.words, title)
    told = [(len(missing) - len(lacking(missing, Wording(read_denials(found.passages[n].text)[0])))) for n in own]
    if missing and max(told, default=0) > 0:
        return max(zip(told, (float(found.scores[n]) for n in own), own, strict=True))[2]
    return next((n for n in own if found.passages[n].text == found.hits[product].title), own[0] if own else None)


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
