"""Several files as one source: a folder with all that is below it, or the files that a pattern matches.

They arrive one after another in one directory, under their own names. The fingerprint is made of what tells each file's
content (name, size, time of change, ETag): an unchanged folder is not fetched again, and a transfer that broke off goes
on at the file where it stopped, since what has arrived is of the same content.
"""

import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from include.core import artifacts
from include.core.display import printable
from include.core.errors import BadSource, SourceUnreachable, VitrineError
from include.core.progress import Progress
from include.core.redaction import mark
from include.core.space import require
from include.formats.members import name_fault
from include.source.transfer import Fetched, Listed, Partial, Remote

log = logging.getLogger(__name__)

Files: TypeAlias = dict[str, Listed]  # by their paths in the folder, with `/`

MOST_FILES = 10_000
NAMED = 8  # files in a message
LISTED = 100  # files in the statistics
HIDDEN = (".", "_", "~$")  # `_SUCCESS`, `_temporary/`, the lock of an open workbook
UNFINISHED = (".crc", ".tmp", ".part", ".partial", ".crdownload", ".filepart")
PASSED_OVER = (
    "Passed over are empty files, names that begin with . or _, and what is still being written (.tmp, .part)."
)


def gathered(address: str, origin: str, look: Callable[[], Files], lies_there: Callable[[], Sequence[str]]) -> Remote:
    """The files of a folder or a pattern as one source; a single one is taken as if it had been named itself.

    Args:
        address: The folder or the pattern.
        origin: The same, without secrets.
        look: Lists the files.
        lies_there: Names what is in the folder, whether it matches or not: for the message where nothing does.

    Raises:
        BadSource: There is no file, there are too many, or a name cannot be a file's.
    """
    found = look()
    files = {name: found[name] for name in sorted(found) if _is_wanted(name, found[name].size)}
    if empty := sorted(name for name in found if found[name].size == 0 and not is_hidden(name)):
        log.warning("passed over in %s, because empty: %s", origin, some_names(empty))
    if not files:
        raise BadSource(
            f"No file to read is in {origin}: there is {some_names(lies_there()) or 'nothing'}.", PASSED_OVER
        )
    _require_names(origin, files)
    if len(files) == 1:
        return next(iter(files.values())).remote
    marks = {name: each.marks for name, each in files.items()}
    listing = hashlib.sha256(json.dumps(marks, sort_keys=True).encode()).hexdigest()
    identity: dict[str, Any] = {"folder": mark(address), "origin": origin, "files": len(files), "listing": listing}
    told = all(marks.values())
    if not told:
        identity["unique"] = uuid.uuid4().hex

    def fetch(scratch: Path, progress: Progress) -> Fetched:
        try:
            fetched = _fetch(origin, files, scratch / "files", progress)
        except SourceUnreachable:
            with suppress(VitrineError):
                if _changed(files, look()):
                    _empty(scratch)
            raise
        now = look()
        if changed := _changed(files, now):
            _empty(scratch)
            raise SourceUnreachable(
                f"{some_names(changed)} in {origin} changed while the folder was fetched.",
                "The retry fetches it again.",
            )
        if late := sorted(name for name in now.keys() - files if _is_wanted(name, now[name].size)):
            log.warning("%s came into %s meanwhile: the next run has it", some_names(late), origin)
        return fetched

    return Remote(origin, identity, told, fetch)


def too_many(origin: str) -> BadSource:
    """The error for more than `MOST_FILES`."""
    return BadSource(
        f"{origin} holds more than {MOST_FILES:,} files.",
        "Name a folder further down, a pattern such as /data/exports/*.csv.gz, or pack them into one archive.",
    )


def is_hidden(name: str) -> bool:
    """Whether a file, or a folder above it, is none of the data by its name."""
    return any(part.startswith(HIDDEN) and part != ".." for part in PurePosixPath(name).parts)


def _is_wanted(name: str, size: int | None) -> bool:
    return size != 0 and not is_hidden(name) and not name.lower().endswith(UNFINISHED)


def _require_names(origin: str, files: Files) -> None:
    if len(files) > MOST_FILES:
        raise too_many(origin)
    folders = {parent.as_posix() for name in files for parent in PurePosixPath(name).parents}
    for name in files:
        long = max(len(os.fsencode(part)) for part in name.split("/")) > 255
        fault = name_fault(name) or ("is a folder's too" if name in folders else "is too long" if long else "")
        if fault:
            raise BadSource(
                f"A name in {origin} cannot be a file's: {printable(name)!r} {fault}.", "Rename it, or leave it out."
            )


def _changed(before: Files, now: Files) -> list[str]:
    return [name for name, each in before.items() if name not in now or now[name].marks != each.marks]


def _empty(scratch: Path) -> None:
    """Delete what has arrived: it is of a content that will not come again."""
    shutil.rmtree(scratch)
    scratch.mkdir()


def _fetch(origin: str, files: Files, folder: Path, progress: Progress) -> Fetched:
    """Bring what is not there yet; the sha256 is that of the list that `sha256sum` makes of the files."""
    sizes = [each.size for each in files.values()]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    arrived = sum((folder / name).stat().st_size for name in files if (folder / name).exists())
    if total is not None:
        require(folder.parent, total - arrived, origin)
    done, digest = 0, hashlib.sha256()
    listed: dict[str, int] = {}
    for name, each in files.items():
        target = folder / name
        if target.exists():
            sha256 = artifacts.file_sha256(target)
        else:
            content = {**each.marks, "name": name} if each.remote.resumable else {}
            into = Partial(folder.parent, content, sniffed=False)
            fetched = each.copy(into, _Share(progress, done, total))
            sha256 = fetched.sha256
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(fetched.path, target)
        size = target.stat().st_size
        digest.update(os.fsencode(f"{sha256}  {name}\n"))
        if len(listed) < LISTED:
            listed[printable(name)] = size
        done += size
        progress.update(done, total)
    log.info("%s: %d files, %s bytes", origin, len(files), f"{done:,}")
    return Fetched(folder, digest.hexdigest(), True, {"bytes": done, "files": len(files), "listed": listed})


def some_names(names: Sequence[str]) -> str:
    """`a, b and 3 more`."""
    shown = ", ".join(printable(name) for name in names[:NAMED])
    return shown + (f" and {len(names) - NAMED:,} more" if len(names) > NAMED else "")


class _Share(Progress):
    """A file's progress, told as that of the whole folder."""

    def __init__(self, whole: Progress, before: int, total: int | None) -> None:
        super().__init__(whole.stage, total, unit=whole.unit)
        self._whole, self._before = whole, before

    def update(self, done: int, total: int | None = None, **extra: Any) -> None:
        self._whole.update(self._before + done, self.total, **extra)
