"""Model numbers in questions, told from numbers that count or measure."""

import pytest

from include.answering.models import is_code, unknown_model
from include.store.protocol import Hit

HITS = [
    Hit("u1", "canon eos 50d digital camera black eos50d", "15.1 megapixels", 1.0, {}),
    Hit("u2", "garmin nuvi 265t navigation system", "4.3 inch screen", 1.0, {}),
    Hit("u3", "panasonic kx-tg6700b cordless phone kxtg6700b", "5.8 ghz", 1.0, {}),
    Hit("u4", "sony leather camera case black", "for small cameras", 1.0, {}),
    Hit("u5", "sony 46 ' bravia hdtv kdl46s4100", "", 1.0, {}),
]


@pytest.mark.parametrize(
    ("question", "model"),
    [
        ("how many megapixels has the canon eos 7d", "eos 7d"),
        ("garmin nuvi 1450 screen size", "nuvi 1450"),
        ("panasonic kx-tg6545 how many handsets", "kx-tg6545"),
        ("warranty for the sony kdl52x900?", "kdl52x900"),
    ],
)
def test_a_model_that_no_product_has_is_seen(question: str, model: str) -> None:
    """The nearest product's figures would be a wrong answer."""
    assert unknown_model(question, HITS) == model


@pytest.mark.parametrize(
    "question",
    [
        "canon eos 50d",
        "canon eos50d",
        "garmin nuvi 265",
        "garmin nuvi-265t",
        "kx-tg6700w",
        "sony kdl 46s4100",
        "sony bravia 50 inches",
        'sony bravia 50"',
        "sony 120gb camera",
        "canon camera 1080p 802.11n with mp3 and 24 hours, 2nd hand, 5.8 ghz, 18x zoom",
        "sony case for my nikon d90",
        "u3",
        "3 cameras under 200",
        "",
    ],
)
def test_numbers_that_are_there_or_name_nothing_are_none(question: str) -> None:
    """A quantity that is taken for a model refuses what is in the catalogue."""
    assert unknown_model(question, HITS) == ""


def test_a_size_in_a_title_is_no_code() -> None:
    """Two players of 8 and 16 GB are two products; two codes may be one in two colours."""
    assert [word for word in ("16gb", "mb745lla", "0101070400", "8500", "4th", "black") if is_code(word)] == [
        "mb745lla",
        "0101070400",
    ]
