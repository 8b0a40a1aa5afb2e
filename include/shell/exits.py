"""How a command ends: its exit code, and what it says on standard error."""

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from include.core.errors import (
    BadFilter,
    BadQuestion,
    BadSettings,
    NoLiveIndex,
    StoreUnavailable,
    UnknownVersion,
    VitrineError,
)
from include.core.redaction import escaped

DONE, FAILED, USAGE, NOTHING, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 4, 130


class NothingThere(VitrineError):
    """What was asked for does not exist."""


class Unreachable(VitrineError):
    """Airflow does not answer, or does not let the user in."""


CODES: dict[type[VitrineError], int] = {
    BadSettings: USAGE,
    BadQuestion: USAGE,
    BadFilter: USAGE,
    NoLiveIndex: NOTHING,
    UnknownVersion: NOTHING,
    NothingThere: NOTHING,
    StoreUnavailable: UNREACHABLE,
    Unreachable: UNREACHABLE,
}


def tell(text: str) -> None:
    """Say something on standard error; line breaks stay, what could move the cursor does not."""
    typer.echo("\n".join(map(escaped, text.split("\n"))), err=True)


class Shell(TyperGroup):
    """The commands together: an error of Vitrine's is one message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except VitrineError as error:
            tell(str(error))
            raise typer.Exit(CODES.get(type(error), FAILED)) from None
        except KeyboardInterrupt:
            tell("Interrupted. A run that was triggered goes on: `vitrine runs` shows it.")
            raise typer.Exit(INTERRUPTED) from None


def interactive() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()
