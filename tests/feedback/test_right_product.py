"""include/feedback/right_product.py: the product that a person names is the one that is taken, or none."""

from pathlib import Path

import pytest

from include.feedback.right_product import right_product
from include.store.version import IndexVersion
from tests.small import Product, write_catalogue

TITLES = ["Fußball Otto", "Steel kettle", "Steel kettle, small", "Mug", "Mug", "Ａ３ paper"]


@pytest.fixture
def version(root: Path) -> IndexVersion:
    catalogue = write_catalogue(root, [Product(f"u{n}", title, "") for n, title in enumerate(TITLES)], row_group_rows=2)
    path = catalogue.relative_to(root).as_posix()
    given = {"store": "embedded", "collection": "products", "dim": 4, "model": "", "plan": "", "recall": 1.0}
    return IndexVersion(name="0" * 16, catalogue=path, points=len(TITLES), shards=[], checks={}, **given)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("u0", 0),
        ("Fußball", 0),
        ("FUSSBALL OTTO", None),  # letters that are not in the title are not looked for
        ("steel KETTLE", 1),  # the whole title, before one that has more words
        ("small kettle", 2),
        ("kettle,", None),
        ("Mug", None),
        ("a", None),
        ("?!", None),
        ("nothing like it", None),
    ],
)
def test_a_product_is_found_by_uid_or_by_the_words_of_one_title(
    given: str, meant: int | None, version: IndexVersion, root: Path
) -> None:
    """A wrong product would teach what nobody said."""
    assert right_product(given, (), version, root=root) == (None if meant is None else f"u{meant}")
