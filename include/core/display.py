"""Other people's text, as messages and logs show it: short, printable, and no wider than a window."""

import textwrap

LOG_WIDTH = 100  # characters; so much of a log is seen without scrolling sideways


def printable(text: str, length: int = 200) -> str:
    """The first `length` characters of `text`, with a dot for each that would not show."""
    cut = text[:length]
    return cut if cut.isprintable() else "".join(character if character.isprintable() else "·" for character in cut)


def excerpt(line: bytes) -> str:
    """The line's first 200 characters, printable; without its line end."""
    return printable(line.removesuffix(b"\n")[:800].decode("utf-8", "replace"))


def wrapped(text: str, indent: str = "  ") -> list[str]:
    """Lines of at most LOG_WIDTH characters, later ones set in; a word that is longer, such as a path, stays whole."""
    return textwrap.wrap(text, LOG_WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
