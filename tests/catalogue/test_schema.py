"""include/catalogue/schema.py: what the stages share."""

from pathlib import Path

import pytest

from include.catalogue.schema import PRODUCTS_FILE, held_out, product_text, read_rows
from include.catalogue.text_hash import text_hash


def test_held_out_products_do_not_depend_on_the_order_of_rows() -> None:
    """Training and evaluation choose apart from each other: a product on both sides is cheating."""
    uids = [f"{n:05d}" for n in range(500)]
    hashes = [text_hash(uid, "") for uid in uids]
    chosen = {uids[position] for position in held_out(uids, hashes, 40, seed=1)}
    turned = {uids[::-1][position] for position in held_out(uids[::-1], hashes[::-1], 40, seed=1)}
    assert chosen == turned
    assert len(chosen) == 40
    assert chosen != {uids[position] for position in held_out(uids, hashes, 40, seed=2)}


def test_products_of_equal_text_stay_on_one_side() -> None:
    """A twin in the training set would give the held-out one away."""
    uids = [f"{n:05d}" for n in range(100)]
    hashes = [text_hash(f"text {n % 10}", "") for n in range(100)]
    chosen = held_out(uids, hashes, 10, seed=0)
    inside = {hashes[position] for position in chosen}
    outside = {hashes[position] for position in range(100) if position not in chosen}
    assert not inside & outside


@pytest.mark.parametrize(("products", "wanted", "expected"), [(100, 50, 20), (4, 10, 0), (0, 10, 0), (10, 1, 1)])
def test_at_most_a_fifth_is_held_out(products: int, wanted: int, expected: int) -> None:
    """A small catalogue must keep most of its products for training."""
    uids = [str(n) for n in range(products)]
    assert len(held_out(uids, [text_hash(uid, "") for uid in uids], wanted, seed=0)) == expected


def test_row_groups_are_read_one_after_another(catalogue: Path) -> None:
    """Memory must not grow with the catalogue."""
    sizes = [table.num_rows for table in read_rows(catalogue / PRODUCTS_FILE, ["uid"])]
    assert sizes == [10] * 6
    chosen = [table.column("uid")[0].as_py() for table in read_rows(catalogue / PRODUCTS_FILE, ["uid"], [3, 1])]
    assert chosen == ["0000000030", "0000000010"]


def test_a_flipped_byte_in_a_page_is_noticed(catalogue: Path) -> None:
    """Parquet reads a flipped byte as other data unless page checksums are on."""
    file = catalogue / PRODUCTS_FILE
    content = bytearray(file.read_bytes())
    content[200] ^= 0xFF
    file.write_bytes(bytes(content))
    with pytest.raises(OSError):
        list(read_rows(file))


def test_text_of_a_product_without_content_is_its_title() -> None:
    """A trailing separator would change the vector of a third of the catalogue."""
    assert product_text("Kettle", "") == "Kettle"
    assert product_text("Kettle", "It boils.") == "Kettle. It boils."
    assert text_hash("a", "b") != text_hash("ab", "")
