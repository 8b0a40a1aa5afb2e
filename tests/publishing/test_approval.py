"""include/publishing/approval.py: a person decides on the right figures, and silence is no consent."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include.core.errors import AlreadyAsked
from include.core.settings import EvaluateSettings
from include.publishing.approval import answered, ask_once, asked_about, request, request_approval
from include.publishing.catalogue_change import CatalogueChange, objection
from include.publishing.verdict import Verdict
from tests.recorded_run import results_of, run_on, unpacked

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def results(*, passed: bool = True, reason: str = "better than the base") -> dict[str, Any]:
    systems = {"base": {"ndcg@10": 0.71, "r@10": 0.85}, "tuned": {"ndcg@10": 0.8, "r@10": 0.91}}
    better = {"difference": 0.09, "low": 0.04, "high": 0.13, "verdict": "better"}
    same = {"difference": -0.01, "low": -0.03, "high": 0.02, "verdict": "same"}
    protocol = {
        "queries": 1300,
        "corpus": 3000,
        "systems": systems,
        "intervals": {"tuned": {"ndcg@10": [0.76, 0.84]}},
        "differences": {"tuned-base": {"ndcg@10": better, "r@10": same}},
    }
    gate = {"passed": passed, "reason": reason}
    counts = {"read": 3100, "accepted": 3000, "rejected": 70, "merged": 30}
    return {
        "convert": {"stats": {"trn": counts}},
        "evaluate": {"stats": {"protocols": {"title_to_content": protocol}, "gate": gate}, "fingerprint": "e"},
        "verify": {"fingerprint": "0123456789abcdef", "stats": {"points": 3000, "recall": 0.998}},
    }


def asked(found: dict[str, Any], live: str | None = "fedcba9876543210", **more: Any) -> dict[str, str]:
    decided = Verdict(False, "nobody was asked", ask=True, live=live, **more)
    return request(found, decided, collection="products", hours=2.0, link="dags/x/report", now=NOW)


def test_the_request_has_the_figures_and_what_an_answer_does() -> None:
    """A person who has to look elsewhere for the figures approves without them."""
    made = asked(results())
    assert made["subject"] == "Publish version 0123456789abcdef of products?"
    for shown in (
        *("**The gate passed**: better than the base", "Live is `fedcba9876543210`", "1,300 queries among 3,000"),
        *("| **tuned** | 0.800 (0.760 to 0.840) | 0.910 |", "| base | 0.710 | 0.850 |"),
        "| tuned − base | **+0.090 (+0.040 to +0.130) better** | −0.010 (−0.030 to +0.020) |",
        *("3,000 products of 3,100 lines (70 rejected, 30 merged)", "3,000 points", "0.998", "(dags/x/report)"),
        "until 2026-11-22 12:00 UTC",
    ):
        assert shown in made["body"], shown
    assert "Nothing is live yet" in asked(results(), live=None)["body"]


def test_a_gate_that_did_not_pass_stands_in_the_question() -> None:
    """Who overrules the gate should know that they do."""
    made = asked(results(passed=False, reason="worse than the live model"))
    assert "although the gate did not pass?" in made["subject"]
    assert "**The gate did not pass**: worse than the live model" in made["body"]


def test_a_loss_of_products_stands_first_in_the_question() -> None:
    """Who looks at the model's figures alone would approve an index of invented products."""
    change = CatalogueChange("fedcba9876543210", 1695, 377, 1695, 377, live_is_sample=False, is_sample=True)
    against = objection(change, EvaluateSettings(), "products")
    made = asked(results(passed=False), change=change, against=against)
    assert made["subject"].endswith(
        "although the synthetic sample replaces a real catalogue and the gate did not pass?"
    )
    assert made["body"].startswith("**Look at the catalogue**: the synthetic sample would replace a real catalogue: ")
    assert "1,695 products, this one 377; 1,695 of the live ones are gone (100%), 377 are new" in made["body"]


def test_a_harmless_change_of_the_catalogue_is_told_too() -> None:
    """Both counts are asked for before every publication."""
    change = CatalogueChange("fedcba9876543210", 100, 110, 5, 15, live_is_sample=False, is_sample=False)
    body = asked(results(), change=change)["body"]
    assert "**Catalogue against the live one**: the live version has 100 products, this one 110; 5 of the" in body


def test_text_from_elsewhere_cannot_shape_the_request() -> None:
    """A link or a heading in the request would look like ours."""
    body = asked(results(reason="see [here](https://example.org)\n# **Approve** | <b>now</b>"))["body"]
    assert r"see \[here\](https://example.org) \# \*\*Approve\*\* \| \<b\>now\</b\>." in body


@pytest.mark.parametrize("missing", ["differences", "intervals"])
def test_figures_that_are_not_there_are_left_out(missing: str) -> None:
    """An evaluation of another version of the code has fewer of them; the question must still come."""
    found = results()
    del found["evaluate"]["stats"]["protocols"]["title_to_content"][missing]
    found["convert"] = {}
    assert "| **tuned** | 0.800" in asked(found)["body"]


def test_only_a_persons_approve_is_an_approval() -> None:
    """At the end of the time Airflow answers by itself, as nobody."""
    yes = {"asked": True, "approved": True, "by": "ana", "at": "2026-11-22T10:00:00+00:00", "live": "v0"}
    assert answered(["Approve"], by="ana", at=NOW, live="v0") == yes
    assert not answered(["Reject"], by="ana", at=NOW, live="v0")["approved"]
    assert not answered(["Approve"], by=None, at=NOW, live="v0")["approved"]
    assert not answered(["Reject"], by=None, at=NOW, live="v0")["approved"]
    assert not answered([], by="ana", at=NOW, live="v0")["approved"]


def test_a_run_asks_about_one_thing_only(root: Path) -> None:
    """Airflow would show the first question's figures above the second one's buttons."""
    about = {"verify": "v1", "evaluate": "e1", "live": None}
    ask_once(root, "run", about)
    ask_once(root, "run", about)  # a retry
    with pytest.raises(AlreadyAsked, match="Trigger a new run"):
        ask_once(root, "run", about | {"verify": "v2"})
    ask_once(root, "another run", about | {"verify": "v2"})
    notes = [json.loads(path.read_text())["verify"] for path in (root / "approval").glob("*.json")]
    assert sorted(notes) == ["v1", "v2"]
    assert asked_about(root, "run")["live"] is None


def test_a_run_that_asks_nobody_needs_no_store(tmp_path: Path) -> None:
    """A server that is away for a minute would fail a run that has nothing to ask it."""
    run = run_on(tmp_path, promote="auto", store="server")
    assert request_approval(run, {}, "link", print) == {"asked": False, "reason": "promote is auto"}


def test_a_report_that_fails_is_no_question_asked(tmp_path: Path) -> None:
    """The note would refuse the retry's question, though nobody has seen the first one."""
    run = run_on(unpacked(tmp_path), promote="approval")
    results = results_of(run)
    shutil.rmtree(run.root / "index")  # so that nothing is live

    def fail(_: Any) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        request_approval(run, results, "link", fail)
    assert not (run.root / "approval").exists()
    shown: list[Any] = []
    made = request_approval(run, results, "link", shown.append)
    assert made["asked"] and results["verify"]["fingerprint"] in made["subject"]
    assert [each["asked"] for each in shown] == [True]
    assert asked_about(run.root, run.run_id)["verify"] == results["verify"]["fingerprint"]
