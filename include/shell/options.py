"""What every command takes: where to look, how to show it, and settings of answering as options of their own."""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, Literal, ParamSpec

import typer

from include.core.answer_settings import AnswerSettings
from include.core.environment import AIRFLOW, DATA, PASSWORD, USER, data_directory
from include.core.forms import environment
from include.core.index_settings import IndexSettings

if TYPE_CHECKING:
    from include.shell.local import Local
    from include.shell.remote import Remote

P = ParamSpec("P")

PLACE = ("store", "collection")
SHARED: dict[str, tuple[Any, Any]] = {
    "local": (
        Annotated[bool, typer.Option("--local", help="On the data directory of this machine, no Airflow.")],
        False,
    ),
    "data": (Annotated[Path | None, typer.Option(help=f"The data directory, with --local; else {DATA.name}.")], None),
    "store": (Annotated[Literal["embedded", "server"] | None, typer.Option(help="Vector store.")], None),
    "collection": (Annotated[str | None, typer.Option(help="Name of the live index; else products.")], None),
    "airflow": (
        Annotated[str | None, typer.Option(help="Airflow's address; else that of `make up`.", envvar=AIRFLOW.name)],
        None,
    ),
    "user": (Annotated[str | None, typer.Option(help="Whom to log in as.", envvar=USER.name)], None),
    "password": (
        Annotated[
            str | None,
            typer.Option(
                help="Better in the variable: others see a command line.", envvar=PASSWORD.name, show_envvar=True
            ),
        ],
        None,
    ),
    "as_json": (Annotated[bool, typer.Option("--json", help="Print JSON.")], False),
}


@dataclass(frozen=True)
class Asked:
    """What a command was told beside its own arguments.

    Attributes:
        local: On the data directory, in the place of a running Airflow.
        data: The data directory; None for the environment's.
        place: `store` and `collection`, where they, or their variables, were given.
        login: Address, user and password of Airflow; None where they were not given.
        as_json: Print JSON.
        settings: Of answering, those that were given.
    """

    local: bool
    data: Path | None
    place: Mapping[str, str]
    login: tuple[str | None, str | None, str | None]
    as_json: bool
    settings: Mapping[str, Any]

    @property
    def on_disk(self) -> "Local":
        """The data directory."""
        from include.shell.local import Local

        return Local(data_directory() if self.data is None else self.data.expanduser().resolve(), self.place)

    @contextmanager
    def airflow(self) -> Iterator["Remote"]:
        """The Airflow that was asked for, logged in.

        Raises:
            Unreachable: It does not answer, or does not let the user in.
            BadSettings: There is no address, or no password.
        """
        from include.shell.remote import logged_in

        with logged_in(*self.login, self.place) as found:
            yield found

    @contextmanager
    def open(self) -> Iterator["Local | Remote"]:
        """One of the two; raises as `airflow`."""
        if self.local:
            yield self.on_disk
        else:
            with self.airflow() as found:
                yield found


def printed(value: Any) -> None:
    """Print JSON that is harmless on a terminal, letters of all languages as they are."""
    harmless(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def harmless(text: str) -> None:
    """Print JSON, one or several lines; what could move the cursor is an escape in it."""
    typer.echo("".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text))


def command(
    app: typer.Typer, *settings: str, without: Sequence[str] = (), name: str | None = None
) -> Callable[[Callable[Concatenate[Asked, P], None]], Callable[Concatenate[Asked, P], None]]:
    """Make a command of a function: its first parameter is what all commands are told, the others are its own.

    Args:
        app: What it is a command of.
        settings: Names of `AnswerSettings` that are options of it.
        without: Of `SHARED`, what it does not take.
        name: Where it is not called as the function is.
    """

    def made(function: Callable[Concatenate[Asked, P], None]) -> Callable[Concatenate[Asked, P], None]:
        own = list(inspect.signature(function).parameters.values())[1:]
        shared = [_option(*each) for each in SHARED.items() if each[0] not in without]
        signature = inspect.Signature([*own, *map(_setting, settings), *shared])

        def call(**given: Any) -> None:
            chosen = {each: given.pop(each) for each in settings}
            told = {each: given.pop(each, default) for each, (_, default) in SHARED.items()}
            preset = environment(IndexSettings)
            place = {each: value for each in PLACE if (value := told[each] or preset.get(each))}
            login = (told["airflow"], told["user"], told["password"])
            used = {each: value for each, value in chosen.items() if value is not None}
            untyped: Callable[..., None] = function
            untyped(Asked(told["local"], told["data"], place, login, told["as_json"], used), **given)

        call.__signature__ = signature  # type: ignore[attr-defined]  # what typer reads
        call.__annotations__ = {each.name: each.annotation for each in signature.parameters.values()}
        call.__doc__ = function.__doc__
        app.command(name or function.__name__)(call)
        return function

    return made


def _option(name: str, told: tuple[Any, Any]) -> inspect.Parameter:
    annotation, default = told
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _setting(name: str) -> inspect.Parameter:
    """A setting's field as an option that need not be given; its range is checked by the settings themselves."""
    field = AnswerSettings.model_fields[name]
    option = typer.Option(help=(field.description or "").replace("`", ""))
    return _option(name, (Annotated[field.annotation | None, option], None))  # type: ignore[operator]
