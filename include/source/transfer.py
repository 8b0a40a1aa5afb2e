"""What every kind of source shares: a file that arrives in pieces, its partial copy, and what its bytes may be.

A partial copy lies in the artifact's scratch directory, which outlives attempts, beside a note that says
which remote content it is a piece of. Only a transfer of that same content goes on from it.
"""

import hashlib
import json
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from include.core.errors import BadSource, SourceUnreachable
from include.core.files import write_json
from include.core.progress import Progress
from include.core.space import require
from include.formats.compression import packing
from include.formats.file_kind import FileKind
from include.formats.first_bytes import HEAD, form_of, is_tar
from include.formats.form import JSON_LINES
from include.formats.lines import BYTE_ORDER_MARK
from include.formats.table_forms import TableForm, table_form

TIMEOUT = 60.0  # seconds without an answer or a byte until a server counts as stalled
CHUNK = 256 * 1024  # bytes; what a kill can lose

Format = Literal[
    "zip", "tar", "gzip", "bzip2", "xz", "zstandard", "parquet", "arrow", "excel", "jsonl", "text", "folder"
]
WANTED = (
    "Vitrine takes JSON, CSV, Parquet, Arrow or Excel, also packed (.gz, .bz2, .xz, .zst), alone or in a ZIP or tar: "
    "correct the setting that names it (`source`, or `questions`), then trigger again."
)


@dataclass(frozen=True)
class Fetched:
    """A file that has arrived.

    Attributes:
        path: Where it is now, in the scratch directory.
        sha256: Of its bytes, in hexadecimal.
        whole: The source announced its length and all of it came. False where it announced none, so that a
            broken transfer looks like a short file.
        details: More for the artifact's statistics.
    """

    path: Path
    sha256: str
    whole: bool
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Remote:
    """A source as it is now.

    Attributes:
        origin: How to name it to people and in the manifest: without passwords and query values.
        identity: What tells its present content from another, JSON-serialisable; part of the fingerprint.
        resumable: Whether a later attempt can tell that a partial copy belongs to the same content.
        fetch: Brings the file into a scratch directory.
    """

    origin: str
    identity: dict[str, Any]
    resumable: bool
    fetch: Callable[[Path, Progress], Fetched]


@dataclass(frozen=True)
class Listed:
    """A file on disk or in an object store, as a look at it or at its folder shows it.

    Attributes:
        remote: The file as a source of its own.
        size: In bytes; None where that is not told.
        marks: What tells its present content from another; empty where nothing does.
        copy: Brings it into the place of a partial copy, and goes on with what is there.
    """

    remote: Remote
    size: int | None
    marks: dict[str, Any]
    copy: Callable[["Partial", Progress], Fetched]


class Partial:
    """The partial copy in a scratch directory and the note about it.

    Args:
        scratch: The directory.
        content: What identifies the remote content; empty where nothing does: then nothing is resumed.
        sniffed: Whether a file whose first bytes are no catalogue's is refused at once.
    """

    def __init__(self, scratch: Path, content: Mapping[str, Any], *, sniffed: bool = True) -> None:
        self._sniffed = sniffed
        self.path = scratch / "partial"
        self._note = scratch / "partial.json"
        self._content = dict(content)

    def held(self) -> int:
        """How many bytes of this very content are here; anything else is deleted."""
        if self._content and self.path.exists() and self.note() == self._content:
            return self.path.stat().st_size
        self.discard()
        return 0

    def note(self) -> dict[str, Any]:
        """What the copy on disk is a piece of; empty where that is unknown."""
        try:
            found = json.loads(self._note.read_bytes())
        except (FileNotFoundError, ValueError):  # none, or cut short by a crash: then the bytes mean nothing
            return {}
        return found if isinstance(found, dict) else {}

    def discard(self) -> None:
        """Delete the bytes, then the note."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def receive(
        self, chunks: Iterable[bytes], origin: str, start: int, total: int | None, progress: Progress
    ) -> Fetched:
        """Write `chunks` after the first `start` bytes.

        Args:
            chunks: The file's bytes from `start` on.
            origin: The source, for messages.
            start: Bytes that are here already.
            total: The file's length in bytes, None where the source does not tell.
            progress: Counts bytes.

        Raises:
            BadSource: The first bytes are no catalogue's.
            SourceUnreachable: Fewer or more bytes came than were announced.
            StorageFull: The disk cannot hold the file.
        """
        if total is not None:
            require(self.path.parent, total - start, origin)
        digest = hashlib.sha256()
        done = 0
        if start:
            with self.path.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
            done = start
        else:
            self.discard()
            write_json(self._note, self._content)
        progress.update(done, total)
        head = b"" if self._sniffed and not done else None
        with self.path.open("ab") as out:
            for chunk in chunks:
                if head is not None:
                    head += chunk
                    if len(head) >= HEAD:  # shorter, it is looked at when all of it is here
                        sniff(head[:HEAD], origin)
                        head = None
                out.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                progress.update(done)
        if total is not None and done != total:
            if done > total:
                self.discard()
            raise broken_off(origin, done, total)
        return Fetched(self.path, digest.hexdigest(), total is not None)


def read_blocks(stream: BinaryIO, errors: Callable[[], AbstractContextManager[None]]) -> Iterator[bytes]:
    """The stream's bytes; what goes wrong while reading passes through `errors`."""
    while True:
        with errors():
            block = stream.read(CHUNK)
        if not block:
            return
        yield block


def broken_off(origin: str, done: int, total: int | None) -> SourceUnreachable:
    """The error for a transfer that ended early."""
    of = "of an unknown number" if total is None else f"of {total:,}"
    return SourceUnreachable(
        f"The transfer of {origin} broke off after {done:,} {of} bytes.",
        "The retry goes on from there where the server allows it, else it starts again.",
    )


def sniff(head: bytes, origin: str) -> Format:
    """Which of the known formats a file's first bytes are.

    Args:
        head: The first bytes, `include.formats.first_bytes.HEAD` or all there are.
        origin: The source, for messages.

    Raises:
        BadSource: None of them, with what it is instead.
    """
    if head.startswith(b"PK\x03\x04"):
        return "zip" if table_form(head) is None else "excel"
    if is_tar(head):
        return "tar"
    if packed := packing(head):
        return packed.name.lower()  # type: ignore[return-value]  # each is one of Format
    if not head.removeprefix(BYTE_ORDER_MARK).strip():
        blank = "it begins with nothing but white space" if head else "the file is empty"
        raise BadSource(f"{origin} has no rows: {blank}.", WANTED)
    form = form_of(head)
    if isinstance(form, FileKind):
        raise BadSource(f"{origin} has no rows that can be read: it is {form.name}.", form.next_step(origin))
    if isinstance(form, TableForm):
        return "parquet" if "Parquet" in form.name else "arrow"
    return "jsonl" if form is JSON_LINES else "text"


def check(file: Fetched, origin: str) -> Format:
    """The format of a file that has arrived, after a cheap look at its beginning and its end.

    Raises:
        BadSource: It is no catalogue, or a ZIP that is damaged at its source.
        SourceUnreachable: It is a ZIP that lost its end in a transfer of unknown length.
    """
    with file.path.open("rb") as stream:
        form = sniff(stream.read(HEAD), origin)
    if form not in ("zip", "excel"):
        return form
    try:
        with zipfile.ZipFile(file.path) as archive:
            archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, struct.error) as error:
        size = file.path.stat().st_size
        what = f"{origin} is a truncated or damaged ZIP archive: {size:,} bytes without a readable list of files at"
        what += f" the end ({error})."
        if file.whole:
            raise BadSource(what, "The file itself is damaged: make or upload it again, then trigger again.") from error
        raise SourceUnreachable(what, "The transfer probably broke off: the retry fetches it again.") from error
    return form
