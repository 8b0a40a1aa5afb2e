"""Which columns of a catalogue are attributes, and of which type: guessed from a sample of their values.

A type fits where nearly all values read as it (`include.catalogue.values`); which of two fits better, the column's name
helps to tell: whole numbers are a `price`, a `rating` or an `ean`.
"""

import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import fmean
from typing import Any

from msgspec import structs

from include.catalogue.attribute_reader import says_nothing
from include.catalogue.attributes import AttributeType
from include.catalogue.mapping import AttributeColumn, Path, is_listed, texts
from include.catalogue.values import FALSE, TRUE, Unread, decimal_of, read_date, read_money, read_number

NEARLY_ALL = 0.95
MOST_PRICES = 0.5  # of the values of a column called price: the others say "Call us"
LONGEST_KEYWORD = 80  # characters of nearly all keywords
SHORT = 40  # characters, on average, of what is a keyword however many there are
DELIMITERS = (">", "|", ";", "»", "›", "、")
URL = re.compile(r"(?:https?:)?//\S+$", re.IGNORECASE)
_CODE_OF_TWO = re.compile(r"[A-Z]{2}")
_EITHER = re.compile(r"[-+]?\d{1,3}([.,])\d{3}")
NAMIBIA = "NA"
_TAG = re.compile(r"<[^<>]*>")
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_A-Za-z]+")
_MONEY = (
    "price",
    "preis",
    "prix",
    "precio",
    "prezzo",
    "preco",
    "cost",
    "msrp",
    "rrp",
    "amount",
    "価格",
    "値段",
    "价格",
    "цена",
    "가격",
)
_TRUTH = frozenset(
    {"is", "has", "in", "instock", "available", "active", "enabled", "featured", "visible", "published", "sale"}
)
_CODE = frozenset(
    {"id", "ids", "ean", "gtin", "upc", "isbn", "asin", "sku", "mpn", "code", "zip", "plz", "phone", "barcode"}
)
_TIME = frozenset(
    {"date", "time", "datum", "fecha", "created", "updated", "published", "released", "timestamp", "since", "until"}
)
_LISTS = ("tag", "keyword", "category", "categories", "label", "colour", "color", "size", "material", "ingredient")

Guess = tuple[AttributeType, str]

log = logging.getLogger(__name__)


def attribute_name(path: Path) -> str:
    """What an attribute is called: `Price (EUR)` is `price_eur`, `listPrice` `list_price`; other scripts stay."""
    name = re.sub(r"([a-z])([A-Z])", r"\1_\2", unicodedata.normalize("NFC", "_".join(path))).lower()
    name = "".join(letter if letter.isalnum() or unicodedata.category(letter)[0] == "M" else " " for letter in name)
    name = "_".join(name.split()) or "field"
    return f"_{name}" if name[0].isdigit() else name


def guessed_type(name: str, values: Sequence[Any]) -> Guess:
    """The type of a column, and the hint for reading it (`include.catalogue.mapping.AttributeColumn`).

    Args:
        name: Of the column, as the file has it.
        values: Those of the sample that are there, in the file's order.
    """
    if all(len(value) == 1 for value in values if type(value) is list):  # how scrapers write single values
        values = [value[0] if type(value) is list else value for value in values]
    lists = [value for value in values if type(value) is list or is_listed(value)]
    if len(lists) * 2 > len(values):
        return ("keywords", "") if _are_short([text for value in values for text in texts(value)]) else ("text", "")
    if all(type(value) is bool for value in values):
        return "boolean", ""
    words = {word.casefold() for word in _WORDS.findall(name)}
    if _are_codes(values):
        return "keyword", NAMIBIA
    if all(type(value) in (int, float) for value in values):
        return _of_numbers(name, words, values)
    return _of_texts(name, words, [text for value in values if not says_nothing(text := " ".join(texts(value)))])


def _are_codes(values: Sequence[Any]) -> bool:
    """Whether NA is a country's code here: nearly all values are codes of two letters, and several."""
    if NAMIBIA not in values:
        return False
    codes = [value for value in values if type(value) is str and _CODE_OF_TWO.fullmatch(value.strip())]
    return len(codes) >= NEARLY_ALL * len(values) and len({*codes} - {NAMIBIA}) > 1


def hint_of(kind: AttributeType, values: Sequence[Any]) -> str:
    """The hint for reading a column whose type is set."""
    found = [text for value in values if (text := " ".join(texts(value)))]
    if kind in ("number", "money"):
        return _decimal(found)
    if kind == "date":
        return (_date_order(found) or ("", ""))[1]
    return _delimiter(found, "tags", least=0.1) if kind == "keywords" else ""


def with_signs(
    columns: Sequence[AttributeColumn], samples: Sequence[Sequence[Any]], guessed: Sequence[bool]
) -> Iterator[AttributeColumn]:
    """The columns, numbers that are all like `1.250` being read by the decimal sign of the other columns.

    Without such a sign, a guessed one is of keywords: 1,250 g or 1.25 kg cannot be told.
    """
    signs = Counter(column.hint for column in columns if column.type in ("number", "money"))
    sign = "" if signs["."] == signs[","] else max(".,", key=signs.__getitem__)
    for column, values, is_guess in zip(columns, samples, guessed, strict=True):
        either = {found[1] for value in values if type(value) is str and (found := _EITHER.fullmatch(value.strip()))}
        if column.type != "number" or column.hint or not either:
            yield column
        elif sign:
            yield structs.replace(column, hint=sign)
        elif is_guess and "." in either:
            log.info("attribute %s: 1.250 may be 1,250 or 1.25: kept as keyword, unless its type is set", column.name)
            yield structs.replace(column, type="keyword")
        else:
            yield column


def _of_numbers(name: str, words: set[str], values: Sequence[float]) -> Guess:
    if _is_money(name):
        return "money", ""
    if set(values) <= {0, 1} and words & _TRUTH:
        return "boolean", ""
    if words & _CODE:
        return "keyword", ""
    if (words & _TIME or name.endswith("_at")) and _share(values, read_date) >= NEARLY_ALL:
        return "date", ""
    return "number", ""


def _of_texts(name: str, words: set[str], found: Sequence[str]) -> Guess:
    if not found or sum(map(bool, map(URL.match, found))) * 2 > len(found):
        return "text", ""
    if words & _CODE:
        return "keyword", ""
    as_date = _date_order(found) if words & _TIME else None  # 20240501 is a number elsewhere
    return as_date or _as_truth(words, found) or _as_amount(name, found) or _date_order(found) or _as_words(name, found)


def _as_truth(words: set[str], found: Sequence[str]) -> Guess | None:
    lower = {text.strip().casefold() for text in found}
    told = words & _TRUTH or (lower & TRUE and lower & FALSE and not lower <= {"0", "1", "y", "n", "t", "f"})
    return ("boolean", "") if lower <= TRUE | FALSE and told else None  # a brand may be called On


def _as_amount(name: str, found: Sequence[str]) -> Guess | None:
    decimal = _decimal(found)
    enough = MOST_PRICES if _is_money(name) else NEARLY_ALL
    if _share(found, lambda text: read_money(text, decimal)) < enough:
        return None
    if _is_money(name) or _share(found, _currency) > 0.5:
        return "money", decimal
    if _share(found, lambda text: read_number(text, decimal)) < NEARLY_ALL:
        return None
    led_by_zero = any(text[:1] == "0" and text[1:2].isdigit() for text in map(str.strip, found))
    return ("keyword", "") if led_by_zero else ("number", decimal)


def _as_words(name: str, found: Sequence[str]) -> Guess:
    if delimiter := _delimiter(found, name):
        return "keywords", delimiter
    few = len(set(found)) * 5 <= len(found) and max(map(len, found)) <= LONGEST_KEYWORD * 2
    return ("keyword", "") if few or _are_short(found) else ("text", "")


def _is_money(name: str) -> bool:
    return any(word in name.casefold() for word in _MONEY)


def _currency(text: str) -> None:
    if not read_money(text)[1]:
        raise Unread


def _are_short(found: Sequence[str]) -> bool:
    lengths = sorted(map(len, found)) or [0]
    return fmean(lengths) <= SHORT and lengths[int(NEARLY_ALL * (len(lengths) - 1))] <= LONGEST_KEYWORD


def _share(values: Sequence[Any], read: Callable[[Any], object]) -> float:
    """Of the values, those that read; where hardly one of the first fifty does, of these."""
    tried = min(len(values), 50)
    first = sum(_reads(value, read) for value in values[:tried])
    if not tried or first * 2 < tried:
        return first / max(tried, 1)
    return (first + sum(_reads(value, read) for value in values[tried:])) / len(values)


def _reads(value: Any, read: Callable[[Any], object]) -> bool:
    try:
        read(value)
    except Unread:
        return False
    return True


def _decimal(found: Sequence[str]) -> str:
    signs = Counter(map(decimal_of, found))
    return "," if signs[","] > signs["."] else "." if signs["."] else ""


def _date_order(found: Sequence[str]) -> Guess | None:
    """`date` and the order of day and month; None where these are no dates, or the order cannot be told."""
    if max(map(len, found[:50]), default=0) > 40:
        return None
    fits = [order for order in ("", "dmy", "mdy") if _share(found, partial(_dated, order)) >= NEARLY_ALL]
    # What is a date in either order of day and month has no order, unless it is a date without one.
    return ("date", fits[0]) if "" in fits or len(fits) == 1 else None


def _dated(order: str, text: str) -> None:
    read_date(text, order)


def _delimiter(found: Sequence[str], name: str, least: float = 0.5) -> str:
    """What stands between the parts of values, in more than the share `least` of them, if the parts are short."""
    found = [_TAG.sub(" ", text).replace("&gt;", ">") for text in found]
    listed = any(word in name.casefold() for word in _LISTS)
    delimiters: tuple[str, ...] = (*DELIMITERS, ",", "/") if listed else DELIMITERS
    for delimiter in delimiters:
        if sum(delimiter in text for text in found) > least * len(found):
            parts = [part.strip() for text in found for part in text.split(delimiter)]
            if _are_short([part for part in parts if part]):
                return delimiter
    return ""
