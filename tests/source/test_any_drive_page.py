"""Whatever Google Drive, or a proxy before it, replies: the file, or one of our errors."""

import io
from pathlib import Path
from typing import Any
from unittest.mock import patch

import requests
import urllib3
from hypothesis import example, given
from hypothesis import strategies as st

from include.core.errors import VitrineError
from include.core.settings import SourceSettings
from include.source.download import download
from tests.drive_server import MISSING, QUOTA, SIGN_IN, WARNING
from tests.small import few

ID = "1aB2cD3eF4gH5iJ6kL7mN8oP9qR0sT1uV"
LINE = b'{"uid": "1", "title": "kettle"}\n'
PAGES = st.sampled_from([WARNING.format(id=ID), QUOTA, SIGN_IN, MISSING, "", "<html>", "uc-error-subcaption", "\0"])
CUT = st.builds(lambda page, at: page[: at * len(page) // 8], PAGES, st.integers(0, 8))
WRONG = CUT.map(lambda page: page.replace('action="https://', 'action="http://[').replace('value="t"', "value"))
BODIES = st.one_of(
    PAGES.map(str.encode), CUT.map(str.encode), WRONG.map(str.encode), st.just(LINE), st.binary(max_size=20)
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Content-Disposition": st.sampled_from(
            ['attachment; filename="c.jsonl"', "attachment", "", "attachment; filename*=UTF-8''%ff", "x; filename=../c"]
        ),
        "Content-Length": st.sampled_from([str(len(LINE)), "0", "9", "-1", "x"]),
        "Content-Range": st.sampled_from(["bytes 0-31/32", "bytes 5-9/3", "x"]),
        "Content-Type": st.sampled_from(
            ["text/html; charset=utf-8", "text/html; charset=no-such", "application/zip", ""]
        ),
        "Last-Modified": st.sampled_from(["Wed, 21 Oct 2015 07:28:00 GMT", "never"]),
        "Location": st.sampled_from(["/uc?id=x", "https://accounts.google.com/", "http://[", "ftp://h/x", ""]),
        "ETag": st.sampled_from(['"1"', 'W/"1"']),
        "Set-Cookie": st.sampled_from(["download_warning_x=t", "=;;"]),
    },
)
STATUSES = st.sampled_from([200, 200, 200, 206, 204, 301, 302, 303, 400, 401, 403, 404, 416, 429, 500, 503, 999])
REPLIES = st.lists(st.tuples(STATUSES, HEADERS, BODIES), min_size=1, max_size=4)


@few(2)
@given(REPLIES)
@example([(200, {}, LINE)] * 3)
@example([(301, {"Location": "http://["}, b"")])
@example([(200, {"Content-Type": "application/zip", "Last-Modified": "never"}, LINE)] * 3)
def test_whatever_google_drive_replies(root: Path, replies: list[tuple[int, dict[str, str], bytes]]) -> None:
    """Danger: a page that Google changed is stored as the catalogue, or ends the task in frames of gdown."""
    coming = iter(replies)

    def send(adapter: requests.adapters.HTTPAdapter, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        if (reply := next(coming, None)) is None:  # gdown asks on for as long as pages come
            raise requests.ConnectionError("no more")
        status, headers, body = reply
        raw = urllib3.HTTPResponse(io.BytesIO(body), headers, status, preload_content=False, request_url=request.url)
        return adapter.build_response(request, raw)

    with patch("requests.adapters.HTTPAdapter.send", send):
        try:
            made = download(SourceSettings(source=ID), root=root)
        except VitrineError as error:
            assert error.next_step
            assert error.what.isprintable(), error.what
            return
    kept = (made.path / made.stats["file"]).read_bytes()
    assert kept and any(body.startswith(kept) for _, _, body in replies), "what was stored is what was sent"
