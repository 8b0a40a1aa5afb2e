"""Vectors on disk: the Parquet file of an embedding, and where a text's vector is already known.

`vectors.parquet` has the columns `uid` (string), `text_hash` (16 bytes, see `include.catalogue.text_hash`) and
`vector` (fixed_size_list<float32>), its rows and row groups those of the shard. Page checksums are on,
for writing and for reading.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from include.catalogue.schema import open_parquet
from include.core import artifacts, kinds
from include.core.arrays import Bools, Hashes, Vectors
from include.core.errors import BadModel
from include.core.files import sync_directory

log = logging.getLogger(__name__)

VECTORS_FILE = "vectors.parquet"
UNIT_TOLERANCE = 1e-3  # of a norm: float32 rounding over 768 dimensions stays under 1e-5


def schema(dim: int, metadata: Mapping[str, str] | None = None) -> pa.Schema:
    """Columns of `vectors.parquet` for vectors of `dim` dimensions."""
    vector = pa.list_(pa.field("element", pa.float32(), nullable=False), dim)
    fields = [("uid", pa.string()), ("text_hash", pa.binary(16)), ("vector", vector)]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in fields], metadata=metadata)


def writer(path: Path, columns: pa.Schema) -> pq.ParquetWriter:
    """A writer for `vectors.parquet`. Uncompressed: the mantissas of floats do not shrink."""
    return pq.ParquetWriter(
        path, columns, compression="none", use_dictionary=False, write_statistics=False, write_page_checksum=True
    )


def write_whole(path: Path, table: pa.Table) -> None:
    """Write one row group to `path`: atomically and durably, so that a file of this name is whole."""
    part = path.with_name(f".{path.name}.part")
    try:
        with writer(part, table.schema) as out:
            out.write_table(table, row_group_size=max(table.num_rows, 1))
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    sync_directory(path.parent)


def column(vectors: Vectors) -> pa.FixedSizeListArray:
    """The `vector` column of float32 vectors (n, dim)."""
    kind = schema(vectors.shape[1]).field("vector").type
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(vectors).reshape(-1)), type=kind)


def matrix(values: pa.ChunkedArray) -> Vectors:
    """A `vector` column as float32 (n, dim); shares its memory where it can."""
    flat = values.combine_chunks().flatten().to_numpy()
    made: Vectors = np.asarray(flat, dtype=np.float32).reshape(len(values), values.type.list_size)
    return made


def text_hashes(values: pa.ChunkedArray) -> Hashes:
    """A `text_hash` column as an array of 16-byte strings (n,), for sorting and searching."""
    packed = b"".join(values.to_pylist())
    return np.frombuffer(packed, dtype="S16")


def require_unit(vectors: Vectors, where: str) -> None:
    """Check that every vector of (n, dim) is finite and of length 1.

    Raises:
        BadModel: One is not; the message counts them and gives the first row.
    """
    norms = np.linalg.norm(vectors, axis=1)
    bad = np.flatnonzero(~(np.abs(norms - 1) <= UNIT_TOLERANCE))  # also true for NaN
    if len(bad):
        raise BadModel(
            f"{len(bad)} of {len(vectors)} vectors of {where} are not of length 1; the first is row {bad[0]}, "
            f"of length {norms[bad[0]]}.",
            "The model is broken (NaN weights?): look at its history.json, lower the learning rate, train again.",
        )


class KnownVectors:
    """Where the vectors of wanted texts already lie, so that no text is embedded twice.

    Holds hashes and locations (28 bytes a text), not vectors: those are read one row group at a time.

    Args:
        wanted: Text hashes, in any order, repeats allowed.

    Attributes:
        damaged: Files of which something could not be read.
    """

    def __init__(self, wanted: Hashes) -> None:
        self._wanted = np.unique(wanted)
        self._files: list[Path] = []
        self.damaged: set[Path] = set()
        self._file = np.full(len(self._wanted), -1, dtype=np.int32)
        self._group = np.zeros(len(self._wanted), dtype=np.int32)
        self._row = np.zeros(len(self._wanted), dtype=np.int32)

    @property
    def missing(self) -> int:
        """How many wanted texts have no known vector yet."""
        return int(np.count_nonzero(self._file < 0))

    def add(self, path: Path, group: int, found: Hashes) -> None:
        """Remember that row i of this row group holds the vector of text `found[i]`; the first place stays."""
        if path not in self._files:
            self._files.append(path)
        spot = np.searchsorted(self._wanted, found).clip(max=len(self._wanted) - 1)
        new = np.flatnonzero((self._wanted[spot] == found) & (self._file[spot] < 0))
        self._file[spot[new]] = self._files.index(path)
        self._group[spot[new]] = group
        self._row[spot[new]] = new

    def add_published(self, root: Path, model: str, dim: int) -> None:
        """Look through the published embeddings of the model with this fingerprint, newest first."""

        def fits(found: artifacts.Artifact) -> bool:
            return found.inputs.get("model") == model and artifacts.is_of_format(found, kinds.EMBEDDING)

        earlier = artifacts.newest_first(root, kinds.EMBEDDING, fits, verify=False)
        while self.missing and (made := next(earlier, None)):
            self.add_file(made.path / VECTORS_FILE, schema(dim))

    def add_file(self, path: Path, columns: pa.Schema) -> None:
        """Look through a file of vectors. Damage must not stop who looks: its texts are embedded instead."""
        try:
            with open_parquet(path) as file:
                if not file.schema_arrow.equals(columns):
                    log.info("%s has vectors of another length; they are not reused", path)
                    return
                for group in range(file.num_row_groups):
                    self.add(path, group, text_hashes(file.read_row_group(group, columns=["text_hash"])["text_hash"]))
        except (pa.ArrowException, OSError) as damage:
            log.warning("the vectors of %s are not reused: %s", path, damage)
            self.damaged.add(path)

    def fill(self, texts: Hashes, dim: int) -> tuple[Vectors, Bools]:
        """The vectors (n, dim) of `texts` (all wanted, distinct), and which of them are not known: theirs are unset."""
        vectors, new = np.empty((len(texts), dim), np.float32), np.ones(len(texts), dtype=bool)
        for positions, found in self.read(texts):
            vectors[positions], new[positions] = found, False
        return vectors, new

    def read(self, texts: Hashes) -> Iterator[tuple[npt.NDArray[np.intp], Vectors]]:
        """Read the known vectors of `texts` (all wanted, distinct), one row group of a file after another.

        Yields positions in `texts` and their vectors (n, dim); positions that never come are not known. A
        row group that turns out damaged is forgotten, with a warning, and does not come either.
        """
        spot = np.searchsorted(self._wanted, texts)
        places = np.stack([self._file[spot], self._group[spot]], axis=1)
        for number, group in np.unique(places[places[:, 0] >= 0], axis=0):
            positions = np.flatnonzero((places[:, 0] == number) & (places[:, 1] == group))
            path = self._files[number]
            try:
                with open_parquet(path) as file:
                    vectors = matrix(file.read_row_group(int(group), columns=["vector"])["vector"])
            except (pa.ArrowException, OSError) as damage:
                log.warning("row group %d of %s is damaged, its texts are embedded again: %s", group, path, damage)
                self.damaged.add(path)
                self._file[spot[positions]] = -1
                continue
            yield positions, vectors[self._row[spot[positions]]]
