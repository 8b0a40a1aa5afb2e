"""Reading lines out of a catalogue file that anybody may have made."""

import gzip
import io
import random
import stat
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from include import archive
from include.archive import Archive
from include.errors import BadSource, VitrineError
from include.lines import MAX_LINE, line_blocks

LINE = b'{"uid":"1","title":"kettle"}\n'


def zipped(path: Path, members: Mapping[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as out:
        for name, data in members.items():
            out.writestr(name, data)
    return path


def lines_of(path: Path, role: str = "trn") -> list[bytes]:
    with Archive(path) as opened:
        return [line for block in opened.blocks(role) for line in block.split(b"\n")]


def refusal(path: Path, role: str = "trn") -> str:
    with pytest.raises(BadSource) as caught:
        lines_of(path, role)
    assert caught.value.next_step.endswith(".")
    return caught.value.what


@pytest.mark.parametrize("folder", ["", "LF-Amazon-1.3M/", "a/b/c/"])
@pytest.mark.parametrize("name", ["trn.json.gz", "trn.json", "TRN.jsonl", "trn.ndjson.gz"])
def test_trn_is_found_in_any_folder(tmp_path: Path, folder: str, name: str) -> None:
    """Danger: an archive that was packed from another folder is refused."""
    data = gzip.compress(LINE * 3) if name.endswith("gz") else LINE * 3
    path = zipped(tmp_path / "c.zip", {folder + name: data, f"{folder}readme.txt": b"x"})
    assert lines_of(path) == [LINE[:-1]] * 3


def test_three_files_are_told_apart(tmp_path: Path) -> None:
    """Danger: labels are read as products."""
    path = zipped(
        tmp_path / "c.zip", {f"{role}.json.gz": gzip.compress(role.encode()) for role in ("lbl", "tst", "trn")}
    )
    with Archive(path) as opened:
        assert set(opened.members) == {"trn", "tst", "lbl"}
    assert [lines_of(path, role) for role in ("trn", "tst", "lbl")] == [[b"trn"], [b"tst"], [b"lbl"]]


@pytest.mark.parametrize("pack", [gzip.compress, bytes], ids=["gzip", "plain"])
def test_a_single_file_is_trn_whatever_its_name(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """Danger: the format is taken from a name, which a download may have made up."""
    path = tmp_path / "download.bin"
    path.write_bytes(pack(LINE * 2))
    assert lines_of(path) == [LINE[:-1]] * 2


def test_one_json_lines_member_of_another_name_is_trn(tmp_path: Path) -> None:
    """Danger: a user's own ZIP with products.jsonl needs renaming for no reason."""
    assert lines_of(zipped(tmp_path / "c.zip", {"shop/products.jsonl": LINE, "__MACOSX/._products.jsonl": b"x"}))


def test_several_gzip_members_in_a_row_are_one_file(tmp_path: Path) -> None:
    """Danger: `cat a.gz b.gz` loses everything after the first member."""
    path = tmp_path / "c.gz"
    path.write_bytes(gzip.compress(LINE) + gzip.compress(LINE))
    assert len(lines_of(path)) == 2


def test_the_end_of_a_line_is_the_newline_byte_alone() -> None:
    """Danger: U+2028 or U+0085 in a title cuts a product in two, as str.splitlines does."""
    text = "a\u2028b\u0085c\x0bd\x0ce\x1cf\rg".encode()
    assert list(line_blocks(io.BytesIO(text + b"\r\n" + text))) == [text + b"\r", text]


@pytest.mark.parametrize("block", [1, 2, 3, 5, 7, 64])
def test_blocks_do_not_show_in_the_lines(block: int) -> None:
    """Danger: a line that crosses the border of two blocks is cut or doubled."""
    data = b"\xef\xbb\xbffirst\n\nthird line\n" + b"x" * 20 + b"\nlast without newline"
    found = [line for lines in line_blocks(io.BytesIO(data), block=block) for line in lines.split(b"\n")]
    assert found == [b"first", b"", b"third line", b"x" * 20, b"last without newline"]


def test_a_byte_order_mark_is_dropped_only_at_the_start() -> None:
    """Danger: the first product is rejected, or a later line is changed."""
    assert list(line_blocks(io.BytesIO(b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n"))) == [b"a\n\xef\xbb\xbfb"]
    assert list(line_blocks(io.BytesIO(b"\xef\xbb\xbfalone"))) == [b"alone"]


def test_an_endless_line_is_cut_and_never_held(tmp_path: Path) -> None:
    """Danger: one line of gigabytes takes all memory."""
    path = tmp_path / "c.json"
    with path.open("wb") as out:
        for _ in range(60):
            out.write(b"x" * 2**20)
        out.write(b"\n" + LINE)
    tracemalloc.start()
    found = lines_of(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [len(line) for line in found] == [MAX_LINE + 1, len(LINE) - 1]
    assert peak < 40 * 2**20


@pytest.mark.parametrize("depth", [1, 2], ids=["gzip", "gzip in deflate"])
def test_a_decompression_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: int) -> None:
    """Danger: a megabyte unpacks to gigabytes."""
    monkeypatch.setattr(archive, "FREE_BYTES", 2**20)
    packed = gzip.compress(b"0" * 60 * 2**20)
    path = tmp_path / "bomb.gz"
    if depth == 1:
        path.write_bytes(packed)
    else:
        path = zipped(tmp_path / "bomb.zip", {"trn.json.gz": packed})
    assert "decompression bomb" in refusal(path)


def test_what_repeats_itself_honestly_is_no_bomb(tmp_path: Path) -> None:
    """Danger: a small catalogue of similar products is refused."""
    path = tmp_path / "c.gz"
    path.write_bytes(gzip.compress(LINE * 100_000))
    assert path.stat().st_size * archive.MAX_RATIO < len(LINE) * 100_000
    assert len(lines_of(path)) == 100_000


HOSTILE = ["../trn.json", "/etc/passwd", "a/../../b", "C:\\trn.json", "..\\up", "\\\\server\\share"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_refused_by_name(tmp_path: Path, name: str) -> None:
    """Danger: zip-slip, in the member that is read or in any other."""
    path = zipped(tmp_path / "c.zip", {"trn.json": LINE, name: LINE})
    assert repr(archive.printable(name)) in refusal(path)


def test_two_dots_inside_a_name_are_fine(tmp_path: Path) -> None:
    """Danger: an honest archive is refused for a name such as `v1..2`."""
    assert lines_of(zipped(tmp_path / "c.zip", {"v1..2/trn.json": LINE}))


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    """Danger: a member that stands for a file outside of the archive."""
    link = zipfile.ZipInfo("trn.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as out:
        out.writestr(link, "/etc/passwd")
    assert "symbolic link" in refusal(tmp_path / "c.zip")


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    """Danger: a RuntimeError about a password, far from its cause."""
    data = bytearray(zipped(tmp_path / "c.zip", {"trn.json": LINE}).read_bytes())
    data[6] |= 1  # flag bits of the local header
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "c.zip").write_bytes(data)
    assert "encrypted" in refusal(tmp_path / "c.zip")


def test_an_unusual_method_is_refused(tmp_path: Path) -> None:
    """Danger: a method whose errors are not known here."""
    assert "method 12" in refusal(zipped(tmp_path / "c.zip", {"trn.json": LINE}, method=zipfile.ZIP_BZIP2))


def test_without_trn_the_message_lists_what_is_there(tmp_path: Path) -> None:
    """Danger: the user has to open the archive to learn what is wrong."""
    path = zipped(tmp_path / "c.zip", {"data/tst.json.gz": b"", "readme.txt": b"x"})
    what = refusal(path)
    assert "trn.json.gz" in what and "data/tst.json.gz, readme.txt" in what
    assert "no file at all" in refusal(zipped(tmp_path / "empty.zip", {}))
    many = refusal(zipped(tmp_path / "many.zip", {f"{number}.txt": b"" for number in range(50)}))
    assert "and 40 more" in many


def test_two_candidates_are_refused(tmp_path: Path) -> None:
    """Danger: one of two files is taken silently."""
    path = zipped(tmp_path / "c.zip", {"a/trn.json": LINE, "b/trn.json.gz": gzip.compress(LINE)})
    assert "a/trn.json, b/trn.json.gz" in refusal(path)


def test_a_truncated_gzip_is_named(tmp_path: Path) -> None:
    """Danger: a broken transfer becomes a smaller catalogue."""
    path = tmp_path / "c.gz"
    path.write_bytes(gzip.compress(random.Random(1).randbytes(200_000).hex().encode())[:-1000])
    assert "c.gz ends too early" in refusal(path)


def test_a_flipped_byte_fails_the_checksum(tmp_path: Path) -> None:
    """Danger: damage within the file reads as text."""
    data = bytearray(gzip.compress(LINE * 10))
    data[-6] ^= 1  # of the CRC itself, so that unpacking succeeds
    (tmp_path / "c.gz").write_bytes(data)
    assert "CRC" in refusal(tmp_path / "c.gz")
    stored = bytearray(zipped(tmp_path / "c.zip", {"trn.json": LINE}, method=zipfile.ZIP_STORED).read_bytes())
    stored[stored.index(b"kettle")] ^= 1
    (tmp_path / "c.zip").write_bytes(stored)
    assert "CRC" in refusal(tmp_path / "c.zip")


def test_a_truncated_zip_is_named(tmp_path: Path) -> None:
    """Danger: a traceback of zipfile instead of a sentence."""
    path = zipped(tmp_path / "c.zip", {"trn.json": LINE * 1000})
    path.write_bytes(path.read_bytes()[:-30])
    assert "c.zip is damaged" in refusal(path)


def test_damage_anywhere_is_an_error_of_ours_or_no_error(tmp_path: Path) -> None:
    """Danger: a damaged archive raises something that nobody catches, or hangs."""
    seed = 20240501
    print("seed", seed)
    rng = random.Random(seed)
    rows = "".join(rng.choice("abcdef \n") for _ in range(3000)).encode()
    for pack in ("zip", "gz"):
        path = tmp_path / f"c.{pack}"
        if pack == "zip":
            zipped(path, {"trn.json.gz": gzip.compress(rows), "lbl.json": rows})
        else:
            path.write_bytes(gzip.compress(rows))
        sound = path.read_bytes()
        whole = lines_of(path)
        refused = 0
        for _ in range(300):
            data = bytearray(sound)
            for _ in range(rng.randint(1, 3)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            path.write_bytes(data[: rng.randint(1, len(data))] if rng.random() < 0.3 else data)
            try:
                found = lines_of(path)
            except VitrineError:
                refused += 1
            else:  # the damage hit what does not matter, or made the file look like plain text
                assert found == whole or path.read_bytes()[:2] not in (b"PK", b"\x1f\x8b")
        assert refused > 200


def test_progress_ends_at_the_size_of_the_member(tmp_path: Path) -> None:
    """Danger: a progress bar that stops at a third, or goes over the end."""
    path = zipped(tmp_path / "c.zip", {"trn.json.gz": gzip.compress(LINE * 1000)})
    told: list[int] = []
    with Archive(path) as opened:
        for _ in opened.blocks("trn", told.append):
            pass
        assert told[-1] == opened.members["trn"].size
