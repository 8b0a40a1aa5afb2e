"""What a request gets that is not answered: `{"error": {"what", "next_step"}}` under the right status, and no more."""

import json
import logging
from collections.abc import Mapping

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from include.core.errors import (
    BadFilter,
    BadModel,
    BadQuestion,
    BadSettings,
    NoLiveIndex,
    Transient,
    UnknownVersion,
    VitrineError,
)

log = logging.getLogger(__name__)

# The first that fits. A server whose data is broken is no fault of the request.
STATUSES: tuple[tuple[type[VitrineError], int], ...] = (
    (BadQuestion, 400),
    (BadFilter, 400),
    (BadSettings, 400),
    (UnknownVersion, 404),
    (NoLiveIndex, 503),
    (BadModel, 503),
    (Transient, 503),
    (VitrineError, 500),
)
UNFORESEEN = ("The server failed in a way that nobody foresaw.", "Its log says where: report it with that.")
DOCS = "/docs on this server says what each address takes."


def as_json(content: Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A reply in ASCII: what a product's text could do to a terminal or a page is an escape in it."""
    body = json.dumps(content, allow_nan=False).encode()
    return Response(body, status, {"X-Content-Type-Options": "nosniff", **(headers or {})}, "application/json")


def refusal(status: int, what: str, next_step: str, headers: Mapping[str, str] | None = None) -> Response:
    """A reply that says why there is no other one."""
    return as_json({"error": {"what": what, "next_step": next_step}}, status, headers)


def explain(fault: VitrineError) -> Response:
    """An error of ours."""
    status = next(status for kind, status in STATUSES if isinstance(fault, kind))
    if status >= 500 and not isinstance(fault, NoLiveIndex):  # which is told once, when it is found
        log.warning("refused with %d: %s", status, fault)
    return refusal(status, fault.what, fault.next_step)


async def of_ours(_: Request, fault: Exception) -> Response:
    """`explain`, as FastAPI calls it."""
    return explain(fault) if isinstance(fault, VitrineError) else await unforeseen(_, fault)


async def of_validation(_: Request, fault: Exception) -> Response:
    """What a request holds is not what it takes: each field by name, without its value, which may be anything."""
    faults = fault.errors() if isinstance(fault, RequestValidationError) else []
    reasons = "; ".join(f"{'.'.join(map(str, each['loc'][1:])) or each['loc'][0]}: {each['msg']}" for each in faults)
    return refusal(400, f"The request was refused: {reasons}.", DOCS)


async def of_http(_: Request, fault: Exception) -> Response:
    """No such address, or not with this method; or a body that is too long."""
    if not isinstance(fault, HTTPException):
        return await unforeseen(_, fault)
    return refusal(fault.status_code, f"{fault.detail}.", DOCS, fault.headers)


async def unforeseen(_: Request, fault: Exception) -> Response:
    """What nobody foresaw; uvicorn logs its frames."""
    return refusal(500, *UNFORESEEN)
