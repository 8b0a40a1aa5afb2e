"""What a file is that is no JSON lines: told by its first bytes, with the command that makes JSON lines of it."""

import csv
import json
import re
import shlex
import tarfile
from dataclasses import dataclass
from pathlib import PurePosixPath

from include.field_names import renaming
from include.line_parser import FIELDS
from include.lines import BYTE_ORDER_MARK, printable

HEAD = 64 * 1024  # bytes that are looked at
TAR_BLOCK = 512  # bytes of a tar's first header

# {file} is its name, quoted for a shell.
_EXPORT = "Export the products as JSON lines, one object with uid, title and content a line"
_BUNZIP, _UNXZ, _UNZSTD = (f"{program} -dc {{file}} > catalogue.jsonl" for program in ("bzip2", "xz", "zstd"))
_FROM_PARQUET = (
    'python -c "import json, sys, pyarrow.parquet as p; [print(json.dumps(row, default=str)) for part in '
    'p.ParquetFile(sys.argv[1]).iter_batches() for row in part.to_pylist()]" {file} > catalogue.jsonl'
)
_FROM_CSV = (
    'python -c "import csv, json, sys; [print(json.dumps(row)) for row in csv.DictReader(open(sys.argv[1], '
    "newline='', encoding='utf-8-sig'), delimiter=sys.argv[2])]\" {file} "
)
_FROM_PYTHON = (
    'python -c "import ast, json, sys; [print(json.dumps(ast.literal_eval(line))) for line in open(sys.argv[1])]" '
    "{file} > catalogue.jsonl"
)
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"PAR1", "a Parquet file", _FROM_PARQUET),
    (b"BZh", "packed by bzip2", _BUNZIP),
    (b"\xfd7zXZ\x00", "packed by xz", _UNXZ),
    (b"\x28\xb5\x2f\xfd", "packed by Zstandard", _UNZSTD),
    (b"\x04\x22\x4d\x18", "packed by LZ4", "lz4 -dc {file} > catalogue.jsonl"),
    (b"\x1f\x9d", "packed by compress", "uncompress -c {file} > catalogue.jsonl"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "7z x {file}"),
    (b"Rar!\x1a\x07", "a RAR archive", "unrar x {file}"),
    (b"SQLite format 3\x00", "an SQLite database", ""),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Microsoft Office file, such as an Excel workbook (.xls)", ""),
    (b"%PDF", "a PDF document", ""),
    (b"ARROW1", "an Arrow (Feather) file", ""),
    (b"ORC", "an ORC file", ""),
    (b"Obj\x01", "an Avro file", ""),
    (b"\x89HDF\r\n", "an HDF5 file", ""),
    (b"\x93NUMPY", "a NumPy array", ""),
    (b"\x80\x04\x95", "a Python pickle", ""),
    (b"\x89PNG", "a picture (PNG)", ""),
    (b"\xff\xd8\xff", "a picture (JPEG)", ""),
)
_CONTAINERS = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "a ZIP archive without any file in it"),
    (b"\x1f\x8b", "a gzip file"),
)
_DELIMITERS = {",": ",", ";": "';'", "\t": "$'\\t'", "|": "'|'"}  # as a shell wants them
_HEADING = re.compile(r"[A-Za-z_#\u00c0-\uffff][\w .:#/()-]{0,40}")
_KEY = re.compile(r"""(["'])([^"'\\]{1,40})\1\s*:""")


@dataclass(frozen=True)
class Kind:
    """What a file is.

    Attributes:
        name: As in "it is …".
        command: That makes JSON lines of it, with {file} for its name; empty where there is no such line.
        fields: Of its first record, where they can be seen.
    """

    name: str
    command: str
    fields: tuple[str, ...] = ()

    def said(self) -> str:
        """`it is a CSV table, with the fields asin, title`."""
        return f"it is {self.name}" + (f", with the fields {', '.join(self.fields)}" if self.fields else "")

    def next_step(self, file: str, *, gzipped: bool = False) -> str:
        """What to do about it; `file` is its name, or that of the gzip file that it is in."""
        step = _EXPORT
        if self.command:
            name = printable(PurePosixPath(file).name)
            first = f"Unpack it (`gzip -d {shlex.quote(name)}`), then make" if gzipped else "Make"
            name = shlex.quote(name.removesuffix(".gz") if gzipped else name)
            step = f"{first} JSON lines of it (`{self.command.replace('{file}', name)}`)"
        lacking = [field for field in FIELDS[:3] if field not in self.fields]
        rename = renaming(self.fields, lacking)
        return f"{step}{rename and ', ' + rename}, then give that as `source` and trigger again."


def is_tar(head: bytes) -> bool:
    """Whether these first bytes begin with a tar header, whose checksum is right."""
    if len(head) < TAR_BLOCK:
        return False
    try:
        tarfile.TarInfo.frombuf(head[:TAR_BLOCK], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def container(head: bytes) -> Kind | None:
    """Which archive or packing these are the first bytes of, of those that Vitrine opens on the outside."""
    if is_tar(head):
        return Kind("a tar archive", "")
    return next((Kind(name, "") for magic, name in _CONTAINERS if head.startswith(magic)), None)


def foreign(head: bytes) -> Kind | None:
    """What a file with these first bytes surely is, if not JSON lines; None where it may be lines, if bad ones.

    Args:
        head: HEAD bytes, or all there are.
    """
    for magic, name, command in _MAGIC:
        if head.startswith(magic):
            return Kind(name, command)
    if head[:4] in (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff"):
        return Kind("text in UTF-32", "iconv -f UTF-32 -t UTF-8 {file} > catalogue.jsonl")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or (any(head[:40]) and not (any(head[1:40:2]) and any(head[:40:2]))):
        endian = "LE" if head[1:2] == b"\0" else "BE" if head[:1] == b"\0" else ""
        return Kind("text in UTF-16", f"iconv -f UTF-16{endian} -t UTF-8 {{file}} > catalogue.jsonl")
    text = head.removeprefix(BYTE_ORDER_MARK).decode("utf-8", "replace").lstrip()
    return _markup(text) or _json(text) or _table(text)


def _markup(text: str) -> Kind | None:
    start = text[:100].lower()
    if re.match(r"<(!doctype html|html|head|body)\b", start):
        return Kind("a web page (HTML)", "")
    if start.startswith("<?xml"):
        return Kind("an XML document, such as an object store sends for an error", "")
    if start.startswith("version https://git-lfs"):
        return Kind("a Git LFS pointer, not the file that it points at", "")
    return None


def _json(text: str) -> Kind | None:
    """JSON in another layout than one object a line, and what Python prints for a dictionary."""
    first, _, rest = text.partition("\n")
    first = first.rstrip()
    if re.match(r"\[\s*(\{|$)", text):
        return Kind("one JSON array", "jq -c '.[]' {file} > catalogue.jsonl", _keys(text[1:]))
    if re.match(r"\{\s*u?'", text):
        return Kind("Python dictionaries, not JSON (single quotes)", _FROM_PYTHON, _keys(text))
    second, _, third = rest.lstrip().partition("\n")
    alike = second.rstrip().endswith("},") or not third
    if first.endswith("},") and alike and isinstance(_value(first[:-1]), dict):
        return Kind(
            "JSON objects with commas between them", "sed 's/},[[:space:]]*$/}/' {file} > catalogue.jsonl", _keys(text)
        )
    spread = re.match(r"\{\s*\n\s*(\"|$)", text) or (text[:1] == "{" and _value(first) is None and _spans_lines(text))
    if spread:
        return Kind("JSON with each object on several lines", "jq -c . {file} > catalogue.jsonl", _keys(text))
    return None


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _spans_lines(text: str) -> bool:
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return "\n" in text[:end]


def _keys(text: str) -> tuple[str, ...]:
    """The field names of the first object; of a cut or foreign one, what looks like them."""
    try:
        value, _ = json.JSONDecoder().raw_decode(text.lstrip())
        names = list(value) if isinstance(value, dict) else []
    except (ValueError, RecursionError):
        names = [match[2] for match in _KEY.finditer(text.partition("}")[0])]
    return tuple(printable(name, 40) for name in dict.fromkeys(names))[:12]


def _table(text: str) -> Kind | None:
    """A table whose first line is a heading: at least two names, and more lines like it."""
    lines = text.split("\n")
    if len(lines) < 2 or "{" in lines[0] or lines[1].lstrip().startswith("{"):
        return None
    for delimiter, quoted in _DELIMITERS.items():
        try:
            names = [name.strip() for name in next(csv.reader([lines[0].rstrip("\r")], delimiter=delimiter))]
        except (csv.Error, StopIteration):
            continue
        if len(names) > 1 and all(map(_HEADING.fullmatch, names)) and (delimiter in lines[1] or not lines[1]):
            name = {",": "a CSV table", "\t": "a table with tabs (TSV)"}.get(delimiter, f"a CSV table with {quoted}")
            return Kind(name, f"{_FROM_CSV}{quoted} > catalogue.jsonl", tuple(names[:12]))
    return None
