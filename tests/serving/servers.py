"""A server in this process, and one in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi.testclient import TestClient

from include.answering.llm_connection import LlmConnection
from include.core.answer_settings import AnswerSettings, ServingSettings
from include.core.environment import REPOSITORY
from include.local.server import free_port
from include.serving.app import create_app
from include.serving.deployment import Deployment
from tests.indexed import INDEX

TIMES = ("seconds", "milliseconds")
KEY, OTHER_KEY = "k" * 24, "0123456789abcdef01234567"


@contextmanager
def served(root: Path, *keys: str, llm: LlmConnection | None = None, **serving: Any) -> Iterator[TestClient]:
    """A client of a server in this process, as `127.0.0.1`; the settings are those of `ServingSettings`, shortened.

    It has one thread, unless more are given: no other process searches then.
    """
    settings = ServingSettings(**{f"serving_{name}": value for name, value in {"threads": 1, **serving}.items()})
    app = create_app(Deployment(settings, INDEX, AnswerSettings(), root, None, keys, llm))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as made:
        yield made


@contextmanager
def running(root: Path, log: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server in a process of its own that is ready, with its address; ended at the end."""
    port = environment.setdefault("VITRINE_SERVING_PORT", str(free_port()))
    with log.open("wb") as output:
        process = subprocess.Popen(
            command(),
            cwd=REPOSITORY,
            env=clean({"VITRINE_DATA": str(root), **environment}),
            stdout=output,
            stderr=output,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address, process, log)
        yield process, address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def without_times(result: Any) -> Any:
    """A result but for what differs from one time to the next."""
    if isinstance(result, dict):
        return {name: without_times(value) for name, value in result.items() if name not in TIMES}
    return [without_times(each) for each in result] if isinstance(result, list) else result


def command(*options: str) -> list[str]:
    """What starts a server."""
    return [sys.executable, "-m", "include.serving", *options]


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without settings of Vitrine's but those given."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("VITRINE_")}, **environment}


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 90
    while True:
        try:
            httpx.get(f"{address}/health")
            return
        except httpx.TransportError:
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError(log.read_text()) from None
            time.sleep(0.1)
