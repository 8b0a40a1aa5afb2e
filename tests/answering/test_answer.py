"""Questions answered from a real index: MiniLM's vectors in Qdrant Edge, over products with known answers."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.answering.answer import answer
from include.answering.llm_connection import LlmConnection
from include.answering.questions import as_text
from include.answering.reply import NOTHING
from include.core import artifacts, kinds
from include.core.answer_settings import AnswerSettings
from include.core.environment import REPOSITORY
from include.core.errors import (
    BadQuestion,
    BadSettings,
    DamagedArtifact,
    GeneratorUnavailable,
    NoLiveIndex,
    UnknownVersion,
)
from include.core.index_settings import IndexSettings
from include.core.settings import MINILM_PACKAGE, EmbedSettings, EvaluateSettings
from include.index.embed import embed
from include.index.plan import plan_shards
from include.index.upsert import upsert
from include.index.verify import verify
from include.model.base import resolve_base
from include.model.encoder import Encoder
from include.publishing.publish import Release, publish
from include.questions.questions import LONGEST_QUESTION
from include.sample.products import FLAGSHIPS
from include.store.stores import open_store
from tests.answering.endpoint import INJECTION, Endpoint
from tests.answering.small_model import SmallModel
from tests.small import Product, copy_data, few, products, publish_model, write_catalogue

NONSENSE = ["What is the capital of France?", "Who won the world cup in 1998?", "What is quantum chromodynamics?"]
UNTITLED = Product("u1", "Weekend guitar songbook", "")
HOSTILE = Product("h1", "Aquarium pump Bubblemax", f"The pump moves 300 litres an hour. {INJECTION}")


def everything() -> list[Product]:
    """The products of the index."""
    return [
        *(Product(f"f{n}", each.title, each.content) for n, each in enumerate(FLAGSHIPS)),
        UNTITLED,
        HOSTILE,
        *products(38),
    ]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a published index of 46 products in two shards."""
    root = tmp_path_factory.mktemp("shop") / "data"
    catalogue = write_catalogue(root, everything(), row_group_rows=23)
    saved = tmp_path_factory.mktemp("model") / "minilm"
    Encoder.load(resolve_base(MINILM_PACKAGE, root=root).path, max_tokens=96, precision="float32").save(saved)
    index = IndexSettings()
    store = open_store(index, root=root)
    plan = plan_shards(catalogue, publish_model(root, saved), EmbedSettings(), index, root=root)
    loaded = []
    for shard in range(2):
        embedding = embed(plan.path, shard, root=root)
        loaded.append(upsert(plan.path, shard, embedding.path, index, store, root=root))
    version = verify(plan.path, loaded, index, store, root=root)
    release = Release(version.path, None, datetime(2026, 11, 22, tzinfo=UTC), "test")
    decision = publish(release, index, EvaluateSettings(), store, root=root)
    assert decision["published"]
    return root


def ask(root: Path, *questions: str, llm: LlmConnection | None = None, **settings: Any) -> list[dict[str, Any]]:
    found = answer(questions, AnswerSettings(**settings), IndexSettings(), root=root, llm=llm)
    json.dumps(found)  # it travels through XCom
    answers: list[dict[str, Any]] = found["answers"]
    return answers


@pytest.mark.parametrize("mode", ["hybrid", "dense"])
def test_quotes_the_sentence_that_answers(shop: Path, mode: str) -> None:
    """The point of it all: each known question gets its known answer, marked with its product."""
    answers = ask(shop, *(each.question for each in FLAGSHIPS), mode=mode)
    for number, (each, made) in enumerate(zip(FLAGSHIPS, answers, strict=True)):
        assert made["found"], made
        assert each.answer in made["answer"]
        assert made["answer"].index(each.answer) < made["answer"].index("[1]")
        first = made["sources"][0]
        assert first["uid"] == f"f{number}"
        assert first["title"] == each.title
        assert each.answer in first["snippet"]
        assert 0.35 < first["score"] <= 1.0001
        assert first["rank"] == 1


def test_what_is_known_of_a_product_is_told(shop: Path) -> None:
    """`make demo SOURCE=…` asks this of a catalogue that it does not know; no text says "known"."""
    asked = [f"{form} {each.title}?" for each in FLAGSHIPS for form in ("What is known about", "Tell me about")]
    for question, made in zip(asked, ask(shop, *asked), strict=True):
        assert made["found"], made
        assert made["sources"][0]["title"] in question
        assert {source["title"] for source in made["sources"]} == {made["sources"][0]["title"]}
        assert made["answer"].replace(made["sources"][0]["title"], "").count(" ") > 5, "more than its name"


def test_quotes_are_verbatim_and_every_marker_has_its_source(shop: Path) -> None:
    """A marker that points at another product is a false source."""
    (made,) = ask(shop, "red kettle made of steel", threshold=0.2, top_k=8)
    texts = {row.uid: (row.title, row.content) for row in products(38)}
    parts = made["answer"].removeprefix("“").split(" “")
    assert len(parts) >= 1
    for part in parts:
        quote, _, marker = part.partition("” [")
        source = made["sources"][int(marker.removesuffix("]")) - 1]
        assert any(quote in text for text in texts[source["uid"]])
    assert len({each["uid"] for each in made["products"]}) == 8
    assert [each["rank"] for each in made["products"]] == list(range(1, 9))
    assert all(each in made["products"] for each in made["sources"])


def test_says_so_when_nothing_answers(shop: Path) -> None:
    """A made-up answer is worse than none; what was nearest is still shown."""
    for made in ask(shop, *NONSENSE):
        assert (made["found"], made["sources"]) == (False, [])
        assert made["answer"].startswith(NOTHING)
        assert len(made["products"]) == 5


def test_bm25_without_a_common_word_finds_no_product(shop: Path) -> None:
    """No hit at all must read as an honest answer, not as an index error."""
    (made,) = ask(shop, "qwertz zxcvb", mode="bm25")
    assert (made["answer"], made["found"], made["sources"], made["products"]) == (NOTHING, False, [], [])
    (made,) = ask(shop, FLAGSHIPS[1].question, mode="bm25")
    assert "1.7 litres" in made["answer"]


def test_a_product_without_content_is_quoted_by_its_title(shop: Path) -> None:
    """A third of the reference catalogue has no content."""
    (made,) = ask(shop, "Do you have a songbook for the guitar?")
    assert "“Weekend guitar songbook” [1]" in made["answer"]
    assert made["sources"][0]["uid"] == "u1"


@pytest.mark.parametrize(
    ("questions", "said"),
    [
        ([], "at least one"),
        ("what?", "list of questions"),
        ([""], "Question 1 of 1 is empty"),
        (["", " \n\t"], "Question 1 of 2 is empty"),
        (["x" * (LONGEST_QUESTION + 1)], "2,001 characters"),
    ],
)
def test_refuses_bad_questions(root: Path, questions: Any, said: str) -> None:
    """Refused before anything is opened, with the number of the one that is bad."""
    with pytest.raises(BadQuestion, match=said):
        answer(questions, AnswerSettings(), IndexSettings(), root=root)


def test_one_bad_line_does_not_fail_the_others(shop: Path) -> None:
    """Of twenty questions pasted from a sheet, one that is too long must not cost the other nineteen."""
    first, last = FLAGSHIPS[0], FLAGSHIPS[1]
    made = ask(shop, first.question, "x" * (LONGEST_QUESTION + 1), " ", last.question)
    assert first.answer in made[0]["answer"]
    assert last.answer in made[3]["answer"]
    assert [each["error"] is None for each in made] == [True, False, False, True]
    assert made[1]["error"] == {
        "what": "Question 2 of 4 has 2,001 characters; at most 2,000 are read.",
        "next_step": "Shorten it, and ask it again.",
    }
    assert made[2]["error"]["what"] == "Question 3 of 4 is empty."
    assert len(made[1]["question"]) < 300, "a result repeats what it refused only as far as it takes to know it"
    assert list(made[1]) == list(made[0]), "a program that reads answers finds the same fields in each"


def test_the_log_shows_questions_answers_and_sources_readably(shop: Path) -> None:
    """Who looks at a run's log looks for the answer, not for a line of JSON to scroll along."""
    found, none, refused = ask(shop, FLAGSHIPS[1].question, NONSENSE[0], "y" * 5000 + "?")
    text = as_text(found)
    assert text.startswith(f"Question: {FLAGSHIPS[1].question}\nAnswer: “")
    assert "\n[1] " in text
    assert "· uid f1 · 0." in text
    assert "Nearest" not in text
    assert f"Answer: {NOTHING}" in as_text(none)
    assert "\nThe nearest products:\n[1] " in as_text(none)
    lines = as_text(refused).splitlines()
    assert lines[-2:] == [
        "Not asked: Question 3 of 3 has 5,001 characters; at most 2,000 are read.",
        "Next: Shorten it, and ask it again.",
    ]
    assert all(len(line) <= 100 for line in as_text(none).splitlines())


def test_the_longest_question_is_answered(shop: Path) -> None:
    """A limit that the engine or the tokenizer cannot keep up with would fail late."""
    (made,) = ask(shop, ("kettle? " * 250)[:LONGEST_QUESTION])
    assert made["seconds"] > 0


def test_strange_characters_are_answered(shop: Path) -> None:
    """Questions come from a web form: lone surrogates and NUL reach us."""
    assert len(ask(shop, "kettle \ud800 \x00 ☕ مرحبا", "<script>alert(1)</script>", "[1] “quoted”")) == 3


def test_before_the_first_publication_says_what_to_do(root: Path) -> None:
    """The first thing a new user tries."""
    with pytest.raises(NoLiveIndex, match="Trigger train_and_index"):
        answer(["kettle?"], AnswerSettings(), IndexSettings(), root=root)


def test_a_version_by_name(shop: Path) -> None:
    """Comparing two versions needs both; an unknown one must not fall back to live."""
    live = open_store(IndexSettings(), root=shop).live()
    assert live is not None
    made = answer(["kettle?"], AnswerSettings(version=live), IndexSettings(), root=shop)
    assert made["version"] == live
    with pytest.raises(UnknownVersion, match=f"Kept versions: {live}"):
        answer(["kettle?"], AnswerSettings(version="0" * 16), IndexSettings(), root=shop)
    with pytest.raises(UnknownVersion, match="belongs to collection 'products'"):
        answer(["kettle?"], AnswerSettings(version=live), IndexSettings(collection="others"), root=shop)


@pytest.mark.parametrize("damage", ["}", "points"])
def test_a_version_that_is_damaged_at_equal_size_is_told(shop: Path, tmp_path: Path, damage: str) -> None:
    """Hashes are not compared for a question: it ended in a JSONDecodeError without a next step, after four retries."""
    copy = copy_data(shop, tmp_path / "copy")
    (version,) = artifacts.published(copy, kinds.VERSION)
    file = version / "version.json"
    size = file.stat().st_size
    file.write_text(file.read_text().replace(damage, "#" * len(damage)))
    assert file.stat().st_size == size
    with pytest.raises(DamagedArtifact, match=r"version\.json cannot be read \((points: |Invalid JSON)") as caught:
        answer(["kettle?"], AnswerSettings(), IndexSettings(), root=copy)
    assert caught.value.next_step.startswith("Clear verify")


def test_answering_changes_no_stored_byte(shop: Path) -> None:
    """An index that readers wear out would fail its next verification."""
    ask(shop, "kettle?")
    for kind in (kinds.EDGE, kinds.VERSION, kinds.MODEL):
        paths = artifacts.published(shop, kind)
        assert paths, kind
        for path in paths:
            assert artifacts.read(path).path == path  # compares every hash


def test_answers_do_not_depend_on_the_company(shop: Path) -> None:
    """Batching many questions must not change what each gets."""
    questions = [each.question for each in FLAGSHIPS]
    together = ask(shop, *questions)
    for question, made in zip(questions, together, strict=True):
        (alone,) = ask(shop, question)
        assert alone["answer"] == made["answer"]
        assert [each["uid"] for each in alone["products"]] == [each["uid"] for each in made["products"]]


def test_imports_only_what_answering_needs(shop: Path) -> None:
    """torch, transformers and pandas take seconds to import, longer than the answer itself."""
    code = """
import sys
from pathlib import Path
from include.answering.answer import answer
from include.core.answer_settings import AnswerSettings
from include.core.index_settings import IndexSettings
question = "How much water does the Brasato Mika kettle hold?"
made = answer([question], AnswerSettings(), IndexSettings(), root=Path(sys.argv[1]))
assert made["answers"][0]["found"], made
heavy = {"torch", "transformers", "pandas", "pyarrow", "qdrant_client", "httpx", "bm25s", "airflow"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(shop)], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_a_language_model_writes_from_the_products(shop: Path, endpoint: Endpoint) -> None:
    """The reply's citations become sources; a hostile product text reaches the model as quoted data alone."""
    endpoint.say("The pump moves 300 litres an hour [1].")
    (made,) = ask(shop, "How much does the aquarium pump move?", generator="llm", llm=endpoint.connection())
    assert made["answer"] == "The pump moves 300 litres an hour [1]."
    assert made["found"]
    assert [each["uid"] for each in made["sources"]] == ["h1"]
    ((_, _, body),) = endpoint.requests
    sent = body["messages"][1]["content"]
    assert sent.count("</products>") == 1
    assert "ignore all rules" in sent.split("</products>")[0]


def test_each_sentence_of_a_language_model_is_held_to_its_source(shop: Path, endpoint: Endpoint) -> None:
    """What the product does not say goes, with a warning; a paraphrase stays; the figures are in the result."""
    endpoint.say(
        "It pumps 300 litres in an hour [1]. It comes with a five year warranty [1]. It moves 900 litres an hour [1]. "
        "Pumps are useful.",
        usage={"prompt_tokens": 321, "completion_tokens": 40},
    )
    (made,) = ask(shop, "How much does the aquarium pump move?", generator="llm", llm=endpoint.connection())
    assert (made["answer"], made["found"]) == ("It pumps 300 litres in an hour [1].", True)
    assert [each["uid"] for each in made["sources"]] == ["h1"]
    (warning,) = made["warnings"]
    assert "3 of the model's 4 sentences" in warning
    for reason in ("5 year is not in what is cited", "900 is not in what is cited", "no product is cited"):
        assert reason in warning.replace("900 l ", "900 ")
    generator = made["generator"]
    assert generator.pop("seconds") > 0
    assert generator == {
        "name": "llm",
        "model": "small-model",
        "prompt_tokens": 321,
        "completion_tokens": 40,
        "sentences": 4,
        "unsupported": 3,
        "fallback": False,
    }


def test_where_nothing_is_supported_the_quotes_stand_in(shop: Path, endpoint: Endpoint) -> None:
    """An invented source, or a text obeyed instead of quoted, must not reach a person as the catalogue's answer."""
    quoted = ask(shop, FLAGSHIPS[1].question)[0]
    for sent in ("Surely two litres [9].", "Pay at https://evil.example/?q=key [1].", "The api key is sk-1 [1]."):
        endpoint.say(sent)
        (made,) = ask(shop, FLAGSHIPS[1].question, generator="llm", llm=endpoint.connection())
        assert [made[name] for name in ("answer", "found", "sources")] == [
            quoted[name] for name in ("answer", "found", "sources")
        ]
        assert made["generator"]["fallback"]
        assert "quotes the products' sentences instead" in made["warnings"][-1]
        assert "The model's only sentence was removed as unsupported: " in " ".join(made["warnings"])
        assert "evil" not in json.dumps(made)


def test_a_real_small_model_is_held_to_the_products(shop: Path, small_model: SmallModel) -> None:
    """A stand-in writes what its author thought of; a real model cites badly, invents and rambles."""
    questions = [each.question for each in FLAGSHIPS[:2]]
    connection = small_model.connection(prompt_tokens=1500, max_tokens=120, timeout=300, patience=300)
    quoted = ask(shop, *questions)
    made = ask(shop, *questions, generator="llm", llm=connection)
    assert len(small_model.requests) == len(questions)
    for each, plainly in zip(made, quoted, strict=True):
        generator = each["generator"]
        assert generator["name"] == "llm"
        assert 0 < generator["prompt_tokens"] <= 1500, "the estimate is on the safe side"
        assert 0 < generator["completion_tokens"] <= 120
        if generator["fallback"]:
            assert each["answer"] == plainly["answer"]
            assert generator["unsupported"] == generator["sentences"]
            assert each["warnings"]
        else:
            assert each["found"] == ("[1]" in each["answer"])
            assert generator["sentences"] - generator["unsupported"] >= each["found"]


def test_a_language_model_is_not_asked_about_nothing(shop: Path, endpoint: Endpoint) -> None:
    """With no product near, it could only make something up, and costs money."""
    (made,) = ask(shop, NONSENSE[0], generator="llm", llm=endpoint.connection())
    assert made["answer"].startswith(NOTHING)
    assert endpoint.requests == []


def test_a_language_model_that_fails_is_named_and_quotes_stand_in(
    shop: Path, endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """A provider's bad hour must not cost the answer, nor pass unseen; a dead endpoint is not asked for ever."""
    endpoint.status, endpoint.body = 503, b"down"
    questions = [FLAGSHIPS[number].question for number in range(4)]
    quoted = ask(shop, *questions)
    made = ask(shop, *questions, generator="llm", llm=endpoint.connection(patience=0.5))
    assert [each["answer"] for each in made] == [each["answer"] for each in quoted]
    for each in made:
        assert "status 503: down" in each["warnings"][0]
        assert each["generator"]["fallback"]
        assert (each["generator"]["name"], each["generator"]["prompt_tokens"]) == ("llm", None)
    assert len(endpoint.requests) == 2, "after two failures in a row the others are not asked"
    assert "stands in for the language model's" in caplog.text
    endpoint.status, endpoint.body = 401, b"no"
    (made_again,) = ask(shop, questions[0], generator="llm", llm=endpoint.connection())
    assert "refused the api key" in made_again["warnings"][0]


def test_a_language_model_needs_its_connection_and_without_fallback_must_answer(shop: Path, endpoint: Endpoint) -> None:
    """Who wants no other generator than the one that was asked for gets an error instead."""
    with pytest.raises(BadSettings, match="llm_default"):
        ask(shop, "kettle?", generator="llm")
    endpoint.status = 500
    with pytest.raises(GeneratorUnavailable, match="500"):
        ask(
            shop,
            FLAGSHIPS[1].question,
            generator="llm",
            llm_fallback=False,
            llm=endpoint.connection(patience=0.5),
        )


PHRASES = [
    "What",
    " is ",
    "red kettle",
    "How much?",
    "litres",
    "1.7",
    ".",
    "?",
    "\n",
    " ",
    "\0",
    "\ud800",
    "e\u0301",
    "\u202e",
    "\ufeff",
]
PHRASES += [
    "\u0916\u093c",
    "\u96fb\u6c17",
    "\U0001f600",
    "\u200d",
    "<b>",
    '"',
    "\\",
    "[1]",
    "\u3010",
    "NOT",
    "*",
    "(",
    "\ufdfa",
    "x" * 600,
    "\u0301" * 40,
]
QUESTION = st.lists(st.sampled_from(PHRASES), max_size=6).map("".join) | st.text(max_size=20)


@few(20)
@given(
    st.lists(QUESTION, min_size=1, max_size=3),
    st.sampled_from(["hybrid", "dense", "bm25"]),
    st.sampled_from([0.0, 0.35, 1.0]),
    st.sampled_from([1, 5]),
)
def test_whatever_is_asked_has_an_answer_of_the_catalogue(
    shop: Path, questions: list[str], mode: str, threshold: float, top_k: int
) -> None:
    """Danger: one odd question is an exception for all; or an answer quotes what no product says."""
    try:
        answers = ask(shop, *questions, mode=mode, threshold=threshold, top_k=top_k)
    except BadQuestion as refused:
        assert refused.next_step
        assert refused.what.isprintable()
        return
    assert len(answers) == len(questions)
    contents = {row.uid: row for row in everything()}
    for made in answers:
        json.dumps(made, ensure_ascii=False, allow_nan=False).encode()
        as_text(made).encode()
        assert made["found"] == bool(made["sources"])
        uids = [each["uid"] for each in made["products"]]
        assert len(set(uids)) == len(uids) <= top_k
        for number, each in enumerate(made["sources"], 1):
            assert f"[{number}]" in made["answer"]
            product = contents[each["uid"]]
            assert " ".join(each["snippet"].split()) in " ".join(f"{product.title} {product.content}".split())
