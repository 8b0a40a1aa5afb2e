"""What answers say in their own words: the same in every language."""

import string

import pytest

from include.answering.sentences import SENTENCES, SPOKEN, say


@pytest.mark.parametrize("name", SENTENCES)
def test_a_sentence_is_there_in_every_language_with_the_same_parts(name: str) -> None:
    """Danger: a translation that names another part ends the answer with a KeyError, in that language alone."""
    texts = SENTENCES[name]
    assert set(texts) == set(SPOKEN)
    parts = {frozenset(part for _, part, _, _ in string.Formatter().parse(text) if part) for text in texts.values()}
    assert len(parts) == 1
    assert len(set(texts.values())) == len(SPOKEN)


def test_a_language_without_sentences_gets_english() -> None:
    """A Finnish question is told in English that nothing answers it, rather than not at all."""
    assert say("nothing", "fi") == say("nothing", "") == say("nothing", "en") != say("nothing", "pt")
