"""What tests of the plugin's routes share."""

import warnings
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def airflow_app(airflow_database: None) -> Any:
    """Airflow's own web application, with the plugin mounted, in this process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow's own deprecations
        from airflow.api_fastapi.app import create_app

        return create_app(apps="core")


@pytest.fixture
def client(airflow_app: Any) -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fastapi.testclient import TestClient

        yield TestClient(airflow_app, base_url="http://localhost")
