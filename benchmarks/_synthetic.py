"""A live version of many synthetic products, and questions for it.

The vectors are random, which is the hardest case for the graph; the texts are made of words as frequent as a language's
(Zipf), with model numbers. The base model encodes questions.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from include.core import artifacts, kinds
from include.core.index_settings import IndexSettings
from include.core.settings import MINILM_PACKAGE
from include.model.base import resolve_base
from include.store.edge import EdgeStore
from include.store.protocol import PointBatch, point_id
from include.store.terms import Terms
from include.store.version import IndexVersion
from include.store.vocabulary import VOCABULARY_FILE, write_vocabulary

DIM = 384
WORDS = 200_000  # of the invented language
LETTERS = np.array(list("etaoinshrdlucmwfgypbvk"))
BATCH = 1000


def publish(root: Path, count: int, shards: int, index: IndexSettings) -> IndexVersion:
    """Make a version live, or find it made.

    Args:
        root: The data directory.
        count: Products.
        shards: Of the index.
        index: Its settings.
    """
    store, words, each = EdgeStore(index, root=root), vocabulary(), count // shards
    settings = {"synthetic": f"{shards} of {each}", "collection": index.collection}

    def save_base(space: artifacts.Workspace) -> dict[str, Any]:
        from include.model.encoder import Encoder

        Encoder.load(resolve_base(MINILM_PACKAGE, root=root).path, max_tokens=128).save(space.path)
        return {}

    model = artifacts.build(root, kinds.MODEL, save_base, settings={"base": MINILM_PACKAGE})
    loaded = [
        store.upsert("any", number, products(words, number, each), inputs={"synthetic": f"{number} of {each}"})
        for number in range(shards)
    ]

    def describe(space: artifacts.Workspace) -> dict[str, Any]:
        texts = (row["content"] for batch in products(words, 0, each) for row in batch.payloads)
        write_vocabulary(texts, space.path / VOCABULARY_FILE)
        version = IndexVersion(
            name=artifacts.fingerprint(kinds.VERSION, settings),
            store="embedded",
            collection=index.collection,
            dim=DIM,
            model=model.path.relative_to(root).as_posix(),
            catalogue="none",
            plan="none",
            points=each * shards,
            shards=loaded,
            recall=1.0,
            checks={},
            language="english",
        )
        version.write(space.path)
        return {}

    made = artifacts.build(root, kinds.VERSION, describe, settings=settings)
    store.set_live(made.fingerprint)
    return IndexVersion.read(made.path, verify=False)


def vocabulary() -> np.ndarray:
    """Invented words, the most frequent first: (words,) text."""
    random = np.random.default_rng(1)
    lengths = random.integers(3, 11, WORDS)
    return np.array(["".join(random.choice(LETTERS, length)) for length in lengths])


def products(words: np.ndarray, shard: int, count: int) -> Iterator[PointBatch]:
    """A shard's points."""
    random, terms = np.random.default_rng([2, shard]), Terms("english")
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        vectors = random.normal(size=(size, DIM)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        drawn = words[np.minimum(random.zipf(1.2, (size, 80)), WORDS) - 1]
        payloads = []
        for row in range(size):
            uid = f"S{shard}{start + row:08d}"
            title = " ".join(drawn[row, :8]) + f" XK-{random.integers(100, 9999)}{drawn[row, 0][:1]}"
            content = " ".join(drawn[row])
            payloads.append({"uid": uid, "title": title, "content": content, "text": terms.product(title, content)})
        uids = [payload["uid"] for payload in payloads]
        yield PointBatch(uids, [point_id(uid) for uid in uids], vectors, payloads)


def questions(count: int) -> Iterator[str]:
    """Questions of six words, of which every third has one with a letter too much."""
    random, words = np.random.default_rng(3), vocabulary()
    for number in range(count):
        asked = list(words[np.minimum(random.zipf(1.2, 6), WORDS) - 1])
        if number % 3 == 0:
            word = str(random.choice(words[100:20_000]))
            asked[0] = word[:3] + "q" + word[3:] + "et"[: max(0, 6 - len(word))]
        yield f"which {' '.join(asked[:3])} is for {' '.join(asked[3:])}?"
