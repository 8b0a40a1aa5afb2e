"""How long one question takes in process: mended, encoded, and its products found, over many synthetic products
(`_synthetic.py`). With `--data` the index is kept for the next call.
"""

import argparse
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from benchmarks._compare import figure, machine
from benchmarks._synthetic import publish, questions
from include.answering.asked import Asked
from include.answering.spelling import Spelling
from include.core.settings import IndexSettings
from include.model.query_encoder import QueryEncoder
from include.store.edge import EdgeStore
from include.store.version import IndexVersion
from include.store.vocabulary import VOCABULARY_FILE, Vocabulary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON line a figure")
    parser.add_argument("--products", type=int, default=300_000)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--data", type=Path, help="a data directory to keep; a temporary one where it is not given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = options.data or Path(folder)
        began = time.monotonic()
        version = publish(root, options.products, options.shards, IndexSettings())
        print(f"{machine()}\nindex: {time.monotonic() - began:.0f} s for {version.points:,} products")
        encoder = QueryEncoder(root / version.model)
        words = Vocabulary(IndexVersion.path(root, version.name) / VOCABULARY_FILE)
        store = EdgeStore(IndexSettings(), root=root)
        with closing(store.open(version.name, version.shards, language=version.language)) as searcher:
            spelling = Spelling(words, searcher, "english", encoder.knows)
            taken: dict[str, list[float]] = {
                "spelling": [],
                "one word mended": [],
                "encode": [],
                "search": [],
                "all": [],
            }
            for number, question in enumerate(questions(options.questions + 50)):
                laps = [time.perf_counter()]
                asked = spelling.mend(Asked.as_written(question))
                laps.append(time.perf_counter())
                [vector] = encoder.encode([asked.text])
                laps.append(time.perf_counter())
                searcher.hybrid(vector, asked.text, 10)
                searcher.named(asked.text)
                laps.append(time.perf_counter())
                if number >= 50:  # the first ones read the index from the disk
                    spelt = "one word mended" if number % 3 == 0 else "spelling"
                    for step, seconds in zip((spelt, "encode", "search"), np.diff(laps), strict=True):
                        taken[step].append(float(seconds))
                    if number % 3:
                        taken["all"].append(laps[-1] - laps[0])
        for step, each_took in taken.items():
            target = {"all": 30.0, "one word mended": 20.0}.get(step)
            for name, value in (("p50", statistics.median(each_took)), ("p95", float(np.quantile(each_took, 0.95)))):
                goal = target if name == "p95" else None
                figure(f"{step}, {name}", 1000 * value, "ms", goal, least=False, as_json=options.json)


if __name__ == "__main__":
    main()
