"""Questions of a small shop, and stages up to publication over it."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include import stages
from include.core import artifacts, kinds
from include.questions.questions import Part, Question, Questions, part
from include.run import Run
from tests.indexed import Shop, evaluation
from tests.small import Product, products

ROWS = products(40)
COUNT = 60  # questions
DATE = datetime(2026, 1, 1, tzinfo=UTC)


def asked_of(rows: Sequence[Product], count: int, wanted: Part = "exam") -> Questions:
    """Questions of a part: about products by their titles, and about what is not there."""
    found = []
    for number in range(10_000):
        row = rows[number % len(rows)]
        there = number % 3 != 2
        question = f"{'please ' * (number // len(rows))}what is the {row.title} made of"
        if not there:
            question = f"is there a submarine of {number} tons"
        if part(question) == wanted:
            sentence = row.content.split(". ")[0]
            found.append(
                Question(
                    f"q{number}",
                    question,
                    (row.uid,) if there else (),
                    (sentence,) if there else (),
                    there,
                    kind="fact" if there else "absent",
                )
            )
        if len(found) == count:
            break
    return Questions("0" * 16, tuple(found))


def write_file(path: Path, questions: Sequence[Question]) -> Path:
    """A questions file of these."""
    lines = [asdict(each) for each in questions]
    path.write_text("\n".join(json.dumps(each) for each in lines))
    return path


def stand_in(rows: Sequence[Product], right: Any) -> Any:
    """An `Asker.answer` that knows the products, and is right where `right(version, question)` says so."""

    def answer(_asker: Any, texts: Sequence[str], settings: Any, **_: Any) -> dict[str, Any]:
        entries = []
        for text in texts:
            row = next((row for row in rows if row.title + " " in text), None)
            good = right(settings.version, text)
            uid = row.uid if row is not None and good else "another"
            shown = row.content if row is not None and good else "nothing of use"
            source = {"uid": uid, "title": "", "snippet": shown, "score": 0.5, "rank": 1}
            found = (row is not None) == good
            entries.append(
                {
                    "found": found,
                    "answer": shown if found else "",
                    "sources": [source] if found else [],
                    "products": [source],
                    "confidence": {"retrieval": 0.5, "answer": 0.8 if row is not None else 0.3},
                }
            )
        return {"version": settings.version, "answers": entries}

    return answer


def summaries(shop: Shop, number: int, run: Run) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Version, evaluation (whose gate passed), questions, as the stages return them."""
    version = artifacts.read(shop.root / "version" / shop.versions[number - 1])
    catalogue = artifacts.published(shop.root, kinds.CATALOGUE)[0]
    questions = stages.read_questions(run, artifacts.read(catalogue).summary())
    assert questions is not None
    return version.summary(), artifacts.read(evaluation(shop.root, shop.model)).summary(), questions


def publish(shop: Shop, number: int, run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
    """What examine and publish return for version `number`."""
    version, evaluated, questions = summaries(shop, number, run)
    exam = stages.examine(run, version, evaluated, questions)
    assert exam is not None
    approval = stages.request_approval(run, {"verify": version, "evaluate": evaluated, "examine": exam}, "link")
    return exam, stages.publish(run, version, evaluated, approval, exam)
