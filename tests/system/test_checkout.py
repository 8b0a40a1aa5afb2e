"""A checkout that was used, copied, and used in the other place: by the lines that a person types."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from include.core.environment import REPOSITORY
from include.local import server, users
from include.local.client import DAG_IDS, AirflowClient
from include.local.up import RUNS_ALREADY
from tests.system.conftest import PIPELINE

pytestmark = pytest.mark.airflow
FAULT = re.compile(r"Traceback|\[(warning|error|critical) *\]|^\w*(Error|Warning|Exception)\b", re.IGNORECASE)
# What belongs to this test's own run and to no person's shell.
OURS = ("AIRFLOW_", "GIVEN_", "MAKE", "MFLAGS", "PYTHONPATH", "VITRINE_")
UNTITLED = (
    '{"uid": "A1", "content": "A product without a title: the run ends by itself, with a download that is kept."}\n'
)


@dataclass(frozen=True)
class Checkout:
    """A checkout whose Airflow was started.

    Attributes:
        folder: Where it is.
        said: What `make up` said, without the line that it is starting.
        log: The lines of Airflow's log when it was ready.
        runs: The ids of its runs, by DAG; those that were made before it was copied.
    """

    folder: Path
    said: str
    log: list[str]
    runs: dict[str, str]

    def client(self) -> AirflowClient:
        local = server.running(self.folder / ".airflow")
        assert local is not None
        return local.client()


def type_in(folder: Path, line: str, **given: str) -> str:
    """Run a line in a person's shell there, and return what it printed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    command = ["bash", "-euo", "pipefail", "-c", line]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**clean, **given},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_out(folder: Path) -> None:
    """These files as they are now, with the installed packages of this environment."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in names:
        if (REPOSITORY / name).is_file():  # not one that was deleted and is still in the index
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)
    (folder / ".venv").mkdir()
    for entry in Path(sys.prefix).iterdir():
        if entry.name not in ("run", "dev"):
            (folder / ".venv" / entry.name).symlink_to(entry)
    (folder / ".venv" / "run").touch()  # it is set up


def contents(folder: Path) -> dict[str, tuple[int, str]]:
    """Each file's time of change and hash."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def use(client: AirflowClient, source: Path) -> dict[str, str]:
    """Make a run of the pipeline that downloads a file, and one that asks, and see them end; their ids."""
    client.unpause(PIPELINE)
    runs = {PIPELINE: client.trigger(PIPELINE, {"source": str(source)})}
    runs["answer_question"] = client.trigger("answer_question", {"question": "a lamp"})
    until_begun(client, "answer_question", runs["answer_question"])
    client.give_up("answer_question", runs["answer_question"])  # there is no index: it would be tried again
    for dag_id, run_id in runs.items():
        assert client.wait(dag_id, run_id, timeout=120.0)["state"] == "failed"
    client.pause(PIPELINE)
    return runs


def until_begun(client: AirflowClient, dag_id: str, run_id: str) -> None:
    deadline = time.monotonic() + 120.0
    while not client.task_instances(dag_id, run_id)[0]["start_date"]:
        assert time.monotonic() < deadline, "the run did not start: is the DAG paused?"
        time.sleep(0.5)


def documented_backfill() -> tuple[str, str]:
    """The two lines that docs/operations.md prints; the DAG's own page has the second one's arguments."""
    text = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    ((start, backfill),) = re.findall(r"(VITRINE_SCHEDULE='.+?' make up)\n +(make airflow ARGS='backfill .+?')\n", text)
    words = backfill.split("'")[1]
    assert f"`airflow {words}`" in (REPOSITORY / "dags" / "train_and_index.py").read_text(encoding="utf-8")
    return start, backfill


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout that was used and is stopped."""
    folder = tmp_path_factory.mktemp("original") / "vitrine"
    check_out(folder)
    (folder.parent / "untitled.json").write_text(UNTITLED)
    said = type_in(folder, "make up", VITRINE_PORT=str(server.free_port()))
    log = (folder / ".airflow" / "airflow.log").read_text(encoding="utf-8").splitlines()
    try:
        with Checkout(folder, said, log, {}).client() as client:
            runs = use(client, folder.parent / "untitled.json")
    finally:
        assert type_in(folder, "make down") == "Airflow is stopped.\n"
    return Checkout(folder, said.partition("\n")[2], log, runs)


@pytest.fixture(scope="module")
def before(original: Checkout) -> dict[str, tuple[int, str]]:
    """The original as it was when it was copied."""
    return contents(original.folder)


@pytest.fixture(scope="module")
def copy(original: Checkout, before: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A copy in another place, in which a colleague has got a login, started with the documented schedule."""
    folder = tmp_path_factory.mktemp("copy with blanks") / "vitrine"
    shutil.copytree(original.folder, folder, symlinks=True)
    assert "`make up` starts Airflow" in type_in(folder, "make user NAME=ana")
    said = type_in(folder, documented_backfill()[0])
    log = (folder / ".airflow" / "airflow.log").read_text(encoding="utf-8").splitlines()
    try:
        yield Checkout(folder, said.partition("\n")[2], log, original.runs)
    finally:
        assert type_in(folder, "make down") == "Airflow is stopped.\n"


def test_a_copy_works_with_its_own_files_and_leaves_the_original_alone(
    original: Checkout, before: dict[str, tuple[int, str]], copy: Checkout
) -> None:
    """A copied checkout wrote into the original's database and logs, and nothing said so."""
    assert str(original.folder) in (copy.folder / ".airflow" / "airflow.cfg").read_text(), "the old place stands there"
    with copy.client() as client:
        for dag_id in DAG_IDS:
            assert client.get(f"/dags/{dag_id}")["fileloc"] == str(copy.folder / "dags" / f"{dag_id}.py")
        for dag_id, run_id in copy.runs.items():
            assert client.run_state(dag_id, run_id) == "failed", "the original's run, as it was left"
        runs = use(client, original.folder.parent / "untitled.json")
        fetched = client.xcom(PIPELINE, runs[PIPELINE], "download")
    for dag_id, run_id in runs.items():
        assert list((copy.folder / ".airflow" / "logs").glob(f"dag_id={dag_id}/run_id={run_id}/**/*.log"))
    assert fetched["path"].startswith(f"{copy.folder}/data/")
    assert fetched["reused"], "what was made before it was copied is used"
    assert contents(original.folder) == before


def test_a_restart_keeps_the_address_and_the_password(original: Checkout, copy: Checkout) -> None:
    """Bookmarks, tabs and logins were void after each restart. The copy's port is remembered, not given."""
    assert re.fullmatch(r"Airflow's UI: http://127.0.0.1:\d+ .* password: .+\n`make down` stops it.\n", copy.said)
    assert copy.said == original.said
    again = type_in(copy.folder, "make up")
    assert again == f"{RUNS_ALREADY}\n{copy.said}", "it runs: it is only told where"


def test_a_normal_start_leaves_no_fault_in_the_log(original: Checkout, copy: Checkout) -> None:
    """Who looks for the cause of a failure finds these first. The copy's start is the second with its database."""
    for checkout in (original, copy):
        assert any("Uvicorn running" in line for line in checkout.log)
        assert [line for line in checkout.log if FAULT.search(line)] == []


def test_a_colleague_logs_in_with_the_role_that_was_given(copy: Checkout) -> None:
    """SimpleAuthManager has one user, an administrator, unless it is told of more."""
    login, address = type_in(copy.folder, "make user NAME=ana").splitlines()
    password = users.passwords(copy.folder / ".airflow")["ana"]
    assert login == f"user: ana   password: {password}   role: viewer"
    url = address.removeprefix("Log in at ")
    with AirflowClient(url, "ana", password) as ana:
        assert {dag["dag_id"] for dag in ana.get("/dags")["dags"]} == set(DAG_IDS)
        with pytest.raises(httpx.HTTPStatusError, match="403"):
            ana.trigger("answer_question", {"question": "a lamp"})


def test_the_documented_backfill_takes_the_schedule_of_the_start(copy: Checkout) -> None:
    """The schedule is given to `make up` alone, as in the text; `--dry-run` lists the runs."""
    listed = type_in(copy.folder, documented_backfill()[1].removesuffix("'") + " --dry-run'")
    expected = [f"2026-11-0{day} 03:00:00+00:00" for day in range(1, 8)]
    assert re.findall(r"2026-11-\d\d 03:00:00\+00:00", listed.partition("Runs to be attempted")[2]) == expected
