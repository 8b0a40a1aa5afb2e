"""include/publishing/approval.py: a person decides on the right figures, and silence is no consent."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include.core.errors import AlreadyAsked
from include.core.settings import EvaluateSettings
from include.evaluation.summary import Measured
from include.publishing.approval import SHOWN, answered, ask_once, asked_about, request, request_approval
from include.publishing.catalogue_change import objection
from include.publishing.verdict import Verdict
from include.results import Candidate, CatalogueChange
from tests.recorded_run import results_of, run_on, unpacked

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    """What a real run would ask about."""
    return Candidate.model_validate(results_of(run_on(unpacked(tmp_path_factory.mktemp("recorded")))))


@pytest.fixture
def found(recorded: Candidate) -> Candidate:
    return recorded.model_copy(deep=True)


def asked(found: Candidate, live: str | None = "fedcba9876543210", **more: Any) -> dict[str, str]:
    decided = Verdict(False, "nobody was asked", ask=True, live=live, **more)
    return request(found, decided, collection="products", hours=2.0, link="dags/x/report", now=NOW)


def test_the_request_has_the_figures_and_what_an_answer_does(found: Candidate) -> None:
    """A person who has to look elsewhere for the figures approves without them."""
    made = asked(found)
    assert made["subject"] == f"Publish version {found.verify.fingerprint} of products?"
    for shown in (
        *(
            "**The gate passed**: by nDCG@10 the new model",
            "Live is `fedcba9876543210`",
            "22 queries among 97 products",
        ),
        *("| system | nDCG@10 | R@10 | P@1 | MRR@10 |", "| **tuned** | 0.059 (0.000 to 0.163) | 0.091 (0.000"),
        "| tuned − bm25 | **−0.377 (−0.555 to −0.200) worse** |",
        *("140 products of 150 lines (9 rejected, 1 merged)", "140 points", "1.000", "(dags/x/report)"),
        "until 2026-11-22 12:00 UTC",
    ):
        assert shown in made["body"], shown
    assert "Nothing is live yet" in asked(found, live=None)["body"]


@pytest.mark.parametrize("protocol", ["title_to_content", "query_to_label"])
def test_every_metric_that_the_approver_is_to_see_is_measured(found: Candidate, protocol: str) -> None:
    """MRR was asked for under a name that evaluate never writes, and was left out without a word."""
    assert set(SHOWN) <= set(found.evaluate.stats.protocols[protocol].metrics)


def test_a_gate_that_did_not_pass_stands_in_the_question(found: Candidate) -> None:
    """Who overrules the gate should know that they do."""
    found.evaluate.stats.gate |= {"passed": False, "reason": "worse than the live model"}
    made = asked(found)
    assert "although the gate did not pass?" in made["subject"]
    assert "**The gate did not pass**: worse than the live model" in made["body"]


def test_a_loss_of_products_stands_first_in_the_question(found: Candidate) -> None:
    """Who looks at the model's figures alone would approve an index of invented products."""
    change = CatalogueChange("fedcba9876543210", 1695, 377, 1695, 377, live_is_sample=False, is_sample=True)
    against = objection(change, EvaluateSettings(), "products")
    found.evaluate.stats.gate["passed"] = False
    made = asked(found, change=change, against=against)
    assert made["subject"].endswith(
        "although the synthetic sample replaces a real catalogue and the gate did not pass?"
    )
    assert made["body"].startswith("**Look at the catalogue**: the synthetic sample would replace a real catalogue: ")
    assert "1,695 products, this one 377; 1,695 of the live ones are gone (100%), 377 are new" in made["body"]


def test_a_harmless_change_of_the_catalogue_is_told_too(found: Candidate) -> None:
    """Both counts are asked for before every publication."""
    change = CatalogueChange("fedcba9876543210", 100, 110, 5, 15, live_is_sample=False, is_sample=False)
    body = asked(found, change=change)["body"]
    assert "**Catalogue against the live one**: the live version has 100 products, this one 110; 5 of the" in body


def test_text_from_elsewhere_cannot_shape_the_request(found: Candidate) -> None:
    """A link or a heading in the request would look like ours."""
    found.evaluate.stats.gate["reason"] = "see [here](https://example.org)\n# **Approve** | <b>now</b>"
    body = asked(found)["body"]
    assert r"see \[here\](https://example.org) \# \*\*Approve\*\* \| \<b\>now\</b\>." in body


@pytest.mark.parametrize("missing", ["differences", "intervals"])
def test_figures_that_are_not_there_are_left_out(found: Candidate, missing: str) -> None:
    """An evaluation of another version of the code has fewer of them; the question must still come."""
    stats = found.evaluate.stats.model_dump()
    del stats["protocols"]["title_to_content"][missing]
    found.evaluate.stats = Measured.model_validate(stats)
    assert "| **tuned** | 0.059" in asked(found)["body"]


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
