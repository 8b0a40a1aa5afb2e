"""Which error is worth another try of its task, and when.

(Not a DAG file: see .airflowignore.)
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryDecision, RetryRule

RETRIES = 4
FIRST_DELAY, LONGEST_DELAY = timedelta(seconds=15), timedelta(minutes=15)


class Retries(ExceptionRetryPolicy):
    """By the rules; where they name no delay, 15 s after the first try, doubled each time.

    Airflow's own backoff adds a delay drawn by lot on the scheduler, which the failing task could not tell anybody.
    """

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        """Whether a try that ended in `exception` is followed by another, and after how long."""
        decision = super().evaluate(exception, try_number, max_tries, context)
        if decision.action is RetryAction.FAIL or decision.retry_delay is not None:
            return decision
        before = max(try_number - 1 - (max_tries - RETRIES), 0)  # a task that was cleared counts its tries on
        delay = min(FIRST_DELAY * 2 ** min(before, 10), LONGEST_DELAY)
        return RetryDecision.retry(delay, decision.reason)


# Terminal errors end the task at the first try. A used-up Drive quota comes back within 24 hours, so its four
# retries are spread over a day.
RETRY_POLICY = Retries(
    rules=[
        RetryRule(exception="include.core.errors.Terminal", action=RetryAction.FAIL),
        RetryRule(exception="include.core.errors.QuotaExceeded", retry_delay=timedelta(hours=6)),
        RetryRule(exception="include.core.errors.StorageFull", retry_delay=timedelta(minutes=10)),
        RetryRule(exception="include.core.errors.Transient", action=RetryAction.RETRY),
    ]
)
