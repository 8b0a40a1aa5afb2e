"""A catalogue's word pieces, cut once: what comes back is what the tokenizer would have given."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from include.catalogue.schema import LABELS_FILE, PRODUCTS_FILE, product_text
from include.core import artifacts
from include.core.errors import DamagedArtifact
from include.model.directory import load_tokenizer
from include.model.encoder import Encoder
from include.model.tokens import CatalogueTokens, find, joins, tokenize
from tests.small import Product, products, write_catalogue

LENGTH = 24


@pytest.fixture
def tokenizer(tiny_base: Path) -> Tokenizer:
    return load_tokenizer(tiny_base, LENGTH)


def test_every_text_is_cut_as_the_tokenizer_cuts_it(root: Path, tiny_base: Path, tokenizer: Tokenizer) -> None:
    """One row shifted, one piece too many: training would go on, on other texts."""
    rows = [*products(23), Product("x", "title alone", ""), Product("y", "Größe ½ ™ 漢字", "e\u0301 émoji 😀 " * 30)]
    catalogue = write_catalogue(root, rows)
    made = tokenize(catalogue, tokenizer, LENGTH, root=root)
    tokens = CatalogueTokens(made.path, tokenizer)
    encoder = Encoder.load(tiny_base, max_tokens=LENGTH)
    for number, row in enumerate(rows):
        (title,), (content,) = encoder.tokenize([row.title]), encoder.tokenize([row.content])
        assert tokens.whole(tokens.columns[PRODUCTS_FILE, "title"][number]).tolist() == title.tolist()
        assert tokens.whole(tokens.columns[PRODUCTS_FILE, "content"][number]).tolist() == content.tolist()
        (product,) = encoder.tokenize([product_text(row.title, row.content)])
        assert tokens.product(number).tolist() == product.tolist()
        assert len(product) <= LENGTH
    assert len(tokens.columns[LABELS_FILE, "title"].offsets) == 5 + 1
    assert made.stats["tokens"] == sum(len(held.ids) for held in tokens.columns.values())


def test_is_made_once_and_found_again(catalogue: Path, root: Path, tokenizer: Tokenizer) -> None:
    """Training and embedding share it; another length is another one."""
    assert find(catalogue, tokenizer, LENGTH, root=root) is None
    made = tokenize(catalogue, tokenizer, LENGTH, root=root)
    assert tokenize(catalogue, tokenizer, LENGTH, root=root).reused
    assert find(catalogue, tokenizer, LENGTH, root=root) == made.path
    assert find(catalogue, tokenizer, LENGTH + 1, root=root) is None


def test_a_damaged_file_is_not_trained_on(catalogue: Path, root: Path, tokenizer: Tokenizer) -> None:
    """A flipped byte is another word, and nothing would show it."""
    path = tokenize(catalogue, tokenizer, LENGTH, root=root).path
    file = next(path.glob("*.ids"))
    content = bytearray(file.read_bytes())
    content[10] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedArtifact):
        find(catalogue, tokenizer, LENGTH, root=root)
    assert not tokenize(catalogue, tokenizer, LENGTH, root=root).reused
    assert artifacts.read(path)


@given(title=st.text(min_size=1, max_size=30), content=st.text(min_size=1, max_size=60))
@example(title="No. 5.", content="...5")
@example(title="a", content="\u0301b")
def test_a_joined_text_is_cut_like_its_parts(tokenizer: Tokenizer, title: str, content: str) -> None:
    """Embedding joins title and content by their pieces; queries and peers cut the text itself."""
    assert joins(tokenizer)

    def pieces(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    tokenizer.no_truncation()
    assert pieces(product_text(title, content)) == pieces(title) + pieces(".") + pieces(content)


def test_ids_are_small_where_the_vocabulary_is(catalogue: Path, root: Path, tokenizer: Tokenizer) -> None:
    """Two bytes a piece: at full size that is 400 MB instead of 1.6 GB."""
    made = tokenize(catalogue, tokenizer, LENGTH, root=root)
    assert CatalogueTokens(made.path, tokenizer).columns[PRODUCTS_FILE, "title"].ids.dtype == np.uint16
