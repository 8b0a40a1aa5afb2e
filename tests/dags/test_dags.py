"""dags/: they parse, they are what the README says, and they stay light."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from include.core.answer_settings import AnswerSettings
from include.core.environment import REPOSITORY
from include.core.pipeline_settings import GROUPS, PresetSettings
from include.core.settings import Group

DAG_IDS = {"answer_question", "check_answers", "roll_back", "train_and_index"}
HEAVY = ("torch", "transformers", "pandas", "numpy", "pyarrow", "qdrant_client", "qdrant_edge", "onnxruntime", "gdown")
pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(REPOSITORY / "dags"))
    assert bag.import_errors == {}
    return dict(bag.dags)


def test_exactly_these_dags_are_found(dags: dict[str, Any]) -> None:
    """Airflow skips a file without the words "dag" and "airflow" without an error."""
    assert set(dags) == DAG_IDS


def test_the_pipeline_has_its_stages_in_order(dags: dict[str, Any]) -> None:
    """A lost arrow lets publish run before verify."""
    upstream = {task.task_id: task.upstream_task_ids for task in dags["train_and_index"].tasks}
    assert upstream == {
        "download": set(),
        "convert": {"download"},
        "read_questions": {"convert"},
        "fine_tune": {"convert", "read_questions"},
        "train_reader": {"convert", "fine_tune", "read_questions"},
        "evaluate": {"convert", "fine_tune"},
        "plan_shards": {"convert", "fine_tune", "evaluate"},
        "shard.embed": {"plan_shards"},
        "shard.upsert": {"shard.embed"},
        "verify": {"shard.upsert"},
        "examine": {"verify", "evaluate", "read_questions", "train_reader"},
        "approve": {
            *("download", "convert", "read_questions", "fine_tune", "evaluate", "shard.upsert", "verify", "examine"),
            "train_reader",
        },
        "publish": {"verify", "evaluate", "examine", "approve", "train_reader"},
        "prune": {"shard.upsert", "publish"},
        "report": {
            *("download", "convert", "read_questions", "fine_tune", "evaluate", "shard.upsert", "verify"),
            *("train_reader", "examine", "approve", "publish", "prune"),
        },
        "outcome": {"shard.upsert", "publish"},
    }


def test_a_failed_run_is_pruned_gets_its_report_and_stays_failed(dags: dict[str, Any]) -> None:
    """By its trigger rule alone, `report` would be the leaf that decides the run's state: a success."""
    ending = [dags["train_and_index"].get_task(name) for name in ("prune", "report", "outcome")]
    assert all(task.is_teardown and task.trigger_rule == "all_done_setup_success" for task in ending)
    assert [task.on_failure_fail_dagrun for task in ending] == [False, False, True]


def test_every_task_has_retries_a_time_limit_and_the_retry_policy(dags: dict[str, Any]) -> None:
    """Airflow's defaults are no retry and no limit: one lost packet fails a night's run, one hang blocks it."""
    for dag in dags.values():
        for task in dag.tasks:
            assert task.retries == 4, task.task_id
            assert task.execution_timeout.total_seconds() >= 900
            assert task.retry_exponential_backoff == 2.0, "True is taken for a factor of one"
            assert [rule.exception for rule in task.retry_policy.rules] == [
                "include.core.errors.Terminal",
                "include.core.errors.QuotaExceeded",
                "include.core.errors.StorageFull",
                "include.core.errors.Transient",
            ]


def test_the_retry_policy_tells_terminal_from_transient(dags: dict[str, Any]) -> None:
    """A rule whose class does not import only warns while parsing, and then never matches."""
    from airflow.sdk import RetryAction, RetryDecision

    from include.core import errors

    policy = dags["train_and_index"].get_task("download").retry_policy

    def decide(error: Exception) -> RetryDecision:
        decision: RetryDecision = policy.evaluate(error, 1, 5)
        return decision

    assert decide(errors.BadSource("x")).action is RetryAction.FAIL
    assert decide(errors.SourceUnreachable("x")).action is RetryAction.RETRY
    assert decide(errors.QuotaExceeded("x")).retry_delay == timedelta(hours=6)
    assert decide(ValueError("x")).action is RetryAction.RETRY


def test_the_wait_before_each_try_is_known_and_doubles(dags: dict[str, Any]) -> None:
    """Airflow's own is drawn by lot on the scheduler, so that no log could say when the next try is."""
    from include.core.errors import SourceUnreachable

    policy = dags["train_and_index"].get_task("download").retry_policy
    waits = [policy.evaluate(SourceUnreachable("x"), number, 4).retry_delay.total_seconds() for number in (1, 2, 3, 4)]
    assert waits == [15, 30, 60, 120]
    cleared = policy.evaluate(SourceUnreachable("x"), 6, 9)  # at its second try, Airflow counts on and gives four more
    assert cleared.retry_delay.total_seconds() == 15


def test_gpu_work_waits_for_the_gpu_pool(dags: dict[str, Any]) -> None:
    """Two tasks on one GPU run out of its memory."""
    pools = {task.task_id: task.pool for task in dags["train_and_index"].tasks}
    assert {name for name, pool in pools.items() if pool == "gpu"} == {"fine_tune", "evaluate", "shard.embed"}


def test_questions_wait_for_no_slot_of_the_pipeline(dags: dict[str, Any]) -> None:
    """Four runs in `download` held a question for 101 s."""
    pools = {dag_id: {task.pool for task in dag.tasks} for dag_id, dag in dags.items()}
    assert pools["answer_question"] == pools["check_answers"] == pools["roll_back"] == {"questions"}
    assert pools["train_and_index"] == {"default_pool", "gpu"}


@pytest.mark.parametrize(("given", "queue"), [(None, "default"), ("questions", "questions")])
def test_the_queue_of_questions_can_be_set(given: str | None, queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery's workers take only from the queues that they are told."""
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.delenv("VITRINE_ANSWER_QUEUE", raising=False)
    if given:
        monkeypatch.setenv("VITRINE_ANSWER_QUEUE", given)
    monkeypatch.delitem(sys.modules, "dags.stage_task", raising=False)
    found = DagBag(str(REPOSITORY / "dags" / "answer_question.py"))
    assert {task.queue for task in found.dags["answer_question"].tasks} == {queue}


def test_the_forms_offer_every_setting_with_title_description_and_section(dags: dict[str, Any]) -> None:
    """What is not on the form cannot be set from the UI."""
    groups: list[type[Group]] = [PresetSettings, *GROUPS.values()]
    names = {name for group in groups for name in group.model_fields}
    assert set(dags["train_and_index"].params) == names
    answer = dags["answer_question"].params
    assert set(answer) == {"question", "questions_file", "store", "collection", *AnswerSettings.model_fields}
    for dag in dags.values():
        for name in dag.params:
            param = dag.params.get_param(name)
            assert param.schema["title"] and param.schema["section"] and param.schema["description_md"], name
            assert param.description is None, "the form would show it instead, with its Markdown marks"


def test_every_form_can_be_triggered_untouched(dags: dict[str, Any]) -> None:
    """A required field that is empty turns its section red and disables the form's button."""
    for dag in dags.values():
        for name in dag.params:
            param = dag.params.get_param(name)
            required = "null" not in param.schema["type"]
            assert not required or param.resolve() not in (None, ""), (dag.dag_id, name)
            assert required == (name in {"source", "preset", "promote", "question"}), "only these get a star"


def test_the_pipelines_form_begins_with_catalogue_preset_and_promote(dags: dict[str, Any]) -> None:
    """Who triggers for the first time should not have to find three fields among forty."""
    params = dags["train_and_index"].params
    sections = {name: params.get_param(name).schema["section"] for name in params}
    assert list(sections)[:3] == ["source", "preset", "promote"]
    assert {name for name, section in sections.items() if section == "Start here"} == {"source", "preset", "promote"}
    assert all(section.startswith("Advanced: ") for section in list(sections.values())[3:])


def test_the_rollbacks_form_offers_what_the_data_directory_keeps(tmp_path: Path) -> None:
    """Damaged data must cost the offers, never the DAG; and the DAG processor may not see the data at all."""
    code = "import runpy; dag = runpy.run_path('dags/roll_back.py')['TO']; print(dag.schema['examples'], dag.resolve())"
    journal = tmp_path / "index" / "products" / "journal.json"
    journal.parent.mkdir(parents=True)
    for content in (None, "{broken", '{"history": [{}], "intent": null, "deleting": []}'):
        if content is not None:
            journal.write_text(content)
        environment = {**os.environ, "VITRINE_DATA": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=REPOSITORY, env=environment
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip().splitlines()[-1] == "[] None"


def test_the_documentation_pages_explain_operation(dags: dict[str, Any]) -> None:
    """The DAG page is where a person looks when a run has failed."""
    text = dags["train_and_index"].doc_md
    for word in ("Retry", "Backfill", "Approve", "Roll back", "Schedule", "reused"):
        assert word in text
    assert all(dag.doc_md and dag.doc_md.strip() for dag in dags.values())


def test_the_pipeline_can_be_backfilled(dags: dict[str, Any]) -> None:
    """Backfill refuses DAGs without a periodic timetable."""
    timetable = dags["train_and_index"].timetable
    assert type(timetable).__name__ == "CronTriggerTimetable"
    assert not dags["train_and_index"].catchup


@pytest.mark.parametrize(("given", "cron"), [(None, "0 5 * * *"), ("30 1 * * 1", "30 1 * * 1"), ("none", None)])
def test_the_check_runs_daily_unless_it_is_told_otherwise(
    given: str | None, cron: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check that nobody has switched on finds nothing; one that cannot be switched off is a nuisance."""
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.delenv("VITRINE_CHECK_SCHEDULE", raising=False)
    if given:
        monkeypatch.setenv("VITRINE_CHECK_SCHEDULE", given)
    dag = DagBag(str(REPOSITORY / "dags" / "check_answers.py")).dags["check_answers"]
    assert getattr(dag.timetable, "expression", None) == cron
    assert dag.is_paused_upon_creation is False


def test_a_dag_file_imports_nothing_heavy() -> None:
    """DAG files are parsed every 30 seconds and by every task: seconds of imports would stall them all."""
    files = [str(path) for path in sorted((REPOSITORY / "dags").glob("[a-z]*.py"))]
    code = (
        "import runpy, sys; import airflow.sdk; before = set(sys.modules)\n"
        f"for file in {files!r}: runpy.run_path(file)\n"
        f"print([name for name in {HEAVY} if name in sys.modules and name not in before])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(files) == 10
    assert done.stdout.strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize("file", ["train_and_index.py", "answer_question.py", "check_answers.py", "roll_back.py"])
def test_a_dag_file_fits_on_one_screen(file: str) -> None:
    """The pipeline is read more often than it is written."""
    lines = (REPOSITORY / "dags" / file).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 100


def test_the_logic_imports_without_airflow() -> None:
    """A bare GPU machine has torch and transformers, and no Airflow."""
    modules = [
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        for path in sorted((REPOSITORY / "include").rglob("*.py"))
        if path.name != "__init__.py"
    ]
    code = (
        "import sys, importlib\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'airflow': raise ImportError('airflow is not here')\n"
        "sys.meta_path.insert(0, Refuse())\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "print('imported', len([name for name in sys.modules if name.startswith('include')]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "imported" in done.stdout
    assert len(modules) > 15


def test_no_file_of_the_logic_mentions_an_airflow_import() -> None:
    """An import inside a function would escape the test above."""
    for path in (REPOSITORY / "include").rglob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not line.strip().startswith(("import airflow", "from airflow")), path
