"""What each address does: one call of the answering code, on a thread of a pool as wide as the machine."""

import asyncio
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Any

from fastapi import Query
from starlette.responses import Response

from include.answering import products
from include.answering.asker import Asker
from include.answering.described import described
from include.answering.questions import split_lines
from include.core.answer_settings import AnswerSettings
from include.core.errors import BadQuestion, StoreUnavailable, VitrineError
from include.core.forms import parse
from include.serving.deployment import Deployment
from include.serving.metrics import Metrics, age
from include.serving.refusals import as_json, explain
from include.serving.requests import MOST_QUESTIONS, AskBody, FacetsQuery, SearchQuery
from include.serving.versions import OpenVersions


def threads(deployment: Deployment) -> int:
    """How many requests are worked on at once."""
    return deployment.serving.serving_threads or len(os.sched_getaffinity(0))


class Service:
    """The addresses of one server.

    Args:
        deployment: How it runs.
        versions: What it answers from.
        metrics: Where it notes the steps of its answers.
    """

    def __init__(self, deployment: Deployment, versions: OpenVersions, metrics: Metrics) -> None:
        self._defaults = deployment.answering.model_dump()
        self._versions = versions
        self._metrics = metrics
        self._pool = ThreadPoolExecutor(threads(deployment), thread_name_prefix="ask")

    def close(self) -> None:
        """Wait for what is being worked on; what waits is dropped."""
        self._pool.shutdown(cancel_futures=True)

    async def ask(self, body: AskBody) -> Response:
        """Answer questions with their sources; the same result as of the DAG `answer_question`."""
        asked = split_lines(body.question) if isinstance(body.question, str) else body.question
        if len(asked) > MOST_QUESTIONS:
            raise BadQuestion(f"{len(asked)} questions came; at most {MOST_QUESTIONS} are read.", "Ask fewer at once.")
        settings = self._settings(body.sent())
        return await self._from(body.version, lambda asker: asker.answer(asked, settings))

    async def search(self, query: Annotated[SearchQuery, Query()]) -> Response:
        """The products for a question by rank, without an answer: fast, for results while typing."""
        settings = self._settings(query.sent())
        return await self._from(query.version, lambda asker: products.search(asker, query.q, settings))

    async def facets(self, query: Annotated[FacetsQuery, Query()]) -> Response:
        """How many products a filter leaves, and how many of them have each value of an attribute."""
        settings = self._settings({"filter": query.filter, "facets": query.names})
        return await self._from(query.version, lambda asker: products.count(asker, settings))

    async def live(self) -> Response:
        """What is live: version, products, model, attributes, when and by whom it was published."""
        return await self._from("live", self._described)

    async def health(self) -> Response:
        """200 while questions can be answered, else 503 with the reason."""
        try:
            with self._versions.asker() as asker:
                if isinstance(self._versions.failure, StoreUnavailable):  # an open version asks the store too
                    raise self._versions.failure
                return as_json({"status": "ok", "version": asker.version.name})
        except VitrineError as fault:
            return explain(fault)

    async def metrics(self) -> Response:
        """Figures in Prometheus' text form."""
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    def _settings(self, sent: Mapping[str, Any]) -> AnswerSettings:
        return parse(AnswerSettings, {**self._defaults, **sent})

    async def _from(self, wanted: str, work: Callable[[Asker], Mapping[str, Any]]) -> Response:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, partial(self._versions.serve, wanted, partial(self._done, work)))

    def _done(self, work: Callable[[Asker], Mapping[str, Any]], asker: Asker) -> Response:
        result = work(asker)
        self._metrics.steps(result)
        return as_json(result)

    def _described(self, asker: Asker) -> Mapping[str, Any]:
        entry, failure = asker.published, self._versions.failure
        return {
            **described(asker),
            "age_seconds": None if entry is None else round(age(entry.published_at), 1),
            "newer": None if failure is None else {"what": failure.what, "next_step": failure.next_step},
        }
