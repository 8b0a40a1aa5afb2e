"""Blocks of lines of a catalogue file to clean rows, column by column.

Each line is parsed and checked (`include.formats.line_parser`), then cleaned (`clean.py`), or refused with a reason.

Kept light (no numpy, no pyarrow): `include.catalogue.cleaning_process` starts in a tenth of a second with it.
"""

import gc
import struct
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import msgspec

from include.catalogue.clean import Cleaner, is_placeholder
from include.catalogue.mapping import FieldMapping
from include.catalogue.text_hash import text_hash_of_bytes
from include.core.display import excerpt, printable
from include.formats.line_parser import FIELDS, NO_TITLE, Elsewhere, Refused, parse

if TYPE_CHECKING:
    from include.catalogue.attribute_reader import AttributeReader, AttributeRows

PLACEHOLDER = "title is a placeholder"
MOST_NAMES = 50  # field names counted apart in one block; more would be somebody's data
FURTHER_NAMES = "(further names)"
# Nearly all weights are 1.0: these are not converted one by one.
_ONE = struct.pack("f", 1.0)


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of strings: the length of each in bytes (int32), and all of them, UTF-8, one after another."""

    lengths: bytes
    joined: bytes

    @classmethod
    def of(cls, texts: Sequence[bytes]) -> "Texts":
        """The column that holds `texts`, UTF-8, in their order."""
        return cls(pack("i", map(len, texts), len(texts)), b"".join(texts))


@dataclass(frozen=True, slots=True)
class Rows:
    """What a block of lines holds, column by column, and what it does not; numbers in the machine's byte order.

    Attributes:
        lines: int64, the line of each product, 0 for the block's first.
        uids, titles, contents: As many.
        uid_keys: int64, `hash(uid)`. Equal for equal uids within one conversion, not beyond.
        hashes: 16 bytes each, `include.catalogue.text_hash`.
        links: int32, entries in each product's `target_ind` and `target_rel`.
        indices, weights: int32 and float32, those entries, one product's after another's.
        rejects: (line, counted likewise; reason; excerpt) of each refused one.
        total: Lines in the block.
        blank: Of these, lines of whitespace alone; they are no records.
        cleaned: Texts that each cleaning rule changed, also of lines that were refused afterwards.
        mended: Products by what was mended when their line was read.
        emptied: Products whose content had text, of which cleaning left nothing.
        ignored: Lines by the name of each field that is neither one of ours nor mapped.
        refused_fields: Refused lines by the name of each field that they have, where a field was missing or wrong.
        attributes: Those of the products; None where the mapping has none.
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
    mended: dict[str, int]
    emptied: int
    ignored: dict[str, int]
    refused_fields: dict[str, int]
    attributes: "AttributeRows | None"


class Reading(msgspec.Struct, frozen=True):
    """How rows are read.

    Attributes:
        max_title_chars: Longer titles are cut.
        max_content_chars: Likewise.
        mapping: Where the fields lie; None for the five fields as they are.
    """

    max_title_chars: int
    max_content_chars: int
    mapping: FieldMapping | None = None


class RowReader:
    """Reads blocks of lines."""

    def __init__(self, reading: Reading) -> None:
        self._limits = reading.max_title_chars, reading.max_content_chars
        self._mapping = mapping = reading.mapping
        self._elsewhere = None if mapping is None else Elsewhere(mapping.used, mapping.fields)

    def read(self, block: bytes) -> Rows:
        """Parse, check and clean a block of lines with `\n` between them (`include.formats.lines.line_blocks`)."""
        lines = BytesIO(block).readlines()  # much faster than split(); the line ends stay
        if not lines or lines[-1].endswith(b"\n"):
            lines.append(b"")
        with _without_gc():
            return self._read(lines)

    def _read(self, lines: list[bytes]) -> Rows:
        cleaner, mapping, elsewhere = Cleaner(*self._limits), self._mapping, self._elsewhere
        attributes = None if mapping is None else _attribute_reader(mapping, cleaner)
        clean_title, clean_content = cleaner.title, cleaner.content
        numbers: list[int] = []
        uids: list[str] = []
        titles: list[bytes] = []
        contents: list[bytes] = []
        links: list[int] = []
        indices: list[int] = []
        weights: list[bytes] = []
        refused: list[tuple[int, str, tuple[str, ...]]] = []  # an error itself would hold all of these by its traceback
        mended: Counter[str] = Counter()
        shapes: Counter[tuple[str, ...]] = Counter()
        blank = emptied = 0
        for number, line in enumerate(lines):
            try:
                if (fields := parse(line, shapes, elsewhere)) is None:
                    blank += 1
                    continue
                uid, title, content, some_indices, some_weights, plain, mends, whole = fields
                if not (title := clean_title(title, plain)) or is_placeholder(title):
                    raise Refused(PLACEHOLDER if title else NO_TITLE)  # noqa: TRY301
            except Refused as refusal:
                refused.append((number, str(refusal), refusal.fields))
                continue
            if content:
                content = clean_content(content, title, plain)
                emptied += not content
            if attributes is not None and whole is not None:
                uid = attributes.read(whole, title, content or "") or uid
            numbers.append(number)
            uids.append(uid)
            titles.append(title.encode())
            contents.append(content.encode() if content else b"")
            indices += some_indices
            links.append(count := len(some_indices))
            weights.append(_ONE * count if some_weights.count(1.0) == count else pack("f", some_weights, count))
            if mends:
                mended.update(mends)
        return Rows(
            lines=pack("q", numbers, len(numbers)),
            uids=Texts.of([uid.encode() for uid in uids]),
            uid_keys=pack("q", map(hash, uids), len(uids)),
            titles=Texts.of(titles),
            contents=Texts.of(contents),
            hashes=b"".join(map(text_hash_of_bytes, titles, contents)),
            links=pack("i", links, len(links)),
            indices=pack("i", indices, len(indices)),
            weights=b"".join(weights),
            rejects=[(number, reason, excerpt(lines[number])) for number, reason, _ in refused],
            total=len(lines),
            blank=blank,
            cleaned=dict(cleaner.counts),
            mended=dict(mended),
            emptied=emptied,
            ignored=_counted_names(shapes, FIELDS if mapping is None else mapping.used),
            refused_fields=_counted_names(Counter(names for *_, names in refused)),
            attributes=attributes.rows() if attributes is not None and attributes.mapping.attributes else None,
        )


def _attribute_reader(mapping: FieldMapping, cleaner: Cleaner) -> "AttributeReader":
    from include.catalogue.attribute_reader import AttributeReader  # longer to load than most of what is read without

    return AttributeReader(mapping, cleaner)


def pack(code: str, numbers: Iterable[float], count: int) -> bytes:
    """`count` numbers as C has them, `code` being that of `struct`; several times faster than an `array`."""
    return struct.pack(f"{count}{code}", *numbers)


def _counted_names(shapes: Counter[tuple[str, ...]], without: Collection[str] = ()) -> dict[str, int]:
    """How many lines have each field, from how many have these fields together; see `limited`."""
    counts: Counter[str] = Counter()
    for names, lines in shapes.items():
        for name in names:
            if name not in without:
                counts[printable(name, 40)] += lines
    return limited(counts)


def limited(counts: Counter[str]) -> dict[str, int]:
    """The MOST_NAMES most frequent, most frequent first; then, as FURTHER_NAMES, what the others add up to."""
    named = [(name, lines) for name, lines in counts.most_common() if name != FURTHER_NAMES]
    further = counts[FURTHER_NAMES] + sum(lines for _, lines in named[MOST_NAMES:])
    return {**dict(named[:MOST_NAMES]), **({FURTHER_NAMES: further} if further else {})}


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
