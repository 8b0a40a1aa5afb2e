"""Catalogues whose columns have other names: what becomes uid, title and content, by guess and by settings."""

import logging
from pathlib import Path

import pytest

from include.catalogue.convert import convert
from include.core.artifacts import Artifact
from include.core.errors import BadSettings, BadSource, EmptyCatalogue, Terminal, TooManyRejects
from include.core.settings import ConvertSettings
from tests.catalogue.lines import made, publish, row, stored


def texts(catalogue: Artifact) -> list[tuple[str, str, str]]:
    return [(product["uid"], product["title"], product["content"]) for product in stored(catalogue)]


def test_asin_and_lists_are_read(root: Path) -> None:
    """Danger: "no uid" for each line of a scraper's file."""
    found = made(
        root,
        [
            {
                "asin": f"B0{n}",
                "title": ["Kettle", str(n)],
                "features": ["Fast", "Quiet!"],
                "description": [f"Text {n}."],
            }
            for n in range(3)
        ],
    )
    assert texts(found)[1] == ("B01", "Kettle 1", "Text 1. Fast. Quiet!")
    assert found.stats["mapping"] == {
        "uid": "asin",
        "title": "title",
        "content": ["description", "features"],
        "labelled": False,
        "attributes": [],
    }
    assert found.stats["trn"]["ignored"] == {}


def test_names_are_known_in_any_case_and_with_any_signs(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Danger: `Name` is not `name`, and each line is rejected; or nobody hears which column was taken."""
    caplog.set_level(logging.INFO)
    found = made(
        root,
        [
            {"Product ID": n, "PRODUCT_NAME": f"Kettle {n}", "Brand Name": "A", "Description": "It boils."}
            for n in range(3)
        ],
    )
    assert texts(found)[2] == ("2", "Kettle 2", "It boils.")
    assert {
        "uid is Product ID (guessed)",
        "title is PRODUCT_NAME (guessed)",
        "content is Description (guessed)",
    } <= set(caplog.messages)


def test_without_a_description_the_other_columns_are_the_content(root: Path) -> None:
    """Danger: the Japanese price list is searched by its titles alone; or pictures' addresses are searched too."""
    found = made(
        root,
        [
            {
                "id": n,
                "name": f"掃除機 {n}",
                "category": "家電 > 掃除",
                "price": "1,200円",
                "image": f"https://x.jp/{n}.jpg",
            }
            for n in range(3)
        ],
    )
    assert texts(found)[0] == ("0", "掃除機 0", "Category: 家電 > 掃除. Price: 1,200円.")
    assert found.stats["mapping"]["labelled"]


def test_without_an_id_the_error_names_the_way_out(root: Path) -> None:
    """Danger: a French file without ids is refused line by line, and nobody knows what to do."""
    records = [{"nom": f"Bouilloire {n % 3}", "description": "Elle bout."} for n in range(5)]
    with pytest.raises(BadSource) as caught:
        made(root, records)
    assert "nom ('Bouilloire 0', 'Bouilloire 1', 'Bouilloire 2'); description ('Elle bout.')" in caught.value.what
    assert "`content hash`" in caught.value.next_step
    found = made(root, records, uid_field="Content Hash")
    assert [len(uid) for uid, _, _ in texts(found)] == [32, 32, 32], "the same product is one product"
    assert (found.stats["trn"]["accepted"], found.stats["trn"]["merged"]) == (3, 2)
    again = made(root / "again", list(reversed(records)), uid_field="content hash")
    assert sorted(texts(again)) == sorted(texts(found)), "an id does not depend on the place"


def test_an_id_has_to_be_there_and_to_differ(root: Path) -> None:
    """Danger: a column `code` with three values makes three products of a whole catalogue."""
    records = [
        {"code": f"C{n % 3}", "sku": f"S{n}" if n % 2 else None, "key": f"K{n}", "name": "Pan"} for n in range(20)
    ]
    assert texts(made(root, records))[4][0] == "K4"
    with pytest.raises(BadSource, match=r"sku is in 50% of the records, 100% of its values differ\. code is in 100%"):
        made(root, [{name: value for name, value in record.items() if name != "key"} for record in records])


def test_settings_win_over_the_guess(root: Path) -> None:
    """Danger: a setting without effect; contents in another order than asked for; what lies deeper is out of reach."""
    records = [
        {
            "id": n,
            "ean": f"40{n}",
            "name": "x",
            "texts": {"long": "Long.", "short": "Short.", "head": f"Pan {n}"},
            "parts": [{"name": "Lid"}, {"name": "Handle"}],
        }
        for n in range(3)
    ]
    found = made(
        root,
        records,
        uid_field="EAN",
        title_field="texts.head",
        content_fields="texts.short, parts.name, texts.long",
    )
    assert texts(found)[1] == ("401", "Pan 1", "Short. Lid. Handle. Long.")


@pytest.mark.parametrize(
    ("settings", "setting"),
    [
        ({"uid_field": "nummer"}, "uid_field"),
        ({"title_field": "nummer"}, "title_field"),
        ({"content_fields": "name, nummer"}, "content_fields"),
    ],
)
def test_a_setting_that_names_no_column_is_one_clear_error(root: Path, settings: dict[str, str], setting: str) -> None:
    """Danger: a run that rejects every row for a missing title, after an hour."""
    with pytest.raises(BadSettings) as caught:
        made(root, [{"id": n, "name": f"Pan {n}", "price": 3} for n in range(9)], **settings)
    assert isinstance(caught.value, Terminal)
    assert f"products.jsonl has no column 'nummer', which {setting} names." in caught.value.what
    assert "id ('0', '1', '2'); name ('Pan 0', 'Pan 1', 'Pan 2'); price ('3')." in caught.value.what
    assert setting in caught.value.next_step


def test_no_title_is_one_clear_error(root: Path) -> None:
    """Danger: the brand's name becomes the title."""
    with pytest.raises(BadSource, match=r"title cannot be told\..*brand_name \('Acme'\)") as caught:
        made(root, [{"id": n, "brand_name": "Acme"} for n in range(9)])
    assert "title_field" in caught.value.next_step


def test_settings_that_come_to_the_same_are_the_same_catalogue(root: Path) -> None:
    """Danger: saying what was guessed makes every later stage run again."""
    records = [{"id": n, "name": f"Pan {n}", "description": "Flat."} for n in range(3)]
    first = made(root, records)
    assert made(root, records, uid_field="id", title_field="Name", content_fields="description").reused
    assert not made(root, records, content_fields="name").reused
    assert first.settings["mapping"]["uid"] == ("id",)


def test_the_five_fields_need_no_mapping(root: Path) -> None:
    """Danger: every catalogue that is there is converted, trained on and embedded again after an update."""
    found = convert(publish(root, row()), ConvertSettings(), root=root)
    assert "mapping" not in found.stats
    assert found.settings.keys() == {"max_title_chars", "max_content_chars", "row_group_rows"}


def test_rejected_lines_say_where_uid_and_title_were_looked_for(root: Path) -> None:
    """Danger: "no title", where the titles of the later records are in another column."""
    records = [{"id": n, "name": f"Pan {n}", "description": "Flat."} for n in range(2500)]
    later = [{"id": n, "heading": f"Pan {n}", "description": "Flat."} for n in range(2500, 4000)]
    with pytest.raises(TooManyRejects) as caught:
        made(root, [*records, *later])
    assert "no title 1,500 (line 2,501)" in caught.value.what
    assert "id (1,500), heading (1,500)" in caught.value.what
    assert "name (title) expected." in caught.value.what
    assert "(or set title_field to heading)" in caught.value.next_step


def test_lists_in_the_cells_of_a_table_are_lists(root: Path) -> None:
    """Danger: brackets and quotes are searched for, and shown to people."""
    cell = "['Fast', \"It's quiet\", 'a \\'b\\'']"
    found = made(root, [{"id": n, "name": '["Kettle"]', "features": cell} for n in range(3)])
    assert texts(found)[0] == ("0", "Kettle", "Fast. It's quiet. a 'b'.")


def test_a_guessed_uid_that_comes_again_after_the_sample_fails(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Danger: half of the products are merged into others, and nobody hears of it."""
    records = [{"id": n % 2500, "name": f"Pan {n}", "description": "Flat."} for n in range(5000)]
    with pytest.raises(TooManyRejects) as caught:
        made(root, records)
    assert "2,500 of 5,000 records have the id of an earlier one" in caught.value.what
    assert "Set uid_field" in caught.value.next_step
    assert made(root, records, uid_field="id").stats["trn"]["merged_different"] == 2500
    assert "trn: 2,500 of 5,000 records have the uid of an earlier one and another text" in caplog.text


def test_an_empty_column_of_ours_gives_way_to_a_full_one(root: Path) -> None:
    """Danger: each line is rejected for an empty `title` or `uid` beside the column that has it."""
    records = [{"uid": "", "title": None, "sku": f"S{n}", "name": f"Pan {n}", "content": "Flat."} for n in range(3)]
    assert texts(made(root, records))[0] == ("S0", "Pan 0", "Flat.")
    with pytest.raises(EmptyCatalogue) as caught:
        made(root, [{"uid": str(n), "title": "", "words": f"Pan {n}"} for n in range(3)], max_reject_share=1)
    assert "title_field to a column with values" in caught.value.next_step


def test_the_product_has_the_title_not_its_brand_nor_a_second_one(root: Path) -> None:
    """Danger: products are called by their brand, or by a subtitle."""
    records = [{"id": n, "brand": {"name": "A"}, "headline": f"Pan {n}", "description": "Flat."} for n in range(3)]
    assert texts(made(root, records))[0] == ("0", "Pan 0", "Flat.")
    records = [{"id": n, "title2": "Second", "name": f"Pan {n}", "description": "Flat."} for n in range(3)]
    assert texts(made(root, records))[0] == ("0", "Pan 0", "Flat.")


def test_ids_that_pandas_made_floats_are_whole_numbers(root: Path) -> None:
    """Danger: a column of ids with one gap in it is refused."""
    records = [{"id": n + 1001.0, "name": f"Pan {n}", "description": "Flat."} for n in range(20)]
    assert texts(made(root, records))[0][0] == "1001"


def test_columns_beyond_the_first_hundreds_are_found(root: Path) -> None:
    """Danger: a wide table has no sku, even where a setting names it."""
    wide = {f"c{n}": "x" for n in range(300)}
    records = [{**wide, "mark": f"M{n}", "sku": f"S{n}", "name": f"Pan {n}"} for n in range(3)]
    assert [text[0] for text in texts(made(root, records))] == ["S0", "S1", "S2"]
    assert [text[0] for text in texts(made(root, records, uid_field="mark"))] == ["M0", "M1", "M2"]


def test_an_object_in_a_few_titles_makes_no_column(root: Path) -> None:
    """Danger: one odd line of five fields, and the whole catalogue is mapped, trained on and embedded again."""
    records = [{"uid": str(n), "title": f"Pan {n}" if n else {"b": "x"}, "content": "Flat."} for n in range(99)]
    assert "mapping" not in made(root, records).stats


def test_brackets_in_a_title_are_no_list(root: Path) -> None:
    """Danger: `["Limited"] Mug ["blue"]` is sold as "Limited blue"."""
    records = [{"id": n, "name": '["Limited"] Mug ["blue"]', "description": "Flat."} for n in range(3)]
    assert texts(made(root, records))[0][1] == '["Limited"] Mug ["blue"]'
