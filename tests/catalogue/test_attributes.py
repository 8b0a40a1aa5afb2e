"""What a catalogue has beside uid, title and content: typed by guess or setting, read, counted, stored."""

import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include import stages
from include.catalogue.attribute_guess import attribute_name
from include.catalogue.attributes import Attribute
from include.catalogue.clean import Cleaner, is_placeholder
from include.catalogue.convert import convert
from include.catalogue.mapping import texts
from include.catalogue.schema import open_parquet, read_attributes
from include.catalogue.values import Unread, read_date, read_money, read_number
from include.core.artifacts import Artifact
from include.core.errors import BadSettings, EmptyCatalogue
from include.core.forms import pipeline_settings
from include.core.settings import DISTILBERT, MINILM_PACKAGE, ConvertSettings
from include.run import Run
from tests.catalogue.lines import made, publish, row, stored
from tests.small import few


def described(root: Path, columns: Mapping[str, Sequence[Any]], **settings: Any) -> Artifact:
    """Products with these columns beside sound ids, names and descriptions."""
    count = max(map(len, columns.values()))
    records = [{"id": n, "name": f"Pan {n}", "description": "Flat."} for n in range(count)]
    for name, values in columns.items():
        for record, value in zip(records, values, strict=False):
            record[name] = value
    return made(root, records, **settings)


def values(catalogue: Artifact, name: str) -> list[Any]:
    return [product["attributes"][name] for product in stored(catalogue)]


def types(catalogue: Artifact) -> dict[str, str]:
    return {each.name: each.type for each in read_attributes(catalogue.path / "products.parquet")}


def test_a_shops_columns_are_typed_and_stored(root: Path) -> None:
    """Danger: brand, price and category end in the file, or come back as texts."""
    found = described(
        root,
        {
            "Brand": ["Sony", "Bosch", "Sony"],
            "Price (EUR)": ["1.299,00 €", "12,50 €", "N/A"],
            "inStock": ["yes", "no", ""],
            "category": ["Home > Kitchen > Pans", "Home > Kitchen", "Toys"],
            "tags": [["a", " b "], ["a"], []],
            "Released": ["2024-05-01", "2024-05-01T10:30:00+02:00", None],
            "rating": [4.5, 3, float("nan")],
            "ean": [4006381333931, 4006381333932, None],
            "image": ["https://x.de/1.jpg", "https://x.de/2.jpg", "https://x.de/3.jpg"],
            "details": [{"weight": "1.5"}, {"weight": "2"}, {}],
            "always empty": ["", None, []],
        },
    )
    assert read_attributes(found.path / "products.parquet")[1] == Attribute(
        name="price_eur", type="money", field="Price (EUR)"
    )
    assert types(found) == {
        "brand": "keyword",
        "price_eur": "money",
        "in_stock": "boolean",
        "category": "keywords",
        "tags": "keywords",
        "released": "date",
        "rating": "number",
        "ean": "keyword",
        "image": "text",
        "details_weight": "number",
    }
    second, third = stored(found)[1:]
    assert second["attributes"] == {
        "brand": "Bosch",
        "price_eur": 12.5,
        "in_stock": False,
        "category": ["Home", "Kitchen"],
        "tags": ["a"],
        "released": datetime(2024, 5, 1, 8, 30, tzinfo=UTC),
        "rating": 3.0,
        "ean": "4006381333932",
        "image": "https://x.de/2.jpg",
        "details_weight": 2.0,
    }
    assert {name: value for name, value in third["attributes"].items() if value is not None} == {
        "brand": "Sony",
        "category": ["Toys"],
        "image": "https://x.de/3.jpg",
    }
    assert found.stats["trn"]["ignored"] == {"always empty": 3}
    assert found.stats["trn"]["attributes"]["price_eur"] == {
        "type": "money",
        "filled": 2,
        "unread": 0,
        "examples": [],
        "currencies": {"EUR": 2},
    }


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (["1.299,00 €", "12,50 €", "7 €", "1.299 €"], [1299.0, 12.5, 7.0, 1299.0]),
        (["$1,299.00", "$12.50", "US$7", "-$3"], [1299.0, 12.5, 7.0, -3.0]),
        (["1'299.00 CHF", "CHF 12.50", "Fr. 7.\u2013", "1 299.00 CHF"], [1299.0, 12.5, 7.0, 1299.0]),
        (["1 299,00 zł", "12,50 zł", "7 zł", "1\u00a0299 zł"], [1299.0, 12.5, 7.0, 1299.0]),
        (["¥1,200", "980円", "12,000 JPY"], [1200.0, 980.0, 12000.0]),
        (["₹1,00,000.50", "Rs. 500"], [100000.5, 500.0]),
        (["1,5", "1,299", "12,25"], [1.5, 1.299, 12.25]),
        (["1.5", "1,299", "1.299"], [1.5, 1299.0, 1.299]),
        (["1,299", "2,500"], [1299.0, 2500.0]),
        ([1299, 12.5, "7"], [1299.0, 12.5, 7.0]),
        ([["$5"], ["$6"]], [5.0, 6.0]),
    ],
)
def test_money_is_read_in_every_convention(root: Path, column: list[Any], expected: list[float]) -> None:
    """Danger: 1.299 euros, and 12.50 dollars that are 1,250."""
    found = described(root, {"price": column})
    assert types(found) == {"price": "money"}
    assert values(found, "price") == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "12-pack",
            "9.99 to 12",
            "about 3",
            "1.29.9",
            "1,2,3",
            "5 EUR USD",
            "$5 EUR",
            "1e5",
            "٫5",
            "",
            "--5",
            "5 €€",
            "9" * 400,
        ),
    ],
)
def test_what_is_no_amount_is_not_read_as_one(text: str) -> None:
    """Danger: a filter by price finds a pack of twelve."""
    with pytest.raises(Unread):
        read_money(text)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (["2024-05-01", "2024-05-01T23:30:00-02:00", "20240503"], ["2024-05-01", "2024-05-02T01:30", "2024-05-03"]),
        (["01.05.2024", "2.5.24", "13.05.2024 10:30"], ["2024-05-01", "2024-05-02", "2024-05-13T10:30"]),
        (["03/04/2024", "25/04/2024"], ["2024-04-03", "2024-04-25"]),
        (["03/04/2024", "04/25/2024"], ["2024-03-04", "2024-04-25"]),
        (["May 1, 2024", "2 May 2024"], ["2024-05-01", "2024-05-02"]),
        (["2024年5月1日", "2024/5/2"], ["2024-05-01", "2024-05-02"]),
        ([1714521600, 1714608000000], ["2024-05-01", "2024-05-02"]),
    ],
)
def test_dates_are_points_in_time(root: Path, column: list[Any], expected: list[str]) -> None:
    """Danger: the third of April is the fourth of March."""
    found = described(root, {"date_added": column})
    assert types(found) == {"date_added": "date"}
    assert values(found, "date_added") == [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in expected]


def test_a_date_that_may_be_two_stays_a_text(root: Path) -> None:
    """Danger: a guess that is wrong for half of the products; while a setting may know better."""
    column = {"added": ["03/04/2024", "05/06/2024"]}
    assert types(described(root, column)) == {"added": "keyword"}
    assert values(described(root, column, attributes="added: text"), "added") == column["added"]
    for text in ("12", "May 2024", "10:00", "2024", "Model May 3000", "31.02.2024", "99999999"):
        with pytest.raises(Unread):
            read_date(text)


@pytest.mark.parametrize(
    ("name", "column", "kind"),
    [
        ("new", ["true", "False", "TRUE"], "boolean"),
        ("available", [0, 1, 1], "boolean"),
        ("is_new", ["0", "1", ""], "boolean"),
        ("neu", ["ja", "nein"], "boolean"),
        ("stars", [0, 1, 1], "number"),
        ("zip", ["01234", "12345"], "keyword"),
        ("article", ["0012", "0013"], "keyword"),
        ("weight", ["1,5", "2,25"], "number"),
        ("weight", ["2 kg", "3 kg"], "keyword"),
        ("path", ["a|b|c", "a|b"], "keywords"),
        ("path", ["a &gt; b", "<i>a</i> > c"], "keywords"),
        ("path", ["['a', 'b']", "['c']"], "keywords"),
        ("path", [[["Home", "Kitchen"]], [["Home"]]], "keywords"),
        ("colours", ["red, blue", "red"] * 3 + ["red, green"] * 3, "keywords"),
        (
            "note",
            [
                "A long text that says more than a keyword can, and differs.",
                "And another one of the same kind, longer.",
            ],
            "text",
        ),
        ("care", ["Wash it by hand with a mild soap, then dry it at once."] * 9, "keyword"),
        ("offers", [[{"shop": "A"}, {"shop": "B"}], [{"shop": "C"}]], ""),
    ],
)
def test_types_are_guessed_from_values_and_names(root: Path, name: str, column: list[Any], kind: str) -> None:
    """Danger: a code loses its zeros, a rating becomes a truth, a list of colours one keyword."""
    found = types(described(root, {name: column}))
    assert found == ({name: kind} if kind else {"offers_shop": "keywords"})


def test_settings_name_the_attributes_and_their_types(root: Path) -> None:
    """Danger: a type that was asked for is guessed all the same; or a column that was not asked for is kept."""
    columns: dict[str, list[Any]] = {
        "Brand": ["A", "B"],
        "size": [38, 40],
        "Price (EUR)": ["1", "2"],
        "tags": ["a;b", "c"],
    }
    found = described(root, columns, attributes="size: keyword, price_eur: Number, tags:keywords, brand")
    assert types(found) == {"size": "keyword", "price_eur": "number", "tags": "keywords", "brand": "keyword"}
    assert values(found, "size") == ["38", "40"]
    assert values(found, "tags") == [["a", "b"], ["c"]]
    bare = described(root, columns, attributes="None")
    assert types(bare) == {}
    assert set(bare.stats["trn"]["ignored"]) == set(columns)
    assert "attributes" not in bare.stats["trn"]
    with pytest.raises(BadSettings, match=r"no column 'colour', which attributes names.*Brand \('A', 'B'\)"):
        described(root, columns, attributes="brand, colour: keyword")
    with pytest.raises(BadSettings, match=r"no column 'brand: text list'"):
        described(root, columns, attributes="brand: text list")


def test_a_value_that_does_not_read_is_missing_and_counted(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Danger: a product is rejected for its price, or its price is lost without a word."""
    caplog.set_level("INFO")
    column = [f"{n} €" for n in range(96)] + ["on request", "\ud83d?", "$5", {"a": 1}, "N/A", None]
    counts = described(root, {"price": column}).stats["trn"]
    assert (counts["accepted"], counts["rejected"]) == (102, 0)
    assert counts["attributes"]["price"] == {
        "type": "money",
        "filled": 97,
        "unread": 3,
        "examples": ["on request", "·?", "a: 1"],
        "currencies": {"EUR": 96, "USD": 1},
    }
    assert (
        "trn: attribute price's values do not read as money (3, such as 'on request', '·?', 'a: 1'): left out"
        in caplog.messages
    )
    assert counts["warnings"] == [
        "trn: attribute price has several currencies (EUR 96, USD 1); amounts are compared as if of one."
    ]
    wrong = described(root / "wrong", {"brand": ["A", "B"]}, attributes="brand: date").stats["trn"]
    assert "values do not read as date (2, such as 'A', 'B'). Give it another type" in wrong["warnings"][0]


def test_texts_of_attributes_are_cleaned(root: Path) -> None:
    """Danger: markup in what people filter by, so that `R&amp;D` and `R&D` are two brands."""
    found = described(root, {"brand": ["R&amp;D", "<b>R&D</b>", "R&D\u200b"], "tags": [["x", " x"], ["<br>"], ["N/A"]]})
    assert values(found, "brand") == ["R&D"] * 3
    assert values(found, "tags") == [["x"], None, None]
    assert found.stats["trn"]["cleaned"]["html tags"] == 2


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("Price (EUR)", "price_eur"),
        ("listPrice", "list_price"),
        ("価格 (税込)", "価格_税込"),
        ("Größe", "größe"),
        ("3D", "_3d"),
        ("%", "field"),
        ("मूल्य", "मूल्य"),
    ],
)
def test_names_can_be_written_in_a_filter(column: str, name: str) -> None:
    """Danger: an attribute that nobody can name."""
    assert attribute_name((column,)) == name


def test_columns_that_come_to_one_name_are_both_kept(root: Path) -> None:
    """Danger: of `Price` and `price` one overwrites the other."""
    found = described(root, {"Brand": ["A"], "brand": ["B"], "BRAND ": ["C"]})
    assert stored(found)[0]["attributes"] == {"brand": "A", "brand_2": "B", "brand_3": "C"}


def test_at_most_forty_are_guessed(root: Path) -> None:
    """Danger: a file of a thousand sparse columns fills every payload."""
    columns = {f"c{n}": ["x"] * (2 if n < 45 else 1) for n in range(60)}
    assert list(types(described(root, columns))) == [f"c{n}" for n in range(40)]


def test_equal_attributes_have_equal_hashes_in_any_catalogue(root: Path) -> None:
    """Danger: another order of columns looks as if each product had changed."""
    first = made(root, [{"id": 1, "name": "Pan", "description": "Flat.", "brand": "A", "size": 5}])
    other = made(root, [{"size": 5.0, "name": "Lid", "description": "Round.", "brand": " A", "id": 9}])
    third = made(root, [{"id": 1, "name": "Pan", "description": "Flat.", "brand": "A", "size": 6}])
    hashes = [stored(each)[0]["attributes_hash"] for each in (first, other, third)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert len(hashes[0]) == 16


def test_attributes_are_part_of_an_id_made_of_the_content(root: Path) -> None:
    """Danger: one shirt in five sizes is one product."""
    records = [{"name": "Shirt", "description": "Blue.", "size": size} for size in "SML"]
    assert made(root, records, uid_field="content hash").stats["products"] == 3
    assert made(root, records, uid_field="content hash", attributes="none").stats["products"] == 1


@pytest.mark.parametrize("content", [{"description": "Blue."}, {}])
def test_what_changes_from_day_to_day_is_no_part_of_an_id_made_of_the_content(
    root: Path, content: dict[str, str]
) -> None:
    """Danger: after a night of new prices every product is gone, and as many are new."""

    def day(price: str, stock: str, added: str) -> list[str]:
        row = {"name": "Shirt", **content, "brand": "Acme", "price": price, "in_stock": stock, "added": added}
        types = "brand: keyword, price: money, in_stock: boolean, added: date"
        return [each["uid"] for each in stored(made(root, [row], uid_field="content hash", attributes=types))]

    assert day("1.50 €", "yes", "2026-11-01") == day("2.00 €", "no", "2026-11-02")


def test_a_merged_products_attributes_go_with_it(root: Path) -> None:
    """Danger: after a merged row every attribute stands in its neighbour's row."""
    lines = [row(uid=uid, title=f"Pan {n}", size=n) for n, uid in enumerate(["a", "b", "a", "c", "b", "d"])]
    found = convert(publish(root, b"\n".join([*lines[:3], b"bad", b"", *lines[3:]])), ConvertSettings(), root=root)
    assert [(each["title"], each["attributes"]["size"]) for each in stored(found)] == [
        (f"Pan {n}", float(n)) for n in (0, 1, 3, 5)
    ]
    assert found.stats["trn"]["attributes"]["size"]["filled"] == 4


def test_it_does_not_matter_how_many_processes_read(root: Path) -> None:
    """Danger: a cleaning process reads by other rules than the one that started it."""
    lines = b"\n".join(
        json.dumps(
            {
                "sku": f"S{n}",
                "name": f"Pan {n}",
                "text": "It is flat. " * 60,
                "price": f"{n},50 €" if n % 50 else "on request",
                "tags": f"a|b{n % 7}",
            }
        ).encode()
        for n in range(18_000)
    )
    settings = ConvertSettings(content_fields="text")
    alone, together = (
        convert(publish(root / str(count), lines), settings, root=root / str(count), processes=count)
        for count in (1, 2)
    )
    assert alone.files["products.parquet"] == together.files["products.parquet"]
    assert alone.stats["trn"] == together.stats["trn"]
    assert alone.stats["trn"]["attributes"]["price"]["unread"] == 360
    with open_parquet(alone.path / "products.parquet") as file:
        assert file.read(["attributes"]).num_rows == 18_000


def test_titles_that_the_base_model_cannot_read_are_told(root: Path, tmp_path: Path) -> None:
    """Danger: a Japanese catalogue is trained on for an hour with a model that knows English alone."""
    path = tmp_path / "products.jsonl"
    path.write_text("\n".join(json.dumps({"id": n, "name": f"掃除機 {n}", "price": n}) for n in range(9)))
    notes = {}
    for base in (MINILM_PACKAGE, DISTILBERT, DISTILBERT.replace("uncased", "multilingual-cased")):
        settings = pipeline_settings({"source": str(path), "base_model": base})
        run = Run(settings, root, "run", datetime(2026, 1, 1, tzinfo=UTC))
        source = stages.download(run)
        notes[base] = stages.convert(run, source)["notes"]
    *english, multilingual = notes.values()
    assert multilingual == []
    # The live model is no concern of the base model.
    for conf in ({"base_model": "/models/paraphrase-multilingual-MiniLM-L12-v2"}, {"retrain": "never"}):
        run = Run(pipeline_settings({"source": str(path), **conf}), root, "run", datetime(2026, 1, 1, tzinfo=UTC))
        assert stages.convert(run, source)["notes"] == []
    assert all(text.startswith("9 of 9 titles are not in Latin script (Han)") for [text] in english)


ANY_VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2**40)
    | st.floats(allow_nan=True)
    | st.sampled_from(["A", " b ", "1,5", "€ 3", "2024-05-01", "yes", "N/A", "", "<b>", "\ud83d", "https://x.de"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)
RECORDS = st.lists(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("sku", "Name", "description", "price", "tags", "when", "flag", "note"), ANY_VALUE),
    ),
    min_size=1,
    max_size=8,
)
TYPED = {"price": "money", "tags": "keywords", "when": "date", "flag": "boolean", "note": "keyword", "sku": "number"}


def plainly(record: Mapping[str, Any], kind: str, name: str) -> Any:
    """What docs/cleaning.md says that an attribute's value is, without the reader's code around it."""
    value = record.get(name)
    if isinstance(value, list) and len(value) == 1 and kind != "keywords":
        value = value[0]
    if isinstance(value, str) and (not value.strip() or is_placeholder(value.strip())):
        return None
    clean = Cleaner(512, 4000).attribute
    try:
        if kind == "money":
            return None if value is None else read_money(value)[0]
        if kind == "number":
            return None if value is None else read_number(value)
        if kind == "date":
            return None if value is None else datetime.fromisoformat(read_date(value))
    except Unread:
        return None
    if kind == "boolean":
        word = str(value).strip().casefold()
        return True if word in ("true", "yes", "1") else False if word in ("false", "no", "0") else None
    if kind == "keyword":
        return clean(value if isinstance(value, str) else ", ".join(texts(value))) or None
    words = [clean(word.strip()) for word in texts(value)]
    return [word for word in dict.fromkeys(words) if word and not is_placeholder(word)] or None


@few(2)
@given(RECORDS, st.sampled_from(["content hash", "sku"]), st.booleans())
def test_any_records_are_accounted_for_and_stored_as_they_read(
    records: list[dict[str, Any]], uid: str, typed: bool
) -> None:
    """Danger: a value of an odd kind ends the run, costs its product, or stands in another product's row."""
    columns = {name for record in records for name in record}
    needed = {"Name", *([uid] if uid == "sku" else [])}
    kinds = {name: kind for name, kind in TYPED.items() if name in columns and name != uid} if typed else {}
    asked = ", ".join(f"{name}: {kind}" for name, kind in kinds.items()) or None
    with tempfile.TemporaryDirectory() as folder:
        settings = {"uid_field": uid, "title_field": "Name", "attributes": asked, "max_reject_share": 1}
        try:
            catalogue = made(Path(folder), records, **settings)
        except BadSettings as refused:
            assert needed - columns, refused
            return
        except EmptyCatalogue:
            return
        counts = catalogue.stats["trn"]
        assert counts["read"] == counts["accepted"] + counts["rejected"] + counts["merged"] == len(records)
        products = stored(catalogue)
        for product in products if typed and kinds else []:
            for name, kind in kinds.items():
                assert product["attributes"][name] == plainly(records[product["row"]], kind, name), (name, kind)
        for name, found in counts.get("attributes", {}).items():
            assert found["filled"] == sum(product["attributes"][name] is not None for product in products)
            assert found["unread"] >= len(found["examples"])


def test_a_number_is_read_by_the_decimal_sign_of_the_other_columns(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Danger: 1.250 g in a German table are 1.25."""
    weights = ["1.250", "800", "2.000"]
    found = described(root, {"price": ["1.100,00 €", "2,50 €", "3,00 €"], "weight_g": weights})
    assert values(found, "weight_g") == [1250, 800, 2000]
    caplog.set_level(logging.INFO)
    alone = described(root, {"weight_g": weights})
    assert values(alone, "weight_g") == weights
    assert "attribute weight_g: 1.250 may be 1,250 or 1.25" in caplog.text


def test_a_brand_called_on_is_a_name_and_namibia_a_country(root: Path) -> None:
    """Danger: a brand becomes a truth; or a country code nothing, or a missing size a size."""
    found = described(
        root,
        {"brand": ["On"] * 3, "country": ["NA", "DE", "ZA"], "size": ["S", "NA", "M"], "vegan": ["yes", "no", "no"]},
    )
    assert types(found) == {"brand": "keyword", "country": "keyword", "size": "keyword", "vegan": "boolean"}
    assert [values(found, name) for name in ("country", "size")] == [["NA", "DE", "ZA"], ["S", None, "M"]]


def test_some_prices_may_be_words(root: Path) -> None:
    """Danger: "Call us" in every tenth row, and no product can be filtered by its price."""
    found = described(root, {"price": ["Call us", *(f"{n}.50" for n in range(9))]})
    assert types(found) == {"price": "money"}
    assert found.stats["trn"]["attributes"]["price"]["unread"] == 1
