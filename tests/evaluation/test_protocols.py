"""What evaluation asks, where it searches, and what it leaves out."""

import gzip
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from include.catalogue.convert import convert
from include.catalogue.links import Links, label_frequencies, linked_rows, place_of_row
from include.catalogue.schema import LABELS_FILE, PRODUCTS_FILE, QUERIES_FILE, held_out_rows
from include.core.errors import BadSettings
from include.core.settings import ConvertSettings, EvaluateSettings, SourceSettings
from include.core.train_settings import TrainSettings
from include.evaluation.filter_pairs import read_filter_pairs
from include.evaluation.metrics import inverse_propensities
from include.evaluation.protocols import query_to_label, title_to_content
from include.source.download import download
from tests.small import Product, products, write_catalogue

SETTINGS = EvaluateSettings()
MakeCatalogue = Callable[[Sequence[Product]], Path]


@pytest.fixture
def train(tiny_base: Path) -> TrainSettings:
    return TrainSettings(base_model=str(tiny_base), holdout=10, max_tokens=64)


def held_out(catalogue: Path, train: TrainSettings) -> list[int]:
    return held_out_rows(catalogue / PRODUCTS_FILE, train.holdout, train.seed)


def test_a_bounded_corpus_keeps_every_answer(make_catalogue: MakeCatalogue, train: TrainSettings) -> None:
    """A corpus drawn without the held-out products would make every query unanswerable."""
    catalogue = make_catalogue(products(300))
    held = held_out(catalogue, train)
    made = title_to_content(catalogue, held, train, EvaluateSettings(eval_corpus=100))
    assert made is not None
    rows = products(300)
    assert (len(made.corpus), made.whole) == (100, 300)
    assert made.queries == [rows[row].title for row in held]
    assert [made.corpus[min(places)] for places in made.relevant] == [rows[row].content for row in held]
    again = title_to_content(catalogue, held, train, EvaluateSettings(eval_corpus=100))
    assert again == made
    other = title_to_content(catalogue, held, train.model_copy(update={"seed": 1}), EvaluateSettings(eval_corpus=100))
    assert other is not None
    assert other.corpus != made.corpus


def test_a_changed_catalogue_keeps_its_corpus(make_catalogue: MakeCatalogue, train: TrainSettings) -> None:
    """Drawn by position, one new product gave another corpus: figures moved, and all of it had to be encoded."""
    corpora = []
    for rows in (products(300), [Product("new", "new lamp", "It is new."), *products(300)]):
        catalogue = make_catalogue(rows)
        made = title_to_content(catalogue, held_out(catalogue, train), train, EvaluateSettings(eval_corpus=100))
        assert made is not None
        corpora.append(set(made.corpus))
    assert len(corpora[0] & corpora[1]) >= 98


def test_products_of_equal_content_share_a_place(make_catalogue: MakeCatalogue, train: TrainSettings) -> None:
    """Editions of a book share their description: finding the other edition's is no mistake."""
    rows = [Product(f"{n}", f"title {n}", f"content {n // 2}") for n in range(100)]
    catalogue = make_catalogue(rows)
    made = title_to_content(catalogue, held_out(catalogue, train), train, SETTINGS)
    assert made is not None
    assert len(made.corpus) == 50
    assert all(
        made.corpus[min(places)] == f"content {int(query.split()[1]) // 2}"
        for query, places in zip(made.queries, made.relevant, strict=True)
    )


def test_titles_that_are_their_own_content_are_not_asked(make_catalogue: MakeCatalogue, train: TrainSettings) -> None:
    """Such a query finds itself, whatever the model."""
    rows = [Product(f"{n}", f"text {n}", f"text {n}" if n % 2 else f"content {n}") for n in range(100)]
    catalogue = make_catalogue(rows)
    made = title_to_content(catalogue, held_out(catalogue, train), train, SETTINGS)
    assert made is not None
    assert 0 < len(made.queries) < 10
    assert all(int(query.split()[1]) % 2 == 0 for query in made.queries)


def test_labels_follow_target_ind(catalogue: Path, train: TrainSettings) -> None:
    """`target_ind` are rows of lbl, not positions in what is left of it."""
    made = query_to_label(catalogue, held_out(catalogue, train), train, SETTINGS)
    assert made is not None
    assert made.corpus == [f"label {thing}" for thing in ("kettle", "lamp", "chair", "camera", "drill")]
    assert made.queries == [row.title for row in products(10)]
    assert made.relevant == [frozenset([number % 5]) for number in range(10)]
    fewer = query_to_label(
        catalogue, held_out(catalogue, train), train, EvaluateSettings(eval_queries=10, eval_corpus=100)
    )
    assert fewer == made


def test_the_fusion_is_fitted_on_held_out_products(catalogue: Path, train: TrainSettings) -> None:
    """Fitted on products that were trained for, or on those that are reported, a weight flatters."""
    held = held_out(catalogue, train)
    made = query_to_label(catalogue, held, train, SETTINGS)
    assert made is not None
    rows = products(60)
    assert made.fit_queries == [rows[row].title for row in held]
    assert made.fit_relevant == [frozenset(rows[row].target_ind) for row in held]
    without = query_to_label(catalogue, [], train, SETTINGS)
    assert without is not None
    assert without.fit_queries == []


def test_rare_labels_weigh_more(catalogue: Path, make_catalogue: MakeCatalogue, train: TrainSettings) -> None:
    """Frequencies of the test file, or of another row's label, would weigh the wrong ones."""
    rows = [row._replace(target_ind=[0] if n % 4 else [0, 3, 3, 99]) for n, row in enumerate(products(40))]
    made = query_to_label(make_catalogue(rows), [], train, SETTINGS)
    assert made is not None
    assert made.inverse_propensities is not None
    assert made.inverse_propensities == pytest.approx(inverse_propensities(np.array([40, 0, 0, 10, 0]), 40))


LINKED = [[0, 1], [1, 2, 5], [5, 5, 99], [4]]  # of tst rows 1 to 4; lbl row 2 is unusable, 99 does not exist


@pytest.fixture
def linked(root: Path, tmp_path: Path) -> Path:
    """A converted archive with a bad line before the test products and one among the labels."""

    def line(uid: str, title: str, content: str = "", linked: Sequence[int] = ()) -> str:
        row = {"uid": uid, "title": title, "content": content}
        return json.dumps({**row, "target_ind": list(linked), "target_rel": [1.0] * len(linked)})

    labels = [line(f"L{n}", f"label {n}") for n in range(6)]
    lines = {
        "trn": [line(f"t{n}", f"trained {n}", f"text {n}", [1]) for n in range(60)],
        "tst": ["broken", *(line(f"q{n}", f"query {n}", "", linked) for n, linked in enumerate(LINKED))],
        "lbl": [*labels[:2], "broken", *labels[3:]],
    }
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        for name, rows in lines.items():
            text = "".join(f"{row}\n" for row in rows)
            archive.writestr(f"LF-Amazon-1.3M/{name}.json.gz", gzip.compress(text.encode()))
    source = download(SourceSettings(source=str(tmp_path / "archive.zip")), root=root)
    return convert(source.path, ConvertSettings(row_group_rows=100), root=root).path


def asked(catalogue: Path, train: TrainSettings, filter_file: Path | None) -> dict[str, tuple[list[str], list[str]]]:
    """By query: the titles that are wanted, and those that are excluded."""
    settings = EvaluateSettings(filter_file=None if filter_file is None else str(filter_file))
    made = query_to_label(catalogue, [], train, settings)
    assert made is not None
    excluded = made.excluded or [frozenset()] * len(made.queries)
    return {
        query: (sorted(made.corpus[n] for n in wanted), sorted(made.corpus[n] for n in barred))
        for query, wanted, barred in zip(made.queries, made.relevant, excluded, strict=True)
    }


def test_rows_count_from_the_archives_first_line(linked: Path, train: TrainSettings) -> None:
    """convert drops lines: a position in what is left would name another product."""
    assert asked(linked, train, None) == {
        "query 0": (["label 0", "label 1"], []),
        "query 1": (["label 1", "label 5"], []),
        "query 2": (["label 5"], []),
        "query 3": (["label 4"], []),
    }


def test_filtered_pairs_are_neither_wanted_nor_found(linked: Path, train: TrainSettings, tmp_path: Path) -> None:
    """Reciprocal pairs make a test easy; leaving them wanted but not findable would make it impossible."""
    path = tmp_path / "filter_labels_test.txt"
    path.write_text("1 0\n2 3\n2 2\n3 5\n\n0 1\n")
    assert asked(linked, train, path) == {
        "query 0": (["label 1"], ["label 0"]),
        "query 1": (["label 1", "label 5"], ["label 3"]),
        "query 3": (["label 4"], []),
    }
    made = query_to_label(linked, [], train, EvaluateSettings(filter_file=str(path)))
    assert made is not None
    assert made.unanswered == 1


def test_links_are_read_the_same_in_row_groups_of_any_size(root: Path, train: TrainSettings) -> None:
    """A row group's offset forgotten gives each product another's links."""
    rows = [row._replace(target_ind=[n % 5, (n + 1) % 5, n % 5, 77][: n % 4]) for n, row in enumerate(products(30))]
    found = []
    for size in (1, 7, 100):
        catalogue = write_catalogue(root, rows, row_group_rows=size)
        places = place_of_row(catalogue / LABELS_FILE)
        links = Links.read(catalogue / PRODUCTS_FILE, [3, 4, 11, 29], places)
        few = links.linked(2)
        frequencies, count = label_frequencies(catalogue / PRODUCTS_FILE, places)
        answered, lost = linked_rows(catalogue / QUERIES_FILE, places)
        found.append((links.within(range(5)), few.rows, few.within(range(5)), frequencies.tolist(), count,
                      answered.tolist(), lost))  # fmt: skip
    assert found[0] == found[1] == found[2]
    assert found[0][0] == [frozenset(rows[n].target_ind) & frozenset(range(5)) for n in (3, 4, 11, 29)]
    assert found[0][1:3] == ([3, 11], [frozenset([3, 4]), frozenset([1, 2])])
    counted = [sum(label in row.target_ind for row in rows) for label in range(5)]
    assert found[0][3:] == (counted, 30, [n for n in range(10) if n % 4], 0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"cannot be read: No such file"),
        (b"", "has no pairs"),
        (b"1 0\n1,2\n", r"Line 2 of filter_file .*'1,2\\n'; expected are two row numbers"),
        (b"1 0 0.5\n", "Line 1"),
        (b"-1 0\n", "Line 1"),
        (b"\xff\xfe1 0\n", "Line 1"),
        (b"5 0\n", "row 5 of tst, which has 5 rows"),
        (b"4 6\n", "row 6 of lbl, which has 6 rows"),
    ],
)
def test_a_bad_filter_file_is_refused(
    content: bytes | None, said: str, linked: Path, train: TrainSettings, tmp_path: Path
) -> None:
    """A filter of another archive, or a page saved in its place, would silently filter the wrong pairs or none."""
    path = tmp_path / "filter.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadSettings, match=said) as caught:
        query_to_label(linked, [], train, EvaluateSettings(filter_file=str(path)))
    assert "filter_labels_test.txt" in caught.value.next_step


def test_a_good_filter_file_is_read(tmp_path: Path) -> None:
    """The real one ends lines as it likes."""
    path = tmp_path / "filter.txt"
    path.write_bytes(b"0 5\r\n12\t7\n  3 4")
    assert read_filter_pairs(path, {}).tolist() == [[0, 5], [12, 7], [3, 4]]
