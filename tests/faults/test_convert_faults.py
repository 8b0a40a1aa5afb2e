"""A conversion that is killed, and bytes that change on disk."""

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from include import artifacts
from include.artifacts import Artifact
from include.convert import convert
from include.errors import BadSource, DamagedArtifact
from include.settings import ConvertSettings

SETTINGS = ConvertSettings(row_group_rows=100)
REPOSITORY = Path(__file__).resolve().parents[2]

# Converts, says so when the third row group is about to be written, and waits to be killed.
CHILD = """
import sys, time
from pathlib import Path
import pyarrow.parquet as pq
from include.convert import convert
from include.settings import ConvertSettings

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
        return {"file": "trn.json.gz", "origin": "test", "bytes": len(data), "sha256": sha256, "format": "gzip"}

    return artifacts.build(root, "source", 1, write, settings={}).path


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
