"""How many searches and answers the resident asker gives: a server over many synthetic products, under load.

The load comes from `wrk` where it is installed (`apt install wrk`), else from threads of this process, which take more
of the same processors. The invented words are many word pieces each, so answers, which read sentences, take longer than
over a real catalogue. With `--data` the index is kept for the next call, and shared with `benchmarks.retrieve`.

Before that, the search alone is compared with peers over the same vectors, see `_peers.py`: of 300,000 products,
`qdrant-client`'s local mode takes a minute or two to load, and 2 GB. `--no-peers` leaves that out.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import httpx
import numpy as np

from benchmarks._compare import figure, machine
from benchmarks._peers import compare
from benchmarks._synthetic import publish, questions
from include.core.environment import REPOSITORY
from include.core.index_settings import IndexSettings

# wrk gives no 95th percentile of its own.
SCRIPT = """
local requests, number = {}, 0
for line in io.lines(os.getenv("QUESTIONS")) do requests[#requests + 1] = line end
function init(args) number = math.random(#requests) end
function request()
  number = number % #requests + 1
  local body = requests[number]
  if wrk.path == "/ask" then
    return wrk.format("POST", nil, {["Content-Type"] = "application/json"}, body)
  end
  return wrk.format("GET", "/search?top_k=10&q=" .. body)
end
function done(summary, latency, all)
  local failed = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.write(string.format('\\n{"a second": %f, "p50": %f, "p95": %f, "failed": %d}\\n', 1e6 * summary.requests
    / summary.duration, latency:percentile(50) / 1000, latency:percentile(95) / 1000, failed))
end
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON line a figure")
    parser.add_argument("--products", type=int, default=300_000)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--connections", type=int, default=3, help="requests on their way at once")
    parser.add_argument("--seconds", type=int, default=30, help="of load on each address")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--data", type=Path, help="a data directory to keep; a temporary one where it is not given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = (options.data or Path(folder)).resolve()
        version = publish(root, options.products, options.shards, IndexSettings())
        tool = "wrk" if shutil.which("wrk") else "threads of Python"
        print(f"{machine()}\n{version.points:,} products, {options.connections} connections, load by {tool}")
        if options.peers:
            compare(root, version, list(questions(1000)), options.connections, options.seconds)
        before: Mapping[str, tuple[float, float]] = {}
        with server(root) as address:
            for path, goals in (("/search", {"a second": 60.0, "p95": 60.0}), ("/ask", {})):
                bodies = [body(path, question) for question in questions(1000)]
                load(address, path, bodies, options.connections, 5)  # the first ones read the index from the disk
                found = load(address, path, bodies, options.connections, options.seconds)
                for name, unit in (("a second", "1/s"), ("p50", "ms"), ("p95", "ms"), ("failed", "requests")):
                    goal = goals.get(name)
                    title = f"{path}, {name}"
                    figure(title, found[name], unit, goal, least=name == "a second", as_json=options.json)
                after = counted(address, path)
                where(path, after, before, as_json=options.json)
                before = after


def body(path: str, question: str) -> str:
    """What is sent of a question, on one line."""
    return json.dumps({"question": question}) if path == "/ask" else str(httpx.QueryParams({"q": question}))[2:]


@contextmanager
def server(root: Path) -> Iterator[str]:
    """A resident asker on a free port, ready, without a rate; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"VITRINE_DATA": str(root), "VITRINE_SERVING_PORT": str(port), "VITRINE_SERVING_RATE": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "include.serving"], cwd=REPOSITORY, env={**os.environ, **settings}
    )
    try:
        while process.poll() is None:
            try:
                httpx.get(f"http://127.0.0.1:{port}/health").raise_for_status()
                break
            except httpx.TransportError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def load(address: str, path: str, bodies: list[str], connections: int, seconds: int) -> Mapping[str, float]:
    """Requests a second, milliseconds at the 50th and 95th percentile, and how many failed."""
    if (wrk := shutil.which("wrk")) is None:
        return load_here(address, path, bodies, connections, seconds)
    with tempfile.TemporaryDirectory() as folder:
        script, asked = Path(folder, "load.lua"), Path(folder, "questions")
        script.write_text(SCRIPT, encoding="utf-8")
        asked.write_text("\n".join(bodies), encoding="utf-8")
        command = [wrk, "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
        done = subprocess.run(
            [*command, "--timeout", "30s", "--script", str(script), f"{address}{path}"],
            env={**os.environ, "QUESTIONS": str(asked)},
            capture_output=True,
            text=True,
            check=True,
        )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def load_here(address: str, path: str, bodies: list[str], connections: int, seconds: int) -> Mapping[str, float]:
    """`load` by threads of this process."""
    until = time.monotonic() + seconds

    def ask(number: int) -> list[tuple[float, bool]]:
        taken: list[tuple[float, bool]] = []
        with httpx.Client(base_url=address, timeout=30) as client:
            for each in cycle(bodies[number * len(bodies) // connections :] + bodies[:1]):
                if (began := time.monotonic()) > until:
                    return taken
                if path == "/ask":
                    reply = client.post(path, content=each, headers={"Content-Type": "application/json"})
                else:
                    reply = client.get(f"{path}?top_k=10&q={each}")
                taken.append((1000 * (time.monotonic() - began), reply.is_success))
        return taken

    with ThreadPoolExecutor(connections) as pool:
        taken = [each for own in pool.map(ask, range(connections)) for each in own]
    p50, p95 = np.quantile([milliseconds for milliseconds, _ in taken], (0.5, 0.95))
    failed = sum(not sound for _, sound in taken)
    return {"a second": len(taken) / seconds, "p50": float(p50), "p95": float(p95), "failed": failed}


def where(
    path: str, after: Mapping[str, tuple[float, float]], before: Mapping[str, tuple[float, float]], *, as_json: bool
) -> None:
    """Report where the time of an address's requests goes: the mean of each step, and what is beside the steps."""
    means = {}
    for name, (seconds, times) in after.items():
        earlier_seconds, earlier_times = before.get(name, (0.0, 0.0))
        if times > earlier_times:
            means[name] = 1000 * (seconds - earlier_seconds) / (times - earlier_times)
    whole = means.pop(path)
    for name, mean in {**means, "waiting for a thread, and HTTP": whole - sum(means.values()), "all": whole}.items():
        share = f" ({mean / whole:.0%})" if not as_json else ""
        figure(f"{path}, {name}{share}", mean, "ms", None, least=False, as_json=as_json)


def counted(address: str, path: str) -> Mapping[str, tuple[float, float]]:
    """Seconds and times of each step, and of requests to `path`, since the server's start, by its own count."""
    found: dict[str, list[float]] = {}
    kinds = {'vitrine_step_seconds_{}{{step="': "", 'vitrine_request_seconds_{}{{route="': path}
    for line in httpx.get(f"{address}/metrics").text.splitlines():
        for start, only in kinds.items():
            for place, kind in enumerate(("sum", "count")):
                name, _, value = line.removeprefix(start.format(kind)).rpartition('"} ')
                if line.startswith(start.format(kind)) and (not only or name == only):
                    found.setdefault(name, [0.0, 0.0])[place] = float(value)
    return {name: (seconds, times) for name, (seconds, times) in found.items()}


if __name__ == "__main__":
    main()
