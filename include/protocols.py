"""What evaluation asks and where it searches: queries, a corpus, and which items answer which query.

* `title_to_content`: the title of each product held out from training, among contents.
* `query_to_label`: the title of each test product (`tst`), among the titles of `lbl`; the products that its
  `target_ind` names are relevant. The protocol of the Extreme Classification Repository's LF data sets;
  comparable with published figures only where corpus and queries are whole.

Corpora are drawn by the seed where they are larger than the settings allow, what is relevant always in.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from include.catalogue import LABELS_FILE, PRODUCTS_FILE, QUERIES_FILE, held_out_rows, open_parquet, read_rows
from include.settings import EvaluateSettings, TrainSettings

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Protocol:
    """One retrieval task.

    Attributes:
        name: As in `metrics.json`.
        queries: Their texts.
        corpus: The texts to search.
        relevant: For each query the positions in `corpus` that answer it, at least one.
        metrics: Names of what is measured, see `include.metrics.summary`.
        whole: How many items the corpus would have without the limit.
    """

    name: str
    queries: list[str]
    corpus: list[str]
    relevant: list[frozenset[int]]
    metrics: tuple[str, ...]
    whole: int


def title_to_content(catalogue: Path, train: TrainSettings, settings: EvaluateSettings) -> Protocol | None:
    """Held-out titles among contents; None where nothing can be held out.

    Products of equal content share one place in the corpus, so finding either counts.

    Args:
        catalogue: Artifact of kind `catalogue`.
        train: Its `holdout` and `seed` say which products training never saw.
        settings: `eval_corpus` bounds the corpus, in products.
    """
    products = catalogue / PRODUCTS_FILE
    held = held_out_rows(products, train.holdout, train.seed)
    if not held:
        return None
    filled = _filled(products)
    chosen = _sample(filled, held, settings.eval_corpus, train.seed)
    places: dict[str, int] = {}
    queries: list[str] = []
    relevant: list[frozenset[int]] = []
    asked = frozenset(held)
    for row, product in zip(chosen, _rows(products, chosen, ["title", "content"]), strict=True):
        place = places.setdefault(product["content"], len(places))
        if row in asked and product["title"] != product["content"]:
            queries.append(product["title"])
            relevant.append(frozenset([place]))
    if not queries:
        return None
    return Protocol(
        "title_to_content",
        queries,
        list(places),
        relevant,
        ("p@1", "r@10", "r@100", "mrr@10", "ndcg@10"),
        len(filled),
    )


def query_to_label(catalogue: Path, train: TrainSettings, settings: EvaluateSettings) -> Protocol | None:
    """Test titles among label titles; None where the archive has no test file, no labels, or no links.

    Args:
        catalogue: Artifact of kind `catalogue`.
        train: Its `seed` draws queries and labels.
        settings: `eval_queries` and `eval_corpus` bound them.
    """
    targets = [
        (row, target)
        for row, linked in enumerate(_column(catalogue / QUERIES_FILE, "target_ind"))
        for target in dict.fromkeys(linked)
    ]
    position_of = {row: position for position, row in enumerate(_column(catalogue / LABELS_FILE, "row"))}
    links: dict[int, list[int]] = {}
    for row, target in targets:
        if target in position_of:
            links.setdefault(row, []).append(position_of[target])
    if not links:
        return None
    linked_rows = np.fromiter(links, np.int64, len(links))
    asked = _sample(linked_rows, [], settings.eval_queries, train.seed)
    wanted = sorted({label for row in asked for label in links[row]})
    labels = _sample(np.arange(len(position_of)), wanted, settings.eval_corpus, train.seed)
    place = {label: number for number, label in enumerate(labels)}
    return Protocol(
        "query_to_label",
        [product["title"] for product in _rows(catalogue / QUERIES_FILE, asked, ["title"])],
        [product["title"] for product in _rows(catalogue / LABELS_FILE, labels, ["title"])],
        [frozenset(place[label] for label in links[row]) for row in asked],
        ("p@1", "p@3", "p@5", "r@10", "r@100", "mrr@10"),
        len(position_of),
    )


def _sample(candidates: Ints, needed: Sequence[int], count: int, seed: int) -> list[int]:
    """`needed`, and others of `candidates` drawn by the seed until there are `count`; ascending."""
    others = np.setdiff1d(candidates, np.asarray(needed, np.int64))
    room = min(max(count - len(needed), 0), len(others))
    drawn = np.random.default_rng([seed, 3]).choice(others, room, replace=False)
    return sorted([*needed, *drawn.tolist()])


def _filled(products: Path) -> Ints:
    """Positions of the products that have a content."""
    lengths = [pc.binary_length(table["content"]).to_numpy() for table in read_rows(products, ["content"])]
    return np.flatnonzero(np.concatenate(lengths)) if lengths else np.empty(0, np.int64)


def _column(file: Path, name: str) -> Iterable[Any]:
    for table in read_rows(file, [name]):
        yield from table[name].to_pylist()


def _rows(file: Path, positions: Sequence[int], columns: Sequence[str]) -> Iterable[dict[str, Any]]:
    """The rows at these ascending positions, one row group after another."""
    wanted = np.asarray(positions, np.int64)
    offset = 0
    with open_parquet(file) as opened:
        for group in range(opened.num_row_groups):
            size = opened.metadata.row_group(group).num_rows
            inside = wanted[(wanted >= offset) & (wanted < offset + size)] - offset
            if len(inside):
                yield from opened.read_row_group(group, columns=list(columns)).take(inside).to_pylist()
            offset += size
