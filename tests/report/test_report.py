"""The run report: self-contained, escaped, complete, honest about what is missing, found by the run's id."""

import base64
import csv
import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.catalogue.convert import convert
from include.core import artifacts, failure, kinds
from include.core.errors import DamagedArtifact
from include.core.settings import ConvertSettings, RetentionSettings
from include.publishing.prune import prune
from include.report.charts import bar_chart, histogram, interval_chart, line_chart, ticks
from include.report.html import TEMPLATES, shown
from include.report.report import page_of_run, report
from include.results import ALREADY_LIVE
from tests.browser import chromium, keep
from tests.catalogue.lines import publish
from tests.recorded_run import results_of, run_on, unpacked
from tests.small import few

EVIL = "<script>alert('x')</script> \"quoted\" & <b>bold</b>"
RUN = "manual__2026-11-22T10:00:00+00:00"
VOID = {"meta", "line", "rect", "polyline"}


class Reader(HTMLParser):
    """Collects tags, attributes and text, and checks that every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words += data


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert reader.open == []
    return reader


def leads_inside(attributes: dict[str, str | None]) -> bool:
    """Whether a link leads to a place in the page, to the Ask page, or to a table that is in the link."""
    table = r"data:text/csv;charset=utf-8;base64,[A-Za-z0-9+/=]+"
    return re.fullmatch(rf"#[a-z-]+|\.\./\.\./\.\./ask\?q=[\w.~%/-]*|{table}", attributes["href"] or "") is not None


@pytest.fixture
def results(tmp_path: Path) -> dict[str, Any]:
    """What a real run left, published; its catalogue file is worse than it was, and a line of it was lost."""
    found = results_of(run_on(unpacked(tmp_path / "recorded")))
    found["download"]["stats"]["file"] = EVIL
    found["convert"]["stats"]["trn"] |= {
        "merged": 0,
        "mended": {"uid was a number": 31},
        "ignored": {EVIL: 83},
        "warnings": [f"trn: 83 of 140 products have no content; ignored fields: {EVIL} (83)."],
        "repeated_texts": [{"title": EVIL, "line": 17, "count": 50}],
    }
    found["evaluate"]["stats"]["examples"]["won"][0] |= {"query": EVIL, "base rank": None}
    version = found["verify"]["fingerprint"]
    reason, previous = "first index", None
    decision = {"version": version, "published": True, "reason": reason, "previous": previous, "deleted": []}
    (found_disk := prune(tmp_path / "recorded" / "data", RetentionSettings()).model_dump())["notes"] = [EVIL]
    return {**found, "publish": decision, "prune": found_disk}


def test_shows_every_part(root: Path, results: dict[str, Any]) -> None:
    """A stage whose figures do not reach the page might as well not have counted."""
    made = report(results, root=root, run_id=RUN, logical_date="2026-11-22T10:00:00+00:00")
    reader = read(made.path / "report.html")
    for words in (
        *(
            "Published",
            "first index",
            RUN,
            "15,169",
            "140",
            "entities",
            "no title",
            "262",
            *("+0.4091 ▲ better", "+0.227 to +0.636", "+0.0000 ≈ within noise", "0.254 to 0.618"),
            *("1 in hybrid search", "held-out products", "not found", "In small print: the 95 % interval"),
            *("uid was a number", "31", "Fields that were ignored", "83 of 140 products have no content", "23"),
            *("363", "140 (100.0%)", "140 (93.3%)"),
            '{"uid":"0001360183"',
            *("The data directory by kind, MiB, after pruning", "MiB freed", "Kept is what 0 runs"),
        ),
        *("Training loss", "tokens/s", "3774", "no: 149 of 150", results["fine_tune"]["fingerprint"], "torch"),
    ):
        assert words in reader.words, words
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", (made.path / "report.html").read_text())
    assert captions == [
        *["Order of the first 10 (nDCG@10)"] * 2,
        *("nDCG@10 by weight, title_to_content", "nDCG@10 by weight, query_to_label"),
        *("140 of 140 products by meaning", "Training loss", "Learning rate"),
        *("Lines of trn by fate", "Length of titles, trn", "Length of contents, trn", "Titles by script, trn"),
        *("Time to make", "Inside evaluate"),
    ]
    assert "is missing" not in reader.words
    assert made.stats["run_id"] == RUN


def test_shows_which_columns_were_taken(root: Path, results: dict[str, Any]) -> None:
    """Danger: a wrong guess is seen in a log that nobody opens."""
    lines = [b'{"asin": "A%d", "Name": "Pan %d", "Brand": "Acme", "price": "$%d"}' % (n, n, n) for n in range(29)]
    lines.append(b'{"asin": "A", "Name": "Lid", "price": "on request"}')
    mapped = convert(publish(root, b"\n".join(lines)), ConvertSettings(), root=root)
    results["convert"] = mapped.summary()
    words = read(report(results, root=root, run_id=RUN, logical_date=None).path / "report.html").words
    for said in ("Columns of the catalogue", "asin", "Name", "Brand, price (each with its name: no column is"):
        assert said in words
    for said in ("Attributes", "keyword", "money", "29 (96.7%)", "on request", "USD 29"):
        assert said in words


def test_catalogue_text_cannot_become_part_of_the_page(root: Path, results: dict[str, Any]) -> None:
    """A product title with a script in it would run in the browser of whoever opens the report."""
    results["publish"]["reason"] = EVIL
    reader = read(report(results, root=root, run_id=EVIL, logical_date=EVIL).path / "report.html")
    tags = {tag for tag, _ in reader.tags}
    assert not tags & {"script", "b", "iframe", "img", "link", "object"}
    assert all(leads_inside(attributes) for tag, attributes in reader.tags if tag == "a")
    assert reader.words.count(EVIL) >= 4
    assert not [name for _, attributes in reader.tags for name in attributes if name.startswith("on")]


def test_needs_nothing_from_elsewhere(root: Path, results: dict[str, Any]) -> None:
    """A page that loads a font or a script breaks offline and under the UI's content policy."""
    page = (report(results, root=root, run_id=RUN, logical_date=None).path / "report.html").read_text()
    assert not re.search(r'https?:|src=|href="(?!#|data:text/csv|\.\./\.\./\.\./ask)|url\(|@import', page)
    assert "prefers-color-scheme: dark" in page


def test_can_be_read_aloud(root: Path, results: dict[str, Any]) -> None:
    """A table without headers or a chart without words is noise to a screen reader."""
    reader = read(report(results, root=root, run_id=RUN, logical_date=None).path / "report.html")
    tags = [tag for tag, _ in reader.tags]
    assert tags.count("caption") == tags.count("table") > 5
    assert all(attributes.get("scope") in {"row", "col"} for tag, attributes in reader.tags if tag == "th")
    for tag, attributes in reader.tags:
        if tag == "svg":
            assert attributes["role"] == "img"
            assert attributes["aria-label"]
    assert [tag for tag in tags if tag in {"h1", "h2"}].count("h1") == 1


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_draws_every_plot(root: Path, results: dict[str, Any], scheme: Literal["light", "dark"]) -> None:
    """What only a test has read may be blank, cut off or too wide on a screen."""
    made = report(results, root=root, run_id=RUN, logical_date=None)
    with chromium() as browser:
        page = browser.new_context(viewport={"width": 1200, "height": 900}, color_scheme=scheme).new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto((made.path / "report.html").as_uri())
        keep(page, f"report-{scheme}")
        assert page.evaluate("document.documentElement.scrollHeight") < 3 * 900, "it opens at about three screens"
        assert not page.locator("figcaption", has_text="Time to make").is_visible()
        page.get_by_role("link", name="Time", exact=True).click()
        page.get_by_text("Time by stage").click()
        assert page.locator("figcaption", has_text="Time to make").is_visible()
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert said == []
        plots = page.locator("svg").all()
        assert len(plots) == 13
        for plot in plots:
            marks = plot.locator("rect, circle, polyline")
            assert marks.count() > 0
            for mark in marks.all():
                box = mark.bounding_box()
                assert box is not None and box["width"] + box["height"] > 0
        for words in (
            "▲ better",
            "0.254 to 0.618",
            "Examples: won, title_to_content",
            "Time to make",
            "1 in hybrid",
        ):
            assert page.locator("td, p, caption, figcaption", has_text=words).first.is_visible(), words
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, "a phone has to scroll sideways"


def test_the_rejected_rows_can_be_taken_away_and_compute_nothing(root: Path, results: dict[str, Any]) -> None:
    """Danger: a line of the catalogue is a formula in whoever's spreadsheet opens it."""
    lines = [b'{"uid": "%d", "title": "Pan", "content": "Of iron"}' % number for number in range(9)]
    made = convert(
        publish(root, b"\n".join([*lines, b"=1+1", b" @SUM(A1)"])), ConvertSettings(max_reject_share=0.5), root=root
    )
    results["convert"] = made.summary()
    reader = read(report(results, root=root, run_id=RUN, logical_date=None).path / "report.html")
    (link,) = [attributes for tag, attributes in reader.tags if tag == "a" and "download" in attributes]
    table = base64.b64decode((link["href"] or "").partition("base64,")[2]).decode("utf-8-sig")
    rows = list(csv.reader(table.splitlines()))
    assert rows[0] == ["file", "line", "reason", "excerpt"]
    assert [row[3] for row in rows[1:]] == ["'=1+1", "' @SUM(A1)"]


def test_settings_that_differ_from_the_live_models_come_first(root: Path, results: dict[str, Any]) -> None:
    """Of thirty settings one was changed, and nobody finds it."""
    path = Path(results["fine_tune"]["path"])
    settings = artifacts.read(path).settings

    def other(space: artifacts.Workspace) -> dict[str, Any]:
        (space.path / "history.json").write_bytes((path / "history.json").read_bytes())
        return {}

    before = artifacts.build(root, kinds.MODEL, other, settings={**settings, "learning_rate": 0.25})
    version = json.loads((Path(results["verify"]["path"]) / "version.json").read_bytes())

    def index(space: artifacts.Workspace) -> dict[str, Any]:
        described = version | {"version": space.path.name[5:21], "model": f"model/{before.fingerprint}"}
        (space.path / "version.json").write_text(json.dumps(described))
        return {}

    live = artifacts.build(root, kinds.VERSION, index, settings={})
    results["publish"]["previous"] = live.fingerprint
    words = read(report(results, root=root, run_id=RUN, logical_date=None).path / "report.html").words
    shown = words[words.index("Settings that differ from the model that was live before") :][:200]
    assert "learning_rate" in shown and "0.25" in shown and "epochs" not in shown
    assert "Training loss of the model that was live before" in words


@pytest.mark.browser
def test_on_paper_nothing_is_folded(root: Path, results: dict[str, Any]) -> None:
    """Whoever files the report has no triangle to press."""
    made = report(results, root=root, run_id=RUN, logical_date=None)
    with chromium() as browser:
        page = browser.new_page()
        page.goto((made.path / "report.html").as_uri())
        page.emulate_media(media="print")
        for words in ("Time to make", "Outputs", "The gate: what evaluation said"):
            box = page.get_by_text(words, exact=True).first.bounding_box()
            assert box is not None and box["height"] > 0, words
        assert page.evaluate("document.documentElement.scrollHeight") > 6000


def test_every_entry_of_the_contents_leads_to_its_part(root: Path, results: dict[str, Any]) -> None:
    """A link to nowhere is worse than none."""
    reader = read(report(results, root=root, run_id=RUN, logical_date=None).path / "report.html")
    parts = [attributes["id"] for tag, attributes in reader.tags if tag == "section"]
    links = [attributes["href"] for tag, attributes in reader.tags if tag == "a"]
    assert [link for link in links if link and link[0] == "#"] == [f"#{part}" for part in parts]
    assert len(set(parts)) == len(parts) >= 7


CHANGE = {
    "live_version": "old", "live_products": 152, "products": 140, "gone": 12, "new": 0, "live_is_sample": False,
    "is_sample": False,
}  # fmt: skip


def told(results: dict[str, Any], root: Path) -> str:
    """The sentence for somebody who reads nothing else."""
    page = (report(results, root=root, run_id=RUN, logical_date=None).path / "report.html").read_text()
    return unescape(re.findall(r'<p class="lead">(.*?)</p>', page)[0])


def test_the_first_sentence_says_what_became_of_the_run(root: Path, results: dict[str, Any]) -> None:
    """Who decides reads one sentence, and no nDCG."""
    found = "it finds the right product at once for 5 of 100 test questions, without training 5"
    assert told(results, root) == f"The first index is live: {found}; it holds 140 products."
    results["publish"] |= {"previous": "old", "catalogue": CHANGE}
    assert told(results, root) == f"The new index went live: {found}; 12 products are gone, none is new."
    refused = {**results, "publish": results["publish"] | {"published": False}}
    assert told(refused, root) == (
        f"The new index did not go live: {found}; 12 products are gone, none is new. What was live before stays live."
    )
    results["publish"]["reason"] = ALREADY_LIVE
    assert told(results, root).startswith("Nothing has changed: the index that this run came to was live already")
    waiting = {**results, "publish": None, "approve": {"asked": True, "since": "now", "catalogue": CHANGE}}
    assert told(waiting, root).startswith("A new index is ready and waits for a person's yes: it finds the right")
    assert told(failed(results, FAILED), root).startswith("The run failed, so it changed nothing that people search.")
    assert told({}, root).startswith("Nothing has been decided yet.")


def test_says_what_is_missing(root: Path) -> None:
    """An invented nought looks like a measurement."""
    reader = read(report({}, root=root, run_id=RUN, logical_date=None).path / "report.html")
    assert reader.words.count("missing") >= 8
    assert "No decision" in reader.words
    assert "Published" not in reader.words
    assert not [tag for tag, _ in reader.tags if tag == "svg"]


def test_a_prune_that_failed_says_so(root: Path, results: dict[str, Any]) -> None:
    """The run is green all the same, and the disk fills up unseen."""
    del results["prune"]
    results["unpruned"] = [failure.record(DamagedArtifact("journal.json is not a journal.", "Correct it by hand."))]
    reader = read(report(results, root=root, run_id=RUN, logical_date=None).path / "report.html")
    assert "prune failed: journal.json is not a journal. Correct it by hand." in reader.words


def test_a_refused_version_says_why(root: Path, results: dict[str, Any]) -> None:
    """Why nothing went live is the first thing that a reader wants to know."""
    results["publish"] |= {"published": False, "reason": "recall@10 fell by 0.05"}
    reader = read(report(results, root=root, run_id=RUN, logical_date=None).path / "report.html")
    assert "Not published" in reader.words
    assert "recall@10 fell by 0.05" in reader.words


def test_a_run_that_waits_for_a_person_says_so(root: Path, results: dict[str, Any]) -> None:
    """The person who decides reads this page before there is a decision."""
    del results["publish"]
    results["approve"] = {"asked": True, "since": "2026-11-22T10:00:00+00:00"}
    reader = read(report(results, root=root, run_id=RUN, logical_date=None).path / "report.html")
    assert "Waiting for a person" in reader.words
    assert "2026-11-22T10:00:00+00:00: approve or reject it under Required Actions" in reader.words
    assert "+0.4091 ▲ better" in reader.words


@pytest.mark.parametrize(
    ("approved", "by", "told"),
    [(True, "ana", "approved"), (False, "ana", "rejected"), (False, None, "no answer in time")],
)
def test_who_decided_is_shown(root: Path, results: dict[str, Any], approved: bool, by: str | None, told: str) -> None:
    """An index that went live against the gate needs a name beside it."""
    results["approve"] = {"asked": True, "approved": approved, "by": by, "at": "2026-11-22T11:00:00+00:00"}
    reader = read(report(results, root=root, run_id=RUN, logical_date=None).path / "report.html")
    for words in ("The person's answer", told, by or "–", "2026-11-22T11:00:00+00:00"):
        assert words in reader.words, words


FAILED: dict[str, Any] = {
    "class": "TooManyRejects",
    "what": "/data/trn.json: 30.0 % of the lines are unusable, over the 20.0 % allowed. Commonest: no title.",
    "next_step": "Look at rejected.parquet. Raise max_reject_share only if the reasons are right.",
    "terminal": True,
    "task": "fine_tune",
    "map_index": -1,
    "try_number": 1,
    "max_tries": 5,
    "retry_at": None,
    "log": "dags/train_and_index/runs/manual__x/tasks/fine_tune?try_number=1",
}


def failed(results: dict[str, Any], *records: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The results of a run that failed after convert."""
    lost = dict.fromkeys(("fine_tune", "evaluate", "shards", "verify", "approve", "publish"))
    return {**results, **lost, "failed": list(records), **more}


def test_a_run_that_failed_shows_why_what_to_do_and_what_there_is(root: Path, results: dict[str, Any]) -> None:
    """The reader comes for one sentence; eight times "is missing" and an empty plot bury it."""
    made = report(failed(results, FAILED), root=root, run_id=RUN, logical_date=None)
    reader = read(made.path / "report.html")
    words = " ".join(reader.words.split())
    sought = ("This run failed", "fine_tune failed", FAILED["what"], "What to do: Look", "Log of fine_tune", "What the")
    at = [words.index(each) for each in sought]
    assert at == sorted(at), "the message comes first"
    assert "TooManyRejects" in reader.words
    assert "try 1 of 5" not in reader.words
    hrefs = [attributes["href"] for tag, attributes in reader.tags if tag == "a"]
    assert hrefs == ["../../../../dags/train_and_index/runs/manual__x/tasks/fine_tune?try_number=1"]
    assert "140 products; trn: 150 read = 140 accepted + 9 rejected + 0 merged" in words
    assert "15,169 bytes" in words
    assert "missing" not in words
    assert not [tag for tag, _ in reader.tags if tag in ("svg", "table", "figure")]
    assert [each for each in ("Published", "No decision", "Lines by fate") if each in words] == []


def test_a_failed_runs_page_comes_whatever_an_earlier_stage_has_left(
    root: Path, results: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """One summary of another form, as an older Vitrine left it, must not cost the message that the reader needs."""
    del results["convert"]["stats"]["trn"]
    reader = read(report(failed(results, FAILED), root=root, run_id=RUN, logical_date=None).path / "report.html")
    assert FAILED["what"] in " ".join(reader.words.split())
    assert "15,169 bytes" in reader.words
    assert "left out of the report: convert" in caplog.text


def test_shards_that_failed_alike_are_told_once(root: Path, results: dict[str, Any]) -> None:
    """Thirty times the same message is a page that nobody reads to its end."""
    shards = [{**FAILED, "task": "shard.embed", "map_index": n, "log": f"log/{n}"} for n in range(30)]
    reader = read(report(failed(results, *shards), root=root, run_id=RUN, logical_date=None).path / "report.html")
    assert reader.words.count("30.0 % of the lines") == 1
    assert "shard.embed failed, shards 0, 1, 2, 3, 4, 5, 6, 7 and 22 more" in reader.words


def test_a_task_that_was_killed_has_no_message_but_a_log(root: Path, results: dict[str, Any]) -> None:
    """The kernel's out-of-memory killer lets nobody write a last word."""
    killed = failure.silent("fine_tune", -1, "dags/d/runs/r/tasks/fine_tune")
    reader = read(report(failed(results, killed), root=root, run_id=RUN, logical_date=None).path / "report.html")
    assert "It left no message" in reader.words
    assert "Log of fine_tune" in reader.words
    assert "None" not in reader.words


def test_a_run_that_was_ended_from_outside_says_what_is_known(root: Path, results: dict[str, Any]) -> None:
    """Who looks at a red run the next morning should not hunt for a fault that never was."""
    killed = failure.silent("fine_tune", -1, "dags/d/runs/r/tasks/fine_tune")
    ended = failed(results, killed, stopped=True)
    reader = read(report(ended, root=root, run_id=RUN, logical_date=None).path / "report.html")
    assert "This run was ended from outside" in reader.words
    assert "fine_tune was running then" in reader.words
    assert "ended with the run, or had been killed before" in reader.words, "memory may have run out before that"
    assert "by hand" not in reader.words, "a program may have ended it"
    assert "–" not in reader.words, "a dash stands for nothing"
    waiting = failed(results, stopped=True)
    reader = read(report(waiting, root=root, run_id=RUN, logical_date=None).path / "report.html")
    assert "This run was ended from outside" in reader.words
    assert "No task had failed" in reader.words


def test_a_failures_text_cannot_become_part_of_the_page(root: Path, results: dict[str, Any]) -> None:
    """Messages quote the catalogue, and a run's id is whatever its trigger says."""
    evil = {**FAILED, "what": EVIL, "next_step": EVIL, "class": EVIL, "log": f'"><script>{EVIL}'}
    reader = read(report(failed(results, evil), root=root, run_id=EVIL, logical_date=None).path / "report.html")
    assert not {tag for tag, _ in reader.tags} & {"script", "iframe", "img"}


LONG = "/data/" + "a-very-long-folder-name/" * 12 + "products.json.gz"


@pytest.mark.browser
@pytest.mark.parametrize("kind", ["success", "failed"])
def test_on_a_phone_nothing_sticks_out(root: Path, results: dict[str, Any], kind: str) -> None:
    """Wide tables scroll inside their own box; a page that scrolls sideways is not read on a phone."""
    facts = results if kind == "success" else failed(results, {**FAILED, "what": LONG, "task": "shard.embed" * 6})
    made = report(facts, root=root, run_id=RUN * 3, logical_date=None)
    with chromium() as browser:
        page = browser.new_context(viewport={"width": 375, "height": 800}).new_page()
        page.goto((made.path / "report.html").as_uri())
        keep(page, f"report-{kind}-phone")
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        wide = """[...document.querySelectorAll("main *")].filter(each =>
            each.getBoundingClientRect().right > 375 && !each.closest(".scroll")).map(each => each.outerHTML)"""
        assert page.evaluate(wide) == []


@pytest.mark.browser
@pytest.mark.parametrize(("system", "chosen"), [("light", "dark"), ("dark", "light"), ("dark", None)])
def test_the_chosen_theme_counts_before_the_systems(
    root: Path, results: dict[str, Any], system: Literal["light", "dark"], chosen: str | None
) -> None:
    """A white page inside a dark UI blinds; opened alone, the file follows the system."""
    made = report(results, root=root, run_id=RUN, logical_date=None)
    with chromium() as browser:
        page = browser.new_context(color_scheme=system).new_page()
        page.goto((made.path / "report.html").as_uri())
        page.evaluate("chosen => { if (chosen) document.documentElement.dataset.theme = chosen; }", chosen)
        back = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert back == {"dark": "rgb(18, 22, 27)", "light": "rgb(246, 247, 248)"}[chosen or system]


def test_an_evaluation_without_intervals_still_shows_what_changed(root: Path, results: dict[str, Any]) -> None:
    """The page outlives the code that made its figures."""
    for name in ("intervals", "differences"):
        del results["evaluate"]["stats"]["protocols"]["title_to_content"][name]
    reader = read(report(results, root=root, run_id=RUN, logical_date=None).path / "report.html")
    assert "+0.0000" in reader.words
    assert reader.words.count("tuned − base") == 2, "the one protocol has nothing else to compare"


def test_is_found_by_the_runs_id_and_by_no_other(root: Path, results: dict[str, Any]) -> None:
    """The tab of one run must not show another run's report."""
    assert page_of_run(root, RUN) is None
    made = report(results, root=root, run_id=RUN, logical_date=None)
    assert page_of_run(root, RUN) == made.path / "report.html"
    for other in ("", RUN + "x", "../" + RUN, "/etc/passwd", "..", "\x00", "by_run"):
        assert page_of_run(root, other) is None


def test_a_rerun_report_replaces_the_runs_entry(root: Path, results: dict[str, Any]) -> None:
    """After a stage was cleared and run again, the tab must show the new figures."""
    first = report(results, root=root, run_id=RUN, logical_date=None)
    again = report(results, root=root, run_id=RUN, logical_date=None)
    assert (again.reused, again.path) == (True, first.path)
    results["publish"]["published"] = False
    second = report(results, root=root, run_id=RUN, logical_date=None)
    assert second.path != first.path
    assert page_of_run(root, RUN) == second.path / "report.html"


def test_a_changed_report_is_not_served(root: Path, results: dict[str, Any]) -> None:
    """Half a page, or somebody else's, must not pass for the report."""
    made = report(results, root=root, run_id=RUN, logical_date=None)
    (made.path / "report.html").write_text("<h1>other</h1>")
    with pytest.raises(DamagedArtifact):
        page_of_run(root, RUN)
    (entry,) = (root / "report" / "by_run").glob("*.json")
    entry.write_text(json.dumps({"run_id": RUN, "fingerprint": "../../secret"}))
    with pytest.raises(DamagedArtifact, match="does not name a report"):
        page_of_run(root, RUN)


def test_a_lost_model_leaves_a_gap_not_a_failure(root: Path, results: dict[str, Any]) -> None:
    """The report describes a finished run; it must not fail because a file was deleted or damaged since."""
    (Path(results["fine_tune"]["path"]) / "history.json").write_text("{")
    reader = read(report(results, root=root, run_id=RUN, logical_date=None).path / "report.html")
    assert "The model's history.json is missing" in reader.words


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "–"), (float("nan"), "–"), ("", "–"), (1234567, "1,234,567"), (True, "yes"), (0.123456, "0.1235")],
)
def test_values_are_readable(value: Any, words: str) -> None:
    """`nan` and `1234567` are hard to read, and a bool is no number."""
    assert shown(value) == words


def test_a_chart_of_many_points_stays_small_and_keeps_its_ends() -> None:
    """A million steps would make a page of 30 MB."""
    values = [1.0] * 50_000 + [0.5] * 50_000
    chart = line_chart("loss", range(100_000), values, x_name="step", y_name="loss", smooth=True)
    assert len(chart) < 20_000
    assert "from 1 at 0 to 0.5 at 99,999" in chart


@pytest.mark.parametrize("y", [[], [1.0], [float("nan"), float("inf")]])
def test_a_chart_of_nothing_says_so(y: list[float]) -> None:
    """A division by the empty range would fail the report task."""
    assert "missing" in line_chart("loss", range(len(y)), y, x_name="step", y_name="loss")
    assert "missing" in bar_chart("loss", [])
    assert "missing" in interval_chart("loss", [("a", value, None) for value in y if value != 1.0])
    assert "missing" in histogram("loss", [], [], x_name="x")
    assert "missing" in histogram("loss", [1, 2], [0], x_name="x")
    empty = TEMPLATES.from_string('{% from "parts.html.j2" import table %}{{ table("loss", ["a"], []) }}')
    assert "loss is missing" in empty.render()


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (2.13, 2.14), (-3.0, 1e6), (1.0, 1.0), (1e-7, 9e-5)])
def test_ticks_are_few_and_span_the_values(low: float, high: float) -> None:
    """Ticks that stop short would let the line leave the chart."""
    marks = ticks(low, high)
    assert 1 <= len(marks) <= 8
    assert marks[0] <= low
    assert marks[-1] >= high


def test_the_catalogue_against_the_live_one_is_shown(root: Path) -> None:
    """1,695 products against 377: nobody should have to look into the log for it."""
    change = {
        "live_version": "fedcba9876543210", "live_products": 1695, "products": 377, "gone": 1695, "new": 377,
        "live_is_sample": False, "is_sample": True, "uncompared": None,
    }  # fmt: skip
    decision = {"version": "v", "published": False, "reason": "kept, not published: …", "catalogue": change}
    for results in ({"publish": decision}, {"approve": {"asked": True, "since": "now", "catalogue": change}}):
        made = report(results, root=root, run_id=RUN, logical_date=None)
        words = read(made.path / "report.html").words
        shown = words[words.rindex("What changes in the catalogue") :][:600]
        for part in ("fedcba9876543210", "1,695", "377", "a real one", "the synthetic sample"):
            assert part in shown, part
    made = report({"publish": decision | {"catalogue": None}}, root=root, run_id=RUN, logical_date=None)
    assert "What changes in the catalogue" not in read(made.path / "report.html").words


def test_what_was_said_at_the_start_is_in_the_report(root: Path, results: dict[str, Any]) -> None:
    """A run that could only build said so in its first task's log, which nobody opens afterwards."""
    results["download"]["notes"] = ["This run can only build: …"]
    made = report(results, root=root, run_id=RUN, logical_date=None)
    assert "This run can only build" in read(made.path / "report.html").words


ANY_TEXT = st.text(max_size=20) | st.sampled_from(
    [EVIL, "</style></head>", "\ud800", "\0", "<!--", "&lt;script&gt;", "x" * 400, "\n" * 9]
)


@few(4)
@given(
    st.dictionaries(st.sampled_from(["what", "next_step", "class", "task", "log"]), ANY_TEXT), ANY_TEXT, st.booleans()
)
@example({}, "\ud800", False)
@example({"what": ""}, "", True)
def test_whatever_a_run_says_is_text_in_its_report(
    root: Path, results: dict[str, Any], said: dict[str, str], name: str, fails: bool
) -> None:
    """Danger: a title, an error or a run's id is markup in the page, or ends the report in an exception."""
    results = json.loads(json.dumps(results))
    results["publish"]["reason"] = name
    results["convert"]["stats"]["trn"] |= {"ignored": {name: 1}, "reasons": {name: 7}, "warnings": [name]}
    told = failed(results, {**FAILED, **said}) if fails else results
    run_id = name.encode("utf-8", "replace").decode()
    made = report(told, root=root, run_id=run_id, logical_date=name)
    reader = read(made.path / "report.html")
    markup = {"script", "iframe", "img", "link", "object"}
    assert not {tag for tag, _ in reader.tags} & (markup if fails else {*markup, "b"})
    assert fails or all(leads_inside(attributes) for tag, attributes in reader.tags if tag == "a")
    assert page_of_run(root, run_id) == made.path / "report.html"


def test_what_people_said_is_told_escaped(results: dict[str, Any], root: Path) -> None:
    """A comment is whatever anybody has typed; and a report without any must not speak of it."""
    wrong = {"question": EVIL, "answer": EVIL, "right": "", "comment": EVIL}
    spoken = {
        "versions": {"0" * 16: {"up": 3, "down": 1}},
        "questions": 2,
        "unused": {"judged wrong": 1},
        "wrong": [wrong],
    }
    stats = {"read": 2, "accepted": 2, "feedback": spoken, "asked": [{"question": EVIL, "part": "exam"}]}
    made = {"kind": "questions", "fingerprint": "0" * 16, "path": "q", "reused": False, "seconds": 0.1}
    without = read(report(results, root=root, run_id=RUN, logical_date=None).path / "report.html")
    assert "What people said" not in without.words
    results["read_questions"] = {**made, "stats": stats}
    page = read(report(results, root=root, run_id=RUN, logical_date=None).path / "report.html")
    assert "What people said" in page.words
    assert page.words.count(EVIL) - without.words.count(EVIL) == 4
    assert "script" not in {tag for tag, _ in page.tags}
