"""The application: its addresses, and what stands before them."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from mcp.server.stdio import stdio_server
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from include.answering.schema import Answers, Counts, Found, Part
from include.core.errors import VitrineError
from include.serving import refusals
from include.serving.assistants import Assistants, tools_of
from include.serving.deployment import Deployment
from include.serving.guard import OPEN, Guard
from include.serving.metrics import Counted, Metrics
from include.serving.pages import page_routes
from include.serving.service import Service, threads
from include.serving.versions import OpenVersions

ABOUT = (
    "Questions, searches and counts over the live version of a product catalogue. Errors are "
    '`{"error": {"what", "next_step"}}`. Assistants ask by POST /mcp, the Model Context Protocol.'
)
PATHS = ("/ask", "/search", "/facets", "/live", "/health", "/metrics")
ASSISTANTS = "/mcp"
GIVEN: dict[str, type[Part]] = {"/ask": Answers, "/search": Found, "/facets": Counts}  # described, and not checked


def create_service(deployment: Deployment) -> tuple[Service, OpenVersions, Metrics]:
    """What every way to ask shares; nothing is open yet.

    Raises:
        BadSettings: `store="server"` without a connection.
    """
    versions = OpenVersions(
        deployment.index,
        deployment.answering,
        root=deployment.root,
        server=deployment.server,
        at_once=threads(deployment),
    )
    metrics = Metrics(versions, (*PATHS, ASSISTANTS, *OPEN))
    return Service(deployment, versions, metrics), versions, metrics


@asynccontextmanager
async def opened(service: Service, versions: OpenVersions) -> AsyncIterator[None]:
    """The versions are open, and followed, for the length of a `with`."""
    await run_in_threadpool(versions.start)
    try:
        yield
    finally:
        await run_in_threadpool(service.close)
        await run_in_threadpool(versions.close)


async def assist(deployment: Deployment) -> None:
    """Serve the assistant at the other end of standard input and output, until it ends.

    Raises:
        BadSettings: As `create_service`.
    """
    service, versions, _ = create_service(deployment)
    server = tools_of(service)
    async with opened(service, versions), stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


def create_app(deployment: Deployment) -> FastAPI:
    """An application, whose versions open when it starts and close when it ends.

    Raises:
        BadSettings: As `create_service`.
    """
    service, versions, metrics = create_service(deployment)
    assistants = Assistants(service, deployment.serving.serving_max_body)

    @asynccontextmanager
    async def open_while_running(_: FastAPI) -> AsyncIterator[None]:
        async with opened(service, versions), assistants.run():
            yield

    app = FastAPI(title="Vitrine", description=ABOUT, lifespan=open_while_running, docs_url=None, redoc_url=None)
    for path in PATHS:
        method = getattr(service, path[1:])
        key = [Security(HTTPBearer(auto_error=False))] if path not in OPEN else []
        told: dict[int | str, Any] = {200: {"model": GIVEN[path]}} if path in GIVEN else {}
        app.add_api_route(path, method, methods=["POST" if path == "/ask" else "GET"], dependencies=key, responses=told)
    app.router.routes.extend(page_routes())
    app.router.routes.append(Route(ASSISTANTS, assistants, methods=["POST"]))
    app.add_exception_handler(VitrineError, refusals.of_ours)
    app.add_exception_handler(RequestValidationError, refusals.of_validation)
    app.add_exception_handler(HTTPException, refusals.of_http)
    app.add_exception_handler(Exception, refusals.unforeseen)
    # The last one added is met first.
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=deployment.serving.serving_max_body)
    app.add_middleware(Guard, serving=deployment.serving, keys=deployment.keys)
    if origins := deployment.serving.serving_origins:
        allowed = re.split(r"\s*,\s*", origins)
        app.add_middleware(
            CORSMiddleware,
            allow_origins=allowed,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
        )
    app.add_middleware(Counted, metrics=metrics)
    return app
