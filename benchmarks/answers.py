"""Answers on real products: people's questions, asked of an index that is built as `make demo SOURCE=…` builds it.

The catalogue is `../shared/data/real-trn.zip` (or `--catalogue`), the questions `questions-real-trn.jsonl` beside it
(or `--questions`), the figures those of `score_questions.py` there. With `--data` the data directory is kept, so that
the next call finds its model and its vectors again; with `--answers` the answers are, one JSON object a line.
"""

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks._compare import figure, machine
from include import stages
from include.core.answer_settings import AnswerSettings
from include.core.forms import pipeline_settings
from include.core.index_settings import IndexSettings
from include.run import Run

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
PRESET = "quick"  # the demo's
TOP_K = 10
# Of which questions in which language, which figure, and what it should be: at least, or at most.
TARGETS = (
    ("total", "en", "hit@1", 0.88, True),
    ("total", "en", "hit@5", 0.97, True),
    ("total", "en", "evidence", 0.92, True),
    ("fact_title", "en", "evidence", 0.95, True),
    ("total", "en", "answered_wrongly", 0.20, False),
    ("total", "en", "refused_wrongly", 0.08, False),
    ("typo", "en", "hit@5", 0.95, True),
    ("portuguese", "pt", "hit@5", 0.75, True),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON line a figure")
    parser.add_argument("--catalogue", default=str(SHARED / "real-trn.zip"))
    parser.add_argument("--questions", type=Path, default=SHARED / "questions-real-trn.jsonl")
    parser.add_argument("--data", type=Path, help="a data directory to keep; a temporary one where it is not given")
    parser.add_argument("--answers", type=Path, help="where to write the answers")
    parser.add_argument("--misses", action="store_true", help="list the questions that failed")
    parser.add_argument("--set", type=json.loads, default={}, help="settings of the pipeline, as a JSON object")
    parser.add_argument("--ask", type=json.loads, default={}, help="settings of answering, as a JSON object")
    options = parser.parse_args()
    logging.getLogger("bm25s").setLevel(logging.WARNING)
    scorer = options.questions.parent / "score_questions.py"
    if not options.questions.exists() or not scorer.exists():
        print(f"{options.questions} or {scorer.name} beside it is not there: nothing to measure.")
        return
    with tempfile.TemporaryDirectory() as folder:
        root = options.data or Path(folder)
        built(options.catalogue, root, options.set)
        exam = [json.loads(line) for line in options.questions.read_text(encoding="utf-8").splitlines() if line.strip()]
        began = time.monotonic()
        answers = asked(exam, root, options.ask)
        took = time.monotonic() - began
        path = options.answers or Path(folder) / "answers.jsonl"
        _write(path, answers)
        if not options.json:
            print(machine())
            print(f"{len(exam)} questions in {took:.1f} s", flush=True)
            scored(scorer, options.questions, path, *(["--misses"] if options.misses else []))
        for language in dict.fromkeys(each[1] for each in TARGETS):
            part = [each for each in exam if each["lang"] == language]
            ids = {each["id"] for each in part}
            _write(Path(folder) / "exam.jsonl", part)
            _write(Path(folder) / "part.jsonl", [each for each in answers if each["id"] in ids])
            lines = scored(scorer, Path(folder) / "exam.jsonl", Path(folder) / "part.jsonl", "--json").splitlines()
            found = {(each["kind"], each["figure"]): each for each in map(json.loads, lines)}
            for kind, name, target, least in [each[:1] + each[2:] for each in TARGETS if each[1] == language]:
                if each := found.get((kind, name)):
                    title = f"{kind}, {language}, {name} of {each['n']} questions"
                    figure(title, each["value"], "of 1", target, least=least, as_json=options.json)


def scored(scorer: Path, exam: Path, answers: Path, *options: str) -> str:
    """Run the scorer: what it prints with `--json`, else nothing: then it is shown."""
    command = [sys.executable, str(scorer), str(exam), str(answers), *options]
    as_json = "--json" in options
    return subprocess.run(command, check=True, stdout=subprocess.PIPE if as_json else None, text=True).stdout or ""


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")


def built(catalogue: str, root: Path, given: dict[str, Any]) -> None:
    """Run the pipeline over a catalogue, to publication, without Airflow."""
    form = {"source": catalogue, "preset": PRESET, **given}
    now = datetime.now(UTC)
    run = Run(pipeline_settings(form), root.resolve(), f"benchmark {now:%Y-%m-%dT%H:%M:%S}", now)
    products = stages.convert(run, stages.download(run))
    model = stages.fine_tune(run, products)
    evaluation = stages.evaluate(run, products, model)
    shards = [stages.upsert(run, stages.embed(run, each)) for each in stages.plan_shards(run, products, model)]
    approval = {"asked": False, "approved": None}
    decision = stages.publish(run, stages.verify(run, shards), evaluation, approval)
    print(decision["reason"], file=sys.stderr)


def asked(exam: Sequence[dict[str, Any]], root: Path, given: dict[str, Any]) -> list[dict[str, Any]]:
    """What the live version says to each question, in the form that is scored."""
    settings = AnswerSettings(**{"top_k": TOP_K, **given})
    questions = "\n".join(" ".join(each["question"].split()) for each in exam)
    found = stages.answer_question(questions, settings, IndexSettings(), root=root.resolve())
    return [{"id": each["id"], **answer} for each, answer in zip(exam, found["answers"], strict=True)]


if __name__ == "__main__":
    main()
