"""`from include import Vitrine`: what a notebook asks, and what it shows."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import include
from include import Vitrine
from include.answering.answer import answer
from include.core.answer_settings import AnswerSettings
from include.core.environment import REPOSITORY
from include.core.errors import BadSettings, NoLiveIndex, UnknownVersion
from tests.indexed import BIDI, ESC, INDEX, Shop, open_shop, publish_hostile

QUESTION = "How much does the red kettle number 0 weigh?"


def plain(value: object) -> object:
    """The JSON without what differs from one time to the next."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items() if name not in ("seconds", "milliseconds")}
    return [plain(each) for each in value] if isinstance(value, list) else value


def test_an_answer_is_the_json_of_everywhere(described: Path) -> None:
    """Who learns it in a notebook must find the same in the DAG's result."""
    with Vitrine(described) as shop:
        found = shop.ask(QUESTION, top_k=3)
    expected = answer([QUESTION], AnswerSettings(top_k=3), INDEX, root=described)
    assert plain(json.loads(json.dumps(found))) == plain(expected)
    assert len(found["answers"][0]["products"]) == 3


def test_several_questions_are_one_a_line_or_a_list(described: Path) -> None:
    with Vitrine(described) as shop:
        lines, listed = shop.ask("a red kettle\n\na blue tent\n"), shop.ask(["a red kettle", "a blue tent"])
    for found in (lines, listed):
        assert [each["question"] for each in found["answers"]] == ["a red kettle", "a blue tent"]


def test_products_come_as_a_table_with_their_attributes(described: Path) -> None:
    with Vitrine(described) as shop:
        found = shop.ask(["a red kettle", "a blue tent"], top_k=4)
        frame = found.to_frame()
        assert list(frame["question"]) == ["a red kettle"] * 4 + ["a blue tent"] * 4
        assert list(frame["rank"]) == [1, 2, 3, 4] * 2
        assert set(frame["brand"]) <= {"Sony", "LG"}
        cited = [each["uid"] for entry in found["answers"] for each in entry["sources"]]
        assert sorted(frame[frame["cited"].notna()]["uid"]) == sorted(cited)
        searched = shop.search("kettle", filter="price < 20", top_k=5).to_frame()
        assert (searched["price"] < 20).all()
        assert len(searched) == 5
        counted = shop.facets("brand", filter="price < 20").to_frame()
        assert dict(zip(counted["value"], counted["count"], strict=True)) == {"Sony": 10, "LG": 10}


def test_what_is_live_and_what_is_kept(described: Path) -> None:
    with Vitrine(described) as shop:
        live, (kept,) = shop.live(), shop.versions()
        assert (live["version"], live["products"]) == (kept["version"], 40)
        assert kept["live"] is True
        frame = shop.versions().to_frame()
        assert str(frame["logical_date"].iloc[0]) == "2026-01-01 00:00:00+00:00"
        assert live["version"] in repr(shop)
        assert "40 products" in repr(shop)


def test_an_open_version_stays_until_it_is_reopened(root: Path, tiny_model: Path) -> None:
    """A notebook's figures must not change under it; and a day later one line shows what is live then."""
    shop: Shop = open_shop(root, tiny_model)
    shop.publish(1)
    with Vitrine(root) as opened:
        shop.publish(2)
        assert opened.live()["version"] == shop.versions[0]
        assert opened.reopen().live()["version"] == shop.versions[1]
        assert [each["version"] for each in opened.versions() if each["live"]] == [shop.versions[1]]
    with Vitrine(root, version=shop.versions[0]) as earlier:
        assert earlier.ask("golden edition 1")["version"] == shop.versions[0]


def test_nothing_live_no_such_version_and_mistyped_settings_are_told(root: Path, described: Path) -> None:
    with pytest.raises(NoLiveIndex):
        Vitrine(root)
    with pytest.raises(NoLiveIndex, match="'toys'"):
        Vitrine(described, collection="toys")
    with pytest.raises(UnknownVersion):
        Vitrine(described, version="0" * 16)
    with pytest.raises(BadSettings, match="did you mean collection"):
        Vitrine(described, collections="toys")
    with Vitrine(described) as shop:
        with pytest.raises(BadSettings, match="did you mean top_k"):
            shop.ask("a lamp", topk=3)
        with pytest.raises(BadSettings, match="Vitrine\\(data, version"):
            shop.ask("a lamp", version="live")


def test_the_environment_presets_what_is_not_given(described: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does for the forms."""
    monkeypatch.setenv("VITRINE_DATA", str(described))
    monkeypatch.setenv("VITRINE_TOP_K", "2")
    with Vitrine() as shop:
        assert len(shop.ask("a lamp")["answers"][0]["products"]) == 2
        assert len(shop.ask("a lamp", top_k=3)["answers"][0]["products"]) == 3


def test_product_text_is_harmless_where_a_notebook_shows_it(root: Path, tiny_model: Path) -> None:
    """A title with a script runs in the reader's notebook; one with ANSI codes writes over the terminal."""
    publish_hostile(root, tiny_model)
    with Vitrine(root) as shop:
        found = shop.ask(["Which pump <script>alert(2)</script>?", "  "])
        page = found._repr_html_()
        for text in (page, repr(found), repr(shop.search("pump")), repr(shop.facets())):
            assert ESC not in text
            assert BIDI not in text
        assert "Pump &lt;script&gt;alert(1)&lt;/script&gt; \\x1b[31mred\\u202ekcart" in page
        assert "<script" not in page
        assert "Question 2 of 2 is empty." in page
        assert "{{ 7*7 }}" in page
        assert "Pump <script>alert(1)</script> \\x1b[31mred\\u202ekcart" in repr(found)


def test_the_package_itself_loads_nothing() -> None:
    """Every process of Airflow imports `include`, and none of them needs a notebook."""
    code = "import sys, include; print([name for name in sys.modules if name.startswith('include')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['include']"
    with pytest.raises(AttributeError, match="Vitrina"):
        include.Vitrina  # noqa: B018 - the act itself
