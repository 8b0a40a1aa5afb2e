"""A conversion that is killed, and bytes that change on disk."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.catalogue import cleaning_pool
from include.catalogue.cleaning_pool import CleaningPool
from include.catalogue.convert import convert
from include.catalogue.rows import Reading
from include.core import artifacts
from include.core.artifacts import Artifact
from include.core.environment import REPOSITORY
from include.core.errors import BadSource, CleaningInterrupted, DamagedArtifact, Transient
from include.core.settings import ConvertSettings

SETTINGS = ConvertSettings(row_group_rows=100)

# Converts, says so when the third row group is about to be written, and waits to be killed.
CHILD = """
import sys, time
from pathlib import Path
import pyarrow.parquet as pq
from include.catalogue.convert import convert
from include.core.settings import ConvertSettings

write, calls = pq.ParquetWriter.write_table, []

def stop_at_third(self, table, **options):
    calls.append(table.num_rows)
    if len(calls) == 3:
        print("in the middle", flush=True)
        time.sleep(600)
    write(self, table, **options)

pq.ParquetWriter.write_table = stop_at_third
convert(Path(sys.argv[1]), ConvertSettings(row_group_rows=100), root=Path(sys.argv[2]))
"""


def publish(root: Path, data: bytes) -> Path:
    def write(space: artifacts.Workspace) -> dict[str, Any]:
        (space.path / "trn.json.gz").write_bytes(data)
        sha256 = artifacts.file_sha256(space.path / "trn.json.gz")
        return {"file": "trn.json.gz", "origin": "trn.json.gz", "bytes": len(data), "sha256": sha256, "format": "gzip"}

    return artifacts.build(root, artifacts.Kind("source", 1), write, settings={}).path


def packed_rows(count: int) -> bytes:
    rows = (
        json.dumps({"uid": f"{n % 2000:010d}", "title": f"kettle &amp; lamp {n}", "content": "It is <b>red</b>. " * 9})
        for n in range(count)
    )
    return gzip.compress("\n".join(rows).encode(), mtime=0)


def products_hash(made: Artifact) -> str:
    return artifacts.file_sha256(made.path / "products.parquet")


def test_a_killed_conversion_is_made_again_byte_for_byte(root: Path, tmp_path: Path) -> None:
    """Danger: a half-written file is taken for a catalogue, or the retry differs and all later stages run again."""
    source = publish(root, packed_rows(2500))
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(source), str(root)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    with child, child.stdout:
        assert child.stdout.readline() == "in the middle\n"
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    assert list(root.glob("catalogue/.tmp-*/products.parquet")), "the kill came too late to prove anything"
    assert not list(root.glob("catalogue/[!.]*"))

    retried = convert(source, SETTINGS, root=root)
    undisturbed = convert(publish(tmp_path / "other", packed_rows(2500)), SETTINGS, root=tmp_path / "other")
    assert retried.fingerprint == undisturbed.fingerprint
    assert products_hash(retried) == products_hash(undisturbed)
    assert retried.stats == undisturbed.stats
    assert retried.stats["trn"]["merged"] == 500
    left = {entry.name for entry in (root / "catalogue").iterdir()}
    assert left == {retried.fingerprint, f".{retried.fingerprint}.lock"}


# Converts with two processes, says which, and waits in the middle for a kill.
CHILD_WITH_PROCESSES = """
import sys, time
from pathlib import Path
import pyarrow.parquet as pq
from include.catalogue import cleaning_pool
from include.formats import lines
from include.catalogue.convert import convert
from include.core.settings import ConvertSettings

lines.line_blocks.__kwdefaults__["block"] = 20_000
start = cleaning_pool.CleaningPool._start

def start_and_tell(self):
    start(self)
    print(*(worker._child.pid for worker in self._workers), flush=True)

def wait(self, table, **options):
    time.sleep(600)

cleaning_pool.CleaningPool._start = start_and_tell
pq.ParquetWriter.write_table = wait
convert(Path(sys.argv[1]), ConvertSettings(row_group_rows=100), root=Path(sys.argv[2]), processes=2)
"""


def test_cleaning_processes_end_with_a_killed_conversion(root: Path) -> None:
    """Danger: orphans that hold memory and a processor for ever, one more for each retry."""
    source = publish(root, packed_rows(2500))
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD_WITH_PROCESSES, str(source), str(root)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    with child, child.stdout:
        try:
            workers = [int(pid) for pid in child.stdout.readline().split()]
            assert len(workers) == 2
            wait_until(lambda: all(map(is_cleaning, workers)))  # at once, but for a moment within exec()
        finally:
            child.kill()
    assert child.returncode == -signal.SIGKILL
    wait_until(lambda: not any(map(is_cleaning, workers)))
    assert convert(source, SETTINGS, root=root).stats["trn"]["accepted"] == 2000


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "a minute has passed"
        time.sleep(0.05)


def is_cleaning(pid: int) -> bool:
    """Whether this process is there, is one of ours, and is no zombie."""
    try:
        return b"cleaning_process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("name", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_cleaning_process_is_named_and_the_retry_is_whole(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: signal.Signals
) -> None:
    """Danger: the conversion hangs, publishes what it has, or doubles rows when it is tried again."""
    monkeypatch.setattr("include.formats.lines.line_blocks.__kwdefaults__", {"block": 20_000, "limit": 10_000_000})
    source = publish(root, packed_rows(2500))
    read = cleaning_pool._Worker.read
    calls: list[int] = []

    def read_until_killed(worker: Any, block: bytes) -> Any:
        calls.append(worker._child.pid)
        if len(calls) == 5:
            os.kill(worker._child.pid, name)
        return read(worker, block)

    monkeypatch.setattr(cleaning_pool._Worker, "read", read_until_killed)
    with pytest.raises(CleaningInterrupted, match=rf"was ended by {name.name}\.") as caught:
        convert(source, SETTINGS, root=root, processes=2)
    assert isinstance(caught.value, Transient) and "Retry" in caught.value.next_step
    assert not any(is_cleaning(pid) for pid in calls)
    assert list(root.glob("catalogue/[!.]*")) == [] and list(root.glob("catalogue/.tmp-*")) == []

    monkeypatch.setattr(cleaning_pool._Worker, "read", read)
    retried = convert(source, SETTINGS, root=root, processes=2)
    undisturbed = convert(
        publish(tmp_path / "other", packed_rows(2500)), SETTINGS, root=tmp_path / "other", processes=1
    )
    assert products_hash(retried) == products_hash(undisturbed)
    assert retried.stats == undisturbed.stats


def test_a_mistake_in_a_cleaning_process_comes_with_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Danger: "the process ended" is all that one learns of a mistake in the code."""
    (tmp_path / "sitecustomize.py").write_text(
        "import include.catalogue.rows\ninclude.catalogue.rows.RowReader.read = lambda self, block: 1 / 0\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with (
        CleaningPool(Reading(100, 100), 2) as pool,
        pytest.raises(RuntimeError, match=r"(?s)begins b'a'.*ZeroDivisionError"),
    ):
        list(pool.rows(iter([b"a"] * 6)))


def test_a_flipped_byte_in_the_source_fails_with_its_checksum(root: Path) -> None:
    """Danger: a byte that changed before the download reads as another text."""
    data = bytearray(packed_rows(500))
    data[-7] ^= 0x40
    with pytest.raises(BadSource, match=r"trn\.json\.gz is damaged \(CRC check failed") as caught:
        convert(publish(root, bytes(data)), SETTINGS, root=root)
    assert caught.value.next_step
    assert [entry.name for entry in (root / "catalogue").glob("[!.]*")] == []
    assert list(root.glob("catalogue/.tmp-*")) == []


def test_a_flipped_byte_in_the_products_is_found_and_repaired(root: Path) -> None:
    """Danger: a byte that changed on disk is trained on and indexed."""
    source = publish(root, packed_rows(500))
    made = convert(source, SETTINGS, root=root)
    before = products_hash(made)
    data = bytearray((made.path / "products.parquet").read_bytes())
    data[len(data) // 2] ^= 0x10
    (made.path / "products.parquet").write_bytes(data)
    with pytest.raises(DamagedArtifact, match=r"products\.parquet has sha256"):
        artifacts.read(made.path)
    repaired = convert(source, SETTINGS, root=root)
    assert not repaired.reused
    assert products_hash(repaired) == before
    artifacts.read(repaired.path)
