"""What tests of the resident asker share."""

from pathlib import Path

import pytest

from tests.indexed import Shop, open_shop


@pytest.fixture(scope="session")
def four_versions(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Shop:
    """Four verified versions, none of them live; to be copied."""
    return open_shop(tmp_path_factory.mktemp("shop") / "data", tiny_model)


@pytest.fixture
def shop(four_versions: Shop, root: Path) -> Shop:
    """Four verified versions, none of them live."""
    return four_versions.copy(root)
