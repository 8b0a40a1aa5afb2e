"""
### Put an earlier version of the index back

Moves the alias to a version that is still kept: the one published before the live one, or one that the form's list
shows by date, size and model. Nothing is deleted, and the next scheduled run publishes as usual. `train_and_index`
keeps *Versions kept* of them.
"""

from typing import Any

from airflow.sdk import Param, dag, get_current_context, result

from dags.connections import server_connection
from dags.stage_task import QUESTIONS, form, task_for
from include import stages
from include.core.environment import data_directory
from include.core.forms import OPEN_SECTION, environment, from_form, parse
from include.core.index_settings import IndexSettings
from include.publishing.earlier_versions import PATTERN, earlier_versions, version_of

KEPT = earlier_versions(data_directory(), parse(IndexSettings, environment(IndexSettings)))
TO = Param(
    None,
    type=["null", "string"],
    title="Version",
    description_md="Empty: the one that was live before. Else choose from the list that opens with a click, or "
    "write a version's 16 hexadecimal digits. Kept (without those of the last minutes):\n\n"
    + "\n".join(f"* {line}" for line in KEPT or ["none"]),
    pattern=PATTERN,
    examples=KEPT,
    section=OPEN_SECTION,
)


@dag(
    schedule=None,
    params={"to": TO, **form(IndexSettings, only=("store", "collection"))},
    doc_md=__doc__,
    tags=["vitrine"],
    is_paused_upon_creation=False,  # it has no schedule to wait with, and the runs of a paused DAG wait for ever
    max_active_runs=1,
)
def roll_back() -> None:
    """One task: it moves the alias, and returns what it moved it from and to."""

    @result
    @task_for(stages.roll_back, hours=0.25, **QUESTIONS)
    def move_alias() -> Any:
        context = get_current_context()
        params = dict(context["params"])
        to = version_of(params.pop("to"))
        (index,) = from_form(params, IndexSettings)
        server = server_connection() if index.store == "server" else None
        return stages.roll_back(to, index, root=data_directory(), run_id=context["dag_run"].run_id, server=server)

    move_alias()


roll_back()
