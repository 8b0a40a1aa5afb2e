"""
### Ask the live index

Write a question, or several, one a line, and trigger. The answer quotes the products that it comes from, with their
uids; it says so when nothing in the catalogue answers. It is this DAG's result:

    curl …/api/v2/dags/answer_question/dagRuns/RUN_ID/wait?interval=0.5

*File of questions* asks a whole file, by one version of the index, into a file of answers: the result is its path and
the counts. A retry goes on where it was.

*Generator* `llm` sends the question and the quoted products to the endpoint in the Airflow connection `llm_default`
(any OpenAI-compatible one; host, password = key, extra `{"model": "…"}`).
"""

from typing import Any

from airflow.sdk import Param, dag, get_current_context, result

from dags.connections import answer_connections
from dags.stage_task import QUESTIONS, form, one_question, progress_sink, task_for
from include import stages
from include.answering.questions import LONGEST_TEXT, one_of
from include.core.answer_settings import AnswerSettings, QuestionsFileSettings
from include.core.environment import data_directory
from include.core.forms import OPEN_SECTION, from_form
from include.core.index_settings import IndexSettings

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
    params={
        "question": QUESTION,
        **form(QuestionsFileSettings, section=OPEN_SECTION),
        **form(AnswerSettings),
        **form(IndexSettings, only=INDEX_FIELDS),
    },
    doc_md=__doc__,
    tags=["vitrine"],
    is_paused_upon_creation=False,  # it has no schedule to wait with, and the runs of a paused DAG wait for ever
    max_active_runs=16,
)
def answer_question() -> None:
    """One task: it searches, answers, and returns the answer with its sources, or the place of a file of answers."""

    @result
    @task_for(stages.answer_question, hours=24, **QUESTIONS)
    def answer() -> Any:
        context = get_current_context()
        params = dict(context["params"])
        question = params.pop("question")
        settings, index, many = from_form(params, AnswerSettings, IndexSettings, QuestionsFileSettings)
        file = one_of(question, many.questions_file, untouched=QUESTION.value)
        server, llm = connections = answer_connections(settings, index)
        root = data_directory()
        if file is None:
            with one_question():
                return stages.answer_question(question, settings, index, root=root, server=server, llm=llm)
        run_id, sink = context["dag_run"].run_id, progress_sink()
        return stages.answer_file(file, settings, index, root=root, run_id=run_id, connections=connections, sink=sink)

    answer()


answer_question()
