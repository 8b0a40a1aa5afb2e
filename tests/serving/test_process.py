"""The resident asker as a process of its own: its start, the alias, its end, and what it imports."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import httpx

from include.core.environment import REPOSITORY, SERVING_KEYS
from tests.indexed import Shop
from tests.serving.servers import KEY, clean, running

SOON = 1.0  # second, as documented
OPENING = 20.0  # seconds that a loaded machine may take to open a version on top of that


def test_ten_publications_are_seen_under_load_and_no_request_fails(shop: Shop, tmp_path: Path) -> None:
    """The texts of each reply are those of the version that it names."""
    shop.publish(1)
    stop, waited = threading.Event(), list[float]()

    def ask(address: str) -> set[str]:
        seen = set()
        with httpx.Client(base_url=address, timeout=60) as client:
            while not stop.is_set():
                searched = client.get("/search", params={"q": "golden edition"})
                asked = client.post("/ask", json={"question": "golden edition"})
                for reply in (searched, asked):
                    assert reply.status_code == 200, reply.text
                    found = reply.json()
                    products = found["products"] if reply is searched else found["answers"][0]["products"]
                    titles = [each["title"] for each in products if "edition" in each["title"]]
                    assert titles == [shop.editions[found["version"]]]
                    seen.add(found["version"])
        return seen

    with running(shop.root, tmp_path / "log") as (process, address), ThreadPoolExecutor(2) as pool:
        load = [pool.submit(ask, address) for _ in range(2)]
        try:
            for wanted in shop.ten_moves():
                moved = time.monotonic()
                while httpx.get(f"{address}/live", timeout=60).json()["version"] != wanted:
                    assert time.monotonic() < moved + SOON + OPENING
                waited.append(time.monotonic() - moved)
        finally:
            stop.set()
        assert all(len(each.result()) > 2 for each in load)
        assert median(waited) < SOON, waited  # each of them, where other tests leave it the processors
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM)


def test_requests_that_run_at_sigterm_are_answered_and_nothing_is_left(shop: Shop, tmp_path: Path) -> None:
    shop.publish(1)
    (scratch := tmp_path / "scratch").mkdir()
    with running(shop.root, tmp_path / "log", TMPDIR=str(scratch), VITRINE_SERVING_THREADS="1") as (process, address):
        assert len(list(scratch.glob("vitrine-*"))) == 1
        with ThreadPoolExecutor(4) as pool:
            ask = {"question": ["golden edition", "red lamp", "blue tent"] * 10}
            asked = [pool.submit(httpx.post, f"{address}/ask", json=ask, timeout=60) for _ in range(4)]
            metrics = httpx.get(f"{address}/metrics").text  # all four are on their way
            time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            assert {each.result().status_code for each in asked} == {200}, metrics
        process.wait(60)
    assert list(scratch.glob("vitrine-*")) == []
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_it_listens_on_this_machine_alone_unless_it_has_keys(shop: Shop, tmp_path: Path) -> None:
    def start(**environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "include.serving"]
        settings = clean({"VITRINE_DATA": str(shop.root), **environment})
        return subprocess.run(
            command, cwd=REPOSITORY, env=settings, capture_output=True, text=True, check=False, timeout=60
        )

    open_to_all = start(VITRINE_SERVING_HOST="0.0.0.0")
    assert (open_to_all.returncode, "there are no keys" in open_to_all.stderr) == (2, True)
    short = start(**{SERVING_KEYS.name: "short-secret"})
    assert (short.returncode, "Key 1 of VITRINE_SERVING_KEYS" in short.stderr) == (2, True)
    (tmp_path / "keys").write_text("# of the shop\n\nshort-secret # no\n")
    file = start(VITRINE_SERVING_KEY_FILE=str(tmp_path / "keys"))
    assert (file.returncode, f"Line 3 of {tmp_path}/keys" in file.stderr) == (2, True)
    missing = start(VITRINE_SERVING_KEY_FILE=str(tmp_path / "nowhere"))
    assert (missing.returncode, "cannot be read" in missing.stderr) == (2, True)
    wrong = start(VITRINE_SERVING_PORT="0")
    assert (wrong.returncode, "serving_port" in wrong.stderr) == (2, True)
    unserved = start(VITRINE_STORE="server")
    assert (unserved.returncode, "AIRFLOW_CONN_QDRANT_DEFAULT" in unserved.stderr) == (2, True)
    for done in (open_to_all, short, file, missing, wrong, unserved):
        assert "short-secret" not in done.stderr
        assert "Traceback" not in done.stderr


def test_it_imports_neither_airflow_nor_torch(described: Path) -> None:
    """They take seconds and hundreds of megabytes, in a process that is to be small."""
    code = f"""
import sys
from pathlib import Path
from include.serving import __main__
from tests.serving.servers import served
with served(Path(sys.argv[1]), {KEY!r}) as client:
    reply = client.post("/ask", json={{"question": "red lamp"}}, headers={{"Authorization": "Bearer " + {KEY!r}}})
    assert reply.json()["answers"], reply.text
heavy = {{"torch", "transformers", "airflow", "qdrant_client", "bm25s"}}
print(sorted(heavy & set(sys.modules)))
"""
    command = [sys.executable, "-c", code, str(described)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_the_documented_commands(shop: Shop, tmp_path: Path) -> None:
    """A command on a page that does not work is worse than none."""
    shop.publish(1)
    page = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```bash\n(SHOP=.*?)^```", page, re.MULTILINE | re.DOTALL)
    (file := tmp_path / "keys").write_text(f"{KEY}\n")
    with running(shop.root, tmp_path / "log", VITRINE_SERVING_KEY_FILE=str(file)) as (_, address):
        variables = {**os.environ, "SHOP": address}
        command = ["bash", "-euo", "pipefail", "-c", block]
        refused = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        assert (refused.returncode, "401" in refused.stderr) == (22, True)
        done = subprocess.run(command, env={**variables, "KEY": KEY}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    asked, after = json.JSONDecoder().raw_decode(done.stdout)
    assert len(asked["answers"][0]["products"]) == 3
    assert len(json.loads(done.stdout[after:])["products"]) == 5
