"""Lines of a catalogue file: parsed, checked and cleaned, or refused with a reason.

Each line is parsed straight into the five fields (msgspec), which nearly every line passes. What does not
fit is looked at again, slowly (orjson, then json), to accept what is odd but sound and to name the reason
for the rest. Lone surrogates, which the quick parsers refuse, are kept: the product is sound, one character
is not, and a cleaning rule replaces it.

Kept light (no numpy, no pyarrow): `include.cleaning_process` starts in a tenth of a second with it.
"""

import gc
import json
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from typing import Any, NoReturn, TypeAlias

import msgspec
import orjson

from include.clean import LONE_SURROGATE, Cleaner
from include.lines import MAX_LINE, excerpt
from include.text_hash import text_hash_of_bytes

MAX_UID_CHARS = 200
NO_TITLE = "no title"
LONG_LINE = f"line over {MAX_LINE // 1_000_000} MB"
INT32_MAX = 2**31 - 1
FLOAT32_MAX = 3.4028234663852886e38
KNOWN_WEIGHTS = 4096  # lists of `target_rel` remembered: nearly all are 1.0, so only their lengths differ

DELETE, BACKSLASH = b"\x7f\\"  # as integers: `in` looks for bytes 20 times slower
_ESCAPED_CHARACTER = re.compile(rb"\\[bfnrtu]")  # what may stand for something unprintable


class _Line(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A line as nearly all are. Any other field or type makes the parser give up.

    The lists are left as they are in the line: `target_ind` is parsed for a whole block at once, `target_rel` once for
    each different list. That is three times faster than a list of objects for each line.
    """

    uid: str
    title: str
    content: str | None = None
    target_ind: msgspec.Raw = msgspec.Raw(b"")
    target_rel: msgspec.Raw = msgspec.Raw(b"")


class Refused(Exception):
    """A line that cannot be used. The message is the reason: short, without the line's own text."""


class _Unusual(Exception):
    """A line that needs the slow look."""


UNUSUAL = (_Unusual, msgspec.DecodeError, orjson.JSONDecodeError, UnicodeDecodeError, RecursionError)
ABSENT = (b"", b"null")

# uid, title, content, target_ind as JSON, target_rel as float32, whether the texts are known to be printable
Fields: TypeAlias = tuple[str, str, str | None, bytes, bytes, bool]


def pack(code: str, numbers: Iterable[float], count: int) -> bytes:
    """`count` numbers as C has them, `code` being that of `struct`; several times faster than an `array`."""
    return struct.pack(f"{count}{code}", *numbers)


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of strings: the length of each in bytes (int32), and all of them, UTF-8, one after another."""

    lengths: bytes
    joined: bytes

    @classmethod
    def of(cls, texts: Sequence[bytes]) -> "Texts":
        return cls(pack("i", map(len, texts), len(texts)), b"".join(texts))


@dataclass(frozen=True, slots=True)
class Rows:
    """What a block of lines holds, column by column, and what it does not; numbers in the machine's byte order.

    Attributes:
        lines: int64, the line of each product, 0 for the block's first.
        uids, titles, contents: As many.
        uid_keys: int64, `hash(uid)`. Equal for equal uids within one conversion, not beyond.
        hashes: 16 bytes each, `include.text_hash`.
        links: int32, entries in each product's `target_ind` and `target_rel`.
        indices, weights: int32 and float32, those entries, one product's after another's.
        rejects: (line, counted likewise; reason; excerpt) of each refused one.
        total: Lines in the block.
        blank: Of these, lines of whitespace alone; they are no records.
        cleaned: Texts that each cleaning rule changed, also of lines that were refused afterwards.
    """

    lines: bytes
    uids: Texts
    uid_keys: bytes
    titles: Texts
    contents: Texts
    hashes: bytes
    links: bytes
    indices: bytes
    weights: bytes
    rejects: list[tuple[int, str, str]]
    total: int
    blank: int
    cleaned: dict[str, int]


class RowReader:
    """Reads blocks of lines.

    Args:
        max_title_chars: Longer titles are cut.
        max_content_chars: Likewise.
    """

    def __init__(self, max_title_chars: int, max_content_chars: int) -> None:
        self._limits = max_title_chars, max_content_chars
        self._decode = msgspec.json.Decoder(_Line).decode
        self._packed_weights: dict[bytes, tuple[int, bytes]] = {}

    def read(self, block: bytes) -> Rows:
        """Parse, check and clean a block of lines with `\n` between them (`include.lines.line_blocks`)."""
        lines = BytesIO(block).readlines() if block else [b""]  # much faster than split(); the line ends stay
        with _without_gc():
            try:
                return self._read(lines, self._parse)
            except _Unusual:  # in a `target_ind`: these are looked at together
                return self._read(lines, parse_slowly)

    def _read(self, lines: list[bytes], parse: Callable[[bytes], Fields]) -> Rows:
        cleaner = Cleaner(*self._limits)
        clean_title, clean_content = cleaner.title, cleaner.content
        numbers: list[int] = []
        uids: list[str] = []
        titles: list[bytes] = []
        contents: list[bytes] = []
        indices: list[bytes] = []
        weights: list[bytes] = []
        rejects: list[tuple[int, str, str]] = []
        blank = 0
        for number, line in enumerate(lines):
            try:
                try:
                    uid, title, content, some_indices, some_weights, plain = parse(line)
                except UNUSUAL:
                    if not line.strip():
                        blank += 1
                        continue
                    uid, title, content, some_indices, some_weights, plain = parse_slowly(line)
            except Refused as refusal:
                rejects.append((number, str(refusal), excerpt(line)))
                continue
            if not (title := clean_title(title, plain)):
                rejects.append((number, _reason_without_title(line), excerpt(line)))
                continue
            numbers.append(number)
            uids.append(uid)
            titles.append(title.encode())
            contents.append(clean_content(content, title, plain).encode() if content else b"")
            indices.append(some_indices)
            weights.append(some_weights)
        return Rows(
            lines=pack("q", numbers, len(numbers)),
            uids=Texts.of([uid.encode() for uid in uids]),
            uid_keys=pack("q", map(hash, uids), len(uids)),
            titles=Texts.of(titles),
            contents=Texts.of(contents),
            hashes=b"".join(map(text_hash_of_bytes, titles, contents)),
            links=pack("i", [len(packed) // 4 for packed in weights], len(weights)),
            indices=_pack_indices(indices, weights),
            weights=b"".join(weights),
            rejects=rejects,
            total=len(lines),
            blank=blank,
            cleaned=dict(cleaner.counts),
        )

    def _parse(self, line: bytes) -> Fields:
        """The quick way. `line` may still have its `\\n`. Raises one of UNUSUAL where a line needs the slow one."""
        if plain := line.isascii():  # printable texts, then, unless a control character is in it or is escaped
            plain = DELETE not in line and (BACKSLASH not in line or _ESCAPED_CHARACTER.search(line) is None)
        else:
            line.decode()  # the parser does not look into what it skips
        row = self._decode(line)
        uid, raw_weights, indices = row.uid, bytes(row.target_rel), bytes(row.target_ind)
        count, weights = self._packed_weights.get(raw_weights) or self._pack_weights(raw_weights)
        if count < 0:
            if indices not in ABSENT:
                raise _Unusual
            indices = b"[]"
        # The cheap test first: nearly every uid is a short word of letters and digits.
        if not uid.isalnum() or len(uid) > MAX_UID_CHARS or len(line) > MAX_LINE:
            raise _Unusual
        return uid, row.title, row.content, indices, weights, plain

    def _pack_weights(self, raw: bytes) -> tuple[int, bytes]:
        """How many weights these are, -1 where they are absent, and all as float32."""
        if raw in ABSENT:
            packed = -1, b""
        else:
            weights = orjson.loads(raw)
            if not weights_are_sound(weights):
                raise _Unusual
            packed = len(weights), pack("f", weights, len(weights))
        if len(self._packed_weights) >= KNOWN_WEIGHTS:
            self._packed_weights.clear()
        self._packed_weights[raw] = packed
        return packed


def parse_slowly(line: bytes) -> Fields:
    """The slow way, which accepts all that is sound, and raises Refused with the reason for what is not."""
    line = line.removesuffix(b"\n")
    if not line.strip():
        raise _Unusual
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        row = parse_again(line)
    uid, title, content, indices, weights = fields(row, line)
    if not all(type(index) is int and 0 <= index <= INT32_MAX for index in indices):
        raise Refused("target_ind has something other than row numbers")
    if not weights_are_sound(weights):
        raise Refused("target_rel has something other than finite numbers")
    return uid, title, content, orjson.dumps(indices), pack("f", weights, len(weights)), False


def _reason_without_title(line: bytes) -> str:
    """Why a line whose title is empty is refused: whatever else is wrong with it comes first, as on the slow way."""
    try:
        parse_slowly(line)
    except Refused as refusal:
        return str(refusal)
    return NO_TITLE


def _pack_indices(raw: list[bytes], weights: list[bytes]) -> bytes:
    """Lists of row numbers, as JSON has them, as int32; _Unusual unless all are sound and as long as `weights`."""
    joined = b"[" + b",".join(raw) + b"]"
    if any(joined.find(word) >= 0 for word in (b"-", b"true", b"false")):  # what would be packed all the same
        raise _Unusual
    try:
        lists = orjson.loads(joined)
        if [4 * len(indices) for indices in lists] != list(map(len, weights)):
            raise _Unusual
        flat = list(chain.from_iterable(lists))
        return pack("i", flat, len(flat))
    except (TypeError, ValueError, struct.error) as error:
        raise _Unusual from error


@contextmanager
def _without_gc() -> Iterator[None]:
    """Thousands of live lists make Python look for cycles again and again, and there are none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def fields(row: Any, line: bytes) -> tuple[str, str, str, list[int], list[float]]:
    """The five fields of a parsed line, of the right types; what the lists hold is not looked at yet.

    Raises:
        Refused: With the reason.
    """
    if len(line) > MAX_LINE:
        raise Refused(LONG_LINE)
    if type(row) is not dict:
        raise Refused("not a JSON object")
    uid, title, content = check_uid(row.get("uid")), row.get("title"), row.get("content")
    if type(title) is not str:
        raise Refused(NO_TITLE if title is None else "title is not a string")
    if content is not None and type(content) is not str:
        raise Refused("content is not a string")
    indices, weights = check_targets(row.get("target_ind"), row.get("target_rel"))
    return uid, title, content or "", indices, weights


def check_targets(indices: object, weights: object) -> tuple[list[int], list[float]]:
    """Two lists of one length, empty where both are absent, or Refused."""
    if indices is None and weights is None:
        return [], []
    if not isinstance(indices, list):
        raise Refused("target_ind is not a list")
    if not isinstance(weights, list):
        raise Refused("target_rel is not a list")
    if len(indices) != len(weights):
        raise Refused("target_ind and target_rel differ in length")
    return indices, weights


def check_uid(uid: object) -> str:
    """Return `uid`, or raise Refused if it cannot name a product."""
    if uid is None:
        raise Refused("no uid")
    if not isinstance(uid, str):
        raise Refused("uid is not a string")  # a number has lost its leading zeros
    if not uid.strip():
        raise Refused("uid is empty")
    if len(uid) > MAX_UID_CHARS:
        raise Refused(f"uid over {MAX_UID_CHARS} characters")
    if not uid.isprintable():
        raise Refused("uid has unprintable characters")
    return uid


def weights_are_sound(weights: object) -> bool:
    """Whether it is a list of finite float32 numbers; True is none."""
    return isinstance(weights, list) and all(
        type(weight) in (float, int) and -FLOAT32_MAX <= weight <= FLOAT32_MAX for weight in weights
    )


def parse_again(line: bytes) -> Any:
    """Parse what orjson refused: returns the value if a lone surrogate was all, or raises Refused."""
    if len(line) > MAX_LINE:
        raise Refused(LONG_LINE)
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("not UTF-8") from error
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        shown = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except RecursionError as error:
        raise Refused("nested too deeply") from error
    except json.JSONDecodeError as error:
        raise Refused(_reason(error, text)) from error
    except ValueError as error:  # 1e400, or an integer of thousands of digits
        raise Refused("number out of range") from error
    if not LONE_SURROGATE.search(shown):
        raise Refused("not JSON")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise Refused("NaN or Infinity")


def _reason(error: json.JSONDecodeError, text: str) -> str:
    if error.msg.startswith("Invalid control character"):
        return "raw control character in a string"
    if error.msg == "Extra data":
        return "more than one JSON value on a line"
    if error.msg.startswith("Unterminated string") or error.pos >= len(text.rstrip()):
        return "JSON breaks off"
    return "not JSON"
