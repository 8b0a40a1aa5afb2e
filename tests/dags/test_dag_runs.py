"""Both DAGs run from end to end in this process with `dag.test()`, as a developer would debug them."""

import csv
import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from include.core.environment import REPOSITORY
from include.core.index_settings import IndexSettings
from include.store.stores import open_store
from tests.indexed import publish_described

pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dag-runs") / "data"


def run(dag_id: str, conf: dict[str, Any], data: Path) -> Any:
    """Run a DAG with `conf`; returns the DagRun."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRINE_DATA", str(data))
        names = runpy.run_path(str(REPOSITORY / "dags" / f"{dag_id}.py"))
        return names[dag_id]().test(run_conf=conf)


def result(dag_run: Any, task_id: str) -> Any:
    from airflow.models.xcom import XComModel

    values = XComModel.get_many(run_id=dag_run.run_id, key="return_value", task_ids=[task_id])
    from airflow.utils.session import create_session

    with create_session() as session:
        return XComModel.deserialize_value(session.scalars(values).one())


def test_the_pipeline_and_a_question_run_on_the_sample(airflow_database: None, tiny_base: Path, data: Path) -> None:
    """Everything between the stages and Airflow: forms, contexts, mapping, results."""
    conf = {
        "sample_products": 200,
        "base_model": str(tiny_base),
        "max_steps": 3,
        "batch_size": 16,
        "row_group_rows": 100,
        "holdout": 10,
        "tolerance": 1.0,
        "min_recall": 0.5,
    }
    trained = run("train_and_index", conf, data)
    assert trained.state == "success"
    live = open_store(IndexSettings(), root=data).live()
    assert result(trained, "publish")["version"] == live
    assert {"model": 1, "version": 1}.items() <= {
        each["kind"]: each["stay"] for each in result(trained, "prune")["kinds"]
    }.items(), "pruned, by the run's settings"

    asked = run("answer_question", {"question": "Which kettle is made of glass?", "threshold": 0.0}, data)
    assert asked.state == "success"
    answer = result(asked, "answer_question")
    assert answer["version"] == live
    assert answer["answers"][0]["question"] == "Which kettle is made of glass?"


def test_a_question_with_a_filter_from_the_form(airflow_database: None, tiny_model: Path, tmp_path: Path) -> None:
    """The fields of the form reach the search, and their outcome the result that programs read."""
    version = publish_described(tmp_path / "data", tiny_model)
    conf = {"question": "Which kettle?", "threshold": 0.0, "filter": 'brand = "LG" and price < 10', "facets": "brand"}
    asked = run("answer_question", conf, tmp_path / "data")
    assert asked.state == "success"
    found = result(asked, "answer_question")
    assert (found["version"], found["filter"]) == (version, 'brand = "LG" and price < 10')
    assert found["facets"]["brand"] == [{"value": "LG", "count": 5, "filter": 'brand = "LG"'}]
    assert {each["attributes"]["brand"] for each in found["answers"][0]["sources"]} == {"LG"}
    assert run("answer_question", {**conf, "filter": "brnad is missing"}, tmp_path / "data").state == "failed"


def test_a_file_of_questions_from_the_form(airflow_database: None, tiny_model: Path, tmp_path: Path) -> None:
    """The question that the form begins with counts as none; the result is a path and counts, whatever the length."""
    data, asked = tmp_path / "data", tmp_path / "asked.csv"
    version = publish_described(data, tiny_model)
    asked.write_text("id,question\na,Which kettle is red?\nb,Which lamp weighs 3 kg?\nc, \n")
    conf = {"questions_file": str(asked), "threshold": 0.0, "filter": 'brand = "LG"'}
    done = run("answer_question", conf, data)
    assert done.state == "success"
    found = result(done, "answer_question")
    assert found["file"] == f"{found['path']}/answers.csv" and found["path"].startswith(str(data))
    assert (found["stats"]["asked"], found["stats"]["rejected"], found["stats"]["version"]) == (2, 1, version)
    with Path(found["file"]).open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["id"], row["question"]) for row in rows] == [
        ("a", "Which kettle is red?"),
        ("b", "Which lamp weighs 3 kg?"),
    ]
    brands = {each["attributes"]["brand"] for row in rows for each in json.loads(row["entry"])["products"]}
    assert brands == {"LG"}, "the other fields of the form hold for each question"
    assert run("answer_question", {**conf, "question": "Which kettle?"}, data).state == "failed", "both"
