"""Which members of a ZIP or tar are the catalogue: trn, tst and lbl, in any folder.

An archive is refused as a whole if any member's name points outside (absolute, `..`), or a member is a link or
encrypted: such a file was not made by an honest tool.
"""

import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self

from include.core.display import printable
from include.core.errors import BadSource

ROLES = ("trn", "tst", "lbl")

_ROLE = re.compile(r"(trn|tst|lbl)\.(json|jsonl|ndjson)(\.gz)?", re.IGNORECASE)
_JSON_LINES = re.compile(r"[^.].*\.(jsonl|ndjson)(\.gz)?", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:")
_DOCUMENTS = {
    "xl/workbook.xml": "an Excel workbook",
    "word/document.xml": "a Word document",
    "content.xml": "an OpenDocument file (LibreOffice)",
}


@dataclass(frozen=True)
class Member:
    """One JSON-lines file of the source.

    Attributes:
        role: "trn", "tst" or "lbl".
        name: Its path in the archive, or the name of the source file itself.
        packed: Bytes that it takes in the source, at most.
        size: Bytes that come out of the archive (a .gz member is still gzip then): the total for progress.
    """

    role: str
    name: str
    packed: int
    size: int


@dataclass(frozen=True)
class Entry:
    """A file or folder in an archive; `fault` is what makes it hostile, or nothing."""

    name: str
    packed: int
    size: int
    is_file: bool
    fault: str


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


def zip_entries(archive: zipfile.ZipFile) -> Iterator[Entry]:
    """The members of a ZIP, as its directory at the end lists them; each with its fault, if it has one."""
    for entry in archive.infolist():
        method = entry.compress_type
        faults = {
            "is a symbolic link": stat.S_ISLNK(entry.external_attr >> 16),
            "is encrypted": entry.flag_bits & 0x1,
            f"is packed by method {method}, not by deflate": method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED),
        }
        # `orig_filename` is the name before zipfile tidied it.
        fault = _name_fault(entry.orig_filename) or next((fault for fault, found in faults.items() if found), "")
        name = entry.orig_filename if fault else entry.filename
        yield Entry(name, entry.compress_size, entry.file_size, not entry.filename.endswith("/"), fault)


def tar_entries(archive: tarfile.TarFile, packed: int) -> Iterator[Entry]:
    """The members of a tar archive, read as they come: a member tells its size before its content.

    Args:
        archive: Open for reading.
        packed: Bytes of the whole archive; a tar does not tell what one member takes of it.
    """
    for entry in archive:
        faults = {
            "is a link": entry.issym() or entry.islnk(),
            "is neither a file nor a folder": not (entry.isreg() or entry.isdir()),
        }
        fault = _name_fault(entry.name) or next((fault for fault, found in faults.items() if found), "")
        yield Entry(entry.name, packed, entry.size, entry.isreg(), fault)


def _name_fault(name: str) -> str:
    name = name.replace("\\", "/")
    faults = {
        "has no name": not name,
        "has a NUL in its name": "\x00" in name,
        "has an absolute path": name.startswith("/") or _DRIVE.match(name),
        "points outside the archive": ".." in name.split("/"),
    }
    return next((fault for fault, found in faults.items() if found), "")


def find_members(
    entries: Iterable[Entry], source: str, kind_of: Callable[[str], str] = lambda _: ""
) -> dict[str, Member]:
    """The files in an archive that make up the catalogue, by role; `trn` is always among them.

    Args:
        entries: All of the archive's.
        source: The archive, for messages.
        kind_of: What a member of this name is, in words, so that a refusal can tell; nothing where that is not known.

    Raises:
        BadSource: A member is hostile, there is no `trn`, or there are several files for one role.
    """
    files = []
    for entry in entries:
        if entry.fault:
            raise BadSource(
                f"{source} holds a member that {entry.fault}: {printable(entry.name)!r}.",
                "Such an archive is not read at all: get the catalogue from its publisher.",
            )
        if entry.is_file:
            files.append(entry)
    by_role = _by_role(files)
    for role, found in by_role.items():
        if len(found) > 1:
            raise BadSource(
                f"{source} holds {len(found)} files for {role}, expected one: {_listed(found)}.",
                "Leave one of them in the archive.",
            )
    if not by_role["trn"]:
        if office := _office(files):
            raise BadSource(
                f"{source} is not a catalogue: it is {office}.",
                "Export the products as JSON lines, one object with uid, title and content a line, and give that.",
            )
        raise BadSource(
            f"{source} holds no trn.json.gz (nor trn.json, nor one .jsonl file): found {_listed(files, kind_of)}.",
            "Give a ZIP or tar with the products as trn.json.gz, in any folder, or a single JSON-lines file.",
        )
    return {
        role: Member(role, found[0].name, found[0].packed, found[0].size) for role, found in by_role.items() if found
    }


def _by_role(files: list[Entry]) -> dict[str, list[Entry]]:
    by_role: dict[str, list[Entry]] = {role: [] for role in ROLES}
    for entry in files:
        if match := _ROLE.fullmatch(PurePosixPath(entry.name).name):
            by_role[match[1].lower()].append(entry)
    if not by_role["trn"]:  # one JSON-lines file of any name is no less clear
        taken = [entry for found in by_role.values() for entry in found]
        others = [
            entry for entry in files if entry not in taken and _JSON_LINES.fullmatch(PurePosixPath(entry.name).name)
        ]
        if len(others) == 1:
            by_role["trn"] = others
    return by_role


def _office(files: list[Entry]) -> str:
    """Which program's document a ZIP is, or nothing."""
    names = {entry.name for entry in files}
    return next((kind for name, kind in _DOCUMENTS.items() if name in names), "")


def _listed(entries: list[Entry], kind_of: Callable[[str], str] = lambda _: "", most: int = 10) -> str:
    if not entries:
        return "no file at all"
    some = []
    for entry in entries[:most]:
        kind = kind_of(entry.name)
        some.append(printable(entry.name) + (f" ({kind})" if kind else ""))
    names = ", ".join(some)
    return names if len(entries) <= most else f"{names} and {len(entries) - most} more"
