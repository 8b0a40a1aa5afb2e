"""Which published versions are kept, and how the others go.

What is deleted: of versions that were once live, all but the live one and those published last, as
many as `keep_versions` says. With a version go its data in the store (shards that other versions share
stay, also with versions still under construction), its `version` and its `plan` artifact. Versions that
were built but never published stay, as do catalogues, models and embeddings: the embeddings are the
source of truth, and later runs copy from them.
"""

import logging
from pathlib import Path

from include.core import removal
from include.core.errors import DamagedArtifact
from include.index import claims
from include.store.journal import Journal, kept
from include.store.protocol import Store
from include.store.version import IndexVersion

log = logging.getLogger(__name__)


def delete_old(journal: Journal, store: Store, keep_versions: int, root: Path) -> list[str]:
    """Delete the published versions beyond `keep_versions`, and those whose deletion was cut short."""
    live = store.live()
    existing = [version for version in journal.by_publication() if IndexVersion.exists(root, version)]
    keep = kept(journal, live, keep_versions, existing)
    old = [version for version in existing if version not in keep]
    if not old and not journal.deleting:
        return []
    journal.deleting = old  # from here on no rollback offers them
    journal.save()
    deleted = []
    for version in old:
        path = IndexVersion.path(root, version)
        try:
            made = IndexVersion.read(path)
        except DamagedArtifact as damage:  # must not stop publications for ever
            log.warning("version %s is not deleted: %s", version, damage)
            continue
        with claims.deciding(root):
            claimed = claims.claimed(root)
            store.delete(version, [shard for shard in made.shards if shard.get("path") not in claimed])
            removal.discard(root / made.plan)
            removal.discard(path)  # last, so that a cut-short deletion is found again
        deleted.append(version)
        log.info("deleted version %s: %d versions are kept", version, keep_versions)
    journal.deleting = []
    journal.save()
    return deleted
