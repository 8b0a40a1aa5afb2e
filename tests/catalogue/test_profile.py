"""What the data report says of a catalogue: lengths, scripts, repeated texts."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from include.catalogue.profile import histogram, script, scripts
from include.core.settings import ConvertSettings
from tests.catalogue.lines import ANY, converted, row


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Red kettle", "Latin"),
        ("Café crème, ½ price", "Latin"),
        ("Việt Nam", "Latin"),
        ("ＡＢＣ", "Latin"),
        ("Красный чайник (red)", "Cyrillic"),
        ("Κόκκινος βραστήρας", "Greek"),
        ("红色水壶", "Han"),
        ("赤いやかんセット", "Kana"),
        ("ﾔｶﾝ", "Kana"),
        ("빨간 주전자", "Hangul"),
        ("غلاية حمراء", "Arabic"),
        ("קומקום אדום", "Hebrew"),
        ("लाल केतली", "Devanagari"),
        ("กาน้ำสีแดง", "Thai"),
        ("წითელი ჩაიდანი", "other"),
        ("12345", "none"),
        ("— 5 €", "none"),
        ("👨\u200d👩 ★", "none"),
        ("ab вг", "Latin"),  # as many letters: the first one's
    ],
)
def test_a_title_has_the_script_of_most_of_its_letters(title: str, expected: str) -> None:
    """Danger: the report says that a catalogue is in a language that it is not in."""
    assert script(title) == expected
    assert scripts(pa.array([title])) == {expected: 1}


def test_every_title_is_counted_once() -> None:
    """Danger: titles that are counted on the quick way and on the slow one, or on neither."""
    titles = ["kettle", "7", "чайник", "42-B", "café", "..."]
    assert scripts(pa.array(titles)) == {"Latin": 3, "none": 2, "Cyrillic": 1}
    assert scripts(pa.array([], pa.string())) == {}


def test_histogram_bins_hold_every_length_once() -> None:
    """Danger: a plot with a text in two bins, or in none."""
    rng = np.random.default_rng(5)
    for longest in (1, 2, 3, 7, 8, 100, 4000):
        counts = rng.integers(0, 3, longest + 1)
        counts[longest] = 1
        found = histogram(counts)
        bounds, binned = found["bounds"], found["counts"]
        assert len(bounds) == len(binned) + 1 and bounds == sorted(set(bounds))
        assert sum(binned) == counts[1:].sum()
        assert binned[0] > 0 and binned[-1] > 0
        for low, high, count in zip(bounds, bounds[1:], binned, strict=False):
            assert count == counts[low:high].sum()
    assert histogram(np.array([5, 0, 0])) == {"bounds": [], "counts": []}


def test_statistics_of_texts_reach_the_manifest(root: Path) -> None:
    """Danger: the report's plots and tables are made from figures that nobody checked."""
    lines = [row(uid=f"a{n}", title="test item", content="") for n in range(5)]
    lines += [row(uid=f"b{n}", title="Красный чайник", content="x" * 8) for n in range(3)]
    lines += [row(uid=f"c{n}", title=f"kettle {n}", content="y" * 100) for n in range(600)]
    lines += [row(uid="late", title="test item", content=""), row(uid="d", title="test item", content="another")]
    lines += [b"bad"] * 7
    counts = converted(root, lines, ConvertSettings(row_group_rows=100)).stats["trn"]
    assert counts["title_scripts"] == {"Latin": 607, "Cyrillic": 3}
    assert counts["repeated_texts"] == [
        {"title": "test item", "line": 1, "count": 6},
        {"title": "Красный чайник", "line": 6, "count": 3},
    ]
    assert counts["title_histogram"]["bounds"][:1] + counts["title_histogram"]["bounds"][-1:] == [8, 16]
    assert counts["title_histogram"]["counts"] == [600 + 7, 3]
    assert counts["content_histogram"] == {
        "bounds": [6, 8, 12, 16, 24, 32, 48, 64, 96, 128],
        "counts": [1, 3, 0, 0, 0, 0, 0, 0, 600],
    }
    assert counts["examples"] == {"not JSON": [{"line": 611 + n, "excerpt": "bad"} for n in range(3)]}


def test_only_the_commonest_repeated_texts_are_named(root: Path) -> None:
    """Danger: a catalogue of copies makes a manifest of megabytes, or the wrong twenty are shown."""
    lines = [row(uid=f"{n}-{copy}", title=f"text {n}") for copy in range(60) for n in range(50) if copy < 2 + n]
    counts = converted(root, lines, ANY).stats["trn"]
    assert [(text["title"], text["count"]) for text in counts["repeated_texts"]] == [
        (f"text {n}", 2 + n) for n in range(49, 29, -1)
    ]
    assert all(
        row(title=text["title"], uid=f"{text['title'][5:]}-0") == lines[text["line"] - 1]
        for text in counts["repeated_texts"]
    )
