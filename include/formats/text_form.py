"""How a text holds its records, and in which encoding: told by how it begins."""

from include.formats.delimited import delimited_form
from include.formats.encodings import GUESSED, MARKED, UTF_8, Encoding, Recoded, Undecided, encoding_of
from include.formats.file_kind import FileKind
from include.formats.form import JSON_LINES, Form
from include.formats.json_layouts import is_object, json_layout
from include.formats.text_kind import no_records, unknown_text

_SURELY = 3  # lines that are not UTF-8 are no accident


def text_form(head: bytes, given: str | None = None, *, whole: bool) -> Form | FileKind:
    """The form of a text, or what it is if it cannot be read.

    Args:
        head: Its first bytes, `include.formats.first_bytes.HEAD` or all there are.
        given: Its encoding; None where that is to be found out.
        whole: Whether these are all.
    """
    encoding = encoding_of(head, given)
    text = encoding.text(head)
    start = text.lstrip(" \t\r\n")
    form = (
        no_records(start)
        or json_layout(text)
        or delimited_form(text, whole=whole)
        or unknown_text(start, cut=not whole)
        or JSON_LINES
    )
    if isinstance(form, FileKind) or (
        encoding is UTF_8 and (given or whole or form is JSON_LINES or not head.isascii())
    ):
        return form
    if encoding is UTF_8:
        return Form(form.name, form.why, lambda stream: form.read(Undecided(stream)))
    if form is JSON_LINES and (encoding is MARKED or not (encoding.sure or _fits(head, encoding))):
        return form
    why = form.why if encoding.sure else f"{form.why}; the encoding is {GUESSED}"
    return Form(f"{form.name}, {encoding.name}", why, lambda stream: form.read(Recoded(stream, encoding)))


def _fits(head: bytes, encoding: Encoding) -> bool:
    """Whether lines that are not UTF-8 are JSON objects in this encoding, which is a guess."""
    lines = head.decode(encoding.codec, "replace").split("\n")
    return sum(is_object(line) for line in lines if not line.isascii()) >= _SURELY
