"""What may be shown of addresses, keys and other people's error texts: never a secret.

Airflow's masker hides a value that it knows, as it is written in the connection. A key that ends in a newline
comes back escaped in an error of the network's libraries, one inside an address is no field of its own: those the
masker cannot know. So every address and every foreign text in a message of ours passes through here first.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, urlsplit

from include.core.errors import BadSettings

HIDDEN = "***"
SHORTEST = 4  # characters: what is shorter stands in any sentence, and hiding it would only make it unreadable
LONGEST_SHOWN = 300  # characters of an address or a path in a message

# `user:password@` in an address, also where a sign of the password cuts the address's host short.
_CREDENTIALS = re.compile(r"(?<=//)[^\s<>]*@")
_MEANT_AS_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/+|//")  # also with a slash too few
_NO_PORT = re.compile(r"^([^/?#\[\]:]*):(?!\d{1,5}(?:[/?#]|$)).*", re.DOTALL)  # a password whose `@host` was forgotten
_BARE_CREDENTIALS = re.compile(r"[^/@:]+:.*@", re.DOTALL)
# Up to white space: a secret may hold quotation marks. One that closes the address is not taken along.
_QUERY = re.compile(r"[?#]\S+?(?=['\")>\]}.,;]*(?:\s|$))")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_ASSIGNED = re.compile(r"\?[^?=]*=.*", re.DOTALL)  # a query where no scheme says that this is an address


def public(url: str) -> str:
    """`url` as it may be shown: without user, password, query and fragment, which may be secrets.

    Never raises: what is no address is shown as far as it can hold no secret.

    >>> public("https://ana:secret@example.com/trn.json.gz?token=1")
    'https://example.com/trn.json.gz?…'
    """
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        # `user:12/34@host` looks like a port and a path, `user:p@w#@host` like a host of its own.
        more = re.search(r"[@:]", parts.netloc) and "@" in f"{parts.path}{parts.query}{parts.fragment}"
        plain = bool(parts.scheme and host) and not more and _port_is_valid(host)
    except ValueError:
        plain = False
    if not plain or not url.isprintable():
        return shown(url)
    return f"{parts.scheme}://{host}{parts.path}" + ("?…" if parts.query else "")  # in fingerprints: as it ever was


def shown(text: str) -> str:
    """A path, or what was meant as an address: without what looks like credentials or a query; on one line."""
    if meant := _MEANT_AS_ADDRESS.match(text):
        rest = text[meant.end() :]
        if "@" in rest:
            before, _, behind = rest.rpartition("@")
            rest = "…" if re.search(r"[?#]", before) else f"…@{behind}"  # behind may be a query's, or a host
        rest = _NO_PORT.sub(r"\1:…", rest)
        text = meant[0] + re.sub(r"[?#].+", "?…", rest, flags=re.DOTALL)
    else:
        text = text if text.startswith("/") else _BARE_CREDENTIALS.sub("…@", text)
        text = _ASSIGNED.sub("?…", text)
    return shortened(escaped(text))


def escaped(text: str) -> str:
    """`text` with line breaks, control characters and lone surrogates as escapes, so that it can be logged."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape", "surrogatepass").decode("ascii") for sign in text
    )


def shortened(text: str) -> str:
    """At most LONGEST_SHOWN characters, the middle left out."""
    half = LONGEST_SHOWN // 2
    return text if len(text) <= LONGEST_SHOWN else f"{text[:half]}…{text[-half:]}"


def mark(url: str) -> str:
    """16 hexadecimal digits that stand for the whole `url`, secrets included."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def foreign(error: object, secrets: Iterable[str | None] = ()) -> str:
    """The text of an error that is not ours, for a message of ours.

    Args:
        error: An exception, or a text such as a server's reply.
        secrets: Keys and passwords that may stand in it, in whatever spelling.

    Returns:
        One line, without the secrets, without credentials and queries of addresses.
    """
    text = hide(str(error), secrets)
    text = _QUERY.sub("?…", _CREDENTIALS.sub("…@", text))
    return escaped(" ".join(text.split()))


def addresses_hidden(text: str) -> str:
    """`text` whose addresses have no credentials and no query; all else, line breaks too, stays."""
    return _ADDRESS.sub(lambda found: _QUERY.sub("?…", _CREDENTIALS.sub("…@", found[0])), text)


def hide(text: str, secrets: Iterable[str | None]) -> str:
    """`text` with each of `secrets` replaced: as it is, escaped, percent-encoded, or as base64."""
    for spelling in spellings(secrets):
        text = text.replace(spelling, HIDDEN)
    return text


def spellings(secrets: Iterable[str | None]) -> list[str]:
    """How each of `secrets` may be written in a foreign text, the longest first; those under SHORTEST left out."""
    found = {spelling for secret in secrets if secret for spelling in _spellings(secret)}
    return sorted(found, key=lambda spelling: (-len(spelling), spelling))


def _spellings(secret: str) -> Iterable[str]:
    for form in (secret, secret.strip()):
        raw = form.encode("utf-8", "surrogatepass")
        for spelling in (
            form,
            repr(form)[1:-1],
            repr(raw)[2:-1],
            json.dumps(form)[1:-1],
            json.dumps(form)[1:-1].replace("/", "\\/"),  # as PHP writes JSON
            html.escape(form),
            html.escape(form).replace("&#x27;", "&#39;"),
            *(percent := (quote(raw, safe=""), quote(raw), quote_plus(raw))),
            *map(_lower, percent),
            base64.b64encode(raw).decode("ascii"),
        ):
            if len(spelling) >= SHORTEST:
                yield spelling


def _lower(quoted: str) -> str:
    """Percent-encoding with small hexadecimal digits, as some write it."""
    return re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quoted)


def api_key(value: object, name: str, fix: str) -> str | None:
    """A key as a header can carry it: without white space around it, which a mounted secret file ends in.

    Args:
        value: As it was given; None or empty where there is none.
        name: What it is, for messages, such as "The Qdrant connection's api key".
        fix: The next step.

    Raises:
        BadSettings: It holds a character that no header can carry. The message does not show it.
    """
    key = "" if value is None else str(value).strip().strip("\ufeff\x00").strip()
    if not key:
        return None
    if re.search(r"[\x00-\x1f\x7f]", key):
        raise BadSettings(
            f"{name} has a line break or another control character inside it: it is not shown here.",
            f"Copy the key anew, as one line. {fix}",
        )
    if not key.isascii():
        raise BadSettings(
            f"{name} has a character beyond ASCII, which no HTTP header can carry: it is not shown here.",
            f"Copy the key anew, without typographic signs or accents. {fix}",
        )
    return key


def _port_is_valid(host: str) -> bool:
    """Whether what follows the host's colon is a port, and no password that a `/`, `?` or `#` cut off."""
    return re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(:\d{1,5})?", host) is not None
