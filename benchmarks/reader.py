"""Picking the evidence: the reader against today's relevance, BM25 and the cosine, on real shoppers' questions.

Trained on `hetpqa-answers-train.tsv` (a question and a piece of evidence each; its negatives are made), without the
questions that the test asks; tested on `hetpqa-evidence-dev.tsv`, 509 questions with 5.4 candidates each, of which 123
have no evidence. P@1 and nDCG are over the 386 others. All figures have 95 % intervals by the bootstrap over questions.

The reader's graph multiplies 8-bit integers; the same reader in float32 is measured beside it, and both are timed over
as many passages as a question has read.
"""

import argparse
import csv
import html
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
from safetensors.numpy import load_file

from benchmarks._compare import figure, machine
from include.answering.read import READ
from include.core.arrays import AnyFloats, Vectors
from include.core.settings import MINILM_PACKAGE
from include.core.train_settings import ReaderSettings
from include.evaluation.bm25 import Bm25
from include.model.base import resolve_base
from include.model.directory import WEIGHTS, read_json
from include.model.encoder import Encoder
from include.model.onnx_export import write_reader_onnx
from include.model.reader import READER_CONFIG, READER_FILE, Reader
from include.reading import todays, train_in_subprocess
from include.training.reader_figures import Group, difference, measure
from include.training.reader_rows import Row

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
TRAIN, TEST = "hetpqa-answers-train.tsv", "hetpqa-evidence-dev.tsv"
TARGETS = {"p@1": 0.74, "ndcg": 0.88, "auroc": 0.80}
TIMED = 100  # questions
ATTRIBUTE = re.compile(r"\w+:\s+[\[{]")  # such as `item_weight:  { unit:pounds, value:13. }`


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON line a figure")
    parser.add_argument("--data", type=Path, default=DATA, help="a folder with the two files")
    parser.add_argument("--root", type=Path, help="a data directory to keep; a temporary one where it is not given")
    parser.add_argument("--epochs", type=int, default=ReaderSettings().reader_epochs)
    parser.add_argument("--quick", action="store_true", help="one pass over every third question")
    options = parser.parse_args()
    if absent := [name for name in (TRAIN, TEST) if not (options.data / name).is_file()]:
        print(f"{options.data} lacks {' and '.join(absent)}: nothing to measure.")
        return
    with tempfile.TemporaryDirectory() as folder:
        root = options.root or Path(folder)
        tested = list(questions(options.data / TEST))
        taught = rows(options.data / TRAIN, {folded(question) for question, _, _ in tested})
        settings = ReaderSettings(reader_epochs=options.epochs)
        if options.quick:
            taught, settings = taught[::3], ReaderSettings(reader_epochs=1)
        base = resolve_base(MINILM_PACKAGE, root=root).path
        made = train_in_subprocess(taught, base, settings, root=root)
        readers = {"reader": Reader(made.path), "in float32": Reader(in_floats(made.path, Path(folder) / "float32"))}
        show(tested, base, readers, options.json)
        if not options.json:
            print(f"\n{len(taught):,} questions taught in {made.seconds:.0f} s, {len(tested)} tested; {machine()}")
            print(made.stats["reason"])


def show(
    tested: Sequence[tuple[str, list[str], list[bool]]],
    base: Path,
    readers: Mapping[str, Reader],
    as_json: bool,
) -> None:
    """Measure all systems and print them."""
    labels = [np.array(each) for _, _, each in tested]
    cosines = list(compared(tested, base))
    today = [todays(question, own, texts) for (question, texts, _), own in zip(tested, cosines, strict=True)]
    systems: dict[str, list[AnyFloats]] = {
        **{
            name: [reader.score(question, texts, own) for (question, texts, _), own in zip(tested, today, strict=True)]
            for name, reader in readers.items()
        },
        "relevance": list(today),
        "cosine": list(cosines),
        "BM25": [lexical(question, texts) for question, texts, _ in tested],
    }
    groups: dict[str, list[Group]] = {name: list(zip(labels, scores, strict=True)) for name, scores in systems.items()}
    found = {name: measure(each) for name, each in groups.items()}
    for name, (value, _, _) in found["reader"].items():
        figure(name, value, "", TARGETS.get(name), least=name in TARGETS, as_json=as_json)
    for name, times in timed(tested, readers).items():
        for what, share in (("median", 50), ("p95", 95)):
            figure(
                f"{name}, {READ} passages, {what}",
                float(np.percentile(times, share)),
                "ms",
                None,
                least=False,
                as_json=as_json,
            )
    if as_json:
        return
    print()
    print(f"{'':<12}" + "".join(f"{name:>32}" for name in found["reader"]))
    for name, figures in found.items():
        print(f"{name:<12}" + "".join(f"{said(each):>32}" for each in figures.values()))
    for rival in list(systems)[1:]:
        apart = difference(groups["reader"], groups[rival])
        print(f"{'- ' + rival:<12}" + "".join(f"{said(each, '+'):>32}" for each in apart.values()))


def in_floats(reader: Path, folder: Path) -> Path:
    """A reader's directory whose graph multiplies float32."""
    shutil.copytree(reader, folder)
    apart = read_json(reader / READER_CONFIG)["apart"]
    write_reader_onnx(load_file(reader / WEIGHTS), read_json(reader / "config.json"), apart, folder / READER_FILE)
    return folder


def timed(tested: Sequence[tuple[str, list[str], list[bool]]], readers: Mapping[str, Reader]) -> dict[str, list[float]]:
    """Milliseconds of each question, by turns, each with twelve passages of the test, whosever they are."""
    found: dict[str, list[float]] = {name: [] for name in readers}
    texts = [text for _, candidates, _ in tested for text in candidates]
    for number in range(TIMED):
        question, passages = tested[number][0], texts[number * READ : (number + 1) * READ]
        for name, reader in readers.items():
            began = perf_counter()
            reader.score(question, passages, np.zeros(len(passages), np.float32))
            found[name].append(1e3 * (perf_counter() - began))
    return found


def said(value: Sequence[float], sign: str = "") -> str:
    """A figure and its interval."""
    return f"{value[0]:{sign}.3f} ({value[1]:{sign}.3f} to {value[2]:{sign}.3f})"


def compared(tested: Sequence[tuple[str, list[str], list[bool]]], base: Path) -> Iterator[Vectors]:
    """For each question the cosines of its candidates."""
    encoder = Encoder.load(base, device="cpu")
    asked = encoder.encode([question for question, _, _ in tested])
    texts = encoder.encode([text for _, each, _ in tested for text in each])
    ends = np.cumsum([len(each) for _, each, _ in tested])[:-1]
    for vector, candidates in zip(asked, np.split(texts, ends), strict=True):
        yield candidates @ vector


def lexical(question: str, texts: Sequence[str]) -> Vectors:
    """BM25 of each text, among them; 0 where it shares no word."""
    items, scores = Bm25(texts).search([question], len(texts))
    found = np.zeros(len(texts), np.float32)
    found[items[0][items[0] >= 0]] = scores[0][items[0] >= 0]
    return found


def rows(file: Path, left_out: set[str]) -> list[Row]:
    """The questions with their evidence, without those that are `left_out`."""
    return [
        Row(readable(row["question"]), row["ASIN"], readable(row["candidate"]))
        for row in read(file)
        if folded(row["question"]) not in left_out
    ]


def questions(file: Path) -> Iterator[tuple[str, list[str], list[bool]]]:
    """Each question, its candidates, and whether each answers."""
    by_question: dict[str, list[dict[str, str]]] = {}
    for row in read(file):
        by_question.setdefault(row["qid"], []).append(row)
    for group in by_question.values():
        texts = [readable(row["candidate"]) for row in group]
        yield readable(group[0]["question"]), texts, [row["label"] == "1" for row in group]


def read(file: Path) -> Iterator[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream, delimiter="\t")


def folded(question: str) -> str:
    """A question by its words alone."""
    return " ".join(re.findall(r"\w+", question.lower()))


def readable(text: str) -> str:
    """A text as a catalogue has it: an attribute's braces and keys are gone, `item weight: pounds, 13`."""
    text = html.unescape(html.unescape(text))
    if ATTRIBUTE.match(text):
        text = text.replace("normalized_value:", "").replace("_", " ")
        text = re.sub(r"\b(value|unit|type):", " ", text)
        text = re.sub(r"(\d)\.(?!\d)", r"\1", re.sub(r'[{}\[\]"]', " ", text))
        text = re.sub(r"([,;])+", r"\1", re.sub(r"\s+([,;:])", r"\1", text))
    return " ".join(text.split())[:1500]


if __name__ == "__main__":
    main()
