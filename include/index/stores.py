"""The store that the settings choose; the engines are imported where they are used."""

from pathlib import Path

from include.errors import BadSettings
from include.index import Store
from include.index.connection import ServerConnection
from include.settings import IndexSettings


def open_store(index: IndexSettings, *, root: Path, server: ServerConnection | None = None) -> Store:
    """The store that the settings choose.

    Args:
        index: Its `store`, `collection` and HNSW settings are used.
        root: The data directory.
        server: Needed for `store="server"`.

    Raises:
        BadSettings: `store="server"` without a connection.
    """
    if index.store == "embedded":
        from include.index.edge import EdgeStore

        return EdgeStore(index, root=root)
    if server is None:
        raise BadSettings(
            "store = 'server' needs a connection to a Qdrant server, and there is none.",
            "Make the Airflow connection `qdrant_default`, or choose store = 'embedded'.",
        )
    from include.index.server import ServerStore

    return ServerStore(index, server)
