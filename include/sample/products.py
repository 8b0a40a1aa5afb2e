"""The rows of the synthetic catalogue: each is a function of (seed, file, number).

Five products in a row are variants of one family (a brand's series of one type); two families share a brand. `lbl`
holds three titles a family, two accessories and the series itself, and `target_ind` links a product to them and to its
sister family. Titles and contents use different words (see `include.sample.words`), so there is something to learn
that a search by words cannot find. `FLAGSHIPS` are in every sample, each with a question that it answers.
"""

import random
from functools import lru_cache
from typing import NamedTuple

from include.sample.dirt import Row
from include.sample.words import CATEGORIES, COLOURS, MEASURES, Category, Kind

VARIANTS = 5  # products of a family in trn
LABELS = 3  # rows of a family in lbl
UNCOLOURED = ("books", "music")


class Flagship(NamedTuple):
    """A product that every sample has, a question it answers, and the words that the answer must hold."""

    title: str
    content: str
    question: str
    answer: str


FLAGSHIPS = (
    Flagship(
        "Lumora Trek 20 rechargeable headlamp, Lagoon",
        "A light headlamp for running and camping after dark. The battery of the Lumora Trek lasts 26 hours at half "
        "brightness. It charges over USB-C in two hours. Rain does it no harm.",
        "How long does the battery of the Lumora Trek headlamp last?",
        "26 hours",
    ),
    Flagship(
        "Brasato Mika glass kettle, Polar",
        "An electric water boiler with a jug of heat-proof glass. The Brasato Mika kettle holds 1.7 litres of water, "
        "enough for seven cups. The jug and the lid are dishwasher safe. It switches itself off when the water boils.",
        "How much water does the Brasato Mika kettle hold?",
        "1.7 litres",
    ),
    Flagship(
        "Tilly Bricks Castle Rosenstein wooden building set",
        "Build a castle with two towers, a gate and a drawbridge from 84 beech bricks. The castle is suitable for "
        "ages 3 and up. The bricks have round edges and are painted with water-based colours.",
        "From what age is the Tilly Bricks castle suitable?",
        "ages 3 and up",
    ),
    Flagship(
        "Norvik Skarven rain jacket, Saffron, unisex",
        "A yellow coat for wet days that weighs 310 grams. The Norvik Skarven jacket folds into its own chest pocket. "
        "Machine washable at 30 degrees; do not tumble dry.",
        "Does the Norvik Skarven jacket fold into a pocket?",
        "folds into its own chest pocket",
    ),
    Flagship(
        "The Patient Baker: Sourdough in a Small Kitchen (Hardcover)",
        "Forty recipes for bread with a natural starter, written for beginners. The Patient Baker explains how to keep "
        "a sourdough starter alive: feed it with equal parts of flour and water once a week. 224 pages, with an index.",
        "How often do I feed a sourdough starter?",
        "once a week",
    ),
    Flagship(
        "Kestwick Hush 3 wireless headphones, Nocturne",
        "Over-ear headphones that cancel the noise of trains and aircraft. One charge of the Kestwick Hush 3 gives 38 "
        "hours of music. They come with a two-year warranty and a folding case.",
        "How long is the warranty of the Kestwick Hush headphones?",
        "two-year warranty",
    ),
)
QUESTIONS: tuple[str, ...] = tuple(flagship.question for flagship in FLAGSHIPS)


class Family(NamedTuple):
    """What the variants of one series share."""

    category: Category
    kind: Kind
    brand: str
    series: str
    model: str
    material: str
    accessories: tuple[str, str]


def row_of(file: str, number: int, families: int, seed: int) -> Row:
    """Row `number` of a file, before its fate."""
    if file == "lbl":
        return _label(number, seed)
    if file == "tst":
        return _product(file, number, 2 * number, families, seed)
    if number < len(FLAGSHIPS):
        title, content = FLAGSHIPS[number][:2]
        return {"uid": _uid(number, file), "title": title, "content": content, "target_ind": [], "target_rel": []}
    return _product(file, number, number // VARIANTS, families, seed)


def _product(file: str, number: int, family_number: int, families: int, seed: int) -> Row:
    dice = dice_for(seed, file, number)
    family = _family(seed, family_number)
    own = family_number * LABELS
    targets = [own + position for position in range(LABELS) if dice.random() < 0.7] or [own + 2]
    sister = family_number ^ 1
    if sister < families and dice.random() < 0.5:
        targets.append(sister * LABELS + 2)
    feature, colour = dice.choice(list(family.category.features)), dice.choice(list(COLOURS))
    value = dice.choice(MEASURES[family.kind.measure].values)
    return {
        "uid": _uid(number, file),
        "title": _title(dice, family, feature, colour, value),
        "content": _content(dice, family, feature, colour, value),
        "target_ind": sorted(targets),
        "target_rel": [1.0] * len(targets),
    }


def _title(dice: random.Random, family: Family, feature: str, colour: str, value: float) -> str:
    category, kind, brand, series, model, material, _ = family
    if category.name in UNCOLOURED:
        return dice.choice(
            (
                f"{kind.name}: {series} ({feature}) [{material}], by {brand}",
                f"{series} - {kind.name}, {feature}, by {brand} ({material})",
                f"{kind.name} with {brand}: {series}, {material}, {feature}",
            )
        )
    size = MEASURES[kind.measure].title.format(v=f"{value:g}")
    look = f"{size}, {colour}" if size else colour
    number = f"{series} {model}{dice.randrange(10, 99)}"
    return dice.choice(
        (
            f"{brand} {number} {material} {kind.name}, {look}, {feature}",
            f"{brand} {series} {kind.name} ({look}) with {feature}, {material}",
            f"{kind.name.capitalize()} {number} by {brand}, {feature}, {material}, {look}",
        )
    )


def _content(dice: random.Random, family: Family, feature: str, colour: str, value: float) -> str:
    """Two to seven sentences in other words than the title's; entities in about 17 % of them."""
    category, kind, brand, series, _, material, _ = family
    measure = MEASURES[kind.measure]
    name = dice.choice(kind.synonyms) if dice.random() < 0.8 else kind.name
    made_of, place = category.materials[material], category.brands[brand]
    quantity = dice.choice(measure.contents).format(v=f"{value:g}", w=f"{value * measure.factor:.0f}")
    rest = [category.features[feature], quantity, *dice.sample(category.facts, 2)]
    if category.name in UNCOLOURED:
        first = f"{name[0].upper()}{name[1:]}, for {kind.use}, with {made_of}."
        rest.append(f"Published by {place}.")
    else:
        if name.endswith("s") and not name.endswith(("ss", "vas")):
            name = f"set of {name}"
        tone = COLOURS[colour]
        article = "an" if name[0] in "aeiou" else "a"
        first = dice.choice(
            (
                f"{'An' if tone[0] == 'o' else 'A'} {tone} {name} for {kind.use}, made of {made_of}.",
                f"This {name} in {tone} is meant for {kind.use}. It is made of {made_of}.",
                f"For {kind.use}: {article} {name} of {made_of}, {tone} all over.",
            )
        )
        rest.append(f"It comes from our workshop in {place}.")
    if dice.random() < 0.3:
        rest.append(f"Part of the {series} series.")
    dice.shuffle(rest)
    text = " ".join([first, *rest[: dice.choice((2, 3, 4, 4, 5))]])
    if category.name == "books" and dice.random() < 0.24:
        text += f" This text refers to the {dice.choice(('Paperback', 'Hardcover', 'Kindle'))} edition."
    if dice.random() < 0.18:
        text = text.replace("&", "&amp;").replace("-", "&#8211;").replace("'", "&#39;").replace(". ", ".&#160;", 1)
    return text


def _label(number: int, seed: int) -> Row:
    """A row of `lbl`: an accessory of a family, or its series."""
    family = _family(seed, number // LABELS)
    category, kind, brand, series, model, material, accessories = family
    position = number % LABELS
    if position == 2:
        title = f"{brand} {series} {kind.name}, {material}, series {model}"
        content = f"The whole {series} series from {category.brands[brand]}, of {category.materials[material]}."
    else:
        accessory = accessories[position]
        title = f"{accessory.capitalize()} for {brand} {series} {kind.name}"
        content = f"Fits every {kind.synonyms[0]} of the {series} series."
    return {"uid": _uid(number, "lbl"), "title": title, "content": content}


@lru_cache(maxsize=64)
def _family(seed: int, number: int) -> Family:
    pair = dice_for(seed, "pair", number // 2)  # sister families share category and brand
    category = pair.choice(CATEGORIES)
    brand = pair.choice(list(category.brands))
    dice = dice_for(seed, "family", number)
    kind = dice.choice(category.kinds)
    consonants, vowels = "bdfgklmnprstvz", "aeiou"
    syllables = [dice.choice(consonants) + dice.choice(vowels) for _ in range(3)]
    series = "".join(syllables).capitalize() + dice.choice(["", "n", "r", "x", "s"])
    first, second = dice.sample(kind.accessories, 2)
    return Family(
        category,
        kind,
        brand,
        series,
        dice.choice("ABCDEHKLMNRSTVX"),
        dice.choice(list(category.materials)),
        (first, second),
    )


def _uid(number: int, file: str) -> str:
    """Ten characters with leading zeros, like an ISBN: nine digits and a check character. Distinct over all files."""
    body = 136_000 + number + {"trn": 0, "tst": 20_000_000, "lbl": 40_000_000}[file]
    return f"{body:09d}{'0123456789X'[body % 11]}"


def dice_for(seed: int, purpose: str, number: int) -> random.Random:
    """Random numbers that depend on these three alone."""
    return random.Random(f"{seed}/{purpose}/{number}")  # noqa: S311 - a catalogue, not a secret
