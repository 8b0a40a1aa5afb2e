"""What tests of answering share."""

from collections.abc import Iterator

import pytest

from tests.answering.endpoint import Endpoint, serving
from tests.answering.small_model import SmallModel, why_not


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving(Endpoint()) as server:
        yield server


@pytest.fixture(scope="session")
def small_model() -> Iterator[SmallModel]:
    """A real language model; the test is skipped where there is none."""
    if reason := why_not():
        pytest.skip(reason)
    with serving(SmallModel()) as server:
        yield server
