"""The dirt of the synthetic catalogue (`include.sample.write`): what may be wrong with a row, and how often."""

import random
from functools import lru_cache
from typing import Any

Row = dict[str, Any]
NESTING = 20_000  # deep enough for a RecursionError in a parser that recurses

# Rows of each thousand that meet a fate, real shares where not said otherwise in the module's docstring.
FATES = {
    "trn": {
        "truncated": 1,  # cut in the middle of a string
        "not_a_number": 1,  # NaN, which JSON does not know
        "wrong_type": 1,  # the title is a number or a list
        "lone_surrogate": 1,  # an escaped half of a character
        "nested": 1,  # brackets, thousands deep
        "duplicate_row": 2,  # an earlier row again
        "conflicting_uid": 2,  # an earlier row's uid, another text
        "duplicate_text": 8,  # an earlier row's text, another uid
        "junk": 2,  # "test item not to bid"
        "empty_title": 48,
        "empty_both": 8,
        "empty_content": 172,
        "line_separator": 4,  # U+2028 or U+0085 inside a string
        "tags": 30,
    },
    "tst": {"truncated": 1, "lone_surrogate": 1, "empty_title": 20, "empty_content": 150, "tags": 30},
    "lbl": {"truncated": 1, "not_a_number": 1, "empty_title": 10, "empty_content": 400, "line_separator": 4},
}
MALFORMED = ("truncated", "not_a_number", "wrong_type", "lone_surrogate", "nested")


def repeat(row: Row, earlier: Row, fate: str) -> Row:
    """`row`, which repeats the earlier one as its fate says."""
    if fate == "duplicate_row":
        return earlier
    if fate == "conflicting_uid":
        return row | {"uid": earlier["uid"]}
    return row | {"title": earlier["title"], "content": earlier["content"]}


def soil(row: Row, fate: str, dice: random.Random) -> Row:
    """`row` with the dirt that is still JSON; other fates leave it alone."""
    title, content = row["title"], row["content"]
    if fate == "wrong_type":
        title = dice.choice([17, ["a", "list"]])
    elif fate == "junk":
        title, content = "test item not to bid", dice.choice(["test", "do not buy", "please ignore"])
    elif fate == "line_separator":
        title = title.replace(" ", dice.choice(["\u2028", "\u0085"]), 1)
    elif fate == "tags":
        content = "<p>" + content.replace(". ", ".<br />", 1) + " <b>New!</b></p>"
    if fate in ("empty_title", "empty_both"):
        title = ""
    if fate in ("empty_content", "empty_both"):
        content = ""
    return row | {"title": title, "content": content}


def break_line(line: bytes, fate: str) -> bytes:
    """`line` with the dirt that is not JSON, or that parsers disagree about; other fates leave it alone."""
    if fate == "truncated":
        return line[: line.index(b'"title"') + 14]
    if fate == "not_a_number":
        return line[:-1] + b',"price":NaN}'
    if fate == "lone_surrogate":
        return line.replace(b'"title":"', b'"title":"\\ud83d ', 1)
    if fate == "nested":
        return line[:-1] + b',"extra":' + b"[" * NESTING + b"]" * NESTING + b"}"
    return line


@lru_cache(maxsize=8)
def fates(file: str) -> tuple[str, ...]:
    """What happens to each of a thousand rows; most of them: nothing."""
    named = [fate for fate, share in FATES[file].items() for _ in range(share)]
    return (*named, *[""] * (1000 - len(named)))
