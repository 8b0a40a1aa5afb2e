"""Training pairs out of a catalogue, and which pairs of a batch are known positives of each other.

Two kinds of pairs: a product's title with its content, and a product's title with the title of a
related product (`target_ind` into `labels.parquet`); and those of people's questions (`question_pairs.py`).
Held-out products are left out completely, and so is every product or label that shares a title, a content or
the uid with one. `queries.parquet` is never opened: it belongs to evaluation.

Texts are numbers here (equal texts share one), so that millions of pairs are a few flat arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from include.catalogue.schema import LABELS_FILE, PRODUCTS_FILE, held_out_rows, read_rows
from include.catalogue.short_hash import short_hashes
from include.core.arrays import Bools, Ints
from include.core.errors import EmptyCatalogue
from include.core.train_settings import TrainSettings
from include.questions.questions import Question
from include.training.question_pairs import QUESTION_TEXTS, question_pairs

NONE = -1
LEAST = 2  # pairs: a batch of one has no negative


@dataclass(frozen=True)
class Ragged:
    """Rows of unequal length in one array: row i is `values[offsets[i]:offsets[i + 1]]`."""

    offsets: Ints
    values: Ints

    def entries(self, rows: Ints) -> tuple[Ints, Ints]:
        """All values of some rows; with each, the position in `rows` that it belongs to."""
        return self.spans(self.offsets[rows], self.offsets[rows + 1])

    def spans(self, first: Ints, last: Ints) -> tuple[Ints, Ints]:
        """All of `values[first[k]:last[k]]`; with each value, its k."""
        length = last - first
        owner = np.repeat(np.arange(len(first)), length)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(length) - length, length)
        return owner, self.values[np.repeat(first, length) + within]


@dataclass(frozen=True)
class Pairs:
    """n pairs of texts and what is known about them; all texts are numbers.

    Attributes:
        left: (n,) the title.
        right: (n,) the content, or the related title.
        left_product: (n,) the product whose title is on the left.
        right_product: (n,) the product that the right text belongs to, NONE for a label that is no product.
        tags: For each product its title and the titles of the products that it is linked to: two
            products that share a tag are known to belong together.
        columns: For each (file, column) of the catalogue, the text that each row holds, NONE for an empty one; and
            the texts of questions.
        counts: Products, those held out and left out, pairs of content, related pairs, pairs of questions if any.
        lack: Where there are too few pairs to train on, what the catalogue lacks; else empty.
    """

    left: Ints
    right: Ints
    left_product: Ints
    right_product: Ints
    tags: Ragged
    columns: dict[tuple[str, str], Ints]
    counts: dict[str, int]
    lack: str = ""

    def __len__(self) -> int:
        return len(self.left)

    def known_positives(self, batch: Ints, texts: Ints | None = None, products: Ints | None = None) -> Bools:
        """(b, b + m): True where right text j is known to belong to the left text of pair i.

        That is where the texts of both are equal on either side, or where the product on the left and
        the one on the right are the same, are linked by `target_ind`, or share a label. The diagonal,
        each pair's own positive, is False.

        Args:
            batch: (b,) numbers of pairs; their right texts come first.
            texts, products: (m,) of further right texts, the hard negatives, and the products they belong to.
        """
        left, right = self.left[batch], self.right[batch]
        right_product = self.right_product[batch]
        if texts is not None and products is not None:
            right, right_product = np.concatenate([right, texts]), np.concatenate([right_product, products])
        known = right[: len(batch), None] == right[None, :]
        known[:, : len(batch)] |= left[:, None] == left[None, :]
        known |= self.left_product[batch][:, None] == right_product[None, :]
        left_owner, left_tag = self.tags.entries(self.left_product[batch])
        of_product = np.flatnonzero(right_product != NONE)
        owner, tag = self.tags.entries(right_product[of_product])
        right_owner = np.concatenate([of_product[owner], np.arange(len(right))])
        right_tag = np.concatenate([tag, right])
        # Join both lists on the tag: for each left entry, the run of equal tags among the sorted right ones.
        order = np.argsort(right_tag, kind="stable")
        first = np.searchsorted(right_tag[order], left_tag, "left")
        last = np.searchsorted(right_tag[order], left_tag, "right")
        row, column = Ragged(np.array([0, len(order)]), right_owner[order]).spans(first, last)
        known[left_owner[row], column] = True
        np.fill_diagonal(known, False)
        return np.asarray(known, np.bool_)

    def renamed(self, name: Ints) -> "Pairs":
        """The same pairs where text t is called `name[t]`: one name for texts that the model cannot tell apart."""
        return replace(
            self,
            left=name[self.left],
            right=name[self.right],
            tags=Ragged(self.tags.offsets, name[self.tags.values]),
            columns={where: np.where(held == NONE, NONE, name[held]) for where, held in self.columns.items()},
        )


def find_pairs(catalogue: Path, settings: TrainSettings, questions: Sequence[Question] = ()) -> Pairs:
    """All pairs to train on; the same for the same catalogue, settings and questions.

    Args:
        catalogue: Artifact of kind `catalogue`.
        settings: Which pairs, and how many.
        questions: Of the part `train`; those about held-out products are left out.

    Raises:
        EmptyCatalogue: There is no product.
    """
    products = _read(catalogue / PRODUCTS_FILE, ["uid", "title", "content", "target_ind"])
    labels = _read(catalogue / LABELS_FILE, ["uid", "title", "row"])
    if not len(products["uid"]):
        raise EmptyCatalogue(f"{catalogue} holds no product.", "Check the source file and the rejects' reasons.")
    held = np.array(held_out_rows(catalogue / PRODUCTS_FILE, settings.holdout, settings.seed), np.int64)
    asked = question_pairs(catalogue, questions)
    title, content, label_title, spoken, texts = _number(
        products["title"], products["content"], labels["title"], short_hashes(asked.texts)
    )
    owner, label = _links(products["offsets"], products["targets"], labels["row"])
    product_of_label = _positions(products["uid"], labels["uid"])
    tags = _tags(title, label_title, owner, label, product_of_label)

    secret = np.zeros(texts + 1, np.bool_)  # the last place stands for NONE, the empty text
    secret[title[held]] = secret[content[held]] = True
    secret_product = secret[title] | secret[content]
    secret_label = secret[label_title] | (secret_product[product_of_label] & (product_of_label != NONE))

    complete = (title != NONE) & (content != NONE)
    own = np.flatnonzero(complete & ~secret_product & (title != content))
    usable = (title[owner] != NONE) & (label_title[label] != NONE) & (title[owner] != label_title[label])
    usable &= ~secret_product[owner] & ~secret_label[label]
    drawn = np.flatnonzero(usable)
    drawn = drawn[_draw(len(drawn), round(settings.related_share * len(drawn)), [settings.seed, 1])]

    of_questions = np.array(asked.pairs, np.int64).reshape(-1, 3)
    of_questions = of_questions[~secret_product[of_questions[:, 2]]]
    ask, reply, about = of_questions.T

    left_product = np.concatenate([own, owner[drawn], about])
    right_product = np.concatenate([own, product_of_label[label[drawn]], about])
    left = np.concatenate([title[own], title[owner[drawn]], spoken[ask]])
    right = np.concatenate([content[own], label_title[label[drawn]], spoken[reply]])
    chosen = np.sort(np.unique(left * texts + right, return_index=True)[1])  # equal pairs once
    if settings.max_pairs:
        chosen = chosen[_draw(len(chosen), settings.max_pairs, [settings.seed, 2])]
    lack = ""
    if len(chosen) < LEAST:
        lack = (
            f"training needs at least {LEAST} pairs of texts, {catalogue} gives {len(chosen)}: of its {len(title)} "
            f"products {int(complete.sum())} have both a title and a content ({len(held)} of them held out for "
            f"evaluation), and {int(usable.sum())} links lead to a related product's title"
        )
    counts = {
        "products": len(title),
        "held_out": len(held),
        "left_out": int(secret_product.sum()) - len(held),  # they share a text with a held-out one
        "content": int((chosen < len(own)).sum()),
        "related": int(((chosen >= len(own)) & (chosen < len(own) + len(drawn))).sum()),
    }
    if len(questions):
        counts["questions"] = int((chosen >= len(own) + len(drawn)).sum())
    columns = {
        (PRODUCTS_FILE, "title"): title,
        (PRODUCTS_FILE, "content"): content,
        (LABELS_FILE, "title"): label_title,
        **({QUESTION_TEXTS: spoken} if asked.texts else {}),
    }
    return Pairs(left[chosen], right[chosen], left_product[chosen], right_product[chosen], tags, columns, counts, lack)


def _read(file: Path, columns: Sequence[str]) -> dict[str, Ints]:
    """A file's columns as numbers, row by row: texts as 64-bit hashes (0 for an empty one), links flat.

    Two of five million texts share a 64-bit hash with probability 1e-6; then one would be trained for the other.
    """
    parts: dict[str, list[Ints]] = {name: [] for name in (*columns, "offsets", "targets")}
    for table in read_rows(file, columns) if file.exists() else ():
        for name in columns:
            column = table[name].combine_chunks()
            if name == "target_ind":
                parts["offsets"].append(np.asarray(column.value_lengths(), np.int64))
                parts["targets"].append(np.asarray(column.flatten(), np.int64))
            elif name == "row":
                parts[name].append(np.asarray(column, np.int64))
            else:
                parts[name].append(short_hashes(column.to_pylist()))
    joined = {name: np.concatenate([np.empty(0, np.int64), *chunks]) for name, chunks in parts.items()}
    joined["offsets"] = np.concatenate([[0], np.cumsum(joined["offsets"])])
    return joined


def _number(*columns: Ints) -> tuple[Any, ...]:
    """Number the distinct hashes of all columns from 0, NONE for an empty text; and say how many there are."""
    distinct = np.unique(np.concatenate(columns))
    distinct = distinct[distinct != 0]
    numbered = [np.where(column == 0, NONE, np.searchsorted(distinct, column)) for column in columns]
    return (*numbered, len(distinct))


def _positions(uids: Ints, wanted: Ints) -> Ints:
    """Where each wanted uid stands among `uids`; NONE where it does not."""
    if not len(uids):
        return np.full(len(wanted), NONE)
    order = np.argsort(uids)
    place = order[np.minimum(np.searchsorted(uids[order], wanted), len(uids) - 1)]
    return np.where(uids[place] == wanted, place, NONE)


def _links(offsets: Ints, targets: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """For each link that leads to a label there is: the product's and the label's position."""
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    label_of_row = np.full(int(rows.max(initial=NONE)) + 2, NONE)  # the last place: beyond the file
    label_of_row[rows] = np.arange(len(rows))
    label = label_of_row[np.where((targets >= 0) & (targets < len(label_of_row)), targets, NONE)]
    return owner[label != NONE], label[label != NONE]


def _tags(title: Ints, label_title: Ints, owner: Ints, label: Ints, product_of_label: Ints) -> Ragged:
    """See `Pairs.tags`. A label that is a product counts under that product's title too, should they differ."""
    twin = product_of_label[label]
    has_twin = twin != NONE
    owners = np.concatenate([np.arange(len(title)), owner, owner[has_twin]])
    values = np.concatenate([title, label_title[label], title[twin[has_twin]]])
    owners, values = owners[values != NONE], values[values != NONE]
    order = np.argsort(owners, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(title)))])
    return Ragged(offsets, values[order])


def _draw(count: int, wanted: int, seed: Sequence[int]) -> Ints:
    """`wanted` of the numbers below `count`, ascending; all where there are no more."""
    if wanted >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).permutation(count)[:wanted])
