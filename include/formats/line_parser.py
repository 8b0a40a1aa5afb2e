"""One line of a catalogue file: its five fields, checked, or the reason why it cannot be used.

Each rule stands here once. `Line` alone says what is accepted (msgspec), and nearly every line passes it as it is.
What does not is parsed again, leniently (orjson, then json), loses what is no fault of the product (other fields, NaN,
a byte-order mark), and goes back to `Line`, which accepts it or gives the reason. So what becomes of a line depends on
that line alone.

Lone surrogates, which the quick parsers refuse, are kept: the product is sound, one character is not, and a
cleaning rule replaces it.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import msgspec
import orjson

from include.formats.lines import BYTE_ORDER_MARK, MAX_LINE
from include.formats.refusals import given_reason

MAX_UID_CHARS = 200
MAX_NESTING = 100  # levels; parsers that recurse give up somewhere beyond, each at another depth
FLOAT32_MAX = 3.4028234663852886e38

NO_TITLE = "no title"
LONG_LINE = f"line over {MAX_LINE // 1_000_000} MB"
DIFFER = "target_ind and target_rel differ in length"

# What was mended in a line that is accepted.
NUMBER_UID = "uid was a number"
SPACED_UID = "uid had blanks around it"
MARK = "byte-order mark inside the file"
NO_WEIGHTS = "target_rel was missing: 1.0 each"

DELETE, BACKSLASH = b"\x7f\\"  # as integers: `in` looks for bytes 20 times slower
_ESCAPED_CHARACTER = re.compile(rb"\\[bfnrtu]")  # what may stand for something unprintable
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_FAULT = re.compile(r"- at `\$\.(\w+)(\[)?")
_HOLDS = {"target_ind": "row numbers", "target_rel": "finite numbers"}


class Line(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A line that is accepted.

    Attributes:
        target_ind: Row numbers of `lbl`, int32 from 0.
        target_rel: As many weights, finite as float32.
    """

    uid: str
    title: str
    content: str | None = None
    target_ind: list[Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]] | None = None
    target_rel: list[Annotated[float, msgspec.Meta(ge=-FLOAT32_MAX, le=FLOAT32_MAX)]] | None = None


FIELDS = Line.__struct_fields__
_KNOWN = frozenset(FIELDS)
_decode = msgspec.json.Decoder(Line).decode

# A sound line: uid as it will be stored, title and content (None where absent) as they came, row numbers, as many
# weights, whether the texts are known to be printable ASCII, what was mended; last the whole object, where the fields
# were looked for in it. A plain tuple: one with names takes a third of the time to parse a line.
Fields: TypeAlias = tuple[str, str, str | None, list[int], list[float], bool, tuple[str, ...], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where a line's fields lie.

    Attributes:
        used: Names of the line's fields that something is read from.
        fields: Makes FIELDS, absent ones None, of what the line holds.
    """

    used: frozenset[str]
    fields: Callable[[dict[str, Any]], dict[str, Any]]


class Refused(Exception):
    """A line that cannot be used. The message is the reason: short, without the line's own text.

    Args:
        reason: The message.
        fields: Names of the line's fields, where that may explain the reason.
    """

    def __init__(self, reason: str, fields: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.fields = fields


def parse(line: bytes, shapes: Counter[tuple[str, ...]], elsewhere: Elsewhere | None = None) -> Fields | None:
    """The fields of a line; None for whitespace or a byte-order mark alone.

    Args:
        line: It may still have its `\n`.
        shapes: Counts lines that have fields beyond those that are read, by the names of all that they have.
        elsewhere: Where the fields lie, if not under their own names.

    Raises:
        Refused: With the reason.
    """
    row: Line | None = None
    mended: tuple[str, ...] = ()
    whole: dict[str, Any] | None = None
    try:
        row = _decode(line) if elsewhere is None else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        row = None
    if row is None and not line.removeprefix(BYTE_ORDER_MARK).strip():
        return None
    if len(line) > MAX_LINE and len(line.removesuffix(b"\n")) > MAX_LINE:
        raise Refused(LONG_LINE)
    if row is None:
        found, marked = json_object(line)
        names = tuple(found)
        if not (_KNOWN if elsewhere is None else elsewhere.used).issuperset(names):
            shapes[names] += 1
        if elsewhere is not None:
            whole, found = found, elsewhere.fields(found)
        row, mended = checked(found, names)
        mended = marked + mended
    uid, indices, weights = row.uid, row.target_ind or [], row.target_rel
    # The cheap test first: nearly every uid is a short word of letters and digits.
    if not uid.isalnum() or len(uid) > MAX_UID_CHARS:
        uid = _checked_uid(uid)
        if uid != row.uid:
            mended += (SPACED_UID,)
    if weights is None:
        weights = [1.0] * len(indices)
        if indices:
            mended += (NO_WEIGHTS,)
    elif len(weights) != len(indices):
        raise Refused(DIFFER)
    if plain := line.isascii():  # printable texts, then, unless a control character is in it or is escaped
        plain = DELETE not in line and (BACKSLASH not in line or _ESCAPED_CHARACTER.search(line) is None)
    return uid, row.title, row.content, indices, weights, plain, mended, whole


def json_object(line: bytes) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The object that a line holds, leniently parsed, and what was mended for it.

    Raises:
        Refused: It is none.
    """
    mended: tuple[str, ...] = ()
    if line.startswith(BYTE_ORDER_MARK):  # files that were put together
        line = line.removeprefix(BYTE_ORDER_MARK)
        mended = (MARK,)
    row = _json(line.removesuffix(b"\n"))
    if type(row) is not dict:
        raise Refused("not a JSON object")
    return row, mended


def checked(row: dict[str, Any], names: tuple[str, ...]) -> tuple[Line, tuple[str, ...]]:
    """The five fields in `row` without what is no fault of the product, if `Line` accepts that; and what was mended.

    Args:
        row: Fields with other names are ignored.
        names: Of the record's fields, for Refused.

    Raises:
        Refused: With the reason.
    """
    mended: list[str] = []
    known: dict[str, Any] = {}
    for name in FIELDS:
        value = row.get(name)
        if type(value) is float and not math.isfinite(value):  # how pandas and json.dumps write "nothing"
            mended.append(f"{name} was NaN or Infinity: taken as missing")
        elif value is not None:
            known[name] = value
    uid = known.get("uid")
    if type(uid) is int and -(2**63) <= uid < 2**64:  # beyond, parsers make it a float and lose digits
        known["uid"] = str(uid)
        mended.append(NUMBER_UID)
    for name in ("uid", "title"):  # first, since it tells most: the fields have other names, perhaps
        if name not in known:
            raise Refused(f"no {name}", names)
    try:
        return _accepted(known), tuple(mended)
    except msgspec.ValidationError as error:
        raise _refusal(error, names) from error


def _accepted(known: dict[str, Any]) -> Line:
    try:
        return msgspec.convert(known, Line)
    except UnicodeEncodeError:  # msgspec gives no reason for half a character where a number should be
        return _accepted(json.loads(json.dumps(known, ensure_ascii=False).encode(errors="replace")))


def _refusal(error: msgspec.ValidationError, fields: tuple[str, ...]) -> Refused:
    """The reason that `Line` gives, in a few words."""
    found = _FAULT.search(str(error))
    if found is None:
        raise error
    wrong, item = found.groups()
    if holds := _HOLDS.get(wrong):
        return Refused(f"{wrong} has something other than {holds}" if item else f"{wrong} is not a list", fields)
    return Refused(f"{wrong} is not a string", fields)


def _checked_uid(uid: str) -> str:
    """`uid` without the blanks around it, or Refused if it cannot name a product."""
    uid = uid.strip()
    if not uid:
        raise Refused("uid is empty")
    if len(uid) > MAX_UID_CHARS:
        raise Refused(f"uid over {MAX_UID_CHARS} characters")
    if not uid.isprintable():
        raise Refused("uid has unprintable characters")
    return uid


def _json(line: bytes) -> Any:
    """What a line says in JSON, with NaN, Infinity and lone surrogates allowed."""
    if _nested_too_deeply(line):
        raise Refused("nested too deeply")
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        if reason := given_reason(line):
            raise Refused(reason) from None
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("not UTF-8") from error
    try:
        return json.loads(text, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise Refused(_reason(error, text)) from error


def _integer(digits: str) -> int | float:
    """As orjson does: what 64 bits cannot hold is a float. Python refuses thousands of digits."""
    return int(digits) if len(digits) <= 20 else float(digits)


def _nested_too_deeply(line: bytes) -> bool:
    if line.count(b"[") + line.count(b"{") <= MAX_NESTING:
        return False
    depth = 0
    for byte in _STRING.sub(b"", line):
        if byte in b"[{":
            depth += 1
            if depth > MAX_NESTING:
                return True
        elif byte in b"]}":
            depth -= 1
    return False


def _reason(error: json.JSONDecodeError, text: str) -> str:
    if error.msg.startswith("Invalid control character"):
        return "raw control character in a string"
    if error.msg == "Extra data":
        return "more than one JSON value on a line"
    if error.msg.startswith("Unterminated string") or error.pos >= len(text.rstrip()):
        return "JSON breaks off"
    return "not JSON"
