"""The web application behind the Ask page and the Report tab, which of a question's run shows the answer.

Airflow does not authenticate a plugin's application, so every route here depends on Airflow's own checks:
without a login there is no page, and a run's page needs the right to read the DAG's runs. What the pages with a
script do, they do through Airflow's REST API as the user who looks at them.

Airflow loads every file of this folder in every process, so all imports that weigh anything are in `make_app`.
"""

import logging
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.responses import HTMLResponse

log = logging.getLogger(__name__)

PIPELINE = "train_and_index"
QUERY = "answer_question"
FOLDER = Path(__file__).parent
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}


def filled(template: str, **values: Any) -> str:
    """One of this folder's pages: `ask.html` and `answer.html`, which share a style and a script, take a `nonce`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from include.answering.questions import LONGEST_TEXT
    from include.answering.sureness import CLOSE, RELATED, SURE
    from include.questions.questions import LONGEST_QUESTION

    pages = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)
    figures = {"longest_question": LONGEST_QUESTION, "longest_text": LONGEST_TEXT}
    sureness = {"SURE": SURE, "CLOSE": CLOSE, "RELATED": RELATED}
    return pages.get_template(template).render(**figures, sureness=sureness, **values)


def make_app() -> Any:
    """The FastAPI application, for Airflow to mount. No route of it, documentation included, is open to everybody."""
    import vitrine_catalogue
    import vitrine_search
    import vitrine_versions
    from vitrine_feedback import with_feedback

    app = _with_pages()
    for routes in (vitrine_catalogue, vitrine_search, vitrine_versions):
        routes.add_routes(app, HEADERS)
    return with_feedback(app)


def page(content: str, allowed: str, status: int = 200) -> "HTMLResponse":
    """A page that may use nothing but what is `allowed`."""
    from fastapi.responses import HTMLResponse

    policy = f"default-src 'none'; {allowed}; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    return HTMLResponse(content, status, {"Content-Security-Policy": policy, **HEADERS})


def note(status: int, title: str, body: str) -> "HTMLResponse":
    """A page that says why there is none."""
    return page(filled("note.html", title=title, body=body), "style-src 'unsafe-inline'", status)


def _with_pages() -> "FastAPI":
    """The application with the pages themselves."""
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api.security import get_user, requires_access_dag
    from fastapi import Depends, FastAPI
    from fastapi.responses import HTMLResponse

    from include.core.environment import data_directory
    from include.core.errors import VitrineError
    from include.report.progress import so_far
    from include.report.report import page_of_run

    app = FastAPI(title="Vitrine", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(get_user)])

    def scripted(name: str) -> HTMLResponse:
        nonce = secrets.token_urlsafe(16)
        allowed = f"script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'"
        return page(filled(name, nonce=nonce), allowed)

    @app.get("/ask", response_class=HTMLResponse)
    def ask() -> HTMLResponse:
        return scripted("ask.html")

    @app.get(
        "/runs/{dag_id}/{run_id}/report",
        response_class=HTMLResponse,
        dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN))],
    )
    def run_report(dag_id: str, run_id: str, file: bool = False) -> HTMLResponse:
        if dag_id == QUERY:
            return scripted("answer.html")  # it holds nothing of the run: its script asks the API, as the user
        # Reports are found by the run's id alone. Without this, the right to read one DAG would open them all.
        if dag_id != PIPELINE:
            return note(
                404, "No report", f"Only runs of {PIPELINE} and {QUERY} have a report; this is a run of {dag_id}."
            )
        try:
            found = page_of_run(data_directory(), run_id)
        except VitrineError as error:
            log.warning("report of run %s: %s", run_id, error)
            return note(500, "The report cannot be shown", str(error))
        if found is None and (stages := so_far(data_directory(), run_id, datetime.now(UTC))):
            return page(filled("progress.html", stages=stages), "style-src 'unsafe-inline'", 404)
        if found is None:
            return note(
                404,
                "No report yet",
                f"The run {run_id} has none. Its last task, report, writes it: look at the run's graph for a task "
                "that is still running or has failed. If report has succeeded, the web server sees another data "
                "directory than the tasks (VITRINE_DATA).",
            )
        content, allowed = found.read_text(encoding="utf-8"), "style-src 'unsafe-inline'"
        if not file:  # the report's file itself has no script, and its links to the Ask page stay hidden
            nonce = secrets.token_urlsafe(16)
            content = content.replace("</head>", filled("frame.html", nonce=nonce) + "</head>", 1)
            allowed = f"script-src 'nonce-{nonce}'; {allowed}"
        return page(content, allowed)

    return app
