"""The Airflow connection to a language model: where it is, who asks, how much and how long."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from include.core.address import known_fields, read_address, secrets_of, warn_of_login
from include.core.errors import BadSettings
from include.core.redaction import api_key, escaped, hide

FIX = "Correct the Airflow connection `llm_default` (Admin > Connections)."
LIMITS: dict[str, tuple[type[int] | type[float], float, float, str]] = {  # of the extra: kind, least, most, unit
    "timeout": (float, 0.001, 3600, "seconds"),
    "prompt_tokens": (int, 500, 1_000_000, "tokens"),
    "max_tokens": (int, 16, 100_000, "tokens"),
    "temperature": (float, 0, 2, ""),
    "patience": (float, 0.001, 3600, "seconds"),
}
_NAME = "The language model connection"


@dataclass(frozen=True)
class LlmConnection:
    """Where a language model is.

    Attributes:
        base_url: Up to and including the version, such as `https://api.example.com/v1`; without user and password.
        model: The model's name at that endpoint.
        api_key: None for an endpoint without one.
        timeout: Seconds to wait for a whole reply.
        basic: base64 of `user:password` (HTTP Basic), instead of a key; None without.
        prompt_tokens: That the rules, the products and the question may take, estimated.
        max_tokens: Of the answer, the model's reasoning included.
        temperature: 0 for the likeliest words, more for varied ones.
        patience: Seconds for one answer, all attempts and the waits between them together.
    """

    base_url: str
    model: str
    api_key: str | None = field(default=None, repr=False)  # a secret: never in a log
    timeout: float = 60.0
    basic: str | None = field(default=None, repr=False)  # a secret, too
    prompt_tokens: int = 3000
    max_tokens: int = 500
    temperature: float = 0.0
    patience: float = 120.0

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may hold."""
        return secrets_of(self.api_key, self.basic)

    @property
    def authorization(self) -> dict[str, str]:
        """The header that shows who asks; empty where nobody is named."""
        if self.api_key:
            return {"Authorization": f"Bearer {self.api_key}"}
        return {"Authorization": f"Basic {self.basic}"} if self.basic else {}

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
        """Build from the plain fields of an Airflow connection.

        Args:
            host: The base url; or a host name or IP literal: then https is assumed (http on this machine), and `/v1`.
                A user and a password in it are sent as HTTP Basic.
            port: Where the host gives none.
            password: The api key; white space around it is dropped.
            extra: `model` (needed), `base_url` (instead of the host), and each of `LIMITS`.
            schema: `http` or `https`, or the path, which Airflow's URI form puts here.
            login: Not used, which a warning says.

        Raises:
            BadSettings: No address or no valid one, ports that contradict each other, no model, a key that is not
                known, or a number out of its limits. No secret is in the message.
        """
        given = known_fields(extra, ("model", "base_url", *LIMITS), _NAME, FIX)
        warn_of_login(login, _NAME)
        key = api_key(password, f"{_NAME}'s api key (password)", FIX)
        text = str(given.get("base_url") or host or "").strip()
        if not text:
            raise BadSettings(f"{_NAME} has neither a host nor a `base_url` in its extra.", FIX)
        address = read_address(text, port=port, schema=schema, name=_NAME, fix=FIX)
        basic = address.basic()
        if key and basic:
            raise BadSettings(
                f"{_NAME} has an api key and also a user in its address: a request can carry one of them.", FIX
            )
        if "model" not in given:
            raise BadSettings(f'{_NAME} names no model: extra needs {{"model": "…"}}.', FIX)
        numbers = {name: _number(name, given[name], key) for name in LIMITS if name in given}
        scheme = "http" if address.local else "https"
        url = address.url(scheme, None, "" if "://" in text else "/v1")
        return cls(url, str(given["model"]), key, basic=basic, **numbers)


def _number(name: str, value: object, key: str | None) -> Any:
    """A number of the extra, which a form's field gives as text. No message holds the key, typed into a wrong field."""
    kind, least, most, unit = LIMITS[name]
    try:
        number = kind(str(value))
    except ValueError:
        number = kind(-1)
    if not least <= number <= most:
        given = escaped(hide(repr(value), [key]))[:100]
        raise BadSettings(
            f"{_NAME}'s `{name}` must be from {least:g} to {most:g} {unit}".rstrip() + f", not {given}.", FIX
        )
    return number
