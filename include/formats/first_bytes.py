"""What a file is, told by its first bytes: a form that is read, or something else, with the command that helps."""

import re
import tarfile
import zlib

from include.formats.compression import packing
from include.formats.file_kind import FileKind
from include.formats.form import Form
from include.formats.table_forms import TableForm, table_form
from include.formats.text_form import text_form
from include.formats.text_kind import UNKNOWN

HEAD = 64 * 1024  # bytes that are looked at
TAR_BLOCK = 512  # bytes of a tar's first header

_INFLATE = (
    'python -c "import sys, zlib; packed = zlib.decompressobj(); [sys.stdout.buffer.write(packed.decompress(part)) '
    "for part in open(sys.argv[1], 'rb')]\" {file} > catalogue.jsonl"
)
_MAGIC: tuple[tuple[bytes, str, str], ...] = (  # regular expressions; the first that fits counts
    (rb"\x04\x22\x4d\x18", "packed by LZ4", "lz4 -dc {file} > catalogue.jsonl"),
    (rb"\x1f\x9d", "packed by compress", "uncompress -c {file} > catalogue.jsonl"),
    (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "7z x {file}"),
    (rb"Rar!\x1a\x07", "a RAR archive", "unrar x {file}"),
    (rb"07070[127][0-9A-Fa-f]{30}|\xc7\x71|\x71\xc7", "a cpio archive", "cpio -id < {file}"),
    (rb"!<arch>\n", "an ar archive, such as a Debian package (.deb)", "ar x {file}"),
    (rb"SQLite format 3\x00", "an SQLite database", ""),
    (
        rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old Microsoft Office file, such as an Excel workbook (.xls), or one with a password",
        "",
    ),
    (rb"%PDF", "a PDF document", ""),
    (rb"FEA1", "a Feather file of the first version", ""),
    (rb"ORC", "an ORC file", ""),
    (rb"Obj\x01", "an Avro file", ""),
    (rb"\x89HDF\r\n", "an HDF5 file", ""),
    (rb"\x93NUMPY", "a NumPy array", ""),
    (rb"\x80[\x02-\x05]", "a Python pickle", ""),
    (rb"\x89PNG", "a picture (PNG)", ""),
    (rb"\xff\xd8\xff", "a picture (JPEG)", ""),
)
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1f]")
_CONTAINERS = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "a ZIP archive without any file in it"),
)


def is_tar(head: bytes) -> bool:
    """Whether these first bytes begin with a tar header, whose checksum is right."""
    if len(head) < TAR_BLOCK:
        return False
    try:
        tarfile.TarInfo.frombuf(head[:TAR_BLOCK], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def container(head: bytes) -> FileKind | None:
    """Which archive or packing these are the first bytes of, of those that Vitrine opens on the outside."""
    if is_tar(head):
        return FileKind("a tar archive", "")
    if found := packing(head):
        return FileKind(f"packed by {found.name}", "")
    return next((FileKind(name, "") for magic, name in _CONTAINERS if head.startswith(magic)), None)


def form_of(head: bytes, encoding: str | None = None) -> Form | TableForm | FileKind:
    """How a file with these first bytes holds its records, or what it is if it cannot be read.

    Args:
        head: HEAD bytes, or all there are.
        encoding: Of a text, if it is given.
    """
    if known := table_form(head) or container(head):
        return known
    for magic, name, command in _MAGIC:
        if re.match(magic, head, re.DOTALL):
            return FileKind(name, command)
    if _inflates(head):
        return FileKind("packed by zlib", _INFLATE)
    form = text_form(head, encoding, whole=len(head) < HEAD)
    if isinstance(form, FileKind) and form.name.startswith(UNKNOWN) and _CONTROL.search(head[:40]):
        return FileKind(f"neither text nor a known format: its first bytes are {head[:8].hex(' ')}", "")
    return form


def _inflates(head: bytes) -> bool:
    """Whether this is a zlib stream: its two first bytes may also begin a text."""
    if head[:1] != b"x" or len(head) < 8:
        return False
    try:
        return bool(zlib.decompressobj().decompress(head))
    except zlib.error:
        return False
