"""What a question asks for: the table of examples that the rules are held to."""

import time
from collections.abc import Callable

import pytest

from include.answering import limits
from include.answering.asks import MOST_WORDS, asks
from include.answering.claims import quantities, read_denials
from include.answering.kinds import KINDS, counted
from include.answering.passages import sentences
from include.questions.questions import LONGEST_QUESTION

FACTS = [
    ("How much does the kettle weigh?", ["weight"]),
    ("How many litres does the Mika kettle hold?", ["volume"]),
    ("how many ml in the brow gel", ["volume"]),
    ("What is the warranty on this drill?", []),
    ("how long does the battery of the headlamp last", ["length", "time"]),
    ("How long is the cable of the mouse?", ["length", "time"]),
    ("how tall is the shelf in cm", ["length"]),
    ("what colour is the sofa", ["colour"]),
    ("What shade is number 12?", ["colour"]),
    ("price of the tent", ["money"]),
    ("contrast ratio of lg 37lg50", []),
    ("How much does the pump move?", []),
    ("how many songs fit on the player", ["count"]),
    ("how much does the tent cost", ["money"]),
    ("noise level in decibels of the dishwasher", ["noise"]),
    ("yearly kwh of the fridge", ["energy"]),
    ("what country is the mug made in", ["place"]),
    ("which colour is the sofa", ["colour"]),
    ("Which is more powerful, the P5 or the P7 grill?", ["power"]),
    ("What is the chair made of?", ["material"]),
    ("what year did the game come out", ["date"]),
    ("number of place settings of the dishwasher", ["count"]),
    ("how many songs does it hold", ["count"]),
    ("what accessories come with the drill", ["contents"]),
    ("the drill: torque?", []),
    ("model x12 how many batteries", ["count"]),
    ("is the tent waterproof", []),
    ("Does it take AA or AAA batteries?", []),
    ("mp3 player battery playback time", ["time"]),
    ("HOW HEAVY IS THE TENT???", ["weight"]),
    ("What colour is the power washer?", ["colour"]),
    ("What colour is the Acme range hood?", ["colour"]),
    ("how much does the speed skipping rope weigh", ["weight"]),
    ("how much does the gas range cost", ["money"]),
    ("what colour lid has the power blender", ["colour"]),
    ("What is the weight capacity of the stool?", ["weight", "volume"]),
    ("what are the dimensions and weight of the crate", ["length", "weight"]),
    ("how long is the cable and how heavy is it", ["length", "weight", "time"]),
    ("How many cubic feet does the K30 hold?", ["volume"]),
    ("what size is the sofa", ["size"]),
    ("screen size of the tablet", ["length"]),
    ("zeta x12 capacity cu ft", ["volume"]),
    ("what size batteries does the lamp take", []),
    ("what frequencys does the radio use", ["frequency"]),
    ("which cameras work with the battery", ["use"]),
    ("the tent comes without a pole?", []),
    ("no perfume in the soap, right?", []),
]
PRODUCTS = [
    "vegan nail polishes",
    "weber grill, not gas",
    "which products are made by Sony?",
    "Which kettle is dishwasher safe?",
    "Which kettle is made of steel?",
    "Which lamp has a battery life of 20 hours?",
    "Do you have a songbook for the guitar?",
    "Show me red kettles made of steel",
    "wireless headphones with long battery life",
    "height adjustable desk",
    "set of three pans",
    "tvs larger than 40 inches",
    "hard drives of 1 TB or more",
    "DSC-W300",
    "chaise longue pour le jardin",
    "😀😀",
]


@pytest.mark.parametrize(("question", "kinds"), FACTS)
def test_a_question_for_a_fact_wants_its_kind_of_answer(question: str, kinds: list[str]) -> None:
    """ "How many ml" that is answered with a colour is a wrong answer."""
    read = asks(question)
    assert read.fact
    assert [kind.name for kind in read.kinds] == kinds


@pytest.mark.parametrize("question", PRODUCTS)
def test_a_question_for_products_is_one(question: str) -> None:
    """ "Not found" for a list of products that are there, because no sentence says "list"."""
    read = asks(question)
    assert not read.fact
    assert read.kinds == ()


@pytest.mark.parametrize(
    ("question", "head"),
    [
        ("wireless headphones so I can watch tv without waking the baby", ["wireless", "headphon"]),
        ("Do you have a songbook for the guitar?", ["songbook"]),
        ("which products are made by Sony?", ["soni"]),
        ("dishwashers that fit 16 place settings", ["dishwash"]),
        ("sony NP-FH70", ["soni", "npfh70"]),
        ("nail polish my wife can wear", ["nail", "polish"]),
        ("i wear contacts, which eyeliner is ok", ["eyelin"]),
        ("show me 3 radar detectors", ["radar", "detector"]),
        ("laptop lighter than 2 kg", ["laptop"]),
        ("curtains longer than 2 m, blue", ["curtain"]),
        ("tent for a party, taller than 2 metres", ["tent"]),
        ("pans no bigger than 20 cm", ["pan"]),
    ],
)
def test_the_head_names_the_thing(question: str, head: list[str]) -> None:
    """Of a need most words are in no product; the kind of thing decides whether there is one."""
    assert list(asks(question).head) == head


@pytest.mark.parametrize(
    ("question", "need"),
    [
        ("put my tv on the wall", True),
        ("hide ugly cables", True),
        ("plug a charger into the lighter", True),
        ("something to store photos", True),
        ("lg washers", False),
        ("record player", False),
        ("Which kettle is quiet?", False),
        ("i want to make my own pasta at home", True),
        ("i wear contacts, which eyeliner is ok", False),
    ],
)
def test_what_somebody_wants_to_do_is_told_from_a_name(question: str, need: bool) -> None:
    """A need names no product; whether "ugly" is in the catalogue says nothing."""
    assert asks(question).need == need


@pytest.mark.parametrize(
    ("question", "excluded"),
    [
        ("weber grill, not gas", ["gas"]),
        ("navigation, no black no gas", ["black", "gas"]),
        ("grill without gas or black lids", ["gas", "black lids"]),
        ("fridges except black ones", ["black ones"]),
        ("is it not heavy?", []),
        ("pans no bigger than 20 cm", []),
    ],
)
def test_what_is_not_wanted_is_no_word_to_look_for(question: str, excluded: list[str]) -> None:
    """ "Not gas" that finds gas grills is the opposite of what was asked."""
    read = asks(question)
    assert list(read.excluded) == excluded
    assert not {"gas", "black"} & set(read.words)


@pytest.mark.parametrize(
    ("question", "denied", "words"),
    [
        ("gluten free bread", ["gluten"], ["bread"]),
        ("sugar-free gum", ["sugar"], ["gum"]),
        ("shampoo free of sulfates", ["sulfates"], ["shampoo"]),
        ("Which kettle is not dishwasher safe?", ["dishwasher safe"], ["kettl"]),
        ("a stroller that doesn’t have a canopy", ["canopy"], ["stroller"]),
        ("I don't want a gas grill", [], ["grill"]),
        ("anything but gas grills", [], ["grill"]),
        ("phone case with free shipping", [], ["phone", "case", "free", "ship"]),
        ("Chanel No 5 perfume", [], ["chanel", "5", "perfum"]),
    ],
)
def test_what_a_product_has_to_deny_is_told_from_what_it_has_to_be(
    question: str, denied: list[str], words: list[str]
) -> None:
    """ "Gluten free" that finds bread with gluten is the opposite of what was asked."""
    read = asks(question)
    assert (list(read.denied), list(read.words)) == (denied, words)


def test_words_that_ask_are_told_from_those_that_name() -> None:
    """The title has the name; what is missing in it is what has to be found."""
    read = asks("What warranty comes with the Duet washer?")
    assert (read.main, read.focus) == ("warranti", ("warranti", "duet", "washer"))
    assert asks("what is the shelf life of the soap").specific == ("shelf",)
    assert asks("is the lens black or silver").options == ("black", "silver")
    assert asks("is it waterproof or not").options == ()
    assert asks("cream sun protection factor?").acronyms["spf"] == ["sun", "protect", "factor"]


GIVEN = [
    ("length", "elevates the screen 5.5 ' above"),
    ("length", 'a 24" rack'),
    ("length", "cable over 8 feet long"),
    ("area", "462 sq. in . total cooking area"),
    ("weight", "weighs 1.2kg"),
    ("volume", "7.3 cu . ft. capacity"),
    ("volume", "0.14oz tube"),
    ("power", "42,000 btu per-hour"),
    ("time", "up to twelve hours"),
    ("memory", "2gb internal memory"),
    ("pixels", "1920 x 1080p"),
    ("money", "Price: 20"),
    ("money", "€ 12.50"),
    ("date", "released in 2019"),
    ("place", "Made in Portugal"),
    ("material", "brushed stainless steel"),
    ("contents", "includes two filters"),
    ("colour", "Creamy Natural (820)"),
]
NOT_GIVEN = [
    ("weight", "kxtg6702b"),
    ("length", "24 megapixels"),
    ("volume", "a lot of room"),
    ("noise", "quiet operation"),
    ("date", "1920 x 1080"),
    ("energy", "energy star qualified"),
    ("money", "priceless"),
    ("time", "long lasting"),
]


@pytest.mark.parametrize(("name", "text"), GIVEN)
def test_a_passage_with_the_kind_of_answer_is_seen(name: str, text: str) -> None:
    """Catalogues write units in words, in letters and as signs."""
    assert next(kind for kind in KINDS if kind.name == name).given.search(text)


@pytest.mark.parametrize(("name", "text"), NOT_GIVEN)
def test_a_passage_without_the_kind_of_answer_is_not_taken_for_one(name: str, text: str) -> None:
    """The word alone, without a value, answers nothing."""
    assert not next(kind for kind in KINDS if kind.name == name).given.search(text)


@pytest.mark.parametrize(
    "part", ["kettle? ", "how many ", "a-", "not ", "3 x ", "ü", "(", "of the ", "1.", "\u202eabc "]
)
def test_the_longest_question_is_read_in_no_time(part: str) -> None:
    """A pattern that tries everything twice would hold up every question behind it."""
    began = time.monotonic()
    read = asks((part * LONGEST_QUESTION)[:LONGEST_QUESTION])
    assert time.monotonic() - began < 1
    assert len(read.words) <= MOST_WORDS


RUNS = [
    "-",
    " ",
    "1",
    "a",
    "'",
    "“",
    "漢",
    "1 ",
    "1-",
    "a-",
    "1,",
    "1 x ",
    "no ",
    "where is ",
    "how much is ",
    "is not ",
]
READERS: dict[str, Callable[[str], object]] = {
    "question": asks,
    "limit": limits.limit,
    "values": lambda text: limits.contradicts(text, text, limits.Limit("length", 1.0, True, True)),
    "denials": read_denials,
    "count": lambda text: list(counted("how many", ["handset"]).given.finditer(text)),
    "kinds": lambda text: [kind.given.search(text) for kind in KINDS],
    "quantities": quantities,
    "sentences": sentences,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("before", ["", "1 "])
def test_a_text_four_times_as_long_takes_about_four_times_as_long(reader: str, before: str) -> None:
    """Danger: 40 dashes behind a number took nine seconds, in a question as in any product's text."""

    def took(run: str, length: int) -> float:
        text = (before + run * length)[:length] + "§"
        began = time.process_time()
        READERS[reader](text)
        return time.process_time() - began

    for run in RUNS:
        took(run, 30)  # an exponential pattern would not come to an end at 1,000
        short = max(min(took(run, 1000) for _ in range(3)), 0.001)
        assert min(took(run, 4000) for _ in range(3)) < 9 * short, (run, short)
