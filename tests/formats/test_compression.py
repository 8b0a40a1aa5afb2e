"""Packed files: gzip, bzip2, xz and Zstandard, alone, in an archive or around one."""

import io
import lzma
import random
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from include.core.errors import BadSource
from include.formats import compression
from include.formats.archive import Archive
from include.formats.compression import Counted, packing, peeled
from tests.formats.packers import PACKERS
from tests.formats.random_archives import tarred, zipped

LINE = b'{"uid": "1", "title": "kettle"}'
LINES = b"\n".join([LINE] * 1000) + b"\n"
packed_by = pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)


def lines_of(path: Path, role: str = "trn") -> list[bytes]:
    with Archive(path) as opened:
        return [line for block in opened.blocks(role) for line in block.split(b"\n")]


def refusal(path: Path) -> str:
    with pytest.raises(BadSource) as caught:
        lines_of(path)
    assert caught.value.next_step.endswith(".")
    return caught.value.what


def placed(data: bytes, where: str) -> bytes:
    if where == "alone":
        return data
    return zipped([("trn.json", data)]) if where == "zip" else tarred([("trn.json", data)])


@packed_by
@pytest.mark.parametrize("where", ["alone", "zip", "tar"])
def test_lines_are_read_whatever_packed_them(tmp_path: Path, pack: Callable[[bytes], bytes], where: str) -> None:
    """Danger: a catalogue has to be packed anew by hand, because of the program that packed it."""
    path = tmp_path / "download.bin"
    data = pack(LINES)
    path.write_bytes(placed(data, where))
    assert lines_of(path) == [LINE] * 1000


@packed_by
@pytest.mark.parametrize("names", [["trn.json", "lbl.json"], ["b.jsonl", "a.jsonl"]], ids=["roles", "several"])
def test_a_packed_tar_is_read(tmp_path: Path, pack: Callable[[bytes], bytes], names: list[str]) -> None:
    """Danger: tar.bz2, tar.xz and tar.zst are what other people's tools write."""
    path = tmp_path / "c.tar.any"
    path.write_bytes(pack(tarred([(name, b'{"in": "%b"}\n' % name.encode()) for name in names])))
    expected = [b'{"in": "trn.json"}'] if "trn.json" in names else [b'{"in": "a.jsonl"}', b'{"in": "b.jsonl"}']
    assert lines_of(path) == expected


@packed_by
def test_streams_in_a_row_are_one_file_and_zeros_may_follow(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """Danger: `cat a.xz b.xz`, which parallel packers write too, loses everything after the first stream."""
    path = tmp_path / "c"
    path.write_bytes(pack(LINE + b"\n") + pack(LINE + b"\n") + bytes(8))
    assert lines_of(path) == [LINE] * 2


@packed_by
def test_what_is_cut_is_named_as_that(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """Danger: a broken transfer becomes a smaller catalogue."""
    noise = random.Random(1).randbytes(200_000).hex().encode()
    data = pack(b'{"uid": "%b"}' % noise)
    for cut in (len(data) - 1, len(data) - 1000, len(data) // 2):
        (tmp_path / "c").write_bytes(data[:cut])
        assert "c ends too early: the file is truncated" in refusal(tmp_path / "c")


@packed_by
def test_what_follows_the_end_is_not_passed_over(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """Danger: a flipped bit at the beginning of a second stream, and all that is in it is gone without a word."""
    (tmp_path / "c").write_bytes(pack(LINES) + b"\x01" + pack(LINES)[1:])
    assert "c is damaged" in (what := refusal(tmp_path / "c")) or "ends too early" in what


@packed_by
def test_a_flipped_bit_is_found(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """Danger: damage within the file reads as text."""
    sound = pack(b"{" + random.Random(2).randbytes(30_000).hex().encode())
    for place in range(20, len(sound), len(sound) // 20):
        data = bytearray(sound)
        data[place] ^= 4
        (tmp_path / "c").write_bytes(data)
        assert "damaged" in (what := refusal(tmp_path / "c")) or "ends too early" in what, place


@packed_by
@pytest.mark.parametrize("where", ["alone", "zip", "tar", "around a tar"])
def test_a_bomb_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes], where: str
) -> None:
    """Danger: a kilobyte unpacks to gigabytes."""
    monkeypatch.setattr(compression, "FREE_BYTES", 2**20)
    zeros = b"0" * 30 * 2**20
    path = tmp_path / "bomb"
    if where == "around a tar":
        path.write_bytes(pack(tarred([("trn.json", zeros)])))
    else:
        path.write_bytes(placed(pack(zeros), where))
    assert "decompression bomb" in refusal(path)


@packed_by
def test_memory_is_bounded(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """Danger: what a block of packed bytes unpacks to is held as a whole."""
    path = tmp_path / "c"
    path.write_bytes(pack(b"".join(b'{"uid": "%d"}\n' % number for number in range(300_000))))
    tracemalloc.start()
    with Archive(path) as opened:
        count = sum(block.count(b"\n") + 1 for block in opened.blocks("trn"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 300_000
    assert peak < 24 * 2**20


def test_a_window_beyond_memory_is_no_damage(tmp_path: Path) -> None:
    """Danger: `zstd --ultra --long=31` takes gigabytes to be unpacked; or a sound file is called a damaged one."""
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 29})
    (tmp_path / "c").write_bytes(packer.compress(LINES) + packer.flush())
    assert "needs more than 256 MiB" in refusal(tmp_path / "c")
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**29}]
    (tmp_path / "c").write_bytes(lzma.compress(LINES, filters=filters))
    assert "needs more than 256 MiB" in refusal(tmp_path / "c")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_two_layers_are_refused_by_name(tmp_path: Path, method: int) -> None:
    """Danger: packed bytes are read as lines."""
    for name, pack in PACKERS.items():
        (tmp_path / "c").write_bytes(zipped([(f"trn.json.{name}", PACKERS["xz"](pack(LINES)))], method))
        found = packing(pack(LINES))
        assert found is not None
        assert f"inside xz is packed by {found.name}" in refusal(tmp_path / "c")


@given(st.binary(max_size=3000), st.sampled_from(list(PACKERS)), st.integers(1, 700))
def test_what_was_packed_is_what_is_unpacked(data: bytes, packer: str, size: int) -> None:
    """Danger: bytes are lost where a read ends within a stream."""
    stored = io.BytesIO(PACKERS[packer](data) + PACKERS[packer](data[::-1]))
    with peeled(stored, 10**6, "c") as (_, stream):
        assert b"".join(iter(lambda: stream.read(size), b"")) == data + data[::-1]


def test_the_stream_is_whole_where_it_is_asked_for_as_a_whole() -> None:
    """Danger: `read()` without a size gives a part."""
    for pack in PACKERS.values():
        with peeled(io.BytesIO(pack(LINES)), 10**6, "c") as (_, stream):
            assert isinstance(stream, Counted)
            assert stream.read() == LINES
