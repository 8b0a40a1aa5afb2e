"""Downloads that are killed, and disks that are full: what is stored afterwards, and that a retry ends well."""

import errno
import hashlib
import io
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from include.core import artifacts, kinds
from include.core.environment import REPOSITORY
from include.core.errors import StorageFull
from include.core.settings import SourceSettings
from include.sample.write import write_sample
from include.source.download import download
from include.source.transfer import Partial
from tests.drive_server import FileServer, Served, serve
from tests.faults.killed import kill_at_point

DRIVE_ID = "12zH4mL2RX8iSvH0VCNnd3QxO4DzuHWnK"
PROGRAM = """
import sys
from pathlib import Path
from include.source.download import download
from include.core.settings import SourceSettings
made = download(SourceSettings(source=sys.argv[1], sample_products=200_000), root=Path(sys.argv[2]))
print(made.path)
"""


def archive() -> bytes:
    """A ZIP of about 3 MB that do not compress."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr(zipfile.ZipInfo("LF-Amazon-1.3M/trn.json.gz"), random.Random(2).randbytes(3_000_000))
    return out.getvalue()


ZIP = archive()
SHA256 = hashlib.sha256(ZIP).hexdigest()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    with serve(tmp_path) as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


def start(source: str, root: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, source, str(root)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def kill_when(process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
    """SIGKILL the process once `ready`; fail if it ends before, or if that takes a minute."""
    deadline = time.monotonic() + 60
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"the download was not in mid-transfer: {process.communicate()[1].decode()}")
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def files(root: Path) -> list[str]:
    """Every file under `root` but the (empty) locks."""
    return sorted(
        str(entry.relative_to(root)) for entry in root.rglob("*") if entry.is_file() and entry.suffix != ".lock"
    )


def bytes_held(root: Path, pattern: str) -> int:
    return sum(part.stat().st_size for part in (root / "source").glob(f".scratch-*/{pattern}"))


@pytest.mark.parametrize("kind", ["http", "drive"])
def test_a_download_killed_in_mid_transfer_is_completed_by_its_retry(server: FileServer, root: Path, kind: str) -> None:
    """Danger: the killed try's part is lost, published, stitched wrongly, or left behind for ever."""
    served = server.files["a.zip"] = server.files[DRIVE_ID] = Served(
        ZIP, etag='"one"', last_modified="Mon, 06 Jan 2025 10:00:00 GMT", hold=2_000_000
    )
    source, part = (f"{server.url}/a.zip", "partial") if kind == "http" else (DRIVE_ID, "drive*.part")
    process = start(source, root)
    kill_when(process, lambda: server.holding.is_set() and bytes_held(root, part) > 1_000_000)
    assert artifacts.published(root, kinds.SOURCE) == []
    held = bytes_held(root, part)

    served.hold = None
    server.release.set()
    server.requests.clear()
    made = download(SourceSettings(source=source), root=root)

    assert made.stats["sha256"] == SHA256
    assert (artifacts.read(made.path).path / "catalogue.zip").read_bytes() == ZIP
    ranges = [request.headers["Range"] for request in server.requests if "Range" in request.headers]
    assert ranges == [f"bytes={held}-"]
    assert files(root) == [f"source/{made.fingerprint}/catalogue.zip", f"source/{made.fingerprint}/manifest.json"]


FOLDER = """
from pathlib import Path
from include.core.settings import SourceSettings
from include.source.download import download
from include.source.transfer import Partial

whole, seen = Partial.receive, []

def receive(self, *arguments):
    seen.append(arguments[1])
    if len(seen) == 3:
        self.path.write_bytes(b"{")  # some of it is there
        reach("in the third file")
    return whole(self, *arguments)

Partial.receive = receive
download(SourceSettings(source=sys.argv[1]), root=Path(sys.argv[2]))
"""


def test_a_folder_killed_in_its_third_file_goes_on_there(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Danger: what had arrived is copied again, or published without the rest, or has a piece of the killed try."""
    place = tmp_path / "exports"
    place.mkdir()
    for number in range(5):
        (place / f"{number}.jsonl").write_text(f'{{"uid": "{number}", "title": "A kettle"}}\n')
    kill_at_point(FOLDER, place, root)
    assert artifacts.published(root, kinds.SOURCE) == []
    copied: list[str] = []
    whole = Partial.receive

    def receive(self: Partial, *arguments: Any) -> Any:
        copied.append(Path(arguments[1]).name)
        return whole(self, *arguments)

    monkeypatch.setattr(Partial, "receive", receive)
    made = download(SourceSettings(source=str(place)), root=root)
    assert copied == ["2.jsonl", "3.jsonl", "4.jsonl"]
    arrived = artifacts.read(made.path).path / made.stats["file"]
    assert {path.name: path.read_bytes() for path in arrived.iterdir()} == {
        path.name: path.read_bytes() for path in place.iterdir()
    }
    assert [path for path in files(root) if not path.startswith(f"source/{made.fingerprint}/")] == []


def test_a_sample_killed_while_it_is_written_is_written_again(root: Path, tmp_path: Path) -> None:
    """Danger: half a synthetic catalogue is published, or its part stays on the disk for ever."""
    process = start("sample", root)
    kill_when(process, lambda: bytes_held(root, "sample.zip") > 0)
    assert artifacts.published(root, kinds.SOURCE) == []

    made = download(SourceSettings(sample_products=60), root=root)

    write_sample(tmp_path / "undisturbed.zip", 60, 7)
    assert (made.path / "catalogue.zip").read_bytes() == (tmp_path / "undisturbed.zip").read_bytes()
    assert files(root) == [f"source/{made.fingerprint}/catalogue.zip", f"source/{made.fingerprint}/manifest.json"]


class _FullDisk:
    """A file that takes a million bytes, then says that the disk is full."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = 1_000_000

    def write(self, data: bytes) -> int:
        self._left -= len(data)
        if self._left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._file.name)
        return int(self._file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_FullDisk":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@pytest.mark.parametrize("kind", ["http", "drive", "local"])
def test_a_disk_that_fills_up_is_named_and_nothing_is_kept(
    server: FileServer, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Danger: a part fills the disk for every other task, or a short file is published."""
    server.files["a.zip"] = server.files[DRIVE_ID] = Served(ZIP, etag='"one"', announce_length=False)
    (tmp_path / "a.zip").write_bytes(ZIP)
    source = {"http": f"{server.url}/a.zip", "drive": DRIVE_ID, "local": str(tmp_path / "a.zip")}[kind]
    real_open, real_path_open = open, Path.open

    def full_path_open(path: Path, mode: str = "r", *rest: Any, **named: Any) -> Any:
        file = real_path_open(path, mode, *rest, **named)
        return _FullDisk(file) if path.name == "partial" and mode == "ab" else file

    def full_open(name: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        file = real_open(name, mode, *rest, **named)
        return _FullDisk(file) if str(name).endswith(".part") and mode == "ab" else file

    import gdown  # noqa: F401 - so that the module below is loaded

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full_path_open)
        patch.setattr(sys.modules["gdown.download"], "open", full_open, raising=False)
        with pytest.raises(StorageFull, match="is full") as caught:
            download(SourceSettings(source=source), root=root)
    assert "Free some space" in caught.value.next_step
    assert files(root) == []

    made = download(SourceSettings(source=source), root=root)
    assert made.stats["sha256"] == SHA256


def test_a_really_full_disk_publishes_nothing(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Danger: the error of a real file system is another than the one that the other test invents."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        server.files["a.zip"] = Served(ZIP, etag='"one"', announce_length=False)
        with monkeypatch.context() as patch, pytest.raises(StorageFull, match="is full"):
            patch.setattr(artifacts, "require", lambda *_: None)  # as if the room had gone since
            download(SourceSettings(source=f"{server.url}/a.zip"), root=small / "data")
        assert files(small) == []
        server.files["a.zip"].announce_length = True
        with monkeypatch.context() as patch, pytest.raises(StorageFull, match="needs 3 MiB"):
            patch.setattr(artifacts, "require", lambda *_: None)
            download(SourceSettings(source=f"{server.url}/a.zip"), root=small / "data")
        assert files(small) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)
