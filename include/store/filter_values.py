"""What the two forms of a filter share: dates, texts, what is expected of each type."""

import re
from datetime import UTC, datetime, timedelta

DEEPEST = 40  # parentheses and `not` within each other
LAST = datetime.max.replace(microsecond=0, tzinfo=UTC)
EXAMPLES = {
    "keyword": 'a text in quotes, such as "Sony"',
    "keywords": 'a text in quotes, such as "Sony"',
    "text": 'a text in quotes, such as "leather bag"',
    "number": "a number, such as 19.5",
    "money": "a number without its currency, such as 19.99",
    "date": "a date, such as 2024-01-31 or 2024-01-31T12:00:00Z",
    "boolean": "true or false",
}
DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})?)?"


def read_date(text: str) -> tuple[datetime, datetime] | None:
    """The first second of what a date stands for, and the first after it; None where it is none.

    A day is 24 hours in UTC, a point in time (UTC where it names no zone) a second.
    """
    if not re.fullmatch(DATE, text):
        return None
    try:
        begin = datetime.fromisoformat(text.upper())
        begin = begin.replace(tzinfo=UTC) if begin.tzinfo is None else begin.astimezone(UTC)
        long = timedelta(days=1) if len(text) == len("2024-01-31") else timedelta(seconds=1)
        return begin, begin + min(long, LAST - begin)
    except (ValueError, OverflowError):
        return None


def sound(text: str) -> str:
    """Without lone surrogates, which have no UTF-8; two that belong together are one character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
