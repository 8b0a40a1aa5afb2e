"""The store that the settings choose; the engines are imported where they are used."""

from pathlib import Path
from typing import TYPE_CHECKING

from include.core.errors import BadSettings
from include.core.index_settings import IndexSettings
from include.store.connection import ServerConnection
from include.store.protocol import Store

if TYPE_CHECKING:
    from include.store.apart import Processes


def open_store(
    index: IndexSettings, *, root: Path, server: ServerConnection | None = None, processes: "Processes | None" = None
) -> Store:
    """The store that the settings choose.

    Args:
        index: Its `store`, `collection` and HNSW settings are used.
        root: The data directory.
        server: Needed for `store="server"`.
        processes: That search open versions of the embedded store; None: this one does.

    Raises:
        BadSettings: `store="server"` without a connection.
    """
    if index.store == "embedded":
        from include.store.edge import EdgeStore

        return EdgeStore(index, root=root, processes=processes)
    if server is None:
        raise BadSettings(
            "store = 'server' needs a connection to a Qdrant server, and there is none.",
            "Make the Airflow connection `qdrant_default`, or choose store = 'embedded'.",
        )
    from include.store.server import ServerStore

    return ServerStore(index, server)
