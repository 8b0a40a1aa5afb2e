"""Catalogue files in an object store or on a file server that fsspec knows, by their address.

Only the schemes listed here are taken: fsspec has others that read from this very machine, chain one address
into another or need parameters, and an address that a person mistyped would end in one of them.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from glob import has_magic
from itertools import takewhile
from typing import Any
from urllib.parse import unquote

from include.core.errors import BadSource, SourceUnreachable, VitrineError
from include.core.progress import Progress
from include.core.redaction import foreign, mark, public
from include.source import transfer
from include.source.folder import Files, gathered, is_hidden
from include.source.transfer import Fetched, Listed, Partial, Remote, read_blocks
from include.source.web import require_address

PACKAGES = {  # the package that each scheme needs; None: none beside fsspec
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
    "ftp": None,
    "sftp": "paramiko",
    "memory": None,  # this process's own, for tests
}
SUPPORTED = "a path, file://, http://, https://, s3://, gs://, abfs://, az://, ftp://, sftp://, or a Google Drive id"
OBJECT_MARKS = ("ETag", "etag", "md5Hash", "content_md5", "generation", "VersionId", "version_id")
OBJECT_TIMES = ("LastModified", "last_modified", "mtime", "modified", "updated", "created")


def stored(url: str, *, pinned: bool) -> Remote:
    """What lies in a store of PACKAGES: an object, all in a folder, or what a pattern (`s3://shop/*.csv`) matches.

    An object is known by its ETag, version or time, a folder by those of its files.

    Raises:
        BadSource: The scheme is not supported, its package is not installed, there is no such object, or it may
            not be read.
        SourceUnreachable: The store does not answer.
    """
    origin = public(url)
    secrets = _login(url)
    filesystem, path = _open_store(url, origin, secrets)
    filesystem.invalidate_cache()
    is_pattern = has_magic(path)
    try:
        with _store_errors(origin, secrets):
            info = filesystem.info(path)
    except BadSource:
        if not is_pattern:
            raise
    else:
        if info.get("type") != "directory":
            return _Store(filesystem, secrets).object(path, info, url, pinned=pinned).remote
        is_pattern = False
    store = _Store(filesystem, secrets)
    base = path.rstrip("/")
    if is_pattern:
        base = "/".join(takewhile(lambda part: not has_magic(part), path.split("/")))

    def look() -> Files:
        with _store_errors(origin, secrets):
            return store.files(path, base, is_pattern=is_pattern, url=url)

    def lies_there() -> list[str]:
        with _store_errors(origin, secrets):
            names: list[str] = filesystem.ls(base, detail=False)
        return sorted(name.rstrip("/").rpartition("/")[2] for name in names)

    return gathered(url, origin, look, lies_there)


class _Store:
    """An opened store."""

    def __init__(self, filesystem: Any, secrets: list[str]) -> None:
        self._filesystem, self._secrets = filesystem, secrets

    def files(self, path: str, base: str, *, is_pattern: bool, url: str) -> Files:
        """The files below `path`, or that it matches, by their paths from `base`."""
        self._filesystem.invalidate_cache()
        matches = self._filesystem.glob(path, detail=True) if is_pattern else {path: {"type": "directory"}}
        found: Files = {}
        for match, of_match in matches.items():
            is_folder = of_match.get("type") == "directory"
            inside = self._filesystem.find(match, detail=True) if is_folder else {match: of_match}
            for place, info in inside.items():
                name = place.removeprefix(base).strip("/")
                if name and info.get("type") != "directory" and not is_hidden(name):
                    address = f"{url.partition('://')[0]}://{place.lstrip('/')}"
                    found[name] = self.object(place, info, address, pinned=False)
        return found

    def object(self, path: str, info: dict[str, Any], url: str, *, pinned: bool) -> Listed:
        """One file, of which the store says `info`."""
        origin, size = public(url), info.get("size")
        seen = {key: str(info[key]) for key in (*OBJECT_MARKS, *OBJECT_TIMES) if info.get(key) is not None}
        identity: dict[str, Any] = {"address": mark(url), "origin": origin}
        if not pinned:
            identity |= seen | {"size": size} if seen else {"unique": uuid.uuid4().hex}

        def copy(into: Partial, progress: Progress) -> Fetched:
            start = into.held()
            with _store_errors(origin, self._secrets):
                stream = self._filesystem.open(path, "rb")
                stream.seek(start)
            with stream:
                blocks = read_blocks(stream, lambda: _store_errors(origin, self._secrets))
                return into.receive(blocks, origin, start, size, progress)

        remote = Remote(origin, identity, bool(seen), lambda scratch, progress: copy(Partial(scratch, seen), progress))
        return Listed(remote, size, seen | {"size": size} if seen else {}, copy)


def _open_store(url: str, origin: str, secrets: list[str]) -> tuple[Any, str]:
    """fsspec's filesystem for `url`, and the path in it."""
    import fsspec.core

    scheme = url.partition("://")[0].lower()
    if scheme not in PACKAGES:
        raise BadSource(f"{scheme}:// is not supported ({origin}).", f"The catalogue may be {SUPPORTED}.")
    if "::" in url:
        raise BadSource(f"{origin} has `::` in it, which would chain two addresses.", transfer.WANTED)
    if scheme in ("ftp", "sftp"):
        require_address(url)
    try:
        with _store_errors(origin, secrets):
            filesystem, path = fsspec.core.url_to_fs(scheme + url[len(scheme) :])
    except ImportError as error:
        package = PACKAGES[scheme]
        raise BadSource(
            f"{scheme}:// needs the package {package}, which is not installed here: {foreign(error, secrets)}.",
            f"On every worker run `pip install -c constraints.txt {package}`, or use another source.",
        ) from None
    return filesystem, path


def _login(url: str) -> list[str]:
    """`user:password` and `password` of an address, as far as they may reach."""
    login = url.partition("://")[2].rpartition("@")[0]
    return [login, login.partition(":")[2], unquote(login.partition(":")[2])]


@contextmanager
def _store_errors(origin: str, secrets: list[str]) -> Iterator[None]:
    """Sort a store's errors into ours, told without secrets. Its packages have exceptions of their own."""
    try:
        yield
    except (VitrineError, ImportError, MemoryError):
        raise
    except (FileNotFoundError, IsADirectoryError):
        raise BadSource(f"There is no file {origin}.", transfer.WANTED) from None
    except PermissionError as error:
        raise BadSource(
            f"{origin} may not be read: {foreign(error, secrets)}.",
            "Give the workers credentials for it (s3: AWS_* variables; gs: GOOGLE_APPLICATION_CREDENTIALS).",
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadSource(
            f"{origin} is not an address that can be read: {type(error).__name__}: {foreign(error, secrets)}.",
            transfer.WANTED,
        ) from None
    except Exception as error:
        raise SourceUnreachable(
            f"{origin} cannot be read: {type(error).__name__}: {foreign(error, secrets)}.",
            "Check the network and the store's credentials on the worker, then retry.",
        ) from None
