"""Dictionaries as Python prints them, in JSON's words: old data sets have one a line.

Nothing is evaluated: strings, None, True and False are written anew, and what is no JSON then is refused.
"""

import re
from collections.abc import Iterator
from json.encoder import encode_basestring_ascii

from include.formats.lines import Reads, line_blocks

_TOKEN = re.compile(r"""[uU]?('(?:[^'\\\n]++|\\.)*+'|"(?:[^"\\\n]++|\\.)*+")|\b(None|True|False|nan|inf)\b""")
_WORDS = {"None": "null", "True": "true", "False": "false", "nan": "NaN", "inf": "Infinity"}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U(?:000[0-9a-fA-F]|0010)[0-9a-fA-F]{4}|[0-7]{1,3}|.)")
_UNDECODED = re.compile("[\udc80-\udcff]")
_CHARACTERS = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))


def python_lines(stream: Reads) -> Iterator[bytes]:
    """Blocks of JSON lines, one for each line of Python's."""
    return in_json(line_blocks(stream))


def in_json(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Blocks of lines of Python's, as JSON lines."""
    for block in blocks:
        yield _TOKEN.sub(_json, block.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _json(token: re.Match[str]) -> str:
    string, word = token.groups()
    if word:
        return _WORDS[word]
    text = string[1:-1]
    if not text.isascii() and _UNDECODED.search(text):
        return token[0]  # which the acceptor refuses
    if "\\" in text:
        text = _ESCAPE.sub(_character, text)
    return encode_basestring_ascii(text)


def _character(escape: re.Match[str]) -> str:
    """What an escape stands for; one that Python does not know stands for itself."""
    code = escape[1]
    if code[0] in "xuU" and len(code) > 1:
        return chr(int(code[1:], 16))
    if code[0] in "01234567":
        return chr(int(code, 8))
    return _CHARACTERS.get(code, code if code in "\\'\"" else escape[0])
