"""Which pairs are trained on, what stays secret, and which pairs of a batch are known positives."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from include.catalogue.schema import LABELS_FILE, PRODUCTS_FILE, QUERIES_FILE, held_out_rows
from include.core import artifacts
from include.core.errors import EmptyCatalogue
from include.core.train_settings import TrainSettings
from include.training.batches import batches, steps_in_epoch
from include.training.pairs import NONE, Pairs, find_pairs
from tests.small import Product, products, table

MakeCatalogue = Callable[[Sequence[Product]], Path]
ALL = TrainSettings(related_share=1.0, holdout=10)


def publish(root: Path, rows: Sequence[Product], labels: Sequence[Product] | None) -> Path:
    """A catalogue of products and labels only; without labels, no labels file."""

    def write(space: artifacts.Workspace) -> dict[str, object]:
        pq.write_table(table(rows), space.path / PRODUCTS_FILE, row_group_size=3, write_page_checksum=True)
        if labels is not None:
            pq.write_table(table(labels), space.path / LABELS_FILE, row_group_size=2, write_page_checksum=True)
        return {}

    settings = {"rows": [list(row) for row in rows], "labels": [list(row) for row in labels or ()]}
    return artifacts.build(root, artifacts.Kind("catalogue", 0), write, settings=settings).path


def texts(catalogue: Path, pairs: Pairs) -> list[tuple[str, str]]:
    """The pairs as texts."""
    found: dict[int, str] = {}
    for (file, column), numbers in pairs.columns.items():
        if (catalogue / file).exists():
            found |= zip(numbers.tolist(), pq.read_table(catalogue / file)[column].to_pylist(), strict=True)
    return [(found[a], found[b]) for a, b in zip(pairs.left, pairs.right, strict=True)]


def known(catalogue: Path, pairs: Pairs, one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether the right text of `other` counts as a known positive of the left text of `one`."""
    order = texts(catalogue, pairs)
    batch = np.array([order.index(one), order.index(other)])
    mask = pairs.known_positives(batch)
    assert not mask.diagonal().any()
    return bool(mask[0, 1])


def test_pairs_titles_with_contents_and_with_related_titles(root: Path) -> None:
    """A title paired with another product's content would teach the opposite."""
    rows = [Product("1", "kettle", "boils"), Product("2", "lamp", "shines", [1, 0]), Product("3", "tent", "", [1])]
    path = publish(root, rows, [Product("8", "electric kettle", ""), Product("9", "bulb", "gives light")])
    found = texts(path, find_pairs(path, ALL))
    assert sorted(found) == [
        ("kettle", "boils"),
        ("lamp", "bulb"),
        ("lamp", "electric kettle"),
        ("lamp", "shines"),
        ("tent", "bulb"),
    ]


def test_links_go_by_the_row_column_and_dangling_ones_are_dropped(root: Path) -> None:
    """Convert rejects some labels; counting positions instead of `row` would link every product wrongly."""
    rows = [Product("1", "kettle", "boils", [7]), Product("2", "lamp", "shines", [0, 3, 99, -1])]
    path = publish(root, rows, [Product(f"L{n}", f"label {n}", "") for n in range(3)])
    labels = pq.read_table(path / LABELS_FILE)
    labels = labels.set_column(0, labels.schema.field("row"), [[3, 5, 7]])
    pq.write_table(labels, path / LABELS_FILE)
    found = texts(path, find_pairs(path, ALL))
    assert sorted(found) == [("kettle", "boils"), ("kettle", "label 2"), ("lamp", "label 0"), ("lamp", "shines")]


def test_held_out_products_are_left_out_on_either_side(root: Path) -> None:
    """One held-out text seen in training makes the evaluation, and the gate that relies on it, a lie."""
    rows = [
        *products(60),
        Product("x1", "copy of a title", "new content"),
        Product("x2", "a title of its own", "copy of a content"),
    ]
    held = set(held_out_rows(publish(root, rows, None) / PRODUCTS_FILE, 10, 42))
    secret = rows[min(held)]
    rows[60] = Product("x1", secret.title, "new content")
    rows[61] = Product("x2", "a title of its own", secret.content)
    labels = [
        Product(secret.uid, "another wording of the secret title", ""),  # the same product, by its uid
        Product("y1", secret.title, ""),
        Product("y2", "harmless", ""),
    ]
    rows = [row._replace(target_ind=[0, 1, 2], target_rel=[1.0] * 3) for row in rows]
    path = publish(root, rows, labels)
    held = set(held_out_rows(path / PRODUCTS_FILE, 10, 42))
    assert rows.index(next(row for row in rows if row.uid == secret.uid)) in held
    pairs = find_pairs(path, ALL)
    seen = {text for pair in texts(path, pairs) for text in pair}
    for number in held:
        assert rows[number].title not in seen
        assert rows[number].content not in seen
    assert "another wording of the secret title" not in seen
    assert "new content" not in seen, "it stands beside a held-out title"
    assert "a title of its own" not in seen, "it stands beside a held-out content"
    assert "harmless" in seen
    assert pairs.counts["held_out"] == len(held)


def test_queries_are_never_opened(catalogue: Path) -> None:
    """`tst` is for evaluation; a damaged queries file must not even be noticed."""
    (catalogue / QUERIES_FILE).write_bytes(b"not parquet")
    assert len(find_pairs(catalogue, ALL)) > 0


@pytest.mark.parametrize(
    ("one", "other", "expected", "why"),
    [
        (("kettle", "boils"), ("lamp", "shines"), False, "nothing links them"),
        (("lamp", "shines"), ("torch", "glows"), True, "they share the label bulb"),
        (("lamp", "shines"), ("lamp", "bulb"), True, "the same product"),
        (("lamp", "bulb"), ("torch", "bulb"), True, "the same text on the right"),
        (("tent", "sleeps two"), ("lamp", "bulb"), False, "bulb is no label of tent"),
        (("peg", "holds a tent"), ("tent", "sleeps two"), True, "peg's label has tent's uid"),
        (("tent", "sleeps two"), ("peg", "holds a tent"), True, "the same link, read from the other end"),
        (("tent", "sleeps two"), ("peg", "two-person tent"), True, "the label is the tent itself"),
    ],
)
def test_known_positives(root: Path, one: tuple[str, str], other: tuple[str, str], expected: bool, why: str) -> None:
    """A known positive used as a negative teaches the model to part what belongs together."""
    rows = [
        Product("1", "kettle", "boils"),
        Product("2", "lamp", "shines", [0]),
        Product("3", "torch", "glows", [0]),
        Product("4", "tent", "sleeps two"),
    ]
    rows.append(Product("5", "peg", "holds a tent", [1]))
    rows += [Product(f"6{n}", f"filler {n}", f"fills {n}") for n in range(15)]
    labels = [Product("8", "bulb", ""), Product("4", "two-person tent", "")]
    path = publish(root, rows, labels)
    for seed in range(200):  # one of the 20 products or more is held out: choose a seed that leaves ours
        settings = TrainSettings(related_share=1.0, holdout=10, seed=seed)
        if all(row >= 5 for row in held_out_rows(path / PRODUCTS_FILE, 10, seed)):
            break
    assert known(path, find_pairs(path, settings), one, other) is expected, why


def test_equal_titles_and_contents_are_known_positives(root: Path) -> None:
    """Two sellers' listings of one article are duplicates, not negatives."""
    rows = [Product("1", "kettle", "boils"), Product("2", "kettle", "boils fast"), Product("3", "pot", "boils")]
    path = publish(root, rows, None)
    pairs = find_pairs(path, ALL)
    assert known(path, pairs, ("kettle", "boils"), ("kettle", "boils fast"))
    assert known(path, pairs, ("kettle", "boils"), ("pot", "boils"))
    assert not known(path, pairs, ("kettle", "boils fast"), ("pot", "boils"))


def test_known_positives_agree_with_a_plain_reading_of_the_rule(root: Path) -> None:
    """The join over sorted tags is fast and easy to get wrong by one: compare it with sets, at random."""
    draw = np.random.default_rng(5)
    print("seed 5")
    words = [f"w{n}" for n in range(25)]
    rows = [
        Product(f"{n}", words[draw.integers(25)], f"c{draw.integers(20)}", list(map(int, draw.integers(0, 12, 2))))
        for n in range(40)
    ]
    labels = [Product(f"{n * 5}", words[draw.integers(25)], "") for n in range(12)]
    path = publish(root, rows, labels)
    pairs = find_pairs(path, ALL)
    order = texts(path, pairs)
    by_uid = {row.uid: row for row in rows}

    def tags(row: Product) -> set[str]:
        linked = [labels[target] for target in row.target_ind]
        twins = [by_uid[label.uid] for label in linked if label.uid in by_uid]
        return {row.title} | {label.title for label in linked} | {twin.title for twin in twins}

    mask = pairs.known_positives(np.arange(len(pairs)))
    for i, (left, right) in enumerate(order):
        for j, (other_left, other_right) in enumerate(order):
            product = pairs.right_product[j]
            others = ({other_right} | tags(rows[product])) if product != NONE else {other_right}
            linked = tags(rows[pairs.left_product[i]]) & others
            expected = i != j and bool(left == other_left or right == other_right or linked)
            assert mask[i, j] == expected, (order[i], order[j])
    assert 0.05 < mask.mean() < 0.95


def test_related_share_and_max_pairs_draw_by_the_seed(root: Path, make_catalogue: MakeCatalogue) -> None:
    """A draw that differs between attempts would break resuming."""
    path = make_catalogue(products(60))
    half = TrainSettings(related_share=0.5, holdout=10)
    first, again = find_pairs(path, half), find_pairs(path, half)
    assert np.array_equal(first.left, again.left)
    assert np.array_equal(first.right, again.right)
    assert first.counts["related"] == 25
    assert find_pairs(path, TrainSettings(related_share=0.0, holdout=10)).counts["related"] == 0
    few = find_pairs(path, TrainSettings(max_pairs=12, holdout=10))
    assert len(few) == 12
    other = find_pairs(path, TrainSettings(max_pairs=12, holdout=10, seed=43))
    assert texts(path, few) != texts(path, other)


def test_equal_pairs_count_once(root: Path) -> None:
    """A listing repeated a hundred times would weigh a hundred times."""
    rows = [Product("1", "kettle", "boils"), Product("2", "kettle", "boils"), Product("3", "lamp", "shines")]
    path = publish(root, rows, None)
    assert len(find_pairs(path, ALL)) == 2


def test_a_catalogue_without_products_is_refused(root: Path) -> None:
    """There is nothing to train on, and nothing to index either."""
    with pytest.raises(EmptyCatalogue, match="holds no product"):
        find_pairs(publish(root, [], None), ALL)


def test_a_catalogue_without_pairs_says_what_is_missing(root: Path) -> None:
    """Training on nothing would end in an obscure shape error."""
    found = find_pairs(publish(root, [Product("1", "kettle", ""), Product("2", "", "shines")], None), ALL)
    assert len(found) == 0
    assert "0 have both a title and a content" in found.lack
    assert "0 links lead to a related product's title" in found.lack


def test_titles_alone_train_where_they_are_linked(root: Path) -> None:
    """Related titles are pairs too: a catalogue of titles is no reason to stop."""
    rows = [Product("1", "kettle", "", [0]), Product("2", "lamp", "", [1])]
    path = publish(root, rows, [Product("8", "electric kettle", ""), Product("9", "bulb", "")])
    found = find_pairs(path, ALL)
    assert sorted(texts(path, found)) == [("kettle", "electric kettle"), ("lamp", "bulb")]
    assert found.lack == ""


def test_batches_hold_each_pair_once_and_repeat_exactly() -> None:
    """A resumed run rebuilds the order: it must come from its arguments alone."""
    lengths = np.random.default_rng(1).integers(5, 100, 1003)
    made = batches(lengths, 10, seed=42, epoch=1)
    assert sorted(np.concatenate(made)) == list(range(1003))
    assert len(made) == steps_in_epoch(1003, 10) == 101
    for one, other in zip(made, batches(lengths, 10, seed=42, epoch=1), strict=True):
        assert np.array_equal(one, other)
    assert any(not np.array_equal(*both) for both in zip(made, batches(lengths, 10, seed=42, epoch=2), strict=True))


def test_batches_group_like_lengths() -> None:
    """Padding to the longest text of a random batch would cost more than half of the arithmetic."""
    lengths = np.random.default_rng(1).integers(5, 100, 1000)
    padded = sum(len(batch) * lengths[batch].max() for batch in batches(lengths, 10, seed=0, epoch=0))
    assert padded < 1.15 * lengths.sum()


def test_a_last_batch_of_one_pair_is_dropped() -> None:
    """It has no negative: its loss is 0 whatever the model does."""
    made = batches(np.ones(21, np.int64), 10, seed=0, epoch=0)
    assert sorted(len(batch) for batch in made) == [10, 10]
    assert steps_in_epoch(21, 10) == 2
