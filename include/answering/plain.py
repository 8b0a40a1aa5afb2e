"""A model's reply as plain text: no HTML, no images, no addresses.

A page or a chat that shows Markdown would fetch an image as soon as it is shown, and tell its server whatever a product
text talked the model into writing into the address. So addresses go, whole, wherever they came from.
"""

import re

REMOVED = "Addresses, images or HTML that the model wrote were removed."

_CODE = re.compile(r"<(script|style|iframe|object|svg)\b[^<>]*>.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_AUTOLINK = re.compile(r"<\s?[a-z][a-z0-9+.-]{1,20}:[^<>\s]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z][a-z0-9-]*(?=[\s/>])[^<>]*>", re.IGNORECASE)
_IMAGE = re.compile(r"!\[[^\[\]]*\](?:\([^()\n]*(?:\([^()\n]*\)[^()\n]*)*\)|\[[^\[\]\n]*\])")
_LINK = re.compile(r"(\[([^\[\]\n]*)\])\([^()\n]*(?:\([^()\n]*\)[^()\n]*)*\)")
_DEFINITION = re.compile(r"^[ \t]{0,3}\[\^?[^\[\]\n]+\]:[ \t]*\S*(?:://|www\.)\S*.*$", re.MULTILINE)
_ADDRESS = re.compile(
    r"(?<![a-z0-9])(?:[a-z][a-z0-9+.-]{1,20}://|www\.|(?:mailto|javascript|data|tel):(?=\S))[^\s<>\"'”’\[\]【】]*[^\s<>\"'”’\[\]【】.,;:!?)]",
    re.IGNORECASE,
)
_EMPHASIS = re.compile(r"(\*\*|__)(?=\S)([^*_\n]+?)(?<=\S)\1")
_HEADING = re.compile(r"^#{1,6}[ \t]+", re.MULTILINE)
_SPACES = re.compile(r"[ \t]{2,}")


def plain(text: str) -> tuple[str, bool]:
    """`text` without markup and addresses, and whether any of what can do harm was in it.

    >>> plain("It is [safe](https://a.example/?q=key) **and red** [1]. ![](https://a.example/p.png)")
    ('It is safe and red [1].', True)
    """
    left, before = text, ""
    while left != before:  # what stood around a removed piece may be one itself
        before = left
        for pattern in (_CODE, _AUTOLINK, _IMAGE, _DEFINITION):
            left = pattern.sub("", left)
        left = _LINK.sub(lambda link: link[1] if re.fullmatch(r"\^?[\d\s,]+", link[2]) else link[2], left)
        left = _ADDRESS.sub("", _TAG.sub("", left))
    readable = _SPACES.sub(" ", _HEADING.sub("", _EMPHASIS.sub(r"\2", left)))
    return "".join(filter(_is_text, readable)).strip(), left != text


def _is_text(char: str) -> bool:
    """Whether it is no control character or direction mark, which make a text look like another."""
    return char.isprintable() or char.isspace() or char in "\u200c\u200d"  # these two letters of many scripts need
