"""Who may ask, how often, how much and for how long: before a request reaches its address."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from include.core.answer_settings import ServingSettings
from include.serving.deployment import loopback
from include.serving.pages import ADDRESSES
from include.serving.refusals import refusal

OPEN = ("/health", "/openapi.json", *ADDRESSES)  # need no key, and tell nothing of the products
MOST_KNOWN = 10_000  # addresses and keys whose rate is remembered


class Rate:
    """A bucket for each key that fills evenly and holds one minute's requests.

    Args:
        minute: Requests a minute; 0 for no limit.
    """

    def __init__(self, minute: int) -> None:
        self._each = 60.0 / minute if minute else 0.0
        self._free: dict[str, float] = {}  # by key, when its bucket is full again

    def wait(self, key: str) -> float:
        """Take one; 0, or, where none is left, the seconds until there is one."""
        now = time.monotonic()
        free = max(self._free.pop(key, now), now)
        short = free + self._each - now - 60.0 - 1e-6  # of rounding
        self._free[key] = free if short > 0 else free + self._each
        if len(self._free) > MOST_KNOWN:
            del self._free[next(iter(self._free))]  # the one that asked longest ago
        return max(short, 0.0)


class Guard:
    """An ASGI application that lets requests through to another one.

    Args:
        app: The other one.
        serving: Limits, and the address that is listened on.
        keys: Of which a request needs one in `Authorization: Bearer …`; none: it needs none, and has to name this
            machine as its host, so that no web page asks under a name that leads here.
    """

    def __init__(self, app: ASGIApp, serving: ServingSettings, keys: Sequence[str]) -> None:
        self._app = app
        self._serving = serving
        self._keys = [_digest(key) for key in keys]
        self._rate = Rate(serving.serving_rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or let through for as long as a request may take."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if (refused := self._refused(scope)) is not None:
            return await refused(scope, receive, send)
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        seconds = self._serving.serving_timeout
        try:
            async with asyncio.timeout(seconds) as limit:
                await self._app(scope, receive, noted)
        except TimeoutError:
            if started or not limit.expired():  # whoever reads so slowly gets no more; and a timeout of something else
                raise
            late = refusal(504, f"The request took more than {seconds:g} s.", "Ask less at once, or later.")
            await late(scope, receive, send)
        return None

    def _refused(self, scope: Scope) -> Response | None:
        headers, client = Headers(scope=scope), scope.get("client")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._serving.serving_max_body:
            return too_long(self._serving)
        if not self._keys and not loopback(_host(headers.get("host", ""))):
            return refusal(421, "The request names another host than this machine.", "Ask 127.0.0.1, or set keys.")
        if scope["path"] in OPEN:
            return None
        key = self._known(headers.get("authorization", ""))
        if wait := self._rate.wait(key or (client[0] if client else "")):
            after = {"Retry-After": str(int(wait) + 1)}
            limit = f"{self._serving.serving_rate:,} requests a minute"
            return refusal(429, f"There were more than {limit}.", f"Ask again in {int(wait) + 1} s.", after)
        if self._keys and key is None:
            told = {"WWW-Authenticate": "Bearer"}
            return refusal(401, "The request has no key that is known here.", "Send Authorization: Bearer KEY.", told)
        return None

    def _known(self, authorization: str) -> str | None:
        """The digest of the request's key; None without one that is known. Each is compared in the same time."""
        kind, _, key = authorization.partition(" ")
        given = _digest(key.strip() if kind.lower() == "bearer" else "")
        found = None
        for known in self._keys:
            found = known if hmac.compare_digest(known, given) else found
        return found


def too_long(serving: ServingSettings) -> Response:
    """The reply to a body beyond the limit."""
    return refusal(413, f"The request has more than {serving.serving_max_body:,} bytes.", "Ask less at once.")


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _host(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""
