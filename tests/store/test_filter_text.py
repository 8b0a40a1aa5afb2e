"""The filter language: what it takes, and what it says of what it does not take."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.catalogue.attributes import Attribute
from include.core.errors import BadFilter
from include.store.filter_text import LONGEST_FILTER, parse
from include.store.filters import Filter
from tests.store.filtered import ATTRIBUTES

NAMED = (
    *ATTRIBUTES,
    Attribute(name="in", type="number", field="IN"),
    Attribute(name="कीमत", type="money", field="कीमत"),
)

READ = [
    ('brand = "Sony" and price < 200', 'brand = "Sony" and price < 200'),
    ("BRAND == 'O\\'Neill'", 'brand = "O\'Neill"'),
    ("brand <> “Sony”", 'brand != "Sony"'),
    ('brand in ("a", "b", "a")', 'brand in ("a", "b")'),
    ('brand not in ("a")', 'brand != "a"'),
    ("price between 10 and 20 or größe = -0.5", "(price >= 10 and price <= 20) or größe = -0.5"),
    ("not (price > 1e3)", "not price > 1000"),
    ("in_stock and not in_stock = false", "in_stock = true and in_stock != false"),
    ('色 contains "red"', '色 = "red"'),
    ('note not contains "leather bag"', 'not note contains "leather bag"'),
    ("released = 2024-02-29", "released >= 2024-02-29T00:00:00Z and released < 2024-03-01T00:00:00Z"),
    ("released > 2024-02-29", "released >= 2024-03-01T00:00:00Z"),
    ('released <= "2024-02-29T10:00:00+02:00"', "released < 2024-02-29T08:00:01Z"),
    ("price is missing or price is not missing", "price is missing or price is not missing"),
    ("`in` = 3", "`in` = 3"),
    ('brand = "cafe\u0301"', 'brand = "café"'),
    ('brand="a" or brand="b" and price=1', 'brand = "a" or (brand = "b" and price = 1)'),
    ('{"must": [{"key": "brand", "match": {"value": "Sony"}}]}', 'brand = "Sony"'),
    ('{"must_not": {"key": "attributes.brand", "match": {"any": ["a", "b"]}}}', 'not brand in ("a", "b")'),
    (
        '{"should": [{"is_empty": {"key": "price"}}, {"key": "größe", "range": {"gte": 1, "lt": 2}}]}',
        "price is missing or (größe >= 1 and größe < 2)",
    ),
    (
        '{"must": [{"key": "attributes.\\"brand\\"", "match": {"except": ["LG"]}}]}',
        'brand != "LG" and brand is not missing',
    ),
    (r'brand = "AC\DC" or brand = "a\\b"', r'brand = "AC\\DC" or brand = "a\\b"'),
    (r"brand = “a\nb”", r'brand = "a\\nb"'),
    ("कीमत < 20", "कीमत < 20"),
    ("released <= 9999-12-31", "released < 9999-12-31T23:59:59Z"),
    ("released < 2024-01-31 12:00", "released < 2024-01-31T12:00:00Z"),
    ("price < 200 € and price > $19.5 and price =< £ 3", "price < 200 and price > 19.5 and price <= 3"),
    ("price in (1, 200)", "price = 1 or price = 200"),
    (
        '{"must": [{"key": "released", "range": {"gt": "2024-01-01"}}, {"key": "note", "match": {"text": "bag"}}]}',
        'released > 2024-01-01T00:00:00Z and note contains "bag"',
    ),
    ('{"must": [{"key": "in_stock", "match": {"value": true}}], "should": []}', "in_stock = true"),
]

REFUSED = [
    ('brnad = "Sony"', 'character 1, at "brnad', "Did you mean brand?"),
    ('price < 3 and colour = "red"', "character 15", "There are: brand (keyword), größe (number)"),
    ("price < cheap", "character 9", "price is of type money: expected a number"),
    ("brand = Sony", "character 9", "expected a text in quotes"),
    ('brand < "Sony"', "character 7", "brand is of type keyword"),
    ('note = "bag"', "character 6", "note contains"),
    ("released >= 2024-02-30", "character 13", "expected a date"),
    ("price in (1,200, 2,500)", "character 11", "write 1200, or 1, 200 with a space"),
    ("price < $1,200", "character 9", "write 1200"),
    ("price = 1.299,00 €", "character 9", "no sign between thousands: 1299 or 1299.5"),
    ("price < 1,299.00", "character 9", "no sign between thousands"),
    ("price < 19,99 and in_stock", "character 9", "a point before their decimals"),
    ("price between 1,5 and 2", "character 15", "a point before their decimals"),
    ("price in (5, 1.299,00)", "character 14", "no sign between thousands"),
    ("price > 1 299", "character 9", "no sign between thousands"),
    ("price > 1'299", "character 9", "no sign between thousands"),
    ("price > 1.299.000", "character 9", "no sign between thousands"),
    ('note contains "!!!"', "character 15", "no words"),
    ('{"must": [{"key": "note", "match": {"text": ""}}]}', "must[0].match", "without words"),
    ('{"must": [{"key": "色", "match": {"except": ["red"]}}]}', "must[0].match has `except`", "must_not"),
    ('{"must": [{"key": "brand", "match": {"value": "a"}}], "must": []}', "'must' twice", "one list"),
    ("not " * 25 + "in_stock", "nested more than 20 deep", "fewer"),
    (f"released in ({', '.join(['2024-01-01'] * 100)})", "characters; at most 5,000", "Shorten"),
    ("in_stock = 1", "character 12", "true or false"),
    ("price = 1e999", "character 9", "expected a number"),
    ("price < 3 price > 4", "character 11", "expected `and`, `or` or the end"),
    ("(price < 3", "character 11, at its end", "expected `)`"),
    ("price < 3 & in_stock", "character 11", "cannot be read"),
    ('brand = "Sony', "character 9", "not closed"),
    ("price", "at its end", "expected a comparison of price"),
    ("brand in ()", "character 11", "expected a text"),
    ("   ", "empty", "brand ="),
    ("(" * 41 + "price = 1" + ")" * 41, "character 41", "within each other"),
    ("not " * 1200 + "in_stock", "character 161", "within each other"),
    ("price = 1" + " " * LONGEST_FILTER, "5,009 characters", "Shorten"),
    ('{"must": [{"key": "brnad", "match": {"value": "x"}}]}', "must[0]: there is no attribute 'brnad'", "brand"),
    ('{"must": [{"key": "brand", "match": {"value": 3}}]}', "must[0].match.value", "brand is of type keyword"),
    ('{"should": [{"key": "price", "range": {"gte": "1"}}]}', "should[0].range.gte", "price is of type money"),
    ('{"must": [{"key": "brand", "match": {"value": "a"}, "range": {"gt": 1}}]}', "must[0]", "either"),
    ('{"must": [{"has_id": [1]}]}', "must[0] has 'has_id'", "must, should and must_not"),
    ('{"must": [', "no JSON", "character 11"),
    ("{}", "has no condition", "must"),
    ('{"must":[' * 300 + "]}" * 300, "nested", "must"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "printed"), READ)
def test_a_filter_is_read_and_prints_as_what_it_means(text: str, printed: str) -> None:
    """The answer shows how its filter was understood."""
    assert str(parse(text, NAMED)) == printed


@pytest.mark.parametrize(("text", "where", "expected"), REFUSED, ids=[text[:30] for text, _, _ in REFUSED])
def test_a_fault_is_told_with_its_place_and_what_was_expected(text: str, where: str, expected: str) -> None:
    """A filter that silently meant another thing would hide products."""
    with pytest.raises(BadFilter) as raised:
        parse(text, NAMED)
    assert where in raised.value.what
    assert expected in str(raised.value)
    assert len(str(raised.value)) < 700


def test_an_index_without_attributes_says_so() -> None:
    """There is nothing to suggest."""
    with pytest.raises(BadFilter, match="the products of this index have none"):
        parse("price < 3", ())


WORDS = "brand größe price released in_stock 色 note `in` brnad and or not in between is missing contains true false"
SIGNS = '( ) , = != < >= "Sony" \'x\\u00e9\' “q” 3 -1.5e3 2024-01-31 2024-02-30 2024-01-31T10:00Z " \\ { [ ] } : \ud800'
PIECES = st.sampled_from(f"{WORDS} {SIGNS}".split())
WRITTEN = st.one_of(st.lists(PIECES, max_size=14).map(" ".join), st.text(max_size=40))
VALUES = {
    "keyword": st.text(max_size=6).map(lambda text: json.dumps(text, ensure_ascii=False)),
    "keywords": st.text(max_size=6).map(json.dumps),
    "number": st.one_of(
        st.integers(-(10**6), 10**6).map(str), st.floats(allow_nan=False, allow_infinity=False).map(repr)
    ),
    "money": st.decimals(0, 1000, places=2).map(str),
    "date": st.one_of(st.dates().map(str), st.datetimes().map(lambda at: at.isoformat(timespec="seconds") + "Z")),
}


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    """A comparison that is right."""
    attribute = draw(st.sampled_from(ATTRIBUTES))
    if attribute.type == "boolean" or draw(st.integers(0, 9)) == 0:
        return f"{attribute.name} is {draw(st.sampled_from(['', 'not ']))}missing"
    if attribute.type == "text":
        return f"{attribute.name} contains {json.dumps(draw(st.text(max_size=6)))}"
    first, second = draw(VALUES[attribute.type]), draw(VALUES[attribute.type])
    signs = ["= {}", "!= {}", "in ({}, {})", "not in ({})"]
    signs += ["< {}", ">= {}", "between {} and {}"] if attribute.type in ("number", "money", "date") else []
    return f"{attribute.name} {draw(st.sampled_from(signs)).format(first, second)}"


FORMS = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' and '.join(parts)})"),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' or '.join(parts)})"),
        inner.map(lambda part: f"not {part}"),
    ),
    max_leaves=5,
)


def same_again(made: Filter) -> bool:
    return parse(str(made), NAMED) == made


@given(WRITTEN)
@example("released = 0001-01-01T00:00+14:00")
@example('{"must": ' + "9" * 5000 + "}")
@example("price = ٣")
def test_whatever_is_written_is_read_or_refused_in_words(text: str) -> None:
    """Another error would be a stack trace in the customer's face."""
    try:
        made = parse(text, NAMED)
    except BadFilter as fault:
        assert fault.what
        return
    assert same_again(made)


@given(FORMS)
def test_a_printed_filter_is_read_as_the_same_one(text: str) -> None:
    """What the answer shows can be asked again."""
    try:
        made = parse(text, NAMED)
    except BadFilter as fault:
        assert any(each in fault.what for each in ("date", "number", "no words"))  # beyond the years that there are
        return
    assert same_again(made)


JSON_VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(["brand", "price", "2024-01-01", "x"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["must", "should", "must_not", "key", "match", "range", "value", "any", "gte", "is_empty"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["must", "should", "must_not", "x"]), JSON_VALUES, max_size=2))
def test_json_of_any_form_is_read_or_refused_in_words(value: dict[str, object]) -> None:
    """Programs send the JSON; they too need to be told what is wrong."""
    try:
        made = parse(json.dumps(value), NAMED)
    except BadFilter:
        return
    assert same_again(made)
