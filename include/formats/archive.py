"""Lines of a catalogue file, read safely: a ZIP or tar with trn/tst/lbl, a gzip file, or plain JSON lines.

Nothing is ever extracted: members are read as streams, in bounded memory. What the file is, its first
bytes say, not its name, and so what each member is: one that surely holds something else than JSON lines is
refused by name before any line is read.
"""

import errno
import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from isal import igzip
from isal.igzip_lib import IsalError

from include.core.errors import BadSource
from include.core.redaction import escaped
from include.formats.file_kind import FileKind
from include.formats.first_bytes import HEAD, TAR_BLOCK, container, form_of, is_tar
from include.formats.form import BrokenOff, Form
from include.formats.lines import BLOCK, Reads
from include.formats.members import Member, StrictHeader, find_members, tar_entries, zip_entries

MAX_RATIO = 200  # unpacked to packed; catalogues in JSON lines reach about 30, a bomb 1,000
FREE_BYTES = 64 * 2**20  # small files may unpack to this much, whatever the ratio

GZIP = b"\x1f\x8b"
_SAME_AGAIN = "Fetch the file again; if it comes the same, it is damaged where it is kept."


class Archive:
    """The JSON-lines files in a catalogue file. Use it as a context manager.

    Args:
        path: A ZIP, a tar (also gzipped), a gzip file or plain JSON lines. The last two count as `trn`.
        name: What messages call it, if not by its file name.

    Raises:
        BadSource: It is damaged, has a hostile member, or no `trn`; or a member holds something else than lines.
    """

    members: dict[str, Member]
    forms: dict[str, Form]  # how each member holds its records
    gzipped: set[str]  # roles of the members that are gzip themselves

    def __init__(self, path: Path, name: str = "") -> None:
        self.path = path
        self._name = escaped(name or path.name)
        self._zip: zipfile.ZipFile | None = None
        self._is_tar = False
        with path.open("rb") as stream:
            magic = stream.read(4)
        try:
            if magic[:2] == b"PK":
                with _explained(self._name):
                    self._zip = zipfile.ZipFile(path)
                self.members = find_members(zip_entries(self._zip), self._name, self._kind_in_zip)
            else:
                self.members = self._single_or_tar()
            self.gzipped, self.forms = set(), {}
            for role, member in self.members.items():
                self.forms[role], gzipped = self._form(member)
                if gzipped:
                    self.gzipped.add(role)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        if self._zip is not None:
            self._zip.close()

    def blocks(self, role: str, tell: Callable[[int], None] | None = None) -> Iterator[bytes]:
        """The records of one file as JSON lines, a block (about 2 MiB) at a time: see `include.formats.form.Form`.

        Args:
            role: One of `members`.
            tell: Is told after each block how many of the member's `size` bytes have been read.

        Raises:
            BadSource: The data is truncated or damaged, or unpacks to far more than a catalogue would.
        """
        member = self.members[role]
        with self._opened(member) as (outer, stream):
            for block in self.forms[role].read(stream):
                yield block
                if tell is not None:
                    tell(outer.count)

    def _single_or_tar(self) -> dict[str, Member]:
        size = self.path.stat().st_size
        single = Member("trn", self._name, size, size)
        with suppress(BadSource), self._opened(single) as (_, stream):  # if it is damaged, the next look says so
            self._is_tar = is_tar(stream.peek(TAR_BLOCK))
        if not self._is_tar:
            return {"trn": single}
        with self._tar() as (archive, unpacked):
            members = find_members(tar_entries(archive, size), self._name)
            while unpacked.read(BLOCK):  # what follows the last member: only its end has gzip's checksum
                pass
        return members

    def _where(self, member: Member) -> str:
        return f"{escaped(member.name)} in {self._name}" if self._zip or self._is_tar else self._name

    @contextmanager
    def _opened(self, member: Member) -> Iterator[tuple["_Counted", "_Counted"]]:
        """The member as it is stored, and what it unpacks to, which is the same unless it is gzip."""
        where = self._where(member)
        limit = max(MAX_RATIO * member.packed, FREE_BYTES)
        with _explained(where), self._stored(member) as stored:
            outer = _Counted(stored, limit, where)
            yield outer, _Counted(_ungzipped(outer), limit, where)

    @contextmanager
    def _stored(self, member: Member) -> Iterator[Reads]:
        if self._zip is not None:
            with self._zip.open(member.name) as stream:
                yield stream
        elif self._is_tar:
            with self._tar() as (archive, _):
                found = next(entry for entry in archive if entry.isreg() and entry.name == member.name)
                with closing(archive.extractfile(found)) as stream:  # type: ignore[type-var]  # a file, so not None
                    yield stream  # type: ignore[misc]
        else:
            with self.path.open("rb") as stream:
                yield stream

    @contextmanager
    def _tar(self) -> Iterator[tuple[tarfile.TarFile, "_Counted"]]:
        """The tar, read from its beginning to its end, unpacked on the way; and the stream that it is read from."""
        limit = max(MAX_RATIO * self.path.stat().st_size, FREE_BYTES)
        with _explained(self._name), self.path.open("rb") as stream:
            unpacked = _Counted(_ungzipped(_Counted(stream, limit, self._name)), limit, self._name)
            with tarfile.open(fileobj=unpacked, mode="r|", bufsize=2**20, tarinfo=StrictHeader) as archive:  # type: ignore[call-overload]
                yield archive, unpacked

    def _form(self, member: Member) -> tuple[Form, bool]:
        """How a member holds its records, and whether it is gzip; BadSource if it cannot be read."""
        with self._opened(member) as (outer, stream):
            gzipped = outer.peek(2) == GZIP
            head = stream.peek(HEAD)
        where = self._where(member)
        if found := container(head):
            inside = "inside gzip" if gzipped else "it"
            raise BadSource(
                f"{where} is not JSON lines, nor gzipped JSON lines: {inside} is {found.name}.",
                "Unpack the outer layer and give what is in it, or give the JSON lines themselves.",
            )
        form = form_of(head)
        if isinstance(form, FileKind):
            raise BadSource(f"{where} is not JSON lines: {form.said()}.", form.next_step(member.name, gzipped=gzipped))
        return form, gzipped

    def _kind_in_zip(self, name: str) -> str:
        """What a member of the ZIP is, where its first bytes say so."""
        if self._zip is None:
            return ""
        with _explained(escaped(name)), self._zip.open(name) as stream:
            head = stream.read(HEAD)
        found = container(head) or form_of(head)
        return found.name if isinstance(found, FileKind) else ""


def _ungzipped(stream: "_Counted") -> Reads:
    if stream.peek(2) != GZIP:
        return stream
    reader: Reads = igzip.IGzipFile(fileobj=stream, mode="rb")
    return reader


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


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """Turn what the decompressors raise into BadSource, with one sentence."""
    try:
        yield
    except EOFError as error:
        raise BadSource(
            f"{where} ends too early: the file is truncated, or bytes follow its end.", _SAME_AGAIN
        ) from error
    except (zipfile.BadZipFile, gzip.BadGzipFile, tarfile.TarError, zlib.error, IsalError, UnicodeDecodeError) as error:  # type: ignore[misc]
        raise BadSource(f"{where} is damaged ({str(error).rstrip('.')}).", _SAME_AGAIN) from error
    except BrokenOff as error:
        raise BadSource(f"{where} {error}.", _SAME_AGAIN) from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise BadSource(f"{where} is damaged (a place in it lies before its beginning).", _SAME_AGAIN) from error
    except NotImplementedError as error:  # zipfile's word for features it lacks
        raise BadSource(
            f"{where} cannot be unpacked ({str(error).rstrip('.')}).", "Pack it again with the usual deflate method."
        ) from error
