"""Answers that a language model writes: for requests that name it, within their time, and nobody else waits."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from include import stages
from include.answering.llm_connection import LlmConnection
from include.core.answer_settings import AnswerSettings
from include.core.errors import BadSettings
from include.serving.deployment import LLM_CONNECTION, Deployment
from tests.answering.endpoint import Endpoint, serving
from tests.indexed import INDEX
from tests.serving.servers import served, without_times

QUESTION = "What is the red kettle number 0 made of?"


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving(Endpoint()) as made:
        yield made


def test_a_model_writes_where_the_request_names_it(described: Path, endpoint: Endpoint) -> None:
    endpoint.say("It is made of steel [1].")
    llm = endpoint.connection()
    made = stages.answer_question(QUESTION, AnswerSettings(generator="llm"), INDEX, root=described, llm=llm)
    endpoint.requests.clear()
    with served(described, llm=llm) as client:
        quoted = client.post("/ask", json={"question": QUESTION}).json()["answers"][0]
        assert (quoted["generator"]["name"], endpoint.requests) == ("extractive", [])
        asked = client.post("/ask", json={"question": QUESTION, "generator": "llm"})
        assert without_times(asked.json()) == without_times(json.loads(json.dumps(made)))
        assert len(endpoint.requests) == 1
        refused = client.post("/ask", json={"question": [QUESTION] * 6, "generator": "llm"})
        assert (refused.status_code, "at most 5" in refused.json()["error"]["what"]) == (400, True)


def test_a_model_that_does_not_answer_takes_no_longer_than_a_request(described: Path, endpoint: Endpoint) -> None:
    """Danger: two slow questions hold every thread, and the shop's search stands still."""
    endpoint.hangs = True
    with served(described, llm=endpoint.connection(), timeout=8.0, threads=1) as client, ThreadPoolExecutor(2) as pool:
        began = time.monotonic()
        ask = {"question": QUESTION, "generator": "llm"}
        asked = [pool.submit(client.post, "/ask", json=ask) for _ in range(2)]
        while len(endpoint.requests) < 2:
            assert time.monotonic() < began + 8.0
            time.sleep(0.02)
        assert client.get("/search", params={"q": "lamp"}).status_code == 200
        assert not any(each.done() for each in asked)
        for each in asked:
            reply = each.result()
            assert reply.status_code == 200, reply.text
            (answer,) = reply.json()["answers"]
            assert answer["generator"]["fallback"] and answer["found"]


def test_the_deployment_says_where_the_model_is(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Deployment.from_environment().llm is None
    extra = {"model": "small", "patience": 20}
    told = {"conn_type": "vitrine", "host": "https://api.example.com/v1", "password": "sk-1", "extra": extra}
    for form in (extra, json.dumps(extra)):
        monkeypatch.setenv(LLM_CONNECTION, json.dumps({**told, "extra": form}))
        expected = LlmConnection("https://api.example.com/v1", "small", "sk-1", patience=20)
        assert Deployment.from_environment().llm == expected
    for wrong in ("https://:sk-1@api.example.com", json.dumps({**told, "extra": {}}), "[]"):
        monkeypatch.setenv(LLM_CONNECTION, wrong)
        with pytest.raises(BadSettings) as refused:
            Deployment.from_environment()
        assert "sk-1" not in str(refused.value)
