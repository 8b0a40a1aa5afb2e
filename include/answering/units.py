"""Units and numbers as product texts write them: one table for what is asked, limited, claimed and measured."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """A unit.

    Attributes:
        name: Its plainest form.
        measure: What it measures.
        factor: How many of the measure's first unit it is; None for one that is compared with its own kind alone.
    """

    name: str
    measure: str
    factor: float | None


# By measure, each unit's factor and how it may be written, the plainest form first.
_WRITTEN: dict[str, list[tuple[float | None, str]]] = {
    "length": [
        (1.0, "cm cms centimetre centimetres centimeter centimeters"),
        (0.1, "mm mms millimetre millimetres millimeter millimeters"),
        (100.0, "m metre metres meter meters"),
        (100_000.0, "km kilometre kilometres kilometer kilometers"),
        (2.54, "in inch inches ″ \" ''"),
        (30.48, "ft foot feet ′ '"),
        (91.44, "yd yard yards"),
        (160_934.4, "mile miles"),
    ],
    "weight": [
        (1.0, "kg kgs kilo kilos kilogram kilograms"),
        (0.001, "g gram grams"),
        (0.000_001, "mg milligram milligrams"),
        (0.4536, "lb lbs pound pounds"),
        (0.02835, "oz ounce ounces"),
    ],
    "volume": [
        (1.0, "l litre litres liter liters"),
        (0.001, "ml millilitre millilitres milliliter milliliters"),
        (3.785, "gal gallon gallons"),
        (0.946, "qt quart quarts"),
    ],
    "memory": [
        (1.0, "gb gigabyte gigabytes"),
        (0.001, "mb megabyte megabytes"),
        (1000.0, "tb terabyte terabytes"),
    ],
    "power": [(1.0, "w watt watts"), (1000.0, "kw kilowatt kilowatts")],
    "frequency": [(1.0, "hz hertz"), (1e3, "khz"), (1e6, "mhz"), (1e9, "ghz")],
    "charge": [(1.0, "mah"), (1000.0, "ah")],
    "voltage": [(1.0, "v volt volts")],
    "current": [(1.0, "a amp amps ampere amperes")],
    "pixels": [(1.0, "mp megapixel megapixels")],
    "angle": [(1.0, "° degree degrees")],
    "share": [(1.0, "% percent")],
    # A warranty of a year is not contradicted by a battery of ten hours.
    "time": [
        (None, "year years yr yrs"),
        (None, "month months"),
        (None, "week weeks"),
        (None, "day days"),
        (None, "hour hours hr hrs"),
        (None, "minute minutes min mins"),
        (None, "second seconds sec secs"),
    ],
}
UNITS = {
    way: Unit(written.split()[0], measure, factor)
    for measure, units in _WRITTEN.items()
    for factor, written in units
    for way in written.split()
}
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")


def number(text: str) -> float:
    """A number as people write it: "1,000" is a thousand, "2.5" and "2,5" are two and a half.

    >>> number("1,200"), number("1,5")
    (1200.0, 1.5)
    """
    plain = text.replace(",", "" if _GROUPED.fullmatch(text) else ".")
    try:
        return float(plain)
    except ValueError:  # "1.2.3"
        return float(re.sub(r"[.,]", "", text))


def any_of(*measures: str, shortest: int = 1) -> str:
    """A pattern of the words and signs for units of these measures; of all measures without any.

    Args:
        measures: Such as "length".
        shortest: Letters; with 2 no sign and no single letter.
    """
    ways = [way for way, unit in UNITS.items() if not measures or unit.measure in measures]
    words = [way for way in ways if shortest == 1 or (way.isalpha() and len(way) >= shortest)]
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
