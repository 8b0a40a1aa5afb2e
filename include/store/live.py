"""The model behind the live index: what a new one is compared with, and what `retrain = never` embeds with."""

import logging
from dataclasses import dataclass
from pathlib import Path

from include.core import artifacts
from include.core.artifacts import Artifact
from include.core.errors import DamagedArtifact, NoLiveIndex
from include.core.index_settings import IndexSettings
from include.store.protocol import Store
from include.store.version import IndexVersion

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveModel:
    """The model that the live version was made with.

    Attributes:
        path: Artifact of kind `model`.
        dim: Dimensions of the version's vectors; fewer than the model's where it keeps the first ones only.
    """

    path: Path
    dim: int


def live_model(store: Store, *, root: Path) -> LiveModel | None:
    """The model of the live version, to compare a new one with.

    None before the first publication, and, with a warning, where the live version's files are gone or
    damaged: then there is nothing to compare with, and refusing would keep the broken index live.
    """
    live = store.live()
    if live is None:
        return None
    try:
        made = IndexVersion.read(IndexVersion.path(root, live))
        return LiveModel(artifacts.read(root / made.model).path, made.dim)
    except DamagedArtifact as damage:
        log.warning("the model of the live version %s cannot be compared with: %s", live, damage)
        return None


def the_live_model(store: Store, index: IndexSettings, *, root: Path) -> Artifact:
    """The live version's model, for a run with `retrain = never`.

    Raises:
        NoLiveIndex: There is none that is intact.
    """
    live = live_model(store, root=root)
    if live is None:
        raise NoLiveIndex(
            f"retrain is never, which embeds with the live index's model, but collection {index.collection} of store "
            f"{index.store} has no live version with an intact model.",
            "Trigger a run with retrain = auto first: it trains a model.",
        )
    made = artifacts.read(live.path)
    log.info("reused the live index's model %s: retrain is never", made.fingerprint)
    return made
