"""Fixtures that several tests share."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from tests.small import Product, products, write_catalogue

REAL_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty data directory."""
    return tmp_path / "data"


@pytest.fixture
def catalogue(root: Path) -> Path:
    """A published catalogue of 60 small products, in row groups of 10."""
    return write_catalogue(root, products(60))


@pytest.fixture
def make_catalogue(root: Path) -> Callable[[Sequence[Product]], Path]:
    """A function that publishes a catalogue of the given products under `root`."""
    return lambda rows: write_catalogue(root, rows)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local base model: a DistilBERT of 2 layers and 32 dimensions with random weights, in hub layout."""
    from tests.small import write_tiny_base

    return write_tiny_base(tmp_path_factory.mktemp("base") / "tiny-distilbert")


@pytest.fixture
def real_zip() -> Path:
    """The real products in the archive's layout; skipped where they are absent."""
    path = REAL_DATA / "real-trn.zip"
    if not path.exists():
        pytest.skip(f"the real product data is not here ({path})")
    return path
