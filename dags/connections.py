"""The Airflow connections that stages and questions need. (Not a DAG file: see .airflowignore.)"""

from typing import Any

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from include.core.answer_settings import AnswerSettings
from include.core.errors import BadSettings
from include.core.index_settings import IndexSettings
from include.core.redaction import spellings


def server_connection() -> Any:
    """The Qdrant server behind the Airflow connection `qdrant_default`."""
    from include.store.connection import ServerConnection

    return _made(ServerConnection, "qdrant_default")


def answer_connections(settings: AnswerSettings, index: IndexSettings) -> tuple[Any, Any]:
    """The connections that answering needs: the Qdrant server and the language model, each None if unused."""
    server = server_connection() if index.store == "server" else None
    llm = None
    if settings.generator == "llm":
        from include.answering.llm_connection import LlmConnection

        llm = _made(LlmConnection, "llm_default")
    return server, llm


def _made(kind: Any, name: str) -> Any:
    """The connection of that name as `kind` reads it.

    Its secrets are made known to Airflow's masker in every spelling: an error that is none of ours may quote a password
    percent-encoded or the header that carried it, and lands in the log and in the run's report as it is.
    """
    try:
        found = Connection.get(name)
    except AirflowNotFoundException:
        raise BadSettings(
            f"There is no Airflow connection `{name}`.",
            'Make it in the UI under Admin > Connections; docs/operations.md, "Connections", says with which fields.',
        ) from None
    made = kind.from_fields(
        found.host, found.port, found.password, found.extra_dejson, schema=found.schema, login=found.login
    )
    for secret in spellings(made.secrets):
        mask_secret(secret)
    return made
