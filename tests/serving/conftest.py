"""What tests of the resident asker share."""

from pathlib import Path

import pytest

from tests.indexed import Shop, open_shop, publish_described, publish_hostile


@pytest.fixture(scope="session")
def described(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A data directory with a live index of 40 products that have attributes; not to be changed."""
    root = tmp_path_factory.mktemp("described") / "data"
    publish_described(root, tiny_model)
    return root


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A data directory whose live index has a product that would do harm, in its texts and in an attribute."""
    root = tmp_path_factory.mktemp("hostile") / "data"
    publish_hostile(root, tiny_model)
    return root


@pytest.fixture(scope="session")
def four_versions(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Shop:
    """Four verified versions, none of them live; to be copied."""
    return open_shop(tmp_path_factory.mktemp("shop") / "data", tiny_model)


@pytest.fixture
def shop(four_versions: Shop, root: Path) -> Shop:
    """Four verified versions, none of them live."""
    return four_versions.copy(root)
