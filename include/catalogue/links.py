"""Which labels products are linked to: `target_ind` of a catalogue's file, resolved to places in `labels.parquet`.

Read one row group at a time, in arrays: the reference archive has 50 million links.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from include.catalogue.columns import numbers
from include.catalogue.schema import read_rows
from include.core.arrays import Ints

NONE = -1


class Group(NamedTuple):
    """The links of one row group; owner[i] is linked to label[i], each pair once.

    Attributes:
        start: Position in the file of the group's first row.
        rows: (n,) the rows' numbers in the archive's file.
        owner: Positions in the group, ascending.
        label: Places in `labels.parquet`.
        barred: True where the filter names the pair.
    """

    start: int
    rows: Ints
    owner: Ints
    label: Ints
    barred: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Links:
    """The links of some rows of a file.

    Attributes:
        rows: Positions in the file.
        owner: Positions in `rows`, of each link.
        labels_of: The linked label's place in `labels.parquet`, of each link.
        barred_owner, barred_label: The same of the pairs that the filter names, linked or not.
        count: How many labels there are.
    """

    rows: list[int]
    owner: Ints
    labels_of: Ints
    barred_owner: Ints
    barred_label: Ints
    count: int

    @classmethod
    def read(cls, file: Path, rows: Sequence[int], places: Ints, barred: Ints | None = None) -> "Links":
        """The links of the rows at these ascending positions.

        Args:
            file: With `row` and `target_ind`.
            rows: Positions in it.
            places: See `place_of_row`.
            barred: See `include.evaluation.filter_pairs`; these pairs are not links.
        """
        wanted = np.asarray(rows, np.int64)
        owners, labels, row_numbers = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for group in _groups(file, places, barred, wanted):
            inside = wanted[(wanted >= group.start) & (wanted < group.start + len(group.rows))]
            row_numbers.append(group.rows[inside - group.start])
            owners.append(np.searchsorted(wanted, group.owner[~group.barred] + group.start))
            labels.append(group.label[~group.barred])
        pairs = np.empty((0, 2), np.int64) if barred is None else _known(barred, places)
        number = np.concatenate(row_numbers)  # ascending, as line numbers are
        place = np.minimum(np.searchsorted(number, pairs[:, 0]), max(len(number) - 1, 0))
        asked = number[place] == pairs[:, 0] if len(number) else np.zeros(len(pairs), np.bool_)
        return cls(
            list(rows),
            np.concatenate(owners),
            np.concatenate(labels),
            place[asked],
            places[pairs[asked, 1]],
            int((places != NONE).sum()),
        )

    def linked(self, most: int) -> "Links":
        """The first `most` rows that have links, without the others."""
        kept = np.unique(self.owner)[:most]
        some = np.isin(self.owner, kept)
        empty = np.empty(0, np.int64)
        owner = np.searchsorted(kept, self.owner[some])
        return Links([self.rows[row] for row in kept], owner, self.labels_of[some], empty, empty, self.count)

    @property
    def labels(self) -> Ints:
        """The places of all linked labels, ascending, each once."""
        return np.unique(self.labels_of)

    def within(self, labels: Sequence[int]) -> list[frozenset[int]]:
        """For each row the positions of its labels in `labels`, which are ascending places."""
        return self._within(self.owner, self.labels_of, labels)

    def barred_within(self, labels: Sequence[int]) -> list[frozenset[int]]:
        """For each row the positions in `labels` that the filter names with it."""
        return self._within(self.barred_owner, self.barred_label, labels)

    def _within(self, owner: Ints, label: Ints, labels: Sequence[int]) -> list[frozenset[int]]:
        corpus = np.asarray(labels, np.int64)
        inside = np.isin(label, corpus)
        found: list[set[int]] = [set() for _ in self.rows]
        for row, position in zip(owner[inside].tolist(), np.searchsorted(corpus, label[inside]).tolist(), strict=True):
            found[row].add(position)
        return [frozenset(each) for each in found]


def place_of_row(labels_file: Path) -> Ints:
    """For each row number of `lbl` its place in `labels.parquet`, NONE where convert did not accept it."""
    parts = [numbers(table["row"].combine_chunks()) for table in read_rows(labels_file, ["row"])]
    rows = np.concatenate([np.empty(0, np.int64), *parts])
    places = np.full(int(rows.max(initial=NONE)) + 1, NONE, np.int64)
    places[rows] = np.arange(len(rows))
    return places


def links_nowhere(file: Path, places: Ints) -> int:
    """How many entries of the file's `target_ind` name no accepted label; `places`: see `place_of_row`."""
    lost = 0
    for table in read_rows(file, ["target_ind"]):
        target = numbers(table["target_ind"].combine_chunks().flatten())
        inside = target[target < len(places)]
        lost += len(target) - int(np.count_nonzero(places[inside] != NONE))
    return lost


def linked_rows(file: Path, places: Ints, barred: Ints | None = None) -> tuple[Ints, int]:
    """Positions of the rows with at least one link, and how many lost all their links to the filter."""
    found, lost = [np.empty(0, np.int64)], 0
    for group in _groups(file, places, barred):
        kept = np.flatnonzero(np.bincount(group.owner[~group.barred]))
        found.append(kept + group.start)
        lost += int(np.count_nonzero(np.bincount(group.owner))) - len(kept)
    return np.concatenate(found), lost


def label_frequencies(file: Path, places: Ints) -> tuple[Ints, int]:
    """How many rows are linked to each label, by place; and how many rows there are."""
    counts = np.zeros(int((places != NONE).sum()), np.int64)
    rows = 0
    for group in _groups(file, places):
        counts += np.bincount(group.label, minlength=len(counts))
        rows += len(group.rows)
    return counts, rows


def _groups(file: Path, places: Ints, barred: Ints | None = None, wanted: Ints | None = None) -> Iterator[Group]:
    """The links of a file, or only those of the rows at the `wanted` positions."""
    size = max(len(places), 1)
    pairs = np.empty((0, 2), np.int64) if barred is None else _known(barred, places)
    filtered = np.unique(pairs[:, 0])
    keys = np.sort(pairs @ np.array([size, 1]))
    start = 0
    for table in read_rows(file, ["row", "target_ind"]):
        rows = np.asarray(table["row"].combine_chunks(), np.int64)
        column = table["target_ind"].combine_chunks()
        target = np.asarray(column.flatten(), np.int64)
        owner = np.repeat(np.arange(len(rows)), np.asarray(column.value_lengths(), np.int64))
        known = (target >= 0) & (target < len(places))
        if wanted is not None:
            chosen = np.zeros(len(rows), np.bool_)
            chosen[wanted[(wanted >= start) & (wanted < start + len(rows))] - start] = True
            known &= chosen[owner]
        known[known] = places[target[known]] != NONE
        once = np.sort(owner[known] * size + target[known])
        once = once[np.diff(once, prepend=NONE) != 0]  # a product that names a label twice is linked once
        owner, target = once // size, once % size
        left_out = np.isin(rows, filtered)[owner]
        found = rows[owner[left_out]] * size + target[left_out]
        left_out[left_out] = keys[np.minimum(np.searchsorted(keys, found), len(keys) - 1)] == found
        yield Group(start, rows, owner, places[target], left_out)
        start += len(rows)


def _known(barred: Ints, places: Ints) -> Ints:
    """The pairs whose label there is."""
    there = barred[:, 1] < len(places)
    there[there] = places[barred[there, 1]] != NONE
    return barred[there]
