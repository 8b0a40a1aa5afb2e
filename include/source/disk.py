"""Catalogue files on this machine: a path, a folder, or a pattern that matches several files."""

import difflib
import glob
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import takewhile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from include.core.display import printable
from include.core.errors import BadSource, SourceUnreachable
from include.core.progress import Progress
from include.core.redaction import public, shown
from include.source.folder import MOST_FILES, Files, gathered, is_hidden, some_names, too_many
from include.source.transfer import Fetched, Listed, Partial, Remote, read_blocks

log = logging.getLogger(__name__)

PATHS = "Paths are resolved on the worker that runs the task: give an absolute path that this machine can read."


def local(source: str) -> Remote:
    """What lies on this machine: a path, `~/…`, or `file://…`; of a file, a folder or a pattern (`/data/*.csv.gz`).

    A file is known by its path, size and time of change, a folder by those of its files.

    Raises:
        BadSource: There is no such file, it cannot be read, or there is none in the folder.
    """
    path, named = _path(source)
    if glob.has_magic(str(path)) and not os.path.lexists(path):
        return gathered(str(path), named, partial(_matching, path), lambda: _lies_in(_base(path)))
    found = _state(path, named)
    if path.is_dir():
        return gathered(str(path), named, partial(_inside, path, path), lambda: _lies_in(path))
    return _file(path, found, named).remote


def _path(source: str) -> tuple[Path, str]:
    """The absolute path that a path or a `file:` address means, and how to call it."""
    named = shown(source)
    try:
        if source.startswith("file:"):
            parts = urlsplit(source)
            if parts.netloc not in ("", "localhost"):
                raise BadSource(f"{public(source)} names another machine.", "Write file:///absolute/path.")
            source = unquote(parts.path)
        path = Path(os.path.abspath(Path(source).expanduser()))  # noqa: PTH100 - links stay as they were written
    except RuntimeError as error:
        raise BadSource(f"{named} cannot be found on this machine: {error}", PATHS) from None
    except ValueError:  # a NUL character, or half an address
        raise BadSource(f"{named} is no path that can exist.", PATHS) from None
    return path, shown(str(path)) if named == source else named


def _state(path: Path, named: str) -> os.stat_result:
    try:
        return path.stat()
    except ValueError:
        raise BadSource(f"{named} is no path that can exist.", PATHS) from None
    except PermissionError:
        raise BadSource(
            f"{named} may not be reached by this user: one of its directories may not be entered.",
            "Give the worker's user the right to enter each directory above it (x), or copy the file elsewhere.",
        ) from None
    except OSError as error:
        told, step = _nearest(path) if isinstance(error, FileNotFoundError | NotADirectoryError) else ("", "")
        raise BadSource(f"There is no file {named} ({error.strerror}){told}.", f"{step}{PATHS}") from None


def _file(path: Path, found: os.stat_result, named: str) -> Listed:
    """A regular, readable file."""
    if not path.is_file():
        raise BadSource(f"{named} is a device, not a file.", PATHS)
    if not os.access(path, os.R_OK):
        raise BadSource(f"{named} may not be read by this user.", "Change its permissions, or copy it elsewhere.")
    marks = {"size": found.st_size, "mtime_ns": found.st_mtime_ns}

    def copy(into: Partial, progress: Progress) -> Fetched:
        with _read_errors(path):
            stream = path.open("rb")
        with stream:
            blocks = read_blocks(stream, lambda: _read_errors(path))
            copied = into.receive(blocks, str(path), 0, found.st_size, progress)
            now = os.fstat(stream.fileno())
        if (now.st_size, now.st_mtime_ns) != (found.st_size, found.st_mtime_ns):
            raise SourceUnreachable(f"{path} changed while it was being read.", "The retry reads it again.")
        return copied

    identity = {"path": str(path), **marks}
    remote = Remote(str(path), identity, False, lambda scratch, progress: copy(Partial(scratch, {}), progress))
    return Listed(remote, found.st_size, marks, copy)


@contextmanager
def _read_errors(path: Path) -> Iterator[None]:
    """Errors of reading `path`, apart from those of writing the copy."""
    try:
        yield
    except OSError as error:
        raise SourceUnreachable(
            f"{path} cannot be read ({error.strerror or error}).", "Check its disk or network share, then retry."
        ) from error


def _inside(folder: Path, base: Path) -> Files:
    """The files in a folder and below it, by their paths from `base`."""

    def refuse(error: OSError) -> None:
        raise BadSource(f"{error.filename} cannot be listed ({error.strerror}).", PATHS) from error

    found: Files = {}
    for directory, below, names in os.walk(folder, onerror=refuse):
        below[:] = [name for name in below if not is_hidden(name)]
        if links := [printable(name) for name in sorted(below) if Path(directory, name).is_symlink()]:
            log.warning("passed over in %s, because they are links to folders: %s", directory, ", ".join(links))
        for path in (Path(directory, name) for name in names if not is_hidden(name)):
            if path.is_file():  # no socket, no dangling link
                found[path.relative_to(base).as_posix()] = _file(path, path.stat(), str(path))
            if len(found) > MOST_FILES:
                raise too_many(str(folder))
    return found


def _matching(pattern: Path) -> Files:
    """The files that a pattern matches, and those in folders that it matches, by their paths from its last folder."""
    base = _base(pattern)
    found: Files = {}
    for match in map(Path, glob.iglob(str(pattern), recursive=True)):  # noqa: PTH207 - Path.glob takes no absolute one
        if match.is_dir():
            found |= _inside(match, base)
        elif match.is_file():
            found[match.relative_to(base).as_posix()] = _file(match, match.stat(), str(match))
        if len(found) > MOST_FILES:
            raise too_many(str(pattern))
    return found


def _base(pattern: Path) -> Path:
    """The folder that all matches lie in."""
    return Path(*takewhile(lambda part: not glob.has_magic(part), pattern.parts))


def _nearest(path: Path) -> tuple[str, str]:
    """What lies where a path leads nowhere, and the likeliest slip: the end of a message, the beginning of a step."""
    folder = next(parent for parent in path.parents if parent.is_dir())
    there, missing = _lies_in(folder), path.relative_to(folder).parts[0]
    shapes = {name.rstrip("/").casefold(): name.rstrip("/") for name in there}
    alike = difflib.get_close_matches(missing.casefold(), shapes, n=1)
    step = f"Did you mean {shown(str(folder / shapes[alike[0]]))}? " if alike else ""
    return f"; {shown(str(folder))} has {some_names(there) or 'nothing in it'}", step


def _lies_in(folder: Path) -> list[str]:
    try:
        return sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir())
    except OSError:
        return []
