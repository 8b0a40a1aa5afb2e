"""Each address of the resident asker, and each way to be refused, as a client sees them."""

import json
import logging
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.answering.answer import answer
from include.core.answer_settings import AnswerSettings
from include.core.errors import StoreUnavailable
from include.serving.logs import Harmless
from include.store.edge import EdgeSearcher
from tests.indexed import BIDI, ESC, HOSTILE, INDEX, Shop
from tests.serving.servers import KEY, OTHER_KEY, served, without_times

BEARER = {"Authorization": f"Bearer {KEY}"}


def eventually(look: Callable[[], Any]) -> Any:
    """What `look` gives when it gives something, which has to be soon."""
    until = time.monotonic() + 60
    while (found := look()) is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def fault(reply: Any) -> tuple[int, str]:
    """Status and `what`; each refusal has a next step."""
    error = reply.json()["error"]
    assert error["next_step"]
    assert list(error) == ["what", "next_step"]
    return reply.status_code, error["what"]


def test_ask_gives_the_same_json_as_the_dag(described: Path) -> None:
    """Danger: five doors to one answering code, and one of them with a shape of its own."""
    sent = {"top_k": 3, "filter": 'brand = "Sony"', "facets": "brand, tags", "threshold": 0.1, "mode": "dense"}
    questions = ["Which kettle is golden?", "Which lamp weighs 12 kg?"]
    made = answer(questions, AnswerSettings(**sent), INDEX, root=described)
    with served(described) as client:
        for question in (questions, "\n".join(questions)):
            reply = client.post("/ask", json={"question": question, **sent})
            assert reply.status_code == 200, reply.text
            assert without_times(reply.json()) == without_times(json.loads(json.dumps(made)))
    assert len(made["answers"][0]["products"]) == 3
    assert {each["attributes"]["brand"] for each in made["answers"][0]["products"]} == {"Sony"}


def test_one_question_that_cannot_be_asked_does_not_fail_the_others(described: Path) -> None:
    with served(described) as client:
        first, second = client.post("/ask", json={"question": [" ", "red tent"]}).json()["answers"]
        assert "empty" in first["error"]["what"]
        assert second["error"] is None


def test_search_finds_the_products_of_an_answer(described: Path) -> None:
    with served(described) as client:
        asked = client.post("/ask", json={"question": "golden bottle", "top_k": 7}).json()["answers"][0]
        found = client.get("/search", params={"q": "golden bottle", "top_k": 7, "facets": "brand"}).json()
        own = [{name: value for name, value in each.items() if name != "snippet"} for each in asked["products"]]
        assert found["products"] == own
        assert len(own) == 7
        assert found["facets"]["brand"][0]["count"] == 20
        assert "read sentences" not in found["milliseconds"]
        narrow = client.get("/search", params={"q": "golden bottle", "filter": 'brand = "LG"'}).json()
        assert {each["attributes"]["brand"] for each in narrow["products"]} == {"LG"}
        none = client.get("/search", params={"q": "golden bottle", "filter": 'brand = "Acme"'}).json()
        assert (none["products"], len(none["warnings"])) == ([], 1)


def test_facets_counts_what_a_filter_leaves(described: Path) -> None:
    with served(described) as client:
        every = client.get("/facets").json()
        assert (every["products"], sorted(every["facets"])) == (40, ["brand", "in_stock", "tags"])
        some = client.get("/facets", params={"names": "brand", "filter": "price < 10"}).json()
        assert some["products"] == 10
        assert {each["value"]: each["count"] for each in some["facets"]["brand"]} == {"Sony": 5, "LG": 5}


def test_live_tells_what_is_live(described: Path) -> None:
    with served(described) as client:
        live = client.get("/live").json()
        assert (live["collection"], live["products"], live["newer"]) == ("products", 40, None)
        assert live["version"] == client.get("/health").json()["version"]
        assert (live["published"]["run_id"], live["published"]["action"]) == ("test", "published")
        assert {"name": "price", "type": "money", "counted": False} in live["attributes"]


def test_a_version_is_asked_by_its_name(shop: Shop) -> None:
    shop.publish(1)
    shop.publish(2)
    with served(shop.root) as client:
        for number in (1, 2, 3, 1):
            found = client.get(
                "/search", params={"q": f"golden edition {number}", "version": shop.versions[number - 1]}
            )
            assert found.json()["version"] == shop.versions[number - 1], found.text
            assert f"golden edition {number}" in [each["title"] for each in found.json()["products"]]
        assert client.get("/live").json()["version"] == shop.versions[1]
        status, what = fault(client.get("/search", params={"q": "lamp", "version": "0" * 16}))
        assert (status, "0" * 16 in what) == (404, True)


def test_openapi_describes_every_address(described: Path) -> None:
    with served(described, KEY) as client:
        paths = client.get("/openapi.json").json()["paths"]
        assert sorted(paths) == ["/ask", "/facets", "/health", "/live", "/metrics", "/search"]
        assert "HTTPBearer" in paths["/ask"]["post"]["security"][0]
        assert client.get("/docs").status_code == 200


REFUSED = {
    "an unknown setting": ({"question": "lamp", "topk": 3}, 400, "topk"),
    "a setting that is not the request's": ({"question": "lamp", "translator": "none"}, 400, "translator"),
    "a language model where there is none": ({"question": "lamp", "generator": "llm"}, 400, "this server has none"),
    "a number out of range": ({"question": "lamp", "top_k": 101}, 400, "top_k"),
    "a mode that there is not": ({"question": "lamp", "mode": "magic"}, 400, "mode"),
    "an empty question": ({"question": "  "}, 400, "empty"),
    "no question": ({}, 400, "question"),
    "no questions": ({"question": []}, 400, "There is no question."),
    "too many questions": ({"question": ["lamp"] * 51}, 400, "51 questions"),
    "a filter that cannot be read": ({"question": "lamp", "filter": "brand ="}, 400, "brand"),
    "a filter on what is not there": ({"question": "lamp", "filter": "colour = 'red'"}, 400, "colour"),
    "facets of what cannot be counted": ({"question": "lamp", "facets": "price"}, 400, "price"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_is_refused_with_its_reason(described: Path, name: str) -> None:
    body, status, word = REFUSED[name]
    with served(described) as client:
        found, what = fault(client.post("/ask", json=body))
        assert (found, word in what) == (status, True), what


def test_what_is_no_request_is_refused_in_the_same_form(described: Path) -> None:
    with served(described) as client:
        assert fault(client.post("/ask", content=b"{nonsense"))[0] == 400
        assert fault(client.post("/ask", content=b"\xff\xfe"))[0] == 400
        assert fault(client.get("/search"))[0] == 400
        assert fault(client.get("/search?q=lamp&top_k=many"))[0] == 400
        assert fault(client.get("/nowhere"))[0] == 404
        assert fault(client.get("/ask"))[0] == 405


def test_nothing_published_is_503_until_something_is(shop: Shop) -> None:
    with served(shop.root) as client:
        for path in ("/health", "/live", "/search?q=lamp", "/facets"):
            status, what = fault(client.get(path))
            assert (status, "Nothing has been published" in what) == (503, True), what
        assert client.get("/metrics").status_code == 200
        shop.publish(1)
        live = eventually(lambda: client.get("/live").json().get("version"))
        assert live == shop.versions[0]


def test_a_store_that_does_not_answer_is_503(described: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: object, **__: object) -> Any:
        raise StoreUnavailable("The store did not answer.", "Start it.")

    with served(described) as client:
        monkeypatch.setattr(EdgeSearcher, "_nearest", down)
        assert fault(client.get("/search?q=lamp")) == (503, "The store did not answer.")


def test_an_error_that_nobody_foresaw_shows_no_frames(described: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise RuntimeError("password=secret")

    with served(described) as client:
        monkeypatch.setattr(EdgeSearcher, "_nearest", broken)
        reply = client.get("/search?q=lamp")
        assert fault(reply)[0] == 500
        assert "secret" not in reply.text
        assert "Traceback" not in reply.text


def test_a_damaged_new_version_leaves_the_old_one_live(shop: Shop) -> None:
    """Danger: a publication whose files are broken takes the shop down."""
    shop.publish(1)
    with served(shop.root) as client:
        shutil.rmtree(shop.model)
        shop.publish(2)
        newer = eventually(lambda: client.get("/live").json()["newer"])
        assert newer["next_step"]
        assert client.get("/search?q=lamp").json()["version"] == shop.versions[0]


# Every route that the application has, and whether it needs a key: one that is added has to be listed here.
ROUTES = {
    ("POST", "/ask"): True,
    ("GET", "/search"): True,
    ("GET", "/facets"): True,
    ("GET", "/live"): True,
    ("GET", "/metrics"): True,
    ("POST", "/mcp"): True,
    ("GET", "/health"): False,
    ("GET", "/openapi.json"): False,
    ("GET", "/docs"): False,
    ("GET", "/docs/start.js"): False,
    ("GET", "/docs/swagger-ui.css"): False,
    ("GET", "/docs/swagger-ui-bundle.js"): False,
}


def test_keys(described: Path) -> None:
    """Danger: a route that is added later, and open to the network."""
    with served(described, OTHER_KEY, KEY) as client:
        app: Any = client.app
        assert {(verb, each.path) for each in app.routes for verb in each.methods - {"HEAD"}} == set(ROUTES)
        for (verb, path), needs_key in {**ROUTES, ("GET", "/nowhere"): True, ("DELETE", "/ask"): True}.items():
            anonymous = client.request(verb, path)
            assert (anonymous.status_code == 401) == needs_key, path
            if needs_key:
                assert (fault(anonymous)[0], anonymous.headers["WWW-Authenticate"]) == (401, "Bearer"), path
            for wrong in ("Bearer", f"Bearer {KEY}x", f"Basic {KEY}", "Bearer \xe9", KEY):
                reply = client.request(verb, path, headers={b"Authorization": wrong.encode("latin-1")})
                assert reply.status_code == anonymous.status_code, (path, wrong)
            assert client.request(verb, path, headers=BEARER).status_code not in (401, 403, 500), path
        assert client.get("/live", headers=BEARER).status_code == 200
        assert client.get("/health").status_code == 200


def test_no_open_page_tells_of_the_products(hostile: Path) -> None:
    """Danger: what needs no key shows a product, or runs what is in its text."""
    with served(hostile, KEY) as client:
        client.post("/ask", json={"question": "Pump alert", "facets": "brand"}, headers=BEARER)
        opened = [client.request(verb, path) for (verb, path), needs_key in ROUTES.items() if not needs_key]
        for reply in (*opened, client.get("/metrics", headers=BEARER), client.get("/live", headers=BEARER)):
            assert reply.status_code == 200
            assert not any(told in reply.text for told in ("kcart", "alert(1)", "Acme", "{{ 7*7 }}", ESC, BIDI))
        page = client.get("/docs")
        assert "script-src 'self'; style-src 'self';" in page.headers["Content-Security-Policy"]
        assert "//" not in page.text.replace("<!doctype html>", "")


def test_without_keys_no_web_page_asks_under_a_name_that_leads_here(described: Path) -> None:
    """DNS rebinding: a page of evil.example whose name has become 127.0.0.1 would read the answers."""
    with served(described) as client:
        assert fault(client.get("/live", headers={"Host": "evil.example"}))[0] == 421
        for host in ("localhost", "127.0.0.1:8090", "[::1]:8090"):
            assert client.get("/live", headers={"Host": host}).status_code == 200
    with served(described, KEY) as client:
        assert client.get("/live", headers={"Host": "shop.example", **BEARER}).status_code == 200


def test_a_body_that_is_too_long_is_refused(described: Path) -> None:
    with served(described, max_body=1024) as client:
        long = json.dumps({"question": "lamp " * 400}).encode()
        assert fault(client.post("/ask", content=long))[0] == 413
        assert fault(client.post("/ask", content=iter([long[:1000], long[1000:]])))[0] == 413  # without its length
        assert client.post("/ask", json={"question": "lamp"}).status_code == 200


def test_each_key_has_a_rate_of_its_own(described: Path) -> None:
    with served(described, KEY, OTHER_KEY, rate=3) as client:
        statuses = [client.get("/live", headers=BEARER).status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        late = client.get("/live", headers=BEARER)
        assert (fault(late)[0], 0 < int(late.headers["Retry-After"]) <= 21) == (429, True)
        assert client.get("/live", headers={"Authorization": f"Bearer {OTHER_KEY}"}).status_code == 200
        assert client.get("/health", headers=BEARER).status_code == 200
    with served(described, rate=0) as client:
        assert {client.get("/live").status_code for _ in range(20)} == {200}


def test_a_request_that_takes_too_long_ends(described: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    nearest = EdgeSearcher._nearest

    def slow(*given: Any, **options: Any) -> Any:
        go_on.wait(60)
        return nearest(*given, **options)

    with served(described, timeout=0.3) as client:
        with monkeypatch.context() as patch:
            patch.setattr(EdgeSearcher, "_nearest", slow)
            assert fault(client.get("/search?q=lamp"))[0] == 504
            go_on.set()
        assert client.get("/live").status_code == 200


def test_pages_of_allowed_origins_may_ask(described: Path) -> None:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    with served(described, KEY, origins="https://shop.example, http://localhost:3000") as client:
        for origin, allowed in (("https://shop.example", True), ("https://evil.example", False)):
            before = client.options("/ask", headers={"Origin": origin, **asks})
            reply = client.get("/live", headers={"Origin": origin, **BEARER})
            for each in (before, reply):
                assert (each.headers.get("Access-Control-Allow-Origin") == origin) == allowed
    with served(described, KEY) as client:
        assert "Access-Control-Allow-Origin" not in client.get("/live", headers={"Origin": "null", **BEARER}).headers


def test_metrics(described: Path) -> None:
    with served(described) as client:
        client.get("/search?q=lamp")
        client.get("/search?top_k=0")
        client.get("/nowhere")
        client.get("/elsewhere")
        told = client.get("/metrics")
        assert told.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        lines = dict(line.rsplit(" ", 1) for line in told.text.splitlines() if not line.startswith("#"))
        assert lines['vitrine_requests_total{route="/search",status="200"}'] == "1.0"
        assert lines['vitrine_requests_total{route="/search",status="400"}'] == "1.0"
        assert lines['vitrine_requests_total{route="other",status="404"}'] == "2.0"
        assert lines['vitrine_step_seconds_count{step="search"}'] == "1.0"
        assert float(lines["vitrine_live_age_seconds"]) >= 0
        assert [value for name, value in lines.items() if name.startswith("vitrine_live_products")] == ["40.0"]


def test_a_product_that_would_do_harm_comes_as_data(hostile: Path) -> None:
    """Danger: `curl` prints what it gets, and a colour or a turn of direction in it changes what a person reads."""
    with served(hostile) as client:
        for reply in (
            client.post("/ask", json={"question": "Pump alert", "facets": "brand"}),
            client.get("/search", params={"q": "Pump alert", "facets": "brand"}),
            client.get("/facets"),
        ):
            assert reply.status_code == 200, reply.text
            assert reply.headers["Content-Type"] == "application/json"
            assert reply.headers["X-Content-Type-Options"] == "nosniff"
            assert reply.text.isascii()
            assert reply.text.isprintable()
            assert f"<b>{ESC}{BIDI}Acme" in [each["value"] for each in reply.json()["facets"]["brand"]]
        found = client.get("/search", params={"q": "Pump alert"}).json()["products"]
        assert HOSTILE.title in [each["title"] for each in found]


def test_the_log_has_one_harmless_line_an_event() -> None:
    told = (f"a\n{ESC}{BIDI}b", "https://ana:word@host/?key=1")
    record = logging.LogRecord("x", logging.INFO, "", 0, "asked %s of %s", told, None)
    line = Harmless("%(levelname)s %(message)s").format(record)
    assert line == "INFO asked a\\n\\x1b[31m\\u202eb of https://…@host/?…"


def test_frames_in_the_log_have_no_colours() -> None:
    try:
        raise RuntimeError(f"{ESC}{BIDI} of a product")
    except RuntimeError:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", None, sys.exc_info())
    lines = Harmless("%(message)s").format(record).splitlines()
    assert lines[0] == "failed"
    assert lines[-1] == "RuntimeError: \\x1b[31m\\u202e of a product"
    assert all(map(str.isprintable, lines))
