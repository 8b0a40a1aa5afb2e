"""What a question asks for: products or a fact, which kind of answer, the words that name, the words that ask.

Rules for English, with a table of examples in `tests/answering/test_asks.py`. They know forms of questions and units,
no product. A question in another language has none of the forms: it is taken as one for products.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from include.answering import limits
from include.answering.claims import FREE
from include.answering.kinds import KINDS, Kind, counted
from include.answering.wording import EMPTY, acronyms, is_model, stems, telling
from include.store.words import words

MOST_WORDS = 40  # of a question; a longer one is read as far

_FORM = re.compile(
    r"^\W*(?:(?P<truth>is|are|was|were|do|does|did|can|could|will|would|should|has|have|may)\b|"
    r"(?P<which>which|what (?:kind|type|sort)s? of|what (?=(?!is|are|was|does|do|s\b)\w+s\b))|"
    r"(?P<fact>what|how|who|whose|why|where|when)\b)",
    re.IGNORECASE,
)
_WANT = re.compile(
    r"^\W*(?:(?:do|can|could|would|will) (?:you|we|i|u)\b.{0,25}?\b(?:have|sell|stock|carry|recommend|suggest|"
    r"offer|show|find|get|buy)|is there|are there|have you (?:got )?|(?:please )?show (?:me )?|"
    r"i(?:'m| am)? (?:need|want|look\w*)|"
    r"looking for|list|find(?: me)?|give me|search(?: for)?|where can i (?:find|buy|get)|any|everything)\b",
    re.IGNORECASE,
)
_ABOUT = re.compile(  # a product is to be told of, whatever is known
    r"^\W*(?:"
    r"what(?:'s| is| are)?(?: (?:do|can|could) (?:you|we))?(?: (?:is|know|known|say|tell(?: me)?))* about|"
    r"(?:(?:can|could) you )?(?:please )?(?:tell|say)(?: me| us)?(?: (?:more|something|all|everything))? about|"
    r"(?:(?:can|could) you )?(?:please )?describe|"
    r"(?:more |any )?(?:information|info|details?) (?:on|about|of)|"
    r"what(?:'s| is| are))\b",
    re.IGNORECASE,
)
_INNER = re.compile(
    r"\b(?:how (?:many|much|long|tall|wide|high|deep|heavy|big|large)|what (?:is|are|does))\b", re.IGNORECASE
)
_TOPIC = re.compile(r"(?:: | [-–—] )(?P<topic>[^:]{2,60}?)\W*$")  # "…: fragrance?"
_COMPARED = re.compile(
    r"\b(?:than|at least|at most|or (?:more|less|larger|bigger|smaller|higher|above|below))\b|"
    r"\b(?:over|under|above|below|up to|between)\s+[$€£]?\d",
    re.IGNORECASE,
)
_COUNTED = re.compile(r"\b(?:how many|numbers? of)\s+((?:[\w'-]+\s*){1,3})", re.IGNORECASE)
_NOT = (
    r"(?:not|nor|no(?!\.?\s?\d)|without|except|excluding|never|\w+n't|minus|other than|(?:anything|everything|all) but)"
)
_WORD = rf"(?!(?:{_NOT}|or|and|but)\b)[\w-]+"  # a word of what is not wanted
_UNWANTED = rf"(?:(?:a|an|the|any|in|for|with|on|of|want|need|like|have|to|be|buy)\s+)*({_WORD}(?:\s+{_WORD})?)"
_NEGATION = re.compile(rf"\b{_NOT}\s+{_UNWANTED}((?:\s*,?\s*\bor\s+{_UNWANTED})*)", re.IGNORECASE)
# What a product has to deny: "gluten free", "that is not dishwasher safe".
_DENIED = re.compile(
    rf"{FREE}|(?<!\bi )(?<!\bwe )(?<!\byou )\b(?:(?:is|are|does|do|can|will) not|(?:is|are|does|do|ca|wo)n't) "
    r"(?:(?:a|an|the|any|have|need|contain|use|be|too|very) )*(?P<not>[\w-]+(?: [\w-]+)?)",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"\b(?:for|so|that|which|who|with|without|to|when|while|where|because|under|over|above|below|between|bigger|larger|"
    r"smaller|less|more|higher|lower|at least|at most|than|from|not|no|except|in|on|by|of|i|my|we|you|he|she|they)\b|"
    r"[,;:(]| - ",
    re.IGNORECASE,
)
_UNITS = r"(?:(?:cu|cubic|sq|square|fl|gb|tb|mb|lit\w+|inch\w*|cm|mm|kg|lbs?|oz|ft|feet|ml)\W*)+"
_AFTER = re.compile(
    rf"\W*(?:(?:size|in \w+|{_UNITS})\W*)?(?:$|\b(?:of|for|in|on|and)\b)|\W*\w+\W+(?:of|for)\s+(?:the|my)\b",
    re.IGNORECASE,
)
_NEED = re.compile(
    r"^\W*(?:something\b|(?:hide|plug|clean|keep|cover|watch|cook|put|protect|heat|navigate|charge|play|get|turn|connect|"
    r"hang|carry|listen|wash|remove|fix|reduce|prevent|stop|start|help|learn|teach|move|lift|cut|open|close|build|grow|"
    r"feed|sleep|sit|work|wear|hold|read|write|draw|measure|share|send|save|back up|record \w+s|"
    r"print|shave|make|drink|eat|bake|"
    r"brew|chop|wake|stay|avoid|organi[sz]e|decorate|brighten|conceal|hydrate|repair|stream|survive|improve|replace|look)\b|"
    r"\w+ (?:a|an|the|my|our|your|his|her|their|up|out|off|away|down)\b)",
    re.IGNORECASE,
)
_STATED = re.compile(
    r"^[^?]*\w\s(?:comes?|has|have|is|are|includes?|contains?|works?|fits?|takes?|needs?)\s[^?]*\?\W*$|"
    r"\b(?:right|correct|true)\s*\?\W*$",
    re.IGNORECASE,
)
_FITS = re.compile(
    r"^\W*which\s+[\w-]+\s+(?:can\s+|will\s+|does\s+|do\s+)?(?:works?|fits?|goe?s?|suits?|belongs?|is|are)\s+"
    r"(?:(?:with|for|in|on|to|compatible|made)\s+)*(?:the|my|this)\b",
    re.IGNORECASE,
)
_MANY = re.compile(r"^\W*(?:\d|two|three|four|five|six)\s+(?=[^\W\d])", re.IGNORECASE)  # "show me 3 radar detectors"
_PLURAL = re.compile(r"(?<=\w[^\W\daeiou])ys\b")  # "batterys"
_TAKE_OFF = re.compile(r"\b(?:take|get|wash)\s+off\b", re.IGNORECASE)  # "off" alone says nothing
_NUMBER = re.compile(r"(?<!\w)\d+(?:[.,]\d+)*(?!\w*\d)(?!\w*[^\W\d_]\w*\d)")  # of no model number
_JOINED = re.compile(r"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[^\W\d_])\w+(?:-\w+)+\b")
_JOINS = re.compile(r"(?:^|\b(?:and|or|in)\b|,)\W*$", re.IGNORECASE)  # before a second kind that is asked for
# Words for measures: what asks for a kind beside them is a word of its own, of "shelf life" the shelf.
MEASURES = frozenset(
    telling(
        "accessories amount area big box btu btus capacity centimetres cm cms cold color colors colour colours "
        "consumption cost costs country cubic cups date days db dba decibels deep degrees depth diameter dimension "
        "dimensions duration expensive fabric far fast feet frequency gallons gb grams heavy height hertz high "
        "horsepower hot hours how inches included kg kwh kwhs large lbs length level life litres long loud made "
        "many material materials mb megapixels memory meters metres minutes ml mp much noisy number old origin "
        "ounces percentage pounds power powerful price prices quickly quiet ram range rate resolution rpm shade "
        "shades size sizes soon speed speeds square storage tall tb temperature thick thickness time times "
        "voltage volts volume wattage watts weigh weighing weighs weight weights when wide width year "
    )
)
_WHERE = frozenset(telling("home house day today"))  # where and when somebody does something: any product's
_EITHER = re.compile(r"(?<![\w-])([\w-]+) or ([\w-]+)", re.IGNORECASE)
_NAMED_AFTER = frozenset(["the", "my", "your", "our", "this", "of", "for", "from", "does", "do", "is", "are", "on"])


@dataclass(frozen=True)
class Asks:
    """What a question asks for. All words are stems.

    Attributes:
        text: The question.
        fact: It asks for a fact; else for products.
        need: It says what somebody wants to do, and names no product: "put my tv on the wall".
        kinds: Kinds of answer that would do; none for words, or where it is asked whether something is so.
        words: Those that carry meaning, without those of what is excluded.
        head: Those that name the thing, up to the first clause ("wireless headphones | so I can …").
        focus: `words` without those that ask for a kind.
        acronyms: Of words in a row, with these words: "sun protection factor" for `spf`.
        phrase: The words that ask, as they are written.
        specific: Of the words that ask for a kind those that are no measure: of "shelf life" the shelf.
        which: It begins with "which …": products where these are called so, else a fact.
        main: Of "what warranty …" and "which filter …" the thing asked for.
        options: Of "black or silver" both, one of which has to be in the answer.
        excluded: Phrases that a product must not have in its title.
        denied: Phrases that a product must deny, or at least nowhere affirm: "gluten" of "gluten free".
        numbers: In the question: a passage that repeats one gives no answer.
        about: It asks to be told of a product: where nothing beyond its name is asked, all its passages answer.
    """

    text: str
    fact: bool
    need: bool
    kinds: tuple[Kind, ...]
    words: tuple[str, ...]
    head: tuple[str, ...]
    focus: tuple[str, ...]
    acronyms: dict[str, list[str]]
    phrase: str
    specific: tuple[str, ...]
    which: bool
    main: str
    options: tuple[str, ...]
    excluded: tuple[str, ...]
    denied: tuple[str, ...]
    numbers: frozenset[str]
    about: bool


def asks(text: str) -> Asks:
    """Read a question."""
    text = _TAKE_OFF.sub("remove", _PLURAL.sub("ies", " ".join(text.replace("’", "'").split())))
    text = _JOINED.sub(lambda model: model[0].replace("-", ""), text)
    about = _ABOUT.match(text)
    form, want = _FORM.match(text), None if about else _WANT.match(text)
    truth = not (want or about) and bool(form["truth"] if form else _STATED.search(text))
    compared = _COMPARED.search(text) is not None and not (form and not form["which"])
    kinds = () if truth or want or compared else _kinds(text, form)
    fact = (
        not want
        and not compared
        and bool(
            truth
            or about
            or (form and not form["which"])
            or _FITS.match(text)
            or kinds
            or _TOPIC.search(text)
            or _INNER.search(text)
            or _of_model(text)
        )
    )
    rest, excluded, denied = (text, [], []) if fact else _wanted(limits.without(text))
    led = about or want or (None if form and form["which"] else form)
    rest = rest[led.end() :] if led else re.sub(r"^\W*which(?:\s+ones?)?\b", "", rest, flags=re.IGNORECASE)
    wanted = want is not None and re.match(r"\W*(?:something\s+)?to\s", rest) is not None  # "i want to make pasta"
    rest = _MANY.sub("", rest) if want else rest
    unmeasured, phrase = _INNER.sub(" ", rest), []
    for kind in kinds:
        phrase += [match[0] for match in kind.asked.finditer(text)]
        unmeasured = kind.asked.sub(" ", unmeasured)
    main = re.match(r"^\W*(?:what|which)\s+([\w-]+)\s+\w", text, re.IGNORECASE)
    either = _EITHER.search(text) if truth else None
    need = not fact and (wanted or _NEED.match(text) is not None)
    return Asks(
        text=text,
        fact=fact,
        need=need,
        kinds=kinds,
        words=tuple([word for word in telling(rest) if not (need and word in _WHERE)][:MOST_WORDS]),
        head=tuple(_head(rest)[:MOST_WORDS]),
        focus=tuple(telling(unmeasured)[:MOST_WORDS]),
        acronyms=acronyms(text),
        phrase=" ".join(dict.fromkeys(phrase)),
        specific=tuple(word for word in telling(" ".join(phrase)) if word not in MEASURES),
        which=bool(form and form["which"]) and not fact,
        main=_first(main[1]) if main and not kinds else "",
        options=tuple(stems(f"{either[1]} {either[2]}")) if either and either[2].lower() != "not" else (),
        excluded=tuple(excluded),
        denied=tuple(denied),
        numbers=frozenset(_NUMBER.findall(text)),
        about=about is not None,
    )


def modifiers(asked: Asks) -> list[tuple[str, str]]:
    """Pairs of neighbours in the question's names, as stems: "the bosch dishwasher" gives (bosch, dishwash)."""
    found = words(asked.text)
    pairs = zip(found, found[1:], found[2:], strict=False)
    return [
        (stems(word)[0], stems(following)[0])
        for before, word, following in pairs
        if before in _NAMED_AFTER and not {word, following} & EMPTY and stems(word)[0] not in MEASURES
    ]


def _kinds(text: str, form: re.Match[str] | None) -> tuple[Kind, ...]:
    """The kinds that are asked for.

    In a text that is no question by words at its end or before an "of"; behind "which" by the first word that tells:
    "which colour …", but not "which kettle is made of steel".
    """

    def asked_by(match: re.Match[str]) -> bool:
        before = text[: match.start()]
        if form is None:
            return _AFTER.match(text, match.end()) is not None and not re.search(r"\bwith", before)
        return not form["which"] or not telling(before[form.end("which") :])

    count = _COUNTED.search(text)
    matches = [(kind, match) for kind in KINDS if (match := kind.asked.search(text)) and asked_by(match)]
    found = _beside_the_first(text, matches)
    if count and not any(kind.given.search(f"1 {count[1]}") for kind in found):
        what = telling(count[1])[:2]
        return (counted(count[0], what),) if what else tuple(found)
    return tuple(found)


def _beside_the_first(text: str, matches: Sequence[tuple[Kind, re.Match[str]]]) -> list[Kind]:
    """The kind that is asked for first, and those at the same words or joined to it: "weight capacity", "… and price".

    What comes later names: "what colour is the gas range"; but of "how much does … weigh" the last one asks. One that
    stands before a word which is no measure names too, if another does not: "how much does the power washer cost".
    """
    last_first = re.match(r"\W*how much (?:do|does|did)\b", text, re.IGNORECASE) is not None
    alone = [each for each in matches if not _names_a_thing(text, each[1].end())] or matches
    found: list[Kind] = []
    end = 0
    for kind, match in sorted(alone, key=lambda each: each[1].start(), reverse=last_first):
        if not found or (not last_first and (match.start() < end or _JOINS.search(text[end : match.start()]))):
            found.append(kind)
            end = max(end, match.end())
    return [kind for kind in KINDS if kind in found]


def _names_a_thing(text: str, end: int) -> bool:
    """Whether the next word, behind a space alone, says what a thing is."""
    following = re.match(r"\s+([\w-]+)", text[end:])
    return following is not None and any(word not in MEASURES for word in telling(following[1]))


def _wanted(text: str) -> tuple[str, list[str], list[str]]:
    """A text without what is not wanted; what a product must not be, and what it must deny."""
    denied = [match[1] or match[2] or match["not"] for match in _DENIED.finditer(text)]
    rest = _DENIED.sub(" ", text)
    excluded = [each for match in _NEGATION.finditer(rest) for each in [match[1], *_further(match[2])]]
    rest = _NEGATION.sub(" ", rest)
    if not telling(rest):  # "anything but gas grills": other grills
        rest = " ".join(each.split()[-1] for each in excluded if len(telling(each)) > 1)
    return rest, excluded, denied


def _of_model(text: str) -> bool:
    """Whether it is something "of" a product with a model number: "contrast ratio of lg 37lg50"."""
    return re.match(r"^\W*(?:\w[\w-]*\s+){1,3}of\s", text) is not None and any(map(is_model, telling(text)))


def _further(text: str) -> list[str]:
    """What else is excluded: of " or cases" the cases."""
    return [found[1] for found in re.finditer(rf"\bor\s+{_UNWANTED}", text, re.IGNORECASE)]


def _first(text: str) -> str:
    return next(iter(telling(text)), "")


def _head(text: str) -> list[str]:
    """The words of the first clause that has any, or of what is asked for behind a comma: "…, which eyeliner is ok"."""
    if inner := re.search(r",\s*(?:which|what)\s+(?P<thing>(?!is\b|are\b|do)[\w-]+)", text, re.IGNORECASE):
        text = inner["thing"]
    return next((found for part in _CLAUSE.split(text) if part and (found := telling(part))), [])
