"""Where a Qdrant server is, out of the fields of an Airflow connection of type `qdrant`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from include.core.address import known_fields, read_address, secrets_of, warn_of_login
from include.core.errors import BadSettings
from include.core.redaction import api_key, escaped, hide, public

NAME = "The Qdrant connection"
FIX = "Correct the Airflow connection `qdrant_default` (Admin > Connections)."
REST_PORT = 6333


@dataclass(frozen=True)
class ServerConnection:
    """Where a Qdrant server is.

    Attributes:
        url: Such as `https://qdrant.example:6333`, without user and password; a prefix path is kept.
        api_key: None for a server without one.
        prefer_grpc: Use gRPC where the client can; faster for loading.
        grpc_port: The server's gRPC port.
        timeout: Seconds that one request may take.
        location: `:memory:` for the client's simulation in this process (tests); then url is not used.
        basic: base64 of `user:password` for a proxy before the server (HTTP Basic); None without.
    """

    url: str = "http://localhost:6333"
    api_key: str | None = field(default=None, repr=False)  # a secret: never in a log
    prefer_grpc: bool = False
    grpc_port: int = 6334
    timeout: int = 60
    location: str | None = None
    basic: str | None = field(default=None, repr=False)  # a secret, too

    @property
    def name(self) -> str:
        """How messages call the server."""
        return self.location or public(self.url)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may hold."""
        return secrets_of(self.api_key, self.basic)

    @classmethod
    def from_fields(
        cls,
        host: str | None,
        port: int | None,
        password: str | None,
        extra: Mapping[str, Any] | None = None,
        *,
        schema: str | None = None,
        login: str | None = None,
    ) -> Self:
        """Build from the plain fields of an Airflow connection of type `qdrant`.

        Args:
            host: Host name, IP literal, or a whole url. A user and a password in it go to a proxy (HTTP Basic).
            port: REST port; 6333 where neither it nor the host gives one.
            password: The api key; white space around it is dropped.
            extra: Known keys, all optional: `url` (instead of host), `api_key` (instead of the
                password), `prefer_grpc` (also spelt `prefer_gprc`, as Airflow's provider does),
                `grpc_port`, `timeout` (seconds), `https` (true, false; by default true where there is an api
                key and the host is not this machine), `prefix` (path before the server's own).
            schema: `http` or `https`, or a path as in `prefix`, which Airflow's URI form puts here.
            login: Not used, which a warning says.

        Raises:
            BadSettings: No address or no valid one, ports that contradict each other, a key that is not known, or
                a value of the wrong type. No secret is in the message.
        """
        given = known_fields(
            extra,
            ("url", "api_key", "prefer_grpc", "prefer_gprc", "grpc_port", "timeout", "https", "prefix"),
            NAME,
            FIX,
        )
        warn_of_login(login, NAME)
        key = api_key(given.get("api_key") or password, f"{NAME}'s api key", FIX)
        text = str(given.get("url") or host or "").strip()
        if not text:
            raise BadSettings(f"{NAME} has neither a host nor a `url` in its extra.", FIX)
        address = read_address(text, port=port, schema=schema, name=NAME, fix=FIX)
        secret = key is not None or address.user is not None
        secure = _flag("https", given.get("https", secret and not address.local), key)
        if "https" in given and address.scheme not in (None, "https" if secure else "http"):
            raise BadSettings(f"{NAME} has {address.scheme}:// in its address, but https {secure} in its extra.", FIX)
        url = address.url("https" if secure else "http", REST_PORT)
        if prefix := str(given.get("prefix", "")).strip("/"):
            url = f"{url}/{prefix}"
        return cls(
            url=url,
            api_key=key,
            prefer_grpc=_flag("prefer_grpc", given.get("prefer_grpc", given.get("prefer_gprc", False)), key),
            grpc_port=_number("grpc_port", given.get("grpc_port", cls.grpc_port), key),
            timeout=_number("timeout", given.get("timeout", cls.timeout), key),
            basic=address.basic(),
        )


def _flag(name: str, value: object, secret: str | None) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "false", "1", "0"):
        return str(value).lower() in ("true", "1")
    raise BadSettings(f"{NAME}'s `{name}` must be true or false, not {_told(value, secret)}.", FIX)


def _number(name: str, value: object, secret: str | None) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if not 1 <= number <= 65535:
        raise BadSettings(
            f"{NAME}'s `{name}` must be a whole number above 0 and at most 65535, not {_told(value, secret)}.", FIX
        )
    return number


def _told(value: object, secret: str | None) -> str:
    return escaped(hide(repr(value), [secret]))[:100]
