"""How long a file of questions takes, and in how much memory, over a synthetic catalogue with the demo's base model.

The questions ask for facts and for products by the words of titles; every tenth has a word that is mistyped. With
`--data` the data directory is kept, so that the next call finds its index again: only then the memory is that of
answering alone. `--profile` prints where the time goes.
"""

import argparse
import cProfile
import json
import logging
import pstats
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks._compare import figure, machine
from benchmarks.answers import built
from include import stages
from include.catalogue.schema import PRODUCTS_FILE
from include.core.answer_settings import AnswerSettings
from include.core.index_settings import IndexSettings
from include.store.stores import open_store
from include.store.version import IndexVersion

FORMS = (
    "What is the {title} made of?",
    "how heavy is the {title}",
    "Which {words} are there?",
    "is the {title} dishwasher safe?",
    "I need a {words} for the garden",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON line a figure")
    parser.add_argument("--products", type=int, default=3000)
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--data", type=Path, help="a data directory to keep; a temporary one where it is not given")
    parser.add_argument("--profile", action="store_true", help="print the functions that take longest")
    options = parser.parse_args()
    logging.getLogger("bm25s").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        root = (options.data or Path(folder)).resolve()
        live = open_store(IndexSettings(), root=root).live()
        if live is None:
            given = {"sample_products": options.products, "max_steps": 1, "tolerance": 1}
            built("sample", root, given)
            live = open_store(IndexSettings(), root=root).live()
        version = IndexVersion.read(IndexVersion.path(root, str(live)))
        products = root / version.catalogue / PRODUCTS_FILE
        file = Path(folder) / "asked.jsonl"
        with file.open("w", encoding="utf-8") as stream:
            for number, question in zip(range(options.questions), questions(products), strict=False):
                stream.write(json.dumps({"id": str(number), "question": question}) + "\n")
        profile = cProfile.Profile()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began, worked = time.monotonic(), time.process_time()
        if options.profile:
            profile.enable()
        run_id = f"benchmark {time.time()}"
        made = stages.answer_file(str(file), AnswerSettings(), IndexSettings(), root=root, run_id=run_id)
        profile.disable()
        took, worked = time.monotonic() - began, time.process_time() - worked
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(machine())
        name = f"{options.questions:,} questions over {version.points:,} products"
        target = 60.0 if (options.questions, version.points) == (1000, 3000) else None
        figure(name, round(took, 1), "s", target, least=False, as_json=options.json)
        figure("most memory", round(peak / 1024), "MiB", None, least=False, as_json=options.json)
        stats = made["stats"]
        print(f"{worked:.1f} s of processor time: at least half of that on two cores, however busy the machine is")
        print(f"memory before: {before / 1024:.0f} MiB; {stats['found']:,} answered; {stats['per_second']} a second")
        if options.profile:
            pstats.Stats(profile).sort_stats("cumulative").print_stats(45)


def questions(products: Path) -> Iterator[str]:
    """Without end, of the products' titles."""
    titles = [title for title in pq.read_table(products, columns=["title"]).column(0).to_pylist() if title]
    number = 0
    while True:
        title = titles[number * 7 % len(titles)]
        words = " ".join(title.split()[-2:])
        text = FORMS[number % len(FORMS)].format(title=title, words=words)
        if number % 10 == 9:
            longest = max(text.split(), key=len)
            text = text.replace(longest, longest[:2] + longest[3:], 1)
        yield text
        number += 1


if __name__ == "__main__":
    main()
