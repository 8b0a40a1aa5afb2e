"""Every DAG is triggered from its form, in a real browser: untouched, a field changed, a field emptied again."""

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

from include.core.answer_settings import AnswerSettings, QuestionsFileSettings
from include.core.forms import form_fields, pipeline_settings
from include.core.index_settings import IndexSettings
from include.core.pipeline_settings import GROUPS, PipelineSettings, PresetSettings
from include.publishing.earlier_versions import earlier_versions, version_of
from include.store.stores import open_store
from tests.browser import BLANK, chromium, keep, login, require_chromium
from tests.system.conftest import PIPELINE, Airflow

pytestmark = [pytest.mark.airflow, pytest.mark.browser]
INDEX = IndexSettings()


def defaults(*groups: type[Any], only: tuple[str, ...] | None = None) -> dict[str, Any]:
    """What an untouched form sends of these settings."""
    return {name: field["default"] for name, field in form_fields(groups, only).items()}


UNTOUCHED = defaults(PresetSettings, *GROUPS.values())
PLACE = defaults(IndexSettings, only=("store", "collection"))


@pytest.fixture(scope="module")
def versions(airflow: Airflow) -> list[str]:
    """Two versions of an index, the second live and that of `airflow.conf`."""
    made = [airflow.xcom(airflow.run(conf), "publish") for conf in ({"hnsw_m": 12}, {})]
    assert all(each["published"] for each in made), made
    return [each["version"] for each in made]


@pytest.fixture(scope="module")
def page(airflow: Airflow, versions: list[str]) -> Iterator[Page]:
    """A browser page that is logged in, in an Airflow with a live index."""
    require_chromium()
    user, password = airflow.local.login()
    with chromium() as browser:
        page = browser.new_context(viewport={"width": 1400, "height": 1400}).new_page()
        page.set_default_timeout(60_000)
        login(page, airflow.local.url, password, user)
        yield page


@pytest.fixture
def form(page: Page, airflow: Airflow) -> Callable[[str], Locator]:
    """A function that opens a DAG's form, and gives its dialog when the fields are there."""

    def opened(dag_id: str) -> Locator:
        page.goto(f"{airflow.local.url}/dags/{dag_id}")
        page.get_by_role("button", name="Trigger").first.click()
        dialog = page.get_by_role("dialog")
        expect(sections(dialog).nth(1)).to_be_visible()
        return dialog

    return opened


def sections(dialog: Locator) -> Locator:
    return dialog.locator("[data-testid=config-form] [data-part=item-trigger]")


def open_section(dialog: Locator, title: str) -> None:
    button = dialog.get_by_role("button", name=title, exact=True)
    if button.get_attribute("aria-expanded") != "true":
        button.click()
    expect(button).to_have_attribute("aria-expanded", "true")
    dialog.evaluate("dialog => Promise.allSettled(dialog.getAnimations({subtree: true}).map(each => each.finished))")


def field(dialog: Locator, name: str) -> Locator:
    return dialog.locator(f"[name=element_{name}]").first


def button(dialog: Locator) -> Locator:
    return dialog.get_by_test_id("trigger-dag-submit")


def starred(dialog: Locator) -> set[str]:
    """The titles of the fields that the form marks as required."""
    labels = dialog.locator("label", has=dialog.page.locator("[aria-hidden=true]", has_text="*"))
    return {text.replace("*", "").strip() for text in labels.all_text_contents()}


def press(page: Page, airflow: Airflow, dag_id: str) -> dict[str, Any]:
    """Press the form's button; returns the run that it made."""
    before = {each["dag_run_id"] for each in runs(airflow, dag_id)}
    dialog = page.get_by_role("dialog")
    expect(button(dialog)).to_be_enabled()
    button(dialog).click()
    expect(dialog).to_be_hidden()
    page.goto(BLANK)
    (made,) = [each for each in runs(airflow, dag_id) if each["dag_run_id"] not in before]
    return dict(made)


def runs(airflow: Airflow, dag_id: str) -> list[dict[str, Any]]:
    return list(airflow.client.get(f"/dags/{dag_id}/dagRuns", limit=100, order_by="-run_after")["dag_runs"])


def begin_and_stop(page: Page, airflow: Airflow, run_id: str) -> None:
    """Wait until the first task has succeeded, which has read every setting, then mark the run failed.

    The untouched form trains MiniLM for minutes.
    """
    deadline = time.monotonic() + 300.0
    while (state := airflow.tasks(run_id).get(("download", -1), {}).get("state")) != "success":
        assert state not in ("failed", "upstream_failed", "up_for_retry"), airflow.logs(run_id)
        assert time.monotonic() < deadline, f"download is {state}"
        time.sleep(0.5)
    address = f"{airflow.local.url}/api/v2/dags/{PIPELINE}/dagRuns/{quote(run_id)}"
    answer = page.request.patch(address, data={"state": "failed"})
    assert answer.ok, answer.text()


def test_the_pipelines_form_is_triggered_untouched(
    form: Callable[[str], Locator], page: Page, airflow: Airflow
) -> None:
    """The first thing that anybody does in the UI: the form opened red, with a button that could not be pressed."""
    dialog = form(PIPELINE)
    titles = sections(dialog).all_inner_texts()
    assert titles[0] == "Start here"
    assert all(title.startswith("Advanced") for title in titles[1:]), titles
    assert starred(dialog) == {"Catalogue", "Preset", "Promote"}
    descriptions = dialog.locator("[data-testid=config-form] [data-part=helper-text]").all_text_contents()
    assert len(descriptions) >= len(UNTOUCHED)  # and Airflow's own
    assert not [text for text in descriptions if "`" in text or "*" in text or "\\" in text]
    keep(page, "form-train_and_index-closed")
    open_section(dialog, "Start here")
    keep(page, "form-train_and_index-start")
    open_section(dialog, "Advanced: fine-tuning")
    keep(page, "form-train_and_index-fine-tuning")
    run = press(page, airflow, PIPELINE)
    assert run["conf"] == UNTOUCHED
    assert pipeline_settings(run["conf"]) == PipelineSettings()
    begin_and_stop(page, airflow, run["dag_run_id"])


def test_the_pipelines_preset_is_changed_in_its_form(
    form: Callable[[str], Locator], page: Page, airflow: Airflow
) -> None:
    """The one choice that most people make."""
    dialog = form(PIPELINE)
    open_section(dialog, "Start here")
    dialog.locator("#element_preset").click()
    page.get_by_role("option", name="quick", exact=True).click()
    run = press(page, airflow, PIPELINE)
    assert run["conf"] == {**UNTOUCHED, "preset": "quick"}
    assert pipeline_settings(run["conf"]).train.max_pairs == 1200
    begin_and_stop(page, airflow, run["dag_run_id"])


def test_fields_of_the_pipelines_form_are_emptied_again(
    form: Callable[[str], Locator], page: Page, airflow: Airflow
) -> None:
    """A number, a text and a text with a default: emptied, each is what it was, and the button stays enabled."""
    dialog = form(PIPELINE)
    changed = {
        "epochs": ("Advanced: fine-tuning", "3"),
        "matryoshka": ("Advanced: fine-tuning", "64, 32"),
        "base_model": ("Advanced: fine-tuning", "/nowhere"),
        "source_sha256": ("Advanced: catalogue", "0" * 64),
        "sample_products": ("Advanced: catalogue", "60"),
    }
    for name, (section, text) in changed.items():
        open_section(dialog, section)
        field(dialog, name).fill(text)
        field(dialog, name).fill("")
        field(dialog, name).blur()
    run = press(page, airflow, PIPELINE)
    assert run["conf"] == {**UNTOUCHED, **dict.fromkeys(changed)}
    assert pipeline_settings(run["conf"]) == PipelineSettings()
    begin_and_stop(page, airflow, run["dag_run_id"])


def test_a_run_whose_advanced_fields_were_filled_in_ends_well(
    form: Callable[[str], Locator], page: Page, airflow: Airflow
) -> None:
    """What is typed into the form arrives in the stages: they find what a run over REST has made."""
    dialog = form(PIPELINE)
    section = {name: each["section"] for name, each in form_fields(GROUPS.values()).items()}
    for name, value in airflow.conf.items():
        open_section(dialog, section[name])
        field(dialog, name).fill(str(value))
        field(dialog, name).blur()
    run = press(page, airflow, PIPELINE)
    assert run["conf"] == {**UNTOUCHED, **airflow.conf}
    airflow.succeed(run["dag_run_id"])
    assert all(airflow.xcom(run["dag_run_id"], name)["reused"] for name in ("download", "convert", "fine_tune"))


def test_the_question_form_is_triggered_untouched_changed_and_emptied(
    form: Callable[[str], Locator], page: Page, airflow: Airflow
) -> None:
    """The question is in sight without a click; it alone has to be there."""
    untouched = {
        "question": "Which products would make a good present?",
        **defaults(QuestionsFileSettings, AnswerSettings),
        "translator": airflow.translator,
        **PLACE,
    }

    def asked(dialog: Locator, **expected: Any) -> dict[str, Any]:
        run = press(page, airflow, "answer_question")
        assert run["conf"] == {**untouched, **expected}
        ended = airflow.client.wait("answer_question", run["dag_run_id"])
        assert ended["state"] == "success", ended
        (result,) = ended["results"].values()
        return dict(result["answers"][0])

    dialog = form("answer_question")
    expect(field(dialog, "question")).to_be_visible()
    assert starred(dialog) == {"Question"}
    keep(page, "form-answer_question")
    asked(dialog)

    dialog = form("answer_question")
    field(dialog, "question").fill("")
    expect(button(dialog)).to_be_disabled()
    field(dialog, "question").fill("Which kettle is made of glass?")
    open_section(dialog, "Advanced: answering")
    keep(page, "form-answer_question-answering")
    field(dialog, "top_k").fill("1")
    field(dialog, "bm25_weight").fill("0.5")
    field(dialog, "bm25_weight").fill("")
    field(dialog, "version").fill("")
    field(dialog, "version").blur()
    answer = asked(dialog, question="Which kettle is made of glass?", top_k=1, bm25_weight=None, version=None)
    assert answer["question"] == "Which kettle is made of glass?"
    assert len(answer["sources"]) <= 1


def test_the_rollbacks_form_is_triggered_untouched_by_a_choice_and_emptied(
    form: Callable[[str], Locator], page: Page, airflow: Airflow, versions: list[str]
) -> None:
    """Sixteen digits by heart are no way back on a bad day."""
    store = open_store(INDEX, root=airflow.data)
    assert store.live() == versions[1]
    offered = offers(page, airflow)
    assert versions[0] in {version_of(line) for line in offered}

    dialog = form("roll_back")
    expect(field(dialog, "to")).to_be_visible()
    assert starred(dialog) == set()
    options = dialog.locator("#list_to option").evaluate_all("options => options.map(option => option.value)")
    assert options == offered
    assert dialog.locator("[data-part=helper-text] li").all_text_contents() == offered, "in sight without a click"
    keep(page, "form-roll_back")
    run = press(page, airflow, "roll_back")
    assert run["conf"] == {"to": None, **PLACE}
    assert moved(airflow, run["dag_run_id"])["previous"] == versions[1]

    (line,) = [line for line in offers(page, airflow) if version_of(line) == versions[1]]
    dialog = form("roll_back")
    field(dialog, "to").fill(line[:10])
    field(dialog, "to").fill(line)  # as the browser does when an entry of its list is clicked
    keep(page, "form-roll_back-chosen")
    run = press(page, airflow, "roll_back")
    assert run["conf"] == {"to": line, **PLACE}
    assert moved(airflow, run["dag_run_id"])["version"] == versions[1] == store.live()

    dialog = form("roll_back")
    field(dialog, "to").fill("0123456789abcdef")
    field(dialog, "to").fill("")
    run = press(page, airflow, "roll_back")
    assert run["conf"] == {"to": None, **PLACE}
    assert moved(airflow, run["dag_run_id"])["previous"] == versions[1]


def moved(airflow: Airflow, run_id: str) -> dict[str, Any]:
    """The result of a rollback, which ended well."""
    ended = airflow.client.wait("roll_back", run_id)
    assert ended["state"] == "success", ended
    (result,) = ended["results"].values()
    return dict(result)


def offers(page: Page, airflow: Airflow) -> list[str]:
    """What roll_back's form offers once its DAG file was parsed anew, as happens every two minutes: what there is."""
    token = airflow.client.get("/dags/roll_back")["file_token"]
    answer = page.request.put(f"{airflow.local.url}/api/v2/parseDagFile/{token}")
    assert answer.ok, answer.text()
    there = earlier_versions(airflow.data, INDEX)
    deadline = time.monotonic() + 180.0
    while True:
        lines = list(airflow.client.get("/dags/roll_back/details")["params"]["to"]["schema"]["examples"])
        if lines == there:
            return lines
        assert time.monotonic() < deadline, f"{lines} are offered, there are {there}"
        time.sleep(0.5)
