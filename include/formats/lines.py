"""Blocks of whole lines out of a stream of bytes, in bounded memory.

Lines end at the byte `\\n` and nowhere else. `str.splitlines` would also cut at U+2028, U+0085 and
others, which are common inside product texts.
"""

from collections.abc import Iterator
from typing import Protocol

MAX_LINE = 10_000_000  # bytes; the reference file's longest line is under 1 MB
BLOCK = 2 * 2**20  # bytes read at once; at most MAX_LINE. Small enough for the caches of a core
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Reads(Protocol):
    """What gives bytes: a file, a decompressor."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, all for -1; none at the end."""


def line_blocks(stream: Reads, *, block: int = BLOCK, limit: int = MAX_LINE) -> Iterator[bytes]:
    """Blocks of about `block` bytes that begin and end where lines do: `each.split(b"\\n")` are the lines.

    A byte-order mark before the first line is dropped. The last line of a block has no `\\n`, so an empty block
    is one empty line. Memory is bounded by two `block` + `limit` bytes.

    Args:
        stream: Of bytes.
        block: Bytes to read at once; at most `limit`.
        limit: A longer line is cut to `limit` + 1 bytes, so that its length still shows it.
    """
    first = True
    rest = bytearray()  # the beginning of the line that the last block broke off
    while chunk := stream.read(block):
        end = chunk.rfind(b"\n")
        if end < 0:
            rest += chunk[: limit + 1 - len(rest)]
            continue
        start = chunk.find(b"\n")
        whole = b"".join((rest, chunk[: min(start, limit + 1 - len(rest))], memoryview(chunk)[start:end]))
        rest = bytearray(chunk[end + 1 :][: limit + 1])
        if first:
            whole = whole.removeprefix(BYTE_ORDER_MARK)
            first = False
        yield whole
    if rest:
        yield bytes(rest).removeprefix(BYTE_ORDER_MARK) if first else bytes(rest)
