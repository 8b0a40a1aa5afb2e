"""JSON in another layout than one object a line, told by how it begins; and what Python prints for a dictionary."""

import json
import math
import re
from functools import partial

from include.core.display import printable
from include.formats.field_names import meant
from include.formats.form import Form
from include.formats.json_values import PRODUCTS, array, inner_array, python_list, sequence, values
from include.formats.python_literals import in_json, python_lines

_NAMED = {"uid", "title"}
_PARTS = {"variants", "options", "images", "reviews"}  # of one product
_KEY = re.compile(r'"([^"\\]{1,200})"\s*:')
_MEMBER = re.compile(r'\s*[{,]\s*"([^"\\]{1,200})"\s*:\s*')
_LIST_OF_OBJECTS = re.compile(r"\[\s*\{")
_DEEPEST = 8  # an object around the list of all products
_BEGINNINGS = (
    (re.compile("\x1e"), Form("a JSON text sequence (RFC 7464)", "it begins with the character U+001E", sequence)),
    (
        re.compile(r"\[\s*\{\s*[uU]?'"),
        Form("a Python list", "its strings have single quotes", lambda stream: in_json(python_list(stream))),
    ),
    (re.compile(r"\[\s*(\{|$)"), Form("one JSON array", "it begins with [", array)),
    (re.compile(r"\{\s*[uU]?'"), Form("Python dictionaries", "its strings have single quotes", python_lines)),
)
_OBJECTS = Form("JSON objects that are no lines", "the first shares its line, or ends on a later one", values)
_decode = json.JSONDecoder().raw_decode


def json_layout(text: str) -> Form | None:
    """How JSON is read that begins so; None where it may be one object a line.

    Args:
        text: Without a byte-order mark.
    """
    start = text.lstrip(" \t\r\n")
    form = next((form for beginning, form in _BEGINNINGS if beginning.match(start)), None)
    if form or not start.startswith("{"):
        return form
    first, _, rest = start.partition("\n")
    return _wrapper(start, len(text) - len(start)) or (_OBJECTS if _not_in_lines(start, first.rstrip(), rest) else None)


def _not_in_lines(text: str, first: str, rest: str) -> bool:
    """Whether the first object is followed by a comma or another one on its line, or ends on a later line."""
    _, end = _value(text)
    if not end:  # it is longer than this text, or damaged
        return re.match(r"\{\s*\n\s*(\"|$)", text) is not None
    if end > len(first):
        return True
    second, _, third = rest.lstrip().partition("\n")
    if first[end:] == ",":
        return second.rstrip().endswith("},") or not third
    return first[end:].lstrip().startswith("{") and not any(map(is_object, rest.split("\n")))


def _wrapper(text: str, before: int) -> Form | None:
    """How one object around the list of all products is read; None for a product that itself has a list of objects."""
    whole, end = _value(text)
    lists = [] if text[end:].strip() and end else _lists(text, 0, ())
    lists = [found for found in lists if found[0][-1].lower() not in _PARTS]
    lists = [found for found in lists if found[0][-1].lower() in PRODUCTS] or lists
    if not lists:
        return None
    path, at, _ = max(lists, key=lambda found: found[2])
    if isinstance(whole, dict):
        around = {meant(name) for name in whole}
    elif any(map(is_object, text.split("\n"))):
        return None  # lines, of which the first may be bad
    else:
        around = {meant(name) for name in _MEMBER.findall(text[:at])}
    inside = {meant(name) for name in _KEY.findall(text[at:].partition("}")[0])}
    if _NAMED & around and (not inside >= _NAMED or around >= {*_NAMED, "content"}):
        return None  # a product
    before += len(text[:at].encode("utf-8", "replace"))
    return Form(
        f"one JSON object around a list, {printable('.'.join(path))!r}",
        "that is the longest of its lists of objects, or named as products are",
        partial(inner_array, before=before, path=path),
    )


def _lists(text: str, at: int, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], int, float]]:
    """The lists of objects in the object that begins at `at`: path, place, and length (infinite if cut) of each."""
    found: list[tuple[tuple[str, ...], int, float]] = []
    while member := _MEMBER.match(text, at):
        name, at = (*path, member[1]), member.end()
        _, end = _value(text, at)
        if _LIST_OF_OBJECTS.match(text, at):
            found.append((name, at, end - at if end else math.inf))
        elif text.startswith("{", at) and len(name) < _DEEPEST:
            found += _lists(text, at, name)
        if not end:
            break
        at = end
    return found


def _value(text: str, at: int = 0) -> tuple[object, int]:
    """The JSON value that begins at `at`, and where it ends; 0 where none does, or it is cut."""
    try:
        return _decode(text, at)
    except (ValueError, RecursionError):
        return None, 0


def is_object(line: str) -> bool:
    """Whether a line holds one JSON object and nothing else."""
    line = line.strip()
    value, end = _value(line)
    return isinstance(value, dict) and end == len(line)
