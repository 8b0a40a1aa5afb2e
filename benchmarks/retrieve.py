"""How long one question takes in process, over many synthetic products: mended, encoded, found, read, judged.

The index is that of `_synthetic.py`. The base model is the reader too, untrained. An invented word is several word
pieces, so what is read, of question and products, are as many common words of the model's, in sentences of twelve.
With `--data` the index is kept for the next call.
"""

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks._compare import figure, machine
from benchmarks._synthetic import publish, questions
from include.answering.asked import Asked
from include.answering.judge import judge
from include.answering.judged import Thresholds
from include.answering.passages import encode
from include.answering.read import read_passages
from include.answering.retrieve import Search, find, scored
from include.answering.spelling import Spelling
from include.core.answer_settings import AnswerSettings
from include.core.index_settings import IndexSettings
from include.model.query_encoder import QueryEncoder
from include.model.reader import Reader
from include.store.edge import EdgeStore
from include.store.protocol import BM25_WEIGHT, Hit
from include.store.version import IndexVersion
from include.store.vocabulary import VOCABULARY_FILE, Vocabulary

READING = ("sentences", "reader", "judge")


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
            reader, common = Reader(untrained(root, root / version.model)), common_words(encoder)
            search = Search(AnswerSettings(top_k=10), BM25_WEIGHT, None, reader)
            taken: dict[str, list[float]] = defaultdict(list)
            for number, question in enumerate(questions(options.questions + 50)):
                laps = [time.perf_counter()]
                asked = [spelling.mend(Asked.as_written(question))]
                laps.append(time.perf_counter())
                vectors = encoder.encode([asked[0].text])
                laps.append(time.perf_counter())
                found = find(asked, vectors, searcher, search)
                laps.append(time.perf_counter())
                found = [([readable(hit, common) for hit in hits], cosines) for hits, cosines in found]
                a, b, c, d, e, f = drawn(common, 6, number)
                asked = [Asked.as_written(f"which {a} {b} {c} is for {d} {e} {f}?")]
                laps.append(time.perf_counter())
                retrieved = scored(asked, vectors, found, encoder)
                laps.append(time.perf_counter())
                told = read_passages(asked, retrieved, reader)
                laps.append(time.perf_counter())
                judge(asked[0], retrieved[0], partial(encode, encoder=encoder), Thresholds(), told[0])
                laps.append(time.perf_counter())
                if number < 50:  # the first ones read the index from the disk
                    continue
                spelt = "one word mended" if number % 3 == 0 else "spelling"
                took = dict(zip((spelt, "encode", "search", "", *READING), np.diff(laps).tolist(), strict=True))
                del took[""]  # the texts' replacement
                for step, seconds in took.items():
                    taken[step].append(seconds)
                if number % 3:
                    taken["all but reading"].append(sum(took[step] for step in (spelt, "encode", "search")))
                    taken["all without the reader"].append(sum(took.values()) - took["reader"])
                    taken["all"].append(sum(took.values()))
        for step, each_took in taken.items():
            target = {"all but reading": 30.0, "one word mended": 20.0, "all": 150.0}.get(step)
            for name, value in (("p50", statistics.median(each_took)), ("p95", float(np.quantile(each_took, 0.95)))):
                goal = target if name == "p95" else None
                figure(f"{step}, {name}", 1000 * value, "ms", goal, least=False, as_json=options.json)


def untrained(root: Path, model: Path) -> Path:
    """A reader that was never trained, which takes as long as another."""
    from include.core.train_settings import ReaderSettings
    from include.model.encoder import Encoder
    from include.training.reader import save
    from include.training.reader_model import ReaderModel

    if not (root / "reader").exists():
        reader = ReaderModel(Encoder.load(model, device="cpu"), ReaderSettings().reader_layers)
        save(reader, root / "reader", {"weights": [1.0, 1.0, 0.0], "least": 0.5, "apart": reader.apart})
    return root / "reader"


def common_words(encoder: QueryEncoder) -> list[str]:
    """Words of the model's own, each one word piece, the shortest first."""
    known = [word for word in encoder.tokenizer.get_vocab() if word.isascii() and word.isalpha() and len(word) > 2]
    return sorted(known, key=lambda word: (len(word), word))[:5000]


def readable(hit: Hit, common: list[str]) -> Hit:
    """A product with as many words in its content, all of them common."""
    words = drawn(common, len(hit.content.split()), *hit.uid.encode())
    sentences = [" ".join(words[start : start + 12]).capitalize() for start in range(0, len(words), 12)]
    return replace(hit, title=" ".join(words[:8]), content=". ".join(sentences) + ".")


def drawn(common: list[str], count: int, *seed: int) -> list[str]:
    """Some of the words."""
    return [common[number] for number in np.random.default_rng([4, *seed]).integers(0, len(common), count)]


if __name__ == "__main__":
    main()
