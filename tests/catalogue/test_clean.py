"""The cleaning rules, one by one, and what hostile text does to them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.catalogue import clean
from include.catalogue.clean import RULES, Cleaner


@pytest.fixture
def cleaner() -> Cleaner:
    return Cleaner(max_title_chars=60, max_content_chars=200)


@pytest.mark.parametrize(
    ("dirty", "clean_text", "rules"),
    [
        # Entities
        ("best&#8211;selling", "best–selling", {clean.ENTITIES}),
        ("best&amp;#8211;selling", "best–selling", {clean.ENTITIES}),
        ("Salt &amp;amp;amp; Pepper", "Salt & Pepper", {clean.ENTITIES}),
        ("5&#150;10 &#x2122;", "5–10 ™", {clean.ENTITIES}),
        ("a&nbsp;b", "a b", {clean.ENTITIES, clean.WHITESPACE}),
        ("AT&T R&D ?a=1&copy=2 &notable; &;", "AT&T R&D ?a=1&copy=2 &notable; &;", set()),
        ("&#" + "1" * 5000 + ";", "&#" + "1" * 5000 + ";", set()),
        ("&#0;&#xD800;&#x110000;", "\ufffd\ufffd\ufffd", {clean.ENTITIES}),
        # Tags
        ("<p>One.<br/>Two</p>", "One. Two", {clean.TAGS, clean.WHITESPACE}),
        ("H<sub>2</sub>O <B class='x'>bold</B>", "H2O bold", {clean.TAGS}),
        ("&lt;b&gt;bold&lt;/b&gt;", "bold", {clean.ENTITIES, clean.TAGS}),
        ("a<script>alert('<p>')</script>b<style>p{}</style>c", "a b c", {clean.TAGS}),
        ("a<!-- hidden > text -->b", "a b", {clean.TAGS}),
        ("size < 5 and > 3, I <3 it, <kettle>, a<b and c>d", "size < 5 and > 3, I <3 it, <kettle>, a<b and c>d", set()),
        ("a <script> that never ends", "a that never ends", {clean.TAGS, clean.WHITESPACE}),
        ("a<script>that never ends<style>b", "a that never ends b", {clean.TAGS}),
        ("a <!-- that never ends", "a <!-- that never ends", set()),
        # Characters
        ("a\x00b\x07c\x7fd", "a b c d", {clean.CONTROLS}),
        ("\ud83d half", "\ufffd half", {clean.SURROGATES}),
        ("soft\u00adhyphen \u200bzero\ufeff", "softhyphen zero", {clean.INVISIBLE}),
        ("\u202eesrever\u202c", "esrever", {clean.INVISIBLE}),
        ("buy\U000e0069\U000e0067", "buy", {clean.INVISIBLE}),
        ("می\u200cخواهم 👨\u200d👩", "می\u200cخواهم 👨\u200d👩", set()),
        ("cafe\u0301", "café", {clean.UNICODE}),
        ("z" + "\u0335" * 50, "z" + "\u0335" * 30, {clean.UNICODE}),
        ("10 m² ½ ™ ﬁ ①", "10 m² ½ ™ ﬁ ①", set()),  # NFKC would make "10 m2 1⁄2 TM fi 1" of it
        # Whitespace
        ("  a \t b\r\n\nc\u2028d\u0085e\u00a0\u3000f ", "a b c d e f", {clean.WHITESPACE}),
        ("plain text, nothing to do", "plain text, nothing to do", set()),
        ("", "", set()),
    ],
)
def test_shared_rules(cleaner: Cleaner, dirty: str, clean_text: str, rules: set[str]) -> None:
    """Danger: dirt reaches the model, or sound text is damaged, or the counts lie."""
    assert cleaner.plain(dirty) == clean_text
    assert dict(cleaner.counts) == dict.fromkeys(rules, 1)


@pytest.mark.parametrize(
    ("dirty", "clean_text"),
    [
        ("Good. This text refers to the Hardcover edition.", "Good."),
        ("Good. --This text refers to the Audio CD edition. More.", "Good. More."),
        ("This text refers to an out of print or unavailable edition of this title.", ""),
        ("Good. This text refers to the Kindle Edition edition", "Good."),
        ("This text refers to the king. An edition.", "This text refers to the king. An edition."),
    ],
)
def test_the_edition_note_is_dropped(cleaner: Cleaner, dirty: str, clean_text: str) -> None:
    """Danger: a quarter of the contents share a sentence, which makes unlike products alike."""
    assert cleaner.content(dirty, "title") == clean_text
    assert cleaner.counts[clean.EDITION] == (dirty != clean_text)


@pytest.mark.parametrize(
    "junk", ["test item not to bid", "Test Item - NOT to bid!!", "N/A", "---", "...", "No description available."]
)
def test_junk_contents_are_emptied(cleaner: Cleaner, junk: str) -> None:
    """Danger: fifty products are neighbours because of "test item not to bid"."""
    assert cleaner.content(junk, "title") == ""
    assert cleaner.counts[clean.JUNK] == 1


@pytest.mark.parametrize("sound", ["test item not to bid on before Monday", "日本語", "7", "None of these is alike"])
def test_short_contents_are_no_junk(cleaner: Cleaner, sound: str) -> None:
    """Danger: a rule against junk takes sound text."""
    assert cleaner.content(sound, "title") == sound


def test_a_content_that_repeats_the_title_is_emptied(cleaner: Cleaner) -> None:
    """Danger: the model learns that a title matches itself. A content that goes on after the title stays."""
    title = cleaner.title("Red&nbsp;kettle")
    assert cleaner.content("Red  kettle", title) == ""
    assert cleaner.content("Red kettle with lid", title) == "Red kettle with lid"
    assert cleaner.counts[clean.REPEATED] == 1


def test_long_texts_are_cut_between_words(cleaner: Cleaner) -> None:
    """Danger: half a word is a word piece that means something else."""
    title = cleaner.title("word " * 30)
    assert title == ("word " * 12).strip() and len(title) <= 60
    assert len(cleaner.content("x" * 500, title)) == 200
    assert cleaner.title("y" * 60) == "y" * 60
    assert cleaner.counts[clean.CUT] == 2


def test_a_hard_cut_keeps_letter_and_accent_together(cleaner: Cleaner) -> None:
    """Danger: an accent without its letter, or half of a joined emoji."""
    assert cleaner.title("x" * 59 + "q\u0323" + "x" * 9) == "x" * 59
    assert cleaner.title("x" * 58 + "👨\u200d👩" + "x" * 9) == "x" * 58


HOSTILE = {
    "open tags": "<b " * 400_000,
    "open scripts": "<script>" * 150_000,
    "open comments": "<!--" * 300_000,
    "mixed openings": "<!--<style><script>" * 60_000,
    "closings without an end": "<script></script " * 70_000,
    "ampersands": "&" * 1_000_000,
    "entity beginnings": "&#1" * 400_000,
    "escaped forever": "&" + "amp;" * 300_000,
    "long names": ("&" + "a" * 31) * 40_000,
    "edition notes": "This text refers to the " * 50_000,
    "edition notes with spaces": ("This text refers to the " + " " * 90) * 10_000,
    "spaces": " " * 1_000_000 + "x",
    "accents beyond U+FFFF": "e" + "\u0301\U0001d165" * 200_000,
    "accents": "e" + "\u0301\u0323" * 200_000,
    "controls": "\x00\x01" * 500_000,
    "surrogates": "\ud800" * 500_000,
    "one word": "x" * 1_000_000,
    "joiners": "x" + "\u200d" * 1_000_000,
    "angle brackets": "<" * 500_000 + ">" * 500_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_takes_linear_time(name: str) -> None:
    """Danger: one crafted line stalls the conversion for hours. Anything quadratic would take minutes here."""
    text = HOSTILE[name][:300_000]
    cleaner = Cleaner(512, 4000)
    began = time.process_time()
    cleaner.content(text, cleaner.title(text))
    assert time.process_time() - began < 10


PIECES = ["&", "amp;", "#8211;", "#", "lt;", "<", ">", "/", "b", "br", "script", "!--", "-->", " ", "\n", "\u2028"]
PIECES += [
    "\x00",
    "\ud83d",
    "\u200b",
    "e\u0301",
    "\u2126",
    "This text refers to the ",
    "Red",
    " edition.",
    "\ufeff",
    "=x",
]


@given(st.lists(st.sampled_from(PIECES) | st.characters(codec=None), max_size=60).map("".join))
def test_whatever_comes_in_the_result_is_clean(text: str) -> None:
    """Danger: some odd text gets through unclean, or crashes a rule, or pyarrow."""
    cleaner = Cleaner(60, 200)
    title = cleaner.title(text)
    content = cleaner.content(text, title)
    for result, limit in ((title, 60), (content, 200)):
        assert len(result) <= limit
        assert result == " ".join(result.split())
        assert not any("\ud800" <= character <= "\udfff" for character in result)
        assert not any(ord(character) < 32 or ord(character) == 127 for character in result)
        result.encode()
    assert set(cleaner.counts) <= set(RULES)
