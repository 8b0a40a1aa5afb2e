"""Whatever a Qdrant server or a catalogue's web server replies: a right answer, or one of our errors."""

import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.core import artifacts
from include.core.errors import VitrineError
from include.core.index_settings import IndexSettings
from include.core.settings import SourceSettings
from include.source.download import download, reach
from include.store.connection import ServerConnection
from include.store.protocol import Spec
from include.store.server import ServerStore
from tests.index.points import DIM, batches, vectors, version_id
from tests.small import few, products

INDEX = IndexSettings(store="server")
VERSION = version_id("fuzz")
LINE = b'{"uid": "1", "title": "kettle", "content": "1 l"}\n'


@dataclass
class Wire:
    """A server on loopback that says the same bytes to everyone, and hangs up."""

    url: str
    raw: bytes = b""
    head: bytes | None = None  # to HEAD, if it is told another thing


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with serve() as served, pytest.MonkeyPatch.context() as patch:
        patch.setattr("include.store.calls.LONGEST_WAIT", 0.0)  # a server's Retry-After is obeyed up to there
        yield served


@contextmanager
def serve() -> Iterator[Wire]:
    listener = socket.create_server(("127.0.0.1", 0))
    served = Wire(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def answer() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed: the end
                return
            with connection, suppress(OSError):  # a client that hangs up first is at liberty to
                connection.settimeout(5)
                with connection.makefile("rb") as stream:
                    method = stream.readline().partition(b" ")[0]
                    length = 0
                    while (line := stream.readline()).strip():
                        if line.lower().startswith(b"content-length:"):
                            length = int(line.partition(b":")[2])
                    stream.read(length)
                connection.sendall(served.raw if method != b"HEAD" or served.head is None else served.head)
                connection.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield served
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


texts = st.text(st.characters(codec="utf-8"), max_size=6)
trees = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(texts, inner, max_size=2)),
    max_leaves=4,
)
NAME = f"{INDEX.collection}_{VERSION}"
# What a Qdrant server sends, in pieces that are right one by one and seldom fit the question.
results = st.one_of(
    trees,
    st.sampled_from([True, {"exists": True}, {"exists": False}, {"count": 3}, {"count": -1}, {"points": []}, []]),
    st.builds(
        lambda wrong: {"collections": [{"name": NAME}, wrong]}, st.sampled_from([{"name": "x"}, {"name": 1}, {}, None])
    ),
    st.builds(lambda wrong: {"aliases": [{"alias_name": INDEX.collection, "collection_name": wrong}]}, trees),
    st.builds(
        lambda payload, vector: [{"id": 1, "payload": payload, "vector": vector}],
        st.one_of(trees, st.just({"uid": "1", "title": "kettle"})),
        st.one_of(trees, st.just([0.5] * DIM)),
    ),
    st.builds(
        lambda payload, score: {"points": [{"id": 1, "version": 0, "payload": payload, "score": score}]},
        st.one_of(trees, st.just({"uid": "1", "title": "kettle", "content": ""})),
        st.one_of(trees, st.just(0.5)),
    ),
)
documents = st.one_of(
    trees,
    st.builds(lambda result, more: {"status": "ok", "time": 0.1, "result": result, **more}, results, st.just({})),
    st.builds(lambda version: {"title": "qdrant", "version": version}, st.one_of(trees, st.just("1.20.0"))),
).map(lambda tree: json.dumps(tree).encode())
bodies = st.one_of(
    documents,
    documents.map(lambda whole: whole[: len(whole) // 2]),
    st.sampled_from([b"", b"<html>Sign in</html>", b"null", b"[" * 5000, LINE, b"\x1f\x8b"]),
    st.sampled_from([b"PK\x03\x04", b"\xff\xfe{"]),
    st.binary(max_size=40),
)
ODD_HEADERS = [
    b"Content-Length: x",
    b"Content-Length: 9999",
    b"Content-Length: -1",
    b"Content-Length: 1\r\nContent-Length: 2",
    b"Content-Encoding: gzip",
    b"Transfer-Encoding: chunked",
    b"Content-Type: text/html; charset=no-such",
    b"Content-Type: \xff\xfe",
    b"Location: http://[::1",
    b"Location: ftp://h/x",
    b"Location: /round",
    b"Location: ",
    b"Location: \xff",
    b"ETag: \xff\xfe",
    b'ETag: W/"1"',
    b"Last-Modified: never",
    b"Content-Range: bytes 5-9/3",
    b"Retry-After: never",
    b"Retry-After: -1",
    b"Retry-After: 1e999",
    b"Set-Cookie: \x00=;;;",
    b"no colon",
    b": no name",
    b" folded",
    b"X: " + b"x" * 70_000,
    b"\r\n".join(b"X-%d: 1" % number for number in range(120)),
]
statuses = st.one_of(
    st.just(200),
    st.just(200),
    st.sampled_from([100, 101, 103, 199, 201, 204, 206, 226, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 408]),
    st.sampled_from([409, 410, 412, 416, 418, 421, 429, 451, 499, 500, 501, 502, 503, 504, 511, 599, 600, 999]),
)


@st.composite
def replies(draw: st.DrawFn) -> tuple[int, bytes, bytes]:
    """Status, body, and the bytes on the wire; now and then no HTTP at all."""
    status, body = draw(statuses), draw(bodies)
    if draw(st.integers(0, 9)) == 0:
        return 0, body, draw(st.sampled_from([body, b"HTTP/1.1", b"HTTP/1.1 ok\r\n\r\n", b"SSH-2.0-x\r\n", b""]))
    odd = draw(st.lists(st.sampled_from(ODD_HEADERS), max_size=2))
    if draw(st.booleans()) and not any(b"Content-Length" in line for line in odd):
        odd.append(b"Content-Length: %d" % len(body))
    return status, body, b"\r\n".join([b"HTTP/1.1 %d Odd" % status, *odd, b"", body])


def ours(work: Callable[[], Any]) -> Any:
    """What `work` returns; None for an error of ours. Any other fails the test."""
    try:
        return work()
    except VitrineError as error:
        assert error.what
        assert "\n" not in error.what
        return None


QDRANT: dict[str, Callable[[ServerStore], Any]] = {
    "versions": lambda store: store.versions(),
    "live": lambda store: store.live(),
    "set_live": lambda store: store.set_live(VERSION),
    "prepare": lambda store: store.prepare(VERSION, Spec(DIM, 8, 32)),
    "upsert": lambda store: store.upsert(VERSION, 0, batches(products(3), vectors(3)), inputs={}),
    "seal": lambda store: store.seal(VERSION, [{"points": 3}]),
    "open": lambda store: store.open(VERSION, []),
    "delete": lambda store: store.delete(VERSION, []),
    "count": lambda store: searcher(store).count(),
    "fetch": lambda store: searcher(store).fetch(["1"]),
    "dense": lambda store: searcher(store).dense(vectors(1)[0], 3),
    "hybrid": lambda store: searcher(store).hybrid(vectors(1)[0], "kettle", 3),
}


def searcher(store: ServerStore) -> Any:
    """A searcher whose opening was answered well."""
    from include.store.server_search import ServerSearcher

    return ServerSearcher(store._client, store._call, NAME, store._unknown(VERSION))


@pytest.mark.parametrize("act", QDRANT)
@few(25)
@given(reply=replies())
def test_whatever_a_qdrant_server_replies(wire: Wire, act: str, reply: tuple[int, bytes, bytes]) -> None:
    """Danger: a proxy's page or another program's JSON ends a task in frames of pydantic or httpx."""
    _, body, wire.raw = reply
    store = ServerStore(INDEX, ServerConnection(wire.url), backoff=0.0, poll=0.0, seal_timeout=0.0)
    try:
        found = ours(lambda: QDRANT[act](store))
    finally:
        store._client.close()
    if act == "versions" and found:
        assert found == [VERSION] and NAME.encode() in body
    if act == "fetch" and found:
        assert {vector.dtype for vector, _ in found.values()} == {np.dtype(np.float32)}


@few(2)
@given(reply=replies(), head=st.one_of(st.none(), replies()))
def test_whatever_a_catalogues_web_server_replies(
    wire: Wire, root: Path, reply: tuple[int, bytes, bytes], head: tuple[int, bytes, bytes] | None
) -> None:
    """Danger: half a file, or a page, is stored as the catalogue; or the task ends in frames of urllib3."""
    status, body, wire.raw = reply
    wire.head = head and head[2]
    source = f"{wire.url}/products.jsonl"
    try:
        ours(lambda: reach(source))
        made = ours(lambda: download(SourceSettings(source=source), root=root))
        if made is not None:
            assert status in (200, 206)
            kept = (artifacts.read(made.path).path / made.stats["file"]).read_bytes()
            assert kept and body.startswith(kept), "what was stored is what was sent"
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\n\r\nzj\xd1M*",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000,
        b"HTTP/1.1 429 Busy\r\nRetry-After: Wed, 25 Nov 2026 10:00:00 GMT\r\n\r\n{}",
        b"HTTP/1.1 429 Busy\r\nRetry-After: 1e999\r\n\r\n{}",
    ],
)
def test_an_answer_that_nobody_can_read_is_an_error_of_ours(wire: Wire, raw: bytes) -> None:
    """Danger: a bare UnicodeDecodeError, RecursionError or ValueError out of the client's depths."""
    wire.raw = raw
    store = ServerStore(INDEX, ServerConnection(wire.url), backoff=0.0)
    with pytest.raises(VitrineError, match="Qdrant server"):
        store.versions()
    store._client.close()
