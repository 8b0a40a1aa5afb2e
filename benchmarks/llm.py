"""Answers by a language model: does the check find unsupported sentences, and how well are answers cited.

1. The check of a sentence against a product, on HetPQA's dev part (`hetpqa-answers-dev.tsv` in `../shared/data`):
   people's answers against the evidence that they were written from, among up to seven other passages of the product;
   and against the product without it, against another product, with another number, and with a denial taken away or
   added.
2. Citation recall and precision (ALCE: Gao et al. 2023, https://arxiv.org/abs/2305.14627), support being this check:
   the share of sentences that what they cite supports, and of citations without which the sentence would not be
   supported, or which support it alone. Over `questions-real-trn.jsonl`, as the model wrote them; then what is left.
   The model is a stand-in that quotes a product and plants an unsupported sentence behind it, and a real small one
   where requirements-llm.txt is installed.

`--data` is a data directory to keep, as that of `benchmarks.answers`; `--questions` are asked, all of them by default;
`--said` is a file for what the models wrote, one JSON object a sentence.
"""

import argparse
import csv
import json
import random
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks._compare import figure, machine
from benchmarks.answers import SHARED, built
from include import stages
from include.answering import llm
from include.answering.passages import sentences
from include.answering.statements import Statement, supported
from include.answering.support import Supports, product_passages, similarity, unsupported
from include.core import artifacts
from include.core.answer_settings import AnswerSettings
from include.core.index_settings import IndexSettings
from include.model.query_encoder import QueryEncoder
from include.store.protocol import Hit
from include.store.stores import open_store
from include.store.version import IndexVersion
from tests.answering.endpoint import Endpoint, serving
from tests.answering.small_model import SmallModel, why_not

OTHERS = 7  # passages of the product beside the evidence
NEGATION = re.compile(r"\b(?:not|never)\s|n't\b|\bno\s", re.IGNORECASE)
AUXILIARY = re.compile(r"\b(is|are|can|does|do|has|have|will)\b", re.IGNORECASE)
PLANTED = (
    "It comes with a 30 year warranty",
    "It was tested by the Zyxon institute",
    "It plays soothing music at night",
)


@dataclass
class Cited:
    """What was counted over answers."""

    sentences: int = 0
    recalled: int = 0
    citations: int = 0
    precise: int = 0
    planted: int = 0
    passed: int = 0  # of the planted
    said: list[dict[str, Any]] = field(default_factory=list)

    def check(self, question: str, said: Sequence[Statement], hits: Sequence[Hit], supports: Supports) -> Any:
        """Stands in for `supported`, and counts."""

        def holds(statement: Statement, cited: Iterable[int]) -> bool:
            products = [product_passages(hits[product]) for product in cited]
            return unsupported(statement.claim(question), products, supports) is None

        for statement in said:
            recalled = holds(statement, statement.cited)
            planted = any(each in statement.text for each in PLANTED)
            self.planted += planted
            self.passed += planted and recalled
            self.sentences += 1
            self.recalled += recalled
            uids = [hits[product].uid for product in statement.cited]
            self.said.append({"question": question, "said": statement.text, "cited": uids, "supported": recalled})
            self.citations += len(statement.cited)
            for product in statement.cited:
                rest = [each for each in statement.cited if each != product]
                self.precise += recalled and (holds(statement, [product]) or not holds(statement, rest))
        return supported(question, said, hits, supports)


class Quoter(Endpoint):
    """The stand-in: quotes the beginning of what it is sent of the first product, and plants a sentence behind it."""

    def reply(self, body: dict[str, Any]) -> bytes:
        """The planted sentence of every third answer cites nothing."""
        first = json.loads(body["messages"][1]["content"].split("\n")[1])
        text = (sentences(first["text"]) or [first["title"]])[0]
        count = len(self.requests)
        marker = "" if count % 3 == 0 else f" [{first['n']}]"
        self.say(f"{text.rstrip(' .')} [{first['n']}]. {PLANTED[count % 3]}{marker}.")
        return self.body


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON line a figure")
    parser.add_argument("--data", type=Path, help="a data directory to keep; a temporary one where it is not given")
    parser.add_argument("--questions", type=int, default=1000, help="of the exam, spread over it")
    parser.add_argument("--said", type=Path, help="where to write what the models said")
    options = parser.parse_args()
    exam = SHARED / "questions-real-trn.jsonl"
    if not exam.exists():
        print(f"{exam} is not there: nothing to measure.")
        return
    if not options.json:
        print(machine())

    def report(name: str, value: float, unit: str = "of 1") -> None:
        figure(name, value, unit, None, least=True, as_json=options.json)

    with tempfile.TemporaryDirectory() as folder:
        root = (options.data or Path(folder)).resolve()
        built(str(SHARED / "real-trn.zip"), root, {})
        check_figures(similarity(live_encoder(root)), report)
        asked = [json.loads(line)["question"] for line in exam.read_text(encoding="utf-8").splitlines()]
        asked = asked[:: max(1, len(asked) // options.questions)][: options.questions]
        with serving(Quoter()) as endpoint:
            said = cited_figures("stand-in", asked, root, endpoint, report)
        if reason := why_not():
            print(f"No small model: {reason}", file=sys.stderr)
        else:
            with serving(SmallModel()) as small:
                said += cited_figures("SmolLM2-135M", asked, root, small, report)
        if options.said:
            options.said.write_text("".join(json.dumps(each) + "\n" for each in said), encoding="utf-8")


def live_encoder(root: Path) -> QueryEncoder:
    """The model of the live version."""
    live = open_store(IndexSettings(), root=root).live()
    if live is None:
        raise RuntimeError(f"nothing is live in {root}")
    version = IndexVersion.read(IndexVersion.path(root, live))
    return QueryEncoder(artifacts.read(root / version.model).path, dimensions=version.dim)


def check_figures(supports: Supports, report: Callable[[str, float], None]) -> None:
    """How many of people's true sentences pass the check, and how many of each kind of false ones."""
    with (SHARED / "hetpqa-answers-dev.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    draw = random.Random(0)
    by_product: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_product.setdefault(row["ASIN"], []).append(row)
    passed: dict[str, list[bool]] = {}

    def count(kind: str, sentence: str, passages: Sequence[str]) -> None:
        passed.setdefault(kind, []).append(unsupported(sentence, [["", *passages]], supports) is None)

    for row in rows:
        said, evidence = row["answer"], row["candidate"]
        other = [
            each["candidate"]
            for each in by_product[row["ASIN"]]
            if row["question"] != each["question"] and each["candidate"] != evidence
        ][:OTHERS]
        product = [evidence, *other]
        count("true", said, product)
        if len(other) > 1:
            count("product without the evidence", said, other)
        stranger = draw.choice([name for name in by_product if name != row["ASIN"]])
        count("another product", said, [each["candidate"] for each in by_product[stranger]][:OTHERS])
        if not passed["true"][-1]:
            continue  # a sentence that is refused as it is says nothing of what was done to it
        if re.search(r"\d", said):
            count("another number", re.sub(r"\d+", lambda found: str(int(found[0]) + 3), said, count=1), product)
        if NEGATION.search(said):
            count("denial taken away", NEGATION.sub(" ", said), product)
        elif AUXILIARY.search(said):
            count("denial added", AUXILIARY.sub(r"\1 not", said, count=1), product)
    for kind, found in passed.items():
        report(f"check, {len(found)} sentences, {kind}: pass", float(np.mean(found)))


def cited_figures(
    name: str, asked: Sequence[str], root: Path, endpoint: Endpoint, report: Callable[..., None]
) -> list[dict[str, Any]]:
    """Citation recall and precision of a model's answers, and what the check leaves of them; what it said."""
    connection = endpoint.connection(prompt_tokens=1000, max_tokens=120, timeout=600, patience=600)
    settings = AnswerSettings(generator="llm")
    counted = Cited()
    entries = []
    with patch.object(llm, "supported", counted.check):
        for question in asked:  # one by one: a run's time for the model is limited
            found = stages.answer_question(question, settings, IndexSettings(), root=root, llm=connection)
            entries.extend(found["answers"])
    written = [each for each in entries if each["generator"] and each["generator"]["name"] == "llm"]
    title = f"{name}, {len(written)} answers"
    report(f"{title}: citation recall of {counted.sentences} sentences", counted.recalled / max(counted.sentences, 1))
    report(f"{title}: citation precision of {counted.citations}", counted.precise / max(counted.citations, 1))
    if counted.planted:
        report(f"{title}: planted sentences that pass, of {counted.planted}", counted.passed / counted.planted)
    sentences, removed = (sum(each["generator"][count] for each in written) for count in ("sentences", "unsupported"))
    report(f"{title}: removed as unsupported, of {sentences} sentences", removed / max(sentences, 1))
    report(f"{title}: quotes stand in", float(np.mean([each["generator"]["fallback"] for each in written])))
    for unit in ("prompt_tokens", "completion_tokens"):
        counts = [each["generator"][unit] for each in written if each["generator"][unit] is not None]
        if counts:
            report(f"{title}: {unit}, median", float(np.median(counts)), "tokens")
    report(f"{title}: seconds, median", float(np.median([each["generator"]["seconds"] for each in written])), "s")
    return [{"model": name, **each} for each in counted.said]


if __name__ == "__main__":
    main()
