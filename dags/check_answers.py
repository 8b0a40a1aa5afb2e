"""
### Does the live index still answer?

Counts its products, compares its files with their checksums, and asks it the exam that it was published with: the
questions of `train_and_index`'s setting *Questions*. The run **fails** where the index is damaged, or where it answers
worse than then, beyond noise; the message has the figures and the next step. Without questions only products and files
are looked at, and the result says so.

`VITRINE_CHECK_SCHEDULE` (cron; default daily at 05:00 UTC; `none` for no schedule). To be told of a failed run, see
*Checks and alerts* in docs/operations.md.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, get_current_context, result

from dags.connections import server_connection
from dags.stage_task import QUESTIONS, form, progress_sink, task_for
from include import stages
from include.core import environment
from include.core.environment import data_directory
from include.core.forms import from_form
from include.core.index_settings import IndexSettings

CRON = environment.CHECK_SCHEDULE.value
SCHEDULE = None if CRON == "none" else CronTriggerTimetable(CRON, timezone="UTC", run_immediately=timedelta(0))


@dag(
    schedule=SCHEDULE,
    params=form(IndexSettings, only=("store", "collection")),
    doc_md=__doc__,
    tags=["vitrine"],
    is_paused_upon_creation=False,  # a check that somebody has to switch on first is none
    max_active_runs=1,
)
def check_answers() -> None:
    """One task: it asks, and fails where something is wrong."""

    @result
    @task_for(stages.check_answers, hours=3, **QUESTIONS)
    def check() -> Any:
        (index,) = from_form(dict(get_current_context()["params"]), IndexSettings)
        server = server_connection() if index.store == "server" else None
        return stages.check_answers(index, root=data_directory(), server=server, sink=progress_sink())

    check()


check_answers()
