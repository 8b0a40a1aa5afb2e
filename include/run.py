"""What a stage needs to know of its run, and the note that it leaves of what it has used."""

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from include.core import artifacts, ledger
from include.core.errors import ArtifactBusy
from include.core.pipeline_settings import PipelineSettings
from include.core.progress import Sink
from include.core.space import FULL

if TYPE_CHECKING:
    from include.store.connection import ServerConnection
    from include.store.protocol import Store

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
OF_SHARDS = ("embed", "upsert")  # the stages that are done for each shard
TRIES = 3  # of a stage whose result is pruned before it is noted, each time


@dataclass(frozen=True)
class Run:
    """What a stage needs to know of its run.

    Attributes:
        settings: Of the whole pipeline.
        root: The data directory.
        run_id: The run's name.
        logical_date: The date that the run stands for; a manual run without one has its start.
        server: Where the Qdrant server is; only for `store = server`.
        sink: Receives progress.
    """

    settings: PipelineSettings
    root: Path
    run_id: str
    logical_date: datetime
    server: "ServerConnection | None" = None
    sink: Sink | None = None

    def open_store(self) -> "Store":
        """The vector store that the settings name."""
        from include.store.stores import open_store

        return open_store(self.settings.index, root=self.root, server=self.server)

    def dated(self, source: str) -> str:
        """An address or a path with the run's date in the place of `{date}`."""
        return source.replace("{date}", self.logical_date.strftime("%Y-%m-%d"))

    @property
    def record(self) -> ledger.RunRecord:
        """The run in the ledger, as it would be if it began now."""
        now, evaluate = datetime.now(UTC), self.settings.evaluate
        return ledger.RunRecord(
            run_id=self.run_id,
            logical_date=self.logical_date.isoformat(),
            collection=self.settings.index.collection,
            keep_runs=self.settings.retention.keep_runs,
            keep_days=self.settings.retention.keep_days,
            waits=evaluate.approval_hours if evaluate.promote == "approval" else 0.0,
            began=now,
            seen=now,
            uses=list(ledger.named_in({"path": self.settings.train.base_model})),
        )


def recorded(
    stage: Callable[Concatenate[Run, P], T], make_room: Callable[[Run], object]
) -> Callable[Concatenate[Run, P], T]:
    """A stage that notes in the run's ledger what it was given and what it returns, so that pruning spares it.

    Args:
        stage: The stage.
        make_room: Called where the disk is too full for the note that it begins.
    """

    @functools.wraps(stage)
    def noted(run: Run, /, *given: P.args, **named: P.kwargs) -> T:
        name = _name(stage.__name__, given)
        for _ in range(TRIES):
            try:
                ledger.begin(run.root, run.record, name, ledger.named_in(given))
            except OSError as error:
                if error.errno not in FULL:
                    raise
                make_room(run)
                ledger.begin(run.root, run.record, name, ledger.named_in(given))
            left = stage(run, *given, **named)
            uses = sorted(set(ledger.named_in(left)))
            gone = [each for each in uses if not artifacts.use(run.root / each)]
            if not gone:
                ledger.end(run.root, run.run_id, name, uses)
                return left
            log.info("%s was pruned as an old one just now: %s again", ", ".join(gone), stage.__name__)
        raise ArtifactBusy(f"What {name} finds is removed each time: {', '.join(gone)}.", "Retry when nothing prunes.")

    return noted


def _name(stage: str, given: tuple[Any, ...]) -> str:
    """Of a shard's stage with its number."""
    return f"{stage} {given[0]['shard']}" if stage in OF_SHARDS else stage
