"""The Airflow connections that stages and questions need. (Not a DAG file: see .airflowignore.)"""

from typing import Any

from airflow.sdk import Connection

from include.settings import AnswerSettings, IndexSettings


def server_connection() -> Any:
    """The Qdrant server behind the Airflow connection `qdrant_default`."""
    from include.index import ServerConnection

    found = Connection.get("qdrant_default")
    return ServerConnection.from_fields(found.host, found.port, found.password, found.extra_dejson)


def answer_connections(settings: AnswerSettings, index: IndexSettings) -> tuple[Any, Any]:
    """The connections that answering needs: the Qdrant server and the language model, each None if unused."""
    server = server_connection() if index.store == "server" else None
    llm = None
    if settings.generator == "llm":
        from include.llm import LlmConnection

        found = Connection.get("llm_default")
        llm = LlmConnection.from_fields(found.host, found.port, found.password, found.extra_dejson)
    return server, llm
