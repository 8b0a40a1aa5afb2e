"""Reads a value of an attribute as its type says: numbers, amounts of money, dates, truths.

Strict, since a filter trusts what it finds: `12-pack` is no number, nor is `9.99 to 12`. Whatever does not read as its
type raises Unread. A text that can mean one thing alone means that (`1.299,00`); where it can mean two (`1.299`,
`03/04/2024`), the column's hint decides, which is taken from its other values.

Light: the cleaning processes import it.
"""

import math
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

TRUE = frozenset("true yes y t on 1 ja wahr oui vrai si sí sim да はい 是 예".split())  # noqa: SIM905
FALSE = frozenset("false no n f off 0 nein falsch non faux não нет いいえ 否 아니요".split())  # noqa: SIM905

# What is written for a currency, and its code; codes stand for themselves. A bare `$` is taken for the commonest.
_WRITTEN = """
    € EUR  $ USD  US$ USD  £ GBP  ¥ JPY  ￥ JPY  円 JPY  元 CNY  RMB CNY  ₹ INR  Rs. INR  Rs INR  ₽ RUB  руб. RUB
    руб RUB  ₩ KRW  원 KRW  ₺ TRY  TL TRY  ₴ UAH  ₫ VND  ฿ THB  ₪ ILS  zł PLN  Kč CZK  Ft HUF  lei RON  kr. kr  kr kr
    R$ BRL  A$ AUD  AU$ AUD  C$ CAD  CA$ CAD  NZ$ NZD  HK$ HKD  S$ SGD  Fr. CHF
"""
_KNOWN_CODES = """
    AED ARS AUD BGN BRL CAD CHF CLP CNY COP CZK DKK EUR GBP HKD HUF IDR ILS INR JPY KRW MXN MYR NOK NZD PEN PHP PLN RON
    RUB SAR SEK SGD THB TRY TWD UAH USD VND ZAR
"""
_PAIRS = iter(_WRITTEN.split())
CURRENCIES = dict(zip(_PAIRS, _PAIRS, strict=True)) | {code: code for code in _KNOWN_CODES.split()}
_CODES = {written.casefold(): code for written, code in CURRENCIES.items()}
_CURRENCY = "|".join(map(re.escape, sorted(CURRENCIES, key=len, reverse=True)))
_AMOUNT = (
    r"(?P<whole>\d{1,3}(?:(?P<group>[.,'’ \u00a0\u202f])(?:\d{2,3}(?P=group))*\d{3})(?!\d)|\d+)"
    r"(?:(?P<point>[.,])(?P<fraction>\d+))?"
)
_NUMBER = re.compile(rf"(?P<sign>[-+\u2212]?)\s?{_AMOUNT}")
_MONEY = re.compile(
    rf"(?P<sign>[-+\u2212]?)\s*(?:(?P<before>{_CURRENCY})\s*)?(?P<sign2>[-+\u2212]?)\s*{_AMOUNT}(?:[.,][-\u2013\u2014]+)?"
    rf"(?:\s*(?P<after>{_CURRENCY}))?",
    re.IGNORECASE,
)
_SURE = re.compile(r"-?(?:\d+(?:\.(?:\d{1,2}|\d{4,}))?|\d{4,}\.\d+|0\.\d+)", re.ASCII)  # by far the commonest

_CLOCK = r"(?:[T\s,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?)?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})\s?[年./-]\s?(\d{{1,2}})\s?[月./-]\s?(\d{{1,2}})日?{_CLOCK}", re.ASCII)
_YEAR_LAST = re.compile(rf"(\d{{1,2}})([./-])\s?(\d{{1,2}})\2\s?(\d{{4}}|\d{{2}}){_CLOCK}", re.ASCII)
_MONTH = re.compile(r"[^\W\d_]{3}")
_LONGEST_DATE = 40  # characters
_DEFAULTS = datetime(2001, 1, 1), datetime(2002, 2, 2)  # noqa: DTZ001
_SECONDS, _MILLISECONDS = (10**8, 10**11), (10**11, 10**14)  # of what a whole number counts since 1970


class Unread(ValueError):
    """A value that does not read as its type."""


def read_number(value: Any, decimal: str = "") -> float:
    """A number; `decimal` is the column's decimal sign (`.` or `,`), empty where none of its values shows it."""
    if type(value) is str:
        text = value.strip()
        if decimal != "," and _SURE.fullmatch(text):
            return _finite(float(text))
        if found := _NUMBER.fullmatch(text):
            return _amount(found, found["sign"], decimal or ".")
    return _plain(value)


def read_money(value: Any, decimal: str = "") -> tuple[float, str]:
    """An amount and its currency, empty where none is written; `decimal` as for `read_number`."""
    if type(value) is not str:
        return _plain(value), ""
    text = value.strip()
    if decimal != "," and _SURE.fullmatch(text):
        return _finite(float(text)), ""
    if not (found := _MONEY.fullmatch(text)) or (found["sign"] and found["sign2"]):
        raise Unread
    if found["before"] and found["after"] and not _same(found):
        raise Unread
    currency = found["before"] or found["after"] or ""
    return _amount(found, found["sign"] or found["sign2"], decimal), _CODES.get(currency.casefold(), currency)


def decimal_of(text: str) -> str:
    """The decimal sign that a number or an amount shows; empty where it may be either."""
    found = _MONEY.fullmatch(text.strip())
    if found is None:
        return ""
    if found["point"]:
        return str(found["point"])
    group, whole = found["group"], found["whole"]
    if group not in (".", ","):
        return ""
    if whole.startswith("0"):
        return str(group)
    return ("," if group == "." else ".") if whole.count(group) > 1 else ""


def _amount(found: re.Match[str], sign: str, decimal: str) -> float:
    whole, group, point, fraction = found["whole"], found["group"], found["point"], found["fraction"]
    if group is not None:
        if group == point:
            raise Unread
        alone = point is None and whole.count(group) == 1
        if alone and group in ".," and (whole.startswith("0") or group == decimal):
            whole, fraction = whole.split(group)
        else:
            whole = whole.replace(group, "")
    number = float(f"{whole}.{fraction}") if fraction else float(whole)
    return -_finite(number) if sign and sign != "+" else _finite(number)


def _same(found: re.Match[str]) -> bool:
    """Whether the currencies before and after an amount (`$5 USD`) are one."""
    return _CODES.get(found["before"].casefold()) == _CODES.get(found["after"].casefold())


def _plain(value: Any) -> float:
    if type(value) is float or type(value) is int:
        try:
            return _finite(float(value))
        except OverflowError:
            pass
    raise Unread


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise Unread
    return number


def read_date(value: Any, order: str = "") -> str:
    """A point in time as `2024-05-01T00:00:00Z`; without an offset it is UTC's.

    Args:
        value: A text, or a whole number of seconds or milliseconds since 1970.
        order: Of day and month in `03/04/2024`: `dmy`, `mdy`, or empty where the column leaves that open.
    """
    if type(value) is str:
        text = value.strip()
        try:
            return _written(datetime.fromisoformat(text)) if not text.isdigit() else _digits(text)
        except (ValueError, OverflowError):
            pass
        if len(text) <= _LONGEST_DATE:
            return _date(text, order)
    elif type(value) is int or type(value) is float:
        return _since(value)
    raise Unread


def _digits(text: str) -> str:
    """20240501, and no other text of digits alone."""
    if len(text) != 8 or not text.isascii():
        raise Unread
    return _written(datetime(int(text[:4]), int(text[4:6]), int(text[6:])))  # noqa: DTZ001


def _since(value: float) -> str:
    scale = 1 if _SECONDS[0] <= value < _SECONDS[1] else 1000 if _MILLISECONDS[0] <= value < _MILLISECONDS[1] else 0
    if not scale:
        raise Unread
    return _written(datetime.fromtimestamp(value // scale, UTC))


@lru_cache(maxsize=10_000)
def _date(text: str, order: str) -> str:
    try:
        if found := _YEAR_FIRST.fullmatch(text):
            year, month, day, *clock = found.groups()
        elif found := _YEAR_LAST.fullmatch(text):
            first, sign, second, year, *clock = found.groups()
            day, month = (second, first) if order == "mdy" and sign != "." else (first, second)
            if not order and sign != ".":
                raise Unread
            year = year if len(year) == 4 else f"{'20' if year < '70' else '19'}{year}"
        else:
            return _written(_named_month(text))
        hour, minute, second = (int(part or 0) for part in clock)
        return _written(datetime(int(year), int(month), int(day), hour, minute, second))  # noqa: DTZ001
    except (ValueError, OverflowError) as error:
        raise Unread from error


def _named_month(text: str) -> datetime:
    """`May 1, 2024`, `1 May 2024 10:00`: day, month and year have to be there."""
    if not _MONTH.search(text) or not any(map(str.isdigit, text)):
        raise Unread
    from dateutil import parser  # type: ignore[import-untyped]

    # What is missing in the text is taken from `default`: a date that is all there does not depend on it.
    found: datetime = parser.parse(text, default=_DEFAULTS[0], ignoretz=True)
    if found != parser.parse(text, default=_DEFAULTS[1], ignoretz=True):
        raise Unread
    return found


def _written(moment: datetime) -> str:
    moment = moment.astimezone(UTC) if moment.tzinfo else moment
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}".rjust(20, "0")


def read_boolean(value: Any, _: str = "") -> bool:
    """A truth: JSON's, 0 and 1, or a word for yes or no in one of several languages."""
    if type(value) is bool:
        return value
    word = value.strip().casefold() if type(value) is str else str(value)
    if word in TRUE or word in FALSE:
        return word in TRUE
    raise Unread
