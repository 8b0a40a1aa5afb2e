"""dags/approval.py: an answer comes back with what the question was about."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import HITLOperator

from dags import approval
from include.publishing.approval import ask_once

pytestmark = pytest.mark.airflow


def test_an_answer_names_the_version_that_was_live_when_it_was_asked(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task goes on in another process, up to three days later: what it asked about lies on the disk."""
    said: dict[str, Any] = {
        "chosen_options": ["Approve"],
        "responded_at": datetime(2026, 11, 22, 10, tzinfo=UTC),
        "responded_by_user": {"id": "1", "name": "ana"},
    }
    monkeypatch.setattr(HITLOperator, "execute_complete", lambda *_: said)
    monkeypatch.setattr(approval, "current_run", lambda: SimpleNamespace(root=root, run_id="run"))
    ask_once(root, "run", {"verify": "v1", "evaluate": "e1", "live": "v0"})
    task = approval.ApprovalOperator(results={}, task_id="approve")
    answer = task._take({}, {})
    assert (answer["approved"], answer["by"], answer["live"]) == (True, "ana", "v0")
