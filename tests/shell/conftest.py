"""What tests of the shell share."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from include.core.environment import VARIABLES
from include.shell.__main__ import app
from tests.indexed import publish_described, publish_hostile

Typed = Callable[..., Result]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A data directory with a live index of 40 products that have attributes; not to be changed."""
    root = tmp_path_factory.mktemp("shell") / "data"
    publish_described(root, tiny_model)
    return root


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A data directory whose live index has a product that would do harm."""
    root = tmp_path_factory.mktemp("hostile") / "data"
    publish_hostile(root, tiny_model)
    return root


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Typed:
    """What comes of a command, typed by a person who has set no variable."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable.name, raising=False)
    return lambda *words, **options: CliRunner().invoke(
        app, [str(word) for word in words], prog_name="vitrine", **options
    )
