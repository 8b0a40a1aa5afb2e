"""Which of a catalogue's files each line is from, and which of several had to be set aside."""

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from include.catalogue.rows import Rows
from include.core.display import excerpt, printable
from include.formats.archive import Archive, Member, Part
from include.formats.form import Block, Layout
from include.formats.table_forms import TableForm

BROKEN = "file cannot be read to its end"  # the reason for rejection where one of several is set aside

# Bytes written for a byte of the source; seen: up to 1.25, and a third.
SHRUNK_PACKED, SHRUNK_PLAIN = 1.4, 0.5

log = logging.getLogger(__name__)


class Origins:
    """Follows the files of one role, mostly one, while their rows come in. How they hold their records, it logs.

    Attributes:
        file: The one that the last rows are from: its name where there are several, else the role.
    """

    def __init__(self, role: str, files: Sequence[Member]) -> None:
        self.file = role
        self._sizes = {member.name: member.size for member in files}
        self._coming: deque[tuple[Part, Layout | None]] = deque()  # one for each of the rows that will come
        self._layout: Layout | None = None  # of the last rows, where a record may take several lines
        self._records = self._before = 0  # of the file they are from: up to their end, and before them
        self._short = 0
        self._broken: list[dict[str, Any]] = []
        _log_forms(role, files)

    @property
    def several(self) -> bool:
        """Whether there is more than one file."""
        return len(self._sizes) > 1

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(self._sizes.values())

    def lines(self, parts: Iterable[Part]) -> Iterator[bytes]:
        """The lines of each part; where they are from, is noted."""
        for part in parts:
            layout = part.lines.layout if isinstance(part.lines, Block) else None
            self._coming.append((replace(part, lines=b""), layout))
            yield part.lines

    def take(self, rows: Rows) -> Rows:
        """The rows of the next part: as they are, or one reject for what a broken file still had."""
        part, self._layout = self._coming.popleft()
        if self._layout:
            self._short += self._layout.short
        if self.several and part.file != self.file:
            self.file, self._records = part.file, 0
        self._before = self._records
        if part.fault is not None:  # its one line is empty
            rows = replace(rows, blank=0, rejects=[(0, BROKEN, excerpt(part.fault.what.encode()))])
            share, file = self._sizes[part.file] / max(self.size, 1), printable(part.file, 1000)
            self._broken.append({"file": file, "reason": part.fault.what, "share": share, "lines": self._before})
        self._records += rows.total
        return rows

    def line(self, record: int) -> int:
        """Where one of the last rows, counted from 0, begins in its file: the line, or of other forms the record."""
        return self._layout.line_of(record) if self._layout else self._before + record + 1

    def stats(self) -> dict[str, Any]:
        """What the manifest keeps of them."""
        stats: dict[str, Any] = {"files": len(self._sizes)} if self.several else {}
        if self._short:
            stats["short"] = self._short
        return {**stats, "broken": self._broken} if self._broken else stats


def _log_forms(role: str, files: Sequence[Member]) -> None:
    forms: dict[tuple[str, str], list[str]] = {}
    for member in files:
        if (form := member.look.form) is not None:
            forms.setdefault((form.name, form.why), []).append(printable(member.name))
    for (name, why), names in forms.items():
        more = f" and {len(names) - 1:,} more: each" if len(names) > 1 else ""
        log.info("%s: %s%s is %s (%s)", role, names[0], more, name, why)


def bytes_written(archive: Archive) -> float:
    """About how many: by what lies packed, and by the plain lines where an archive packs little or nothing."""
    need = 0.0
    for member in (member for files in archive.members.values() for member in files):
        packed = SHRUNK_PACKED * min(member.entry.packed, member.size)  # a tar does not say what a member takes in it
        dense = member.look.packing is not None or isinstance(member.look.form, TableForm)
        need += packed if dense else min(packed, SHRUNK_PLAIN * member.size)
    return min(need, SHRUNK_PACKED * archive.size)
