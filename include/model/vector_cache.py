"""Vectors of texts that a model has encoded before: what evaluation, mining and embedding share.

`ROOT/vectors/<hash of model, length and dimensions>/<name>.parquet`: segments, each written whole and never changed,
with the columns `text_hash` (of the text as a title without content, so that a product of a title alone is found by its
own) and `vector`. What cannot be read is dropped, and so are the segments that were used longest ago once all of them
take more than `MOST_BYTES`; `prune` removes what none of the last runs used. All of it may be deleted at any time.
"""

import logging
import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa

from include.catalogue.text_hash import text_hash
from include.core import artifacts, kinds
from include.core.arrays import Hashes, Vectors
from include.core.space import SPARE
from include.model.vectors import UNIT_TOLERANCE, KnownVectors, column, schema, write_whole

log = logging.getLogger(__name__)

DIRECTORY = "vectors"
MOST_BYTES = 2**30  # of all models: three of 200,000 texts each, in 384 dimensions
SEGMENT_TEXTS = 16_384  # what is read at once

Encode = Callable[[list[str]], Vectors]  # texts to their vectors, (n, dim) float32


class VectorCache:
    """What is known of one model at one length.

    Args:
        root: The data directory.
        model: Fingerprint of the model.
        max_tokens: Where it cuts texts.
        dim: Of its vectors, as many as are kept.

    Attributes:
        directory: Where the segments are.
    """

    def __init__(self, root: Path, model: str, max_tokens: int, dim: int) -> None:
        of = artifacts.fingerprint(kinds.EMBEDDING, {"max_tokens": max_tokens, "dimensions": dim}, {"model": model})
        self._all = root / DIRECTORY
        self.directory = self._all / of
        self._dim = dim

    def vectors(self, texts: Sequence[str], encode: Encode) -> Vectors:
        """The vectors of `texts`, (n, dim) float32: found, or encoded, each text once, and kept."""
        hashes = np.frombuffer(b"".join(text_hash(text, "") for text in texts), "S16")
        distinct, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        known = KnownVectors(distinct)
        self.add_to(known)
        found, new = known.fill(distinct, self._dim)
        self._drop(known.damaged)
        rows = np.flatnonzero(new)
        rows = rows[np.argsort(first[rows])]  # in the order of the texts: a hash's order means nothing
        if len(rows) < len(distinct):
            log.info("%d of %d texts are encoded: the others' vectors are kept from before", len(rows), len(distinct))
        if len(rows):
            found[rows] = encode([texts[row] for row in first[rows]])
            self._keep(distinct[rows], found[rows])
        return found[inverse]

    def add_to(self, known: KnownVectors) -> None:
        """Tell where the vectors lie."""
        for segment in self.directory.glob("[!.]*.parquet") if known.missing else ():
            known.add_file(segment, self._columns)
            with suppress(FileNotFoundError):  # dropped by another process just now
                os.utime(segment)

    @property
    def _columns(self) -> pa.Schema:
        return schema(self._dim).remove(0)  # a vector is a text's, whichever uids have it

    def _keep(self, hashes: Hashes, vectors: Vectors) -> None:
        """Write segments. A cache that cannot be written is no reason to fail."""
        if not (np.abs(np.linalg.norm(vectors, axis=1) - 1) <= UNIT_TOLERANCE).all():  # NaN neither
            return
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self._all).free < 2 * vectors.nbytes + SPARE:
                log.info("the disk is too full to keep the vectors of %d texts", len(vectors))
                return
            for start in range(0, len(hashes), SEGMENT_TEXTS):
                part = slice(start, start + SEGMENT_TEXTS)
                packed = pa.py_buffer(hashes[part].tobytes())
                marks = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(hashes[part]), [None, packed])
                table = pa.table([marks, column(vectors[part])], schema=self._columns)
                write_whole(self.directory / f"{uuid.uuid4().hex}.parquet", table)
        except OSError as error:
            log.warning("the vectors of %d texts are not kept: %s", len(vectors), error)
        self._bound()

    def _bound(self) -> None:
        held = []
        for segment in self._all.glob("*/[!.]*.parquet"):
            with suppress(FileNotFoundError):
                held.append((segment.stat().st_mtime, segment.stat().st_size, segment))
        excess = sum(size for _, size, _ in held) - MOST_BYTES
        for _, size, segment in sorted(held):
            if excess <= 0:
                break
            segment.unlink(missing_ok=True)
            excess -= size

    def _drop(self, damaged: set[Path]) -> None:
        for segment in damaged:
            segment.unlink(missing_ok=True)
