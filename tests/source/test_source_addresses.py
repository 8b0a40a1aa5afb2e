"""Whatever is typed as *Catalogue*: the error is one of ours, shows no secret, and says what to do."""

import contextlib
import gc
import http.server
import itertools
import os
import socket
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from include.core import artifacts
from include.core.errors import BadSource, SourceUnreachable, VitrineError
from include.core.settings import SourceSettings
from include.source.download import download
from include.source.object_stores import PACKAGES
from tests.source.typed import AWKWARD, typed

# fsspec's FTP client that could not connect raises in its own __del__.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
MARK = "QqZz"  # stands in each secret
LINE = b'{"uid": "A1", "title": "kettle", "content": "x y"}\n'


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What a test left is collected under its own filter of warnings, and not in some later test."""
    yield
    gc.collect()


Answer = Callable[[http.server.BaseHTTPRequestHandler], tuple[int, dict[str, str], bytes]]


@contextlib.contextmanager
def web_server(answer: Answer) -> Iterator[str]:
    """A server on this machine whose every answer is `answer`'s: status, headers, body."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answer(self)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fetch(source: str, root: Path) -> artifacts.Artifact:
    return download(SourceSettings(source=source), root=root)


@contextlib.contextmanager
def no_network() -> Iterator[None]:
    """No name is known and no machine answers, as in a container without a network."""

    def unknown(*_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def refused(*_: object) -> Any:
        raise ConnectionRefusedError(111, "Connection refused")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", unknown)
        patch.setattr(socket.socket, "connect", refused)
        yield


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("http://[::1", "not a valid address"),
        ("https://", "not a valid address"),
        ("http://h:99999/a.zip", "not a valid address"),
        ("http://user:p/w@h/a.zip", "not a valid address"),
        ("~nosuchuser/catalogue.jsonl", "home directory"),
        ("x" * 300, "File name too long"),
        ("a\0b.jsonl", "no path that can exist"),
        ("file:///a%00b", "no path that can exist"),
        ("file://[::1", "no path that can exist"),
        ("zip://trn.json::/nope.zip", "zip:// is not supported"),
        ("reference://x", "reference:// is not supported"),
        ("nosuch://x", "nosuch:// is not supported"),
        ("s3://shop/a::b", "would chain"),
        ("memory://[::1", "would chain"),
    ],
)
def test_a_slip_in_the_source_is_named_and_not_retried(root: Path, source: str, words: str) -> None:
    """Danger: a traceback of the library's, four retries, and no word of what to write instead."""
    with pytest.raises(BadSource, match=words) as caught:
        fetch(source, root)
    assert caught.value.next_step
    assert "\0" not in str(caught.value)


def test_an_unsupported_scheme_is_told_which_are(root: Path) -> None:
    """Danger: the person guesses on."""
    with pytest.raises(BadSource, match="hdfs://") as caught:
        fetch("hdfs://namenode/catalogue.zip", root)
    for scheme in ("https://", "s3://", "gs://", "abfs://", "ftp://", "sftp://", "Google Drive"):
        assert scheme in caught.value.next_step
    assert set(PACKAGES) >= {"s3", "gs", "abfs", "ftp", "sftp"}


def test_a_file_server_that_is_away_is_a_reason_to_retry(root: Path) -> None:
    """Danger: a ConnectionRefusedError without a next step."""
    password = "hunter2"
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound but not listening
        with pytest.raises(SourceUnreachable, match="refused") as caught:
            fetch(f"ftp://someone:{password}@127.0.0.1:{held.getsockname()[1]}/c.jsonl", root)
    assert password not in "".join(traceback.format_exception(caught.value))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_directory_that_may_not_be_entered_is_named_as_such(tmp_path: Path) -> None:
    """Danger: the file is there for whoever looks, and the worker's user is told that it is not."""
    closed = tmp_path / "private"
    closed.mkdir()
    (closed / "c.jsonl").write_bytes(LINE)
    root = tmp_path / "data"
    root.mkdir(mode=0o777)
    for directory, mode in ((root, 0o777), (closed, 0o700)):
        directory.chmod(mode)
    opened = [parent for parent in tmp_path.parents if parent.stat().st_mode & 0o001 == 0]
    for parent in (tmp_path, *opened):
        parent.chmod(parent.stat().st_mode | 0o011)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            fetch(str(closed / "c.jsonl"), root)
        except BaseException as error:
            os.write(writing, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    assert said.startswith("BadSource:")
    assert "may not be entered" in said


def test_a_server_whose_etag_changes_with_every_request_is_read(root: Path) -> None:
    """Danger: each try finds "another" file, and the catalogue is never read."""
    count = itertools.count()
    with web_server(lambda _: (200, {"ETag": f'"{next(count)}"'}, LINE)) as url:
        first = fetch(f"{url}/c.jsonl", root)
        second = fetch(f"{url}/c.jsonl", root)
    for made in (first, second):
        assert not made.reused
        assert (artifacts.read(made.path).path / "catalogue.jsonl").read_bytes() == LINE


def test_a_file_that_changed_between_two_requests_is_taken_by_the_retry(root: Path) -> None:
    """Danger: Tuesday's file under Monday's name, because the server's ETags are thought to mean nothing."""
    tags = iter(['"monday"', '"tuesday"', '"tuesday"', '"tuesday"', '"tuesday"'])
    with web_server(lambda _: (200, {"ETag": next(tags)}, LINE)) as url:
        with pytest.raises(SourceUnreachable, match="changed between two requests"):
            fetch(f"{url}/c.jsonl", root)
        assert not fetch(f"{url}/c.jsonl", root).reused


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://h/x", "http://[::1", "http://"])
def test_a_redirect_out_of_the_web_is_refused_at_once(root: Path, target: str) -> None:
    """Danger: a file of the worker's is read; or it is tried four times as if it could heal."""
    with web_server(lambda _: (302, {"Location": target}, b"")) as url:
        with pytest.raises(BadSource) as caught:
            fetch(f"{url}/c.jsonl", root)
        if "://[" not in target and target != "http://":
            assert f"redirects to {target}" in caught.value.what
    assert caught.value.next_step


def test_a_login_in_the_address_reaches_the_server_and_no_file(root: Path) -> None:
    """Danger: taken out of what is shown, it is not sent either; or a letter beyond Latin-1 ends in an exception."""
    asked = []

    def answer(request: http.server.BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        asked.append(request.headers.get("Authorization"))
        return 200, {"ETag": '"1"'}, LINE

    with web_server(answer) as url:
        made = fetch(url.replace("//", "//me:p%C3%A9%E2%82%AC%40ss@") + "/c.jsonl?X-Amz-Signature=hunter2", root)
        assert made.stats["origin"] == f"{url}/c.jsonl?…"
    assert set(asked) == {"Basic bWU6cMOp4oKsQHNz"}
    for file in made.path.iterdir():
        assert b"hunter2" not in file.read_bytes()


secret_addresses = st.builds(
    lambda form, before, after: form.format(secret=f"{before}{MARK}{after}"),
    st.sampled_from(
        [
            "https://someone:{secret}@h/c.zip",
            "https://h/c.zip?X-Amz-Signature={secret}",
            "http://h/c.zip?token={secret}#x",
            "ftp://someone:{secret}@h/c.zip",
            "sftp://someone:{secret}@h/c.zip",
            "s3://key:{secret}@bucket/c.zip",
            "gs://bucket/c.zip?token={secret}",
            "reference://h/c.zip?token={secret}",
            "file://someone:{secret}@h/c.zip",
            "https:/someone:{secret}@h/c.zip",
            "someone:{secret}@h/c.zip",
            "https://drive.google.com/open?token={secret}",
        ]
    ),
    st.text(AWKWARD, max_size=3),
    st.text(AWKWARD, max_size=3),
)


@given(typed)
def test_any_source_ends_in_an_error_of_ours(source: str) -> None:
    """Danger: an address that nobody thought of is a traceback at night."""
    refused(source)


@given(secret_addresses)
def test_no_secret_of_a_source_is_ever_shown(source: str) -> None:
    """Danger: the log of a failed download is the password of the shop's server."""
    assert MARK not in refused(source)


def refused(source: str) -> str:
    """What a log shows of `source`, which leads nowhere; empty where it is too long to be looked at."""
    try:
        chosen = SourceSettings(source=source)
    except ValidationError:
        return ""  # before anything is looked at
    with tempfile.TemporaryDirectory() as folder, no_network(), contextlib.chdir(folder):
        try:
            made = download(chosen, root=Path(folder))
        except VitrineError as error:
            assert error.next_step
            assert error.what.isprintable()
            return "".join(traceback.format_exception(error)) + repr(error)
    assert source.strip() == "sample"
    return repr(made)
