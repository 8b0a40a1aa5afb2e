"""Which files of a ZIP, a tar or a folder are the catalogue: trn, tst and lbl, or all those of one form.

An archive is refused as a whole if any member's name points outside (absolute, `..`), or a member is a link or
encrypted: such a file was not made by an honest tool.
"""

import re
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from include.core.display import printable
from include.core.errors import BadSource
from include.formats.compression import Packing
from include.formats.form import Form
from include.formats.table_forms import WORKBOOK, TableForm

ROLES = ("trn", "tst", "lbl")

_LINES = r"(jsonl|ndjson)"
_PACKED = r"(\.(gz|bz2|xz|zst))?"
_TABLES = r"json|csv|tsv|parquet|arrow|feather|xlsx"
_ROLE = re.compile(rf"(trn|tst|lbl)(\..+)?\.({_TABLES}|{_LINES}){_PACKED}", re.IGNORECASE)
_JSON_LINES = re.compile(rf".*\.{_LINES}{_PACKED}", re.IGNORECASE)
# What tools and people lay beside data.
_BESIDE = re.compile(
    r"[._].*|(readme|licen[cs]e|copying|notice|changelog|thumbs\.db|desktop\.ini)(\W.*)?|.*\.(md5|sha\d+|crc)",
    re.IGNORECASE,
)
EMPTY = "empty"
_DRIVE = re.compile(r"[A-Za-z]:")
_DOCUMENTS = {
    "xl/workbook.bin": "an Excel workbook in its binary form (.xlsb)",
    "word/document.xml": "a Word document",
    "content.xml": "an OpenDocument file (LibreOffice)",
}


@dataclass(frozen=True)
class Entry:
    """A file or folder in an archive.

    Attributes:
        name: Its path there, as it is written.
        packed: Bytes that it takes in the source, at most.
        size: Bytes that come out of the archive; what is packed inside is still packed then.
        is_file: Not a folder.
        fault: What makes it hostile, or nothing.
        place: How many come before it.
    """

    name: str
    packed: int
    size: int
    is_file: bool = True
    fault: str = ""
    place: int = 0

    @property
    def base(self) -> str:
        """Its name without folders; Windows writes them with `\\`."""
        return PurePosixPath(self.name.replace("\\", "/")).name

    @property
    def ending(self) -> str:
        """Of its name, in small letters: `.json.gz`."""
        _, dot, last = self.base.lower().removesuffix(self.packed_ending).rpartition(".")
        return f"{dot}{last}{self.packed_ending}" if dot else self.packed_ending

    @property
    def packed_ending(self) -> str:
        """`.gz` of `trn.json.gz`."""
        found = re.search(_PACKED + "$", self.base.lower())
        return found[0] if found else ""


@dataclass(frozen=True)
class Look:
    """What the first bytes of a file say.

    Attributes:
        form: How it holds its records; None where it cannot be read.
        packing: How it is packed itself; None where it is not.
        fault: Why it cannot be read; None where it can.
        kind: What it is, in words.
    """

    form: Form | TableForm | None
    packing: Packing | None
    fault: BadSource | None
    kind: str


def zip_entries(archive: zipfile.ZipFile) -> Iterator[Entry]:
    """The members of a ZIP, as its directory at the end lists them; each with its fault, if it has one."""
    for place, entry in enumerate(archive.infolist()):
        method = entry.compress_type
        faults = {
            "is a symbolic link": stat.S_ISLNK(entry.external_attr >> 16),
            "is encrypted": entry.flag_bits & 0x1,
            f"is packed by method {method}, not by deflate": method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED),
        }
        # `orig_filename` is the name before zipfile tidied it.
        fault = name_fault(entry.orig_filename) or next((fault for fault, found in faults.items() if found), "")
        name = entry.orig_filename if fault else entry.filename
        is_file = not entry.filename.endswith(("/", "\\"))
        yield Entry(name, entry.compress_size, entry.file_size, is_file, fault, place)


def folder_entries(folder: Path) -> Iterator[Entry]:
    """The files in a folder and in those below it."""
    for place, path in enumerate(sorted(path for path in folder.rglob("*") if path.is_file())):
        size = path.stat().st_size
        yield Entry(path.relative_to(folder).as_posix(), size, size, place=place)


def name_fault(name: str) -> str:
    """What makes a member's name hostile, or nothing."""
    name = name.replace("\\", "/")
    faults = {
        "has no name": not name,
        "has a NUL in its name": "\x00" in name,
        "has an absolute path": name.startswith("/") or _DRIVE.match(name),
        "points outside the archive": ".." in name.split("/"),
    }
    return next((fault for fault, found in faults.items() if found), "")


def find_members(entries: Iterable[Entry], source: str, look: Callable[[Entry], Look]) -> dict[str, list[Entry]]:
    """The files in an archive that make up the catalogue, by role; `trn` is always among them.

    Files named trn, tst or lbl are these. Where there is no trn, all other files that can be a catalogue are, in the
    order of their names; what is none is set aside as broken if its name ends as theirs do, else passed over.

    Args:
        entries: All of the archive's.
        source: The archive, for messages.
        look: Looks at one of them.

    Raises:
        BadSource: A member is hostile, there is no `trn`, or it is not clear which files it is.
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
    by_role: dict[str, list[Entry]] = {role: [] for role in ROLES}
    others = []
    for entry in files:
        if is_beside(entry.name):
            continue
        if match := _ROLE.fullmatch(entry.base):
            by_role[match[1].lower()].append(entry)
        else:
            others.append(entry)
    for role, found in by_role.items():
        _require_one(found, role, source)
    if not by_role["trn"]:
        if office := _office(files):
            raise BadSource(
                f"{source} is not a catalogue: it is {office}.", "Save the products as .xlsx or CSV, and give that."
            )
        by_role["trn"] = _catalogue(others, source, look, files)
    return {role: found for role, found in by_role.items() if found}


def _require_one(found: list[Entry], what: str, source: str) -> None:
    if len(found) > 1:
        raise BadSource(
            f"{source} holds {len(found)} files for {what}, expected one: {_listed(found)}.",
            "Leave one of them in the archive.",
        )


def is_beside(name: str) -> bool:
    """Whether a file lies beside the data: README, LICENSE, .DS_Store, one in __MACOSX."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    return any(part.startswith(".") or part == "__MACOSX" for part in parts) or bool(_BESIDE.fullmatch(parts[-1]))


def _catalogue(files: list[Entry], source: str, look: Callable[[Entry], Look], everything: list[Entry]) -> list[Entry]:
    """Which of the files, none of which has a role, are the catalogue."""
    if len(files) == 1:
        return files
    good = [entry for entry in files if look(entry).form is not None and look(entry).kind != EMPTY]
    if len(lines := [entry for entry in good if _JSON_LINES.fullmatch(entry.base)]) == 1:
        good = lines  # beside tables, that is clear
    if not good:
        raise BadSource(
            f"{source} holds no trn.json.gz, nor another file that can be a catalogue: found "
            f"{_listed(everything, look)}.",
            "Give a ZIP or tar with the products as trn.json.gz, in any folder, or a single file of a form that "
            "docs/operations.md lists.",
        )
    if len({_family(look(entry).kind) for entry in good}) > 1:
        raise BadSource(
            f"{source} holds {len(good)} files of several forms, and none is named trn: found {_listed(good, look)}.",
            "Leave those of one form in it, or name the one with the products trn (trn.json, trn.csv …).",
        )
    endings = {entry.ending for entry in good}
    chosen = [entry for entry in files if entry in good or (good is not lines and entry.ending in endings)]
    for entry in chosen if len({entry.name for entry in chosen}) < len(chosen) else ():
        _require_one([other for other in chosen if other.name == entry.name], printable(entry.name), source)
    return sorted(chosen, key=lambda entry: entry.name)


def _family(kind: str) -> str:
    """Forms that the files of one export may have side by side: an array on one day, one product on another."""
    return next((word for word in ("JSON", "CSV", "TSV") if word in kind), kind)


def _office(files: list[Entry]) -> str:
    """Which program's document a ZIP is, or nothing."""
    names = {entry.name for entry in files}
    return next((kind for name, kind in _DOCUMENTS.items() if name in names), "")


def is_workbook(archive: zipfile.ZipFile) -> bool:
    """Whether a ZIP is an .xlsx workbook."""
    return WORKBOOK in archive.namelist()


def _listed(entries: list[Entry], look: Callable[[Entry], Look] | None = None, most: int = 10) -> str:
    if not entries:
        return "no file at all"
    some = []
    for entry in entries[:most]:
        kind = look(entry).kind if look else ""
        some.append(printable(entry.name) + (f" ({kind})" if kind else ""))
    names = ", ".join(some)
    return names if len(entries) <= most else f"{names} and {len(entries) - most} more"
