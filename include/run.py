"""What a stage needs to know of its run."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from include.core.pipeline_settings import PipelineSettings
from include.core.progress import Sink

if TYPE_CHECKING:
    from include.store.connection import ServerConnection
    from include.store.protocol import Store


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
