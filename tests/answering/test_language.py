"""Which language a question is in, by its common words, endings and script."""

import csv

import pytest

from include.answering.language import CODES, detect
from include.store.terms import stop_words
from tests.conftest import REAL_DATA

SURE = {
    "pt": [
        "Quanto pesa a chaleira?",
        "qual o melhor secador de cabelo profissional?",
        "caixa de som portátil à prova d'água",
        "panela de pressão elétrica 6 litros",
        "quantas portas usb tem a impressora",
        "maquina de lavar que cabe edredom",  # typed without accents
        "preciso de um presente para minha mãe",
        "serve para pele oleosa?",
    ],
    "es": [
        "¿Cuánto pesa la cafetera?",
        "auriculares inalámbricos con cancelación de ruido",
        "tiene garantía de dos años?",
        "zapatillas para correr de mujer",
    ],
    "fr": [
        "quelle est la capacité de la bouilloire ?",
        "casque sans fil avec réduction de bruit",
        "combien de temps dure la batterie",
    ],
    "de": ["Wie schwer ist der Wasserkocher?", "Kopfhörer mit Geräuschunterdrückung", "Staubsauger ohne Beutel"],
    "it": ["quanto pesa il bollitore?", "scarpe da corsa per uomo", "la borsa è impermeabile?"],
    "nl": ["hoe zwaar is de waterkoker?"],
    "en": ["does it come with a warranty", "How heavy is the kettle?", "is this camera waterproof"],
    "ru": ["сколько весит чайник Bosch"],
    "ja": ["この炊飯器は何リットルですか"],
    "zh": ["哪个电饭锅最好"],
    "ar": ["كم وزن الغلاية"],
    "ko": ["이 카메라는 방수입니까"],
}
NOT_SURE = [
    "kettle",
    "wireless noise cancelling headphones",
    "le creuset dutch oven",
    "la roche posay sunscreen",
    "crème brûlée torch",
    "eau de toilette 100 ml",
    "de'longhi espresso machine",
    "piña colada mix",
    "volkswagen das auto keychain",
    "jalapeño hot sauce",
    "para cord bracelet",
    "café bustelo espresso",
    "samsung all in one printer",
    "LN40A450",
    "",
    "???",
]


@pytest.mark.parametrize("code", SURE)
def test_a_question_of_a_few_words_has_its_language(code: str) -> None:
    """A Portuguese question that is taken for English finds nothing."""
    assert {question: detect(question) for question in SURE[code]} == dict.fromkeys(SURE[code], code)


def test_what_a_shop_calls_its_goods_is_no_language() -> None:
    """Danger: brands and dishes of many languages; a wrong guess would translate or refuse an English question."""
    assert {question: detect(question) for question in NOT_SURE if detect(question) not in ("", "en")} == {}


def test_english_questions_are_not_taken_for_others() -> None:
    """Four thousand questions of real shoppers, one of which is Spanish."""
    path = REAL_DATA / "hetpqa-answers-train.tsv"
    if not path.exists():
        pytest.skip(f"the shoppers' questions are not here ({path})")
    with path.open(newline="", encoding="utf-8") as lines:
        questions = {row["question"] for row in csv.DictReader(lines, delimiter="\t")}
    foreign = [question for question in questions if detect(question) not in ("", "en")]
    assert len(questions) > 3000
    assert len(foreign) <= 1, foreign


def test_every_language_of_the_empty_words_has_a_code() -> None:
    """A list under a name without a code would end every question in a KeyError."""
    assert set(stop_words()) <= set(CODES)
