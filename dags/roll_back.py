"""
### Put an earlier version of the index back

Moves the alias to a version that is still kept: the one published before the live one, or one by its fingerprint.
Nothing is deleted, and the next scheduled run publishes as usual. `train_and_index` keeps *Versions kept* of them.
"""

from airflow.sdk import Param, dag, get_current_context, result, task

from dags.connections import server_connection
from dags.stage_task import QUESTIONS, common, form
from include import stages
from include.forms import from_form
from include.settings import IndexSettings, data_directory

TO = Param(
    "previous",
    type="string",
    title="Version",
    description="`previous`, or the 16 hexadecimal digits of a version.",
    pattern=r"^(previous|[0-9a-f]{16})$",
    section="Version",
)


@dag(
    schedule=None,
    params={"to": TO, **form(IndexSettings, only=("store", "collection"))},
    doc_md=__doc__,
    tags=["vitrine"],
    is_paused_upon_creation=False,  # it has no schedule to wait with, and the runs of a paused DAG wait for ever
    max_active_runs=1,
)
def roll_back():
    @result
    @task(**common(stages.roll_back, hours=0.25), **QUESTIONS)
    def move_alias():
        context = get_current_context()
        params = dict(context["params"])
        to = params.pop("to")
        (index,) = from_form(params, IndexSettings)
        server = server_connection() if index.store == "server" else None
        return stages.roll_back(to, index, root=data_directory(), run_id=context["dag_run"].run_id, server=server)

    move_alias()


roll_back()
