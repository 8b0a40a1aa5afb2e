"""How a text holds its records, told by how it begins."""

from include.formats.file_kind import FileKind
from include.formats.form import JSON_LINES, Form
from include.formats.lines import BYTE_ORDER_MARK
from include.formats.text_kind import text_kind, unknown_text


def text_form(head: bytes, *, whole: bool) -> Form | FileKind:
    """The form of a text, or what it is if it cannot be read.

    Args:
        head: Its first bytes, `include.formats.first_bytes.HEAD` or all there are.
        whole: Whether these are all.
    """
    text = head.removeprefix(BYTE_ORDER_MARK).decode("utf-8", "replace").lstrip(" \t\r\n")
    return text_kind(text) or unknown_text(text, cut=not whole) or JSON_LINES
