"""One line of a catalogue file: its five fields, checked, or the reason why it cannot be used.

Each rule stands here once. `_Line` and the two decoders of lists say what is accepted (msgspec), and nearly every
line passes them as it is. What does not is parsed again, leniently (orjson, then json), loses what is no fault of
the product (other fields, NaN, a byte-order mark), and goes back to the same rules, which accept it or give the
reason. So what becomes of a line depends on that line alone.

Lone surrogates, which the quick parsers refuse, are kept: the product is sound, one character is not, and a
cleaning rule replaces it.
"""

import json
import math
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import orjson

from include.formats.lines import BYTE_ORDER_MARK, MAX_LINE

MAX_UID_CHARS = 200
MAX_NESTING = 100  # levels; parsers that recurse give up somewhere beyond, each at another depth
INT32_MAX = 2**31 - 1
FLOAT32_MAX = 3.4028234663852886e38
KNOWN_WEIGHTS = 4096  # lists of `target_rel` remembered: nearly all are 1.0, so only their lengths differ

FIELDS = ("uid", "title", "content", "target_ind", "target_rel")
LISTS = FIELDS[3:]
ABSENT = (b"", b"null")

NO_TITLE = "no title"
LONG_LINE = f"line over {MAX_LINE // 1_000_000} MB"
DIFFER = "target_ind and target_rel differ in length"
NOT_ROWS = "target_ind has something other than row numbers"

# What was mended in a line that is accepted.
NUMBER_UID = "uid was a number"
SPACED_UID = "uid had blanks around it"
MARK = "byte-order mark inside the file"
NO_WEIGHTS = "target_rel was missing: 1.0 each"

DELETE, BACKSLASH = b"\x7f\\"  # as integers: `in` looks for bytes 20 times slower
_ESCAPED_CHARACTER = re.compile(rb"\\[bfnrtu]")  # what may stand for something unprintable
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_FAULT = re.compile(r"missing required field `(\w+)`|- at `\$\.(\w+)`")


class _Line(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A line that is accepted, but for what its lists hold.

    These are left as they are in the line: `target_ind` is parsed for a whole block at once, `target_rel` once for
    each different list. That is three times faster than a list of objects for each line.
    """

    uid: str
    title: str
    content: str | None = None
    target_ind: msgspec.Raw = msgspec.Raw(b"")
    target_rel: msgspec.Raw = msgspec.Raw(b"")


_Indices = list[Annotated[int, msgspec.Meta(ge=0, le=INT32_MAX)]]
_Weights = list[Annotated[float, msgspec.Meta(ge=-FLOAT32_MAX, le=FLOAT32_MAX)]]
decode_indices: Callable[[bytes], list[int]] = msgspec.json.Decoder(_Indices).decode
decode_many_indices: Callable[[bytes], list[list[int]]] = msgspec.json.Decoder(list[_Indices]).decode
_decode_weights: Callable[[bytes], list[float]] = msgspec.json.Decoder(_Weights).decode

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Refused(Exception):
    """A line that cannot be used. The message is the reason: short, without the line's own text.

    Args:
        reason: The message.
        fields: Names of the line's fields, where that may explain the reason.
    """

    def __init__(self, reason: str, fields: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.fields = fields


# A line that is sound, but for `target_ind`, which is still to be decoded: uid as it will be stored, title and content
# (None where absent) as they came, `target_ind` as JSON, `target_rel` as float32 (None where absent), whether the texts
# are known to be printable, what was mended. A plain tuple: one with names takes a third of the time to parse a line.
Fields: TypeAlias = tuple[str, str, str | None, bytes, bytes | None, bool, tuple[str, ...]]
INDICES: Final = 3  # where `target_ind` is in it


def pack(code: str, numbers: Iterable[float], count: int) -> bytes:
    """`count` numbers as C has them, `code` being that of `struct`; several times faster than an `array`."""
    return struct.pack(f"{count}{code}", *numbers)


class LineParser:
    """Parses lines.

    Attributes:
        shapes: Lines by the names of all their fields, of those that have others than FIELDS.
    """

    def __init__(self) -> None:
        self.shapes: Counter[tuple[str, ...]] = Counter()
        self._decode = msgspec.json.Decoder(_Line).decode
        self._packed_weights: dict[bytes, bytes | None] = {ABSENT[0]: None, ABSENT[1]: None}

    def parse(self, line: bytes) -> Fields | None:
        """The fields of a line, which may still have its `\\n`; None for whitespace or a byte-order mark alone.

        Raises:
            Refused: With the reason.
        """
        mended: tuple[str, ...] = ()
        try:
            if plain := line.isascii():  # printable texts, then, unless a control character is in it or is escaped
                plain = DELETE not in line and (BACKSLASH not in line or _ESCAPED_CHARACTER.search(line) is None)
            else:
                line.decode()  # the parser does not look into what it skips
            row = self._decode(line)
        except UNDECODABLE:
            if not line.removeprefix(BYTE_ORDER_MARK).strip():
                return None
            row, mended = self._parse_leniently(line)
        if len(line) - line.endswith(b"\n") > MAX_LINE:
            raise Refused(LONG_LINE)
        uid = row.uid
        # The cheap test first: nearly every uid is a short word of letters and digits.
        if not uid.isalnum() or len(uid) > MAX_UID_CHARS:
            uid = _checked_uid(uid)
            if uid != row.uid:
                mended += (SPACED_UID,)
        indices, raw_weights = bytes(row.target_ind), bytes(row.target_rel)
        try:
            weights = self._packed_weights[raw_weights]
        except KeyError:
            weights = self._pack_weights(raw_weights)
        if indices in ABSENT:
            indices = b"[]"
        return uid, row.title, row.content, indices, weights, plain, mended

    def _pack_weights(self, raw: bytes) -> bytes:
        """A list of weights as float32."""
        try:
            weights = _decode_weights(raw)
        except UNDECODABLE as error:
            raise Refused(_list_fault("target_rel", raw, "finite numbers")) from error
        packed = pack("f", weights, len(weights))
        if len(self._packed_weights) >= KNOWN_WEIGHTS:
            self._packed_weights = {ABSENT[0]: None, ABSENT[1]: None}
        self._packed_weights[raw] = packed
        return packed

    def _parse_leniently(self, line: bytes) -> tuple[_Line, tuple[str, ...]]:
        """The line without what is no fault of the product, as the rules accept it; and what was mended."""
        line = line.removesuffix(b"\n")
        mended: list[str] = []
        if line.startswith(BYTE_ORDER_MARK):  # files that were put together
            line = line.removeprefix(BYTE_ORDER_MARK)
            mended.append(MARK)
        row, dump = _json(line)
        if type(row) is not dict:
            raise Refused("not a JSON object")
        if not row.keys() <= _KNOWN:
            self.shapes[tuple(row)] += 1
        known: dict[str, Any] = {}
        for name in FIELDS:
            value = row.get(name)
            if type(value) is float and not math.isfinite(value):  # how pandas and json.dumps write "nothing"
                mended.append(f"{name} was NaN or Infinity: taken as missing")
            elif value is not None:
                known[name] = msgspec.Raw(dump(value)) if name in LISTS else value
        uid = known.get("uid")
        if type(uid) is int and -(2**63) <= uid < 2**64:  # beyond, parsers make it a float and lose digits
            known["uid"] = str(uid)
            mended.append(NUMBER_UID)
        try:
            return msgspec.convert(known, _Line), tuple(mended)
        except msgspec.ValidationError as error:
            raise Refused(_fault(error), tuple(row)) from error


_KNOWN = frozenset(FIELDS)


def parsed_indices(raw: bytes) -> list[int]:
    """The row numbers of one line's `target_ind`.

    Raises:
        Refused: It is no list of them.
    """
    try:
        return decode_indices(raw)
    except UNDECODABLE as error:
        raise Refused(_list_fault("target_ind", raw, "row numbers")) from error


def _list_fault(name: str, raw: bytes, expected: str) -> str:
    return f"{name} has something other than {expected}" if raw[:1] == b"[" else f"{name} is not a list"


def _fault(error: msgspec.ValidationError) -> str:
    """The reason that the rules give, in a few words."""
    found = _FAULT.search(str(error))
    if found is None:
        raise error
    return f"no {found[1]}" if found[1] else f"{found[2]} is not a string"


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


def _json(line: bytes) -> tuple[Any, Callable[[Any], bytes]]:
    """What a line says in JSON, with NaN, Infinity and lone surrogates allowed; and what writes values like these."""
    if len(line) > MAX_LINE:
        raise Refused(LONG_LINE)
    if _nested_too_deeply(line):
        raise Refused("nested too deeply")
    try:
        return orjson.loads(line), orjson.dumps
    except orjson.JSONDecodeError:
        pass
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("not UTF-8") from error
    try:
        return json.loads(text, parse_int=_integer), _dumped
    except json.JSONDecodeError as error:
        raise Refused(_reason(error, text)) from error


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


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
