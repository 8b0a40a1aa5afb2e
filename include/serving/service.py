"""What each address does: one call of the answering code, on a thread of a pool as wide as the machine."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import Query
from starlette.responses import Response

from include.answering import products
from include.answering.asker import Asker
from include.answering.live_index import described
from include.answering.questions import split_lines
from include.catalogue.attributes import Attribute
from include.core.answer_settings import AnswerSettings
from include.core.errors import BadQuestion, BadSettings, StoreUnavailable, VitrineError
from include.core.forms import parse
from include.serving.deployment import LLM_CONNECTION, Deployment
from include.serving.metrics import Metrics, age
from include.serving.refusals import as_json, explain
from include.serving.requests import MOST_QUESTIONS, MOST_WRITTEN, AskBody, FacetsQuery, ProductQuery, SearchQuery
from include.serving.versions import OpenVersions

WRITING = 0.8  # of a request's time, that a language model may have

T = TypeVar("T")
Reply = Callable[[Mapping[str, Any]], T]  # makes of a result what is sent, on the thread that has it


def threads(deployment: Deployment) -> int:
    """How many requests are worked on at once."""
    return deployment.serving.serving_threads or len(os.sched_getaffinity(0))


class Service:
    """The addresses of one server.

    Args:
        deployment: How it runs.
        versions: What it answers from.
        metrics: Where it notes the steps of its answers.

    Attributes:
        llm: The language model, for requests that name it; None without.
    """

    def __init__(self, deployment: Deployment, versions: OpenVersions, metrics: Metrics) -> None:
        self._defaults = deployment.answering.model_dump()
        self._versions = versions
        self._metrics = metrics
        self._longest = WRITING * deployment.serving.serving_timeout
        self.llm = deployment.llm
        self._pool = ThreadPoolExecutor(threads(deployment), thread_name_prefix="ask")
        # Those that wait for a language model leave the others' threads alone.
        self._writing = ThreadPoolExecutor(2 * threads(deployment), thread_name_prefix="write")

    def close(self) -> None:
        """Wait for what is being worked on; what waits is dropped."""
        self._pool.shutdown(cancel_futures=True)
        self._writing.shutdown(cancel_futures=True)

    async def ask(self, body: AskBody) -> Response:
        """Answer questions with their sources; the same result as of the DAG `answer_question`."""
        return await self.answered(body, as_json)

    async def search(self, query: Annotated[SearchQuery, Query()]) -> Response:
        """The products for a question by rank, without an answer: fast, for results while typing."""
        return await self.found(query, as_json)

    async def answered(self, body: AskBody, reply: Reply[T]) -> T:
        """What `ask` gives."""
        asked = split_lines(body.question) if isinstance(body.question, str) else body.question
        if len(asked) > MOST_QUESTIONS:
            raise BadQuestion(f"{len(asked)} questions came; at most {MOST_QUESTIONS} are read.", "Ask fewer at once.")
        settings = self._settings(body.sent())
        if settings.generator == "extractive":
            return await self._from(body.version, lambda asker: asker.answer(asked, settings), reply)
        if self.llm is None:
            raise BadSettings(
                "generator = 'llm' needs a language model, and this server has none.",
                f"Leave `generator` out, or start the server with {LLM_CONNECTION}.",
            )
        if len(asked) > MOST_WRITTEN:
            raise BadQuestion(
                f"{len(asked)} questions came for the language model; at most {MOST_WRITTEN} are read.",
                "Ask fewer at once, or leave `generator` out.",
            )
        most = self._longest / len(asked)
        llm = replace(self.llm, patience=min(self.llm.patience, most), timeout=min(self.llm.timeout, most))
        return await self._from(
            body.version, lambda asker: asker.answer(asked, settings, llm=llm), reply, self._writing
        )

    async def found(self, query: SearchQuery, reply: Reply[T]) -> T:
        """What `search` gives."""
        settings = self._settings(query.sent())
        return await self._from(query.version, lambda asker: products.search(asker, query.q, settings), reply)

    async def product(self, query: ProductQuery, reply: Reply[T]) -> T:
        """One product with its whole text."""
        return await self._from(query.version, lambda asker: products.described(asker, query.uid), reply)

    async def facets(self, query: Annotated[FacetsQuery, Query()]) -> Response:
        """How many products a filter leaves, and how many of them have each value of an attribute."""
        settings = self._settings({"filter": query.filter, "facets": query.names})
        return await self._from(query.version, lambda asker: products.count(asker, settings), as_json)

    async def live(self) -> Response:
        """What is live: version, products, model, attributes, when and by whom it was published."""
        return await self._from("live", self._described, as_json)

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

    def attributes(self) -> Sequence[Attribute]:
        """Of the live version; none where nothing is open."""
        try:
            with self._versions.asker() as asker:
                return asker.version.attributes
        except VitrineError:
            return ()

    def _settings(self, sent: Mapping[str, Any]) -> AnswerSettings:
        return parse(AnswerSettings, {**self._defaults, **sent})

    async def _from(
        self,
        wanted: str,
        work: Callable[[Asker], Mapping[str, Any]],
        reply: Reply[T],
        pool: ThreadPoolExecutor | None = None,
    ) -> T:
        def done(asker: Asker) -> T:
            result = work(asker)
            self._metrics.steps(result)
            return reply(result)

        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool or self._pool, partial(self._versions.serve, wanted, done))

    def _described(self, asker: Asker) -> Mapping[str, Any]:
        version, entry, failure = asker.version, asker.published, self._versions.failure
        return {
            **described(version, entry),
            "age_seconds": None if entry is None else round(age(entry.published_at), 1),
            "newer": None if failure is None else {"what": failure.what, "next_step": failure.next_step},
        }
