"""A catalogue file behind an http(s) address.

It goes through `requests` and not through fsspec's filesystem, because a resumed transfer needs `If-Range`, so that a
file that changed meanwhile is not stitched onto the old one's beginning. Proxies are taken from the standard
variables (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).
"""

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from include.core.errors import BadSource, SourceUnreachable
from include.core.progress import Progress
from include.core.redaction import foreign, mark, public
from include.source import transfer
from include.source.transfer import CHUNK, Fetched, Partial, Remote

BUSY = (408, 425, 429)  # statuses under 500 that say "later"


def http(url: str, *, pinned: bool) -> Remote:
    """A file behind http(s), known by its ETag or its time of change.

    A server that tells neither is asked anew each time. With a pinned sha256 the server is not asked at all
    until the file is needed: the hash says which content is meant.

    Raises:
        BadSource: The server refuses (404, 403 …), or the address is not one.
        SourceUnreachable: It does not answer, or is in trouble (5xx).
    """
    origin = public(url)
    require_address(url)
    seen = {} if pinned else _look(url)
    identity: dict[str, Any] = {"address": mark(url), "origin": origin}
    if not pinned:
        identity |= seen if _validator(seen) else {"unique": uuid.uuid4().hex}

    def fetch(scratch: Path, progress: Progress) -> Fetched:
        return fetch_http(url, seen, scratch, progress)

    return Remote(origin, identity, pinned or bool(_validator(seen)), fetch)


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


def fetch_http(url: str, expected: dict[str, str], scratch: Path, progress: Progress) -> Fetched:
    """Bring the file whose headers said `expected` (`etag`, `last_modified`) into `scratch`; a part is gone on with."""
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
            _require_fickle_marks(url, seen, partial, resumed=response.status_code == 206)
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


def _require_fickle_marks(url: str, seen: Mapping[str, str], partial: Partial, *, resumed: bool) -> None:
    """Raise if the file has changed, rather than the server giving each request another ETag.

    Such a server's marks tell nothing, so a third look settles it: if it agrees with the answer at hand, then the
    file is a new one. If it does not, one whole answer counts as the file, and its fingerprint will not come again.
    """
    origin = public(url)
    if resumed:
        partial.discard()
        raise SourceUnreachable(f"{origin} changed between two requests.", "The retry starts again.")
    now = _look(url)
    mark_of = "etag" if "etag" in seen else "last_modified"
    if now.get(mark_of) == seen[mark_of]:
        raise SourceUnreachable(f"{origin} changed between two requests.", "The retry starts with the new file.")


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
    bare, login = _without_login(url)
    try:
        response = requests.request(
            method,
            bare,
            headers={"Accept-Encoding": "identity", "User-Agent": "vitrine", **(headers or {})},
            auth=requests.auth.HTTPBasicAuth(*login) if login else None,
            stream=True,
            timeout=(transfer.TIMEOUT, transfer.TIMEOUT),
            allow_redirects=True,
        )
    except requests.exceptions.InvalidSchema as error:  # ours is http(s): a redirect's
        quoted = re.search(r"'(.*)'", str(error), re.DOTALL)
        target = public(quoted[1]) if quoted else "another kind of address"
        raise BadSource(
            f"{origin} redirects to {target}, which is not http(s).",
            "Give the address of the file itself.",
        ) from None
    except (requests.exceptions.TooManyRedirects, ValueError) as error:  # most of requests' own are ValueErrors, too
        raise BadSource(f"{origin} is not an address that can be read: {_cause(error)}.", transfer.WANTED) from None
    except requests.RequestException as error:
        raise SourceUnreachable(
            f"{origin} does not answer: {_cause(error)}.",
            "Check the address, the network and the proxy variables; the retry tries again.",
        ) from None
    with closing(response):
        yield response


def require_address(url: str) -> None:
    """Raise BadSource unless `url` has a host and a port that can be."""
    try:
        parts = urlsplit(url)
        possible = bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", parts.netloc)
    except ValueError:
        possible = False
    if not possible:
        raise BadSource(
            f"{public(url)} is not a valid address.",
            "Write scheme://host/path; in a password write @ as %40, / as %2F, : as %3A, # as %23.",
        )


def _without_login(url: str) -> tuple[str, tuple[bytes, bytes] | None]:
    """The address as it is asked, and its user and password, which travel in a header."""
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    user, _, password = login.partition(":")
    return urlunsplit(parts._replace(netloc=host)), (unquote(user).encode(), unquote(password).encode())


def _cause(error: Exception) -> str:
    text = re.sub(r"with url: \S+", "with url: …", str(error))  # the path is in the address, and needs no repeating
    return f"{type(error).__name__}: {foreign(text)}"


def _refuse(status: int, origin: str) -> None:
    if status in (200, 206):
        return
    if status >= 500 or status in BUSY:
        raise SourceUnreachable(f"{origin} answered with status {status}.", "The server is in trouble: retry later.")
    hint = "It wants credentials, or forbids this machine: " if status in (401, 403) else ""
    raise BadSource(f"{origin} answered with status {status}.", hint + "check the address, then trigger again.")
