"""Fixtures that several tests share."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).resolve().parent.parent
# Airflow reads its configuration when it is first imported: these must stand before any test module does that.
AIRFLOW_HOME = Path(tempfile.mkdtemp(prefix="vitrine-airflow-"))
for name in [name for name in os.environ if name.startswith("AIRFLOW__")]:
    del os.environ[name]
os.environ |= {
    "AIRFLOW_HOME": str(AIRFLOW_HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "PYTHONPATH": str(REPOSITORY),
}

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from tests.small import Product, products, write_catalogue

# `make test` draws the same examples each time; `make fuzz` (VITRINE_FUZZ=1) draws new ones, and more of them. A
# property test takes no settings of its own but `few`. How long an example takes is the machine's business: no
# deadline, no check for slow ones.
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
settings.register_profile("repeatable", SLOW, max_examples=200, derandomize=True, database=None)
settings.register_profile("fuzz", SLOW, max_examples=500, print_blob=True)
settings.load_profile("fuzz" if os.environ.get("VITRINE_FUZZ") else "repeatable")

REAL_DATA = REPOSITORY.parent / "shared" / "data"


def pytest_report_header(config: pytest.Config) -> str:
    """Which examples the property tests draw."""
    if settings().derandomize:
        return "property tests: the same examples each time (derandomised: a fixed seed for each test)"
    return f"property tests: new examples, seed {config.getoption('--hypothesis-seed')}"


# System tests, in two halves of about equal time: each half shares an Airflow.
FIRST_HALF = ("test_browser.py", "test_checkout.py", "test_forms.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Each file goes to one worker, and each half of the system tests to the same one."""
    from xdist.scheduler import LoadFileScheduling

    scheduling = LoadFileScheduling(config, log)
    by_file = scheduling._split_scope

    def scope(nodeid: str) -> str:
        file: str = by_file(nodeid)
        if not file.startswith("tests/system/"):
            return file
        return f"system, {'first' if file.endswith(FIRST_HALF) else 'second'} half"

    scheduling._split_scope = scope
    return scheduling


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the system tests: they wait more than they compute, and a worker does half of them."""
    items.sort(key=lambda item: "/system/" not in str(item.path))


def pytest_unconfigure() -> None:
    """Remove the temporary `AIRFLOW_HOME`."""
    shutil.rmtree(AIRFLOW_HOME, ignore_errors=True)


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


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """A migrated metadata database (SQLite) for tests that run DAGs in this process."""
    airflow = Path(sys.executable).parent / "airflow"
    done = subprocess.run([airflow, "db", "migrate"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def minilm_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """all-MiniLM-L6-v2 out of its PyPI package, mapped onto DistilBERT: an artifact of kind `base`."""
    from include.core.settings import MINILM_PACKAGE
    from include.model.base import resolve_base

    return resolve_base(MINILM_PACKAGE, root=tmp_path_factory.mktemp("minilm")).path


@pytest.fixture(scope="session")
def described(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A data directory with a live index of 40 products that have attributes; not to be changed."""
    from tests.indexed import publish_described

    root = tmp_path_factory.mktemp("described") / "data"
    publish_described(root, tiny_model)
    return root


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A data directory whose live index has a product that would do harm, in its texts and in an attribute."""
    from tests.indexed import publish_hostile

    root = tmp_path_factory.mktemp("hostile") / "data"
    publish_hostile(root, tiny_model)
    return root


@pytest.fixture
def real_zip() -> Path:
    """The real products in the archive's layout; skipped where they are absent."""
    path = REAL_DATA / "real-trn.zip"
    if not path.exists():
        pytest.skip(f"the real product data is not here ({path})")
    return path


@pytest.fixture
def training_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """`fine_tune` trains in this process. Another one imports torch first, which takes longer than the training.

    For tests whose point is not the process: tests/training/test_train.py and tests/faults/ have that.
    """
    from include.training import train

    monkeypatch.setattr(train, "train_in_subprocess", train.train)


@pytest.fixture(scope="session")
def tiny_model(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base model as `Encoder.save` writes it: sentence-transformers layout and an ONNX copy."""
    from include.model.encoder import Encoder

    path = tmp_path_factory.mktemp("model") / "tiny"
    Encoder.load(tiny_base, device="cpu", precision="float32").save(path)
    return path


@pytest.fixture
def model(root: Path, tiny_model: Path) -> Path:
    """A published model artifact under `root`."""
    from tests.small import publish_model

    return publish_model(root, tiny_model)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that a model is asked for, in order."""
    from include.model.encoder import Encoder

    asked: list[str] = []
    tokenize = Encoder.tokenize

    def spy(self: Encoder, texts: Sequence[str]) -> list[Any]:
        asked.extend(texts)
        return tokenize(self, texts)

    monkeypatch.setattr(Encoder, "tokenize", spy)
    return asked
