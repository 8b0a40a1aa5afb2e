"""What only the server store has: requests in the right order, retries, errors that say what to do.

The stub answers as Qdrant's REST interface does; the shared suite runs against the real thing.
"""

import itertools
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.core.errors import BadSettings, StoreUnavailable, Terminal, UnknownVersion
from include.core.index_settings import IndexSettings
from include.store.connection import ServerConnection
from include.store.protocol import PointBatch, Spec, point_id
from include.store.server import ServerStore
from include.store.stores import open_store
from tests.index.points import batches, vectors
from tests.small import products
from tests.store.stub_server import Reply, Request, Stub, ok, optimisations, stub_server

INDEX = IndexSettings(store="server", collection="products")
V1, V2 = "1" * 16, "2" * 16
SPEC = Spec(24, 16, 128)


def connect(url: str, index: IndexSettings = INDEX, **options: Any) -> ServerStore:
    timeout = options.pop("timeout", 5)
    return ServerStore(index, ServerConnection(url, timeout=timeout), backoff=0.01, poll=0.01, **options)


def info(status: str = "green", *, dim: int = 24, indexed: int = 0) -> Reply:
    """The state of a collection."""
    return ok(
        {
            "status": status,
            "optimizer_status": "ok" if status != "red" else {"error": "disk is full"},
            "indexed_vectors_count": indexed,
            "points_count": indexed,
            "segments_count": 1,
            "config": {
                "params": {"vectors": {"size": dim, "distance": "Cosine"}},
                "hnsw_config": {"m": 16, "ef_construct": 128, "full_scan_threshold": 10000},
                "optimizer_config": {"default_segment_number": 0, "flush_interval_sec": 5},
            },
            "payload_schema": {},
        }
    )


def qdrant(**special: Reply) -> Callable[[Request], Reply]:
    """A server of version 1.20 where everything exists and succeeds, but for `special` replies.

    Keys: `root`, `exists`, `info`, `aliases`, `change_aliases`, `points`, `create`.
    """

    def reply(request: Request) -> Reply:
        path, method = request.path, request.method
        if path == "/":
            return special.get("root", (200, {"title": "qdrant", "version": "1.20.1"}))
        if path.endswith("/exists"):
            return special.get("exists", ok({"exists": True}))
        if path == "/aliases":
            return special.get("aliases", ok({"aliases": []}))
        if path == "/collections/aliases":
            return special.get("change_aliases", ok(True))
        if path == "/collections":
            names = ("products_" + V1, "products_" + V2, "products_b_" + V1, "products", "other_" + V1)
            return ok({"collections": [{"name": name} for name in names]})
        if path.endswith("/points"):
            return special.get("points", ok({"operation_id": 1, "status": "completed"}))
        if path.endswith("/optimizations"):
            return optimisations()
        if path.endswith("/index"):
            return ok({"operation_id": 1, "status": "completed"})
        if method == "GET":
            return special.get("info", info())
        return special.get("create", ok(True))

    return reply


def test_prepare_defers_indexing_and_makes_payload_indexes_first() -> None:
    """Loading into a collection that indexes at once is several times slower."""
    with stub_server(qdrant(exists=ok({"exists": False}))) as stub:
        connect(stub.url).prepare(V1, SPEC)
    writes = [request for request in stub.requests if request.method == "PUT"]
    assert [request.path for request in writes] == [
        f"/collections/products_{V1}",
        f"/collections/products_{V1}/index",
        f"/collections/products_{V1}/index",
    ]
    created = writes[0].body
    assert created["vectors"] == {"size": 24, "distance": "Cosine"}
    assert created["hnsw_config"] == {"m": 16, "ef_construct": 128}
    assert created["optimizers_config"] == {"indexing_threshold": 0}
    assert writes[1].body == {"field_name": "uid", "field_schema": {"type": "keyword"}}
    assert writes[2].body == {"field_name": "text", "field_schema": {"type": "text", "scoring": True}}
    assert all("wait=true" in request.query for request in writes[1:])


def test_prepare_twice_leaves_the_collection_as_it_is() -> None:
    """Mapped tasks prepare at once; the second must neither fail nor empty what the first filled."""
    with stub_server(qdrant()) as stub:
        connect(stub.url).prepare(V1, SPEC)
    assert f"PUT /collections/products_{V1}" not in stub.paths()
    assert not any(request.method == "DELETE" for request in stub.requests)
    with stub_server(qdrant(exists=ok({"exists": False}), create=(409, {"status": {"error": "exists"}}))) as stub:
        connect(stub.url).prepare(V1, SPEC)


def test_a_collection_of_other_vectors_is_refused() -> None:
    """Points of another model would fail one by one, hours later."""
    with stub_server(qdrant(info=info(dim=768))) as stub, pytest.raises(Terminal, match=r"size=768.*expected 24"):
        connect(stub.url).prepare(V1, SPEC)


@pytest.mark.parametrize("version", ["1.19.3", "0.11.0"])
def test_a_server_without_bm25_is_refused_by_its_version(version: str) -> None:
    """An older server ignores or refuses the text index's scoring, with words that nobody understands."""
    with stub_server(qdrant(root=(200, {"title": "qdrant", "version": version}))) as stub:
        for action in (lambda: connect(stub.url).prepare(V1, SPEC), lambda: connect(stub.url).open(V1, [])):
            with pytest.raises(Terminal, match=rf"version {version}.*1\.20"):
                action()


def test_upsert_waits_and_keeps_requests_small() -> None:
    """`wait=false` would report points that are not stored; a request above 32 MB is refused."""
    long = [row._replace(content="ü" * 100_000) for row in products(40)]
    many = products(600)
    with stub_server(qdrant()) as stub:
        store = connect(stub.url)
        assert store.upsert(V1, 0, batches(many, vectors(600), size=500), inputs={})["points"] == 600
        assert store.upsert(V1, 1, batches(long, vectors(40), size=40), inputs={})["points"] == 40
    sent = [request for request in stub.requests if request.path.endswith("/points")]
    assert all("wait=true" in request.query for request in sent)
    assert max(len(request.body["batch"]["ids"]) for request in sent) == 256
    assert max(request.size for request in sent) < 32 * 2**20
    ids = [name for request in sent for name in request.body["batch"]["ids"]]
    assert sorted(ids[:600]) == sorted(point_id(row.uid) for row in many)
    first = sent[0].body["batch"]
    assert set(first["payloads"][0]) == {"uid", "title", "content", "text"}
    assert len(first["vectors"]) == len(first["ids"])


def test_the_alias_moves_in_one_request() -> None:
    """Two requests would leave a moment, or a crash, without any live index."""
    current = {"aliases": [{"alias_name": "products", "collection_name": f"products_{V1}"}]}
    with stub_server(qdrant(aliases=ok(current))) as stub:
        store = connect(stub.url)
        assert store.live() == V1
        store.set_live(V2)
    changes = [request.body for request in stub.requests if request.path == "/collections/aliases"]
    assert changes == [
        {
            "actions": [
                {"delete_alias": {"alias_name": "products"}},
                {"create_alias": {"collection_name": f"products_{V2}", "alias_name": "products"}},
            ]
        }
    ]


def test_an_alias_name_that_is_a_collection_is_a_clear_error() -> None:
    """A user's own collection called `products` must not be replaced, nor the task retried for ever."""
    refusal = (400, {"status": {"error": "Wrong input: Collection `products` already exists!"}})
    with (
        stub_server(qdrant(change_aliases=refusal)) as stub,
        pytest.raises(Terminal, match=r"point the alias products.*already exists"),
    ):
        connect(stub.url).set_live(V1)
    assert stub.paths().count("POST /collections/aliases") == 1


def test_versions_are_the_collections_of_this_name_only() -> None:
    """Deleting old versions must never take another collection for one of ours."""
    with stub_server(qdrant()) as stub:
        assert connect(stub.url).versions() == [V1, V2]


def test_a_cluster_is_used_as_its_operator_says() -> None:
    """What is not set is not sent, so that the server's own defaults hold; `on_disk` and its like are deprecated."""
    settings = {"server_shards": 6, "replication_factor": 2, "write_consistency": 1, "vector_memory": "cached"}
    index = IndexSettings(store="server", vector_format="int8", **settings)
    with stub_server(qdrant(exists=ok({"exists": False}))) as stub:
        connect(stub.url, index).prepare(V1, SPEC)
        connect(stub.url, IndexSettings(store="server", vector_format="turbo8")).prepare(V1, SPEC)
        connect(stub.url, IndexSettings(store="server", vector_format="int8")).prepare(V1, SPEC)
    codes = {"scalar": {"type": "int8", "memory": "pinned"}}
    plain = {"size": 24, "distance": "Cosine"}
    created = [
        each.body for each in stub.requests if (each.method, each.path) == ("PUT", f"/collections/products_{V1}")
    ]
    assert created[0]["vectors"] == {**plain, "quantization_config": codes, "memory": "cached"}
    cluster = ("shard_number", "replication_factor", "write_consistency_factor")
    assert [created[0][name] for name in cluster] == [6, 2, 1]
    assert created[1]["vectors"] == {**plain, "datatype": "turbo8"}
    assert created[2]["vectors"] == {**plain, "quantization_config": codes, "memory": "cold"}
    assert not any(name in created[1] for name in (*cluster, "on_disk_payload"))


def test_seal_waits_until_the_optimisers_of_a_green_collection_are_idle() -> None:
    """Measured by Qdrant: a query takes 780 ms while they drain, and 3 to 4 ms after."""
    states = itertools.chain(
        [optimisations(running=1), optimisations(), optimisations(queued=2)], itertools.repeat(optimisations())
    )
    works = qdrant()

    def reply(request: Request) -> Reply:
        return next(states) if request.path.endswith("/optimizations") else works(request)

    with stub_server(reply) as stub:
        connect(stub.url).seal(V1, [{"points": 200}])
    assert sum(path.endswith("/optimizations") for path in stub.paths()) == 5, "idle twice in a row"


def test_seal_restores_indexing_and_waits_for_green() -> None:
    """Publishing while the graph is being built would serve slow, exact search under load."""
    states = itertools.chain(
        [info("green"), info("yellow", indexed=50), info("grey", indexed=90)],
        itertools.repeat(info("green", indexed=200)),
    )
    seen: list[dict[str, Any]] = []

    def reply(request: Request) -> Reply:
        if request.path.endswith("/optimizations"):
            return optimisations()
        return next(states) if request.method == "GET" else ok(True)

    with stub_server(reply) as stub:
        connect(stub.url).seal(V1, [{"points": 200}], sink=seen.append)
    assert stub.requests[0].method == "PATCH"
    assert stub.requests[0].body == {"optimizers_config": {"indexing_threshold": 10_000}}
    states_read = [path for path in stub.paths()[1:] if not path.endswith("/optimizations")]
    assert len(states_read) == 5  # the first green came before the optimiser had begun
    assert (seen[-1]["done"], seen[-1]["total"]) == (200, 200)


def test_seal_gives_up_after_its_time() -> None:
    """A server that never finishes must not hold a worker for ever."""
    with (
        stub_server(qdrant(info=info("yellow", indexed=7))) as stub,
        pytest.raises(StoreUnavailable, match=r"still yellow after 0 s, with 7 of 200"),
    ):
        connect(stub.url, seal_timeout=0.05).seal(V1, [{"points": 200}])


def test_seal_reports_failed_indexing() -> None:
    """Red does not become green by waiting."""
    with stub_server(qdrant(info=info("red"))) as stub, pytest.raises(StoreUnavailable, match="disk is full"):
        connect(stub.url).seal(V1, [{"points": 200}])


def test_a_missing_collection_is_an_unknown_version() -> None:
    """It may have been deleted between opening and asking."""
    missing = (404, {"status": {"error": "Not found: Collection doesn't exist!"}})
    with stub_server(qdrant(exists=ok({"exists": False}), points=missing)) as stub:
        store = connect(stub.url)
        with pytest.raises(UnknownVersion, match=f"no collection products_{V1}"):
            store.open(V1, [])
        with pytest.raises(UnknownVersion, match="prepare"):
            store.upsert(V1, 0, batches(products(5), vectors(5)), inputs={})


def failing_first(times: int, failure: Reply) -> Callable[[Request], Reply]:
    """Every request fails `times` times, then succeeds."""
    seen: dict[str, int] = {}
    works = qdrant()

    def reply(request: Request) -> Reply:
        key = f"{request.method} {request.path}"
        seen[key] = seen.get(key, 0) + 1
        return failure if seen[key] <= times else works(request)

    return reply


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_failure_is_retried(status: int) -> None:
    """A restarting server must not cost a shard's whole upload."""
    with stub_server(failing_first(3, (status, {"status": {"error": "busy"}}))) as stub:
        assert connect(stub.url).upsert(V1, 0, batches(products(5), vectors(5)), inputs={})["points"] == 5
    assert len(stub.requests) == 4


def test_a_lasting_failure_is_store_unavailable() -> None:
    """After a bounded number of attempts Airflow's own, slower retry takes over."""
    with (
        stub_server(lambda _: (503, {"status": {"error": "shutting down"}})) as stub,
        pytest.raises(StoreUnavailable, match=r"4 attempts.*503.*qdrant_default") as caught,
    ):
        connect(stub.url).live()
    assert stub.url in str(caught.value)
    assert len(stub.requests) == 4


@pytest.mark.parametrize(
    ("status", "words"), [(401, "api key"), (403, "api key"), (400, "request itself"), (422, "request")]
)
def test_a_refusal_is_terminal_at_once(status: int, words: str) -> None:
    """A wrong api key does not become right by waiting."""
    with (
        stub_server(lambda _: (status, {"status": {"error": "no"}})) as stub,
        pytest.raises(Terminal, match=words),
    ):
        connect(stub.url).live()
    assert len(stub.requests) == 1


@pytest.mark.parametrize("body", ["<html>Welcome to nginx!</html>", {"hello": "world"}])
def test_something_else_at_the_address_is_terminal(body: Any) -> None:
    """A wrong port often leads to another web server."""
    with stub_server(lambda _: (200, body)) as stub, pytest.raises(Terminal, match="not a Qdrant server"):
        connect(stub.url).live()


def test_a_closed_port_is_store_unavailable_quickly() -> None:
    """A server that is down must be named, with its address, within seconds."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=url):
            connect(url).prepare(V1, SPEC)
        assert time.monotonic() - began < 10


def test_a_server_that_hangs_is_given_up_after_the_timeout() -> None:
    """Without a timeout a task would wait for ever."""
    with stub_server(lambda _: None) as stub, pytest.raises(StoreUnavailable, match="timed out"):
        connect(stub.url, timeout=1).live()
    assert len(stub.requests) == 4


def test_a_failing_stream_ends_the_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of one request must surface, and reading must not run on to the end of the shard."""
    read = 0

    def endless() -> Any:
        nonlocal read
        for number in itertools.count():
            read += 1
            uid = str(number)
            payload = {"uid": uid, "title": "", "content": "", "text": ""}
            yield PointBatch([uid], [point_id(uid)], np.full((1, 4), 0.5, np.float32), [payload])

    with (
        stub_server(qdrant(points=(400, {"status": {"error": "Vector dimension error"}}))) as stub,
        pytest.raises(Terminal, match="Vector dimension error"),
    ):
        connect(stub.url).upsert(V1, 0, endless(), inputs={})
    assert read < 10


def sent_key(stub: Stub) -> str | None:
    return stub.requests[0].headers.get("api-key")


@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
def test_the_api_key_is_sent_and_never_shown() -> None:
    """A secret in a log or an error message is a leak."""
    with stub_server(lambda _: (401, {"status": {"error": "denied"}})) as stub:
        connection = ServerConnection(stub.url, api_key="s3cret")
        with pytest.raises(Terminal) as caught:
            ServerStore(INDEX, connection).live()
        assert sent_key(stub) == "s3cret"
    assert "s3cret" not in f"{connection!r} {connection} {caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (("qdrant", 6333, None, {}), ServerConnection("http://qdrant:6333")),
        (("qdrant", None, "", None), ServerConnection("http://qdrant:6333")),
        (("localhost", 7000, "k", {}), ServerConnection("http://localhost:7000", api_key="k")),
        (("q.example", 6333, "k", {}), ServerConnection("https://q.example:6333", api_key="k")),
        (("q.example", 6333, "k", {"https": "false"}), ServerConnection("http://q.example:6333", api_key="k")),
        (("::1", 6333, None, {}), ServerConnection("http://[::1]:6333")),
        (("http://q:1", None, None, {}), ServerConnection("http://q:1")),
        (("http://q:1", 1, None, {}), ServerConnection("http://q:1")),
        (("https://qdrant.example.com", 443, "k", {}), ServerConnection("https://qdrant.example.com:443", api_key="k")),
        (("https://qdrant.example.com/", None, None, {}), ServerConnection("https://qdrant.example.com:6333")),
        ((None, 8443, None, {"url": "https://q/a"}), ServerConnection("https://q:8443/a")),
        (("q:7", None, None, {}), ServerConnection("http://q:7")),
        (("[::1]:7", None, "k", {}), ServerConnection("http://[::1]:7", api_key="k")),
        (("2001:DB8::1", None, None, {}), ServerConnection("http://[2001:db8::1]:6333")),
        ((" q\n", 1, " k\n", {}), ServerConnection("https://q:1", api_key="k")),
        (
            ("http://me:p%40ss@q:1/a", None, "k", {}),
            ServerConnection("http://q:1/a", api_key="k", basic="bWU6cEBzcw=="),
        ),
        ((None, None, None, {"url": "https://q:2/", "api_key": "k"}), ServerConnection("https://q:2", api_key="k")),
        (("q", 1, None, {"prefix": "/a/b/"}), ServerConnection("http://q:1/a/b")),
        (
            ("q", 1, None, {"prefer_gprc": True, "grpc_port": "7", "timeout": 9, "https": ""}),
            ServerConnection("http://q:1", prefer_grpc=True, grpc_port=7, timeout=9),
        ),
    ],
)
def test_a_connection_is_read_from_airflows_fields(
    fields: tuple[Any, Any, Any, Any], expected: ServerConnection
) -> None:
    """Each form that Airflow's connection page can produce must lead to the right server."""
    assert ServerConnection.from_fields(*fields) == expected


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ((None, None, None, {}), "neither a host nor a `url`"),
        (("q", 1, None, {"time_out": 3}), "time_out"),
        (("q", 1, None, {"timeout": "soon"}), "'soon'"),
        (("q", 1, None, {"timeout": 0}), "above 0"),
        (("q", 1, None, {"https": "maybe"}), "'maybe'"),
        (("q", 1, None, {"grpc_port": 70000}), "at most 65535"),
        (("q:1", 2, None, {}), "port 1 in its address, but 2 in its field"),
        (("q:70000", None, None, {}), "port"),
        (("q", -1, None, {}), "port"),
        (("http://[::1", None, None, {}), "not valid"),
        (("ftp://h", None, None, {}), "http or https, not ftp://"),
        (("https://", 1, None, {}), "not valid"),
        (("q..r", 1, None, {}), "not valid"),
        (("http://q?api_key=1", None, None, {}), "with a query"),
        (("q", 1, "k", ["url"]), "JSON object"),
    ],
)
def test_a_wrong_connection_is_refused(fields: tuple[Any, Any, Any, Any], words: str) -> None:
    """A misspelt key that is ignored would look like a setting that does not work."""
    with pytest.raises(BadSettings, match=words):
        ServerConnection.from_fields(*fields)


def test_the_server_store_needs_a_connection(tmp_path: Path) -> None:
    """The message must name the connection to make."""
    with pytest.raises(BadSettings, match="qdrant_default"):
        open_store(INDEX, root=tmp_path)
