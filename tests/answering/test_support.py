"""Sentences of a language model against the products that they cite."""

import pytest

from include.answering.claims import contradicts, missing_names, missing_quantities
from include.answering.plain import plain
from include.answering.reply import Reply, check_citations
from include.answering.statements import joined, statements, supported, whole_sentences
from include.answering.support import SUPPORTED, Supports, product_passages, similarity, unsupported
from include.core.settings import MINILM_PACKAGE
from include.model.base import resolve_base
from include.model.encoder import Encoder
from include.model.query_encoder import QueryEncoder
from include.store.protocol import Hit

KETTLE = Hit(
    "1",
    "Aurora K-200 kettle",
    "Holds 1.7 litres and boils in 4 minutes. The lid is BPA-free. Do not put the base in the dishwasher. "
    "The filter can be washed.",
    0.9,
    {"brand": "Aurora", "waterproof": False, "weight_kg": 1.2},
)
TENT = Hit("2", "Sirius tent", "Sleeps three people. The poles are made of aluminium.", 0.8)


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> Supports:
    """Support as a version without a reader has it, by the demo's model."""
    saved = tmp_path_factory.mktemp("model") / "minilm"
    Encoder.load(resolve_base(MINILM_PACKAGE, root=saved.parent).path, max_tokens=96, precision="float32").save(saved)
    return similarity(QueryEncoder(saved))


@pytest.mark.parametrize(
    ("claimed", "missing"),
    [
        ("It holds 1.7 l.", []),
        ("It holds 1.70 liters and boils in four minutes.", []),
        ("It holds 1.9 litres.", ["1.9 l"]),
        ("It boils in 4 hours.", ["4 hour"]),
        ("It weighs 1.2 kg.", []),
        ("The K-200 has 2 lids.", ["2"]),
    ],
)
def test_numbers_and_units_must_stand_in_the_source(claimed: str, missing: list[str]) -> None:
    """A wrong number changes one token of a sentence, and the whole answer."""
    assert missing_quantities(claimed, "\n".join(product_passages(KETTLE))) == missing


@pytest.mark.parametrize(
    ("claimed", "missing"),
    [
        ("The Aurora K-200 boils water.", []),
        ("It is the K200 by Aurora.", []),
        ("It is made by Bosch.", ["Bosch"]),
        ("It is the K300.", ["K300"]),
        ("Boils water. Holds tea.", []),
    ],
)
def test_names_must_stand_in_the_source(claimed: str, missing: list[str]) -> None:
    """Another brand's name in a right sentence is a false statement about both."""
    assert missing_names(claimed, "\n".join(product_passages(KETTLE))) == missing


@pytest.mark.parametrize(
    ("claimed", "passage", "contrary"),
    [
        ("The base is dishwasher safe.", "The base is not dishwasher safe.", True),
        ("It isn't dishwasher safe.", "Dishwasher safe.", True),
        ("It contains BPA.", "BPA-free lid.", True),
        ("It is free of BPA, and contains no BPA.", "BPA-free lid.", False),
        ("Not for the microwave, but dishwasher safe.", "Dishwasher safe. Not for microwaves.", False),
        ("It is waterproof.", "not waterproof", True),
        ("Not only light but strong.", "Light and strong.", False),
    ],
)
def test_what_is_denied_must_be_denied(claimed: str, passage: str, contrary: bool) -> None:
    """One lost "not" and a person ruins the thing."""
    assert contradicts(claimed, passage) is contrary


def test_a_paraphrase_is_supported_and_another_fact_is_not(alike: Supports) -> None:
    """Whoever must repeat a text word by word has no use for a language model."""
    passages = product_passages(KETTLE)
    for said in ("It boils water within 4 minutes.", "You can wash the filter.", "It has a capacity of 1.7 litres."):
        assert unsupported(said, [passages], alike) is None, said
    for said in ("It comes with a long warranty.", "It is quiet enough for an office.", "It is waterproof."):
        assert unsupported(said, [passages], alike), said
    assert unsupported("It boils water within 4 minutes.", [], alike) == "no product is cited"
    assert alike("It comes with a long warranty.", passages) < SUPPORTED


def test_a_reply_keeps_its_supported_sentences_and_their_numbers(alike: Supports) -> None:
    """Citations behind a full stop belong to the sentence before; lines and numbering stay right."""
    reply = check_citations(
        "Here is what I found:\n- The Sirius tent sleeps three people. [2]\n- The kettle plays music [1].\n"
        "- It holds 1.7 litres.[1] The poles are of aluminium [2].",
        2,
    )
    said = statements(reply)
    assert [each.cited for each in said] == [(1,), (0,), (0,), (1,)]
    kept, reasons = supported("What is there?", said, [KETTLE, TENT], alike)
    assert reasons == ["what is cited does not say it"]
    made = joined(kept, reply)
    assert made.text == (
        "- The Sirius tent sleeps three people. [1]\n- It holds 1.7 litres. [2] The poles are of aluminium [1]."
    )
    assert made.cited == [1, 0]


@pytest.mark.parametrize(("said", "left"), [("No [1].", 1), ("Yes [1].", 0), ("Yes.", 0)])
def test_a_lone_yes_or_no_says_what_was_asked(alike: Supports, said: str, left: int) -> None:
    """The shortest answer is the easiest to get wrong, and has no words to compare."""
    kept, _ = supported(
        "Can I put the base in the dishwasher?", statements(check_citations(said, 2)), [KETTLE, TENT], alike
    )
    assert len(kept) == left


def test_a_text_that_was_cut_ends_with_its_last_sentence() -> None:
    """ "It is not" of "It is not only safe" would say the contrary."""
    assert whole_sentences("It holds 1.7 l [1]. It is not") == "It holds 1.7 l [1]."
    assert statements(Reply("", [], [])) == []


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ("It is ![x](https://e.example/p?q=secret)safe [1].", "It is safe [1]."),
        ("It is [safe](https://e.example/(a)?q=1) [1].", "It is safe [1]."),
        ("It is safe [1](https://e.example/1).", "It is safe [1]."),
        ("It is safe [^1].\n\n[^1]: https://e.example/x", "It is safe [^1]."),
        ("See <https://e.example> or www.e.example/x?y=z.", "See or ."),
        ("<p>It is <b>safe</b><img src=//e.example/p.png></p><script>x()</script> [1].", "It is safe [1]."),
        ("It is <scr<b>ipt>safe [1].", "It is safe [1]."),
        ("Mail mailto:a@e.example, javascript:alert(1).", "Mail , )."),
        ("[![a](https://e.example/a)](https://e.example/b)Safe", "Safe"),
        ("\u202eIt is safe\u200b [1].", "It is safe [1]."),
    ],
)
def test_markup_and_addresses_do_not_pass(sent: str, text: str) -> None:
    """A page that shows the answer would fetch the image, and hand over what is in its address."""
    made, harmful = plain(sent)
    assert made == text
    assert harmful == ("e.example" in sent or "<" in sent)


def test_plain_text_stays_as_it_is() -> None:
    """5 < 7, sizes, and citations are no markup."""
    for text in ("It is 5 < 7 and 8 > 6 [1].", "Data: 5 GB [1][2].", "A 2 * 3 * 4 box", "1. One\n2. Two", "x_y_z"):
        assert plain(text) == (text, False)
    assert plain("# Kettles\n**Red** and __blue__") == ("Kettles\nRed and blue", False)
