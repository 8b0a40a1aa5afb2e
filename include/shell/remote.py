"""The commands' work through a running Airflow: its REST API, and the pages that Vitrine adds to it."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import typer

from include.answering.products import SEARCHED
from include.answering.questions import split_lines
from include.core import errors
from include.core.environment import AIRFLOW, PASSWORD
from include.core.errors import BadQuestion, BadSettings, VitrineError
from include.core.redaction import foreign, public
from include.local import server
from include.local.client import AirflowClient
from include.local.watch import PIPELINE, failure
from include.shell.exits import NothingThere, Unreachable, interactive

QUERY, ROLLBACK, CHECK = "answer_question", "roll_back", "check_answers"
REFUSED = (401, 403)
LOOKED_AT = 10  # runs, the newest first, until one has a report


@contextmanager
def logged_in(
    address: str | None, user: str | None, password: str | None, place: Mapping[str, str]
) -> Iterator["Remote"]:
    """A running Airflow; without an address that of `make up` in this checkout, whose login is known.

    Raises:
        Unreachable: It does not answer, or does not let the user in.
        BadSettings: There is no address, or no password.
    """
    own = server.running(server.HOME)
    if address is None and own is None:
        raise Unreachable(
            "No Airflow runs in this checkout, and no address was given.",
            f"Start it (`make up`), give --airflow or {AIRFLOW.name}, or look at the data directory with --local.",
        )
    url = (address or (own.url if own else "")).rstrip("/")
    if own is not None and url == own.url and user in (None, own.login()[0]):
        user, known = own.login()
        password = password or known
    user = user or "admin"
    if not password:
        if not interactive():
            raise BadSettings(f"There is no password of {user} at {public(url)}.", f"Set {PASSWORD.name}.")
        password = str(typer.prompt(f"Password of {user} at {public(url)}", hide_input=True, err=True))
    try:
        with _client(url, user, password) as client:
            yield Remote(url, client, place)
    except httpx.HTTPStatusError as error:
        status, where = error.response.status_code, public(str(error.request.url))
        told = f"Airflow said {status} to {user} at {where}: {_detail(error.response, password)}"
        if status in REFUSED:
            raise Unreachable(told, "Check user and password, and what the user may do.") from error
        raise server.AirflowFailed(told, "Its log says more.") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = foreign(error, [password])
        raise Unreachable(f"Airflow at {public(url)} does not answer: {reason}.", "Check the address.") from error


class Remote:
    """An Airflow that one is logged in to.

    Args:
        url: Its address.
        client: Of its REST API.
        place: `store` and `collection`, where they were given.
    """

    def __init__(self, url: str, client: AirflowClient, place: Mapping[str, str]) -> None:
        self.url, self.client, self._place = url, client, dict(place)

    def ask(self, questions: Sequence[str], settings: Mapping[str, Any]) -> dict[str, Any]:
        """The result of a run of `answer_question`."""
        return self._result(QUERY, {"question": "\n".join(questions), **settings})

    def search(self, question: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The products of such a run, in the form of a search."""
        found = self.ask([" ".join(split_lines(question))], settings)  # the DAG's form has a question a line
        (entry,) = found["answers"]
        if entry["error"]:
            raise BadQuestion(entry["error"]["what"], entry["error"]["next_step"])
        told = {name: found[name] for name in ("version", "bm25_weight", "filter", "facets", "seconds", "milliseconds")}
        bare = [{name: each[name] for name in each if name != "snippet"} for each in entry["products"]]
        return {**told, **{name: entry[name] for name in SEARCHED}, "products": bare}

    def versions(self) -> list[dict[str, Any]]:
        """The kept versions."""
        answer = self.client.send("GET", "/vitrine/versions", params=self._place)
        answer.raise_for_status()
        return list(answer.json())

    def status(self) -> dict[str, Any]:
        """What is live, whether Airflow is well, and the last run of the pipeline and of the check."""
        versions = self.versions()
        health = {name: (part or {}).get("status") for name, part in self.client.get("/monitor/health").items()}
        return {
            "airflow": self.url,
            "health": health,
            "live": next((each for each in versions if each["live"]), None),
            "versions": len(versions),
            "runs": {dag_id: next(iter(self.runs(dag_id, 1)), None) for dag_id in (PIPELINE, CHECK)},
        }

    def roll_back(self, to: str) -> dict[str, Any]:
        """The result of a run of `roll_back`."""
        return self._result(ROLLBACK, {"to": to})

    def exam(self) -> dict[str, Any]:
        """The result of a run of `check_answers`."""
        return self._result(CHECK, {})

    def feedback(self) -> list[str]:
        """What people said of answers, as the lines of a questions file."""
        answer = self.client.send("GET", "/vitrine/feedback", params=self._place)
        answer.raise_for_status()
        return answer.text.split("\n")[:-1]

    def report(self, run_id: str | None, to: Path | None) -> dict[str, Any]:
        """Fetch a run's report, that of the newest run which has one where none is named, into a file.

        Raises:
            NothingThere: There is none.
        """
        for each in [run_id] if run_id else [run["run_id"] for run in self.runs(PIPELINE, LOOKED_AT)]:
            path = f"/vitrine/runs/{PIPELINE}/{quote(each, safe='')}/report"
            answer = self.client.send("GET", path, params={"file": True})
            if answer.status_code == httpx.codes.NOT_FOUND:
                continue
            answer.raise_for_status()
            if to is None:
                folder = Path(tempfile.mkdtemp(prefix="vitrine-"))
                to = folder / "report.html"
            to.write_text(answer.text, encoding="utf-8")
            return {"run_id": each, "path": str(to)}
        what = f"The run {run_id} has no report" if run_id else f"None of the last {LOOKED_AT} runs has a report"
        raise NothingThere(f"{what} at {public(self.url)}.", "The last task of train_and_index writes it.")

    def trigger(self, conf: Mapping[str, Any], logical_date: str | None, *, unpause: bool) -> str:
        """Start a run of the pipeline; its id.

        Raises:
            BadSettings: The DAG is paused, and stays so.
        """
        if unpause:
            self.client.unpause(PIPELINE)
        else:
            self.client.require_unpaused(PIPELINE, "Add --unpause: its schedule, if it has one, starts too.")
        return self.client.trigger(PIPELINE, {**conf, **self._place}, logical_date)

    def runs(self, dag_id: str, count: int) -> list[dict[str, Any]]:
        """The newest runs of a DAG."""
        path = f"/dags/{quote(dag_id, safe='')}/dagRuns"
        found = self.client.get(path, limit=count, order_by="-run_after")["dag_runs"]
        names = ("state", "start_date", "end_date", "duration", "logical_date", "triggering_user_name", "conf")
        return [{"run_id": each["dag_run_id"], **{name: each.get(name) for name in names}} for each in found]

    def tasks(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """A run's state, its tasks, and, if it failed, why.

        Raises:
            NothingThere: The DAG has no such run.
        """
        try:
            state = self.client.run_state(dag_id, run_id)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != httpx.codes.NOT_FOUND:
                raise
            what = f"{dag_id} has no run {run_id} at {public(self.url)}."
            raise NothingThere(what, "`vitrine runs` lists the newest.") from error
        names = ("task_id", "map_index", "state", "start_date", "duration", "try_number")
        tasks = [{name: each[name] for name in names} for each in self.client.task_instances(dag_id, run_id)]
        why = failure(self.client, dag_id, run_id) if state == "failed" else None
        return {"run_id": run_id, "state": state, "tasks": tasks, "failure": why}

    def _result(self, dag_id: str, conf: Mapping[str, Any]) -> dict[str, Any]:
        """Start a run, wait for its end, and return what its task returned.

        Raises:
            BadSettings: The DAG is paused, or was paused meanwhile: the run would wait for ever.
            VitrineError: The one that its task failed with.
        """
        unpause = "Unpause it in Airflow"
        self.client.require_unpaused(dag_id, f"{unpause}.")
        run_id = self.client.trigger(dag_id, {**conf, **self._place})
        then = f"{unpause}: then {run_id} goes on."
        ended = self.client.wait(dag_id, run_id, look=lambda: self.client.require_unpaused(dag_id, then))
        if ended.get("state") == "success":
            (result,) = ended["results"].values()
            return dict(result)
        for each in self.client.task_instances(dag_id, run_id):
            kept = self.client.stored(dag_id, run_id, each["task_id"], each["map_index"], "failure")
            kind = getattr(errors, str(kept.get("class")), None)
            if isinstance(kind, type) and issubclass(kind, VitrineError):
                raise kind(kept["what"], kept["next_step"])
        raise server.AirflowFailed(f"{run_id}: {failure(self.client, dag_id, run_id)}", "`vitrine runs` shows more.")


def _client(url: str, user: str, password: str) -> AirflowClient:
    try:
        return AirflowClient(url, user, password, proxies=not _here(url))
    except (ValueError, KeyError) as error:  # of what came back
        raise Unreachable(f"What answers at {public(url)} is not Airflow.", "Check the address.") from error


def _here(url: str) -> bool:
    """Whether it is an address of this machine, which no proxy stands before."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _detail(answer: httpx.Response, password: str) -> str:
    try:
        told = answer.json()["detail"]
    except (ValueError, KeyError, TypeError, httpx.ResponseNotRead):
        told = answer.reason_phrase
    return foreign(told, [password])
