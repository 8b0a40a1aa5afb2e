"""Requests to the language model: what is asked again, after how long, and what ends at once."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from include.answering.chat import Chat, Completion
from include.core.errors import BadSettings, GeneratorUnavailable
from tests.answering.endpoint import Endpoint

ASKED = [{"role": "user", "content": "How much?"}]


def complete(endpoint: Endpoint, seconds: float = 30.0) -> Completion:
    return Chat(endpoint.connection(), backoff=0.01).complete(ASKED, seconds)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_asked_again(endpoint: Endpoint, status: int) -> None:
    """One bad gateway must not cost the answer."""
    endpoint.first = [(status, {}), (status, {})]
    assert complete(endpoint).text == "It holds 1.7 litres [1]."
    assert len(endpoint.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 302])
def test_what_cannot_pass_is_asked_once(endpoint: Endpoint, status: int) -> None:
    """A wrong key asked four times is a locked account; the error says what to correct."""
    endpoint.status = status
    endpoint.body = b'{"error": {"message": "no such thing"}}'
    with pytest.raises(BadSettings, match=str(status)) as raised:
        complete(endpoint)
    assert "llm_default" in raised.value.next_step
    assert len(endpoint.requests) == 1


def test_a_wait_that_is_asked_for_is_kept(endpoint: Endpoint) -> None:
    """Asking sooner than `Retry-After` makes a rate limit last."""
    endpoint.first = [(429, {"Retry-After": "0.5"})]
    began = time.monotonic()
    complete(endpoint)
    assert time.monotonic() - began >= 0.5


@pytest.mark.parametrize("as_date", [False, True])
def test_a_wait_beyond_the_time_is_not_begun(endpoint: Endpoint, as_date: bool) -> None:
    """Whoever is told to come back in an hour should say so at once, not sleep until Airflow ends the task."""
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    endpoint.status, endpoint.header, endpoint.body = 429, {"Retry-After": later if as_date else "3600"}, b"slow down"
    began = time.monotonic()
    with pytest.raises(GeneratorUnavailable, match=r"429.*asks to wait 3[56]\d\d s"):
        complete(endpoint, 20.0)
    assert time.monotonic() - began < 10
    assert len(endpoint.requests) == 1


def test_a_reply_in_drops_does_not_hold_the_task(endpoint: Endpoint) -> None:
    """Each byte comes within the timeout, the whole would take an hour."""
    endpoint.pause = 0.05
    began = time.monotonic()
    with pytest.raises(GeneratorUnavailable, match="did not finish its reply"):
        complete(endpoint, 0.6)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", "max_completion_tokens"),
        ("Unsupported value: 'temperature' does not support 0.", "max_tokens"),
    ],
)
def test_parameters_that_a_model_refuses_by_name_are_left_out(endpoint: Endpoint, said: str, sent: str) -> None:
    """Newer models refuse what older ones need: nobody should have to know which is which."""
    endpoint.status, endpoint.body = 400, said.encode()
    chat = Chat(endpoint.connection())
    with pytest.raises(BadSettings, match="refused the request"):
        chat.complete(ASKED, 5.0)
    tried = [sorted(body.keys() - {"model", "messages"}) for _, _, body in endpoint.requests]
    assert tried[0] == ["max_tokens", "temperature"]
    assert sent in tried[1]
    assert len(tried) == len({*map(str, tried)}), "each change is tried once"


def test_usage_and_the_end_by_length_are_read(endpoint: Endpoint) -> None:
    """What an answer cost belongs into the result; what cannot be a count is none."""
    endpoint.say("It", finish_reason="length", usage={"prompt_tokens": 12, "completion_tokens": True})
    assert complete(endpoint) == Completion("It", 12, None, cut=True)
    endpoint.say("", finish_reason="length")
    with pytest.raises(GeneratorUnavailable, match="reached max_tokens"):
        complete(endpoint)
