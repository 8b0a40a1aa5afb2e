"""The route `/search`: products while a question is typed, from the resident asker; imported when the pages are made.

The browser asks this route and never that server, whose key stays here.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING:
    from fastapi import FastAPI

log = logging.getLogger(__name__)

QUERY = "answer_question"
SECONDS = 2.0  # that the other server may take: whoever types has typed on by then
MOST = 20  # products


def add_routes(app: "FastAPI", headers: dict[str, str]) -> None:
    """Add it, for who may see the runs of `answer_question`."""
    import httpx
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api.security import requires_access_dag
    from fastapi import Depends, HTTPException, Query
    from fastapi.responses import JSONResponse

    from include.core.environment import ASKER, ASKER_KEY
    from include.core.redaction import foreign
    from include.questions.questions import LONGEST_QUESTION

    @app.get("/search", dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN, param_dag_id=QUERY))])
    async def search(
        q: Annotated[str, Query(min_length=1, max_length=LONGEST_QUESTION)],
        top_k: Annotated[int, Query(ge=1, le=MOST)] = 5,
        narrowed: Annotated[str | None, Query(alias="filter", max_length=5000)] = None,
    ) -> JSONResponse:
        if not ASKER.given:
            raise HTTPException(404, f"{ASKER.name} is not set.")
        key = ASKER_KEY.given
        asked: dict[str, str | int] = {"q": q, "top_k": top_k, **({"filter": narrowed} if narrowed else {})}
        try:
            # The key goes to the asker, and through no proxy of the environment.
            async with asyncio.timeout(SECONDS), httpx.AsyncClient(timeout=SECONDS, trust_env=False) as client:
                answer = await client.get(
                    f"{ASKER.given.rstrip('/')}/search",
                    params=asked,
                    headers={"Authorization": f"Bearer {key}"} if key else {},
                )
            if answer.status_code == httpx.codes.BAD_REQUEST:  # of a filter that is half typed
                raise HTTPException(400, answer.json()["error"]["what"])
            found = answer.raise_for_status().json()["products"]
            products = [{name: each[name] for name in ("uid", "title")} for each in found]
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError, KeyError, TypeError) as error:
            reason = f"{type(error).__name__}: {foreign(error, [key])}"
            log.warning("the resident asker of %s gives no results while typing: %s", ASKER.name, reason)
            raise HTTPException(503, "The resident asker does not answer; the web server's log says why.") from None
        return JSONResponse({"products": products}, headers=headers)
