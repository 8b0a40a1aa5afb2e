"""Airflow's connections as the tasks read them."""

import json

import pytest

from dags import connections
from include.core.errors import BadSettings

KEY = "sk-made-up-0123456789"
pytestmark = pytest.mark.airflow


def test_the_key_is_masked_as_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Danger: Airflow masks the key with its newline, and a log shows the one without."""
    fields = {"conn_type": "qdrant", "host": "http://me:hunter2@q", "port": 443, "schema": "a", "password": f"{KEY}\n"}
    monkeypatch.setenv("AIRFLOW_CONN_QDRANT_DEFAULT", json.dumps(fields))
    masked: list[str] = []
    monkeypatch.setattr(connections, "mask_secret", masked.append)
    made = connections.server_connection()
    assert (made.url, made.api_key) == ("http://q:443/a", KEY)
    assert {KEY, "hunter2"} <= set(masked)


def test_a_missing_connection_says_where_to_make_it(airflow_database: None) -> None:
    """Danger: "isn't defined", retried four times, and no word of what the fields should be."""
    with pytest.raises(BadSettings, match="no Airflow connection `qdrant_default`") as caught:
        connections.server_connection()
    assert "Admin > Connections" in caught.value.next_step
