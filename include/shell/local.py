"""The commands' work on a data directory of this machine, without Airflow."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.core.answer_settings import AnswerSettings
from include.core.forms import environment
from include.notebook.vitrine import Vitrine, index_settings
from include.shell.exits import NothingThere

if TYPE_CHECKING:
    from include.answering.llm_connection import LlmConnection

WITHOUT_AIRFLOW = "vitrine --local"  # the run's id of a rollback, as the journal keeps it


class Local:
    """A data directory.

    Args:
        root: Where it is.
        place: `store` and `collection`, where they were given.
    """

    def __init__(self, root: Path, place: Mapping[str, str]) -> None:
        self.root = root
        self.index = index_settings(**place)

    def ask(self, questions: Sequence[str], settings: Mapping[str, Any]) -> dict[str, Any]:
        """The answers' JSON."""
        version, others = _version(settings)
        with self._opened(version, self._llm(settings)) as opened:
            return opened.ask(questions, **others)

    def search(self, question: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The search's JSON."""
        version, others = _version(settings)
        with self._opened(version) as opened:
            return opened.search(question, **others)

    def versions(self) -> list[dict[str, Any]]:
        """The kept versions."""
        from include.publishing.kept_versions import kept_versions

        return kept_versions(self.root, self.index)

    def status(self) -> dict[str, Any]:
        """What is live, and the room on the disk."""
        versions = self.versions()
        there = next(each for each in (self.root, *self.root.parents) if each.exists())
        disk = shutil.disk_usage(there)
        live = next((each for each in versions if each["live"]), None)
        return {
            "data": str(self.root),
            "live": live,
            "versions": len(versions),
            "disk": {"free": disk.free, "size": disk.total},
        }

    def roll_back(self, to: str) -> dict[str, Any]:
        """Move the alias to `previous` or a fingerprint."""
        from include import stages

        return stages.roll_back(to, self.index, root=self.root, run_id=WITHOUT_AIRFLOW, server=self._server())

    def exam(self) -> dict[str, Any]:
        """Ask the live version the exam that it was published with."""
        from include import stages

        return stages.check_answers(self.index, root=self.root, server=self._server())

    def feedback(self) -> list[str]:
        """What people said of answers, as the lines of a questions file."""
        from include.feedback.verdicts import exported

        return list(exported(self.root, self.index.collection))

    def report(self, run_id: str | None, to: Path | None) -> dict[str, Any]:
        """Where a run's report is, the newest run's where none is named; copied to `to` where that is given.

        Raises:
            NothingThere: There is none.
        """
        from include.report.report import newest_run, page_of_run

        wanted = run_id or newest_run(self.root)
        page = None if wanted is None else page_of_run(self.root, wanted)
        if page is None:
            what = "No run has a report" if run_id is None else f"The run {run_id} has no report"
            raise NothingThere(f"{what} in {self.root}.", "The last task of train_and_index writes it.")
        return {"run_id": wanted, "path": str(page if to is None else shutil.copyfile(page, to))}

    def _opened(self, version: str, llm: "LlmConnection | None" = None) -> Vitrine:
        store, collection = self.index.store, self.index.collection
        return Vitrine(self.root, version=version, server=self._server(), llm=llm, store=store, collection=collection)

    def _llm(self, settings: Mapping[str, Any]) -> "LlmConnection | None":
        """The language model that the environment has, where one is to write."""
        from include.serving.deployment import LLM_CONNECTION, llm_connection

        wanted = {**environment(AnswerSettings), **settings}.get("generator")
        return llm_connection() if wanted == "llm" and os.environ.get(LLM_CONNECTION) else None

    def _server(self) -> Any:
        if self.index.store != "server":
            return None
        from include.serving.deployment import server_connection

        return server_connection()


def _version(settings: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The version that is asked for, and the other settings."""
    return settings.get("version", "live"), {name: value for name, value in settings.items() if name != "version"}
