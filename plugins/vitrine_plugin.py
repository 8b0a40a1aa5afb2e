"""Vitrine inside Airflow's UI: the Ask page in the menu, the Report tab of each run.

Every Airflow process loads this file, task processes included, so it imports next to nothing: the pages'
application is made when the web server is first asked for one.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.sdk.plugins_manager import AirflowPlugin

PREFIX = "vitrine"  # addresses below have no leading slash: Airflow may itself be served under a path

Message = MutableMapping[str, Any]


class Pages:
    """The ASGI application of `vitrine_pages`, made at the first request."""

    def __init__(self) -> None:
        self._app: Any = None

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Hand one request (or the start and end of the server) on to the pages."""
        if self._app is None:
            from vitrine_pages import make_app

            self._app = make_app()
        await self._app(scope, receive, send)


class VitrinePlugin(AirflowPlugin):
    """Where the pages are mounted, and where the UI shows them."""

    name = "vitrine"
    fastapi_apps = [{"name": "Vitrine", "app": Pages(), "url_prefix": f"/{PREFIX}"}]  # noqa: RUF012  Airflow's form
    external_views = [  # noqa: RUF012  Airflow's form
        {"name": "Ask", "href": f"{PREFIX}/ask", "destination": "nav", "url_route": "ask", "nav_top_level": True},
        {
            "name": "Report",
            "href": f"{PREFIX}/runs/{{DAG_ID}}/{{RUN_ID}}/report",
            "destination": "dag_run",
            "url_route": "report",
        },
    ]
