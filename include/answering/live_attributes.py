"""The attributes that a filter may name, for the Ask page: read from files alone, without an engine or a server."""

import logging
from pathlib import Path

from include.catalogue.attributes import Attribute
from include.core.errors import DamagedArtifact
from include.core.settings import IndexSettings
from include.store.journal import Journal
from include.store.version import IndexVersion

log = logging.getLogger(__name__)


def live_attributes(index: IndexSettings, *, root: Path) -> list[Attribute]:
    """Those of the version that the journal says was published last; none where there is nothing to read."""
    try:
        history = Journal.load(root, index.collection).history
        return IndexVersion.described(IndexVersion.path(root, history[-1].version)).attributes if history else []
    except DamagedArtifact as damage:
        log.warning("which attributes there are cannot be told: %s", damage)
        return []
