"""Requests to an OpenAI-compatible endpoint, repeated where that can help, within the time that there is.

* No connection, no reply in time, status 408, 425, 429, 5xx, an empty answer: asked again, four times in all, after
  1, 2 and 4 seconds and a bit, or as long as `Retry-After` wants. A wait beyond the time that is left is not begun.
* 400 that names a parameter which not every model takes: asked again without it, or with its newer name.
* Any other 4xx, a redirect, what is no reply of such an endpoint: BadSettings, with what to correct.
"""

import json
import logging
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from include.answering.llm_connection import FIX, LlmConnection
from include.answering.reply import reply_text
from include.core.errors import BadSettings, GeneratorUnavailable, VitrineError
from include.core.redaction import foreign, public

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

log = logging.getLogger(__name__)

ATTEMPTS = 4
LONGEST_BACKOFF = 20.0  # seconds; `Retry-After` may ask for more
LONGEST_BODY = 4_000_000  # bytes of a reply: what is longer is no answer
LATER = "Retry later; or set generator = extractive, which needs no language model."


@dataclass(frozen=True)
class Completion:
    """What the model sent.

    Attributes:
        text: Never empty.
        prompt_tokens, completion_tokens: As the endpoint counted them; None where it does not say.
        cut: Whether the model was stopped by `max_tokens`.
    """

    text: str
    prompt_tokens: int | None
    completion_tokens: int | None
    cut: bool


class _Again(Exception):
    """A failure that may pass; `wanted` seconds later, if the endpoint said so."""

    def __init__(self, error: VitrineError, wanted: float = 0.0) -> None:
        super().__init__(str(error))
        self.error = error
        self.wanted = wanted


class Chat:
    """Asks one endpoint; remembers which parameters it refused.

    Args:
        connection: Where the model is.
        attempts: At most, of one request.
        backoff: Seconds before the second attempt, doubled each time.
    """

    def __init__(self, connection: LlmConnection, *, attempts: int = ATTEMPTS, backoff: float = 1.0) -> None:
        self.connection = connection
        self._attempts = attempts
        self._backoff = backoff
        self._shown = public(f"{connection.base_url}/chat/completions")
        self._options: dict[str, float] = {
            "max_tokens": connection.max_tokens,
            "temperature": connection.temperature,
        }

    def complete(self, conversation: Sequence[Mapping[str, str]], seconds: float) -> Completion:
        """The model's reply, within `seconds`, attempts and waits together.

        Raises:
            GeneratorUnavailable: It did not answer, is overloaded, or failed, each time; or its answer is empty.
            BadSettings: It refused the key, the model or the request; retrying cannot help.
        """
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, stop_before_delay

        ends = time.monotonic() + seconds
        retrying = Retrying(
            retry=retry_if_exception_type(_Again),
            wait=self._wait,
            stop=stop_after_attempt(self._attempts) | stop_before_delay(seconds),
            before_sleep=self._tell,
            reraise=True,
        )
        try:
            return retrying(self._ask, conversation, ends)
        except _Again as last:
            if last.wanted > ends - time.monotonic():
                last.error.next_step = f"It asks to wait {last.wanted:.0f} s. {last.error.next_step}"
            raise type(last.error)(last.error.what, last.error.next_step) from None

    def _ask(self, conversation: Sequence[Mapping[str, str]], ends: float) -> Completion:
        status, headers, content = self._post(conversation, ends)
        # JSON is UTF-8; some charsets that a header may name, such as idna, decode nothing. Secrets are hidden before
        # the text is cut: half a key would be shown.
        said = foreign(content[:10_000].decode("utf-8", "replace"), self.connection.secrets)[:300]
        if status in (408, 425, 429) or status >= 500:
            error = GeneratorUnavailable(f"{self._shown} answered with status {status}: {said}", LATER)
            raise _Again(error, _retry_after(headers.get("Retry-After", "")))
        if status in (400, 422) and self._adapted(said):
            return self._ask(conversation, ends)
        self._refuse(status, said)
        try:
            return self._completion(content)
        except (ValueError, KeyError, IndexError, TypeError):
            raise BadSettings(f"{self._shown} is not an OpenAI-compatible endpoint; it sent: {said}", FIX) from None

    def _refuse(self, status: int, said: str) -> None:
        """Raise unless the status is 200."""
        model = self.connection.model
        if status in (401, 403):
            raise BadSettings(f"{self._shown} refused the api key (status {status}).", FIX)
        if status == 404:
            raise BadSettings(
                f"{self._shown} does not exist there, or has no model {model!r} (status 404): {said}",
                f"Check the address (it ends in /v1 at most providers) and `model`. {FIX}",
            )
        if status != 200:
            raise BadSettings(f"{self._shown} refused the request for model {model!r}, status {status}: {said}", FIX)

    def _adapted(self, said: str) -> bool:
        """Whether the endpoint named a parameter that can be left out or has another name; it is changed then."""
        if "max_tokens" in self._options and "max_completion_tokens" in said:
            self._options["max_completion_tokens"] = self._options.pop("max_tokens")
            return True
        for name in ("temperature", "max_completion_tokens", "max_tokens"):
            if name in self._options and re.search(rf"\b{name}\b", said):
                del self._options[name]
                return True
        return False

    def _completion(self, content: bytes) -> Completion:
        text = reply_text(content)
        body = json.loads(content)
        cut = body["choices"][0].get("finish_reason") == "length"
        if not text.strip():
            if cut:
                raise GeneratorUnavailable(
                    f"The model {self.connection.model!r} reached max_tokens before it began its answer.",
                    "Raise `max_tokens` in the extra of the connection `llm_default`, or turn its reasoning off.",
                )
            raise _Again(GeneratorUnavailable(f"{self._shown} sent an empty answer.", LATER))
        usage = body.get("usage")
        counts = [_count(usage, name) for name in ("prompt_tokens", "completion_tokens")]
        return Completion(text, counts[0], counts[1], cut)

    def _post(self, conversation: Sequence[Mapping[str, str]], ends: float) -> tuple[int, "httpx.Headers", bytes]:
        """Status, headers and body, of any status. The causes of errors are told without secrets."""
        import httpx

        connection, shown = self.connection, self._shown
        within = max(min(connection.timeout, ends - time.monotonic()), 0.001)
        body = {"model": connection.model, "messages": list(conversation), **self._options}
        headers = {"Content-Type": "application/json", **connection.authorization}
        url = f"{connection.base_url}/chat/completions"
        try:
            # ASCII JSON: no letter can break it.
            with (
                httpx.Client(timeout=within) as client,
                client.stream("POST", url, content=json.dumps(body), headers=headers) as response,
            ):
                return response.status_code, response.headers, self._read(response, within)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError) as error:
            reason = foreign(error, connection.secrets)
            raise BadSettings(f"The language model's address {shown} is not valid ({reason}).", FIX) from None
        except httpx.DecodingError as error:
            reason = f"{type(error).__name__}: {foreign(error, connection.secrets)}"
            unpacked = GeneratorUnavailable(f"{shown} sent a reply that could not be unpacked ({reason}).", LATER)
            raise _Again(unpacked) from None
        except httpx.HTTPError as error:
            reason = f"{type(error).__name__}: {foreign(error, connection.secrets)}"
            raise _Again(GeneratorUnavailable(f"{shown} did not answer ({reason}).", LATER)) from None

    def _read(self, response: "httpx.Response", within: float) -> bytes:
        """The body; one that comes in drops does not hold the task."""
        ends = time.monotonic() + within
        parts: list[bytes] = []
        for part in response.iter_bytes():
            parts.append(part)
            if time.monotonic() > ends:
                slow = GeneratorUnavailable(f"{self._shown} did not finish its reply within {within:.0f} s.", LATER)
                raise _Again(slow)
            if sum(map(len, parts)) > LONGEST_BODY:
                break
        return b"".join(parts)

    def _wait(self, state: "RetryCallState") -> float:
        from tenacity import wait_exponential_jitter

        own = wait_exponential_jitter(multiplier=self._backoff, max=LONGEST_BACKOFF, jitter=self._backoff / 2)(state)
        failure = state.outcome.exception() if state.outcome else None
        return max(own, failure.wanted) if isinstance(failure, _Again) else own

    def _tell(self, state: "RetryCallState") -> None:
        failure = state.outcome.exception() if state.outcome else None
        log.warning("%s Again in %.1f s.", failure, state.upcoming_sleep)


def _retry_after(value: str) -> float:
    """The seconds that a `Retry-After` header asks for, as a number or a date; 0 where it says nothing readable."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return max(seconds, 0.0) if math.isfinite(seconds) else 0.0


def _count(usage: object, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
