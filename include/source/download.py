"""Fetch the catalogue: the sample, a file, folder or pattern on disk or in an object store, a web or Drive file.

The file is streamed to disk, hashed on the way, looked at (`include.source.transfer.check`: a web page, an empty or
a truncated file is never taken for data) and published as an artifact of kind `source`. Its fingerprint says
which remote content it is, so an unchanged source is not fetched again. A transfer that broke off, or whose
process was killed, goes on where it stopped if the source can tell that its content is still the same.

Retries are Airflow's job; timeouts are ours (`include.source.transfer.TIMEOUT`).
"""

import os
import re
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

from include.core import artifacts, kinds
from include.core.errors import HashMismatch, StorageFull, Terminal, VitrineError
from include.core.progress import Progress, Sink
from include.core.settings import SourceSettings
from include.core.space import FULL, require
from include.formats.archive import Archive
from include.sample.write import write_sample
from include.source import disk, drive, object_stores, web
from include.source.transfer import Fetched, Format, Remote, check

NAMES: dict[Format, str] = {
    "zip": "catalogue.zip",
    "gzip": "catalogue.json.gz",
    "tar": "catalogue.tar",
    "bzip2": "catalogue.bz2",
    "xz": "catalogue.xz",
    "zstandard": "catalogue.zst",
    "parquet": "catalogue.parquet",
    "arrow": "catalogue.arrow",
    "excel": "catalogue.xlsx",
    "jsonl": "catalogue.jsonl",
    "text": "catalogue.txt",
    "folder": "catalogue",
}
SAMPLE_BYTES = 120  # a product; seen: 80
ONCE = "once"  # marks a scratch directory that no later attempt can use
STALE = 7 * 24 * 3600.0  # seconds after which a partial copy that nobody went on with is deleted


def download(settings: SourceSettings, *, root: Path, sink: Sink | None = None) -> artifacts.Artifact:
    """Fetch the catalogue file that the settings name.

    Args:
        settings: The source and, if pinned, its sha256.
        root: The data directory.
        sink: Receives progress in bytes (for the sample, in products).

    Returns:
        Kind `source`: one data file or a folder of them, and `stats`: `file` (its name in the artifact), `origin`
        (where it is from, without secrets), `bytes`, `sha256`, `format` (of `Format`); for the sample also
        `sample`, the counts of `include.sample.write.write_sample`. Where `format` is "folder", `file` is a directory,
        `files` how many are in it, `listed` the names and bytes of the first of them, and `sha256` that of the list
        that `sha256sum` makes of them, in the order of their names.

    Raises:
        BadSource: The source does not exist, may not be read, or is no catalogue file.
        HashMismatch: It is not the file whose sha256 was pinned.
        SourceUnreachable: It does not answer, or the transfer broke off.
        QuotaExceeded: Google Drive refuses the file for now.
        StorageFull: The disk cannot hold it.
    """
    source, pinned = settings.source.strip(), (settings.source_sha256 or "").lower()
    artifacts.sweep(root, kinds.SOURCE, _useless)
    remote = _synthetic(settings) if source == "sample" else _look(source, pinned=bool(pinned))
    unit = "products" if source == "sample" else "bytes"
    return artifacts.build(
        root,
        kinds.SOURCE,
        lambda space: _write(space, remote, pinned, Progress("download", unit=unit, sink=sink)),
        settings={**remote.identity, "sha256": pinned},
    )


def reach(source: str) -> str:
    """See that a source is there and may be read, without fetching it; returns its name, free of secrets.

    Raises:
        BadSource: It does not exist, or may not be read.
        SourceUnreachable: It does not answer.
        QuotaExceeded: Google Drive refuses the file for now.
    """
    return _look(source, pinned=False).origin


def is_path(source: str) -> bool:
    """Whether a source is a path or a pattern on this machine. A file of that name wins over a Drive id."""
    return _is_here(source) or not (_scheme(source) or drive.drive_file(source))


def _look(source: str, *, pinned: bool) -> Remote:
    """Find out what `source` is."""
    scheme = _scheme(source)
    if scheme == "file" or is_path(source):
        return disk.local(source)
    if on_drive := drive.drive_file(source):
        return drive.look(on_drive, pinned=pinned)
    if scheme in ("http", "https"):
        return web.http(source, pinned=pinned)
    return object_stores.stored(source, pinned=pinned)


def _scheme(source: str) -> str:
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", source)
    return found[1].lower() if found else ""


def _is_here(source: str) -> bool:
    """Whether there is a file or folder of that name; what cannot be a path, or may not be looked at, is not."""
    try:
        return not _scheme(source) and Path(source).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def _synthetic(settings: SourceSettings) -> Remote:
    products, seed = settings.sample_products, settings.sample_seed
    return Remote(
        f"sample ({products} products, seed {seed})",
        {"sample": kinds.SAMPLE.format, "products": products, "seed": seed},
        False,
        partial(_write_sample, products, seed),
    )


def _write_sample(products: int, seed: int, scratch: Path, progress: Progress) -> Fetched:
    path = scratch / "sample.zip"
    require(scratch, SAMPLE_BYTES * products, f"The sample of {products:,} products")
    progress.update(0, products)
    counts = write_sample(path, products, seed, progress=progress)
    return Fetched(path, artifacts.file_sha256(path), True, {"sample": counts})


def _write(space: artifacts.Workspace, remote: Remote, pinned: str, progress: Progress) -> dict[str, Any]:
    if not remote.resumable:
        (space.scratch / ONCE).touch()
    try:
        with progress:
            file = remote.fetch(space.scratch, progress)
    except Exception as error:
        # What cannot be gone on with must not fill the disk, and a full disk needs the room.
        full = isinstance(error, StorageFull) or (isinstance(error, OSError) and error.errno in FULL)
        empty = not any(space.scratch.iterdir())
        if full or empty or not remote.resumable or isinstance(error, Terminal):
            shutil.rmtree(space.scratch)
        raise
    try:
        form: Format = "folder" if file.path.is_dir() else check(file, remote.origin)
        if pinned and file.sha256 != pinned:
            raise HashMismatch(
                f"{remote.origin} has the sha256 {file.sha256}, but {pinned} was pinned.",
                "It is another file than expected: check where it is from, then correct `source_sha256` or `source`.",
            )
        with Archive(file.path, remote.origin, space.scratch):  # whether what is inside is a catalogue
            pass
    except VitrineError:
        shutil.rmtree(space.scratch)
        raise
    stats: dict[str, Any] = {
        "file": NAMES[form],
        "origin": remote.origin,
        "bytes": file.path.stat().st_size,
        "sha256": file.sha256,
        "format": form,
        **file.details,
    }
    os.replace(file.path, space.path / NAMES[form])
    return stats


def _useless(scratch: Path) -> bool:
    """Whether a killed download left it behind, and no later one can use it."""
    newest = max(entry.stat().st_mtime for entry in (scratch, *scratch.iterdir()))
    return (scratch / ONCE).exists() or time.time() - newest >= STALE
