"""Terms: one definition for the index, questions and evaluation."""

from typing import get_args

import pytest
import Stemmer
from hypothesis import given
from hypothesis import strategies as st

from include.core.index_settings import Language
from include.evaluation.bm25 import Bm25
from include.store.language import AUTO, detect
from include.store.terms import NONE, Terms, stop_words
from include.store.words import words

ENGLISH = Terms("english")


@pytest.mark.parametrize(
    ("question", "terms"),
    [
        ("Which products are made by Sony?", "soni"),
        ("The Who", "the who"),
        ("1,000,000:1 contrast", "1000000 1 contrast 1contrast"),
        ('a 46" tv', "46 tv 46in"),
        ("1.2 L or 1.5 litres", "1 2 l 5 litr 1p2l 1p5l"),
        ("wrt-54gl", "wrt wrt54 54gl"),
        ("", ""),
    ],
)
def test_terms_of_questions(question: str, terms: str) -> None:
    assert ENGLISH.question(question) == terms


def test_accents_may_be_left_out_in_either_place() -> None:
    """A plural's ending may need its accent to be stemmed: whoever leaves it out finds the product all the same."""
    terms = Terms("portuguese")
    for wanted, text in (("estacao", "Estação"), ("maquina", "Máquinas"), ("pão", "pao")):
        assert set(terms.question(wanted).split()) & set(terms.document(text).split()), (wanted, text)


def test_without_a_language_words_stay_as_they_are() -> None:
    """Japanese has no stems, and must be found as before."""
    text = "電気ケトル ガラス製です headphones"
    assert Terms(NONE).document(text).split() == words(text)
    assert Terms(NONE).question(text).split() == words(text)


@given(st.text(max_size=60), st.sampled_from(["english", "portuguese", "russian", NONE]))
def test_the_engine_cuts_terms_into_themselves(text: str, language: str) -> None:
    """The engine cuts the stored terms once more, as plain words: cut further, they would not be found."""
    made = Terms(language).document(text).split()
    assert [word for term in made for word in words(term)] == made


@given(st.text(alphabet="abNP50é -/.,", max_size=30))
def test_a_text_is_found_by_itself(text: str) -> None:
    """A title that is no question of its own product's would be a hole in the index."""
    assert set(ENGLISH.question(text).split()) <= set(ENGLISH.document(text).split())


def test_every_language_has_a_stemmer_and_every_list_is_of_one() -> None:
    """A language that can be chosen and fails in the middle of a run, or a list that none reads."""
    languages = set(get_args(Language)) - {AUTO, NONE}
    assert languages <= set(Stemmer.algorithms())
    assert set(stop_words()) <= languages


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Kettle with base, steel, for tea", "english"),
        ("Chaleira elétrica de vidro com base de 360 graus, para chá", "portuguese"),
        ("Hervidor eléctrico de vidrio con base para té y una tapa", "spanish"),
        ("Wasserkocher aus Glas mit 1,7 Litern und einem Fuß", "german"),
        ("Чайник электрический из стекла с подсветкой и на 2 литра", "russian"),
        ("Elkedel af rustfrit stål til te og kaffe. Den er nem at rengøre, fordi den slukker selv.", "danish"),
        ("Vannkoker av rustfritt stål til te og kaffe. Den er lett å rengjøre, og slår seg av selv.", "norwegian"),
        (
            "Bullidor d'acer inoxidable per a te i cafè. És fàcil de netejar i s'apaga sol quan l'aigua bull. No conté "
            "BPA. La taula és de fusta de roure i té quatre calaixos amb guies metàl·liques. Es munta en mitja hora "
            "sense eines. Jaqueta impermeable amb caputxa per a nens, amb butxaques laterals i cremallera.",
            NONE,
        ),
        (
            "Ketel baja tahan karat untuk teh dan kopi. Mudah dibersihkan dan mati sendiri saat air mendidih. Meja ini "
            "terbuat dari kayu jati dan memiliki empat laci dengan rel logam.",
            NONE,
        ),
        (
            "Czajnik ze stali nierdzewnej do herbaty i kawy. Jest łatwy do czyszczenia i wyłącza się sam, gdy woda się "
            "zagotuje. Stół jest z drewna dębowego. Kurtka przeciwdeszczowa z kapturem dla dzieci, z kieszeniami i "
            "zamkiem. Lampa biurkowa z regulacją jasności. Dywan z wełny, łatwy do prania.",
            NONE,
        ),
        ("sony np-fh70", NONE),
        ("電気ケトル ガラス製です", NONE),
        ("", NONE),
    ],
)
def test_the_language_is_told_by_its_empty_words(text: str, language: str) -> None:
    assert detect([text]) == language


def test_evaluation_ranks_by_the_same_terms() -> None:
    """A weight fitted over other words would stand for another index."""
    items, _ = Bm25(["Sony NP-FH70 batteries", "the table"], "english").search(["battery NPFH70", "the"], 2)
    assert items.tolist() == [[0, -1], [1, -1]]
