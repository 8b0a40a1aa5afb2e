"""plugins/: loaded by every Airflow process, closed to strangers, and unable to serve any other file."""

import json
import re
import socket
import subprocess
import sys
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from include.core import artifacts, ledger
from include.core.environment import ASKER, ASKER_KEY, SERVING_KEYS
from include.core.errors import DamagedArtifact
from include.report.report import page_of_run, report
from tests.indexed import publish_described
from tests.serving.servers import KEY, OTHER_KEY, running
from tests.small import few

RUN = "manual__2026-11-22T10:00:00.123456+00:00"
REPORT = "/vitrine/runs/train_and_index/{}/report"
pytestmark = pytest.mark.airflow

LOAD = """
import json, sys
from airflow import plugins_manager
plugins, errors = plugins_manager._get_plugins()
(views, _), (apps, _) = plugins_manager._get_ui_plugins(), plugins_manager.get_fastapi_plugins()
info = [each for each in plugins_manager.get_plugin_info() if each["name"] == "vitrine"]
heavy = {"include", "fastapi", "airflow.api_fastapi.core_api.security", "torch", "numpy"}
print("RESULT" + json.dumps({
    "plugins": [plugin.name for plugin in plugins], "errors": errors, "heavy": sorted(heavy & set(sys.modules)),
    "views": views, "prefixes": [each["url_prefix"] for each in apps], "info": info,
}, default=str))
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, Any]:
    """What Airflow's plugin manager makes of the folder, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = done.stdout + done.stderr  # Airflow turns warnings into log lines
    assert not [line for line in told.splitlines() if "[warning" in line or "[error" in line], told
    return dict(json.loads(done.stdout.rpartition("RESULT")[2]))


def test_airflow_loads_the_plugin_without_complaint(loaded: dict[str, Any]) -> None:
    """A plugin that fails to import leaves the menu without its page, and only a line in a log."""
    assert loaded["errors"] == {}
    assert loaded["plugins"].count("vitrine") == 1
    assert loaded["prefixes"] == ["/vitrine"]
    assert {view["url_route"]: view["destination"] for view in loaded["views"]} == {"ask": "nav", "report": "dag_run"}
    assert not any(view["url_route"].startswith("/") or "://" in view["href"] for view in loaded["views"])


def test_the_rest_api_can_describe_the_plugin(loaded: dict[str, Any]) -> None:
    """The UI asks `/api/v2/plugins` for its menu; an answer that does not validate hides every plugin."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow's own deprecations
        from airflow.api_fastapi.core_api.datamodels.plugins import PluginResponse

        described = PluginResponse.model_validate(loaded["info"][0])
    assert [view.name for view in described.external_views] == ["Ask", "Report"]


def test_loading_it_imports_nothing_heavy(loaded: dict[str, Any]) -> None:
    """Every task process loads plugins: a second here is a second a task."""
    assert loaded["heavy"] == []


def token(role: str | None) -> str:
    """A valid token of a user with this role."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    return get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="ana", role=role))


def bearer(role: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(role)}"}


@pytest.fixture
def published(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with the report of one run, and the page's path."""
    monkeypatch.setenv("VITRINE_DATA", str(root))
    results = {"publish": {"published": True, "reason": "the figures are good", "version": "0" * 16}}
    return report(results, root=root, run_id=RUN, logical_date=None).path / "report.html"


# Every route of the plugin, with the status that a viewer gets: one that is added has to be listed here.
ROUTES = {
    ("GET", "/ask"): 200,
    ("GET", "/live"): 200,
    ("GET", "/examples"): 200,
    ("GET", "/history"): 200,
    ("GET", "/feedback"): 200,
    ("GET", "/feedback/mine"): 403,  # as to judge: the thumbs are for those who may
    ("POST", "/feedback"): 403,
    ("GET", "/runs/{dag_id}/{run_id}/report"): 200,
    ("GET", "/search"): 422,  # for what, is not said
    ("GET", "/versions"): 200,
}


def test_strangers_get_nothing_and_a_viewer_what_a_viewer_may(airflow_app: Any, client: Any, published: Path) -> None:
    """Airflow does not authenticate a plugin's application: forgotten, the reports are open to the network.

    Nor must a route that is added later, or the generated documentation, be the one without the check.
    """
    from airflow.api_fastapi.core_api.security import get_user
    from vitrine_pages import make_app

    routes = make_app().routes
    assert {(verb, each.path) for each in routes for verb in each.methods} == set(ROUTES)
    for route in routes:
        assert get_user in [each.call for each in route.dependant.dependencies], route.path
    strangers: list[dict[str, str]] = [{"Authorization": "Bearer nonsense"}, {"Cookie": "_token=nonsense"}, {}]
    for (verb, path), status in ROUTES.items():
        for run in (RUN, "unknown"):
            address = "/vitrine" + path.format(dag_id="train_and_index", run_id=run)
            for headers in strangers:
                answer = client.request(verb, address, headers=headers)
                assert answer.status_code in {401, 403}, (address, headers)
                assert "Vitrine" not in answer.text and "good" not in answer.text
            assert answer.status_code == 401
            if "{" in path:
                assert client.request(verb, address, headers=bearer(None)).status_code == 403, address
        found = client.request(
            verb, "/vitrine" + path.format(dag_id="train_and_index", run_id=RUN), headers=bearer("viewer")
        )
        assert found.status_code == status, (path, found.text)


@pytest.mark.parametrize("how", ["bearer", "cookie"])
def test_users_get_the_ask_page(client: Any, how: str) -> None:
    """The UI's iframe sends the cookie, scripts send the header: both are logins."""
    headers = bearer("user") if how == "bearer" else {"Cookie": f"_token={token('user')}"}
    answer = client.get("/vitrine/ask", headers=headers)
    assert answer.status_code == 200
    assert "Ask the catalogue" in answer.text
    assert "{{" not in answer.text


def test_the_ask_page_is_told_what_is_live(
    client: Any, root: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is searched, and by which names it is filtered; who may not see runs is told nothing of the catalogue."""
    monkeypatch.setenv("VITRINE_DATA", str(root))
    assert client.get("/vitrine/live", headers=bearer("viewer")).json() is None
    assert client.get("/vitrine/examples", headers=bearer("viewer")).json() == []
    version = publish_described(root, tiny_model)
    told = client.get("/vitrine/live", headers=bearer("viewer")).json()
    assert (told["version"], told["products"], told["made_by"]) == (version, 40, "test")
    assert told["attributes"][:2] == [
        {"name": "brand", "type": "keyword", "counted": True},
        {"name": "price", "type": "money", "counted": False},
    ]
    examples = client.get("/vitrine/examples", headers=bearer("viewer")).json()
    assert examples
    for name in ("live", "examples", "history"):
        assert client.get(f"/vitrine/{name}", headers=bearer(None)).status_code == 403
    (root / "index" / "products" / "journal.json").write_text("{")
    damaged = client.get("/vitrine/live", headers=bearer("viewer"))
    assert damaged.status_code == 503
    assert "is not a publication journal" in damaged.json()["detail"]


def test_a_history_is_the_users_own(client: Any, airflow_database: None) -> None:
    """What somebody asked is nobody else's business; and the pages of a long history neither repeat nor lose one."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunType
    from sqlalchemy import delete

    def asked(number: int, user: str, dag_id: str = "answer_question", **conf: Any) -> Any:
        run = DagRun(dag_id, f"{user}_{dag_id}_{number}", conf=conf, run_type=DagRunType.MANUAL)
        run.triggering_user_name, run.state = user, DagRunState.SUCCESS
        run.run_after = datetime(2026, 1, 1, tzinfo=UTC)
        return run

    with create_session() as session:
        session.add_all([asked(0, "eve", question="Secret?"), asked(0, "ana", "train_and_index")])
        for number in range(60):
            session.add(asked(number, "ana", question=f"Question {number}?"))
            session.flush()
        session.add(asked(60, "ana", question="x", questions_file="/data/asked.csv"))
    try:
        first = client.get("/vitrine/history?user=ana", headers=bearer("viewer")).json()
        assert len(first["questions"]) == 50
        assert first["questions"][0] == {
            **{"run_id": "ana_answer_question_60", "question": "/data/asked.csv", "state": "success"},
            "asked_at": "2026-01-01T00:00:00+00:00",
        }
        second = client.get("/vitrine/history", params={"before": first["next"]}, headers=bearer("viewer")).json()
        assert second["next"] is None
        told = [each["question"] for each in first["questions"] + second["questions"]]
        assert told[1:] == [f"Question {number}?" for number in reversed(range(60))]
        assert client.get("/vitrine/history?before=x", headers=bearer("viewer")).json() == first
        other = client.get("/vitrine/history?user=eve", headers=bearer("admin"))
        assert other.status_code == 403
        assert "Secret" not in other.text
    finally:
        with create_session() as session:
            session.execute(delete(DagRun))


def test_the_shell_is_told_which_versions_are_kept(
    client: Any, root: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`vitrine versions` has nothing but HTTP."""
    monkeypatch.setenv("VITRINE_DATA", str(root))
    assert client.get("/vitrine/versions", headers=bearer("viewer")).json() == []
    version = publish_described(root, tiny_model)
    (told,) = client.get("/vitrine/versions", headers=bearer("viewer")).json()
    assert (told["version"], told["live"], told["products"]) == (version, True, 40)
    others = client.get("/vitrine/versions", params={"collection": "toys"}, headers=bearer("viewer"))
    assert others.json() == []
    refused = client.get("/vitrine/versions", params={"collection": "../toys"}, headers=bearer("viewer"))
    assert (refused.status_code, "collection" in refused.json()["detail"]) == (422, True)
    (root / "index" / "products" / "journal.json").write_text("{")
    damaged = client.get("/vitrine/versions", headers=bearer("viewer"))
    assert (damaged.status_code, "journal" in damaged.json()["detail"]) == (500, True)


def test_products_while_typing_come_from_the_resident_asker(
    client: Any,
    root: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Danger: the browser is given the server's key, or each key pressed waits for a server that is gone."""

    def search(role: str | None = "viewer", **query: Any) -> Any:
        return client.get("/vitrine/search", params={"q": "a red kettle", **query}, headers=bearer(role))

    def told() -> str:
        return "\n".join(each.message for each in caplog.records if each.name == "vitrine_search")

    monkeypatch.delenv(ASKER.name, raising=False)
    assert search().status_code == 404
    publish_described(root, tiny_model)
    with running(root, tmp_path / "log", **{SERVING_KEYS.name: KEY}) as (_, address):
        monkeypatch.setenv(ASKER.name, f"{address}/")
        monkeypatch.setenv(ASKER_KEY.name, KEY)
        own = {"Authorization": f"Bearer {KEY}"}
        direct = httpx.get(f"{address}/search", params={"q": "a red kettle", "top_k": 3}, headers=own).json()
        found = search(top_k=3)
        assert found.json() == {
            "products": [{name: each[name] for name in ("uid", "title")} for each in direct["products"]]
        }
        assert len(found.json()["products"]) == 3
        assert search(filter='brand = "Acme"').json() == {"products": []}
        half = search(filter="brand =")
        assert (half.status_code, "Filter" in half.json()["detail"]) == (400, True)
        assert search(None).status_code == 403
        assert search(q="x" * 2001).status_code == search(top_k=1000).status_code == 422
        assert not told()
        monkeypatch.setenv(ASKER_KEY.name, OTHER_KEY)
        assert search().status_code == 503
        assert "401" in told()
    answers = [search()]  # it has ended
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        for wrong in (f"http://127.0.0.1:{silent.getsockname()[1]}", "no address"):
            monkeypatch.setenv(ASKER.name, wrong)
            began = time.monotonic()
            answers.append(search())
            assert time.monotonic() - began < 5, "two seconds, and what a busy machine adds"
    for answer in answers:
        assert (answer.status_code, "log says why" in answer.json()["detail"]) == (503, True)
    assert all(name in told() for name in ("ConnectError", "Timeout", "UnsupportedProtocol")), told()
    assert KEY not in caplog.text and OTHER_KEY not in caplog.text


def test_the_ask_page_allows_only_its_own_script(client: Any) -> None:
    """Should a title ever get into the page as markup, no script in it may run."""
    first, second = (client.get("/vitrine/ask", headers=bearer("user")) for _ in range(2))
    policy = first.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'self'" in policy
    nonce = policy.partition("script-src 'nonce-")[2].partition("'")[0]
    assert first.text.count(f'nonce="{nonce}"') == 2
    assert policy != second.headers["content-security-policy"]


def test_a_run_shows_its_report(client: Any, published: Path) -> None:
    """The tab fills in the run's id, with its colons and plus sign percent-encoded."""
    for run_id in (RUN, RUN.replace(":", "%3A").replace("+", "%2B")):
        answer = client.get(REPORT.format(run_id), headers=bearer("viewer"))
        assert answer.status_code == 200
        assert re.sub(r"<script.*?</script>", "", answer.text, flags=re.DOTALL) == published.read_text()
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    nonce = policy.partition("script-src 'nonce-")[2].partition("'")[0]
    assert answer.text.count("<script") == answer.text.count(f'<script nonce="{nonce}">') == 1
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_report_is_given_as_its_file_to_be_kept(client: Any, published: Path) -> None:
    """With the page's script, a saved copy would show links that lead nowhere."""
    answer = client.get(REPORT.format(RUN), params={"file": True}, headers=bearer("viewer"))
    assert (answer.status_code, answer.text) == (200, published.read_text())
    assert "script-src" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize("params", [{}, {"file": True}])
def test_a_report_needs_the_right_to_read_the_runs(client: Any, published: Path, params: dict[str, bool]) -> None:
    """A login alone must not open what the DAG's permissions close."""
    answer = client.get(REPORT.format(RUN), params=params, headers=bearer(None))
    assert answer.status_code == 403
    assert "good" not in answer.text


def test_a_run_of_another_dag_does_not_lend_its_rights(client: Any, published: Path) -> None:
    """The right to read some DAG, named in the address, must not open this DAG's report."""
    for dag_id, status in (("roll_back", 404), ("answer_question", 200)):
        answer = client.get(f"/vitrine/runs/{dag_id}/{RUN}/report", headers=bearer("viewer"))
        assert answer.status_code == status
        assert "good" not in answer.text
    answer = client.get(f"/vitrine/runs/roll_back/{RUN}/report", headers=bearer("viewer"))
    assert "Only runs of train_and_index and answer_question have a report" in answer.text


def test_the_answers_page_needs_the_right_to_read_the_runs(client: Any) -> None:
    """It is served by the same route as a report, and closed by the same check."""
    path = f"/vitrine/runs/answer_question/{RUN}/report"
    assert client.get(path).status_code == 401
    assert client.get(path, headers=bearer(None)).status_code == 403
    answer = client.get(path, headers=bearer("viewer"))
    assert answer.status_code == 200
    nonce = answer.headers["content-security-policy"].partition("script-src 'nonce-")[2].partition("'")[0]
    assert answer.text.count(f'nonce="{nonce}"') == 2
    assert "{{" not in answer.text
    assert RUN not in answer.text, "what is not in the page cannot leave it"


def test_the_page_and_the_form_take_the_same_length() -> None:
    """What the page lets through must not be refused by the form's rule."""
    from airflow.dag_processing.dagbag import DagBag

    from include.answering.questions import LONGEST_TEXT
    from include.core.environment import REPOSITORY

    dag = DagBag(str(REPOSITORY / "dags" / "answer_question.py")).dags["answer_question"]
    assert dag.params.get_param("question").schema["maxLength"] == LONGEST_TEXT


def test_a_run_under_way_shows_how_far_it_is_and_looks_again(client: Any, published: Path) -> None:
    """An hour of "No report yet" is an hour of pressing reload."""
    root, now = published.parents[2], datetime.now(UTC)
    about = ledger.RunRecord(run_id="under way", began=now, seen=now)
    ledger.begin(root, about, "<b>download", [])
    ledger.end(root, "under way", "<b>download", [])
    ledger.begin(root, about, "convert", [])
    answer = client.get(REPORT.format("under way"), headers=bearer("viewer"))
    assert answer.status_code == 404
    assert "the run is under way" in answer.text and 'http-equiv="refresh"' in answer.text
    assert "<td>&lt;b&gt;download</td><td>done in 0:00</td>" in answer.text
    assert "<td>convert</td><td>at work for 0:00</td>" in answer.text
    assert client.get(REPORT.format("under way")).status_code == 401
    ledger.finish(root, "under way")
    assert "under way</h1>" not in client.get(REPORT.format("under way"), headers=bearer("viewer")).text


def test_a_run_without_a_report_says_why(client: Any, published: Path) -> None:
    """An empty frame, or a stack of JSON, tells the reader nothing."""
    answer = client.get(REPORT.format("manual__<script>"), headers=bearer("viewer"))
    assert answer.status_code == 404
    assert "Its last task, report, writes it" in answer.text
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    "run_id",
    [
        *("..", "../secret", "..%2Fsecret", "..%2F..%2Fsecret", "%2Fetc%2Fpasswd", "%2e%2e%2fsecret", "..%5csecret"),
        *("....//secret", "%00", "by_run", "secret.json", "%252e%252e%252fsecret", "x" * 5000),
    ],
)
def test_no_other_file_can_be_read(client: Any, root: Path, published: Path, run_id: str) -> None:
    """A run id comes from the address; as a path it would read any file of the server."""
    for place in (root, root / "report", root / "report" / "by_run"):
        (place / "secret").write_text("the secret")
        (place / "secret.json").write_text(json.dumps({"run_id": "secret", "fingerprint": "../secret"}))
    answer = client.get(REPORT.format(run_id), headers=bearer("admin"))
    assert "the secret" not in answer.text
    assert "root:" not in answer.text
    assert "the figures are good" not in answer.text


def test_a_damaged_report_is_named_not_shown(client: Any, published: Path) -> None:
    """A page that was changed on disk may hold anything."""
    published.write_text("<h1>forged</h1>")
    answer = client.get(REPORT.format(RUN), headers=bearer("viewer"))
    assert answer.status_code == 500
    assert "forged" not in answer.text
    assert "Clear the task" in answer.text
    with pytest.raises(DamagedArtifact):
        artifacts.read(published.parent)


EVIL = "<img src=x onerror=alert(1)>"
ODD = st.sampled_from(
    ["", ".", "..", "%00", "%2F..%2F", "%ff", "{{nonce}}", "</head>", EVIL, RUN, "x" * 3000, "\n", "\u00e9", "'\""]
)
PIECES = ODD | st.text(max_size=8)
SEGMENT = st.builds("{}{}".format, PIECES, PIECES).map(lambda text: quote(text, safe="%{}", errors="replace"))
DAGS = st.sampled_from(["train_and_index", "answer_question", "roll_back", quote(EVIL)]) | SEGMENT
NAMES = ["ask", "live", "history", "search", "runs", "report", "docs", "openapi.json"]
PATHS = st.one_of(
    st.just("ask"),
    st.builds("runs/{}/{}/report".format, DAGS, SEGMENT | st.just(RUN)),
    st.lists(SEGMENT | st.sampled_from(NAMES), max_size=5).map("/".join),
)
QUERIES = st.dictionaries(st.sampled_from(["dag_id", "run_id", "next", "_token", EVIL]), PIECES, max_size=2)
VALUE = st.text("\x80\xffaz09;=,\"'*%/<> ", max_size=12) | st.just(EVIL)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["Accept", "Cookie", "Content-Type", "Host", "X-Forwarded-Host", "X-Forwarded-Prefix", "Range", "Origin"]
    ),
    VALUE,
    max_size=2,
)


@few(2)
@given(
    st.sampled_from(["GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"]),
    PATHS,
    QUERIES,
    HEADERS,
    st.binary(max_size=20),
    st.sampled_from(["admin", "viewer", None, "stranger"]),
)
def test_whatever_is_asked_for_is_answered_without_its_markup(
    client: Any,
    published: Path,
    method: str,
    path: str,
    query: dict[str, str],
    headers: dict[str, str],
    body: bytes,
    role: str | None,
) -> None:
    """Danger: an address from a mail runs a script as the user who follows it; an odd one is a status 500."""
    login = {} if role == "stranger" else bearer(role)
    raw = {name: value.encode("latin-1") for name, value in (headers | login).items()}
    params = {name: value.encode("utf-8", "replace").decode() for name, value in query.items()}
    answer = client.request(
        method, f"/vitrine/{path}", params=params, headers=raw, content=body, follow_redirects=False
    )
    assume(answer.request.url.path.startswith("/vitrine/"))  # the client resolves `..`
    assert answer.status_code < 500, answer.text
    assert EVIL not in answer.text
    if role in (None, "stranger"):
        assert "the figures are good" not in answer.text
        assert answer.status_code != 200 or (role is None and path == "ask")
    if answer.headers.get("content-type", "").startswith("text/html") and answer.status_code == 200 and method == "GET":
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    json.dumps(dict(answer.headers))


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.sampled_from([RUN, "0" * 16, "../secret", "fingerprint"]),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from(["run_id", "fingerprint", "more"]), inner, max_size=3)
        ),
        max_leaves=4,
    )
    .map(json.dumps)
    .map(str.encode)
    | st.binary(max_size=12)
)
@example(b"null")
def test_whatever_names_a_report_is_read_or_called_damaged(published: Path, root: Path, data: bytes) -> None:
    """Danger: a half-written or hand-edited file makes the Report tab a status 500 that says nothing."""
    (entry,) = (root / "report" / "by_run").iterdir()
    entry.write_bytes(data)
    try:
        found = page_of_run(root, RUN)
    except DamagedArtifact as damaged:
        assert damaged.next_step == "Clear the task report."
    else:
        assert found in (None, published)
