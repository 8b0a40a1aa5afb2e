"""One Edge shard on disk: how it is built, or made of an earlier one, and how it is opened without being changed.

Opening a shard writes: the engine replaces `edge_config.json` and `segment.json` (by rename, through
temporary directories), resizes some files to the size that they have, and maps most of them for
writing. Seen with qdrant-edge-py 0.9.0 under strace: the contents stay equal, but names come and go.
So a reader opens a *view*: a temporary directory with copies of the small files and symbolic links to
the data directories. The artifact verifies after any number of readers, who do not meet each other.

The empty segment that a sealed shard keeps for points to come stays out of the view: opening it would read 32 MiB of
holes into memory. The engine makes another there, whose holes it does not read.
"""

import errno
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge

from include.catalogue.attributes import Attribute
from include.core.errors import DamagedArtifact, StorageFull, StoreUnavailable, VerificationFailed
from include.core.index_settings import IndexSettings
from include.core.progress import Progress, Sink
from include.core.space import NEXT_STEP, fill_holes, full, in_memory, no_space_explained, require
from include.store.edge_filter import INDEXES, text_index
from include.store.filters import path_of
from include.store.protocol import TEXT_FIELD, PointBatch

BATCH_POINTS = 1000
NO_SPACE = "No space left"  # in the engine's messages
FORMATS: dict[str, dict[str, Any]] = {
    "float32": {},
    "float16": {"datatype": qdrant_edge.VectorStorageDatatype.Float16},
    "turbo8": {"datatype": qdrant_edge.VectorStorageDatatype.Turbo8},
    "int8": {
        "memory": qdrant_edge.Memory.Cold,
        "quantization_config": qdrant_edge.ScalarQuantizationConfig(qdrant_edge.ScalarType.Int8),
    },
}
EMPTY_INDEX = 2 * 2**20  # bytes that an index of no points takes on a file system in memory; seen: 1.5
FULL_SCAN_KB = 10_000  # the engine's default: a smaller segment is searched exactly, which is as fast


@dataclass(frozen=True)
class Revision:
    """A shard that is made of a copy of an earlier one.

    Attributes:
        gone: Ids of the points that go before others come.
        dim: Of its vectors.
        points: How many it is to have in the end.
    """

    gone: list[str]
    dim: int
    points: int


@dataclass(frozen=True)
class Job:
    """A shard to be built.

    Attributes:
        directory: Where; not there yet, or an earlier shard's copy.
        shard: Its number.
        index: The shape of its graph.
        attributes: Of its points.
        total: Points to come, where known.
        revision: None for a new shard.
    """

    directory: Path
    shard: int
    index: IndexSettings
    attributes: tuple[Attribute, ...] = ()
    total: int | None = None
    revision: Revision | None = None


def build(job: Job, batches: Iterable[PointBatch], sink: Sink | None) -> dict[str, Any]:
    """Write one optimised shard; statistics for the manifest."""
    shard, directory = job.shard, job.directory
    larger = _larger(batches, BATCH_POINTS)
    if job.revision is None:
        directory.mkdir()
        if (first := next(larger, None)) is None:
            raise VerificationFailed(f"Shard {shard} has no points.", "Plan fewer shards than row groups.")
        require(directory, bytes_a_point(first) * (job.total or len(first)), f"Building shard {shard}")
        dim, larger = first.vectors.shape[1], chain([first], larger)
        opened = _create(job, dim)
    else:
        dim = job.revision.dim
        opened = _reopen(job, job.revision)
    with closing(opened) as engine:
        loaded = _load(engine, job, larger, sink)
        points = job.revision.points if job.revision else loaded
        with (
            Progress(f"optimise shard {shard}", points, unit="points", sink=sink) as progress,
            engine_explained(f"optimise shard {shard}", directory),
        ):
            engine.optimize()
            progress.update(points)
        with engine_explained(f"close shard {shard}", directory):
            held = engine.info()
            engine.flush()
    # With ten points or fewer the engine leaves a journal that the next opening removes: not from the artifact.
    with engine_explained(f"open shard {shard} again", directory):
        qdrant_edge.EdgeShard.load(str(directory)).close()
    if held.points_count != points:
        raise VerificationFailed(
            f"Shard {shard} was given {points} points and holds {held.points_count}.",
            "Uids must be distinct: look for the same uid twice in the catalogue.",
        )
    return {"shard": shard, "points": points, "dim": dim, "indexed": held.indexed_vectors_count}


def _load(engine: qdrant_edge.EdgeShard, job: Job, batches: Iterable[PointBatch], sink: Sink | None) -> int:
    """Put the points in; how many they were."""
    points = 0
    with Progress(f"load shard {job.shard}", job.total, unit="points", sink=sink) as progress:
        for batch in batches:
            rows = zip(batch.ids, batch.vectors, batch.payloads, strict=True)
            with engine_explained(f"load shard {job.shard}", job.directory):
                engine.update(
                    qdrant_edge.UpdateOperation.upsert_points(
                        [qdrant_edge.Point(name, vector.tolist(), payload) for name, vector, payload in rows]
                    )
                )
            points += len(batch)
            progress.advance(len(batch))
    return points


def bytes_a_point(batch: PointBatch) -> float:
    """Of disk while a shard is built: twice the vectors and payloads, of which the engine holds two copies meanwhile.

    Measured, 1.7 to 1.9 times. (The graph's links, compressed, are little beside them.)
    """
    payloads = sum(len(str(value).encode()) for payload in batch.payloads for value in payload.values())
    return 2 * (batch.vectors.nbytes + payloads) / len(batch)


def _config(index: IndexSettings, dim: int) -> qdrant_edge.EdgeConfig:
    return qdrant_edge.EdgeConfig(
        vectors=qdrant_edge.EdgeVectorParams(
            size=dim, distance=qdrant_edge.Distance.Cosine, **FORMATS[index.vector_format]
        ),
        hnsw_config=qdrant_edge.HnswIndexConfig(
            m=index.hnsw_m, ef_construct=index.hnsw_ef_construct, full_scan_threshold=FULL_SCAN_KB
        ),
        # One segment, and indexed however small: the unindexed form keeps room for updates on disk. Written anew even
        # if one point alone was deleted: BM25 would count its words.
        optimizers=qdrant_edge.EdgeOptimizersConfig(
            default_segment_number=1, indexing_threshold=1, deleted_threshold=0.0, vacuum_min_vector_number=0
        ),
        wal_enabled=False,  # a write-ahead log would allow one process a directory, readers included
    )


def _reopen(job: Job, revision: Revision) -> qdrant_edge.EdgeShard:
    """The copy of an earlier shard, without the points that go."""
    with engine_explained("open the copy of a shard", job.directory):
        engine = qdrant_edge.EdgeShard.load(str(job.directory), _config(job.index, revision.dim))
        if revision.gone:
            engine.update(qdrant_edge.UpdateOperation.delete_points(list(revision.gone)))
    return engine


def _create(job: Job, dim: int) -> qdrant_edge.EdgeShard:
    """An empty shard without write-ahead log, its payload indexes made before any point."""
    with engine_explained("create a shard", job.directory):
        engine = qdrant_edge.EdgeShard.create(str(job.directory), _config(job.index, dim))
        indexes = {TEXT_FIELD: text_index(scoring=True)}
        for each in job.attributes:
            made = text_index(scoring=False) if each.type == "text" else INDEXES[each.type]()
            indexes[path_of(each.name)] = made
        for path, params in indexes.items():
            engine.update(qdrant_edge.UpdateOperation.create_field_index(path, params))
    return engine


def load(shard: Path, view: Path) -> qdrant_edge.EdgeShard:
    """Open `shard` through a view of it, see the module's docstring."""
    with no_space_explained(view):
        _make_view(shard, view)
    for index in view.glob("segments/*/payload_index"):  # seen: the engine reads its files from end to end
        with no_space_explained(shard):
            fill_holes(index)
    try:
        return qdrant_edge.EdgeShard.load(str(view))
    except Exception as error:  # the engine raises nothing more specific
        if NO_SPACE in str(error):
            raise StorageFull(full(view, reason=str(error)), NEXT_STEP) from error
        raise DamagedArtifact(
            f"Qdrant Edge cannot load the shard {shard}: {error}.",
            "It maps the files for writing: check that this user may write to them. Otherwise run the shard's "
            "upsert task again.",
        ) from error


def _make_view(shard: Path, view: Path) -> None:
    (view / "segments").mkdir(parents=True)
    for file in (entry for entry in shard.iterdir() if entry.is_file()):
        shutil.copyfile(file, view / file.name)
    for segment in (shard / "segments").iterdir():
        if not any(segment.glob("*id_tracker.mappings")):  # it has no points, see the module's docstring
            if in_memory(view):
                indexes = len(list((segment / "payload_index").iterdir()))
                require(view, EMPTY_INDEX * indexes, "Opening a shard", spare=0)
            continue
        seen = view / "segments" / segment.name
        seen.mkdir()
        for entry in segment.iterdir():
            if entry.is_dir():
                (seen / entry.name).symlink_to(entry.resolve(), target_is_directory=True)
            else:
                shutil.copyfile(entry, seen / entry.name)


def _larger(batches: Iterable[PointBatch], size: int) -> Iterator[PointBatch]:
    """Join batches until they have `size` points or more; empty ones vanish."""
    held: list[PointBatch] = []
    dim: int | None = None
    for batch in batches:
        dim = dim or batch.vectors.shape[1]
        if batch.vectors.shape[1] != dim:
            raise VerificationFailed(
                f"The vector of uid {batch.uids[0]!r} has {batch.vectors.shape[1]} dimensions, others have {dim}.",
                "The shard was embedded by two models: clear its embed task and run it again.",
            )
        held.append(batch)
        if sum(map(len, held)) >= size:
            yield _join(held)
            held = []
    if sum(map(len, held)):
        yield _join(held)


def _join(batches: Sequence[PointBatch]) -> PointBatch:
    return PointBatch(
        [uid for batch in batches for uid in batch.uids],
        [name for batch in batches for name in batch.ids],
        np.concatenate([batch.vectors for batch in batches]),
        [payload for batch in batches for payload in batch.payloads],
    )


@contextmanager
def engine_explained(action: str, place: Path | None = None) -> Iterator[None]:
    """Give the engine's errors, plain `Exception`s, a class and a next step."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception:
            raise
        if NO_SPACE in str(error):
            raise OSError(errno.ENOSPC, str(error), str(place)) from error
        raise StoreUnavailable(
            f"Qdrant Edge could not {action}{f' in {place}' if place else ''}: {error}.",
            "Retry the task; if it fails again, the message above is the engine's own.",
        ) from error
