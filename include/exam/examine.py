"""The exam of a verified version, before anything may publish it: beside the live version, by the same questions.

Both are asked through `include.answering`, extractively, as people will ask them: the new one with the weight of BM25
that evaluation fitted and the run's reader, the live one with what was published with it. A version that retrieves as
well may answer worse, and nothing but answers shows it.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from include.answering.judged import THRESHOLD
from include.catalogue.schema import PRODUCTS_FILE
from include.core import artifacts, kinds
from include.core.answer_settings import AnswerSettings
from include.core.artifacts import Artifact, Workspace
from include.core.errors import DamagedArtifact, UnknownVersion
from include.core.pipeline_settings import PipelineSettings
from include.core.progress import Progress, Sink
from include.evaluation.summary import Gate, Measured
from include.exam.ask import TOP_K, ask, chosen
from include.exam.calibrate import calibrated
from include.exam.compare import by_kind, compare, gate
from include.exam.scoring import score
from include.exam.summary import JUDGED, NAMES, Examined, FigureName, Scored, Scores
from include.questions.accept import known_uids
from include.questions.questions import Question, Questions
from include.store.connection import ServerConnection
from include.store.journal import Entry, published
from include.store.stores import open_store
from include.store.version import IndexVersion

ANSWERS_FILE = "answers.jsonl"
NEW, LIVE = "new", "live"
UNDECIDED: Gate = {
    "passed": True,
    "reason": "people's verdicts alone decide nothing: they lean to the version that they are about",
}

log = logging.getLogger(__name__)


class Tested(NamedTuple):
    """What is examined.

    Attributes:
        version: Artifact of kind `version`.
        evaluation: Artifact of kind `evaluation` of its model, which has the weight of BM25.
        reader: Fingerprint of the reader that answers with it; None for none.
    """

    version: Path
    evaluation: Path
    reader: str | None = None


def examine(
    tested: Tested,
    questions: Questions,
    settings: PipelineSettings,
    *,
    root: Path,
    server: ServerConnection | None = None,
    sink: Sink | None = None,
) -> Artifact:
    """Ask the exam of a verified version and of the live one.

    Args:
        tested: The version, with what it is to be published with.
        questions: Those of the part `calibrate` give the new version's threshold, those of `exam` are asked then.
        settings: The index's; evaluation's, whose `tolerance` is the gate's slack; and the share of wrong answers
            that is wished for.
        root: The data directory.
        server: Needed for `store="server"`.
        sink: Receives progress, in questions.

    Returns:
        Kind `exam`; its statistics are `Examined`, and `answers.jsonl` has what each version said to each question.

    Raises:
        As `include.answering.answer.answer`, but for a live version that cannot be asked: then there is nothing to
        compare with.
    """
    index, tolerance, wished = settings.index, settings.evaluate.tolerance, settings.questions.wrong_answers
    name = IndexVersion.read(tested.version, verify=False).name
    weight = Measured.model_validate(artifacts.read(tested.evaluation, verify=False).stats).fusion["bm25_weight"]
    live = open_store(index, root=root, server=server).live()
    own = AnswerSettings(top_k=TOP_K, version=name, bm25_weight=weight, read_with=tested.reader or "none")
    others = None if live is None else AnswerSettings(top_k=TOP_K, version=live)
    exam = chosen(questions.of("exam"))
    practice = chosen([each for each in questions.of("calibrate") if not each.feedback])
    decides = any(not each.feedback for each in questions.all)

    def write(space: Workspace) -> Mapping[str, Any]:
        common = [] if others is None else _common(exam, root, str(live))
        total = len(practice) + len(exam) + len(common)
        with Progress("examine", total, unit="questions", sink=sink) as progress:

            def told(asked: Sequence[Question], answering: AnswerSettings, part: str) -> list[dict[str, Any]]:
                kept = space.scratch / part
                kept.mkdir(exist_ok=True)
                return ask(asked, answering, index, progress, root=root, server=server, scratch=kept)

            open_minded = own.model_copy(update={"threshold": 0.0})
            answering = calibrated(practice, told(practice, open_minded, "calibrate"), wished)
            threshold = THRESHOLD if answering is None else answering["threshold"]
            asked = {NEW: exam}
            answers = {NEW: told(exam, own.model_copy(update={"threshold": threshold}), "exam")}
            if others is not None and common:
                try:
                    answers[LIVE] = told(common, others, "live")
                    asked[LIVE] = common
                except (DamagedArtifact, UnknownVersion) as damage:
                    log.warning("the live version %s cannot be asked, so nothing is compared with it: %s", live, damage)
        scores = {
            system: {each.id: score(each, entry) for each, entry in zip(asked[system], given, strict=True)}
            for system, given in answers.items()
        }
        _write(space.path / ANSWERS_FILE, asked, answers, scores)
        made = _examined(name, live if LIVE in answers else None, asked, scores, tolerance)
        return made.model_copy(update={"answering": answering, "decides": decides}).model_dump()

    shaping = _shaping(weight, tolerance, wished, tested.reader)
    inputs = {"version": name, "questions": questions.fingerprint}
    if others is not None:
        entry = published(root, index.collection, str(live))
        if live == name and entry is not None and (kept := _kept(entry, shaping, inputs, root)):
            log.info("version %s is live with the exam %s of the same questions: nothing is asked", name, entry.exam)
            return kept
        known = [] if entry is None else [entry.bm25_weight, entry.answering, entry.reader]
        inputs["live"] = ", ".join(map(str, [live, *known]))
    made = artifacts.build(root, kinds.EXAM, write, settings=shaping, inputs=inputs)
    _tell(Examined.model_validate(made.stats))
    return made


def _shaping(weight: float | None, tolerance: float, wished: float, reader: str | None) -> dict[str, Any]:
    """What shapes an exam's figures beside the version and the questions."""
    return {
        "bm25_weight": weight,
        "tolerance": tolerance,
        "wrong_answers": wished,
        "top_k": TOP_K,
        "least": THRESHOLD,
        "judged": JUDGED,
        "reader": reader,
    }


def _kept(entry: Entry, shaping: Mapping[str, Any], inputs: Mapping[str, str], root: Path) -> Artifact | None:
    """The exam that the same version was published with, if it was of the same; another would only repeat it."""
    if entry.exam is None or shaping["bm25_weight"] not in (None, entry.bm25_weight):
        return None
    with suppress(DamagedArtifact):
        made = artifacts.read(artifacts.locate(root, kinds.EXAM, entry.exam))
        same = json.loads(json.dumps(shaping)) == made.settings
        if same and all(made.inputs.get(key) == value for key, value in inputs.items()):
            return made.model_copy(update={"reused": True})
    return None


def _common(exam: list[Question], root: Path, live: str) -> list[Question]:
    """The questions whose products the live version has too: it cannot find others, which says nothing of either."""
    try:
        products = root / IndexVersion.read(IndexVersion.path(root, live)).catalogue / PRODUCTS_FILE
        known = known_uids(products, {uid for each in exam for uid in each.uids})
    except (DamagedArtifact, OSError) as damage:
        log.warning(
            "which products the live version %s has is not known, so all questions are compared: %s", live, damage
        )
        return exam
    found = [each for each in exam if known.issuperset(each.uids)]
    if len(found) < len(exam):
        log.info(
            "%d questions name products that the live version has not, and are not compared", len(exam) - len(found)
        )
    return found


def kept_scores(exam: Path) -> dict[str, Scores]:
    """What the version's own answers were worth, by the question's id.

    Raises:
        DamagedArtifact: The artifact is gone or damaged.
    """
    artifacts.read(exam)
    lines = (exam / ANSWERS_FILE).read_text(encoding="utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line]
    return {row["id"]: row["figures"] for row in rows if row["version"] == NEW}


def _examined(
    name: str,
    live: str | None,
    asked: Mapping[str, Sequence[Question]],
    scores: Mapping[str, Mapping[str, Scores]],
    tolerance: float,
) -> Examined:
    """With figures over the questions that all were asked; people's verdicts are a kind of their own.

    They lean to the version that was judged: what it answered well is called right, with what it showed. So they are in
    the total, by which a version is held to another, only where there is nothing else.
    """
    both = asked.get(LIVE, asked[NEW])
    own = [each for each in both if not each.feedback]
    deciding = own or both

    def given(some: Sequence[Question]) -> dict[str, list[Scores]]:
        return {system: [marks[each.id] for each in some] for system, marks in scores.items()}

    total = compare(deciding, given(deciding), NEW, LIVE)
    return Examined(
        version=name,
        live=live,
        questions=len(deciding),
        total=total,
        kinds=by_kind(both, given(both), NEW, LIVE),
        gate=UNDECIDED if both and not own else _alone(total) if live is None else gate(total, NEW, LIVE, tolerance),
    )


def _alone(total: Scored) -> Gate:
    """Where no other version is live, or it cannot be asked: nothing is worse than nothing."""
    told = ", ".join(f"{NAMES[name]} {total.figures[NEW][name]['value']:.3f}" for name in told_of(total))
    return {"passed": True, "reason": f"no other live version could be asked the exam ({told or 'which is empty'})"}


def told_of(total: Scored) -> list[FigureName]:
    """The figures that decide, of those that there are."""
    return [name for name in JUDGED if name in total.figures[NEW]]


def _write(
    file: Path,
    asked: Mapping[str, Sequence[Question]],
    answers: Mapping[str, Sequence[Mapping[str, Any]]],
    scores: Mapping[str, Mapping[str, Scores]],
) -> None:
    with file.open("w", encoding="utf-8") as stream:
        for system, given in answers.items():
            for question, each in zip(asked[system], given, strict=True):
                row = {
                    "version": system,
                    "id": question.id,
                    "question": question.question,
                    "found": each["found"],
                    "answer": each["answer"],
                    "products": [product["uid"] for product in each["products"]],
                    "figures": scores[system][question.id],
                }
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")


def _tell(made: Examined) -> None:
    for system, figures in made.total.figures.items():
        told = ", ".join(f"{NAMES[name]} {each['value']:.3f}" for name, each in figures.items())
        log.info("exam of %d questions, %s: %s", made.questions, system, told or "no question applies")
    if made.answering is None:
        log.info("the threshold of answers is the default: too few unanswerable questions to calibrate by")
    else:
        log.info("the threshold of answers, calibrated: %s", made.answering)
    log.info("gate on answers: %s", made.gate["reason"])
