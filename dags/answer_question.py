"""
### Ask the live index

Write a question, or several, one a line, and trigger. The answer quotes the products that it comes from, with their
uids; it says so when nothing in the catalogue answers. It is this DAG's result:

    curl …/api/v2/dags/answer_question/dagRuns/RUN_ID/wait?interval=0.5

*Generator* `llm` sends the question and the quoted products to the endpoint in the Airflow connection `llm_default`
(any OpenAI-compatible one; host, password = key, extra `{"model": "…"}`).
"""

from typing import Any

from airflow.sdk import Param, dag, get_current_context, result

from dags.connections import answer_connections
from dags.stage_task import QUESTIONS, form, task_for
from include import stages
from include.answering.questions import LONGEST_TEXT
from include.core.environment import data_directory
from include.core.forms import OPEN_SECTION, from_form
from include.core.settings import AnswerSettings, IndexSettings

QUESTION = Param(
    "Which products would make a good present?",
    type="string",
    title="Question",
    description_md="One question, or several, one a line.",
    format="multiline",
    minLength=1,
    maxLength=LONGEST_TEXT,
    section=OPEN_SECTION,
)
INDEX_FIELDS = ("store", "collection")


@dag(
    schedule=None,
    params={"question": QUESTION, **form(AnswerSettings), **form(IndexSettings, only=INDEX_FIELDS)},
    doc_md=__doc__,
    tags=["vitrine"],
    is_paused_upon_creation=False,  # it has no schedule to wait with, and the runs of a paused DAG wait for ever
    max_active_runs=16,
)
def answer_question() -> None:
    """One task: it searches, answers, and returns the answer with its sources."""

    @result
    @task_for(stages.answer_question, hours=0.25, **QUESTIONS)
    def answer() -> Any:
        params = dict(get_current_context()["params"])
        question = params.pop("question")
        settings, index = from_form(params, AnswerSettings, IndexSettings)
        server, llm = answer_connections(settings, index)
        return stages.answer_question(question, settings, index, root=data_directory(), server=server, llm=llm)

    answer()


answer_question()
