"""A tar archive, packed or not: its members in their order, and each of them again as a stream."""

import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Self, cast

from include.core.errors import BadSource
from include.formats.compression import Counted, explained, packing, peeled
from include.formats.first_bytes import TAR_BLOCK, is_tar
from include.formats.lines import BLOCK, Reads
from include.formats.members import Entry, name_fault


class StrictHeader(tarfile.TarInfo):
    """A member's header in a tar. One that is damaged or cut is an error, not the end of the archive.

    `tarfile` takes it for the end: a flipped byte, and every member behind it is gone. Only a block of zeros is the
    end; GNU tar, Python and the others that follow POSIX write two, so a file without any is cut.
    """

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        """The next header.

        Raises:
            tarfile.EOFHeaderError: There is a block of zeros instead: the end.
            tarfile.ReadError: It is damaged, or the file ends without such a block.
        """
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # typeshed lacks it
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error} of a member, at byte {archive.offset:,}") from error


class Tar:
    """A tar archive.

    Args:
        path: The file, which `is_tar_file`.
        where: What messages call it.
        held: Closes what is opened here.
    """

    def __init__(self, path: Path, where: str, held: ExitStack) -> None:
        self._path = path
        self._where = where
        self._held = held
        self._size = path.stat().st_size
        self._plain: tarfile.TarFile | None = None
        with path.open("rb") as stream:
            packed = packing(stream.read(6)) is not None
        if not packed:
            self._open(held.enter_context(path.open("rb")))

    def entries(self, look: Callable[[Entry, Reads], object]) -> Iterator[Entry]:
        """The members, in the archive's order. `look` is shown each file as it comes by, if the archive is packed."""
        if self._plain is not None:
            with explained(self._where):
                for place, info in enumerate(self._plain):
                    yield self._entry(info, place)
            return
        with self._stream() as (archive, stream):
            for place, info in enumerate(archive):
                entry = self._entry(info, place)
                if entry.is_file and not entry.fault:
                    with _content(archive, info) as content:
                        look(entry, content)
                yield entry
            while stream.read(BLOCK):  # what follows the last member: only its end has the checksum
                pass

    @contextmanager
    def stored(self, entry: Entry) -> Iterator[Reads]:
        """A member as it is stored. In a packed archive, all before it is read: `unpack` first, if there are many."""
        if self._plain is not None:
            with _content(self._plain, self._plain.getmembers()[entry.place]) as content:
                yield content
        else:
            with self._stream() as (archive, _):
                info = next(islice(archive, entry.place, None))
                with _content(archive, info) as content:
                    yield content

    def unpack(self, scratch: Path | None) -> None:
        """Go on from a temporary copy in `scratch` that is not packed, in which any member can be read at once."""
        if self._plain is None:
            with self._path.open("rb") as stream, peeled(stream, self._size, self._where) as (_, tar):
                copy = self._held.enter_context(tempfile.TemporaryFile(dir=scratch))  # noqa: SIM115 - as below
                shutil.copyfileobj(tar, copy, BLOCK)
            copy.seek(0)
            self._open(copy)

    def _open(self, file: BinaryIO) -> None:
        with explained(self._where):
            opened = tarfile.open(fileobj=file, mode="r:", tarinfo=StrictHeader)  # noqa: SIM115 - `held` closes it
            self._plain = self._held.enter_context(opened)

    @contextmanager
    def _stream(self) -> Iterator[tuple[tarfile.TarFile, Counted]]:
        """The tar, read from its beginning to its end, unpacked on the way; and the stream that it is read from."""
        with (
            self._path.open("rb") as stream,
            peeled(stream, self._size, self._where) as (_, tar),
            tarfile.open(fileobj=tar, mode="r|", bufsize=2**20, tarinfo=StrictHeader) as archive,  # type: ignore[call-overload]
        ):
            yield archive, tar

    def _entry(self, info: tarfile.TarInfo, place: int) -> Entry:
        faults = {
            "is a link": info.issym() or info.islnk(),
            "is neither a file nor a folder": not (info.isreg() or info.isdir()),
        }
        fault = name_fault(info.name) or next((fault for fault, found in faults.items() if found), "")
        return Entry(info.name, self._size, info.size, info.isreg(), fault, place)  # what it takes is not told


def is_tar_file(path: Path) -> bool:
    """Whether a file is a tar, packed or not; one that cannot be unpacked is none."""
    with suppress(BadSource), path.open("rb") as stream, peeled(stream, path.stat().st_size, path.name) as (_, tar):
        return is_tar(tar.peek(TAR_BLOCK))
    return False


def _content(archive: tarfile.TarFile, info: tarfile.TarInfo) -> "closing[BinaryIO]":
    return closing(cast(BinaryIO, archive.extractfile(info)))  # None for folders and links, which are not asked for
