"""What people say of answers: `POST feedback` keeps it, `GET feedback/mine` reads one's own, `GET feedback` exports.

The question, the answer and its sources are read from the run's result in Airflow's database, never from the browser.

Airflow loads every file of this folder in every process, so all imports that weigh anything are in `with_feedback`.
"""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI

QUERY = "answer_question"  # the DAG and its task
HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
MOST_BYTES = 65_536  # of a request: two texts of 2,000 characters, escaped


def with_feedback(app: "FastAPI") -> "FastAPI":
    """Adds the routes. To read is to read the runs of `answer_question`, to judge is to trigger them."""
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.common.db.common import SessionDep
    from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
    from fastapi import Depends, HTTPException, Query, Request
    from fastapi.responses import JSONResponse, PlainTextResponse
    from pydantic import ValidationError

    from include.core.environment import data_directory
    from include.core.errors import VitrineError
    from include.feedback.receive import Verdict, kept_of_run, receive
    from include.feedback.verdicts import exported
    from include.notebook.vitrine import index_settings

    may_read = Depends(requires_access_dag("GET", DagAccessEntity.RUN, param_dag_id=QUERY))
    may_ask = Depends(requires_access_dag("POST", DagAccessEntity.RUN, param_dag_id=QUERY))

    async def given(request: Request) -> Verdict:
        """The body; JSON by its type, which no form of another site can send."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise HTTPException(415, "Send application/json.")
        body = bytearray()
        async for part in request.stream():  # whoever sends more is not read to the end
            body += part
            if len(body) > MOST_BYTES:
                raise HTTPException(413, f"At most {MOST_BYTES:,} bytes.")
        try:
            return Verdict.model_validate_json(bytes(body))
        except ValidationError as error:
            told = error.errors(include_url=False, include_input=False, include_context=False)
            raise HTTPException(422, told) from None

    @app.post("/feedback", dependencies=[may_ask, may_read], status_code=201)
    def judge(user: GetUserDep, session: SessionDep, said: Verdict = Depends(given)) -> JSONResponse:
        found = _result(session, said.run_id)
        try:
            kept = receive(found, user.get_name(), said, root=data_directory())
        except LookupError as error:
            raise HTTPException(404, str(error.args[0])) from None
        except VitrineError as error:
            raise HTTPException(507, str(error)) from error
        return JSONResponse({"id": kept.id, "right": kept.right}, 201, HEADERS)

    @app.get("/feedback/mine", dependencies=[may_ask, may_read])
    def mine(user: GetUserDep, session: SessionDep, run_id: str = Query(max_length=250)) -> JSONResponse:
        kept = kept_of_run(_result(session, run_id), user.get_name(), run_id, root=data_directory())
        return JSONResponse({str(each.position): each.verdict for each in kept}, headers=HEADERS)

    @app.get("/feedback", dependencies=[may_read])
    def export(collection: str | None = Query(None, max_length=64)) -> PlainTextResponse:
        chosen = index_settings().collection if collection is None else collection
        lines = "".join(f"{line}\n" for line in exported(data_directory(), chosen))
        named = {"Content-Disposition": 'attachment; filename="feedback.jsonl"'}
        return PlainTextResponse(lines, headers={**HEADERS, **named}, media_type="application/x-ndjson")

    return app


def _result(session: Any, run_id: str) -> Any:
    """What a run of `answer_question` returned; None where there is none, or where the run has not ended well."""
    from airflow.models import DagRun
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    state = session.scalar(select(DagRun.state).where(DagRun.dag_id == QUERY, DagRun.run_id == run_id))
    if state != "success":
        return None
    value = session.scalar(
        select(XComModel.value).where(
            XComModel.dag_id == QUERY,
            XComModel.run_id == run_id,
            XComModel.task_id == QUERY,
            XComModel.key == "return_value",
            XComModel.map_index == -1,
        )
    )
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return None
