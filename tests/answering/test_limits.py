"""Limits in questions, and products that contradict them."""

import pytest

from include.answering.limits import contradicts, limit


@pytest.mark.parametrize(
    ("question", "title", "contradicted"),
    [
        ("tvs larger than 40 inches", "sony 40 ' lcd", True),
        ("tvs larger than 40 inches", "sony 52 ' lcd", False),
        ("tvs of at least 40 inches", 'sony 40" lcd', False),
        ("cable under 2 metres", "cable, 150 cm", False),
        ("cable under 2 metres", "cable, 10 ft", True),
        ("drives of 1 TB or more", "drive 500gb", True),
        ("drives of 1 TB or more", "drive 2tb", False),
        ("cream with spf higher than 30", "cream SPF 15", True),
        ("cream with spf higher than 30", "cream SPF 50", False),
        ("microwave with at least 1,000 watts", "microwave 900W", True),
        ("pan no bigger than 20 cm", "pan, 30 cm", True),
        ("pan no bigger than 20 cm", "pan, 20 cm", False),
        ("no more than 2 kg", "radio, 1.5 kg", False),
        ("a tent not over 3 kg", "tent, 4 kg", True),
        ("a screen that isn't smaller than 27 inches", "screen, 24 inches", True),
        ("cream with spf no lower than 30", "cream SPF 15", True),
        ("24 inches and not more", "screen, 27 inches", True),
        ("bags up to 2.5 kg", "bag, 2,5 kg", False),
        ("bags up to 2.5 kg", "a bag", False),
        ("bags up to 2.5 kg", "a bag of 40 litres", False),
    ],
)
def test_a_product_is_held_to_the_limit(question: str, title: str, contradicted: bool) -> None:
    """A 40-inch television is no answer to "larger than 40 inches"; one that does not say may be."""
    asked = limit(question)
    assert asked is not None
    assert contradicts(title, "", asked) == contradicted


@pytest.mark.parametrize("question", ["red kettle", "more colours than white", "3 in 1", "", "over 1.2.3.4 x" * 50])
def test_a_question_without_a_limit_contradicts_nothing(question: str) -> None:
    """Whatever is no limit must not leave products out."""
    asked = limit(question)
    assert asked is None or not contradicts("red kettle", "", asked)


def test_the_title_counts_before_the_content() -> None:
    """A television of 32 inches whose stand fits 50 inches is one of 32."""
    asked = limit("tvs over 40 inches")
    assert asked is not None
    assert contradicts("tv 32 inches", "its stand holds 50 inches", asked)
    assert not contradicts("tv", "screen of 50 inches", asked)
