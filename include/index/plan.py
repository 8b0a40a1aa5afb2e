"""Splits a catalogue into shards: which Parquet row groups each embedding task takes.

A plan is small and content-addressed: the same catalogue, model, number of shards and index settings
give the same plan, and the plan's fingerprint gives the index version its name before it is built. The numbers of the
formats of what is built from it (vectors, shards) belong to it: a raised one makes another version, which goes live.

Not in the fingerprint: `embed_batch_tokens` (it changes how texts are padded together, so a vector by
float rounding only), `keep_versions` and `min_recall` (they decide what happens to an index, not what
is in it).
"""

import logging
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from include.catalogue.schema import PRODUCTS_FILE, open_parquet
from include.core import artifacts, kinds
from include.core.artifacts import Artifact, Workspace
from include.core.errors import BadSettings, DamagedArtifact, EmptyCatalogue
from include.core.index_settings import IndexSettings
from include.core.settings import EmbedSettings
from include.model.directory import kept_dimensions, model_dim
from include.store.language import AUTO, language_of

log = logging.getLogger(__name__)

PLAN_FILE = "plan.json"


class Shard(BaseModel):
    """A contiguous part of the catalogue.

    Attributes:
        shard: 0-based number.
        of: How many shards there are.
        row_groups: Of `products.parquet`, ascending.
        rows: In those row groups.
    """

    model_config = ConfigDict(frozen=True)

    shard: int
    of: int
    row_groups: tuple[int, ...]
    rows: int


class Plan(BaseModel):
    """An index version before it is built.

    Attributes:
        version: The fingerprint that the `version` artifact will have, 16 hexadecimal digits.
        store: "embedded" or "server".
        collection: Name of the live index.
        dim: Of the vectors.
        model: The model artifact, relative to the data directory.
        catalogue: The catalogue artifact, relative to the data directory.
        points: Products in all shards.
        shards: In order.
        language: Of the index's terms: a Snowball language, or `none`.
        embed: Settings of the embedding that shaped the plan.
        index: Settings of the index that shape what is built.
        formats: `format_numbers` of when it was planned.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    store: str
    collection: str
    dim: int
    model: str
    catalogue: str
    points: int
    shards: tuple[Shard, ...]
    language: str = "none"  # a plan made before says nothing of it, and is refused by its formats
    embed: dict[str, Any]
    index: dict[str, Any]
    formats: dict[str, int] = {}  # a plan of format 1 has none

    def shard(self, number: int) -> Shard:
        """The shard with this number.

        Raises:
            BadSettings: There is none.
        """
        if not 0 <= number < len(self.shards):
            raise BadSettings(
                f"Shard {number} was asked for, but the plan of version {self.version} has shards 0 to "
                f"{len(self.shards) - 1}.",
                "Clear plan_shards and everything after it, so that the tasks match the plan.",
            )
        return self.shards[number]

    def require_formats(self) -> None:
        """Check that what is built now has the formats that were planned.

        Raises:
            BadSettings: Vitrine was upgraded in the middle of the run.
        """
        if self.formats != (now := format_numbers(self.store)):
            raise BadSettings(
                f"Version {self.version} was planned with the formats {self.formats}, this version of Vitrine writes "
                f"{now}.",
                "Clear plan_shards and everything after it, so that the version has one name and one format.",
            )


def plan_shards(catalogue: Path, model: Path, embed: EmbedSettings, index: IndexSettings, *, root: Path) -> Artifact:
    """Split the catalogue's row groups into contiguous shards of about equal rows.

    Args:
        catalogue: Artifact of kind `catalogue`.
        model: Artifact of kind `model`.
        embed: `shards` is the most there may be; fewer where there are fewer row groups. `dimensions` of each vector
            are kept; 0 for all.
        index: Store, collection, language, and the shape of the HNSW graph.
        root: The data directory; both artifacts lie in it.

    Returns:
        Artifact of kind `plan` with `plan.json`, see `Plan`; its paths are relative to `root`, so that
        the data directory can be moved.

    Raises:
        EmptyCatalogue: The catalogue has no rows. (An empty plan would not fail: Airflow marks a task
            that is mapped over an empty list as skipped.)
        BadModel: The model does not say its dimension.
        BadSettings: The model has fewer dimensions than are to be kept.
    """
    catalogue_made, model_made = artifacts.read(catalogue, verify=False), artifacts.read(model, verify=False)
    sizes = row_group_sizes(catalogue)
    if sum(sizes) == 0:
        raise EmptyCatalogue(
            f"{catalogue / PRODUCTS_FILE} has no products, so there is nothing to index.",
            "Look at its rejected.parquet for the reasons, correct the source, and run convert again.",
        )
    shaping = shaping_of(index)
    dim = kept_dimensions(model, embed.dimensions)
    kept = {"dimensions": dim} if dim < model_dim(model) else {}
    formats = format_numbers(index.store)
    settings = {
        **{"shards": embed.shards, **kept, "store": index.store, "collection": index.collection, **_told(shaping)},
        "formats": formats,
    }
    inputs = {"catalogue": catalogue_made.fingerprint, "model": model_made.fingerprint}
    parts = split(sizes, embed.shards)
    plan = Plan(
        version=version_of(artifacts.fingerprint(kinds.PLAN, settings, inputs)),
        store=index.store,
        collection=index.collection,
        dim=dim,
        model=relative(model, root),
        catalogue=relative(catalogue, root),
        points=sum(sizes),
        shards=tuple(
            Shard(shard=number, of=len(parts), row_groups=part, rows=sum(sizes[group] for group in part))
            for number, part in enumerate(parts)
        ),
        language=language_of(catalogue, index.language),
        embed={"shards": embed.shards, **kept},
        index=shaping,
        formats=formats,
    )

    def write(space: Workspace) -> dict[str, Any]:
        (space.path / PLAN_FILE).write_text(plan.model_dump_json(indent=2), encoding="utf-8")
        rows = [shard.rows for shard in plan.shards]
        log.info("version %s: %d products in %d shards of %s rows", plan.version, plan.points, len(rows), rows)
        return {"version": plan.version, "points": plan.points, "shards": len(rows), "rows": rows, "dim": plan.dim}

    return artifacts.build(root, kinds.PLAN, write, settings=settings, inputs=inputs)


def shaping_of(index: IndexSettings) -> dict[str, Any]:
    """The settings that shape what is built; those that plans had not from the beginning only where they are set."""
    collections = {"server_shards", "replication_factor", "write_consistency", "vector_memory"}
    names = {"hnsw_m", "hnsw_ef_construct", "language", "vector_format"}
    return index.model_dump(include=names | (collections if index.store == "server" else set()))


def _told(shaping: dict[str, Any]) -> dict[str, Any]:
    """What of the settings names a version: a language that was set; one found in the catalogue is the catalogue's."""
    return {name: value for name, value in shaping.items() if value != AUTO}


def shard_of(plan: Artifact) -> list[dict[str, Any]]:
    """One small dict for each shard, `{"plan": path, "shard": number}`, for Airflow to map tasks over."""
    return [{"plan": str(plan.path), "shard": shard.shard} for shard in read_plan(plan.path).shards]


def read_plan(path: Path) -> Plan:
    """Open a plan artifact.

    Raises:
        DamagedArtifact: It is not one, or its file does not match its manifest.
    """
    artifacts.read(path)
    try:
        return Plan.model_validate_json((path / PLAN_FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise DamagedArtifact(
            f"{path / PLAN_FILE} is not a plan that this version of Vitrine reads ({artifacts.fault(error)}).",
            "Clear plan_shards and everything after it.",
        ) from error


def format_numbers(store: str) -> dict[str, int]:
    """The numbers of the formats of what is built from a plan for this store: raised ones must reach the live index.

    Those of what a plan is made from (source, catalogue, base, negatives, model) are in its inputs' fingerprints.
    """
    built = kinds.EDGE if store == "embedded" else kinds.SERVER
    return {"embedding": kinds.EMBEDDING.format, store: built.format, "version": kinds.VERSION.format}


def version_of(plan_fingerprint: str) -> str:
    """The name of the index version that a plan leads to."""
    return artifacts.fingerprint(kinds.VERSION, {}, {"plan": plan_fingerprint})


def row_group_sizes(catalogue: Path) -> list[int]:
    """Rows in each row group of the catalogue's products, in order."""
    with open_parquet(catalogue / PRODUCTS_FILE) as file:
        metadata = file.metadata
        return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]


def split(sizes: Sequence[int], shards: int) -> list[tuple[int, ...]]:
    """Cut row groups of `sizes` rows into at most `shards` contiguous parts of about equal rows.

    Every part has rows; row groups without any are left out. Each cut is at the boundary nearest to an
    equal share of the rows that are left, as far as that leaves a row group for every other part.
    """
    groups = [group for group, size in enumerate(sizes) if size > 0]
    ends = [0, *accumulate(sizes[group] for group in groups)]
    parts = min(shards, len(groups))
    cuts = [0]
    for part in range(1, parts):
        allowed = range(cuts[-1] + 1, len(groups) - (parts - part) + 1)
        done = ends[cuts[-1]]
        share = done + (ends[-1] - done) / (parts - part + 1)
        cuts.append(min(allowed, key=lambda cut: abs(ends[cut] - share)))
    if not groups:
        return []
    return [tuple(groups[start:end]) for start, end in zip(cuts, [*cuts[1:], len(groups)], strict=True)]


def relative(path: Path, root: Path) -> str:
    """`path` as seen from the data directory.

    Raises:
        BadSettings: It lies elsewhere.
    """
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        raise BadSettings(
            f"{path} lies outside the data directory {root}, so a plan cannot refer to it.",
            "Use the same VITRINE_DATA for every task of a run.",
        ) from None
