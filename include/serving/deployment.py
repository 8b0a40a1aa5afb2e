"""What a deployment of the resident asker sets: by the environment, as everywhere."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

from include.answering.llm_connection import LlmConnection
from include.answering.translation import translator_for
from include.core.answer_settings import AnswerSettings, ServingSettings
from include.core.environment import SERVING_KEYS, data_directory
from include.core.errors import BadSettings
from include.core.forms import environment, parse
from include.core.index_settings import IndexSettings
from include.core.settings import Group
from include.serving.requests import PER_REQUEST
from include.store.connection import ServerConnection

SHORTEST_KEY = 24  # characters: `openssl rand -hex 24` makes twice as many
MAKE_ONE = "Make one with `openssl rand -hex 24`."
# As Airflow takes connections from the environment, in their JSON form.
CONNECTION, LLM_CONNECTION = "AIRFLOW_CONN_QDRANT_DEFAULT", "AIRFLOW_CONN_LLM_DEFAULT"


@dataclass(frozen=True)
class Deployment:
    """How a server runs.

    Attributes:
        serving: Where it listens, and whom it lets in.
        index: The store and collection that it answers from.
        answering: How questions are answered where a request says nothing else.
        root: The data directory.
        server: The Qdrant server of `store="server"`.
        keys: Of which a request needs one; none: it needs none.
        llm: The language model of `generator="llm"`, for requests that ask for it; None: they are refused.
    """

    serving: ServingSettings
    index: IndexSettings
    answering: AnswerSettings
    root: Path
    server: ServerConnection | None = None
    keys: Sequence[str] = field(default=(), repr=False)  # secrets
    llm: LlmConnection | None = None

    @classmethod
    def from_environment(cls) -> Self:
        """What the environment says; a language model writes only for requests that name it: others cannot wait.

        Raises:
            BadSettings: A value or a connection is refused, a key is too short, the translator is not installed, or
                everyone could ask from another machine.
        """
        serving = parse(ServingSettings, environment(ServingSettings))
        index = _part(IndexSettings, ("store", "collection"))
        answering = _part(AnswerSettings, (*PER_REQUEST, "translator", "read_with", "llm_fallback"))
        translator_for(answering.translator)
        keys = read_keys(serving.serving_key_file)
        if not keys and not loopback(serving.serving_host):
            raise BadSettings(
                f"serving_host = {serving.serving_host!r} lets other machines ask, and there are no keys.",
                f"Give keys by {SERVING_KEYS.name} or serving_key_file, or listen on 127.0.0.1. {MAKE_ONE}",
            )
        server = server_connection() if index.store == "server" else None
        llm = llm_connection() if os.environ.get(LLM_CONNECTION) else None
        return cls(serving, index, answering, data_directory(), server, keys, llm)


def _part(group: Any, names: Sequence[str]) -> Any:
    given: dict[str, Any] = environment(group)
    made: Group = parse(group, {name: value for name, value in given.items() if name in names})
    return made


def read_keys(file: str | None) -> list[str]:
    """The keys of the environment and of the file.

    Raises:
        BadSettings: The file cannot be read, or a key is too short or odd. No key is in the message.
    """
    found = [(f"Key {number} of {SERVING_KEYS.name}", key) for number, key in enumerate(_environment_keys(), 1)]
    if file is not None:
        try:
            lines = Path(file).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise BadSettings(f"serving_key_file = {file!r} cannot be read: {reason}.", "Correct its path.") from None
        cut = [(f"Line {number} of {file}", line.partition("#")[0].strip()) for number, line in enumerate(lines, 1)]
        found += [(name, key) for name, key in cut if key]
    for name, key in found:
        if len(key) < SHORTEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
            raise BadSettings(f"{name} is no key of {SHORTEST_KEY} ASCII characters or more, without spaces.", MAKE_ONE)
    return [key for _, key in found]


def _environment_keys() -> list[str]:
    return SERVING_KEYS.given.replace(",", " ").split()


def loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def server_connection() -> ServerConnection:
    """The Qdrant server of Airflow's connection, as the environment has it.

    Raises:
        BadSettings: The variable is not set, or not in Airflow's JSON form. No secret is in the message.
    """
    fix = f"Set {CONNECTION} to its JSON form, as docker-compose.yaml does, or choose store = 'embedded'."
    fields, options = _fields(CONNECTION, f"store = 'server' needs {CONNECTION}, which is not set, or not JSON.", fix)
    return ServerConnection.from_fields(*fields, **options)


def llm_connection() -> LlmConnection:
    """The language model of Airflow's connection, as the environment has it.

    Raises:
        BadSettings: The variable is not in Airflow's JSON form, or its address or a limit is refused. No secret is in
            the message.
    """
    fix = f"Set {LLM_CONNECTION} to its JSON form, or leave it out."
    fields, options = _fields(LLM_CONNECTION, f"{LLM_CONNECTION} is not JSON.", fix)
    return LlmConnection.from_fields(*fields, **options)


def _fields(variable: str, what: str, fix: str) -> tuple[list[Any], dict[str, Any]]:
    """Host, port, password and extra of a connection; then schema and login, by name."""
    try:
        told = json.loads(os.environ.get(variable, ""))
        extra = told.get("extra") or {}
        extra = json.loads(extra) if isinstance(extra, str) else extra
        fields = [*(told.get(name) for name in ("host", "port", "password")), extra]
        return fields, {name: told.get(name) for name in ("schema", "login")}
    except (ValueError, AttributeError):
        raise BadSettings(what, fix) from None
