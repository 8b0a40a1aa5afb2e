"""Kinds of answers: what in a question asks for each, and what a passage needs that gives it.

"How many litres" asks for a number with a unit of volume, whatever a catalogue sells.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from include.answering.units import any_of

NUMBER = (
    r"(?<![\w.,/-])(?:\d+(?:[.,]\d+)*(?:\s?/\s?\d+)?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|"
    r"fifteen|twenty|thirty|forty|fifty|hundred)"
)


@dataclass(frozen=True)
class Kind:
    """A kind of answer: what in a question asks for it (`asked`), and what a passage that gives it has (`given`)."""

    name: str
    asked: re.Pattern[str]
    given: re.Pattern[str]
    unless: re.Pattern[str] | None = None  # before a match: "holds up to" 50 lbs is no weight
    needs: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = ()  # asked for so, a passage has such a word too
    measured: bool = False  # a number with a unit: one that only repeats the question's numbers gives nothing


def _measure(
    name: str, asked: str, units: str, *, unless: str = "", needs: Sequence[tuple[str, str]] = (), also: str = ""
) -> Kind:
    """A number with a unit, or `also`; the unit's own name in the question asks for it too, where it counts."""
    return Kind(
        name,
        re.compile(rf"\b(?:{asked}|(?:how many|in) (?:{units}))\b", re.IGNORECASE),
        re.compile(
            rf"{NUMBER}(?:\s?(?:x|to|or|-)\s?{NUMBER}){{0,3}}[\s+-]{{0,2}}(?:{units})(?![a-z])"
            + (f"|{also}" if also else ""),
            re.IGNORECASE,
        ),
        unless=re.compile(rf"(?:{unless})\W+(?:\w+\W+){{0,3}}$", re.IGNORECASE) if unless else None,
        needs=tuple(
            (re.compile(rf"\b(?:{how})\b", re.IGNORECASE), re.compile(rf"\b(?:{word})\b|\d\W*[x×]\W*\d", re.IGNORECASE))
            for how, word in needs
        ),
        measured=True,
    )


_COLOURS = (
    "black|white|red|blue|green|yellow|orange|purple|violet|pink|brown|gr[ae]y|silver|gold(?:en)?|beige|ivory|cream|"
    "navy|teal|turquoise|bronze|copper|nude|plum|berry|coral|peach|taupe|charcoal|titanium|stainless|clear|blond\\w*|"
    "natural|medium|light|dark|fair|deep|porcelain|sand|honey|caramel|mocha|chocolate|wine|ruby|pearl|champagne|bisque|"
    "tan|burgundy|maroon|magenta|cyan|lilac|lavender|khaki|olive|rose|mauve|ebony|espresso|walnut|cherry|oak"
)
COLOUR = re.compile(_COLOURS, re.IGNORECASE)
_MATERIALS = (
    "steel|aluminiu?m|iron|glass|wood(?:en)?|oak|walnut|bamboo|plastic|polyester|cotton|wool|leather|nylon|ceramic|"
    "porcelain|silicone|rubber|copper|brass|titanium|carbon|neoprene|mdf|marble|granite|silk|linen|canvas|vinyl|velvet|"
    "polyurethane|acrylic|chrome|tempered|cardboard|paper|foam|down|latex|metal|stone|fabric|mesh|suede|wicker|resin"
)
_COUNTRIES = (
    "made in|usa|u\\.s\\.a|america|american|canad\\w+|mexic\\w+|brazil\\w*|german\\w*|france|french-made|ital\\w+|"
    "spain|spanish|portug\\w+|england|british|u\\.k\\.|uk|ireland|swiss|switzerland|sweden|swedish|denmark|danish|poland|"
    "polish-made|turkey|turkish|china|chinese|japan\\w*|korea\\w*|taiwan\\w*|india\\w*|vietnam\\w*|thailand|australia\\w*"
)
_LENGTHS = rf"'+|in\b\.?|{any_of('length')}"
_MEMORY = f"{any_of('memory')}|kb|kilobytes?"
_VOLUMES = rf"{any_of('volume')}|cl|(?:fl\W{{0,3}})?oz|ounces?|pints?|cu|cubic|{_MEMORY}"

KINDS = (
    _measure(
        "length",
        r"how (?:long|tall|wide|high|deep|thick|far|big|large)|dimensions?|height|width|depth|length|diameter|"
        r"thickness|(?:screen|paper) size|inches|cms?|range",
        _LENGTHS,
        needs=(
            (r"how wide|width", r"wide|width"),
            (r"how (?:tall|high)|height", r"tall|high|height|raise|elevat\w+"),
            (r"how deep|depth", r"deep|depth"),
            (r"how (?:big|large)|dimensions?", r"dimensions?|measures?|diagonal|diameter|size|screen|tvs?"),
        ),
    ),
    replace(  # not asked for by "how many ml", as a measure is
        _measure("size", "size", f"{_LENGTHS}|{_VOLUMES}"),
        asked=re.compile(
            r"\b(?:(?<!screen )(?<!paper )(?<!memory )(?<!storage )(?<!disk )(?<!drive )(?<!what )sizes?|"
            r"what sizes?(?=\W*$|\W+(?:is|are|was|of|in|does|do|the)\b))\b",
            re.IGNORECASE,
        ),
    ),
    _measure(
        "area",
        r"area|square (?:feet|inches|met(?:re|er)s)",
        r"sq\b\.?|square|m2|m²|acres?",
    ),
    _measure(
        "weight",
        r"how heavy|weights?|weighs?|weighing",
        f"{any_of('weight')}|tons?|tonnes?",
        unless="supports?|holds?|carr(?:y|ies)|capacity|loads?|up to",
    ),
    _measure(
        "volume",
        r"capacity|volume|how much (?:water|liquid)",
        f"{_VOLUMES}|kg|lbs?|sheets?|place|persons?|people|cups?",
    ),
    _measure(
        "power",
        r"wattage|watts?|power|powerful|horsepower|btus?",
        r"w|watts?|kw|kilowatts?|hp|horsepower|btus?|amps?",
    ),
    _measure("energy", r"kwhs?|power consumption|energy (?:use|usage|consumption)", r"kwhs?|kilowatt|w|watts?"),
    _measure("noise", r"decibels?|dba?|how (?:loud|noisy|quiet)|noise level", r"dba?|decibels?|sones?"),
    _measure("voltage", r"voltage|volts?", r"v|volts?|vac|vdc"),
    _measure(
        "frequency",
        r"frequenc(?:y|ies)|refresh rate|hertz",
        r"hz|khz|mhz|ghz|hertz",
        also=rf"\b[af]m\b\D{{0,30}}{NUMBER}",
    ),
    _measure("speed", r"how fast|speeds?|rpm", r"rpm|mph|kmh|km/h|mbps|gbps|kbps|fps|ppm|pages? per"),
    _measure("temperature", r"temperature|degrees|how hot|how cold", r"°|degrees?|º|celsius|fahrenheit|f|c"),
    _measure(
        "time",
        r"how long|duration|how (?:soon|quickly)|(?:battery|playback|talk|standby|response|burn|drying|cooking|running|"
        r"charging|recording|warm.?up) (?:\w+ )?(?:life|time)|shelf life|what age|age (?:range|recommendation)|how old",
        f"{any_of('time')}|ms|milliseconds?|s|h",
    ),
    _measure(
        "memory",
        r"(?:how much|amount of) (?:\w+ )?(?:memory|storage|ram)|(?:memory|storage|hard (?:disk|drive)) "
        r"(?:size|capacity)|how (?:big|large) is the (?:hard )?(?:disk|drive)",
        _MEMORY,
    ),
    _measure("pixels", r"megapixels?|mp|resolution", r"megapixels?|mp|pixels?|p|x\s?\d{3,4}"),
    _measure("percentage", r"percent(?:age)?|how much of", r"%|percent"),
    Kind(
        "money",
        re.compile(
            r"\b(?:prices?|costs?|how much (?:is|are)\b(?!.{0,200}\b(?:in|of)\b)|how expensive)\b",
            re.IGNORECASE,
        ),
        re.compile(
            r"[$€£¥₹]\s?\d|\d\s?(?:[$€£¥₹]|usd|eur|gbp|dollars?|euros?|pounds sterling)|\bprice:", re.IGNORECASE
        ),
    ),
    Kind(
        "date",
        re.compile(
            r"\b(?:what year|which year|when (?:was|were|did|is|are|will)|year of|release date|dates?|expir\w+)\b", re.I
        ),
        re.compile(r"\b(?:19|20)\d\d\b(?!\s?x)|\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}", re.IGNORECASE),
    ),
    Kind(
        "colour",
        re.compile(r"\b(?:colou?rs?|shades?)\b", re.IGNORECASE),
        re.compile(rf"\b(?:{_COLOURS})\b|\bshades?\b|\bcolou?rs?\b|\(\d{{2,4}}\)|\b\d{{2,3}}$", re.IGNORECASE),
    ),
    Kind(
        "place",
        re.compile(r"\b(?:country|countries|origin|where (?:is|are|was|were) .*\bmade|made in)\b", re.IGNORECASE),
        re.compile(rf"\b(?:{_COUNTRIES})\b", re.IGNORECASE),
    ),
    Kind(
        "material",
        re.compile(r"\b(?:materials?|fabric|made (?:out )?of|made from)\b", re.IGNORECASE),
        re.compile(rf"\b(?:{_MATERIALS})\b", re.IGNORECASE),
    ),
    Kind(
        "use",
        re.compile(
            r"\b(?:which|what) [\w-]+ (?:can |will |does |do )?(?:works?|fits?|(?:is|are) compatible)\b(?: with\b)?|"
            r"\bcompatible with (?:what|which)\b",
            re.IGNORECASE,
        ),
        re.compile(r"\b(?:compat\w+|works? (?:with|in|on)|fits?|(?:designed|made|use) (?:for|with)|for use)\b", re.I),
    ),
    Kind(
        "contents",
        re.compile(r"\b(?:accessories|what(?: is|'s| are)? included|in the box|what comes with)\b", re.IGNORECASE),
        re.compile(r"\b(?:includes?|included|including|comes? with|supplied|contents)\b", re.IGNORECASE),
    ),
)


def counted(phrase: str, stems: Sequence[str]) -> Kind:
    """A number before what is counted, or a few words before it: "up to 8 handsets", "five brilliant shades"."""
    # A word ends at a space, so that one with dashes is read in one way: many ways take hours on "1 a-a-a-a-…".
    between = r"[\s+-]+(?:\w[\w-]*[\s+][\s+-]*){0,4}?(?:\w[\w-]*-)?"
    given = rf"{NUMBER}{between}(?:{'|'.join(map(re.escape, stems))})"
    return Kind("count", re.compile(re.escape(phrase), re.IGNORECASE), re.compile(given, re.IGNORECASE), measured=True)
