"""include/exam/: a version is asked as people ask it, and one that answers worse does not go live."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from include import stages
from include.answering.asker import Asker
from include.core import artifacts, kinds
from include.exam.ask import BATCH
from include.exam.examine import ANSWERS_FILE
from include.exam.summary import Examined
from include.feedback.store import Feedback, append
from include.publishing.needed import needed, published_versions, shelf
from include.run import Run
from include.store.journal import Journal
from include.store.version import IndexVersion
from tests.exam.people import COUNT, ROWS, asked_of, publish, stand_in, summaries, write_file
from tests.faults.killed import kill_at_point
from tests.indexed import Shop, build_version, evaluation
from tests.small import products, write_catalogue


@pytest.fixture
def answers_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str, str], bool]], None]:
    """A function that has versions answer as it is told."""

    def use(right: Callable[[str, str], bool]) -> None:
        monkeypatch.setattr("include.exam.ask.Asker.answer", stand_in(ROWS, right))

    return use


def test_a_version_that_answers_worse_is_not_published_though_its_retrieval_is_as_good(
    shop: Shop, run_of: Callable[..., Run], answers_of: Callable[..., None]
) -> None:
    """Evaluation's gate has passed, and people would get wrong answers from this night on."""
    worse = shop.versions[1]
    answers_of(lambda version, question: version != worse or hash_of(question) % 2 == 0)
    exam, first = publish(shop, 1, run_of(1))
    assert first["published"] and Examined.model_validate(exam["stats"]).live is None
    assert Journal.load(shop.root, "products").history[-1].exam == exam["fingerprint"]

    exam, second = publish(shop, 2, run_of(2))
    assert (second["published"], shop.live) == (False, 1)
    found = Examined.model_validate(exam["stats"])
    assert found.live == shop.versions[0]
    new, live = found.total.figures["new"]["hit@1"], found.total.figures["live"]["hit@1"]
    assert live["value"] == 1.0 > new["value"]
    told = f"right product first {new['value']:.3f} against 1.000 of {new['questions']} questions (−"
    assert told.replace("−", "-") in second["reason"]
    assert "the gate did not pass: the new version answers worse than the live one: " in second["reason"]
    assert "wrong answers" in second["reason"] and "95 % interval" in second["reason"]
    assert set(found.kinds) == {"fact", "absent"}
    assert found.kinds["absent"].differences["answered_wrongly"]["verdict"] == "worse"

    exam, third = publish(shop, 3, run_of(3))
    assert third["published"] and "answers no worse than the live one" in exam["stats"]["gate"]["reason"]


def test_a_version_that_refuses_what_the_live_one_answers_is_not_published(
    shop: Shop, run_of: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds the right products, invents nothing, and is of no use; without evidence only the refusals show it."""
    rows = [replace(each, evidence=()) for each in asked_of(ROWS, COUNT).all]
    file = str(write_file(tmp_path / "bare.jsonl", rows))
    right = stand_in(ROWS, lambda *_: True)

    def answers(asker: Any, texts: list[str], settings: Any, **options: Any) -> dict[str, Any]:
        made: dict[str, Any] = right(asker, texts, settings, **options)
        for each in made["answers"] if settings.version == shop.versions[1] else []:
            each.update(found=False, answer="", sources=[])
        return made

    monkeypatch.setattr("include.exam.ask.Asker.answer", answers)
    assert publish(shop, 1, run_of(1, questions=file))[1]["published"]
    decision = publish(shop, 2, run_of(2, questions=file))[1]
    assert (decision["published"], shop.live) == (False, 1)
    assert "wrong refusals 1.000 against 0.000" in decision["reason"]


def test_other_ways_to_answer_by_the_live_version_are_compared_with_those_it_was_published_with(
    shop: Shop, run_of: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mislabelled rows for calibration would have the live index refuse every question, unseen."""
    knows = stand_in(ROWS, lambda *_: True)

    def answers(asker: Any, texts: list[str], settings: Any, **options: Any) -> dict[str, Any]:
        made: dict[str, Any] = knows(asker, texts, settings, **options)
        for each in made["answers"]:
            if each["confidence"]["answer"] < (0.5 if settings.threshold is None else settings.threshold):
                each.update(found=False, answer="", sources=[])
        return made

    monkeypatch.setattr("include.exam.ask.Asker.answer", answers)
    first, decision = publish(shop, 1, run_of(1))
    assert decision["published"]
    wrong = [replace(each, answerable=False, evidence=()) for each in asked_of(ROWS, 200, "calibrate").all if each.uids]
    file = str(write_file(tmp_path / "wrong.jsonl", [*asked_of(ROWS, COUNT).all, *wrong]))
    exam, decision = publish(shop, 1, run_of(2, questions=file, wrong_answers=0.0))
    assert (exam["stats"]["live"], exam["stats"]["answering"]["threshold"]) == (shop.versions[0], 0.8001)
    assert not decision["published"] and "wrong refusals 1.000 against 0.000" in decision["reason"]
    run = run_of(3, questions=file, wrong_answers=0.0, promote="approval")
    version, evaluated, _ = summaries(shop, 1, run)
    unseen = stages.publish(run, version, evaluated, {"asked": False, "reason": "already live"}, exam)
    assert not unseen["published"] and "nobody was asked" in unseen["reason"]
    assert [entry.exam for entry in Journal.load(shop.root, "products").history] == [first["fingerprint"]]

    again, decision = publish(shop, 1, run_of(4))
    assert (again["fingerprint"], again["reused"]) == (first["fingerprint"], True), "nothing to compare"
    assert decision["reason"] == "already live"


def test_a_run_without_questions_leaves_the_live_versions_reader_and_threshold(
    shop: Shop, run_of: Callable[..., Run]
) -> None:
    """A threshold is of its reader's scores: one without the other answers as nobody measured."""
    run = run_of(1)
    version, evaluated, questions = summaries(shop, 1, run)
    exam = stages.examine(run, version, evaluated, questions)
    made = artifacts.build(shop.root, kinds.READER, lambda _: {}, settings={})
    auto = {"asked": False, "reason": "promote is auto"}
    reader = made.summary() | {"stats": {"used": True}}
    assert exam and stages.publish(run, version, evaluated, auto, exam, reader)["published"]

    assert stages.publish(run_of(2, questions=None), version, evaluated, auto)["reason"] == "already live"
    entry = Journal.load(shop.root, "products").history[-1]
    assert (entry.action, entry.exam, entry.reader) == ("confirmed", exam["fingerprint"], made.fingerprint)
    stages.publish(run_of(3), version, evaluated, auto, exam)
    entry = Journal.load(shop.root, "products").history[-1]
    assert (entry.run_id, entry.reader) == ("run 3", None), "a new exam brings its own"


def test_products_that_the_live_version_has_not_are_no_reason(
    shop: Shop, run_of: Callable[..., Run], tmp_path: Path
) -> None:
    """A catalogue that grows would make any version look better than the live one, a bad one too."""
    rows = products(60)
    publish(shop, 1, run_of(1))
    catalogue = write_catalogue(shop.root, rows)
    version = build_version(shop.root, catalogue, shop.model)
    run = run_of(2, questions=str(write_file(tmp_path / "more.jsonl", asked_of(rows, COUNT).all)))
    questions = stages.read_questions(run, artifacts.read(catalogue).summary())
    evaluated = artifacts.read(evaluation(shop.root, shop.model)).summary()
    exam = stages.examine(run, version.summary(), evaluated, questions)
    assert exam is not None
    common = [each for each in asked_of(rows, COUNT).all if not each.uids or int(each.uids[0]) < len(ROWS)]
    found = Examined.model_validate(exam["stats"])
    assert found.questions == len(common) < COUNT
    assert f"of {sum(each.answerable for each in common)} questions" in found.gate["reason"]
    lines = (Path(exam["path"]) / "answers.jsonl").read_text().splitlines()
    assert len(lines) == COUNT + len(common), "the new version is asked all, for the check of what is live"


def test_a_person_may_approve_against_the_exam(
    shop: Shop, run_of: Callable[..., Run], answers_of: Callable[..., None]
) -> None:
    """Who knows that the exam is out of date must be able to say so, seeing its figures."""
    worse = shop.versions[1]
    answers_of(lambda version, question: version != worse)
    publish(shop, 1, run_of(1))
    run = run_of(2, promote="approval")
    version, evaluated, questions = summaries(shop, 2, run)
    exam = stages.examine(run, version, evaluated, questions)
    assert exam is not None
    from tests.recorded_run import results_of, run_on, unpacked

    recorded = results_of(run_on(unpacked(shop.root.parent / "recorded")))
    results = {"convert": recorded["convert"], "verify": version, "evaluate": evaluated, "examine": exam}
    results["read_questions"] = questions
    asked = stages.request_approval(run, results, "link")
    assert asked["subject"].endswith("although the gate did not pass?")
    assert "**The gate did not pass**: the new version answers worse than the live one" in asked["body"]
    assert "| all: right product first | 1.000 (1.000 to 1.000) | 0.000 (0.000 to 0.000) | **−1.000" in asked["body"]
    (page,) = (shop.root / "report").glob("*/report.html")
    text = page.read_text()
    assert "How well it answers" in text and "The exam, absent" in text
    answering = exam["stats"]["answering"]
    least = f"{answering['threshold']:g}, by {answering['questions']}" if answering else "0.5, the default: too few"
    assert "How sure an answer must be" in text and least in text
    yes = {"asked": True, "approved": True, "by": "ana", "at": "2026-01-02", "live": shop.versions[0]}
    assert evaluated and exam
    decision = stages.publish(run, version, evaluated, yes, exam)
    assert decision["published"] and "although the gate did not pass" in decision["reason"]


def test_a_run_without_questions_asks_nothing(shop: Shop, run_of: Callable[..., Run]) -> None:
    """Most runs have none, and must not wait or change."""
    run = run_of(1, questions=None)
    version, evaluated, _ = summaries(shop, 1, run_of(1))
    assert stages.examine(run, version, evaluated, None) is None
    decision = stages.publish(run, version, evaluated, {"asked": False, "reason": "promote is auto"}, None)
    assert decision["published"]
    assert artifacts.published(shop.root, kinds.EXAM) == []


def test_the_exam_asks_the_index_itself_and_only_its_own_part(shop: Shop, run_of: Callable[..., Run]) -> None:
    """Through the code that answers people, of a version that is not live."""
    shots: list[dict[str, Any]] = []
    run = run_of(1)
    run = Run(run.settings, run.root, run.run_id, run.logical_date, sink=shots.append)
    version, evaluated, questions = summaries(shop, 1, run)
    exam = stages.examine(run, version, evaluated, questions)
    assert exam is not None
    lines = (Path(exam["path"]) / "answers.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == COUNT == questions["stats"]["parts"]["exam"] == exam["stats"]["questions"]
    assert all(len(row["products"]) == 10 for row in rows)
    assert [shot["done"] for shot in shots if shot["stage"] == "examine"][-1] == COUNT
    again = stages.examine(run, version, evaluated, questions)
    assert again is not None and again["reused"]


def test_a_live_version_that_is_damaged_does_not_stop_its_successor(
    shop: Shop, run_of: Callable[..., Run], caplog: pytest.LogCaptureFixture
) -> None:
    """Refusing would keep the broken index live."""
    publish(shop, 1, run_of(1))
    made = IndexVersion.read(shop.root / "version" / shop.versions[0])
    shutil.rmtree(shop.root / made.shards[1]["path"])
    exam, decision = publish(shop, 2, run_of(2))
    assert decision["published"] and exam["stats"]["live"] is None
    assert "cannot be asked" in caplog.text


def test_what_a_published_version_was_asked_is_kept(shop: Shop, run_of: Callable[..., Run]) -> None:
    """The check of the live index asks the same questions again, months later."""
    exam, _ = publish(shop, 1, run_of(1))
    kept = needed(shop.root, shelf(shop.root), [], [shop.versions[0]])
    assert f"exam/{exam['fingerprint']}" in kept
    assert f"questions/{artifacts.read(Path(exam['path'])).inputs['questions']}" in kept


def test_what_a_deleted_version_was_asked_goes_with_it(shop: Shop, run_of: Callable[..., Run]) -> None:
    """A year of nightly runs would keep each night's exam, questions and reader."""
    first = stages.examine(run_of(1), *summaries(shop, 1, run_of(1)))
    reader = artifacts.build(shop.root, kinds.READER, lambda _: {}, settings={}).fingerprint
    shop.publish(1, reader=reader)
    assert first is not None
    everything = {f"exam/{first['fingerprint']}", f"reader/{reader}"}
    assert everything <= needed(shop.root, shelf(shop.root), [], published_versions(shop.root))
    second, _ = publish(shop, 2, run_of(2, keep_versions=1))
    kept = needed(shop.root, shelf(shop.root), [], published_versions(shop.root))
    assert not (shop.root / "version" / shop.versions[0]).exists()
    assert not everything & kept and f"exam/{second['fingerprint']}" in kept


def test_of_too_many_questions_those_are_asked_that_a_hash_draws(
    shop: Shop, run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A file has its unanswerable questions last, and none of them was asked."""
    asked = sorted(asked_of(ROWS, COUNT).all, key=lambda each: not each.answerable)
    file = write_file(shop.root.parent / "sorted.jsonl", asked)
    monkeypatch.setattr("include.exam.ask.MOST", COUNT // 2)
    exam, _ = publish(shop, 1, run_of(1, questions=str(file)))
    assert exam["stats"]["questions"] == COUNT // 2
    assert {"answerable", "unanswerable"} == drawn(exam)
    assert f"{COUNT // 2} of {COUNT} questions are asked" in caplog.text


def drawn(exam: dict[str, Any]) -> set[str]:
    """Which questions an exam has asked."""
    rows = [json.loads(line) for line in (Path(exam["path"]) / ANSWERS_FILE).read_text().splitlines()]
    return {"unanswerable" if "submarine" in row["question"] else "answerable" for row in rows}


SCRIPT = """
import json
from pathlib import Path
from include.answering.asker import Asker
from include.exam.examine import Tested, examine
from include.questions.questions import read
from include.core.pipeline_settings import PipelineSettings

version, evaluation, questions, root = map(Path, sys.argv[1:])
asked = Asker.answer
calls = 0

def answer(*arguments, **options):
    global calls
    calls += 1
    if calls == 2:
        reach("second batch")
    return asked(*arguments, **options)

Asker.answer = answer
examine(Tested(version, evaluation), read(questions), PipelineSettings(), root=root)
"""


def test_a_killed_exam_goes_on_at_its_batch(
    shop: Shop, run_of: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exam of thousands takes minutes; what was asked is not asked again, and the figures are the same."""
    run = run_of(1)
    version, evaluated, questions = summaries(shop, 1, run)
    paths = [Path(each["path"]) for each in (version, evaluated, questions)]
    assert kill_at_point(SCRIPT, *paths, shop.root) == "second batch"
    assert artifacts.published(shop.root, kinds.EXAM) == []
    asked: list[int] = []

    answer = Asker.answer

    def spy(asker: Asker, texts: list[str], *given: Any) -> dict[str, Any]:
        asked.append(len(texts))
        return answer(asker, texts, *given)

    monkeypatch.setattr("include.exam.ask.Asker.answer", spy)
    exam = stages.examine(run, version, evaluated, questions)
    assert exam is not None
    assert asked == [COUNT - BATCH]
    assert exam["stats"]["questions"] == COUNT


def hash_of(text: str) -> int:
    import zlib

    return zlib.crc32(text.encode())


def test_what_people_said_is_asked_and_decides_nothing(
    shop: Shop, run_of: Callable[..., Run], answers_of: Callable[..., None]
) -> None:
    """What the live version answered well is called right, with what it showed: by that no other could replace it."""
    file_rows = asked_of(ROWS, COUNT).all
    said = [replace(each, question=f"oh {each.question}") for each in asked_of(ROWS, 3 * COUNT).all if each.answerable]
    said = [each for each in said if each.part == "exam"]
    assert len(said) > 20
    for number, each in enumerate(said):
        given = {"user": "ana", "run_id": "r", "position": number, "version": "0" * 16, "question": each.question}
        answer = {"answer": "that", "found": True, "sources": list(each.uids), "verdict": "up"}
        append(shop.root, "products", Feedback.model_validate({**given, **answer}))
    other = shop.versions[1]
    answers_of(lambda version, question: version != other or not question.startswith("oh "))
    exam, first = publish(shop, 1, run_of(1))
    assert first["published"] and Journal.load(shop.root, "products").history[-1].exam == exam["fingerprint"]
    exam, second = publish(shop, 2, run_of(2))
    found = Examined.model_validate(exam["stats"])
    assert second["published"] and found.questions == len(file_rows)
    assert found.kinds["feedback"].figures["new"]["hit@1"]["value"] == 0.0
    assert found.kinds["feedback"].differences["hit@1"]["verdict"] == "worse", "which is told"

    exam, third = publish(shop, 3, run_of(3, questions=""))
    found = Examined.model_validate(exam["stats"])
    assert third["published"] and (found.decides, found.questions) == (False, len(said))
    assert "people's verdicts alone decide nothing" in found.gate["reason"]
    assert Journal.load(shop.root, "products").history[-1].exam is None, "nor do they take the threshold's place"


def test_an_exam_of_no_question_does_not_go_with_the_version(shop: Shop, run_of: Callable[..., Run]) -> None:
    """Wrong answers without the right product make no question: the live version's threshold must stay."""
    wrong = {"user": "ana", "run_id": "r", "position": 0, "version": "0" * 16, "question": "which?", "answer": "that"}
    append(shop.root, "products", Feedback.model_validate({**wrong, "found": True, "verdict": "down"}))
    exam, made = publish(shop, 1, run_of(1, questions=""))
    assert made["published"] and not Examined.model_validate(exam["stats"]).decides
    assert Journal.load(shop.root, "products").history[-1].exam is None
