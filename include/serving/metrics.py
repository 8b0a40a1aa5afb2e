"""Figures of the server for Prometheus: requests, seconds by step, and how old the live version is."""

import time
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from include.core.errors import VitrineError
from include.serving.versions import OpenVersions

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds


class Metrics:
    """The figures of one server.

    Args:
        versions: Where the live version is.
        routes: The addresses that are counted by name; all others are one.
    """

    def __init__(self, versions: OpenVersions, routes: Collection[str]) -> None:
        self._routes = routes
        self._registry = CollectorRegistry()
        self._registry.register(_Live(versions))
        self._requests = Counter(
            "vitrine_requests", "Requests by address and status.", ["route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "vitrine_request_seconds", "From request to reply.", ["route"], registry=self._registry, buckets=BUCKETS
        )
        self._steps = Histogram(
            "vitrine_step_seconds", "Of each step of an answer.", ["step"], registry=self._registry, buckets=BUCKETS
        )

    def steps(self, result: Mapping[str, Any]) -> None:
        """Note the `milliseconds` of a result."""
        for step, milliseconds in result.get("milliseconds", {}).items():
            self._steps.labels(step).observe(milliseconds / 1000)

    def request(self, path: str, status: int, seconds: float) -> None:
        """Note a request."""
        route = path if path in self._routes else "other"
        self._requests.labels(route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All figures in Prometheus' text form."""
        return bytes(generate_latest(self._registry))


class Counted:
    """An ASGI application that notes each request to another one."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through, and note what came of it; no reply at all counts as 500."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        status, began = 500, time.monotonic()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            self._metrics.request(scope["path"], status, time.monotonic() - began)
        return None


class _Live(Collector):
    """What is said of the live version at the moment of asking."""

    def __init__(self, versions: OpenVersions) -> None:
        self._versions = versions

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Nothing where no version is open."""
        try:
            with self._versions.asker() as asker:
                version, entry = asker.version, asker.published
        except VitrineError:
            return
        labels = [version.name, version.collection]
        products = GaugeMetricFamily("vitrine_live_products", "Of the live version.", labels=["version", "collection"])
        products.add_metric(labels, version.points)
        yield products
        if entry is not None:
            yield GaugeMetricFamily(
                "vitrine_live_age_seconds", "Since the live version was published.", age(entry.published_at)
            )


def age(published_at: str) -> float:
    """Seconds since a moment, ISO 8601."""
    return max((datetime.now(UTC) - datetime.fromisoformat(published_at)).total_seconds(), 0.0)
