"""JSON lines to clean Parquet, streaming: every line is accepted, rejected with a reason, or merged.

For each file (trn, tst, lbl): read = accepted + rejected + merged. Blank lines are no records and are
counted apart. Memory is bounded by a block of lines, two row groups and 16 bytes a product for each of
the two tables of hashes, whatever the size of the file. The bytes written are a function of the source
and the settings alone, however many processes take part.

One thread unpacks and one writes, outside Python's lock; `cleaning_pool.py` parses and cleans; duplicates and
counts are dealt with here, in the file's order.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import pyarrow as pa

from include.catalogue.account import log_counts, log_warnings, refuse_empty, refuse_products, warnings
from include.catalogue.alike import require_alike
from include.catalogue.attribute_counts import AttributeCounts
from include.catalogue.attributes import Attribute
from include.catalogue.cleaning_pool import CleaningPool
from include.catalogue.columns import fixed, lists, mask, numbers, strings, strings_of
from include.catalogue.guess import chosen_mapping
from include.catalogue.links import links_nowhere, place_of_row
from include.catalogue.mapping import FieldMapping
from include.catalogue.origins import Origins, bytes_written
from include.catalogue.profile import Profile
from include.catalogue.rows import Reading, Rows, limited
from include.catalogue.schema import (
    LABELS_FILE,
    PRODUCTS,
    PRODUCTS_FILE,
    QUERIES_FILE,
    REJECTED,
    REJECTED_FILE,
    with_attributes,
)
from include.catalogue.seen import SeenHashes
from include.catalogue.summary import Counted
from include.catalogue.table_writer import TableWriter
from include.core import artifacts, kinds
from include.core.arrays import Keys
from include.core.artifacts import Artifact, Workspace
from include.core.display import printable
from include.core.errors import BadSource
from include.core.progress import Progress, Sink
from include.core.settings import ConvertSettings
from include.core.space import no_space_explained, require
from include.formats.archive import Archive
from include.formats.members import ROLES

FILES = {"trn": PRODUCTS_FILE, "tst": QUERIES_FILE, "lbl": LABELS_FILE}

EXAMPLES = 3  # kept of each reason for a rejection

COLUMN_SETTINGS = ("uid_field", "title_field", "content_fields", "attributes")  # known by the mapping that they lead to

T = TypeVar("T")


def convert(
    source: Path, settings: ConvertSettings, *, root: Path, sink: Sink | None = None, processes: int | None = None
) -> Artifact:
    """Make the catalogue artifact from a source artifact.

    Args:
        source: Directory of an artifact of kind `source`; its stats name the file and its sha256.
        settings: The limits. `max_reject_share` decides about success, not about bytes: it is no part of
            the fingerprint, and is applied to a reused artifact too.
        root: The data directory.
        sink: Receives progress, in bytes of the source.
        processes: That parse and clean a large file; None for one a processor, at most 8.

    Returns:
        Kind `catalogue`; files as in `include.catalogue.schema`. `stats["products"]` is the number of products;
        `stats["trn"]`, and `tst` and `lbl` where the source has them, hold what `docs/cleaning.md` lists.

    Raises:
        BadSource: The file cannot be read, is hostile, or holds no `trn`.
        EmptyCatalogue: No line, or no usable one.
        TooManyRejects: More than `max_reject_share` of the lines of `trn` were refused.
        CleaningInterrupted: One of the processes was killed.
        DamagedArtifact: The source artifact does not match its manifest.
    """
    origin = artifacts.read(source, verify=False)
    name = str(origin.stats.get("origin", ""))  # what whoever gave it calls it
    opened = partial(Archive, source / origin.stats["file"], name, encoding=settings.encoding)
    mapping = _mapping(opened, source, settings)
    reading = Reading(settings.max_title_chars, settings.max_content_chars, mapping)

    def write(space: Workspace) -> Mapping[str, Any]:
        artifacts.read(source)
        return _write(opened, space, settings, reading, sink, processes)

    shaping = settings.model_dump(exclude={"max_reject_share", *COLUMN_SETTINGS})
    if mapping is not None:
        shaping["mapping"] = msgspec.to_builtins(mapping)
    made = artifacts.build(root, kinds.CATALOGUE, write, settings=shaping, inputs={"source": origin.stats["sha256"]})
    refuse_products(made.stats["trn"], settings, mapping)
    if made.reused:
        log_counts(made.stats)
        log_warnings(made.stats)
    return made


def _mapping(opened: Callable[..., Archive], source: Path, settings: ConvertSettings) -> FieldMapping | None:
    try:
        with no_space_explained(source.parent), opened(scratch=source.parent) as archive:
            if len(archive.members["trn"]) > 1:
                require_alike(archive.firsts("trn"), archive.name)
            sound = (part for part in archive.parts("trn") if part.fault is None)
            return chosen_mapping(sound, settings, archive.members["trn"][0].name)
    except BadSource:
        artifacts.read(source)  # if the file is damaged, that is the reason
        raise


def _write(
    opened: Callable[..., Archive],
    space: Workspace,
    settings: ConvertSettings,
    reading: Reading,
    sink: Sink | None,
    processes: int | None,
) -> dict[str, Any]:
    stats: dict[str, Any] = {}
    target = space.path
    with opened(scratch=space.scratch) as archive:
        members = {role: archive.members[role] for role in ROLES if role in archive.members}
        total = sum(member.size for files in members.values() for member in files)
        require(target, bytes_written(archive), "Converting the catalogue")
        with (
            Progress("convert", total, unit="bytes", sink=sink) as progress,
            TableWriter(target / REJECTED_FILE, REJECTED, settings.row_group_rows) as rejected,
            CleaningPool(reading, processes) as pool,
        ):
            done = 0
            for role, files in members.items():
                origins = Origins(role, files)
                attributes = _attributes(reading.mapping) if role == "trn" else ()
                with TableWriter(target / FILES[role], with_attributes(attributes), settings.row_group_rows) as table:
                    file = _File(role, settings, table, rejected, origins, attributes)

                    def tell(read: int, before: int = done) -> None:
                        progress.done = before + read

                    for rows in pool.rows(_ahead(origins.lines(archive.parts(role, tell)))):
                        file.add(origins.take(rows))
                        progress.update(progress.done, file=role, rows=file.lines)
                done += origins.size
                progress.update(done)
                stats[role] = file.stats()
                log_counts({role: stats[role]})
                if role == "trn":
                    refuse_empty(stats[role], files[0].name if len(files) == 1 else f"Each of {len(files):,} files")
                    refuse_products(stats[role], settings, reading.mapping)
    _follow_links(stats, target)
    log_warnings(stats)
    counted = {**stats, "products": stats["trn"]["accepted"]}
    if reading.mapping is not None:
        counted["mapping"] = reading.mapping.summary()
    return Counted.model_validate(counted, extra="forbid").model_dump(exclude_unset=True)


def _attributes(mapping: FieldMapping | None) -> tuple[Attribute, ...]:
    """Those of the products."""
    described = () if mapping is None else mapping.summary()["attributes"]
    return tuple(Attribute.model_validate(each) for each in described)


def _follow_links(stats: dict[str, Any], target: Path) -> None:
    """Count the links that lead to no accepted label, which are known when `lbl` is through, and say what is odd."""
    labels = stats.get("lbl")
    places = place_of_row(target / LABELS_FILE) if labels else None
    for role, counts in stats.items():
        counts["links_nowhere"] = 0
        if role != "lbl" and counts["links"]:
            lost = counts["links"] if places is None else links_nowhere(target / FILES[role], places)
            counts["links_nowhere"] = lost
        counts["warnings"] = warnings(role, counts, labels)


class _File:
    """The conversion of one role's files, mostly one: duplicates, counts, and the way into the tables."""

    def __init__(
        self,
        role: str,
        settings: ConvertSettings,
        table: TableWriter,
        rejected: TableWriter,
        origins: Origins,
        attributes: Sequence[Attribute],
    ) -> None:
        self.lines = 0
        self._role = role
        self._origins = origins
        self._table = table
        self._attributes = AttributeCounts(table.schema, attributes) if attributes else None
        self._rejected = rejected
        self._uids = SeenHashes()
        self._texts = SeenHashes()
        self._counts: Counter[str] = Counter()
        self._cleaned: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._mended: Counter[str] = Counter()
        self._ignored: Counter[str] = Counter()
        self._refused_fields: Counter[str] = Counter()
        self._examples: dict[str, list[dict[str, Any]]] = {}
        self._profile = Profile(settings.max_title_chars, settings.max_content_chars)

    def add(self, rows: Rows) -> None:
        self._counts["blank"] += rows.blank
        self._counts["read"] += rows.total - rows.blank
        self._counts["emptied_contents"] += rows.emptied
        self._cleaned.update(rows.cleaned)
        self._mended.update(rows.mended)
        self._ignored.update(rows.ignored)
        self._refused_fields.update(rows.refused_fields)
        self._add_rejects(rows)
        if rows.lines:
            products = product_table(rows, self.lines)
            if self._attributes is not None and rows.attributes is not None:
                products = self._attributes.add(products, rows.attributes)
            texts = np.frombuffer(rows.hashes, np.uint64)[::2]
            # A label is its row number, which target_ind refers to: two rows of one uid are two labels.
            if self._role != "lbl":
                products, texts = self._merge(products, np.frombuffer(rows.uid_keys, np.uint64), texts)
            self._add_products(products, texts)
        self.lines += rows.total

    def _merge(self, products: pa.Table, uids: Keys, texts: Keys) -> tuple[pa.Table, Keys]:
        """Drop rows whose uid has been seen; `texts` are their text hashes."""
        fresh, first_texts = self._uids.add(uids, texts)
        if fresh.all():
            return products, texts
        self._counts["merged"] += int(np.count_nonzero(~fresh))
        self._counts["merged_different"] += int(np.count_nonzero(first_texts[~fresh] != texts[~fresh]))
        return products.filter(mask(fresh)).combine_chunks(), texts[fresh]

    def _add_products(self, products: pa.Table, texts: Keys) -> None:
        if not len(products):
            return
        columns = {name: products[name].chunk(0) for name in ("row", "title", "content", "target_ind")}
        fresh, first_rows = self._texts.add(texts, numbers(columns["row"]).view(np.uint64))
        self._counts["accepted"] += len(products)
        self._counts["distinct_texts"] += int(np.count_nonzero(fresh))
        self._counts["links"] += len(columns["target_ind"].flatten())
        if self._attributes is not None:
            self._attributes.count(products)
        self._profile.add(columns["title"], columns["content"], first_rows[~fresh])
        self._table.add(products)

    def _add_rejects(self, rows: Rows) -> None:
        if not rows.rejects:
            return
        origins = self._origins
        lines = [origins.line(number) for number, _, _ in rows.rejects]
        reasons = [reason for _, reason, _ in rows.rejects]
        excerpts = [excerpt for _, _, excerpt in rows.rejects]
        self._counts["rejected"] += len(lines)
        self._reasons.update(reasons)
        file = printable(origins.file, 1000)  # not every name is UTF-8
        where = {"file": file} if origins.several else {}
        for line, reason, begins in zip(lines, reasons, excerpts, strict=True):
            if len(examples := self._examples.setdefault(reason, [])) < EXAMPLES:
                examples.append({"line": line, "excerpt": begins, **where})
        files = [file] * len(lines)
        columns = [
            strings_of(files),
            fixed(np.array(lines, np.int64), pa.int64()),
            *map(strings_of, (reasons, excerpts)),
        ]
        self._rejected.add(pa.Table.from_arrays(columns, schema=REJECTED))

    def stats(self) -> dict[str, Any]:
        """What the manifest keeps of this file; its table is complete by then."""
        counts = self._counts
        accepted = counts["accepted"]
        return {
            **{name: counts[name] for name in ("read", "accepted", "rejected", "merged", "blank")},
            "merged_different": counts["merged_different"],
            "same_text": accepted - counts["distinct_texts"],
            "distinct_texts": counts["distinct_texts"],
            "links": counts["links"],
            "emptied_contents": counts["emptied_contents"],
            **self._profile.stats(self._table),
            "reasons": dict(self._reasons.most_common()),
            "examples": self._examples,
            "cleaned": dict(self._cleaned.most_common()),
            "mended": dict(self._mended.most_common()),
            "ignored": limited(self._ignored),
            "refused_fields": limited(self._refused_fields),
            **({} if self._attributes is None else {"attributes": self._attributes.stats()}),
            **self._origins.stats(),
        }


def _ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, the next one being made in a thread while the last one is used."""
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="unpack") as pool:
        pending: Future[Any] = pool.submit(next, items, end)
        while (item := pending.result()) is not end:
            pending = pool.submit(next, items, end)
            yield item


def product_table(rows: Rows, before: int) -> pa.Table:
    """The products of a block, as they will be stored; `before` lines came before it."""
    lines = fixed(np.frombuffer(rows.lines, np.int64) + before, pa.int64())
    texts = [strings(column) for column in (rows.uids, rows.titles, rows.contents)]
    links = [lists(rows.links, rows.indices, pa.int32()), lists(rows.links, rows.weights, pa.float32())]
    return pa.Table.from_arrays([lines, *texts, fixed(rows.hashes, pa.binary(16)), *links], schema=PRODUCTS)
