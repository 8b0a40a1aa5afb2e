"""Calls to a Qdrant server: bounded retries, and errors that say what to do.

The client's own retries do not wait, and its errors are those of httpx, gRPC and pydantic. They may quote a key, so
that ours are raised without them as a cause: a traceback would print both.
"""

import json
import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import grpc
from pydantic import ValidationError
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from include.core.errors import StoreUnavailable, Terminal, VitrineError
from include.core.redaction import foreign

log = logging.getLogger(__name__)

T = TypeVar("T")

ATTEMPTS = 4
LONGEST_REASON = 400  # characters of what the server or a library said
LONGEST_WAIT = 30.0  # seconds between two attempts
UNREADABLE = (
    json.JSONDecodeError,  # the client's for an answer that is not JSON
    UnicodeDecodeError,  # … that is not text
    RecursionError,  # … that is nested too deeply
    AssertionError,  # … without a result
)
FAILURES = (
    ResponseHandlingException,
    UnexpectedResponse,
    QdrantException,  # status 429; where Retry-After is no number, such as a date, the client's base class
    grpc.RpcError,
    *UNREADABLE,
)
HTTP_OF_GRPC = {
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.ABORTED: 503,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
}


class Caller:
    """Runs requests to one server.

    Args:
        server: Its name in messages.
        backoff: Seconds before the second attempt; each further one waits twice as long.
        secrets: Keys and passwords that no message may hold: a server or a library may quote them.
    """

    def __init__(self, server: str, *, backoff: float = 0.5, secrets: Sequence[str] = ()) -> None:
        self.server = server
        self._secrets = secrets
        self.backoff = backoff

    def __call__(
        self,
        action: str,
        request: Callable[[], T],
        *,
        missing: VitrineError | None = None,
        tolerate: tuple[int, ...] = (),
    ) -> T:
        """Run `request`, at most ATTEMPTS times while the server does not answer.

        Args:
            action: What the request does, for messages: "create collection x".
            request: Must be safe to repeat.
            missing: Raised where the server says 404.
            tolerate: HTTP statuses that are no failure; the result is then None.

        Raises:
            StoreUnavailable: No connection, no answer in time, or a status 408, 429 or 5xx, every time.
            Terminal: The server refused; or what answers is no Qdrant server.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return request()
            except FAILURES as error:
                status, text = _read(error)
                reason = foreign(text, self._secrets)[:LONGEST_REASON]  # hidden first: a cut key would show its half
                if status in tolerate:
                    return None  # type: ignore[return-value]
                self._refuse(action, status, reason, missing)
                if attempt == ATTEMPTS:
                    raise StoreUnavailable(
                        f"The Qdrant server at {self.server} did not {action} in {attempt} attempts: {reason}.",
                        "Check that it runs and can be reached (the connection `qdrant_default`), then retry.",
                    ) from None
                wait = min(self.backoff * 2 ** (attempt - 1), LONGEST_WAIT)
                if isinstance(error, ResourceExhaustedResponse):
                    wait = min(max(wait, error.retry_after_s), LONGEST_WAIT)
                log.warning("%s: could not %s (%s); again in %.1f s", self.server, action, reason, wait)
                time.sleep(wait)
        raise RuntimeError("unreachable: the last attempt returns or raises")

    def _refuse(self, action: str, status: int | None, reason: str, missing: VitrineError | None) -> None:
        """Raise if trying again cannot help."""
        what = f"The Qdrant server at {self.server} refused to {action}: {reason}."
        if status in (401, 403):
            raise Terminal(
                what, "Set the api key (password) of the connection `qdrant_default`; writing needs a full key."
            ) from None
        if status == 404 and missing is not None:
            raise missing from None
        if status == 200:
            raise Terminal(
                f"What answers at {self.server} is not a Qdrant server that this client knows: {reason}.",
                "Check the address and port in the connection `qdrant_default`.",
            ) from None
        if status is not None and status < 500 and status not in (408, 429):
            raise Terminal(what, "The request itself is wrong: the server's words above say how.") from None


def _read(error: Exception) -> tuple[int | None, str]:
    """HTTP status (None without an answer, 200 for an answer that cannot be read) and the reason."""
    if isinstance(error, UnexpectedResponse):
        content = error.content[:10_000].decode("utf-8", "replace")
        return error.status_code, f"status {error.status_code} ({error.reason_phrase}): {content}"
    if isinstance(error, QdrantException):
        return 429, str(error)
    if isinstance(error, UNREADABLE):
        return 200, f"{type(error).__name__}: {error}"
    if isinstance(error, ResponseHandlingException):
        readable = not isinstance(error.source, ValidationError | ValueError)
        return None if readable else 200, f"{type(error.source).__name__}: {error.source}"
    code = error.code() if isinstance(error, grpc.Call) else None
    return HTTP_OF_GRPC.get(code, 400), f"{code}: {error.details() if isinstance(error, grpc.Call) else error}"
