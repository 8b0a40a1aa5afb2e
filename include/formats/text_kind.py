"""What a text is that is no JSON lines: told by how it begins, with the command that makes JSON lines of it."""

import csv
import json
import re
import shlex

from include.core.display import printable
from include.formats.field_names import meant
from include.formats.file_kind import FileKind

_FROM_CSV = (
    'python -c "import csv, json, sys; [print(json.dumps(row)) for row in csv.DictReader(open(sys.argv[1], '
    "newline='', encoding='utf-8-sig'), delimiter=sys.argv[2])]\" {file} "
)
_FROM_PYTHON = (
    'python -c "import ast, json, sys; [print(json.dumps(ast.literal_eval(line))) for line in open(sys.argv[1])]" '
    "{file} > catalogue.jsonl"
)
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
_DELIMITERS = {",": ",", ";": "';'", "\t": "$'\\t'", "|": "'|'"}  # as a shell wants them
_HEADING = re.compile(r"[A-Za-z_#\u00c0-\uffff][\w .:#/()-]{0,40}")
_KEY = re.compile(r"""(["'])([^"'\\]{1,40})\1\s*:""")
UNKNOWN = "text without a JSON object in its first lines"
_NAMED = {"uid", "title"}
_MEMBER = re.compile(r'\s*[{,]\s*"([^"\\]{1,40})"\s*:\s*')


def text_kind(text: str) -> FileKind | None:
    """What a text that begins so surely is, if not JSON lines; None where it may be lines, if bad ones."""
    return (
        _begun(text, _SURELY)
        or _wrapper(text)
        or _json(text)
        or _table(text)
        or (None if _has_objects(text) else _begun(text, _PROBABLY))
    )


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


def _json(text: str) -> FileKind | None:
    """JSON in another layout than one object a line, and what Python prints for a dictionary."""
    first, _, rest = text.partition("\n")
    first = first.rstrip()
    if text.startswith("\x1e"):
        return FileKind(
            "a JSON text sequence (RFC 7464)", "tr -d '\\036' < {file} | jq -c . > catalogue.jsonl", _keys(text[1:])
        )
    if re.match(r"\[\s*(\{|$)", text):
        return FileKind("one JSON array", "jq -c '.[]' {file} > catalogue.jsonl", _keys(text[1:]))
    if re.match(r"\{\s*u?'", text):
        return FileKind("Python dictionaries, not JSON (single quotes)", _FROM_PYTHON, _keys(text))
    second, _, third = rest.lstrip().partition("\n")
    alike = second.rstrip().endswith("},") or not third
    if first.endswith("},") and alike and isinstance(_value(first[:-1]), dict):
        return FileKind(
            "JSON objects with commas between them", "sed 's/},[[:space:]]*$/}/' {file} > catalogue.jsonl", _keys(text)
        )
    spread = re.match(r"\{\s*\n\s*(\"|$)", text) or (text[:1] == "{" and _value(first) is None and _spans_lines(text))
    if spread:
        return FileKind("JSON with each object on several lines", "jq -c . {file} > catalogue.jsonl", _keys(text))
    return None


def _wrapper(text: str) -> FileKind | None:
    """One object around the list of all products; not a product that itself has a list of objects."""
    path, at, before = list[str](), 0, set[str]()
    while member := _MEMBER.match(text, at):
        name, at = member[1], member.end()
        if re.compile(r"\[\s*\{").match(text, at):
            path.append(name)
            break
        if not path:
            before.add(meant(name))
        try:
            value, end = json.JSONDecoder().raw_decode(text, at)
        except (ValueError, RecursionError):
            value, end = {}, 0  # there is more of it than was read
        if isinstance(value, dict) and (not end or _has_list(value)):
            path.append(name)
        else:
            at = end
    if not member or not text.startswith("{"):
        return None
    first, _, rest = text.partition("\n")
    whole = _value(text)
    inside = _keys(text[text.index("{", at) :])
    if isinstance(whole, dict):
        around = {meant(key) for key in whole}
    elif isinstance(_value(first), dict) or any(isinstance(_value(line), dict) for line in rest.split("\n")):
        return None  # lines, of which the first may be bad
    else:
        around = before
    if _NAMED & around and not _NAMED.issubset(map(meant, inside)):
        return None
    query = shlex.quote("".join(f".{json.dumps(name)}" for name in path) + "[]")
    return FileKind(
        f"one JSON object around a list, {printable('.'.join(path))!r}",
        f"jq -c {query} {{file}} > catalogue.jsonl",
        inside,
    )


def _has_list(value: dict[str, object]) -> bool:
    """Whether a list of objects lies in it, at any depth."""
    return any(
        _has_list(each) if isinstance(each, dict) else isinstance(each, list) and each[:1] and isinstance(each[0], dict)
        for each in value.values()
    )


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


def _table(text: str) -> FileKind | None:
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
            return FileKind(name, f"{_FROM_CSV}{quoted} > catalogue.jsonl", tuple(names[:12]))
    return None
