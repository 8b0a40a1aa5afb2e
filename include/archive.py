"""Lines of a catalogue file, read safely: a ZIP with trn/tst/lbl, a gzip file, or plain JSON lines.

Nothing is ever extracted: members are read as streams, in bounded memory. What the file is, its first
bytes say, not its name. A ZIP is refused as a whole if any member's name points outside (absolute,
`..`), or a member is a link or encrypted: such a file was not made by an honest tool.
"""

import gzip
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from isal import igzip
from isal.igzip_lib import IsalError

from include.errors import BadSource
from include.lines import Reads, line_blocks, printable

ROLES = ("trn", "tst", "lbl")
MAX_RATIO = 200  # unpacked to packed; catalogues in JSON lines reach about 30, a bomb 1,000
FREE_BYTES = 64 * 2**20  # small files may unpack to this much, whatever the ratio

_ROLE = re.compile(r"(trn|tst|lbl)\.(json|jsonl|ndjson)(\.gz)?", re.IGNORECASE)
_JSON_LINES = re.compile(r"[^.].*\.(jsonl|ndjson)(\.gz)?", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:")
_SAME_AGAIN = "Fetch the file again; if it comes the same, it is damaged where it is kept."


@dataclass(frozen=True)
class Member:
    """One JSON-lines file of the source.

    Attributes:
        role: "trn", "tst" or "lbl".
        name: Its path in the archive, or the name of the source file itself.
        packed: Bytes that it takes in the source.
        size: Bytes that come out of the ZIP (a .gz member is still gzip then): the total for progress.
    """

    role: str
    name: str
    packed: int
    size: int


class Archive:
    """The JSON-lines files in a catalogue file. Use it as a context manager.

    Args:
        path: A ZIP, a gzip file or plain JSON lines. The last two count as `trn`.

    Raises:
        BadSource: It is a damaged ZIP, has a hostile member, or no `trn`.
    """

    members: dict[str, Member]

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        with path.open("rb") as stream:
            magic = stream.read(4)
        if magic[:2] == b"PK":
            with _explained(path.name):
                self._zip = zipfile.ZipFile(path)
            try:
                self.members = _find_members(self._zip, path.name)
            except BaseException:
                self._zip.close()
                raise
        else:
            size = path.stat().st_size
            self.members = {"trn": Member("trn", path.name, size, size)}

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        if self._zip is not None:
            self._zip.close()

    def blocks(self, role: str, tell: Callable[[int], None] | None = None) -> Iterator[bytes]:
        """The lines of one file, a block (about 2 MiB) at a time: see `include.lines.line_blocks`.

        Args:
            role: One of `members`.
            tell: Is told after each block how many of the member's `size` bytes have been read.

        Raises:
            BadSource: The data is truncated or damaged, or unpacks to far more than a catalogue would.
        """
        member = self.members[role]
        where = member.name if self._zip is None else f"{member.name} in {self.path.name}"
        limit = max(MAX_RATIO * member.packed, FREE_BYTES)
        with _explained(where), self._open(member) as stored:
            outer = _Counted(stored, limit, where)
            is_gzip = outer.peek(2) == b"\x1f\x8b"
            inner: Reads = igzip.IGzipFile(fileobj=outer, mode="rb") if is_gzip else outer  # type: ignore[no-untyped-call]
            for block in line_blocks(_Counted(inner, limit, where)):
                yield block
                if tell is not None:
                    tell(outer.count)

    def _open(self, member: Member) -> BinaryIO:
        if self._zip is None:
            return self.path.open("rb")
        return self._zip.open(member.name)  # type: ignore[return-value]  # IO[bytes], read only


class _Counted:
    """A stream that counts what is read from it and stops at a limit: the guard against bombs."""

    def __init__(self, stream: Reads, limit: int, where: str) -> None:
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
        data = self._stream.read(size if size < 0 else size - len(self._ahead))
        if self._ahead:
            data, self._ahead = self._ahead + data, b""
        self.count += len(data)
        if self.count > self._limit:
            raise BadSource(
                f"{self._where} unpacks to more than {self._limit:,} bytes, over {MAX_RATIO} times its stored size: "
                "this is a decompression bomb, not a catalogue.",
                "Get the catalogue from its publisher, or unpack the file yourself and give that.",
            )
        return data


def _find_members(archive: zipfile.ZipFile, source: str) -> dict[str, Member]:
    entries = archive.infolist()
    for entry in entries:
        if fault := _hostile(entry):
            raise BadSource(
                f"{source} holds a member that {fault}: {printable(entry.orig_filename)!r}.",
                "Such an archive is not read at all: get the catalogue from its publisher.",
            )
    files = [entry for entry in entries if not entry.is_dir()]
    by_role: dict[str, list[zipfile.ZipInfo]] = {role: [] for role in ROLES}
    for entry in files:
        if match := _ROLE.fullmatch(PurePosixPath(entry.filename).name):
            by_role[match[1].lower()].append(entry)
    if not by_role["trn"]:  # one JSON-lines file of any name is no less clear
        taken = [entry for found in by_role.values() for entry in found]
        others = [
            entry for entry in files if entry not in taken and _JSON_LINES.fullmatch(PurePosixPath(entry.filename).name)
        ]
        if len(others) == 1:
            by_role["trn"] = others
    for role, found in by_role.items():
        if len(found) > 1:
            raise BadSource(
                f"{source} holds {len(found)} files for {role}, expected one: {_listed(found)}.",
                "Leave one of them in the archive.",
            )
    if not by_role["trn"]:
        raise BadSource(
            f"{source} holds no trn.json.gz (nor trn.json, nor one .jsonl file): found {_listed(files)}.",
            "Give a ZIP with the products as trn.json.gz, in any folder, or a single JSON-lines file.",
        )
    return {
        role: Member(role, found[0].filename, found[0].compress_size, found[0].file_size)
        for role, found in by_role.items()
        if found
    }


def _hostile(entry: zipfile.ZipInfo) -> str:
    """What is wrong with a member, or nothing. `orig_filename` is the name before zipfile tidied it."""
    name = entry.orig_filename.replace("\\", "/")
    method = entry.compress_type
    faults = {
        "has a NUL in its name": "\x00" in name,
        "has an absolute path": name.startswith("/") or _DRIVE.match(name),
        "points outside the archive": ".." in name.split("/"),
        "is a symbolic link": stat.S_ISLNK(entry.external_attr >> 16),
        "is encrypted": entry.flag_bits & 0x1,
        f"is packed by method {method}, not by deflate": method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED),
    }
    return next((fault for fault, found in faults.items() if found), "")


def _listed(entries: list[zipfile.ZipInfo], most: int = 10) -> str:
    if not entries:
        return "no file at all"
    names = ", ".join(printable(entry.filename) for entry in entries[:most])
    return names if len(entries) <= most else f"{names} and {len(entries) - most} more"


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """Turn what the decompressors raise into BadSource, with one sentence."""
    try:
        yield
    except EOFError as error:
        raise BadSource(
            f"{where} ends too early: the file is truncated, or bytes follow its end.", _SAME_AGAIN
        ) from error
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, IsalError, UnicodeDecodeError) as error:  # type: ignore[misc]
        raise BadSource(f"{where} is damaged ({str(error).rstrip('.')}).", _SAME_AGAIN) from error
    except NotImplementedError as error:  # zipfile's word for features it lacks
        raise BadSource(
            f"{where} cannot be unpacked ({str(error).rstrip('.')}).", "Pack it again with the usual deflate method."
        ) from error
