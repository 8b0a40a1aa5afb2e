"""What a text is that holds no records, or none that can be read: told by how it begins."""

import re

from include.core.display import printable
from include.formats.file_kind import FileKind

_FROM_YAML = (
    'python -c "import json, sys, yaml; [print(json.dumps(row, default=str)) for part in yaml.safe_load_all(open('
    "sys.argv[1], encoding='utf8')) for row in (part if isinstance(part, list) else [part])]\" {file} > catalogue.jsonl"
)
_Begins = tuple[tuple[re.Pattern[str], str, str], ...]
# Whatever follows.
_SURELY: _Begins = (
    (re.compile(r"<(!doctype html|html|head|body)\b", re.IGNORECASE), "a web page (HTML)", ""),
    (re.compile(r"<\?xml", re.IGNORECASE), "an XML document, such as an object store sends for an error", ""),
    (re.compile(r"version https://git-lfs"), "a Git LFS pointer, not the file that it points at", ""),
)
# Where no line begins as an object does: it could be one bad line before good ones.
_PROBABLY: _Begins = (
    (re.compile(r"<(!--|!DOCTYPE|[A-Za-z_][\w.:-]*(\s|/?>))"), "an XML document", ""),
    (
        re.compile(r"(?ms).*?^((CREATE|DROP) (TABLE|DATABASE|SCHEMA|VIEW)\b|INSERT INTO\b|COPY [^\n]* FROM stdin;)"),
        "an SQL dump",
        "",
    ),
    (re.compile(r"%YAML|---\s*\n|- [\"']?\w[\w -]*[\"']?:(\s|$)|\w[\w-]*:\s*\n\s*- "), "YAML", _FROM_YAML),
)
UNKNOWN = "text without a JSON object in its first lines"


def no_records(text: str) -> FileKind | None:
    """What a text that begins so surely is, if it holds no records.

    Args:
        text: Without white space before it.
    """
    return _begun(text, _SURELY) or (None if _has_objects(text) else _begun(text, _PROBABLY))


def unknown_text(text: str, *, cut: bool) -> FileKind | None:
    """What has no name, but is no JSON lines: none of the first lines begins as an object does.

    Args:
        text: With which the file begins.
        cut: Whether there is more of it. Then a long first line may be the only bad one.
    """
    first, *others = text.split("\n")
    if not text or _has_objects(text) or (cut and len(others) < 2):
        return None
    return FileKind(f"{UNKNOWN}: it begins {printable(first.strip(), 40)!r}", "")


def _has_objects(text: str) -> bool:
    return any(line.lstrip().startswith("{") for line in text.split("\n"))


def _begun(text: str, table: _Begins) -> FileKind | None:
    return next((FileKind(name, command) for pattern, name, command in table if pattern.match(text)), None)
