"""The fields of an Airflow connection: the address out of host, port and schema; what extra holds; the secrets.

A person may type a host name, an IPv6 literal, `host:port` or a whole url; Airflow's own URI form puts a url's
path into Schema. Credentials inside the address are taken out: they travel in a header and are never shown.
"""

import base64
import ipaddress
import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from include.core.errors import BadSettings
from include.core.redaction import escaped, public, shown

log = logging.getLogger(__name__)

SCHEMES = ("http", "https")
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?")


@dataclass(frozen=True)
class Address:
    """Where a server is.

    Attributes:
        scheme: "http" or "https"; None where the fields leave it open.
        host: A name in ASCII, or an IP literal, IPv6 in brackets.
        port: None where the fields leave it open.
        path: Begins with a slash, or is empty; never ends in one.
        user, password: As they stood in the address; None without.
    """

    scheme: str | None
    host: str
    port: int | None
    path: str
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def local(self) -> bool:
        """Whether it is this machine."""
        return self.host in ("localhost", "127.0.0.1", "[::1]")

    def url(self, scheme: str, port: int | None, path: str = "") -> str:
        """The address without credentials; the arguments stand in for what was left open."""
        chosen = self.port if self.port is not None else port
        return f"{self.scheme or scheme}://{self.host}{'' if chosen is None else f':{chosen}'}{self.path or path}"

    def basic(self) -> str | None:
        """User and password as HTTP's Basic scheme sends them (RFC 7617, UTF-8); None without."""
        if self.user is None:
            return None
        return base64.b64encode(f"{self.user}:{self.password or ''}".encode()).decode("ascii")


def read_address(
    text: str, *, port: object = None, schema: str | None = None, name: str = "The connection", fix: str = ""
) -> Address:
    """Read what was typed as a host.

    Args:
        text: A host name, an IP literal, `host:port`, or a url.
        port: The field beside it.
        schema: Airflow's Schema: "http" or "https", or else the path of a URI.
        name: Which connection, for messages.
        fix: The next step.

    Raises:
        BadSettings: It is no address, its scheme is another than http(s), or the ports contradict each other.
    """
    text = text.strip()
    try:
        scheme, parts = _split(text)
        if scheme not in (None, *SCHEMES):
            raise BadSettings(f"{name}'s address must be http or https, not {escaped(scheme or '')}://.", fix)
        host = _host(parts.netloc.rpartition("@")[2])
    except ValueError:  # also UnicodeError; its text may quote a password, and stays out
        raise BadSettings(f"{name} has the address {public(text)}, which is not valid.", fix) from None
    if re.search("[@:]", parts.netloc) and "@" in parts.path:  # a password's `/` may have ended the host
        raise BadSettings(
            f"{name} has an address with an `@` behind a user or a port and a `/`: {public(text)}.",
            f"In a password write @ as %40, / as %2F, : as %3A; in a path write @ as %40. {fix}",
        )
    try:
        own_port = 0 if parts.netloc.endswith(":") and parts.path else parts.port  # a password that begins with `/`
    except ValueError:
        own_port = 0
    if parts.query or parts.fragment:
        raise BadSettings(f"{name} has the address {public(text)} with a query (?…), which cannot be used.", fix)
    words = (schema or "").strip().strip("/")
    if words.lower() in SCHEMES:
        if scheme not in (None, words.lower()):
            raise BadSettings(f"{name} has {scheme}:// in its address, but {words} in its schema.", fix)
        scheme, words = words.lower(), ""
    return Address(
        scheme,
        host,
        _port(own_port, port, name, fix),
        _path(parts.path.rstrip("/"), words, name, fix),
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
    )


def known_fields(extra: object, known: tuple[str, ...], name: str, fix: str) -> dict[str, Any]:
    """What an Airflow connection's extra holds, empty values left out.

    Raises:
        BadSettings: It is no JSON object, or has a key that is not known.
    """
    if not isinstance(extra, Mapping | None):
        raise BadSettings(f"{name}'s extra must be a JSON object, not {type(extra).__name__}.", fix)
    given = {str(key): value for key, value in (extra or {}).items() if value not in (None, "")}
    if unknown := sorted(set(given) - set(known)):
        raise BadSettings(
            f"{name}'s extra has unknown keys: {escaped(', '.join(unknown))}.", f"Known: {', '.join(known)}. {fix}"
        )
    return given


def warn_of_login(login: str | None, name: str) -> None:
    """Say that Airflow's Login is not used, if it is filled in; not what it is, since it may be a misplaced key."""
    if login and login.strip():
        log.warning(
            "%s has a Login, which is not used: the password is sent as the api key. For HTTP Basic write user and "
            "password into the host, as http://user:password@host.",
            name,
        )


def secrets_of(api_key: str | None, basic: str | None) -> tuple[str, ...]:
    """What no message may hold: the key, `Address.basic`, and the password in it."""
    password = base64.b64decode(basic).decode().partition(":")[2] if basic else None
    return tuple(secret for secret in (api_key, basic, password) if secret)


def _split(text: str) -> tuple[str | None, SplitResult]:
    """Scheme, and the parts of the rest. Raises ValueError."""
    if re.search(r"[\x00-\x20\x7f\\]", text):
        raise ValueError("white space or control characters")
    if "://" in text:
        parts = urlsplit(text)
        return parts.scheme.lower(), parts
    with suppress(ValueError):
        text = f"[{ipaddress.IPv6Address(text.strip('[]'))}]"
    return None, urlsplit(f"//{text}")


def _host(text: str) -> str:
    """The host of `host:port`, as clients take it. Raises ValueError."""
    if text.startswith("["):
        literal, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")) or "%" in literal:
            raise ValueError("not an IPv6 literal")
        return f"[{ipaddress.IPv6Address(literal)}]"
    host = text.partition(":")[0].encode("idna").decode("ascii")  # raises for empty and overlong labels, too
    if not _NAME.fullmatch(host):
        raise ValueError("not a host name")
    return host


def _port(own: int | None, given: object, name: str, fix: str) -> int | None:
    """The one port out of an address's own and the field's."""
    if given in (None, ""):
        number = None
    else:
        try:
            number = int(str(given))
        except ValueError:
            number = 0
    if 0 in (own, number) or not (number is None or 1 <= number <= 65535):
        raise BadSettings(f"{name} has a port that is not a number from 1 to 65535.", fix)
    if own is not None and number is not None and own != number:
        raise BadSettings(
            f"{name} has port {own} in its address, but {number} in its field Port.",
            f"Write the port in one place, or the same in both. {fix}",
        )
    return own if own is not None else number


def _path(own: str, given: str, name: str, fix: str) -> str:
    """The one path out of an address's own and the schema's; it begins with a slash or is empty."""
    if own and given and own.strip("/") != given:
        raise BadSettings(f"{name} has the path {shown(own)} in its address and another in its schema.", fix)
    path = own or (f"/{given}" if given else "")
    if re.search(r"[\x00-\x20\x7f?#]", path) or not path.isascii():
        raise BadSettings(f"{name} has the path {shown(path)} in its address, which is not valid.", fix)
    return path
