"""A small HTTP server that speaks as much of Qdrant's REST interface as a test says."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, Any]  # status, and the body: text as it is, anything else as JSON


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: str
    body: Any
    size: int
    headers: dict[str, str]


@dataclass
class Stub:
    """What the server was asked; `reply` answers."""

    reply: Callable[[Request], Reply | None]
    requests: list[Request] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)  # ends the requests that hang
    url: str = ""

    def paths(self) -> list[str]:
        return [f"{request.method} {request.path}" for request in self.requests]


def ok(result: Any) -> Reply:
    """Qdrant's envelope."""
    return 200, {"result": result, "status": "ok", "time": 0.001}


def optimisations(running: int = 0, queued: int = 0) -> Reply:
    """What a collection's optimisers do."""
    one = {
        **{"uuid": "36d21fc9-9d1b-5845-9acb-e4aa460c0954", "optimizer": "indexing", "status": "optimizing"},
        **{"segments": [], "progress": {"name": "indexing"}},
    }
    summary = {"queued_optimizations": queued, "queued_segments": 0, "queued_points": 0, "idle_segments": 1}
    return ok({"summary": summary, "running": [one] * running})


@contextmanager
def stub_server(reply: Callable[[Request], Reply | None]) -> Iterator[Stub]:
    """Serve on a free port of this machine; a reply of None hangs until the end."""
    stub = Stub(reply)

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(size)
            path, _, query = self.path.partition("?")
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, path, query, json.loads(raw) if raw else None, size, headers)
            stub.requests.append(request)
            answer = stub.reply(request)
            if answer is None:
                stub.released.wait(60)
                self.close_connection = True
                return
            status, body = answer
            content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(body, str) else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield stub
    finally:
        stub.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
