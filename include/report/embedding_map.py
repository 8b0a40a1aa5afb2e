"""A map of the products: their vectors on two axes, so that what is alike lies together. It is drawn, not measured.

The axes are the first two principal components of a sample. Colours are the values of the attribute that tells most
products apart, or else groups by k-means, named by the words that their titles have more often than others'.
"""

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.catalogue.schema import PRODUCTS_FILE, open_parquet, read_attributes
from include.core.arrays import Floats, Vectors
from include.model.vectors import VECTORS_FILE, matrix

log = logging.getLogger(__name__)

POINTS = 1500
GROUPS = 6  # as many colours as can be told apart
ROW_GROUPS = 30  # of vectors read at most: a page must not read a store
LONGEST_TITLE = 60
OTHERS = "others"
FEWEST = 10  # below that a map shows nothing
ROUNDS = 30
WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True)
class Mapped:
    """Products on a map.

    Attributes:
        places: 0-1, from the left and from below.
        titles: Of each product, cut.
        groups: Of each, one of the `names`.
        names: Of the groups, largest first; `OTHERS` last where there are others.
        coloured_by: An attribute's name; None for groups by likeness.
        explained: Share of the sample's variance that the two axes have.
        products: How many there are in all.
    """

    places: list[tuple[float, float]]
    titles: list[str]
    groups: list[str]
    names: list[str]
    coloured_by: str | None
    explained: float
    products: int


def map_of(catalogue: Path, embeddings: Sequence[Path]) -> Mapped | None:
    """A sample of the products, placed by their vectors; None where there are too few, or their files are gone.

    Args:
        catalogue: Artifact with `products.parquet`.
        embeddings: Artifacts of the shards.
    """
    try:
        uids, vectors, products = _sample(embeddings)
        if len(uids) < FEWEST:
            return None
        titles, attributes = _described(catalogue / PRODUCTS_FILE, uids)
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        log.warning("the report goes without its map: %r", error)
        return None
    places, explained = _projected(vectors)
    coloured_by, groups = _by_attribute(attributes)
    if coloured_by is None:
        groups = _by_likeness(vectors, titles)
    counted = Counter(groups)
    names = sorted(counted, key=lambda name: (name == OTHERS, -counted[name], name))
    cut = [title if len(title) <= LONGEST_TITLE else title[: LONGEST_TITLE - 1] + "…" for title in titles]
    return Mapped(
        places=[(round(a, 4), round(b, 4)) for a, b in places.tolist()],
        titles=cut,
        groups=groups,
        names=names,
        coloured_by=coloured_by,
        explained=explained,
        products=products,
    )


def _sample(embeddings: Sequence[Path]) -> tuple[list[str], Vectors, int]:
    """Uids and vectors of at most POINTS products, from row groups evenly spread, and how many products there are."""
    places, products = [], 0
    for path in embeddings:
        with open_parquet(path / VECTORS_FILE) as file:
            places += [(path, group) for group in range(file.num_row_groups)]
            products += file.metadata.num_rows
    chosen = [places[n] for n in np.unique(np.linspace(0, len(places) - 1, min(ROW_GROUPS, len(places))).astype(int))]
    uids: list[str] = []
    vectors = []
    for number, (path, group) in enumerate(chosen):
        with open_parquet(path / VECTORS_FILE) as file:
            table = file.read_row_group(group, columns=["uid", "vector"])
        share = (POINTS - len(uids)) // (len(chosen) - number)
        rows = np.unique(np.linspace(0, table.num_rows - 1, min(share, table.num_rows)).astype(int))
        taken = table.take(rows)
        uids += taken["uid"].to_pylist()
        vectors.append(matrix(taken["vector"]))
    return uids, np.concatenate(vectors) if vectors else np.zeros((0, 1), np.float32), products


def _described(products: Path, uids: Sequence[str]) -> tuple[list[str], dict[str, list[str | None]]]:
    """The products' titles, and by name their attributes of few words, in the order of `uids`."""
    kinds = [each.name for each in read_attributes(products) if each.type in ("keyword", "boolean")]
    wanted = pa.array(uids)
    found: dict[str, dict[str, Any]] = {}
    columns = ["uid", "title", *(f"attributes.{name}" for name in kinds)]
    with open_parquet(products) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=columns)
            for row in table.filter(pc.is_in(table["uid"], wanted)).to_pylist():
                found[row["uid"]] = row
    rows = [found[uid] for uid in uids]
    values = {name: [row["attributes"][name] for row in rows] for name in kinds}
    return [row["title"] for row in rows], {
        name: [None if value is None else str(value) for value in each] for name, each in values.items()
    }


def _projected(vectors: Vectors) -> tuple[Floats, float]:
    """The first two principal components, scaled to 0-1, and their share of the variance."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    two = axes[:, : -min(2, len(values)) - 1 : -1]
    two *= np.sign(two[np.abs(two).argmax(axis=0), np.arange(two.shape[1])])  # the same picture each time
    placed = centred @ two
    if placed.shape[1] < 2:
        placed = np.column_stack([placed[:, 0], np.zeros(len(placed))])
    low, high = placed.min(axis=0), placed.max(axis=0)
    scaled = (placed - low) / np.where(high > low, high - low, 1)
    return scaled, float(values[-2:].sum() / max(values.sum(), 1e-12))


def _by_attribute(attributes: dict[str, list[str | None]]) -> tuple[str | None, list[str]]:
    """The attribute whose commonest values, two at least, cover most of the products; None where none covers half."""
    chosen: str | None = None
    groups: list[str] = []
    most = 0.5
    for name, values in attributes.items():
        common = Counter(each for each in values if each).most_common(GROUPS)
        covered = sum(count for _, count in common) / len(values)
        if len(common) > 1 and common[0][1] < 0.95 * len(values) and covered > most:
            kept = {value for value, _ in common}
            chosen, most = name, covered
            groups = [each if each and each in kept else OTHERS for each in values]
    return chosen, groups


def _by_likeness(vectors: Vectors, titles: Sequence[str]) -> list[str]:
    """Groups by k-means over unit vectors, each named by two words of its titles."""
    centres = vectors[np.linspace(0, len(vectors) - 1, min(GROUPS, len(vectors))).astype(int)]
    nearest = np.zeros(len(vectors), dtype=int)
    for _ in range(ROUNDS):
        moved = (vectors @ centres.T).argmax(axis=1)
        if (moved == nearest).all():
            break
        nearest = moved
        sums = np.stack([vectors[nearest == n].sum(axis=0) for n in range(len(centres))])
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 0, sums / np.maximum(lengths, 1e-12), centres)
    words = [set(WORD.findall(title.lower())) for title in titles]
    everywhere = Counter(word for each in words for word in each)
    names: dict[int, str] = {}
    for group in np.unique(nearest):
        inside = Counter(word for each, own in zip(words, nearest, strict=True) if own == group for word in each)
        telling = sorted(inside, key=lambda word: (-(inside[word] ** 2) / everywhere[word], word))[:2]
        name = ", ".join(telling) or "no words"
        names[int(group)] = name if name not in names.values() else f"{name} ({len(names) + 1})"
    return [names[int(group)] for group in nearest]
