"""The reader's place in the pipeline; also a program: `python -m include.reading`.

`rows` are made of the questions file's training part and the catalogue: a question, the evidence with its product's
title in front, as `include.answering` has it read, and the product's other sentences, which do not answer. Rows
travel to the training process in a file. It stands above the rooms because it knows both how a reader is trained and
today's relevance, which it has to beat.
"""

import json
import logging
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from include.answering.passages import relevance, sentences, word_overlap
from include.catalogue.schema import PRODUCTS_FILE, read_rows
from include.core.arrays import Vectors
from include.core.artifacts import Artifact
from include.core.forms import parse
from include.core.progress import Sink
from include.core.train_settings import ReaderSettings
from include.questions.questions import read
from include.training.process import in_subprocess, run_as_child
from include.training.reader_rows import Row, too_few

log = logging.getLogger("include.reading")  # __name__ is __main__ when this is the program

MOST_OTHERS = 12  # of a product's sentences, the first ones
SHARED = 0.6  # of its words: a sentence that has so many in common with the evidence may be the evidence


def rows(
    asked: Iterable[tuple[str, Sequence[str], Sequence[str]]], products: Mapping[str, tuple[str, str]]
) -> list[Row]:
    """What a reader is trained on.

    Args:
        asked: Questions, each with the uids that are right and the texts that answer.
        products: Title and content by uid.

    Returns:
        One for each text that answers, about the first of the question's products whose text has it, or else the
        first.
    """
    found = []
    for question, uids, evidence in asked:
        known = [uid for uid in uids if uid in products]
        for text in evidence if known else ():
            uid = next((uid for uid in known if text.lower() in products[uid][1].lower()), known[0])
            title, content = products[uid]
            others = [each for each in sentences(content) if not any(_alike(each, one) for one in evidence)]
            titled = tuple(_titled(title, each) for each in others[:MOST_OTHERS])
            found.append(Row(question, uid, _titled(title, text), titled))
    return found


def rows_of(questions: Path, catalogue: Path) -> list[Row]:
    """The rows of a questions artifact's training part, over its catalogue.

    Raises:
        DamagedArtifact: One of them does not match its manifest.
    """
    taught = [each for each in read(questions).to_train_on if each.evidence]
    wanted = {uid for each in taught for uid in each.uids}
    products: dict[str, tuple[str, str]] = {}
    for table in read_rows(catalogue / PRODUCTS_FILE, ("uid", "title", "content")):
        for row in table.filter(pc.is_in(table["uid"], pa.array(sorted(wanted), pa.string()))).to_pylist():
            products[row["uid"]] = row["title"], row["content"]
    return rows([(each.question, each.uids, each.evidence) for each in taught], products)


def train(
    questions: Path | None,
    catalogue: Path,
    model: Path,
    settings: ReaderSettings,
    *,
    root: Path,
    sink: Sink | None = None,
) -> Artifact | None:
    """A reader from a questions artifact, its catalogue and the bi-encoder, in a process of its own.

    Returns:
        None where there is nothing to train on, or nothing is to be trained; the log says which.
    """
    if settings.reader == "never" or questions is None:
        log.info("no reader: %s", "reader is never" if settings.reader == "never" else "there is no questions file")
        return None
    taught = rows_of(questions, catalogue)
    if (reason := too_few(taught)) is not None:
        log.warning("no reader: %s", reason)
        return None
    return train_in_subprocess(taught, model, settings, root=root, sink=sink)


def train_in_subprocess(
    taught: Sequence[Row], model: Path, settings: ReaderSettings, *, root: Path, sink: Sink | None = None
) -> Artifact:
    """`include.training.reader.train_reader` in a process of its own; see `include.training.process.in_subprocess`."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump([asdict(row) for row in taught], file)
        file.flush()
        arguments = [f"--root={root.resolve()}", f"--model={model.resolve()}", f"--rows={file.name}"]
        return in_subprocess("include.reading", [*arguments, f"--settings={settings.model_dump_json()}"], sink)


def todays(question: str, cosines: Vectors, passages: Sequence[str]) -> Vectors:
    """Today's relevance of passages, without a reader: (passages,) float32."""
    return relevance(cosines, word_overlap(question, passages))


def _titled(title: str, text: str) -> str:
    return text if text.startswith(title) else f"{title}. {text}"


def _alike(sentence: str, evidence: str) -> bool:
    """Whether a sentence of the product may be the evidence, or a part of it, or hold it."""
    one, other = set(sentence.lower().split()), set(evidence.lower().split())
    return len(one & other) >= SHARED * min(len(one), len(other))


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m include.reading`: train a reader, and report in JSON lines on standard output."""
    parser = ArgumentParser(prog="python -m include.reading", description="Train a reader on questions.")
    parser.add_argument("--root", type=Path, required=True, help="the data directory")
    parser.add_argument("--model", type=Path, required=True, help="the bi-encoder's directory")
    parser.add_argument("--rows", type=Path, required=True, help="a JSON list of rows")
    parser.add_argument("--settings", type=json.loads, default={}, help="ReaderSettings as a JSON object")
    parser.add_argument("--parent", type=int, help="end when the process with this id ends")
    given = parser.parse_args(arguments)

    def work(sink: Sink | None) -> Artifact:
        from include.training.reader import train_reader

        taught = [Row(**{**row, "others": tuple(row["others"])}) for row in json.loads(given.rows.read_bytes())]
        settings = parse(ReaderSettings, given.settings)
        return train_reader(taught, given.model, settings, root=given.root, relevance=todays, sink=sink)

    return run_as_child(work, parent=given.parent)


if __name__ == "__main__":
    raise SystemExit(main())
