"""plugins/vitrine_feedback.py: who may judge which answer, and what is kept of it."""

import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest

from include.core.environment import REPOSITORY
from include.feedback.store import Feedback, append, read
from include.store.version import IndexVersion
from tests.indexed import ROWS, VALUES, publish_described
from tests.small import copy_data

pytestmark = pytest.mark.airflow
QUERY = "answer_question"
ASKED = (f"which is the {ROWS[0].title}", "zzzz qqqq", "x" * 3000)


@pytest.fixture(scope="module")
def answered(airflow_database: None, tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[Path, str]:
    """A data directory, and the id of a run that has answered `ASKED` in it."""
    data = tmp_path_factory.mktemp("answered") / "data"
    publish_described(data, tiny_model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRINE_DATA", str(data))
        made = runpy.run_path(str(REPOSITORY / "dags" / f"{QUERY}.py"))
        done = made[QUERY]().test(run_conf={"question": "\n".join(ASKED)})
    assert done.state == "success"
    return data, str(done.run_id)


@pytest.fixture
def run_id(answered: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("VITRINE_DATA", str(answered[0]))
    return answered[1]


def login(role: str | None, name: str = "ana") -> dict[str, str]:
    """The header of a user with this role."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=name, role=role))
    return {"Authorization": f"Bearer {token}"}


def judge(client: Any, headers: dict[str, str], run_id: str, position: int = 0, **more: Any) -> Any:
    body = {"run_id": run_id, "position": position, "verdict": "down", **more}
    return client.post("/vitrine/feedback", json=body, headers=headers)


def test_who_may_judge_and_read(client: Any, run_id: str, answered: tuple[Path, str]) -> None:
    """Forgotten on one route, anybody in the network can write what the next model is trained on."""
    before = len(read(answered[0], "products").rows)
    for headers, judged, seen in (({}, 401, 401), (login(None), 403, 403), (login("viewer"), 403, 200)):
        assert judge(client, headers, run_id).status_code == judged
        mine = client.get(f"/vitrine/feedback/mine?run_id={run_id}", headers=headers)
        assert mine.status_code == judged, "thumbs are shown to those who may use them"
        assert client.get("/vitrine/feedback", headers=headers).status_code == seen, headers
    assert len(read(answered[0], "products").rows) == before


def test_what_is_kept_is_the_runs_own_result(client: Any, run_id: str, answered: tuple[Path, str]) -> None:
    """A browser could name any question and any source; only the verdict is its own."""
    told = judge(client, login("user", "bo"), run_id, right=ROWS[3].title.upper(), comment="<b>no</b>\x1b[31m")
    assert told.status_code == 201
    kept = next(each for each in read(answered[0], "products").rows if each.id == told.json()["id"])
    assert (kept.user, kept.question, kept.position, kept.verdict) == ("bo", ASKED[0], 0, "down")
    assert (kept.right, kept.right_given, kept.comment) == (ROWS[3].uid, ROWS[3].title.upper(), "<b>no</b>[31m")
    assert kept.answer and (not kept.found or kept.sources)
    by_uid = judge(client, login("user", "bo"), run_id, 1, right=ROWS[5].uid, verdict="down")
    unclear = judge(client, login("user", "bo"), run_id, 1, right="no such thing")
    rows = {each.id: each for each in read(answered[0], "products").rows}
    assert rows[by_uid.json()["id"]].right == by_uid.json()["right"] == ROWS[5].uid
    assert unclear.json()["right"] is None, "the page asks for more of the title"
    assert (rows[unclear.json()["id"]].right, rows[unclear.json()["id"]].right_given) == (None, "no such thing")
    judge(client, login("user", "bo"), run_id, 0, verdict="up")
    mine: dict[str, Any] = {"url": "/vitrine/feedback/mine", "params": {"run_id": run_id}}
    assert client.get(**mine, headers=login("user", "bo")).json() == {"0": "up", "1": "down"}
    assert client.get(**mine, headers=login("user", "eve")).json() == {}, "another's verdicts are no one else's"


def test_an_answer_of_a_version_that_is_pruned_is_judged(
    client: Any, answered: tuple[Path, str], root: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Danger: the link to an answer outlives its version by months, and what people say by it is lost."""
    monkeypatch.setenv("VITRINE_DATA", str(copy_data(answered[0], root)))
    (first,) = (path.name for path in (root / "version").glob("[0-9a-f]*"))
    pruned = IndexVersion.read(IndexVersion.path(root, first))
    shutil.rmtree(IndexVersion.path(root, first))
    assert judge(client, login("user"), answered[1]).status_code == 404, "it was published, and nothing is left"
    publish_described(root, tiny_model, VALUES[1:] + VALUES[:1])
    shutil.rmtree(root / pruned.catalogue)
    told = judge(client, login("user"), answered[1], right=ROWS[5].title)
    assert (told.status_code, told.json()["right"]) == (201, ROWS[5].uid), "found in the catalogue that is live"
    (kept,) = (each for each in read(root, "products").latest() if each.id == told.json()["id"])
    assert (kept.version, kept.question, kept.right) == (first, ASKED[0], ROWS[5].uid)
    mine = client.get("/vitrine/feedback/mine", params={"run_id": answered[1]}, headers=login("user"))
    assert mine.json() == {"0": "down"}
    (root / "index" / "products" / "journal.json").unlink()
    assert judge(client, login("user"), answered[1]).status_code == 404, "nothing tells its collection"


def test_what_is_no_answer_cannot_be_judged(client: Any, run_id: str) -> None:
    """A failed run has no answer, and neither has a question that could not be asked."""
    from airflow.models import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    user = login("user")
    assert judge(client, user, "no such run").status_code == 404
    assert judge(client, user, run_id, 3).status_code == 404
    refused = judge(client, user, run_id, 2)
    assert refused.status_code == 404 and "could not be asked" in refused.text

    def end(state: str) -> None:
        with create_session() as session:
            session.execute(update(DagRun).where(DagRun.run_id == run_id).values(state=state))

    end("failed")
    try:
        assert judge(client, user, run_id).status_code == 404
    finally:
        end("success")


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"verdict": "sideways"}, 422),
        ({"position": -1}, 422),
        ({"comment": "x" * 2001}, 422),
        ({"right": "x" * 2001}, 422),
        ({"user": "eve"}, 422),
        ({"comment": "\x00" * 30_000}, 413),
    ],
)
def test_another_body_is_refused(client: Any, run_id: str, more: dict[str, Any], status: int) -> None:
    """It is written to the disk as it comes."""
    assert judge(client, login("user"), run_id, **more).status_code == status


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_form_of_another_site_is_refused(client: Any, run_id: str, kind: str) -> None:
    """A browser sends those with the user's cookie, from any page."""
    body = json.dumps({"run_id": run_id, "position": 0, "verdict": "up"})
    headers = {**login("user"), "Content-Type": kind}
    assert client.post("/vitrine/feedback", content=body, headers=headers).status_code == 415


def test_the_export_is_in_lines_without_names(client: Any, run_id: str, answered: tuple[Path, str]) -> None:
    said = {"user": "secret user", "run_id": "r", "position": 0, "version": "0" * 16, "answer": "", "found": True}
    question = {"question": "<script>which?</script>", "sources": [ROWS[0].uid], "verdict": "up"}
    append(answered[0], "another", Feedback.model_validate({**said, **question}))
    told = client.get("/vitrine/feedback?collection=another", headers=login("viewer"))
    assert told.headers["content-type"].startswith("application/x-ndjson")
    (row,) = map(json.loads, told.text.splitlines())
    assert (row["question"], row["uids"], row["answerable"]) == ("<script>which?</script>", [ROWS[0].uid], True)
    assert "secret user" not in told.text
    assert client.get("/vitrine/feedback?collection=../index", headers=login("viewer")).text == ""
