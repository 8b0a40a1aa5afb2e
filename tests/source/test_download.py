"""The download stage: every source, every way in which it can be missing, wrong, short or changed."""

import contextlib
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import fsspec
import pytest
from fsspec.registry import known_implementations
from hypothesis import given
from hypothesis import strategies as st

from include.core import artifacts, kinds, space
from include.core.errors import (
    BadSettings,
    BadSource,
    HashMismatch,
    QuotaExceeded,
    SourceUnreachable,
    StorageFull,
    VitrineError,
)
from include.core.files import lock
from include.core.progress import Progress, Snapshot
from include.core.settings import SourceSettings
from include.source import drive, transfer, web
from include.source.download import ONCE, download
from tests.drive_server import FileServer, Served, serve

DRIVE_ID = "12zH4mL2RX8iSvH0VCNnd3QxO4DzuHWnK"
SECRET = "hunter2"
MONDAY, TUESDAY = "Mon, 06 Jan 2025 10:00:00 GMT", "Tue, 07 Jan 2025 10:00:00 GMT"


def archive(size: int = 600_000) -> bytes:
    """A ZIP of about `size` bytes that do not compress."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr(zipfile.ZipInfo("LF-Amazon-1.3M/trn.json.gz"), b"{" + random.Random(1).randbytes(size))
    return out.getvalue()


ZIP = archive()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A web server which is Google Drive too."""
    with serve(tmp_path) as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


def fetch(source: str | Path, root: Path, sha256: str | None = None) -> artifacts.Artifact:
    return download(SourceSettings(source=str(source), source_sha256=sha256), root=root)


def content(made: artifacts.Artifact) -> bytes:
    """The data file of an artifact, read with all checks."""
    found = artifacts.read(made.path)
    data = Path(found.path, found.stats["file"]).read_bytes()
    assert found.stats["sha256"] == hashlib.sha256(data).hexdigest()
    assert found.stats["bytes"] == len(data)
    return data


def litter(root: Path) -> list[str]:
    """What lies under `root` and is neither a published artifact nor a lock."""
    return sorted(
        str(entry.relative_to(root))
        for entry in (root / "source").glob("**/*")
        if entry.is_file() and entry.name.startswith((".tmp", "partial", "drive", "cookies", "sample"))
    ) + [entry.name for entry in (root / "source").glob(".tmp-*")]


def assert_nothing_kept(root: Path) -> None:
    assert artifacts.published(root, kinds.SOURCE) == []
    assert litter(root) == []
    assert list((root / "source").glob(".scratch-*")) == []


def test_the_sample_is_written_once_and_found_again(root: Path) -> None:
    """Danger: each trigger writes another catalogue, and nothing that follows is reused."""
    first = download(SourceSettings(sample_products=60), root=root)
    again = download(SourceSettings(sample_products=60), root=root)
    other = download(SourceSettings(sample_products=60, sample_seed=8), root=root)
    assert (first.reused, again.reused, other.reused) == (False, True, False)
    assert again.path == first.path != other.path
    assert first.stats["format"] == "zip"
    assert first.stats["sample"]["trn"]["lines"] == 60
    assert zipfile.is_zipfile(first.path / first.stats["file"])
    assert content(first) != content(other)


def test_a_local_file_is_copied_with_its_hash_and_progress(tmp_path: Path, root: Path) -> None:
    """Danger: the artifact differs from the file, or a large copy shows no sign of life."""
    source = tmp_path / "mine.zip"
    source.write_bytes(ZIP)
    seen: list[Snapshot] = []
    made = download(SourceSettings(source=str(source)), root=root, sink=seen.append)
    assert content(made) == ZIP
    assert made.stats["origin"] == str(source)
    assert (seen[-1]["done"], seen[-1]["total"], seen[-1]["unit"]) == (len(ZIP), len(ZIP), "bytes")
    assert fetch(source.as_uri(), root).reused
    assert litter(root) == []


def test_a_changed_local_file_is_taken_anew(tmp_path: Path, root: Path) -> None:
    """Danger: a file that was replaced under its name is ignored, and the index grows stale."""
    source = tmp_path / "products.jsonl"
    source.write_bytes(b'{"uid":"1"}\n')
    first = fetch(source, root)
    source.write_bytes(b'{"uid":"2"}\n')
    os.utime(source, ns=(0, 0))
    second = fetch(source, root)
    assert second.path != first.path
    assert (content(first), content(second)) == (b'{"uid":"1"}\n', b'{"uid":"2"}\n')


def test_the_real_products_pass_unchanged(real_zip: Path, root: Path) -> None:
    """Danger: what works on invented files fails on the archive's own layout."""
    assert content(fetch(real_zip, root)) == real_zip.read_bytes()


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (gzip.compress(b'{"uid":"1"}\n', mtime=0), "gzip"),
        (b'{"uid":"1"}\n', "jsonl"),
        (b'\xef\xbb\xbf \r\n{"uid":"1"}\n', "jsonl"),
        (b'[{"uid":"1"}]', "text"),
        (b"uid;title\n1;kettle\n", "text"),
        (ZIP, "zip"),
    ],
)
def test_the_format_is_read_from_the_bytes_not_the_name(tmp_path: Path, root: Path, data: bytes, form: str) -> None:
    """Danger: a file with the wrong ending is refused, or taken for what it is not."""
    source = tmp_path / "catalogue.txt"
    source.write_bytes(data)
    made = fetch(source, root)
    assert made.stats["format"] == form
    assert content(made) == data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>Sorry</html>", "web page"),
        (b"\n  <html><body>Sorry</body></html>", "web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML"),
        (b"   \n \n", "white space"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
        (b"PK\x05\x06" + bytes(18), "without any file"),
        (b"1,2\n3,4\n", "CSV table, without names in its first row: 1, 2"),
        (b"\x01\x02\x03\x04", "01 02 03 04"),
        (b"<rss version='2.0'>\n</rss>", "it is an XML document"),
        (b"Dear reader,\nhere it is.", "it begins 'Dear reader,'"),
        (gzip.compress(b"INSERT INTO p VALUES (1);\n", mtime=0), "inside.zip|an SQL dump"),
        (ZIP[:-200], "truncated or damaged ZIP"),
        (ZIP[:100], "truncated or damaged ZIP"),
    ],
)
def test_what_is_no_catalogue_is_refused_in_a_sentence(tmp_path: Path, root: Path, data: bytes, reason: str) -> None:
    """Danger: a web page or half a file becomes an artifact, and a later stage fails without a reason."""
    source = tmp_path / "catalogue.zip"
    source.write_bytes(data)
    with pytest.raises(BadSource, match=reason) as caught:
        fetch(source, root)
    assert str(source) in caught.value.what
    assert caught.value.next_step
    assert "\n" not in str(caught.value)
    assert_nothing_kept(root)


@given(st.binary(max_size=64))
def test_any_first_bytes_are_a_format_or_a_refusal(head: bytes) -> None:
    """Danger: strange bytes end in an error that names no next step."""
    try:
        assert transfer.sniff(head, "file") in get_args(transfer.Format)
    except BadSource as refused:
        assert refused.next_step


def test_a_missing_file_names_the_path_and_where_it_was_looked_for(tmp_path: Path, root: Path) -> None:
    """Danger: the user sees the file on their machine and cannot know that the worker looks elsewhere."""
    with pytest.raises(BadSource, match="resolved on the worker") as caught:
        fetch(tmp_path / "absent.zip", root)
    assert str(tmp_path / "absent.zip") in caught.value.what
    with pytest.raises(BadSource, match="another machine"):
        fetch("file://elsewhere/x.zip", root)


def test_a_pinned_hash_is_held_to(tmp_path: Path, root: Path) -> None:
    """Danger: another file than the one that was reviewed is trained on."""
    source = tmp_path / "a.zip"
    source.write_bytes(ZIP)
    right = hashlib.sha256(ZIP).hexdigest()
    with pytest.raises(HashMismatch, match=right):
        fetch(source, root, "0" * 64)
    assert_nothing_kept(root)
    assert content(fetch(source, root, right.upper())) == ZIP


def test_an_unchanged_web_file_is_not_fetched_again(server: FileServer, root: Path) -> None:
    """Danger: every run fetches a gigabyte, or a changed file is never noticed."""
    server.files["a.zip"] = Served(ZIP, etag='"one"')
    first = fetch(f"{server.url}/a.zip", root)
    assert fetch(f"{server.url}/a.zip", root).reused
    assert len(server.sent("GET")) == 1
    server.files["a.zip"] = Served(archive(500), etag='"two"')
    second = fetch(f"{server.url}/a.zip", root)
    assert content(first) == ZIP
    assert content(second) == archive(500)
    assert litter(root) == []


def test_a_server_that_tells_no_version_is_asked_each_time(server: FileServer, root: Path) -> None:
    """Danger: with nothing to compare, an old copy is taken for the present file."""
    server.files["a.jsonl"] = Served(b'{"uid":"1"}\n')
    first = fetch(f"{server.url}/a.jsonl", root)
    server.files["a.jsonl"] = Served(b'{"uid":"2"}\n')
    assert content(fetch(f"{server.url}/a.jsonl", root)) == b'{"uid":"2"}\n'
    assert content(first) == b'{"uid":"1"}\n'


def test_a_server_that_refuses_head_is_asked_by_get(server: FileServer, root: Path) -> None:
    """Danger: presigned addresses, which allow GET alone, cannot be used."""
    server.files["a.zip"] = Served(ZIP, etag='"one"', allow_head=False)
    assert content(fetch(f"{server.url}/a.zip", root)) == ZIP
    assert fetch(f"{server.url}/a.zip", root).reused


def test_a_pinned_web_file_is_found_again_without_the_network(tmp_path: Path, root: Path) -> None:
    """Danger: a rerun of unchanged data fails because a server that it does not need is down."""
    with serve(tmp_path) as server:
        server.files["a.zip"] = Served(ZIP)
        url = f"{server.url}/a.zip"
        fetch(url, root, hashlib.sha256(ZIP).hexdigest())
    assert fetch(url, root, hashlib.sha256(ZIP).hexdigest()).reused


def test_secrets_of_an_address_stay_out_of_files_and_messages(server: FileServer, root: Path) -> None:
    """Danger: a presigned address or a password lies readable in the manifest, or in a log."""
    server.files["a.zip"] = Served(ZIP, etag='"one"')
    host = server.url.removeprefix("http://")
    made = fetch(f"http://user:{SECRET}@{host}/a.zip?signature={SECRET}", root)
    assert made.stats["origin"] == f"http://{host}/a.zip?…"
    assert SECRET not in (made.path / artifacts.MANIFEST).read_text(encoding="utf-8")
    for path in ("absent.zip", "a.zip"):
        server.files["a.zip"] = Served(ZIP, status=503)
        with pytest.raises(VitrineError) as caught:
            fetch(f"http://user:{SECRET}@{host}/{path}?signature={SECRET}", root)
        assert SECRET not in str(caught.value)
    with pytest.raises(SourceUnreachable) as refused:
        fetch(f"http://user:{SECRET}@127.0.0.1:{_closed_port()}/a.zip?signature={SECRET}", root)
    assert SECRET not in str(refused.value)


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.mark.parametrize(
    ("status", "error"),
    [
        *((status, BadSource) for status in (400, 401, 403, 404, 410)),
        *((status, SourceUnreachable) for status in (429, 500, 503)),
    ],
)
def test_a_status_decides_whether_to_retry(
    server: FileServer, root: Path, status: int, error: type[VitrineError]
) -> None:
    """Danger: hours of retries for a wrong address, or none for a server that restarts."""
    server.files["a.zip"] = Served(ZIP, status=status)
    with pytest.raises(error, match=f"status {status}"):
        fetch(f"{server.url}/a.zip", root)
    assert_nothing_kept(root)


def test_a_server_that_is_away_or_silent_is_a_reason_to_retry(
    server: FileServer, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Danger: a stalled transfer hangs for hours and holds its worker."""
    with pytest.raises(SourceUnreachable, match="does not answer"):
        fetch(f"http://127.0.0.1:{_closed_port()}/a.zip", root)
    monkeypatch.setattr(transfer, "TIMEOUT", 0.5)
    server.files["a.zip"] = Served(ZIP, etag='"one"', hold=400_000)
    with pytest.raises(SourceUnreachable, match="broke off after"):
        fetch(f"{server.url}/a.zip", root)
    assert artifacts.published(root, kinds.SOURCE) == []


def test_a_web_page_with_status_200_is_refused_at_its_first_bytes(server: FileServer, root: Path) -> None:
    """Danger: a login page is stored as the catalogue."""
    server.files["a.zip"] = Served(b"<html>Please log in</html>" * 100_000, etag='"one"')
    with pytest.raises(BadSource, match="web page"):
        fetch(f"{server.url}/a.zip", root)
    assert_nothing_kept(root)


def test_a_broken_transfer_goes_on_where_it_stopped(server: FileServer, root: Path) -> None:
    """Danger: a transfer that always breaks at 90 % never ends, or is stitched wrongly."""
    server.files["a.zip"] = Served(ZIP, etag='"one"', cut=400_000)
    with pytest.raises(SourceUnreachable, match="broke off after"):
        fetch(f"{server.url}/a.zip", root)
    assert artifacts.published(root, kinds.SOURCE) == []
    server.files["a.zip"].cut = None
    assert content(fetch(f"{server.url}/a.zip", root)) == ZIP
    last = server.sent("GET")[-1]
    assert int(last.headers["Range"].removeprefix("bytes=").rstrip("-")) >= transfer.CHUNK
    assert last.headers["If-Range"] == '"one"'
    assert litter(root) == []


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_changed_is_not_stitched_onto_the_old_one(server: FileServer, root: Path, ranges: bool) -> None:
    """Danger: half Monday's file, half Tuesday's, under one name; here under a pinned hash, where no ETag is asked."""
    new = archive(500_000)
    pinned = hashlib.sha256(new).hexdigest()
    server.files["a.zip"] = Served(ZIP, last_modified=MONDAY, cut=400_000)
    with pytest.raises(SourceUnreachable):
        fetch(f"{server.url}/a.zip", root, pinned)
    server.files["a.zip"] = Served(new, last_modified=TUESDAY, ranges=ranges)
    assert content(fetch(f"{server.url}/a.zip", root, pinned)) == new
    assert "Range" in server.sent("GET")[-1].headers


def test_a_file_that_changes_after_it_was_looked_at_is_refused(server: FileServer, tmp_path: Path) -> None:
    """Danger: Tuesday's file is stored under Monday's fingerprint, and Monday's is never fetched again."""
    server.files["a.zip"] = Served(ZIP, etag='"one"')
    remote = web.http(f"{server.url}/a.zip", pinned=False)
    server.files["a.zip"].etag = '"two"'
    with pytest.raises(SourceUnreachable, match="changed between two requests"):
        remote.fetch(tmp_path, Progress("download"))
    server.files["a.zip"] = Served(ZIP, etag='"one"', last_modified=MONDAY)
    remote = web.http(f"{server.url}/a.zip", pinned=False)
    server.files["a.zip"].etag = '"of another machine"'
    assert remote.fetch(tmp_path, Progress("download")).sha256 == hashlib.sha256(ZIP).hexdigest()


def test_a_server_without_ranges_sends_all_of_it_again(server: FileServer, root: Path) -> None:
    """Danger: the whole file is appended to the part."""
    server.files["a.zip"] = Served(ZIP, etag='"one"', cut=400_000, ranges=False)
    with pytest.raises(SourceUnreachable):
        fetch(f"{server.url}/a.zip", root)
    server.files["a.zip"].cut = None
    assert content(fetch(f"{server.url}/a.zip", root)) == ZIP


def test_a_part_that_was_complete_is_not_fetched_twice(server: FileServer, root: Path) -> None:
    """Danger: killed between the last byte and publishing, the retry asks for bytes behind the end and fails."""
    server.files["a.zip"] = Served(ZIP, etag='"one"', cut=400_000)
    with pytest.raises(SourceUnreachable):
        fetch(f"{server.url}/a.zip", root)
    server.files["a.zip"].cut = None
    [part] = (root / "source").glob(".scratch-*/partial")
    part.write_bytes(ZIP)
    assert content(fetch(f"{server.url}/a.zip", root)) == ZIP


def test_a_zip_cut_without_an_announced_length_is_fetched_again(server: FileServer, root: Path) -> None:
    """Danger: without a length a broken transfer looks complete, and the retry would keep the short file."""
    server.files["a.zip"] = Served(ZIP, etag='"one"', announce_length=False, cut=400_000)
    with pytest.raises(SourceUnreachable, match="truncated or damaged ZIP"):
        fetch(f"{server.url}/a.zip", root)
    assert_nothing_kept(root)
    server.files["a.zip"].cut = None
    assert content(fetch(f"{server.url}/a.zip", root)) == ZIP


def test_a_gz_that_the_server_calls_an_encoding_stays_a_gz(server: FileServer, root: Path) -> None:
    """Danger: unpacked on the way, its length and hash are not those of the stored file."""
    data = gzip.compress(b'{"uid":"1"}\n', mtime=0)
    server.files["trn.json.gz"] = Served(data, etag='"one"', headers={"Content-Encoding": "gzip"})
    assert content(fetch(f"{server.url}/trn.json.gz", root)) == data


def test_a_file_larger_than_the_free_disk_is_refused_before_it_is_fetched(
    server: FileServer, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Danger: a gigabyte is fetched before the disk is found full, and Airflow's database stops with it."""
    server.files["a.zip"] = Served(ZIP, etag='"one"')
    server.files[DRIVE_ID] = Served(ZIP)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=space.SPARE))
    for source in (f"{server.url}/a.zip", DRIVE_ID):
        with pytest.raises(StorageFull, match="MiB free"):
            fetch(source, root)
        assert_nothing_kept(root)


def test_an_object_store_is_read_and_a_changed_object_noticed(root: Path) -> None:
    """Danger: s3:// and gs:// take another way than paths, and no test goes it."""
    store = fsspec.filesystem("memory")
    store.pipe_file("/shop/a.zip", ZIP)
    try:
        first = fetch("memory://shop/a.zip", root)
        assert content(first) == ZIP
        assert fetch("memory://shop/a.zip", root).reused
        store.pipe_file("/shop/a.zip", archive(900))
        assert content(fetch("memory://shop/a.zip", root)) == archive(900)
        with pytest.raises(BadSource, match="no file"):
            fetch("memory://shop/absent.zip", root)
    finally:
        store.rm("/shop", recursive=True)


@pytest.mark.parametrize(("scheme", "package"), [("gs", "gcsfs"), ("s3", "s3fs"), ("abfs", "adlfs")])
def test_a_store_whose_package_is_missing_says_what_to_install(
    root: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, package: str
) -> None:
    """Danger: an ImportError, which names no next step, is retried; or another fsspec is installed than is pinned."""
    monkeypatch.setitem(known_implementations, scheme, {"class": "no_such_fs.FS", "err": "Install it"})
    with pytest.raises(BadSource, match=f"{scheme}:// needs the package {package}") as caught:
        fetch(f"{scheme}://shop/a.zip", root)
    assert f"pip install -c constraints.txt {package}" in caught.value.next_step


@pytest.mark.parametrize("kind", ["small", "large"])
def test_a_drive_file_is_fetched_through_the_warning_page(server: FileServer, root: Path, kind: str) -> None:
    """Danger: the page that warns of viruses is stored as the catalogue."""
    server.files[DRIVE_ID] = Served(ZIP, last_modified=MONDAY, drive=kind)
    made = fetch(DRIVE_ID, root)
    assert content(made) == ZIP
    assert made.stats["origin"] == f"Google Drive file {DRIVE_ID}"
    assert litter(root) == []
    again = fetch(f"https://drive.google.com/file/d/{DRIVE_ID}/view?usp=sharing", root)
    assert again.reused


def test_a_drive_file_that_changed_is_fetched_anew(server: FileServer, root: Path) -> None:
    """Danger: a catalogue uploaded over the old one is never seen."""
    server.files[DRIVE_ID] = Served(ZIP, last_modified=MONDAY)
    fetch(DRIVE_ID, root)
    server.files[DRIVE_ID] = Served(archive(900), last_modified=TUESDAY)
    assert content(fetch(DRIVE_ID, root)) == archive(900)


@pytest.mark.parametrize("pinned", [None, hashlib.sha256(ZIP).hexdigest()])
@pytest.mark.parametrize("kind", ["quota_200", "quota_403"])
def test_the_drive_quota_page_says_what_can_be_done(
    server: FileServer, root: Path, kind: str, pinned: str | None
) -> None:
    """Danger: the page comes with status 200 and is taken for data, or the user waits without knowing for what."""
    server.files[DRIVE_ID] = Served(ZIP, drive=kind)
    with pytest.raises(QuotaExceeded) as caught:
        fetch(DRIVE_ID, root, pinned)
    for hint in ("24 hours", "VITRINE_DRIVE_COOKIES", "mirror", "your own Drive", "source="):
        assert hint in caught.value.next_step
    assert_nothing_kept(root)
    server.files[DRIVE_ID].drive = "large"
    assert content(fetch(DRIVE_ID, root, pinned)) == ZIP


@pytest.mark.parametrize("kind", ["private", "missing"])
def test_a_drive_file_that_is_not_shared_is_not_retried(server: FileServer, root: Path, kind: str) -> None:
    """Danger: Google's sign-in page, with status 200, is taken for a passing trouble."""
    server.files[DRIVE_ID] = Served(ZIP, drive=kind)
    with pytest.raises(BadSource, match=DRIVE_ID) as caught:
        fetch(DRIVE_ID, root)
    assert "Anyone with the link" in caught.value.next_step
    assert_nothing_kept(root)


def test_a_drive_transfer_that_broke_goes_on_where_it_stopped(server: FileServer, root: Path) -> None:
    """Danger: gdown's part is lost, or found by a download of another file."""
    server.files[DRIVE_ID] = Served(ZIP, last_modified=MONDAY, cut=550_000)
    with pytest.raises(SourceUnreachable, match="broke off"):
        fetch(DRIVE_ID, root)
    server.files[DRIVE_ID].cut = None
    assert content(fetch(DRIVE_ID, root)) == ZIP
    assert [request for request in server.requests if "Range" in request.headers]
    assert litter(root) == []


def test_a_drive_file_cut_without_an_announced_length_is_not_accepted(server: FileServer, root: Path) -> None:
    """Danger: gdown takes such a body for the whole file."""
    server.files[DRIVE_ID] = Served(ZIP, last_modified=MONDAY, announce_length=False, cut=300_000)
    with pytest.raises(SourceUnreachable, match="truncated or damaged ZIP"):
        fetch(DRIVE_ID, root)
    assert_nothing_kept(root)
    server.files[DRIVE_ID].cut = None
    assert content(fetch(DRIVE_ID, root)) == ZIP


def test_a_part_of_another_drive_file_is_not_gone_on_with(server: FileServer, root: Path) -> None:
    """Danger: under a pinned hash the part of the old file lies where the new one is fetched."""
    new = archive(500_000)
    pinned = hashlib.sha256(new).hexdigest()
    server.files[DRIVE_ID] = Served(ZIP, last_modified=MONDAY, cut=550_000)
    with pytest.raises(SourceUnreachable):
        fetch(DRIVE_ID, root, pinned)
    assert [name for name in litter(root) if name.endswith(".part")]
    server.files[DRIVE_ID] = Served(new, last_modified=TUESDAY)
    assert content(fetch(DRIVE_ID, root, pinned)) == new


def test_cookies_are_sent_to_drive_and_their_file_left_alone(
    server: FileServer, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Danger: the way around the quota does not work, or gdown rewrites a shared secret, or leaves a copy."""
    jar = tmp_path / "cookies.txt"
    jar.write_text(f"# Netscape HTTP Cookie File\n.google.com\tTRUE\t/\tFALSE\t0\tSID\t{SECRET}\n", encoding="utf-8")
    before = jar.read_bytes()
    monkeypatch.setenv("VITRINE_DRIVE_COOKIES", str(jar))
    server.files[DRIVE_ID] = Served(ZIP, last_modified=MONDAY)
    made = fetch(DRIVE_ID, root)
    asked = [request for request in server.sent("GET") if request.host == "drive.google.com"]
    assert len(asked) >= 2
    assert all(f"SID={SECRET}" in request.headers.get("Cookie", "") for request in asked)
    assert jar.read_bytes() == before
    assert not any(SECRET in file.read_text("latin-1") for file in made.path.parent.rglob("*") if file.is_file())
    monkeypatch.setenv("VITRINE_DRIVE_COOKIES", str(tmp_path / "absent.txt"))
    with pytest.raises(BadSettings, match=r"absent\.txt"):
        fetch(DRIVE_ID, root / "other")


DRIVE_LINKS = [
    DRIVE_ID,
    f"  {DRIVE_ID} ",
    f"https://drive.google.com/file/d/{DRIVE_ID}/view?usp=drive_link",
    f"https://drive.google.com/file/d/{DRIVE_ID}",
    f"https://drive.google.com/file/u/0/d/{DRIVE_ID}/edit",
    f"https://drive.google.com/file/u/1/d/{DRIVE_ID}/preview?pli=1",
    f"https://drive.google.com/a/shop.example/file/d/{DRIVE_ID}/view",
    f"https://drive.google.com/open?id={DRIVE_ID}",
    f"https://drive.google.com/open?id={DRIVE_ID}&usp=drive_copy",
    f"https://drive.google.com/open?id={DRIVE_ID}/ ",
    f"https://drive.google.com/uc?export=download&id={DRIVE_ID}",
    f"https://drive.google.com/u/1/uc?id={DRIVE_ID}&export=download",
    f"http://drive.google.com/uc?id={DRIVE_ID}&export=download&confirm=t",
    f"drive.google.com/file/d/{DRIVE_ID}/view",
    f"//drive.google.com/open?id={DRIVE_ID}",
    f"https://docs.google.com/uc?id={DRIVE_ID}",
    f"https://drive.usercontent.google.com/download?id={DRIVE_ID}&export=download&authuser=0&confirm=t&uuid=5be5",
]


@pytest.mark.parametrize("source", DRIVE_LINKS)
def test_every_form_of_drive_link_means_its_file(source: str, server: FileServer, root: Path) -> None:
    """Danger: a link as the browser copies it is fetched as a web page."""
    server.files[DRIVE_ID] = Served(ZIP, last_modified=MONDAY, drive="small")
    assert content(fetch(source, root)) == ZIP
    assert {request.host for request in server.requests} == {"drive.google.com"}
    assert fetch(DRIVE_ID, root).reused, "it is the same file, whatever its link"


def test_a_resource_key_is_sent_and_never_shown(server: FileServer, root: Path) -> None:
    """Danger: an older file's link has a key without which Drive wants a login; or the key ends up in the manifest."""
    server.files[DRIVE_ID] = Served(ZIP, last_modified=MONDAY, key="0-hunter2")
    link = f"https://drive.google.com/file/d/{DRIVE_ID}/view?usp=sharing&resourcekey=0-hunter2"
    made = fetch(link, root)
    assert content(made) == ZIP
    assert fetch(link, root).reused
    assert not any(SECRET in file.read_text("latin-1") for file in made.path.parent.rglob("*") if file.is_file())
    with pytest.raises(BadSource, match="not shared with everyone"):
        fetch(DRIVE_ID, root / "other")


SHEET = b"uid,title\n1,A kettle\n"


@pytest.mark.parametrize(
    ("link", "asked"),
    [
        ("edit?usp=sharing", "export?format=csv"),
        ("edit#gid=1207", "export?format=csv&gid=1207"),
        ("edit?gid=7#gid=7", "export?format=csv&gid=7"),
        ("", "export?format=csv"),
    ],
)
def test_a_google_sheet_is_taken_as_a_table_and_asked_each_time(
    link: str, asked: str, server: FileServer, root: Path
) -> None:
    """Danger: its page is taken for the data; or what somebody has written into it since is never seen."""
    server.files[DRIVE_ID] = Served(SHEET)
    source = f"https://docs.google.com/spreadsheets/d/{DRIVE_ID}/{link}"
    assert content(fetch(source, root)) == SHEET
    assert {request.path.rpartition("/")[2] for request in server.requests} == {asked}
    server.files[DRIVE_ID].body = SHEET * 2
    assert content(fetch(source, root)) == SHEET * 2
    server.files[DRIVE_ID].drive = "private"
    with pytest.raises(BadSource, match=f"Google Sheet {DRIVE_ID} is not shared with everyone"):
        fetch(source, root)


def test_a_published_sheet_has_an_address_of_its_own(server: FileServer, root: Path) -> None:
    """`Publish to the web` gives another id and another way to the table."""
    server.files["2PACX-1vQ"] = Served(SHEET)
    fetch("https://docs.google.com/spreadsheets/d/e/2PACX-1vQ/pubhtml", root)
    assert server.requests[-1].path == "/spreadsheets/d/e/2PACX-1vQ/pub?output=csv"


@pytest.mark.parametrize(
    "link",
    ["drive/folders/{}?usp=sharing", "drive/u/0/folders/{}", "folderview?id={}", "embeddedfolderview?id={}#list"],
)
def test_a_drive_folder_is_called_one(link: str, root: Path) -> None:
    """Danger: "no file's id", and the person looks for a slip in the id."""
    with pytest.raises(BadSource, match="is a Google Drive folder") as caught:
        fetch(f"https://drive.google.com/{link.format(DRIVE_ID)}", root)
    assert "link of one file in it" in caught.value.next_step


def test_what_is_no_drive_file_is_not_taken_for_one(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Danger: a file's own name looks like an id, and Google is asked for it."""
    assert drive.drive_file("catalogue_of_our_shop_in_2024.zip") is None
    assert drive.drive_file("https://example.com/file/d/12zH4mL2RX8iSvH0VCNnd3QxO4DzuHWnK") is None
    assert drive.drive_file("drive.google.com.example.org/open?id=12zH4mL2RX8iSvH0VCNnd3QxO4DzuHWnK") is None
    with pytest.raises(BadSource, match="without a file's id"):
        drive.drive_file(f"https://docs.google.com/document/d/{DRIVE_ID}/edit")
    monkeypatch.chdir(tmp_path)
    Path(DRIVE_ID).write_bytes(ZIP)
    assert content(fetch(DRIVE_ID, root)) == ZIP


def test_what_killed_downloads_left_is_swept_up(tmp_path: Path, root: Path) -> None:
    """Danger: parts of files that nobody will ask for again fill the disk; or one that is being written vanishes."""
    kind = root / "source"
    for mark in ("once", "busy", "old", "fresh"):
        scratch = kind / f".scratch-{mark}"
        scratch.mkdir(parents=True)
        (scratch / "partial").write_bytes(b"PK")
        if mark in ("once", "busy"):
            (scratch / ONCE).touch()
    for entry in (kind / ".scratch-old" / "partial", kind / ".scratch-old"):
        os.utime(entry, (0, 0))
    with lock(kind / ".busy.lock", timeout=1), contextlib.suppress(BadSource):
        fetch(tmp_path / "absent.zip", root)
    assert sorted(entry.name for entry in kind.glob(".scratch-*")) == [".scratch-busy", ".scratch-fresh"]


def test_the_statistics_are_json(server: FileServer, root: Path) -> None:
    """Danger: the summary does not pass between tasks."""
    server.files["a.zip"] = Served(ZIP, etag='"one"')
    summary = fetch(f"{server.url}/a.zip", root).summary()
    assert json.loads(json.dumps(summary))["stats"] == {
        "file": "catalogue.zip",
        "origin": f"{server.url}/a.zip",
        "bytes": len(ZIP),
        "sha256": hashlib.sha256(ZIP).hexdigest(),
        "format": "zip",
    }


@pytest.mark.parametrize("slip", ["pruducts.csv", "Products.csv", "products.CSV.gz", "products.csv/x"])
def test_a_path_with_a_slip_is_told_with_the_nearest_name(root: Path, tmp_path: Path, slip: str) -> None:
    """A newcomer who wrote a letter wrong was told that there is no such file, and looked elsewhere."""
    (tmp_path / "shop").mkdir()
    for name in ("products.csv", "photos", *(f"log-{number:02}.txt" for number in range(20))):
        (tmp_path / "shop" / name).write_text("uid,title\n1,Kettle\n")
    with pytest.raises(BadSource) as caught:
        download(SourceSettings(source=f"{tmp_path}/shop/{slip}"), root=root)
    assert caught.value.next_step.startswith(f"Did you mean {tmp_path}/shop/products.csv? Paths are resolved")
    assert "log-00.txt, log-01.txt" in caught.value.what
    assert caught.value.what.endswith("and 14 more.")
    with pytest.raises(BadSource, match="/shop has log-00") as caught:
        download(SourceSettings(source=f"{tmp_path}/shop/zzz/q"), root=root)
    assert "Did you mean" not in caught.value.next_step
