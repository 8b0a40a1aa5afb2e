"""The files of a catalogue, read safely: one file, packed or not, or those in a ZIP, a tar or a folder.

Nothing is ever extracted: members are read as streams, in bounded memory. Only what has to be read from its end, a
Parquet file or a workbook in an archive, is copied to a temporary file first. What a file is, its first bytes say, not
its name; one that surely holds no catalogue is refused by name before any record is read.
"""

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from include.core.display import printable
from include.core.errors import BadSource
from include.core.redaction import escaped
from include.core.space import require
from include.formats.compression import Counted, explained, packing, peeled
from include.formats.file_kind import FileKind
from include.formats.first_bytes import HEAD, container, form_of
from include.formats.form import Form
from include.formats.lines import BLOCK, Reads
from include.formats.members import EMPTY, Entry, Look, find_members, folder_entries, is_workbook, zip_entries
from include.formats.table_forms import TableForm, blocks_of, check_table
from include.formats.tars import Tar, is_tar_file
from include.formats.text_kind import UNKNOWN


@dataclass(frozen=True)
class Member:
    """One file of the catalogue.

    Attributes:
        role: "trn", "tst" or "lbl".
        entry: Where it lies.
        look: How it holds its records, or why it cannot be read.
    """

    role: str
    entry: Entry
    look: Look

    @property
    def name(self) -> str:
        """Its path in the archive, or the name of the source file itself."""
        return self.entry.name

    @property
    def size(self) -> int:
        """Bytes that come out of the archive, packed or not: the total for progress."""
        return self.entry.size


@dataclass(frozen=True)
class Part:
    """A block of a file's records as JSON lines; or, of one among several, why no more of it can be read."""

    lines: bytes
    file: str
    fault: BadSource | None = None


class Archive:
    """The files of a catalogue. Use it as a context manager.

    Args:
        path: A ZIP, a tar (also packed), a folder, or a single file of any form that is read, which counts as `trn`.
        name: What messages call it, if not by its file name.
        scratch: Where temporary files may be written; None for the system's own place.
        encoding: Of the files that are text; None where each one's is to be found out.

    Raises:
        BadSource: It is damaged, has a hostile member, or no `trn`; or a file holds no catalogue.
    """

    members: dict[str, tuple[Member, ...]]  # by role; several files for `trn` alone

    def __init__(self, path: Path, name: str = "", scratch: Path | None = None, encoding: str | None = None) -> None:
        self.path = path
        self.name = escaped(name or path.name)
        self._scratch = scratch
        self._encoding = encoding
        self._held = ExitStack()
        self._zip: zipfile.ZipFile | None = None
        self._tar: Tar | None = None
        self._looks: dict[Entry, Look] = {}
        self.members = {}
        try:
            self.members = self._find()
        except BaseException:
            self._held.close()
            raise

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    @property
    def size(self) -> int:
        """Bytes of the file, or of the folder's files that are read."""
        if not self.path.is_dir():
            return self.path.stat().st_size
        return sum(member.size for files in self.members.values() for member in files)

    def blocks(self, role: str, tell: Callable[[int], None] | None = None) -> Iterator[bytes]:
        """The records of one role's files as JSON lines, a block (about 2 MiB) at a time: see `include.formats.form`.

        Args:
            role: One of `members`.
            tell: Is told after each block how many of the files' bytes have been read.

        Raises:
            BadSource: The data is truncated or damaged, or unpacks to far more than a catalogue would.
        """
        for part in self.parts(role, tell):
            if part.fault is not None:
                raise part.fault
            yield part.lines

    def parts(self, role: str, tell: Callable[[int], None] | None = None) -> Iterator[Part]:
        """As `blocks`, with the file that each is from. One fault among several files is told, and the next is read."""
        files, before = self.members[role], 0
        for member in files:

            def told(read: int, before: int = before) -> None:
                if tell is not None:
                    tell(before + read)

            try:
                for lines in self._blocks(member, told):
                    yield Part(lines, member.name)
            except BadSource as fault:
                if len(files) == 1:
                    raise
                yield Part(b"", member.name, fault)
            before += member.size

    def firsts(self, role: str) -> Iterator[Part]:
        """The first block of each of a role's files, but for those that cannot be read."""
        for member in self.members[role]:
            with suppress(BadSource), closing(self._blocks(member, lambda _: None)) as blocks:
                for lines in islice(blocks, 1):
                    yield Part(lines, member.name)

    def _blocks(self, member: Member, tell: Callable[[int], None]) -> Generator[bytes]:
        form = member.look.form
        if form is None:
            raise member.look.fault or BadSource(f"{self._where(member.entry)} cannot be read.")
        if isinstance(form, Form):
            with self._opened(member.entry) as (outer, stream):
                for block in form.read(stream):
                    yield block
                    tell(outer.count)
        else:
            with self._on_disk(member) as path:
                yield from blocks_of(
                    path, form, self._where(member.entry), lambda share: tell(int(share * member.size))
                )
        tell(member.size)

    def _find(self) -> dict[str, tuple[Member, ...]]:
        if not self.path.is_dir():
            with self.path.open("rb") as stream:
                is_zip = stream.read(2) == b"PK"
            if is_zip:
                with explained(self.name):
                    self._zip = self._held.enter_context(zipfile.ZipFile(self.path))
                if is_workbook(self._zip):
                    self._zip = None
            if self._zip is None and is_tar_file(self.path):
                self._tar = Tar(self.path, self.name, self._held)
            if self._zip is None and self._tar is None:
                return {"trn": (self._single(),)}
        found = find_members(self._entries(), self.name, self._look)
        members = {role: tuple(Member(role, entry, self._look(entry)) for entry in found[role]) for role in found}
        for files in members.values():
            if len(files) == 1 and files[0].look.fault is not None:
                raise files[0].look.fault
        return members

    def _single(self) -> Member:
        size = self.path.stat().st_size
        entry = Entry(self.name, size, size)
        look = self._look(entry)
        if look.fault is not None:
            raise look.fault
        if isinstance(look.form, TableForm) and not look.packing:
            check_table(self.path, look.form, self.name)
        return Member("trn", entry, look)

    def _entries(self) -> Iterator[Entry]:
        if self._tar is not None:
            return self._tar.entries(self._look)
        return folder_entries(self.path) if self._zip is None else zip_entries(self._zip)

    def _where(self, entry: Entry) -> str:
        return f"{escaped(entry.name)} in {self.name}" if entry.name != self.name else self.name

    @contextmanager
    def _opened(self, entry: Entry) -> Iterator[tuple[Counted, Counted]]:
        """See `peeled`."""
        where = self._where(entry)
        with explained(where), self._stored(entry) as stored, peeled(stored, entry.packed, where) as streams:
            yield streams

    @contextmanager
    def _stored(self, entry: Entry) -> Iterator[Reads]:
        if self._zip is not None:
            with self._zip.open(self._zip.infolist()[entry.place]) as stream:
                yield stream
        elif self._tar is not None:
            if len(self.members.get("trn", ())) > 1:  # they are read in the order of their names
                self._tar.unpack(self._scratch)
            with self._tar.stored(entry) as member:
                yield member
        else:
            with self._file(entry).open("rb") as file:
                yield file

    def _file(self, entry: Entry) -> Path:
        return self.path / entry.name if self.path.is_dir() else self.path

    @contextmanager
    def _on_disk(self, member: Member) -> Iterator[Path]:
        """The file itself, or a copy of what lies in an archive or is packed, for as long as it is read."""
        if member.look.packing is None and self._zip is None and self._tar is None:
            yield self._file(member.entry)
            return
        with (
            tempfile.TemporaryFile(dir=self._scratch) as copy,  # has no name that could outlive this process
            self._opened(member.entry) as (_, stream),
        ):
            require(self._scratch or Path(tempfile.gettempdir()), member.size, f"Unpacking {printable(member.name)}")
            shutil.copyfileobj(stream, copy, BLOCK)
            copy.flush()
            yield Path(f"/proc/self/fd/{copy.fileno()}")

    def _look(self, entry: Entry, stored: Reads | None = None) -> Look:
        """What the first bytes of a file say; `stored` is the file, where it is at hand."""
        if entry not in self._looks:
            where = self._where(entry)
            try:
                with explained(where), self._stored(entry) if stored is None else nullcontext(stored) as file:
                    self._looks[entry] = _looked_at(file, entry, where, self._encoding)
            except BadSource as fault:
                self._looks[entry] = Look(None, None, fault, "damaged")
        return self._looks[entry]


def _looked_at(stored: Reads, entry: Entry, where: str, encoding: str | None) -> Look:
    with peeled(stored, entry.packed, where) as (outer, stream):
        packed = packing(outer.peek(6))
        head = stream.peek(HEAD)
    form = form_of(head, encoding)
    if not isinstance(form, FileKind):
        return Look(form, packed, None, form.name if head else EMPTY)
    what, step = f"{where} is no catalogue: it is {form.name}.", form.next_step(entry.name, packed)
    if container(head):
        what = f"{where} is no catalogue: {f'inside {packed.name}' if packed else 'it'} is {form.name}."
        step = "Unpack the outer layer and give what is in it, or give the catalogue itself."
    return Look(None, packed, BadSource(what, step), "" if form.name.startswith(UNKNOWN) else form.name)
