"""Lines of a catalogue drawn at random, and what plain `json` says of a line."""

import json
from sys import float_info
from typing import Any

import numpy as np
from hypothesis import strategies as st

from include.catalogue.clean import Cleaner, is_placeholder
from include.catalogue.text_hash import text_hash
from include.formats.line_parser import FLOAT32_MAX
from include.formats.lines import MAX_LINE

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 2**33)
    | st.sampled_from([1.0, 0.5, 2**31, -1, 1e300, 10**400, float("nan"), "\ud83d", "x"])
    | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=5,
)
TEXT = st.lists(
    st.sampled_from(
        ["red ", "  ", "&amp;", "\n", "<b>", "\\", '"', "é", "\u2028", "\x7f", "e\u0301", "\u00a0", "\ud800"]
    )
).map("".join)
NUMBERS = st.lists(st.integers(0, 9) | st.sampled_from([2**31 - 1, 2**31]), max_size=3)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "uid": st.sampled_from(["1", "a b", " c ", " ", "", "\ud800", 5, -1, 2**64]) | JSON,
        "title": TEXT | TEXT | st.sampled_from(["N/A", " null", "--"]) | JSON,
        "content": TEXT | TEXT | JSON,
        "target_ind": NUMBERS | NUMBERS | JSON,
        "target_rel": st.lists(st.sampled_from([1.0, 1, 0.25]), max_size=3) | JSON,
        "more": JSON,
    },
)


def judged_object(line: bytes) -> dict[str, Any] | None:
    """The object that a line holds, by plain `json`."""
    try:
        found = json.loads(line.removeprefix(b"\xef\xbb\xbf").decode())
    except (ValueError, RecursionError):
        return None
    return found if len(line) <= MAX_LINE and isinstance(found, dict) else None


def judged(line: bytes) -> dict[str, Any] | None:
    """What docs/cleaning.md says of a line, by plain `json`: its product before cleaning, None where it is refused."""
    if (found := judged_object(line)) is None:
        return None
    fields = {
        name: None if type(v) in (int, float) and not abs(v) <= float_info.max else v for name, v in found.items()
    }
    uid, indices, weights = fields.get("uid"), fields.get("target_ind"), fields.get("target_rel")
    if type(uid) is int and -(2**63) <= uid < 2**64:
        uid = str(uid)
    indices = [] if indices is None else indices
    if weights is None and isinstance(indices, list):
        weights = [1.0] * len(indices)
    sound = (
        isinstance(uid, str)
        and 0 < len(uid.strip()) <= 200
        and uid.strip().isprintable()
        and isinstance(fields.get("title"), str)
        and isinstance(fields.get("content"), str | None)
        and isinstance(indices, list)
        and all(type(index) is int and 0 <= index < 2**31 for index in indices)
        and isinstance(weights, list)
        and len(weights) == len(indices)
        and all(type(weight) in (int, float) and abs(weight) <= FLOAT32_MAX for weight in weights)
    )
    if not sound:
        return None
    return {**fields, "uid": str(uid).strip(), "target_ind": indices, "target_rel": np.float32(weights).tolist()}


def judged_rows(lines: list[bytes], cleaner: Cleaner) -> tuple[list[dict[str, Any]], list[int]]:
    """The products that `judged` and `cleaner` make of these lines, and the numbers of the refused ones."""
    products, rejected = [], []
    for number, line in enumerate(lines):
        if not line.removeprefix(b"\xef\xbb\xbf").strip():
            continue
        found = judged(line)
        title = cleaner.title(found["title"]) if found else ""
        if not found or not title or is_placeholder(title):
            rejected.append(number)
            continue
        content = cleaner.content(found.get("content") or "", title)
        texts = {"row": number, "uid": found["uid"], "title": title, "content": content}
        links = {name: found[name] for name in ("target_ind", "target_rel")}
        products.append({**texts, "text_hash": text_hash(title, content), **links})
    return products, rejected
