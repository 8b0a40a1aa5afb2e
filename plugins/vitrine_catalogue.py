"""Routes behind the Ask page: what is live, questions to begin with, and what the user has asked before.

All answer with JSON, to those who may see the runs of `answer_question`. Airflow loads this file in every process, so
it imports next to nothing.
"""

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.responses import JSONResponse
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)

QUERY = "answer_question"
PAGE = 50  # questions of a history, at most, at once
LONGEST = 300  # characters of a question in it


def add_routes(app: "FastAPI", headers: dict[str, str]) -> None:
    """Add `/live`, `/examples` and `/history` to the pages' application."""
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.common.db.common import SessionDep
    from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
    from fastapi import Depends, HTTPException, Query
    from fastapi.responses import JSONResponse

    may = [Depends(requires_access_dag("GET", DagAccessEntity.RUN, param_dag_id=QUERY))]

    def answer(value: Any) -> "JSONResponse":
        return JSONResponse(value, headers=headers)

    @app.get("/live", dependencies=may)
    def live() -> JSONResponse:
        return answer(_told(_live))

    @app.get("/examples", dependencies=may)
    def examples() -> JSONResponse:
        return answer(_told(_examples))

    @app.get("/history", dependencies=may)
    def history(
        user: GetUserDep, session: SessionDep, of: str | None = Query(None, alias="user"), before: str | None = None
    ) -> JSONResponse:
        if of is not None and of != user.get_name():
            raise HTTPException(403, "The history of another user is not shown.")
        return answer(_asked(session, user.get_name(), before))


def _told(make: Any) -> Any:
    """What `make` tells; a status 503 with the reason where files are damaged or gone."""
    from fastapi import HTTPException

    from include.core.errors import VitrineError

    try:
        return make()
    except VitrineError as error:
        log.warning("what is live cannot be told: %s", error)
        raise HTTPException(503, str(error)) from error


def _live() -> dict[str, Any] | None:
    from include.answering.live_index import live_index
    from include.core.environment import data_directory
    from include.core.forms import environment, parse
    from include.core.index_settings import IndexSettings

    index = parse(IndexSettings, environment(IndexSettings))  # as the DAG's form begins
    return live_index(index, root=data_directory())


def _examples() -> list[str]:
    from include.catalogue.examples import example_questions
    from include.catalogue.schema import PRODUCTS_FILE
    from include.core.environment import data_directory

    found = _live()
    products = data_directory() / found["catalogue"] / PRODUCTS_FILE if found else None
    if found is None or products is None or not products.exists():  # a catalogue may be gone, its index not
        return []
    return example_questions(products, language=found["language"])


def _asked(session: "Session", user: str, before: str | None) -> dict[str, Any]:
    """A page of a user's questions, newest first: Airflow's own runs. `next` is the next page's `before`, or null."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    runs = (
        select(DagRun.id, DagRun.run_id, DagRun.conf, DagRun._state, DagRun.run_after)
        .where(DagRun.dag_id == QUERY, DagRun.triggering_user_name == user)
        .order_by(DagRun.id.desc())
        .limit(PAGE + 1)
    )
    if before is not None and before.isascii() and before.isdigit():
        runs = runs.where(DagRun.id < int(before[:18]))
    found = session.execute(runs).all()
    told = [
        {
            "run_id": run_id,
            "question": str((conf or {}).get("questions_file") or (conf or {}).get("question") or "")[:LONGEST],
            "state": state,
            "asked_at": run_after.isoformat(),
        }
        for _, run_id, conf, state, run_after in found[:PAGE]
    ]
    return {"questions": told, "next": str(found[PAGE - 1][0]) if len(found) > PAGE else None}
