"""What tests of the shell share."""

from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from include.core.environment import VARIABLES
from include.shell.__main__ import app

Typed = Callable[..., Result]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Typed:
    """What comes of a command, typed by a person who has set no variable."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable.name, raising=False)
    return lambda *words, **options: CliRunner().invoke(
        app, [str(word) for word in words], prog_name="vitrine", **options
    )
