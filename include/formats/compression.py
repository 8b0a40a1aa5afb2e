"""What is packed by gzip, bzip2, xz or Zstandard, unpacked as a stream: counted, and damage told in one sentence.

Which one it is, the first bytes say. Bytes behind the end that are no further stream, other than zeros, are damage:
a reader that ignores them would lose whatever follows a flipped bit.
"""

import bz2
import errno
import gzip
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from isal import igzip
from isal.igzip_lib import IsalError

from include.core.errors import BadSource
from include.formats.form import BrokenOff
from include.formats.lines import BLOCK, Reads

MAX_RATIO = 200  # unpacked to packed; catalogues in JSON lines reach about 30, a bomb 1,000
FREE_BYTES = 64 * 2**20  # small files may unpack to this much, whatever the ratio
MEMORY = 256 * 2**20  # bytes that a decompressor may take; `xz -9` needs 65 MiB, `zstd -19` 8 MiB

_PACKED = 256 * 2**10  # bytes given to a decompressor at once
_SAME_AGAIN = "Fetch the file again; if it comes the same, it is damaged where it is kept."


class Counted:
    """A stream that counts what is read from it and stops at a limit: the guard against bombs."""

    def __init__(self, stream: Reads, limit: float, where: str) -> None:
        self.count = 0
        self._stream = stream
        self._limit = limit
        self._where = where
        self._ahead = b""

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, which will be read again."""
        while len(self._ahead) < size and (more := self._stream.read(size - len(self._ahead))):
            self._ahead += more
        return self._ahead

    def readinto(self, buffer: memoryview) -> int:
        """For the gzip reader, which asks for this."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes.

        Raises:
            BadSource: More than the limit have come.
        """
        if 0 <= size <= len(self._ahead):
            data, self._ahead = self._ahead[:size], self._ahead[size:]
        else:
            data = self._ahead + self._stream.read(size if size < 0 else size - len(self._ahead))
            self._ahead = b""
        self.count += len(data)
        if self.count > self._limit:
            raise bomb(self._where, self._limit)
        return data


def limit_of(packed: int) -> float:
    """How many bytes may come out of so many packed ones."""
    return max(MAX_RATIO * packed, FREE_BYTES)


def bomb(where: str, limit: float) -> BadSource:
    """The error for what unpacks to more than `limit` bytes."""
    return BadSource(
        f"{where} unpacks to more than {limit:,} bytes, over {MAX_RATIO} times its stored size: "
        "this is a decompression bomb, not a catalogue.",
        "Get the catalogue from its publisher, or unpack the file yourself and give that.",
    )


class _Decompressor(Protocol):
    """What bz2, lzma and zstd have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes: ...


class _Streams:
    """One packed stream after another, as `cat a.xz b.xz` makes them, unpacked."""

    def __init__(self, packed: Reads, start: Callable[[], _Decompressor]) -> None:
        self._packed = packed
        self._start = start
        self._current: _Decompressor | None = None

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, often fewer; none at the end.

        Raises:
            EOFError: The last stream is cut.
        """
        if size < 0:
            return b"".join(iter(lambda: self.read(BLOCK), b""))
        while True:
            if self._current is None or self._current.eof:
                rest = b"" if self._current is None else self._current.unused_data
                while not (rest := rest.lstrip(b"\0")):  # xz may be padded so
                    if not (rest := self._packed.read(_PACKED)):
                        return b""
                self._current = self._start()
            elif not self._current.needs_input:
                rest = b""
            elif not (rest := self._packed.read(_PACKED)):
                raise EOFError
            if data := self._current.decompress(rest, size):
                return data


@dataclass(frozen=True)
class Packing:
    """A way to pack one file.

    Attributes:
        name: As in "packed by …".
        ending: That such a file's name has.
        command: That unpacks such a file.
        magic: What the file begins with.
        reader: Unpacks a stream.
    """

    name: str
    ending: str
    command: str
    magic: re.Pattern[bytes]
    reader: Callable[[Counted], Reads]


def _zstandard() -> _Decompressor:
    from backports.zstd import DecompressionParameter, ZstdDecompressor

    return ZstdDecompressor(options={DecompressionParameter.window_log_max: MEMORY.bit_length() - 1})


PACKINGS = (
    Packing(
        "gzip", ".gz", "gzip -d", re.compile(rb"\x1f\x8b"), lambda packed: igzip.IGzipFile(fileobj=packed, mode="rb")
    ),
    Packing(
        "bzip2", ".bz2", "bzip2 -d", re.compile(rb"BZh[1-9]"), lambda packed: _Streams(packed, bz2.BZ2Decompressor)
    ),
    Packing(
        "xz",
        ".xz",
        "xz -d",
        re.compile(rb"\xfd7zXZ\x00"),
        lambda packed: _Streams(packed, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, MEMORY)),
    ),
    # Or a skippable frame before it.
    Packing(
        "Zstandard",
        ".zst",
        "zstd -d",
        re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
        lambda packed: _Streams(packed, _zstandard),
    ),
)


def packing(head: bytes) -> Packing | None:
    """How a file with these first bytes is packed; None where it is not."""
    return next((each for each in PACKINGS if each.magic.match(head)), None)


def unpacked(stream: Counted) -> Reads:
    """What the stream unpacks to; itself where it is not packed."""
    found = packing(stream.peek(6))
    return stream if found is None else found.reader(stream)


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn what the decompressors raise into BadSource, with one sentence."""
    from backports.zstd import ZstdError

    try:
        yield
    except EOFError as error:
        raise BadSource(
            f"{where} ends too early: the file is truncated, or bytes follow its end.", _SAME_AGAIN
        ) from error
    except BrokenOff as error:
        raise BadSource(f"{where} {error}.", _SAME_AGAIN) from error
    except (lzma.LZMAError, ZstdError) as error:
        said = str(error).rstrip(".")
        if re.search("memory", said, re.IGNORECASE):
            raise BadSource(
                f"{where} needs more than {MEMORY // 2**20} MiB to be unpacked ({said}).",
                "Unpack it yourself, or pack it again at a lower level and without --long.",
            ) from error
        raise BadSource(f"{where} is damaged ({said}).", _SAME_AGAIN) from error
    except (zipfile.BadZipFile, gzip.BadGzipFile, tarfile.TarError, zlib.error, IsalError, UnicodeDecodeError) as error:  # type: ignore[misc]
        raise BadSource(f"{where} is damaged ({str(error).rstrip('.')}).", _SAME_AGAIN) from error
    except OSError as error:
        if error.errno not in (errno.EINVAL, None):
            raise
        what = str(error) if error.errno is None else "a place in it lies before its beginning"
        raise BadSource(f"{where} is damaged ({what.rstrip('.')}).", _SAME_AGAIN) from error
    except NotImplementedError as error:  # zipfile's word for features it lacks
        raise BadSource(
            f"{where} cannot be unpacked ({str(error).rstrip('.')}).", "Pack it again with the usual deflate method."
        ) from error


@contextmanager
def peeled(stored: Reads, packed: int, where: str) -> Iterator[tuple[Counted, Counted]]:
    """A file as it is stored, and what it unpacks to, which is the same unless it is packed.

    Args:
        stored: The file.
        packed: Bytes that it takes in the source: what more may come out is limited by it.
        where: What messages call it.

    Raises:
        BadSource: What is read of it is damaged or truncated, or a bomb.
    """
    with explained(where):
        outer = Counted(stored, limit_of(packed), where)
        yield outer, Counted(unpacked(outer), limit_of(packed), where)
