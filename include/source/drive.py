"""A file on Google Drive, by its id or link, through gdown; a Google Sheet as the CSV table that Google makes of it.

Drive hides a large file behind a page that warns of unscanned viruses; gdown knows the way past it. It also
refuses popular files for up to 24 hours, sometimes with status 200: that page is told from others here.

`VITRINE_DRIVE_COOKIES` may name a cookies.txt (Netscape form) of a signed-in browser: its own quota counts
then. Proxies are taken from the standard variables.
"""

import hashlib
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import LoadError, MozillaCookieJar
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from include.core.environment import DRIVE_COOKIES
from include.core.errors import BadSettings, BadSource, QuotaExceeded, SourceUnreachable
from include.core.files import write_json
from include.core.progress import Progress
from include.core.redaction import foreign, public, shown
from include.core.space import require
from include.source import transfer
from include.source.transfer import Fetched, Partial, Remote
from include.source.web import fetch_http

HOSTS = ("drive.google.com", "docs.google.com", "drive.usercontent.google.com")
_ID = re.compile(r"(?=.*\d)(?=.*[A-Z])(?=.*[a-z])[-\w]{25,80}", re.ASCII)
_LINK = re.compile(rf"(?:https?:)?(?://)?((?:{'|'.join(map(re.escape, HOSTS))})(?:[/?].*)?)", re.IGNORECASE)
_QUOTA = re.compile(r"too many users|quota exceeded|download quota|automated queries|unusual traffic", re.IGNORECASE)
_DENIED = re.compile(r"you need access|request access|access denied|sign in|permission", re.IGNORECASE)
_SHARE = "In Drive, share the file with 'Anyone with the link', check the id, then trigger again."


@dataclass(frozen=True)
class DriveFile:
    """What a Drive link names.

    Attributes:
        id: Of the file.
        key: Its `resourcekey`, which links to some older files need.
        sheet: The address of a Google Sheet's export as CSV; empty for a file.
    """

    id: str
    key: str = ""
    sheet: str = ""

    @property
    def origin(self) -> str:
        """How messages call it."""
        return f"Google Sheet {self.id}" if self.sheet else f"Google Drive file {self.id}"

    @property
    def address(self) -> str:
        """Where Drive sends the content itself."""
        key = {"resourcekey": self.key} if self.key else {}
        asked = urlencode({"export": "download", "confirm": "t", "id": self.id, **key})
        return self.sheet or f"https://drive.google.com/uc?{asked}"


def drive_file(source: str) -> DriveFile | None:
    """What a bare id or a link in any of Drive's shapes names; None where `source` is neither.

    Raises:
        BadSource: A Drive link that names no file, such as a folder.

    >>> drive_file("drive.google.com/open?id=12zH4mL2RX8iSvH0VCNnd3QxO4DzuHWnK/").id
    '12zH4mL2RX8iSvH0VCNnd3QxO4DzuHWnK'
    """
    source = source.strip()
    if _ID.fullmatch(source):
        return DriveFile(source)
    link = _LINK.fullmatch(source)
    if not link:
        return None
    parts = urlsplit(f"https://{link[1]}")
    asked = {name: values[0].strip(" /") for name, values in parse_qs(parts.query).items()}
    if sheet := re.search(r"/spreadsheets/(?:u/\d+/)?d/(e/)?([-\w]+)", parts.path):
        tab = asked.get("gid") or parse_qs(parts.fragment).get("gid", [""])[0]
        tab = f"&gid={tab}" if tab.isdigit() else ""
        end = "pub?output=csv" if sheet[1] else "export?format=csv"
        return DriveFile(
            sheet[2], sheet=f"https://docs.google.com/spreadsheets/d/{sheet[1] or ''}{sheet[2]}/{end}{tab}"
        )
    in_path = re.search(r"/file/(?:u/\d+/)?d/([-\w]+)", parts.path)
    found = in_path[1] if in_path else asked.get("id", "")
    if "folder" in parts.path:
        raise BadSource(
            f"{public(parts.geturl())} is a Google Drive folder.",
            "Give the link of one file in it, of a ZIP of all of them, or download the folder and give its path.",
        )
    if not re.fullmatch(r"[-\w]{10,}", found):
        raise BadSource(
            f"{public(parts.geturl())} is a Google Drive link without a file's id.",
            "Open the file (not its folder) in Drive, choose Share, Copy link, and use that.",
        )
    return DriveFile(found, asked.get("resourcekey", ""))


def look(file: DriveFile, *, pinned: bool) -> Remote:
    """The file as Drive shows it now: known by its id, and by the time of its last change where Drive tells.

    Drive tells it for a shared file that is not over its quota. Where it does not, the id alone counts, and a
    file that was replaced under its id is noticed only through another `source_sha256`; a Google Sheet, which people
    edit in place, is then fetched each time. With a pinned sha256 Drive is not asked until the file is needed.

    Raises:
        BadSource: There is no such file, or it is not shared.
        QuotaExceeded: Drive refuses it for now.
        SourceUnreachable: Drive does not answer.
    """
    seen = {} if pinned else _ask(file)
    identity: dict[str, str] = {"drive": file.id, **seen}
    if file.sheet:
        identity |= {"sheet": file.sheet, **({} if pinned or "last_modified" in seen else {"unique": uuid.uuid4().hex})}

    def fetch(scratch: Path, progress: Progress) -> Fetched:
        if file.sheet or file.key:  # gdown sends no resourcekey, and needs no page of warnings passed here
            marks: dict[str, str] = {name: seen[name] for name in ("etag", "last_modified") if name in seen}
            return fetch_http(file.address, marks, scratch, progress)
        return _fetch(file, seen or _ask(file), scratch, progress)

    return Remote(file.origin, identity, pinned or "last_modified" in seen, fetch)


def _ask(file: DriveFile) -> dict[str, str]:
    """The headers that Drive would send with the file: `last_modified`, `length`, `etag`, those that it has.

    Empty where Drive answers with a page that is no refusal: gdown will find the way from there.
    """
    import requests

    with _drive_errors(file.origin), requests.Session() as session:
        if (cookies := _cookies()) is not None:
            session.cookies.update(cookies)
        with session.get(
            file.address,
            headers={"Accept-Encoding": "identity"},
            timeout=(transfer.TIMEOUT, transfer.TIMEOUT),
            stream=True,
        ) as answer:
            if answer.status_code == 200 and "Content-Disposition" in answer.headers:
                names = {"Last-Modified": "last_modified", "Content-Length": "length", "ETag": "etag"}
                return {ours: answer.headers[name] for name, ours in names.items() if name in answer.headers}
            page = next(answer.iter_content(256 * 1024), b"").decode("utf-8", "replace")
            _refuse(answer.status_code, page, urlsplit(answer.url).hostname or "", file.origin)
    return {}


def _refuse(status: int, page: str, host: str, origin: str) -> None:
    """Raise what Drive's answer means, unless it is a page that leads to the file."""
    if _QUOTA.search(page) or status == 429 or (status == 403 and not _DENIED.search(page)):
        raise _over_quota(origin)
    if status in (401, 403) or host == "accounts.google.com":
        raise BadSource(f"{origin} is not shared with everyone (status {status}).", _SHARE)
    if status >= 500:
        raise SourceUnreachable(f"Google Drive answered with status {status} for {origin}.", "Retry later.")
    if status != 200:
        raise BadSource(f"There is no {origin} (status {status}).", _SHARE)


def _over_quota(origin: str) -> QuotaExceeded:
    return QuotaExceeded(
        f"{origin} is over its download quota: Google says that too many users have viewed or downloaded it.",
        "Wait: it can last 24 hours, and the task retries by itself. Or set "
        f"{DRIVE_COOKIES.name} to a cookies.txt of a signed-in browser; or find a mirror, or copy the file into your "
        "own Drive or to a disk, and trigger again with `source=<its id, address or path>`.",
    )


def _fetch(file: DriveFile, seen: dict[str, str], scratch: Path, progress: Progress) -> Fetched:
    import gdown

    origin = file.origin
    target = scratch / "drive"
    content = seen if "last_modified" in seen else {}
    _keep_only(scratch, content)
    length = int(seen["length"]) if seen.get("length", "").isdigit() else None
    parts = list(scratch.glob("drive*.part"))
    if length is not None:
        require(scratch, length - sum(part.stat().st_size for part in parts), origin)
    progress.update(sum(part.stat().st_size for part in parts), length)
    digest = hashlib.sha256()
    cookies = _own_copy_of_cookies(scratch)
    try:
        with _drive_errors(origin, scratch):
            gdown.download(
                id=file.id,
                output=str(target),
                quiet=True,
                resume=True,
                progress=progress.update,
                hasher=digest,
                timeout=(transfer.TIMEOUT, transfer.TIMEOUT),
                retries=0,  # Airflow retries
                use_cookies=cookies is not None,
                cookies_file=None if cookies is None else str(cookies),
            )
    finally:
        if cookies is not None:
            cookies.unlink(missing_ok=True)
    size = target.stat().st_size
    if length is not None and size != length:
        target.unlink()
        raise transfer.broken_off(origin, size, length)
    return Fetched(target, digest.hexdigest(), length is not None)


def _keep_only(scratch: Path, content: dict[str, str]) -> None:
    """Delete what lies in `scratch` from earlier attempts, unless it is one part of this very content.

    gdown asks with `If-Range`, but for the file of now: it cannot know which file an old part belongs to.
    """
    note = Partial(scratch, {}).note()
    parts = list(scratch.glob("drive*.part"))
    (scratch / "drive").unlink(missing_ok=True)  # arrived, then refused or killed; gdown would take it unseen
    if not content or note != content or len(parts) > 1:
        for part in parts:
            part.unlink()
    write_json(scratch / "partial.json", content)


@contextmanager
def _drive_errors(origin: str, scratch: Path | None = None) -> Iterator[None]:
    """Turn what requests and gdown raise into ours."""
    import gdown.exceptions
    import requests

    try:
        yield
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else 500
        _refuse(status, "", "", origin)
        raise SourceUnreachable(f"{origin} cannot be fetched: {foreign(error)}.", "The retry tries again.") from None
    except requests.RequestException as error:
        raise SourceUnreachable(
            f"Google Drive does not answer for {origin}: {type(error).__name__}: {foreign(error)}.",
            "Check the network and the proxy variables (HTTPS_PROXY); the retry tries again.",
        ) from None
    except (LookupError, ValueError) as error:  # gdown and requests take headers for granted, and dates and addresses
        raise SourceUnreachable(
            f"What came from Google Drive for {origin} cannot be read: {type(error).__name__}: {foreign(error)}.",
            "Check that no proxy (HTTPS_PROXY) answers in its place; the retry tries again.",
        ) from error
    except gdown.exceptions.FileURLRetrievalError as error:
        message = foreign(error)
        _refuse(200, message if "Too many users" in message else "", "", origin)
        raise SourceUnreachable(
            f"Google Drive showed a page instead of {origin}, and gdown found no file behind it: {message}",
            f"Retry later. If it stays so: {_SHARE}",
        ) from error
    except gdown.exceptions.DownloadError as error:
        message = foreign(error)
        if "incomplete" not in message and scratch is not None:  # the part cannot be continued
            for part in scratch.glob("drive*.part"):
                part.unlink()
        raise SourceUnreachable(f"The transfer of {origin} broke off: {message}", "The retry goes on.") from error


def _cookies() -> MozillaCookieJar | None:
    """The cookies that the environment names, None where it names none.

    Raises:
        BadSettings: The file is missing or not a cookies.txt.
    """
    if not (name := DRIVE_COOKIES.value):
        return None
    try:
        jar = MozillaCookieJar(str(Path(name).expanduser()))
        jar.load(ignore_discard=True, ignore_expires=True)
    except (OSError, LoadError, ValueError, RuntimeError) as error:  # its text may quote a line, and so a cookie
        why = (
            getattr(error, "strerror", None) or "it is not in Netscape form, seven fields a line with tabs between them"
        )
        raise BadSettings(
            f"{DRIVE_COOKIES.name} names {shown(name)}, which cannot be read as cookies: {why}.",
            "Export a cookies.txt in Netscape form from a signed-in browser, or unset the variable.",
        ) from None
    for cookie in jar:
        if cookie.expires == 0:  # so browsers' exports write "until the browser closes"
            cookie.expires, cookie.discard = None, True
    return jar


def _own_copy_of_cookies(scratch: Path) -> Path | None:
    """A copy for gdown, which writes to the file that it is given."""
    if _cookies() is None:
        return None
    copy = scratch / "cookies.txt"
    copy.touch(mode=0o600)
    shutil.copyfile(Path(DRIVE_COOKIES.value).expanduser(), copy)
    return copy
