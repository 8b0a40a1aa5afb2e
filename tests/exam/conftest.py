"""A shop with four versions, and runs over it with a questions file."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include.core.forms import pipeline_settings
from include.run import Run
from tests.exam.people import COUNT, ROWS, asked_of, write_file
from tests.indexed import Shop, open_shop


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Shop:
    return open_shop(tmp_path_factory.mktemp("shop") / "data", tiny_model)


@pytest.fixture
def shop(built: Shop, root: Path) -> Shop:
    return built.copy(root)


@pytest.fixture
def run_of(shop: Shop, tmp_path: Path) -> Callable[..., Run]:
    """A function that gives a run of a day of January, with a questions file."""
    file = write_file(tmp_path / "questions.jsonl", asked_of(ROWS, COUNT).all)

    def make(day: int, **conf: Any) -> Run:
        settings = pipeline_settings({"questions": str(file), **conf})
        return Run(settings, shop.root, f"run {day}", datetime(2026, 1, day, tzinfo=UTC))

    return make
