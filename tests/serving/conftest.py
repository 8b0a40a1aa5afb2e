"""What tests of the resident asker share."""

from pathlib import Path

import pytest

from include.catalogue.attributes import Attribute
from include.core.settings import EvaluateSettings
from include.publishing.publish import Release, publish
from include.store.stores import open_store
from tests.indexed import INDEX, Shop, build_version, day, open_shop, publish_described
from tests.small import Product, products, publish_model, write_catalogue

ESC, BIDI = "\x1b[31m", "\u202e"
HOSTILE = Product(
    "h1", f"Pump <script>alert(1)</script> {ESC}red{BIDI}kcart", f"It pumps {{{{ 7*7 }}}} {ESC}{BIDI}litres."
)


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
    rows = [HOSTILE, *products(20)]
    brands = [{"brand": f"<b>{ESC}{BIDI}Acme"}, *[{"brand": "LG"}] * 20]
    attributes = [Attribute(name="brand", type="keyword", field="Brand")]
    catalogue = write_catalogue(root, rows, attributes=attributes, values=brands)
    version = build_version(root, catalogue, publish_model(root, tiny_model))
    publish(
        Release(version.path, None, day(1), "test"), INDEX, EvaluateSettings(), open_store(INDEX, root=root), root=root
    )
    return root


@pytest.fixture(scope="session")
def four_versions(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Shop:
    """Four verified versions, none of them live; to be copied."""
    return open_shop(tmp_path_factory.mktemp("shop") / "data", tiny_model)


@pytest.fixture
def shop(four_versions: Shop, root: Path) -> Shop:
    """Four verified versions, none of them live."""
    return four_versions.copy(root)
