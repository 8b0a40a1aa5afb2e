"""What evaluation asks and where it searches: queries, a corpus, and which items answer which query.

* `title_to_content`: the title of each product held out from training, among contents.
* `query_to_label`: the title of each test product (`tst`), among the titles of `lbl`; the products that its
  `target_ind` names are relevant. The protocol of the Extreme Classification Repository's LF data sets;
  comparable with published figures only where corpus and queries are whole and `filter_file` is given.

Queries and corpora are drawn by the seed where they are larger than the settings allow, what is relevant always in.
A text is drawn by itself, not by its place: a changed catalogue has the same corpus but for what has changed, so that
its figures can be compared, and few of its texts must be encoded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from include.catalogue.links import Links, label_frequencies, linked_rows, place_of_row
from include.catalogue.schema import LABELS_FILE, PRODUCTS_FILE, QUERIES_FILE, drawn_by, open_parquet, read_rows
from include.core import artifacts
from include.core.arrays import Floats, Ints
from include.core.settings import EvaluateSettings
from include.core.train_settings import TrainSettings
from include.evaluation.filter_pairs import read_filter_pairs
from include.evaluation.fusion_weight import MOST
from include.evaluation.metrics import inverse_propensities
from include.evaluation.summary import MetricName


@dataclass(frozen=True)
class Protocol:
    """One retrieval task.

    Attributes:
        name: As in `metrics.json`.
        queries: Their texts.
        corpus: The texts to search.
        relevant: For each query the positions in `corpus` that answer it, at least one.
        metrics: Names of what is measured, see `include.evaluation.metrics.per_query`.
        whole: How many items the corpus would have without the limit.
        fit_queries: Texts like the queries, of products that training never saw either, to fit the fusion on;
            without any it is fitted on the queries themselves, crosswise.
        fit_relevant: For each of them the positions that answer it.
        excluded: For each query the positions that are neither wanted nor found; None without a filter.
        unanswered: Queries left out because the filter leaves them nothing to find.
        inverse_propensities: Of each item of the corpus, for PSP; None where PSP is not measured.
    """

    name: str
    queries: list[str]
    corpus: list[str]
    relevant: list[frozenset[int]]
    metrics: tuple[MetricName, ...]
    whole: int
    fit_queries: list[str] = field(default_factory=list)
    fit_relevant: list[frozenset[int]] = field(default_factory=list)
    excluded: list[frozenset[int]] | None = None
    unanswered: int = 0
    inverse_propensities: Floats | None = field(default=None, compare=False)


def title_to_content(
    catalogue: Path, held: Sequence[int], train: TrainSettings, settings: EvaluateSettings
) -> Protocol | None:
    """Held-out titles among contents; None where nothing can be held out.

    Products of equal content share one place in the corpus, so finding either counts.

    Args:
        catalogue: Artifact of kind `catalogue`.
        held: `include.catalogue.schema.held_out_rows`: which products training never saw.
        train: Its `seed` draws the corpus.
        settings: `eval_corpus` bounds the corpus, in products.
    """
    if not held:
        return None
    products = catalogue / PRODUCTS_FILE
    filled = _filled(products)
    chosen = _sample(products, filled, held, settings.eval_corpus, train.seed)
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


def query_to_label(
    catalogue: Path, held: Sequence[int], train: TrainSettings, settings: EvaluateSettings
) -> Protocol | None:
    """Test titles among label titles; None where the archive has no test file, no labels, or no links.

    Args:
        catalogue: Artifact of kind `catalogue`.
        held: Products that training never saw: those with links are the `fit_queries`.
        train: Its `seed` draws queries and labels.
        settings: `eval_queries` and `eval_corpus` bound them; `filter_file` names pairs to leave out.

    Raises:
        BadSettings: The filter file cannot be read or belongs to another archive.
    """
    queries_file, labels_file, products_file = (catalogue / n for n in (QUERIES_FILE, LABELS_FILE, PRODUCTS_FILE))
    if not queries_file.exists() or not labels_file.exists():
        return None
    places = place_of_row(labels_file)
    barred = None
    if settings.filter_file:
        stats = artifacts.read(catalogue, verify=False).stats
        barred = read_filter_pairs(Path(settings.filter_file), stats)
    answered, unanswered = linked_rows(queries_file, places, barred)
    if not len(answered):
        return None
    asked = _sample(queries_file, answered, [], settings.eval_queries, train.seed)
    links = Links.read(queries_file, asked, places, barred)
    practice = Links.read(products_file, held, places).linked(MOST)
    needed = np.union1d(links.labels, practice.labels)
    labels = _sample(labels_file, np.arange(links.count), needed.tolist(), settings.eval_corpus, train.seed)
    frequencies, instances = label_frequencies(products_file, places)
    return Protocol(
        "query_to_label",
        _titles(queries_file, asked),
        _titles(labels_file, labels),
        links.within(labels),
        ("p@1", "p@3", "p@5", "psp@1", "psp@3", "psp@5", "r@10", "r@100", "mrr@10", "ndcg@10"),
        links.count,
        _titles(products_file, practice.rows),
        practice.within(labels),
        None if barred is None else links.barred_within(labels),
        unanswered,
        inverse_propensities(frequencies[labels], instances),
    )


def _sample(file: Path, candidates: Ints, needed: Sequence[int], count: int, seed: int) -> list[int]:
    """`needed`, and others of `candidates` (rows of `file`) drawn by the seed until there are `count`; ascending."""
    others = np.setdiff1d(candidates, np.asarray(needed, np.int64))
    room = max(count - len(needed), 0)
    if room < len(others):
        hashes = (text for table in read_rows(file, ["text_hash"]) for text in table["text_hash"].to_pylist())
        keys = np.array(drawn_by(hashes, seed))
        others = others[np.argsort(keys[others], kind="stable")[:room]]
    return sorted([*needed, *others.tolist()])


def _filled(products: Path) -> Ints:
    """Positions of the products that have a content."""
    lengths = [pc.binary_length(table["content"]).to_numpy() for table in read_rows(products, ["content"])]
    return np.flatnonzero(np.concatenate(lengths)) if lengths else np.empty(0, np.int64)


def _titles(file: Path, positions: Sequence[int]) -> list[str]:
    return [product["title"] for product in _rows(file, positions, ["title"])]


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
