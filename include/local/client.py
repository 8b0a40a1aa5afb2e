"""The few calls of Airflow's REST API that the demo and the tests make."""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import quote

import httpx

from include.core.errors import BadSettings

DAG_IDS = ("answer_question", "check_answers", "roll_back", "train_and_index")
HTTP_NOT_FOUND = 404
PASSING = (500, 502, 503, 504)  # 500: with SQLite, Airflow says so while another writes
PAGE = 100  # Airflow gives no more at once, whatever is asked for
RETRY_DELAYS = (0.3, 0.9, 2.7, 5.4)  # seconds before each further attempt to start a run
LOOK_SECONDS = 5.0  # between two looks at whether what is waited for may still come


class AirflowClient:
    """A logged-in client of one Airflow.

    Args:
        url: Such as `http://127.0.0.1:8080`.
        user: As shown by `make up`.
        password: As shown by `make up`.
        proxies: Whether those of the environment are asked; none stands between here and loopback.

    Raises:
        httpx.HTTPError: From every method, when Airflow refuses or does not answer.
    """

    def __init__(self, url: str, user: str, password: str, *, proxies: bool = False) -> None:
        # Retries are for connections that are refused; with a transport of its own, httpx asks no proxy.
        transport = None if proxies else httpx.HTTPTransport(retries=3, trust_env=False)
        self._http = httpx.Client(base_url=url, timeout=60.0, trust_env=proxies, transport=transport)
        answer = self._http.post("/auth/token", json={"username": user, "password": password})
        answer.raise_for_status()
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @staticmethod
    def health(url: str) -> dict[str, Any]:
        """Each part's health; empty while the API does not answer."""
        try:
            answer = httpx.get(f"{url}/api/v2/monitor/health", timeout=5.0, trust_env=False)
        except httpx.TransportError:
            return {}
        return dict(answer.json()) if answer.is_success else {}

    def get(self, path: str, **params: Any) -> Any:
        """GET under `/api/v2`."""
        answer = self.send("GET", f"/api/v2{path}", params=params)
        answer.raise_for_status()
        return answer.json()

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request that may be sent twice, such as one that sets a state: sent again if it failed in passing."""
        for delay in RETRY_DELAYS:
            answer = self._http.request(method, path, **options)
            if answer.status_code not in PASSING:
                return answer
            time.sleep(delay)
        return self._http.request(method, path, **options)

    def dags_ready(self, since: datetime) -> bool:
        """Whether all of Vitrine's DAGs have been parsed since then: before, the last start's schedule still holds."""
        found = {dag["dag_id"]: dag["last_parsed_time"] for dag in self.get("/dags", limit=100)["dags"]}
        times = [found.get(dag_id) for dag_id in DAG_IDS]
        return all(each is not None and datetime.fromisoformat(each) >= since for each in times)

    def ensure_pool(self, name: str, slots: int, description: str, *, unset: int) -> None:
        """Create a pool unless it exists; an existing one keeps its size, but for one of `unset` slots."""
        found = self._http.get(f"/api/v2/pools/{name}")  # first: a refused creation is a stack trace in the log
        if found.status_code == HTTP_NOT_FOUND:
            body = {"name": name, "slots": slots, "description": description}
            self._http.post("/api/v2/pools", json=body).raise_for_status()
            return
        found.raise_for_status()
        if found.json()["slots"] == unset:
            answer = self._http.patch(f"/api/v2/pools/{name}", params={"update_mask": "slots"}, json={"slots": slots})
            answer.raise_for_status()

    def unpause(self, dag_id: str) -> None:
        """Let a DAG's runs start."""
        self.send("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False}).raise_for_status()

    def pause(self, dag_id: str) -> None:
        """Let no more of a DAG's runs start."""
        self.send("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": True}).raise_for_status()

    def require_unpaused(self, dag_id: str, next_step: str) -> None:
        """Refuse to wait for a DAG that is paused: Airflow starts none of its tasks, and tells nobody who waits.

        Raises:
            BadSettings: It is paused.
        """
        if self.get(f"/dags/{quote(dag_id, safe='')}")["is_paused"]:
            raise BadSettings(f"{dag_id} is paused, so no run of it goes on.", next_step)

    def trigger(self, dag_id: str, conf: Mapping[str, Any], logical_date: str | None = None) -> str:
        """Start a run and return its id.

        The id is made here, so that a request which failed in passing, or whose answer was lost, is repeated without a
        second run.
        """
        run_id = f"manual__{datetime.now(UTC).isoformat()}__{secrets.token_hex(4)}"
        path = f"/api/v2/dags/{dag_id}/dagRuns"
        body = {"dag_run_id": run_id, "logical_date": logical_date, "conf": dict(conf)}
        for delay in (*RETRY_DELAYS, None):
            try:
                self._http.post(path, json=body).raise_for_status()
                return run_id
            except httpx.HTTPError as error:
                failed = error
                if isinstance(error, httpx.HTTPStatusError) and error.response.status_code not in PASSING:
                    break
            if delay is not None:
                time.sleep(delay)
        with suppress(httpx.HTTPError):  # 409, or no answer at all: an attempt that seemed to fail may have made it
            self.run_state(dag_id, run_id)
            return run_id
        raise failed

    def give_up(self, dag_id: str, run_id: str) -> None:
        """Mark a run as failed, so that nothing of it is tried again."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id)}"
        self.send("PATCH", path, json={"state": "failed"}).raise_for_status()

    def run_state(self, dag_id: str, run_id: str) -> str:
        """queued, running, success or failed."""
        return str(self.get(f"/dags/{dag_id}/dagRuns/{quote(run_id)}")["state"])

    def wait(
        self, dag_id: str, run_id: str, *, timeout: float = 600.0, look: Callable[[], None] = lambda: None
    ) -> dict[str, Any]:
        """Wait for a run's end; returns `{"state": …, "results": {task_id: value}}`.

        Args:
            dag_id: The DAG.
            run_id: The run.
            timeout: Seconds without a word from Airflow.
            look: Called every few seconds; what it raises ends the waiting.
        """
        path = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id)}/wait"
        last: dict[str, Any] = {}
        looked = time.monotonic()
        with self._http.stream("GET", path, params={"interval": 0.25}, timeout=timeout) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                if line.strip():
                    last = json.loads(line)
                if last.get("state") in ("queued", "running") and time.monotonic() - looked >= LOOK_SECONDS:
                    look()
                    looked = time.monotonic()
        return last

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """All task instances of a run, in the order of their start."""
        found: list[dict[str, Any]] = []
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances"
        while len(found) % PAGE == 0:
            page = self.get(path, limit=PAGE, offset=len(found), order_by="id")["task_instances"]
            found += page
            if not page:
                break
        return sorted(found, key=lambda each: (each["start_date"] or "9", each["task_id"], each["map_index"]))

    def progress(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> dict[str, Any]:
        """What the task last put in its state store under `progress`; empty before it did."""
        return self.stored(dag_id, run_id, task_id, map_index, "progress")

    def stored(self, dag_id: str, run_id: str, task_id: str, map_index: int, key: str) -> dict[str, Any]:
        """What the task last put in its state store under `key`; empty before it did."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}/state-store/{key}"
        answer = self.send("GET", path, params={"map_index": map_index})
        if answer.status_code == HTTP_NOT_FOUND:
            return {}
        answer.raise_for_status()
        value = answer.json()["value"]
        return dict(json.loads(value) if isinstance(value, str) else value)

    def xcom(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
        """A task's return value."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}/xcomEntries/return_value"
        value = self.get(path, map_index=map_index)["value"]
        return json.loads(value) if isinstance(value, str) else value

    def requests(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The questions to a person that a run waits with, and those that were answered."""
        return list(self.get(f"/dags/{dag_id}/dagRuns/{quote(run_id)}/hitlDetails")["hitl_details"])

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str) -> None:
        """Answer such a question, as the user who is logged in."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}/-1/hitlDetails"
        self._http.patch(path, json={"chosen_options": [option], "params_input": {}}).raise_for_status()

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int, map_index: int = -1) -> list[str]:
        """The lines of a task's log."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}/logs/{try_number}"
        content = self.get(path, map_index=map_index, full_content="true")["content"]
        lines = []
        for entry in content:
            if isinstance(entry, dict):
                text = str(entry.get("event", ""))
                for fault in entry.get("error_detail") or []:
                    text += f"\n{fault.get('exc_type')}: {fault.get('exc_value')}"
                lines.append(text)
            else:
                lines.append(str(entry))
        return lines
