"""Embeds one shard: Parquet in, vectors out; a text that the model has seen before is copied.

Works row group by row group. Each finished one is kept, whole, in the artifact's scratch directory, so
a try that was killed loses at most one row group. Batches never cross a row group's border, so a
resumed shard equals an undisturbed one.

The fingerprint is made of the model and of the content of the shard's rows (uids and text hashes, by
row group), not of the catalogue: a changed catalogue embeds again only the shards that changed, and in
those only the texts that are new.
"""

import hashlib
import json
import logging
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from include.catalogue.schema import PRODUCTS_FILE, open_parquet, product_text, read_rows
from include.core import artifacts, kinds
from include.core.arrays import Ids, Ints, Vectors
from include.core.artifacts import Artifact, Workspace
from include.core.errors import BadModel
from include.core.progress import Progress, Sink
from include.core.space import require
from include.index.plan import Plan, Shard, read_plan
from include.index.summary import Embedded
from include.model.directory import stored_max_tokens
from include.model.tokens import CatalogueTokens, find, joins
from include.model.vector_cache import VectorCache
from include.model.vectors import (
    VECTORS_FILE,
    KnownVectors,
    column,
    require_unit,
    schema,
    text_hashes,
    write_whole,
    writer,
)

if TYPE_CHECKING:
    from include.model.encoder import Encoder

log = logging.getLogger(__name__)

COUNTS = b"vitrine.counts"  # a scratch file's own counts, in its schema's metadata


def embed(plan: Path, shard: int, *, root: Path, batch_tokens: int = 0, sink: Sink | None = None) -> Artifact:
    """Embed the products of one shard.

    Args:
        plan: Artifact of kind `plan`.
        shard: Its number.
        root: The data directory.
        batch_tokens: Word pieces in a batch, padding included; shapes memory and speed, not the result. 0 for what is
            fastest on this machine, see `include.model.pace`.
        sink: Receives progress, in rows.

    Returns:
        Artifact of kind `embedding` with `vectors.parquet` (see `include.model.vectors`): float32 vectors of
        length 1. Its statistics: `Embedded`.

    Raises:
        BadModel: The model cannot be loaded, has another dimension than planned, or gives vectors that
            are not finite and of length 1.
        BadSettings: The plan has no such shard, or is of other formats.
        DamagedArtifact: The plan, catalogue or model does not match its manifest.
    """
    opened = read_plan(plan)
    opened.require_formats()
    part = opened.shard(shard)
    artifacts.read(root / opened.catalogue, verify=False)  # its pages carry checksums of their own
    products = root / opened.catalogue / PRODUCTS_FILE
    model = artifacts.read(root / opened.model, verify=False)
    inputs = {"model": model.fingerprint, "rows": rows_fingerprint(products, part.row_groups)}

    def write(space: Workspace) -> dict[str, Any]:
        return _Embedding(opened, part, root, products, model.fingerprint, space, batch_tokens).run(sink)

    kept = opened.embed.get("dimensions")
    return artifacts.build(root, kinds.EMBEDDING, write, settings={"dimensions": kept} if kept else {}, inputs=inputs)


def rows_fingerprint(products: Path, row_groups: Sequence[int]) -> str:
    """A hash of the uids and texts of these row groups, in order: equal content, equal hash, wherever it lies."""
    digest = hashlib.blake2b(digest_size=16)
    for table in read_rows(products, ["uid", "text_hash"], row_groups):
        uids = [uid.encode() for uid in table["uid"].to_pylist()]
        digest.update(struct.pack(f"<{len(uids) + 1}I", len(uids), *map(len, uids)))  # so that "ab","c" is not "a","bc"
        digest.update(b"".join(uids))
        digest.update(text_hashes(table["text_hash"]).tobytes())
    return digest.hexdigest()


class _Embedding:
    """One try at one shard."""

    def __init__(
        self,
        plan: Plan,
        shard: Shard,
        root: Path,
        products: Path,
        model_fingerprint: str,
        space: Workspace,
        batch_tokens: int,
    ) -> None:
        self.plan, self.shard, self.root, self.products, self.space = plan, shard, root, products, space
        self.batch_tokens = batch_tokens
        self.name = f"embed shard {shard.shard}"
        self._model_fingerprint = model_fingerprint
        self._encoder: Encoder | None = None
        self._tokens: CatalogueTokens | None = None

    def run(self, sink: Sink | None) -> dict[str, Any]:
        """Make every row group that is not in the scratch directory yet, then join them."""
        groups = self.shard.row_groups
        pieces = [self.space.scratch / f"row-group-{number:05d}.parquet" for number in range(len(groups))]
        known = KnownVectors(np.concatenate([text_hashes(table["text_hash"]) for table in self._rows(["text_hash"])]))
        kept = {number for number, piece in enumerate(pieces) if self._is_whole(piece, known)}
        if kept:
            log.info("%s: %d of %d row groups are kept from an earlier try", self.name, len(kept), len(groups))
        # Each row group is written twice, apart and joined: a vector, a hash, a uid.
        need = 2 * self.shard.rows * (4 * self.plan.dim + 64) - sum(pieces[number].stat().st_size for number in kept)
        require(self.space.path, need, f"Embedding shard {self.shard.shard}")
        known.add_published(self.root, self._model_fingerprint, self.plan.dim)
        cut = stored_max_tokens(self.root / self.plan.model)
        VectorCache(self.root, self._model_fingerprint, cut, self.plan.dim).add_to(known)
        rows_kept = sum(_rows_of(pieces[number]) for number in kept)
        with Progress(self.name, self.shard.rows, sink=sink, start=rows_kept) as progress:
            for number, piece in enumerate(pieces):
                if number in kept:
                    continue
                table = next(self._rows(["uid", "title", "content", "text_hash"], [groups[number]]))
                made, counts = self._embed(
                    table, groups[number], known, progress, f"row group {number + 1} of {len(groups)}"
                )
                columns = schema(self.plan.dim, {COUNTS.decode(): json.dumps(counts)})
                write_whole(piece, pa.table([table["uid"], table["text_hash"], column(made)], schema=columns))
                known.add(piece, 0, text_hashes(table["text_hash"]))
        return self._join(pieces)

    def _rows(self, columns: Sequence[str], groups: Sequence[int] | None = None) -> Iterator[pa.Table]:
        return read_rows(self.products, columns, self.shard.row_groups if groups is None else groups)

    def _is_whole(self, piece: Path, known: KnownVectors) -> bool:
        """Whether an earlier try left this row group; every page of it is read, and its texts become known."""
        if not piece.exists():
            return False
        try:
            with open_parquet(piece) as file:
                known.add(piece, 0, text_hashes(file.read()["text_hash"]))
        except (pa.ArrowException, OSError) as damage:
            log.warning("%s: %s of an earlier try is damaged and made again: %s", self.name, piece.name, damage)
            piece.unlink()
            return False
        return True

    def _embed(
        self, table: pa.Table, group: int, known: KnownVectors, progress: Progress, where: str
    ) -> tuple[Vectors, dict[str, Any]]:
        """Vectors (n, dim) of a row group's products, and how they came about."""
        texts, first, inverse = np.unique(text_hashes(table["text_hash"]), return_index=True, return_inverse=True)
        distinct, new = known.fill(texts, self.plan.dim)
        embed = np.flatnonzero(new)
        embed = embed[np.argsort(first[embed])]  # in the order of the rows: a hash's order means nothing
        before = progress.done
        copied = table.num_rows - len(embed)
        progress.update(before + copied)
        tokens, began = 0, time.monotonic()
        if len(embed):
            encoder = self._model()
            ids = self._word_pieces(encoder, table, group, first[embed])

            def forward(snapshot: dict[str, Any]) -> None:
                nonlocal tokens
                tokens = snapshot["total"]
                share = snapshot["done"] / max(tokens, 1)
                progress.update(before + copied + int(share * len(embed)), tokens_per_second=snapshot["rate"])

            distinct[embed] = encoder.encode_ids(
                ids, batch_tokens=self.batch_tokens, sink=forward, stage=f"{self.name}, {where}"
            )
        seconds = time.monotonic() - began if len(embed) else 0.0
        require_unit(distinct, f"shard {self.shard.shard}, {where}, of model {self.plan.model}")
        counts = {"embedded": len(embed), "copied": copied, "tokens": tokens, "seconds": seconds}
        return distinct[inverse], counts

    def _model(self) -> "Encoder":
        if self._encoder is None:  # a shard that copies every vector needs no model
            from include.model.encoder import Encoder

            path = artifacts.read(self.root / self.plan.model).path
            self._encoder = Encoder.load(path, dimensions=self.plan.embed.get("dimensions", 0), measured=self.root)
            if self._encoder.dim != self.plan.dim:
                raise BadModel(
                    f"The model {path} gives vectors of {self._encoder.dim} dimensions, the plan of version "
                    f"{self.plan.version} says {self.plan.dim}.",
                    "Clear plan_shards and everything after it.",
                )
            self._tokens = self._cut_before(self._encoder)
        return self._encoder

    def _cut_before(self, encoder: "Encoder") -> CatalogueTokens | None:
        """The catalogue's word pieces, where training has cut them for this model.

        Else this stage cuts what it needs: after a change of the catalogue alone, that is far less than all.
        """
        if not joins(encoder.tokenizer):
            return None
        path = find(self.root / self.plan.catalogue, encoder.tokenizer, encoder.max_tokens, root=self.root)
        if path is None:
            return None
        log.info("%s: the word pieces are those that training cut", self.name)
        return CatalogueTokens(path, encoder.tokenizer)

    def _word_pieces(self, encoder: "Encoder", table: pa.Table, group: int, rows: Ints) -> list[Ids]:
        """Of these rows of a row group; the same whether cut before or now."""
        if self._tokens is not None:
            with open_parquet(self.products) as file:
                before = sum(file.metadata.row_group(number).num_rows for number in range(group))
            return [self._tokens.product(before + row) for row in rows.tolist()]
        texts = table.select(["title", "content"]).take(rows).to_pylist()
        return list(encoder.tokenize([product_text(row["title"], row["content"]) for row in texts]))

    def _join(self, pieces: Sequence[Path]) -> dict[str, Any]:
        """Write the row groups to one file, one at a time."""
        total = {"embedded": 0, "copied": 0, "tokens": 0, "seconds": 0.0}
        rows = 0
        columns = schema(self.plan.dim)
        with writer(self.space.path / VECTORS_FILE, columns) as out:
            for piece in pieces:
                with open_parquet(piece) as file:
                    table = file.read()
                for name, value in json.loads(table.schema.metadata[COUNTS]).items():
                    total[name] += value
                rows += table.num_rows
                out.write_table(table.replace_schema_metadata(None), row_group_size=table.num_rows)
        speed = round(total["tokens"] / total["seconds"], 1) if total["seconds"] else 0.0
        log.info(
            "%s: %d rows, %d texts embedded, %d copied, %.0f tokens/s",
            self.name,
            rows,
            total["embedded"],
            total["copied"],
            speed,
        )
        counts = {name: total[name] for name in ("embedded", "copied", "tokens")}
        return Embedded(rows=rows, **counts, tokens_per_second=speed, dim=self.plan.dim).model_dump()


def _rows_of(piece: Path) -> int:
    with open_parquet(piece) as file:
        return int(file.metadata.num_rows)
