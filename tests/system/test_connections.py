"""The connections as docs/operations.md shows them, made over REST and tried with Airflow's Test."""

import json
import re
from typing import Any

import httpx
import pytest

from include.core.environment import REPOSITORY
from tests.store.stub_server import Request, ok, stub_server
from tests.system.conftest import Airflow

pytestmark = pytest.mark.airflow
KEY = "sk-made-up-0123456789"


def documented() -> dict[str, dict[str, Any]]:
    """The bodies that the documentation prints, by connection id."""
    text = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    bodies = [json.loads(line) for line in re.findall(r'^\{"connection_id".*\}$', text, re.MULTILINE)]
    return {body["connection_id"]: body for body in bodies}


def press_test(airflow: Airflow, body: dict[str, Any]) -> dict[str, Any]:
    """Make the connection, then test it as the form does, which sends the stored secret as stars."""
    user, password = airflow.local.login()
    with httpx.Client(base_url=airflow.local.url, trust_env=False, timeout=60.0) as http:
        token = http.post("/auth/token", json={"username": user, "password": password}).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        made = http.post("/api/v2/connections", json=body)
        assert made.status_code == 201, made.text
        shown = http.get(f"/api/v2/connections/{body['connection_id']}").json()
        assert KEY not in json.dumps(shown)
        try:
            answer = http.post("/api/v2/connections/test", json={**body, "password": shown["password"]})
            assert answer.status_code == 200, answer.text
            return dict(answer.json())
        finally:
            http.delete(f"/api/v2/connections/{body['connection_id']}").raise_for_status()


def test_the_documented_qdrant_connection_passes_airflows_test(airflow: Airflow) -> None:
    """Danger: the connection is made as written, and the first run is the one that finds it wrong."""
    body = documented()["qdrant_default"]

    def reply(request: Request) -> Any:
        good = request.path == "/collections" and request.headers.get("api-key") == KEY
        return ok({"collections": []}) if good else (401, {"status": {"error": "no"}})

    with stub_server(reply) as stub:
        host, port = stub.url.removeprefix("http://").split(":")
        tried = {**body, "host": host, "port": int(port), "password": KEY, "extra": json.dumps({"https": False})}
        said = press_test(airflow, tried)
    assert said["status"] is True, said


@pytest.mark.parametrize("right", [True, False])
def test_the_documented_model_connection_passes_airflows_test(airflow: Airflow, right: bool) -> None:
    """Danger: Test is greyed out for the language model, and a wrong key is found by the first question."""
    body = documented()["llm_default"]
    said_yes = {"choices": [{"message": {"role": "assistant", "content": "yes"}}]}

    def reply(request: Request) -> Any:
        good = request.headers.get("authorization") == f"Bearer {KEY}"
        return (200, said_yes) if good else (401, {"error": {"message": f"no: {request.headers}"}})

    with stub_server(reply) as stub:
        tried = {**body, "host": f"{stub.url}/v1", "password": f"{KEY}\n" if right else f"{KEY}-old"}
        said = press_test(airflow, tried)
    assert said["status"] is right, said
    assert ("answers as model small" if right else "refused the api key") in said["message"]
    assert KEY not in said["message"]
    assert stub.requests[0].path == "/v1/chat/completions"
