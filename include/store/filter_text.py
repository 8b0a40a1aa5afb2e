"""Reads a filter as a person writes it; the language is described in docs/operations.md.

    filter     = alternative {"or" alternative}
    alternative = condition {"and" condition}
    condition  = "not" condition | "(" filter ")" | name comparison
    comparison = ("=" | "!=" | "<" | "<=" | ">" | ">=") value
               | ["not"] "in" "(" value {"," value} ")"
               | ["not"] "between" value "and" value
               | ["not"] "contains" "text"
               | "is" ["not"] "missing"
               | (nothing: of a boolean, that it is true)
    value      = "text" | 'text' | number | 2024-01-31 | 2024-01-31T12:00:00Z | true | false

A date without a time stands for the whole day. What begins with `{` is Qdrant's filter JSON (`filter_json.py`).
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import regex

from include.catalogue.attributes import Attribute
from include.core.errors import BadFilter
from include.store.filter_json import parse_json
from include.store.filter_values import DATE, DEEPEST, EXAMPLES, read_date, sound
from include.store.filters import All, AnyOf, Compare, Contains, Filter, Missing, Not, OneOf, Sign, depth, known
from include.store.words import words

LONGEST_FILTER = 5000  # characters, also as it prints
DEEPEST_FORM = 20  # conditions within each other: the server's parser takes few more
HELP = 'A filter reads such as: brand = "Sony" and price < 200. docs/operations.md has the whole language.'
SIGNS: dict[str, Sign] = {"=": "=", "==": "=", "<": "<", "<=": "<=", "=<": "<=", ">": ">", ">=": ">=", "=>": ">="}

_TOKEN = regex.compile(
    rf"""
    (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[“„][^“”„]*[”“])
    |(?P<date>{DATE})
    |(?:\p{{Sc}}\s*)?(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?:\s*\p{{Sc}})?
    |`(?P<quoted>[^`]+)`
    |(?P<word>[^\W\d]\w*)
    |(?P<sign><=|>=|=<|=>|<>|!=|==|[=<>(),])
    """,
    regex.VERBOSE | regex.DOTALL,
)
_THOUSANDS = regex.compile(r"(?:\p{Sc}\s*)?[+-]?[0-9]{1,3}(?:(?:,[0-9]{3})+|(?:\.[0-9]{3})+,[0-9]{1,2})(?![0-9])")
_NUMBERS = "numbers have a point before their decimals and no sign between thousands: 1299 or 1299.5"
_ESCAPE = re.compile(r"""\\(u[0-9a-fA-F]{4}|[\\"'/ntrbf])""")  # another one stands for itself
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def parse(text: str, attributes: Sequence[Attribute]) -> Filter:
    """Read a filter.

    Args:
        text: In the language above, or Qdrant's JSON.
        attributes: Those of the index that is to be filtered.

    Raises:
        BadFilter: It cannot be read, names an attribute that is not there, or compares with a value of another type;
            the message says where and what was expected.
    """
    text = unicodedata.normalize("NFC", sound(text))  # as the catalogue is
    if len(text) > LONGEST_FILTER:
        raise BadFilter(f"The filter has {len(text):,} characters; at most {LONGEST_FILTER:,} are read.", "Shorten it.")
    json = text.lstrip().startswith("{")
    made = parse_json(text, attributes) if json else _Parser(text, attributes).whole()
    if depth(made) > DEEPEST_FORM:
        raise BadFilter(f"The filter is nested more than {DEEPEST_FORM} deep.", "Write it with fewer levels.")
    if (length := len(str(made))) > LONGEST_FILTER:
        raise BadFilter(
            f"The filter comes to {length:,} characters; at most {LONGEST_FILTER:,} are read.", "Shorten it."
        )
    return made


@dataclass(frozen=True)
class _Token:
    kind: str  # text, date, number, quoted, word, sign, end
    value: str
    at: int  # 0-based position

    def word(self, *words: str) -> bool:
        return self.kind in ("word", "sign") and self.value.lower() in words


class _Parser:
    def __init__(self, text: str, attributes: Sequence[Attribute]) -> None:
        self._text = text
        self._attributes = attributes
        self._tokens = self._cut()
        self._next = 0
        self._depth = 0

    def whole(self) -> Filter:
        if self._tokens[0].kind == "end":
            raise BadFilter("The filter is empty.", HELP)
        made = self._filter()
        if self._token.kind != "end":
            raise self._fault("expected `and`, `or` or the end")
        return made

    def _cut(self) -> list[_Token]:
        tokens: list[_Token] = []
        at = 0
        while at < len(self._text):
            if self._text[at].isspace():
                at += 1
                continue
            found = _TOKEN.match(self._text, at)
            if found is None:
                if tokens and tokens[-1].kind == "number" and self._text[at] in "'.":
                    raise self._fault(_NUMBERS, tokens[-1].at)
                quote = self._text[at] in "\"'`“„"
                raise self._fault("this quote is not closed" if quote else "this cannot be read", at)
            kind = found.lastgroup or ""
            tokens.append(_Token(kind, found[kind], at))
            at = found.end()
        return [*tokens, _Token("end", "", at)]

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, *words: str) -> bool:
        """Whether the next token is one of these words or signs; it is then behind."""
        taken = self._token.word(*words)
        self._next += taken
        return taken

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise self._fault(f"expected `{word}`")

    def _where(self, at: int) -> str:
        near = self._text[at : at + 20]
        cut = f'at "{near}{"…" if len(self._text) > at + 20 else ""}"' if near else "at its end"
        return f"Filter, character {at + 1}, {cut}: "

    def _fault(self, what: str, at: int | None = None) -> BadFilter:
        if at is None:
            at, before = self._token.at, self._tokens[self._next - 1] if self._next else None
            if before and before.kind == "number" and (self._token.kind == "number" or self._token.value == ","):
                at, what = before.at, _NUMBERS  # 1.299,00 or 1 299
        return BadFilter(f"{self._where(at)}{what}.", HELP)

    def _filter(self) -> Filter:
        parts = [self._alternative()]
        while self._take("or"):
            parts.append(self._alternative())
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _alternative(self) -> Filter:
        parts = [self._condition()]
        while self._take("and"):
            parts.append(self._condition())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _condition(self) -> Filter:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._fault(f"more than {DEEPEST} parentheses and `not` within each other")
        made = self._one_condition()
        self._depth -= 1
        return made

    def _one_condition(self) -> Filter:
        if self._take("not"):
            return Not(self._condition())
        if self._take("("):
            made = self._filter()
            self._expect(")")
            return made
        token = self._token
        if token.kind not in ("word", "quoted"):
            raise self._fault("expected the name of an attribute")
        attribute = known(token.value, self._attributes, self._where(token.at))
        self._next += 1
        return self._comparison(attribute)

    def _comparison(self, attribute: Attribute) -> Filter:
        if self._take("is"):
            absent = not self._take("not")
            self._expect("missing")
            return Missing(attribute.name) if absent else Not(Missing(attribute.name))
        sign = self._token
        if self._take("!=", "<>"):
            return Not(self._signed(attribute, "=", sign.at))
        if self._take(*SIGNS):
            return self._signed(attribute, SIGNS[sign.value], sign.at)
        if self._take("not"):
            return Not(self._worded(attribute))
        if attribute.type == "boolean" and not self._token.word("in"):
            return OneOf(attribute.name, (True,))
        return self._worded(attribute)

    def _worded(self, attribute: Attribute) -> Filter:
        at = self._token.at
        if self._take("contains"):
            if attribute.type not in ("text", "keywords"):
                raise self._fault(
                    f"`contains` is for text and keywords; {attribute.name} is of type {attribute.type}", at
                )
            at, value = self._token.at, self._text_value(attribute)
            if attribute.type == "text" and not words(value):
                raise self._fault("this text has no words to look for", at)
            return Contains(attribute.name, value) if attribute.type == "text" else OneOf(attribute.name, (value,))
        if self._take("between"):
            low = self._signed(attribute, ">=", at)
            self._expect("and")
            return All((low, self._signed(attribute, "<=", at)))
        if self._take("in"):
            self._expect("(")
            each = [self._signed(attribute, "=", at)]
            while self._take(","):
                each.append(self._signed(attribute, "=", at))
            self._expect(")")
            if values := [value for one in each if isinstance(one, OneOf) for value in one.values]:
                return OneOf(attribute.name, tuple(dict.fromkeys(values)))
            return each[0] if len(each) == 1 else AnyOf(tuple(each))
        raise self._fault(
            f"expected a comparison of {attribute.name}: =, !=, <, <=, >, >=, in, between, contains or is missing"
        )

    def _signed(self, attribute: Attribute, sign: Sign, at: int) -> Filter:
        """`attribute` compared with the value that is next; `at` is where the sign stands."""
        name = attribute.name
        match attribute.type:
            case "text":
                raise self._fault(f'{name} is text, which is searched by words: {name} contains "…"', at)
            case "number" | "money":
                return Compare(name, sign, self._number(attribute))
            case "date":
                return dated(name, sign, *self._date(attribute))
        if sign != "=":
            raise self._fault(f"`{sign}` is for numbers and dates; {name} is of type {attribute.type}", at)
        return OneOf(name, (self._boolean(attribute) if attribute.type == "boolean" else self._text_value(attribute),))

    def _wrong(self, attribute: Attribute) -> BadFilter:
        return self._fault(f"{attribute.name} is of type {attribute.type}: expected {EXAMPLES[attribute.type]}")

    def _number(self, attribute: Attribute) -> float:
        token = self._token
        value = float(token.value) if token.kind == "number" else math.nan
        if _THOUSANDS.match(self._text, token.at):
            raise self._fault(f"this is one number or several: write 1200, or 1, 200 with a space; {_NUMBERS}")
        if not math.isfinite(value):
            raise self._wrong(attribute)
        self._next += 1
        return value + 0.0  # -0.0 is 0

    def _date(self, attribute: Attribute) -> tuple[datetime, datetime]:
        token = self._token
        text = _unquoted(token.value).strip() if token.kind == "text" else token.value
        span = read_date(text) if token.kind in ("text", "date") else None
        if span is None:
            raise self._wrong(attribute)
        self._next += 1
        return span

    def _boolean(self, attribute: Attribute) -> bool:
        if self._take("true"):
            return True
        if not self._take("false"):
            raise self._wrong(attribute)
        return False

    def _text_value(self, attribute: Attribute) -> str:
        token = self._token
        if token.kind != "text":
            raise self._wrong(attribute)
        self._next += 1
        return _unquoted(token.value)


def dated(name: str, sign: Sign, begin: datetime, end: datetime) -> Filter:
    """A comparison with what a date stands for: everything from `begin` to just before `end`."""
    if sign == "=":
        return All((Compare(name, ">=", begin), Compare(name, "<", end)))
    whole: dict[Sign, Filter] = {
        "<": Compare(name, "<", begin),
        "<=": Compare(name, "<", end),
        ">": Compare(name, ">=", end),
        ">=": Compare(name, ">=", begin),
    }
    return whole[sign]


def _unquoted(token: str) -> str:
    if token[0] in "“„":
        return token[1:-1]

    def plain(found: re.Match[str]) -> str:
        code = found[1]
        return chr(int(code[1:], 16)) if code[0] == "u" else _ESCAPES.get(code, code)

    return sound(_ESCAPE.sub(plain, token[1:-1]))
