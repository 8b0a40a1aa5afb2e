"""The fields of the Airflow connections: whatever is typed, no secret is shown, and each error says what to do."""

import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.answering.chat import Chat
from include.answering.llm_connection import LlmConnection
from include.core.address import read_address
from include.core.errors import BadSettings, VitrineError
from include.core.index_settings import IndexSettings
from include.core.redaction import api_key, foreign, hide, public, shown
from include.store.connection import ServerConnection
from include.store.server import ServerStore
from tests.small import few
from tests.store.stub_server import ok, stub_server

pytestmark = pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
SECRET = "sk-made-up-0123456789"
AWKWARD = "\n\r\t \0é€\u2028\ufeff'\"\\/@:?#%[]{}*+&=<>😀"
INDEX = IndexSettings(store="server")
ASKED = [{"role": "user", "content": "Which?"}]


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    """A server that refuses everything and quotes what it was sent, as some do."""

    def reply(request: Any) -> tuple[int, Any]:
        said = f"no: {request.headers.get('api-key')} {request.headers.get('authorization')}"
        return 400, {"status": {"error": said}, "error": {"message": said}}

    with stub_server(reply) as stub:
        yield stub.url


SENDABLE = "QqZz-0123456789-XxJj"  # so that the whole way to the server and back is gone, too
# A secret of 8 letters that stand nowhere else, with awkward characters before, inside and after them.
secrets = st.builds(
    lambda before, inside, after: f"{before}QqZz{inside}XxJj{after}",
    st.text(AWKWARD, max_size=3),
    st.text(AWKWARD, max_size=2),
    st.text(AWKWARD, max_size=3),
)
odd = st.one_of(
    st.none(), st.text(AWKWARD + "ab1.", max_size=8), st.integers(), st.booleans(), st.lists(st.text(), max_size=1)
)
KNOWN = {
    "qdrant": ["url", "api_key", "https", "prefix", "timeout", "prefer_grpc", "grpc_port"],
    "vitrine": ["base_url", "model", "timeout", "prompt_tokens", "max_tokens", "temperature", "patience"],
}


@st.composite
def connections(draw: st.DrawFn, kind: str) -> tuple[dict[str, Any], list[str]]:
    """All fields of an Airflow connection of type `kind` as a person or a URI may fill them, and the secrets in them.

    `{at}` is the stub's host and port, `{port}` its port, as in a field of its own.
    """
    key, password, misplaced = draw(secrets), draw(secrets), draw(secrets)
    hosts = [
        "{at}",
        "http://{at}",
        f"http://someone:{password}@{{at}}",
        f"someone:{password}@{{at}}",
        f"http://{{at}}/v1?token={password}",
        "127.0.0.1",
        f"someone:{quote(password, safe='', errors='replace')}@127.0.0.1",
        f"http://[::1{password}@h",
        f"http://someone:{password.replace('@', '')}",  # its host forgotten
        f"http://someone:/{password}@{{at}}",  # its host cut short
        f"someone:12/{password}@{{at}}",
        "http://[::1",
        "ftp://h",
        draw(st.text(AWKWARD + "ab1.", max_size=8)),
    ]
    fields = {
        "host": draw(st.sampled_from(hosts)),
        "login": draw(st.sampled_from([None, "someone", misplaced])),
        "port": draw(st.sampled_from([None, None, "{port}", "{port}", 0, -1, 70000])),
        "password": draw(st.sampled_from([key, key.strip(), SENDABLE, None])),
        "schema": draw(st.sampled_from([None, "http", "", "v1", draw(st.text(AWKWARD, max_size=4))])),
    }
    extra: dict[str, Any] = {"model": "m"} if kind == "vitrine" else {}
    if draw(st.booleans()):
        extra |= draw(st.dictionaries(st.sampled_from(KNOWN[kind]), odd, max_size=2))
    if draw(st.integers(0, 3)) == 0:
        extra[KNOWN[kind][0]] = draw(st.sampled_from(hosts))
    if draw(st.integers(0, 3)) == 0:
        extra["api_key"] = draw(st.sampled_from([key, SENDABLE]))
    if draw(st.integers(0, 5)) == 0:
        extra[draw(st.sampled_from(["token", "Api-Key", "no\nkey"]))] = misplaced
    return {**fields, "extra": extra}, [key, password, misplaced, SENDABLE]


def told(work: Callable[[], object]) -> str:
    """What a person, a log or a traceback shows of `work`; any error but ours fails the test."""
    try:
        return repr(work())
    except VitrineError as error:
        assert error.next_step, error
        assert "\n" not in error.what
        return "".join(traceback.format_exception(error)) + repr(error)


def assert_hidden(text: str, given_secrets: list[str]) -> None:
    from airflow.sdk._shared.secrets_masker import SecretsMasker

    masker = SecretsMasker()
    for secret in given_secrets:
        masker.add_mask(secret)
    for seen in (text, str(masker.redact(text))):
        for part in ("QqZz", "XxJj"):  # no half of it either, in whatever spelling of the rest
            assert part not in seen, seen


@few(2)
@pytest.mark.parametrize("kind", KNOWN)
@given(st.data())
def test_no_secret_of_a_connection_is_ever_shown(
    echo: str, caplog: pytest.LogCaptureFixture, kind: str, data: st.DataObject
) -> None:
    """Danger: a key with a newline, or a password in an address, stands in the task's log for all to read."""
    fields, given_secrets = data.draw(connections(kind))
    at = echo.removeprefix("http://")

    def filled(value: object) -> Any:
        return value.replace("{at}", at).replace("{port}", at.partition(":")[2]) if isinstance(value, str) else value

    host, port, password = (filled(fields[name]) for name in ("host", "port", "password"))
    rest = {"schema": fields["schema"], "login": fields["login"]}
    extra = {name: filled(value) for name, value in fields["extra"].items()}
    caplog.clear()
    with caplog.at_level(logging.INFO):

        def ask_qdrant() -> object:
            connection = ServerConnection.from_fields(host, port, password, extra, **rest)
            assert_hidden(f"{connection!r} {connection.name}", given_secrets)
            return ServerStore(INDEX, connection, backoff=0.0).versions()

        def ask_llm() -> object:
            connection = LlmConnection.from_fields(host, port, password, extra, **rest)
            assert_hidden(repr(connection), given_secrets)
            return Chat(connection, attempts=1).complete(ASKED, 5.0)

        assert_hidden(told(ask_qdrant if kind == "qdrant" else ask_llm), given_secrets)
    assert_hidden(caplog.text, given_secrets)


@pytest.mark.parametrize("make", [ServerConnection.from_fields, LlmConnection.from_fields])
def test_a_password_that_begins_with_a_slash_is_no_path(make: Callable[..., object]) -> None:
    """Danger: the host behind it was forgotten, `http://someone:/password` is an address, and the log shows it."""
    address = "http://someone:/QqZzXxJj"
    shown_of_it = told(lambda: make(address, None, None, {}))
    assert_hidden(shown_of_it, ["QqZzXxJj"])
    assert "port that is not a number" in shown_of_it
    assert_hidden(public(address) + shown(address), ["QqZzXxJj"])


@pytest.mark.parametrize("around", ["{}\n", " {}", "\ufeff{}\r\n", "{}\t"])
def test_a_key_from_a_mounted_file_works_without_its_newline(around: str) -> None:
    """Danger: the key is right, and yet it is refused, or printed because no header can carry it."""
    key = around.format(SECRET)
    replies: dict[str, Any] = {"choices": [{"message": {"content": "1 l [1]."}}], "result": {"collections": []}}
    with stub_server(lambda _: (200, {**replies, "status": "ok", "time": 0.1})) as stub:
        assert ServerStore(INDEX, ServerConnection.from_fields(stub.url, None, key)).versions() == []
        connection = LlmConnection.from_fields(f"{stub.url}/v1", None, key, {"model": "m"})
        assert Chat(connection).complete(ASKED, 5.0).text == "1 l [1]."
    assert stub.requests[0].headers["api-key"] == SECRET
    assert stub.requests[-1].headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize(("key", "words"), [("sk-a\nb-secret", "line break"), ("sk-é-secret", "beyond ASCII")])
def test_a_key_that_no_header_can_carry_is_refused_unseen(key: str, words: str) -> None:
    """Danger: a UnicodeEncodeError that is retried, or the key in the message about the key."""
    for make in (ServerConnection.from_fields, LlmConnection.from_fields):
        with pytest.raises(BadSettings, match=words) as caught:
            make("h", None, key, {"model": "m"} if make == LlmConnection.from_fields else {})
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None
    assert api_key("\n", "key", "fix") is None


def test_a_password_in_the_address_reaches_the_server_and_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    """Danger: taken out of the address for the message, it does not log in any more; httpx logs each address."""
    with stub_server(lambda _: ok({"collections": []})) as stub, caplog.at_level(logging.INFO, "httpx"):
        url = stub.url.replace("//", "//someone:hunter%402@")
        assert ServerStore(INDEX, ServerConnection.from_fields(url, None, None)).versions() == []
        with pytest.raises(BadSettings, match="not an OpenAI-compatible"):
            Chat(LlmConnection.from_fields(url, None, None, {"model": "m"})).complete(ASKED, 5.0)
    assert {request.headers["authorization"] for request in stub.requests} == {"Basic c29tZW9uZTpodW50ZXJAMg=="}
    assert "/chat/completions" in caplog.text
    assert "hunter" not in caplog.text


@pytest.mark.parametrize("make", [ServerConnection.from_fields, LlmConnection.from_fields])
def test_a_login_is_not_dropped_without_a_word(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Danger: Airflow's form has a Login; whoever types the key or a proxy's user there learns nothing of it."""
    extra = {"model": "m"} if make == LlmConnection.from_fields else {}
    made = make("h", None, None, extra, login=SECRET)
    assert (made.api_key, made.basic) == (None, None)
    assert "has a Login, which is not used" in caplog.text
    assert SECRET not in caplog.text
    caplog.clear()
    make("h", None, SECRET, extra, login=" ")
    assert caplog.text == ""


def test_a_model_cannot_have_a_key_and_a_user() -> None:
    """Danger: one of the two is dropped without a word, since both need the same header."""
    with pytest.raises(BadSettings, match="api key and also a user"):
        LlmConnection.from_fields("http://me:pw@h/v1", None, SECRET, {"model": "m"})


@pytest.mark.parametrize(
    ("host", "port", "schema", "url"),
    [
        ("http://localhost", 11434, None, "http://localhost:11434"),
        ("http://localhost:11434/v1", 11434, None, "http://localhost:11434/v1"),
        ("localhost", 11434, None, "http://localhost:11434/v1"),
        ("::1", 8000, None, "http://[::1]:8000/v1"),
        ("[::1]:8000", None, None, "http://[::1]:8000/v1"),
        ("fd00::7", None, None, "https://[fd00::7]/v1"),
        ("llm", 8080, "http", "http://llm:8080/v1"),
        ("llm:8080", None, "openai/v2", "https://llm:8080/openai/v2"),
        ("llm.local/api", None, None, "https://llm.local/api"),
        ("münchen.example", None, None, "https://xn--mnchen-3ya.example/v1"),
    ],
)
def test_no_part_of_the_address_is_dropped(host: str, port: int | None, schema: str | None, url: str) -> None:
    """Danger: the port beside a url is thrown away, and the client asks another server."""
    assert LlmConnection.from_fields(host, port, None, {"model": "m"}, schema=schema).base_url == url


@pytest.mark.parametrize(
    ("host", "port", "schema", "words"),
    [
        ("http://h:1", 2, None, "port 1 in its address, but 2"),
        ("https://h", None, "http", "https:// in its address, but http"),
        ("http://h/v1", None, "v2", "another in its schema"),
        ("h", 70000, None, "1 to 65535"),
        ("http://:80", None, None, "not valid"),
        ("fe80::1%eth0", None, None, "not valid"),
        ("a" * 64 + ".example", None, None, "not valid"),
        ("http://h/a b", None, None, "not valid"),
        ("http://h\\v1", None, None, "not valid"),
        ("http://me:p@a/w@h", None, None, "%40"),
        ("http://me:/pw@h", None, None, "%40"),
        ("http://me:12/pw@h", None, None, "%40"),
        ("me:/pw@h", None, None, "%40"),
    ],
)
def test_a_contradiction_is_named(host: str, port: int | None, schema: str | None, words: str) -> None:
    """Danger: one of two ports is taken without a word, or a slip ends in an exception of the client's."""
    with pytest.raises(BadSettings, match=words):
        read_address(host, port=port, schema=schema, fix="Correct it.")


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("https://h/a.zip", "https://h/a.zip"),
        ("https://user:pw@h:1/a.zip?token=t#f", "https://h:1/a.zip?…"),
        ("https://h/@scope/a.zip", "https://h/@scope/a.zip"),
        ("https://user:p/w@h/a.zip", "https://…@h/a.zip"),
        ("https://user:p@a/w@h/a.zip", "https://…@h/a.zip"),
        ("https://user:p@w#@h/a.zip", "https://…"),
        ("https://user:12/34@h/a.zip", "https://…@h/a.zip"),
        ("https://user:p@h/a.zip?mail=a@b.c&sig=t", "https://…"),
        ("http://[::1?sig=t", "http://[::1?…"),
        ("https:/user:pw@h/a.zip?sig=t", "https:/…@h/a.zip?…"),
        ("https://user:pw/a.zip", "https://user:…"),
        ("/data/a.zip", "/data/a.zip"),
        ("/data/2026-01-01T10:00@v2.jsonl", "/data/2026-01-01T10:00@v2.jsonl"),
        ("user:pw@h/a", "…@h/a"),
    ],
)
def test_an_address_is_shown_without_its_secrets(address: str, seen: str) -> None:
    """Danger: a signed address in a message is a download for everyone."""
    assert public(address) == seen


def test_a_foreign_text_is_shown_without_secrets() -> None:
    """Danger: an error of a library quotes the key, escaped, so that nobody's filter knows it."""
    assert foreign(ValueError("bad b'Bearer sk-a\\nb' at http://me:pw@h/x?sig=1"), ["sk-a\nb"]) == (
        "bad b'Bearer ***' at http://…@h/x?…"
    )
    assert hide("latest sk-ä%20 c2stw6Q=", ["sk-ä", "a"]) == "latest ***%20 ***"
    assert shown("x" * 1000) == "x" * 150 + "…" + "x" * 150
