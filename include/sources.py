"""Where a catalogue file can come from: a path, an http(s) address, an object store.

Each function looks at the source without fetching it and returns a `Remote`. http(s) goes through
`requests` and not through fsspec's filesystem, because a resumed transfer needs `If-Range`, so that a file
that changed meanwhile is not stitched onto the old one's beginning. Proxies are taken from the standard
variables (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).
"""

import os
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from include import transfer
from include.errors import BadSource, SourceUnreachable
from include.progress import Progress
from include.transfer import CHUNK, Fetched, Partial, Remote, mark, public

PATHS = "Paths are resolved on the worker that runs the task: give an absolute path that this machine can read."
BUSY = (408, 425, 429)  # statuses under 500 that say "later"
OBJECT_MARKS = ("ETag", "etag", "md5Hash", "content_md5", "generation", "VersionId", "version_id")
OBJECT_TIMES = ("LastModified", "last_modified", "mtime", "modified", "updated", "created")


def local(source: str) -> Remote:
    """A file on this machine: a path, `~/…`, or `file://…`. Known by its path, size and time of change.

    Raises:
        BadSource: There is no such file, it cannot be read, or it is a directory.
    """
    if source.startswith("file:"):
        parts = urlsplit(source)
        if parts.netloc not in ("", "localhost"):
            raise BadSource(f"{source} names another machine ({parts.netloc}).", "Write file:///absolute/path.")
        source = unquote(parts.path)
    path = Path(os.path.abspath(Path(source).expanduser()))  # noqa: PTH100 - links stay as they were written
    try:
        found = path.stat()
    except OSError as error:
        raise BadSource(f"There is no file {path} ({error.strerror}).", PATHS) from error
    if not path.is_file():
        raise BadSource(f"{path} is a directory or a device, not a file.", PATHS)
    if not os.access(path, os.R_OK):
        raise BadSource(f"{path} may not be read by this user.", "Change its permissions, or copy it elsewhere.")

    def fetch(scratch: Path, progress: Progress) -> Fetched:
        with path.open("rb") as stream:
            copy = Partial(scratch, {}).receive(_blocks(stream), str(path), 0, found.st_size, progress)
            now = os.fstat(stream.fileno())
        if (now.st_size, now.st_mtime_ns) != (found.st_size, found.st_mtime_ns):
            raise SourceUnreachable(f"{path} changed while it was being read.", "The retry reads it again.")
        return copy

    identity = {"path": str(path), "size": found.st_size, "mtime_ns": found.st_mtime_ns}
    return Remote(str(path), identity, False, fetch)


def http(url: str, *, pinned: bool) -> Remote:
    """A file behind http(s), known by its ETag or its time of change.

    A server that tells neither is asked anew each time. With a pinned sha256 the server is not asked at all
    until the file is needed: the hash says which content is meant.

    Raises:
        BadSource: The server refuses (404, 403 …), or the address is not one.
        SourceUnreachable: It does not answer, or is in trouble (5xx).
    """
    origin = public(url)
    seen = {} if pinned else _look(url)
    identity: dict[str, Any] = {"address": mark(url), "origin": origin}
    if not pinned:
        identity |= seen if _validator(seen) else {"unique": uuid.uuid4().hex}

    def fetch(scratch: Path, progress: Progress) -> Fetched:
        return _fetch_http(url, seen, scratch, progress)

    return Remote(origin, identity, pinned or bool(_validator(seen)), fetch)


def stored(url: str, *, pinned: bool) -> Remote:
    """An object in any store that fsspec knows (s3://, gs://, abfs://, ftp:// …), known by its ETag, version or time.

    Raises:
        BadSource: There is no such object, it may not be read, or the store's package is not installed.
        SourceUnreachable: The store does not answer.
    """
    import fsspec.core

    origin = public(url)
    scheme = url.partition("://")[0]
    try:
        filesystem, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise BadSource(
            f"{origin} needs a package that is not installed: {error}.",
            f"Install fsspec's package for {scheme}:// on the workers (s3: s3fs, gs: gcsfs), or use another source.",
        ) from error
    except ValueError as error:
        raise BadSource(f"{origin} is not an address that can be read: {error}.", transfer.WANTED) from error
    with _store_errors(origin):
        info = filesystem.info(path)
    if info.get("type") == "directory":
        raise BadSource(f"{origin} is a directory, not a file.", transfer.WANTED)
    size = info.get("size")
    seen = {key: str(info[key]) for key in (*OBJECT_MARKS, *OBJECT_TIMES) if info.get(key) is not None}
    identity: dict[str, Any] = {"address": mark(url), "origin": origin}
    if not pinned:
        identity |= seen | {"size": size} if seen else {"unique": uuid.uuid4().hex}

    def fetch(scratch: Path, progress: Progress) -> Fetched:
        partial = Partial(scratch, seen)
        start = partial.held()
        with _store_errors(origin), filesystem.open(path, "rb") as stream:
            stream.seek(start)
            return partial.receive(_blocks(stream), origin, start, size, progress)

    return Remote(origin, identity, bool(seen), fetch)


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    while block := stream.read(CHUNK):
        yield block


@contextmanager
def _store_errors(origin: str) -> Iterator[None]:
    """Sort a store's errors into ours. Its packages have exceptions of their own, known by where they come from."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError) as error:
        raise BadSource(f"There is no file {origin}.", transfer.WANTED) from error
    except PermissionError as error:
        raise BadSource(
            f"{origin} may not be read: {error}.",
            "Give the workers credentials for it (s3: AWS_* variables; gs: GOOGLE_APPLICATION_CREDENTIALS).",
        ) from error
    except (ConnectionError, TimeoutError) as error:
        raise SourceUnreachable(f"{origin} cannot be read: {error}.", "The retry tries again.") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] in ("include", "builtins"):
            raise  # ours, a full disk, or a mistake in the code
        raise SourceUnreachable(
            f"{origin} cannot be read: {type(error).__name__}: {error}.",
            "Check the network and the store's credentials on the worker, then retry.",
        ) from error


def _look(url: str) -> dict[str, str]:
    """What the server's headers say of the file, by HEAD, or where that is refused by a GET that is not read."""
    with _answer("HEAD", url) as response:
        if response.status_code < 400:
            return _known(response.headers)
    with _answer("GET", url) as response:
        _refuse(response.status_code, public(url))
        return _known(response.headers)


def _known(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that identify content; those of a partial answer mean the same."""
    names = {"ETag": "etag", "Last-Modified": "last_modified"}
    return {ours: headers[name] for name, ours in names.items() if headers.get(name)}


def _validator(seen: Mapping[str, str]) -> str:
    """What `If-Range` may carry: a strong ETag, else a date (RFC 9110, 13.1.5)."""
    etag = seen.get("etag", "")
    return seen.get("last_modified", "") if etag.startswith("W/") or not etag else etag


def _fetch_http(url: str, expected: dict[str, str], scratch: Path, progress: Progress) -> Fetched:
    origin = public(url)
    on_disk = Partial(scratch, {}).note()
    partial = Partial(scratch, expected or on_disk)
    start = partial.held()
    headers = {}
    if start and (validator := _validator(expected or on_disk)):
        headers = {"Range": f"bytes={start}-", "If-Range": validator}
    with _answer("GET", url, headers) as response:
        if response.status_code == 416:  # nothing lies behind our last byte
            length = response.headers.get("Content-Range", "").rpartition("/")[2]
            if length == str(start):
                return partial.receive((), origin, start, start, progress)
            partial.discard()
            raise SourceUnreachable(f"{origin} is shorter than before.", "The retry starts again.")
        _refuse(response.status_code, origin)
        seen = _known(response.headers)
        common = seen.keys() & expected.keys()  # the machines behind one address may differ in the ETag alone
        if common and all(seen[key] != expected[key] for key in common):
            raise SourceUnreachable(f"{origin} changed between two requests.", "The retry starts with the new file.")
        length = response.headers.get("Content-Length")
        total = None if length is None or not length.isdigit() else int(length)
        if response.status_code == 206:
            span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
            if span is None or int(span[1]) != start:
                partial.discard()
                raise SourceUnreachable(f"{origin} sent another part than was asked for.", "The retry starts again.")
            total = int(span[2])
        else:
            start = 0
            partial = Partial(scratch, seen if _validator(seen) else {})
        # As the bytes are on the wire: a stored .gz that a server declares as Content-Encoding stays one.
        body = response.raw.stream(CHUNK, decode_content=False)
        return partial.receive(_counted(body, origin, start, total), origin, start, total, progress)


def _counted(body: Iterator[bytes], origin: str, done: int, total: int | None) -> Iterator[bytes]:
    """`body`, whose network errors become ours; errors of the disk, raised elsewhere, do not pass here."""
    from urllib3.exceptions import HTTPError

    try:
        for chunk in body:
            yield chunk
            done += len(chunk)
    except (HTTPError, ConnectionError, TimeoutError) as error:
        raise transfer.broken_off(origin, done, total) from error


@contextmanager
def _answer(method: str, url: str, headers: Mapping[str, str] | None = None) -> Iterator[Any]:
    """The server's answer, body unread. The causes of errors are told without the query, which may hold a key."""
    import requests

    origin = public(url)
    try:
        response = requests.request(
            method,
            url,
            headers={"Accept-Encoding": "identity", "User-Agent": "vitrine", **(headers or {})},
            stream=True,
            timeout=(transfer.TIMEOUT, transfer.TIMEOUT),
            allow_redirects=True,
        )
    except (requests.exceptions.InvalidURL, requests.exceptions.TooManyRedirects, UnicodeError) as error:
        raise BadSource(f"{origin} is not an address that can be read: {_cause(error)}.", transfer.WANTED) from None
    except requests.RequestException as error:
        raise SourceUnreachable(
            f"{origin} does not answer: {_cause(error)}.",
            "Check the address, the network and the proxy variables; the retry tries again.",
        ) from None
    try:
        yield response
    finally:
        response.close()


def _cause(error: Exception) -> str:
    text = re.sub(r"\?[^\s'\")]+", "?…", str(error))
    text = re.sub(r"//[^/@\s]+@", "//…@", text)
    return f"{type(error).__name__}: {text}"


def _refuse(status: int, origin: str) -> None:
    if status in (200, 206):
        return
    if status >= 500 or status in BUSY:
        raise SourceUnreachable(f"{origin} answered with status {status}.", "The server is in trouble: retry later.")
    hint = "It wants credentials, or forbids this machine: " if status in (401, 403) else ""
    raise BadSource(f"{origin} answered with status {status}.", hint + "check the address, then trigger again.")
