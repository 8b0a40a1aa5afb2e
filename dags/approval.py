"""The task that asks a person, in Airflow's UI, whether a run's version may go live.

Airflow's human-in-the-loop operator with one difference: whether to ask, and what, is known only when the run's figures
are there. A run that waits takes no worker, no slot of a pool, and no triggerer. (Not a DAG file: see .airflowignore.)
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from airflow.providers.standard.operators.hitl import HITLOperator

from dags.failures import failures_told
from dags.stage_task import common, current_run
from include import stages
from include.publishing.approval import APPROVE, REJECT, answered, asked_about


class ApprovalOperator(HITLOperator):
    """Asks as `include.stages.request_approval` says, or passes at once.

    Args:
        results: By stage, what it returned; the request shows their figures.
    """

    template_fields = (*HITLOperator.template_fields, "results")

    def __init__(self, *, results: Mapping[str, Any], **options: Any) -> None:
        super().__init__(
            subject="Publish the new index?",
            options=[APPROVE, REJECT],
            defaults=REJECT,
            response_timeout=timedelta(days=3),  # of each run its own, see execute
            **options,
        )
        self.results = results

    def execute(self, context: Any) -> Any:
        """Ask, and park the task until a person answers or time is up; return at once where nobody need be asked."""
        with failures_told():
            return self._ask(context)

    def _ask(self, context: Any) -> Any:
        run, dag_run = current_run(), context["dag_run"]
        # Relative to the UI's <base>, so it holds wherever Airflow is served.
        link = f"dags/{dag_run.dag_id}/runs/{quote(dag_run.run_id)}/plugin/report"
        asked = stages.request_approval(run, self.results, link)
        if not asked["asked"]:
            return asked
        self.subject, self.body = asked["subject"], asked["body"]
        self.response_timeout = timedelta(hours=run.settings.evaluate.approval_hours)
        return super().execute(context)  # parks the task, which goes on in execute_complete

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Go on with the answer, in a process of its own; returns what `publish` takes as `approval`."""
        with failures_told():
            return self._take(context, event)

    def _take(self, context: Any, event: dict[str, Any]) -> Any:
        said = super().execute_complete(context, event)
        run, person = current_run(), said["responded_by_user"]
        answer = answered(
            said["chosen_options"],
            by=person and person["name"],
            at=said["responded_at"],
            live=asked_about(run.root, run.run_id)["live"],  # of the process that asked only its note is left
        )
        self.log.info("answer: %s", answer)
        return answer


def approve(results: Mapping[str, Any]) -> Any:
    """The task `approve`; its result is what `include.publishing.publish.publish` takes as `approval`."""
    doc = str(stages.request_approval.__doc__).partition("\n\n")[0]
    options = {**common(stages.request_approval, hours=1), "task_id": "approve", "doc_md": doc}
    return ApprovalOperator(results=results, **options).output
