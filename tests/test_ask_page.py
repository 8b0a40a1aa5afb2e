"""The Ask page in a real browser, against a REST API that the test plays: what users read, whatever happens."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from include.settings import REPOSITORY
from tests.browser import chromium, require_chromium

pytestmark = pytest.mark.browser

ORIGIN = "http://localhost:8080"
EVIL = "<img src=x onerror=\"document.title='owned'\">Steel kettle"
RUN = "manual__2026-11-22T10:00:00+00:00"
ANSWER = {
    "version": "0123456789abcdef",
    "seconds": 0.05,
    "answers": [
        {
            "question": "How heavy is the kettle?",
            "answer": "It weighs 3 kg. [1]",
            "found": True,
            "seconds": 0.03,
            "sources": [
                {"uid": "0001360000", "title": EVIL, "score": 0.912, "snippet": "This kettle weighs 3 kg."},
                {"uid": "0001360001", "title": "", "score": 0.5, "snippet": ""},
            ],
        },
        {"question": "What is love?", "answer": "Nothing found.", "found": False, "seconds": 0.01, "sources": []},
    ],
}


class Api:
    """Plays Airflow: serves the page, answers its calls, and remembers them."""

    def __init__(self, root: str = "") -> None:
        self.root = root
        self.paused = False
        self.status: dict[str, tuple[int, Any]] = {}  # by method and path within the API: another answer
        self.lines: list[dict[str, Any]] = [
            {"state": "queued"},
            {"state": "running"},
            {"state": "success", "results": {"answer_question": ANSWER}},
        ]
        self.error: dict[str, str] = {}
        self.calls: list[tuple[str, str, Any]] = []

    def __call__(self, route: Route, request: Request) -> None:
        path = request.url.removeprefix(ORIGIN).partition("?")[0]
        if path == f"{self.root}/vitrine/ask":
            policy = "default-src 'none'; script-src 'nonce-n'; style-src 'nonce-n'; connect-src 'self'"
            body = (REPOSITORY / "plugins" / "ask.html").read_text(encoding="utf-8").replace("{{nonce}}", "n")
            return route.fulfill(body=body, content_type="text/html", headers={"Content-Security-Policy": policy})
        assert path.startswith(f"{self.root}/api/v2/dags/answer_question"), path
        rest = path.removeprefix(f"{self.root}/api/v2/dags/answer_question")
        self.calls.append((request.method, rest, request.post_data_json))
        status, answer = self.status.get(f"{request.method} {rest}", (200, None))
        if status != 200:
            return route.fulfill(status=status, json=answer)
        return route.fulfill(**self.answer(request, rest))

    def answer(self, request: Request, rest: str) -> dict[str, Any]:
        if rest == "" and request.method == "PATCH":
            self.paused = request.post_data_json["is_paused"]
        if rest == "":
            return {"json": {"is_paused": self.paused}}
        if rest == "/dagRuns":
            return {"json": {"dag_run_id": RUN}}
        if rest.endswith("/wait"):
            return {"body": "".join(json.dumps(line) + "\n" for line in self.lines)}
        if rest.endswith("/taskInstances"):
            return {"json": {"task_instances": [{"task_id": "answer_question", "state": "failed", "try_number": 1}]}}
        assert rest.endswith("/taskInstances/answer_question/logs/1")
        return {"json": {"content": [{"event": "started"}, {"event": "failed", "error_detail": [self.error]}]}}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    require_chromium()
    with chromium() as found:
        yield found


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def page(browser: Browser, api: Api) -> Iterator[Page]:
    context = browser.new_context()
    found = context.new_page()
    faults: list[str] = []
    found.on("pageerror", lambda error: faults.append(str(error)))
    found.on("console", lambda line: faults.append(line.text) if "Content Security" in line.text else None)
    found.route("**/*", api)
    found.goto(f"{ORIGIN}{api.root}/vitrine/ask")
    yield found
    context.close()
    assert faults == []


def ask(page: Page, question: str = "How heavy is the kettle?") -> None:
    page.get_by_role("textbox", name="Question").fill(question)
    page.get_by_role("button", name="Ask").click()


def test_answers_appear_with_their_sources(page: Page, api: Api) -> None:
    """The page is how an analyst sees the answer: text, numbered sources, scores, time."""
    page.get_by_label("Search").select_option("by words")
    page.get_by_label("Products").fill("3")
    ask(page, "How heavy is the kettle?\nWhat is love?")
    first, second = page.get_by_role("article").nth(0), page.get_by_role("article").nth(1)
    expect(first).to_contain_text("It weighs 3 kg. [1]")
    expect(first.get_by_role("listitem")).to_have_count(2)
    expect(first.get_by_role("listitem").nth(0)).to_contain_text("score 0.912 · uid 0001360000")
    expect(first.get_by_role("listitem").nth(1)).to_contain_text("(no title)")
    expect(first.locator("mark")).to_have_text(["kettle"])
    expect(second).to_contain_text("Nothing found.")
    expect(page.get_by_role("status")).to_contain_text("2 questions answered in")
    conf = {"question": "How heavy is the kettle?\nWhat is love?", "mode": "bm25", "top_k": 3}
    assert ("POST", "/dagRuns", {"logical_date": None, "conf": conf}) in api.calls


def test_a_title_is_shown_as_text(page: Page) -> None:
    """A catalogue is somebody else's text: as markup it could act as the user."""
    ask(page)
    expect(page.get_by_text(EVIL)).to_be_visible()
    assert page.locator("img").count() == 0
    assert page.title() == "Ask the catalogue"


def test_the_keyboard_is_enough(page: Page, api: Api) -> None:
    """Enter asks, Shift+Enter starts a line, and the answer gets the focus."""
    assert page.evaluate("document.activeElement.id") == "question"
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    assert api.calls == []
    page.keyboard.press("Enter")
    expect(page.get_by_role("article").first).to_be_focused()
    assert [body["conf"]["question"] for method, _, body in api.calls if method == "POST"] == ["one\ntwo"]


def test_an_empty_question_is_not_asked(page: Page, api: Api) -> None:
    """A run that only fails is a run wasted."""
    ask(page, "   \n ")
    assert page.get_by_role("button", name="Ask").is_enabled()
    assert api.calls == []


def test_a_paused_dag_is_named_and_can_be_unpaused(page: Page, api: Api) -> None:
    """The run of a paused DAG waits for ever: the page would seem to hang."""
    api.paused = True
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text("is paused")
    assert not [call for call in api.calls if call[0] == "POST"]
    page.get_by_role("button", name="Unpause it and ask").click()
    expect(page.get_by_text("It weighs 3 kg.")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_hidden()
    assert ("PATCH", "", {"is_paused": False}) in api.calls


@pytest.mark.parametrize(
    ("call", "status", "said"),
    [
        ("GET ", 401, "Your session has ended"),
        ("POST /dagRuns", 403, "your role lacks a permission"),
        ("GET ", 404, "does not know the DAG answer_question"),
        ("POST /dagRuns", 400, "refused the question: too long"),
        ("POST /dagRuns", 503, "status 503"),
    ],
)
def test_refusals_are_explained(page: Page, api: Api, call: str, status: int, said: str) -> None:
    """ "Error 403" helps nobody; what to do does."""
    api.status[call] = (status, {"detail": "too long"})
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text(said)
    expect(page.get_by_role("button", name="Ask")).to_be_enabled()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ({"exc_type": "NoLiveIndex", "exc_value": "Nothing."}, "There is no index to search yet"),
        ({"exc_type": "BadQuestion", "exc_value": f"Too long: {EVIL}"}, f"Too long: {EVIL}"),
    ],
)
def test_a_failed_run_says_why(page: Page, api: Api, error: dict[str, str], said: str) -> None:
    """The reason is in the task's log; the page fetches it instead of sending the user there."""
    api.lines, api.error = [{"state": "running"}, {"state": "failed"}], error
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text(said)
    assert page.locator("img").count() == 0


def test_a_failed_run_is_told_even_to_those_who_may_not_read_logs(page: Page, api: Api) -> None:
    """The refusal of the log must not hide that the run failed."""
    api.lines = [{"state": "failed"}]
    api.status[f"GET /dagRuns/{RUN.replace(':', '%3A').replace('+', '%2B')}/taskInstances"] = (403, {"detail": "no"})
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text("The run ended without an answer")


@pytest.mark.parametrize(
    ("lines", "said"),
    [([{"state": "running"}], "The connection broke off"), ([{"state": "success"}], "you may not read it")],
)
def test_a_stream_without_a_result_is_not_taken_for_one(
    page: Page, api: Api, lines: list[dict[str, Any]], said: str
) -> None:
    """A proxy that cuts the connection, a role without XComs: neither is an answer of nothing."""
    api.lines = lines
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text(said)


def test_follows_airflows_colour_mode(page: Page) -> None:
    """A white page inside a dark UI blinds the reader."""
    shade = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(shade)
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.reload()
    assert page.evaluate(shade) != light
    page.evaluate("localStorage.setItem('theme', 'system')")
    page.emulate_media(color_scheme="light")
    page.reload()
    assert page.evaluate(shade) == light


def test_works_under_a_path(browser: Browser) -> None:
    """Behind a reverse proxy Airflow may live at /airflow; the API is then there too."""
    api = Api("/airflow")
    context = browser.new_context()
    page = context.new_page()
    page.route("**/*", api)
    page.goto(f"{ORIGIN}/airflow/vitrine/ask")
    ask(page)
    expect(page.get_by_text("It weighs 3 kg.")).to_be_visible()
    context.close()
