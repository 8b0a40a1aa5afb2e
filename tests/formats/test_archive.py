"""Reading lines out of a catalogue file that anybody may have made."""

import gzip
import io
import json
import random
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from include.core.display import printable
from include.core.errors import BadSource, VitrineError
from include.formats import compression
from include.formats.archive import Archive
from include.formats.lines import MAX_LINE, line_blocks

LINE = b'{"uid":"1","title":"kettle"}\n'


def zipped(path: Path, members: Mapping[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as out:
        for name, data in members.items():
            out.writestr(name, data)
    return path


def step_of(path: Path) -> str:
    with pytest.raises(BadSource) as caught:
        lines_of(path)
    return caught.value.next_step


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
        tmp_path / "c.zip",
        {f"{role}.json.gz": gzip.compress(f'{{"{role}":1}}'.encode()) for role in ("lbl", "tst", "trn")},
    )
    with Archive(path) as opened:
        assert set(opened.members) == {"trn", "tst", "lbl"}
    assert [lines_of(path, role) for role in ("trn", "tst", "lbl")] == [
        [b'{"trn":1}'],
        [b'{"tst":1}'],
        [b'{"lbl":1}'],
    ]


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
    monkeypatch.setattr(compression, "FREE_BYTES", 2**20)
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
    assert path.stat().st_size * compression.MAX_RATIO < len(LINE) * 100_000
    assert len(lines_of(path)) == 100_000


HOSTILE = ["../trn.json", "/etc/passwd", "a/../../b", "C:\\trn.json", "..\\up", "\\\\server\\share"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_refused_by_name(tmp_path: Path, name: str) -> None:
    """Danger: zip-slip, in the member that is read or in any other."""
    path = zipped(tmp_path / "c.zip", {"trn.json": LINE, name: LINE})
    assert repr(printable(name)) in refusal(path)


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
    assert "trn.json.gz" in what and "data/tst.json.gz (empty), readme.txt" in what
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
    rows = "".join(rng.choice("abcdef \n{") for _ in range(3000)).encode()
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
        assert told[-1] == opened.members["trn"][0].size


def tarred(path: Path, members: Mapping[str, bytes], mode: str = "w:gz", **more: Any) -> Path:
    with tarfile.open(path, mode, **more) as out:  # type: ignore[call-overload]
        folder = tarfile.TarInfo("shop")
        folder.type = tarfile.DIRTYPE
        out.addfile(folder)
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_is_three_files_and_not_one(tmp_path: Path, mode: str, form: int) -> None:
    """Danger: a .tar.gz is one gzip of lines: labels and test products are trained on, and the run is green."""
    members = {f"shop/{role}.json": f'{{"uid":"{role}"}}\n'.encode() * 2000 for role in ("lbl", "trn")}
    members["shop/tst.json.gz"] = gzip.compress(LINE * 2000)
    path = tarred(tmp_path / "catalogue.bin", members, mode, format=form)
    with Archive(path) as opened:
        assert set(opened.members) == {"trn", "tst", "lbl"}
        told: list[int] = []
        assert b"".join(opened.blocks("trn", told.append)).count(b"trn") == 2000
        assert told[-1] == opened.members["trn"][0].size == len(members["shop/trn.json"])
    assert lines_of(path, "lbl") == [b'{"uid":"lbl"}'] * 2000
    assert lines_of(path, "tst") == [LINE[:-1]] * 2000


def test_a_tar_without_trn_lists_what_it_holds(tmp_path: Path) -> None:
    """Danger: the user has to unpack it to learn what is wrong."""
    path = tarred(tmp_path / "c.tar.gz", {"shop/a.csv": b"x", "shop/b.txt": b"y"})
    assert "holds no trn.json.gz" in refusal(path) and "shop/a.csv, shop/b.txt" in refusal(path)


@pytest.mark.parametrize("name", ["../trn.json", "/etc/passwd", "a/../../b"])
def test_a_hostile_name_in_a_tar_is_refused(tmp_path: Path, name: str) -> None:
    """Danger: what a ZIP may not, a tar may."""
    assert repr(name) in refusal(tarred(tmp_path / "c.tar", {"trn.json": LINE, name: LINE}, "w"))


def test_a_link_in_a_tar_is_refused(tmp_path: Path) -> None:
    """Danger: a member that stands for a file outside of the archive."""
    path = tarred(tmp_path / "c.tar", {"lbl.json": LINE}, "w")
    with tarfile.open(path, "a") as out:
        link = tarfile.TarInfo("trn.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        out.addfile(link)
    assert "is a link: 'trn.json'" in refusal(path)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_that_is_cut_is_named(tmp_path: Path, mode: str) -> None:
    """Danger: a broken transfer becomes a smaller catalogue."""
    data = random.Random(1).randbytes(100_000).hex().encode()
    path = tarred(tmp_path / "c.tar", {"trn.json": b'{"' + data, "lbl.json": LINE}, mode)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert re.search(r"ends too early|damaged", refusal(path))


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_damage_to_a_later_header_of_a_tar_does_not_end_it(tmp_path: Path, form: int, mode: str) -> None:
    """Danger: tarfile takes it for the end: the labels are gone, links lead nowhere, and the run is green."""
    name = "lbl.json" if form == tarfile.USTAR_FORMAT else f"{'long/' * 40}lbl.json"  # GNU and PAX: two headers more
    sound = tarred(tmp_path / "c.tar", {"trn.json": LINE, "tst.json": LINE, name: LINE}, "w", format=form).read_bytes()
    start = 4 * 512 + 512  # behind the folder, and two members with a block of data each
    end = sound.rindex(LINE) + 512  # of the last member's data: zeros follow
    path = tmp_path / "damaged.tar"

    def roles(data: bytes) -> set[str]:
        path.write_bytes(gzip.compress(data) if mode == "w:gz" else data)
        with Archive(path) as opened:
            return set(opened.members)

    assert roles(sound) == {"trn", "tst", "lbl"}
    assert roles(sound[: end + 512]) == {"trn", "tst", "lbl"}, "one block of zeros is an end"
    for place in (*range(start, start + 148, 7), start + 300):  # but for the checksum's own bytes
        data = bytearray(sound)
        data[place] ^= 1
        with pytest.raises(BadSource, match=r"damaged\.tar is damaged \(.*at byte 2,560"):
            roles(bytes(data))
    for cut in (start, start + 1, start + 511, start + 512, end - 1, end, end + 511):
        with pytest.raises(BadSource, match=r"damaged\.tar (is damaged|ends too early)"):
            roles(sound[:cut])


def test_the_checksum_of_a_gzipped_tar_is_read(tmp_path: Path) -> None:
    """Danger: a reader of tar stops at the last member, before gzip says that what it read is damaged."""
    plain = tarred(tmp_path / "c.tar", {"trn.json": LINE, "lbl.json": LINE}, "w").read_bytes()
    sound = gzip.compress(plain + bytes(4 * 2**20))  # GNU tar pads to its block size, which may be anything
    path = tmp_path / "c.tar.gz"
    path.write_bytes(sound)
    assert lines_of(path) == [LINE[:-1]]
    path.write_bytes(sound[:-6] + bytes([sound[-6] ^ 1]) + sound[-5:])
    assert "CRC" in refusal(path)
    path.write_bytes(sound[:-4])
    assert "ends too early" in refusal(path)


def test_a_bomb_in_a_tar_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Danger: a megabyte unpacks to gigabytes."""
    monkeypatch.setattr(compression, "FREE_BYTES", 2**20)
    assert "decompression bomb" in refusal(tarred(tmp_path / "c.tgz", {"trn.json": b"0" * 60 * 2**20}))


ROWS = [{"asin": f"A{number}", "title": f"kettle {number}", "description": "x y"} for number in range(9)]
TEXT = "".join(json.dumps(row) + "\n" for row in ROWS)


# What is in the file, what the message calls it, and what the next step says.
OTHERS: dict[str, tuple[bytes, str, str]] = {
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(40), "a 7-Zip archive", "7z x"),
    "rar": (b"Rar!\x1a\x07\x01\x00" + bytes(40), "a RAR archive", "unrar x"),
    "sqlite": (b"SQLite format 3\x00" + bytes(80), "an SQLite database", "Export the products as JSON lines"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(80), "Excel", "Export the products"),
    "html": (b"<!DOCTYPE html><html>Sorry</html>", "a web page", "Export the products"),
    "pdf": (b"%PDF-1.7 ...", "a PDF document", "Export the products"),
    "zlib": (zlib.compress(TEXT.encode()), "packed by zlib", "zlib.decompressobj"),
    "cpio": (b"070701" + b"0" * 104 + b"trn.json\0", "a cpio archive", "cpio -id <"),
    "deb": (b"!<arch>\ndebian-binary   1700000000  0     0     100644  4         `\n2.0\n", "Debian package", "ar x"),
    "feather 1": (b"FEA1" + bytes(60) + b"FEA1", "a Feather file of the first version", "Export the products"),
    "xml": (b"<catalog>\n<product id='1'>kettle</product>\n</catalog>\n", "an XML document", "Export the products"),
    "xml comment": (b"<!-- of today -->\n<rss version='2.0'/>", "an XML document", "Export the products"),
    "yaml": (b"- asin: A1\n  title: kettle 1\n", "YAML", "safe_load_all"),
    "yaml document": (b"---\nasin: A1\ntitle: kettle 1\n", "YAML", "safe_load_all"),
    "yaml list": (b"products:\n  - asin: A1\n", "YAML", "safe_load_all"),
    "sql": (b"-- MySQL dump 10.13\n\nDROP TABLE IF EXISTS `p`;\n", "an SQL dump", "Export the products"),
    "sql rows": (b"INSERT INTO p VALUES ('A1', 'kettle');\n" * 9, "an SQL dump", "Export the products"),
    "prose": (b"Dear reader,\n\nthese are our products.\n", "it begins 'Dear reader,'", "Export the products"),
    "numbers": (b"1\n2\n3\n", "without a JSON object in its first lines: it begins '1'", "Export the products"),
    "lists": (b'["A1", "kettle"]\n["A2", "pan"]\n', 'it begins \'["A1", "kettle"]\'', "Export the products"),
    "unknown": (
        b"\x01\x02\x03\x04 \x05",
        "neither text nor a known format: its first bytes are 01 02 03",
        "Export the",
    ),
}
NESTED = ["gzip", "zip", "tar"]


def nested(kind: str) -> bytes:
    out = io.BytesIO()
    if kind == "gzip":
        return gzip.compress(LINE)
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as archive_inside:
            archive_inside.writestr("trn.json", LINE)
    else:
        with tarfile.open(fileobj=out, mode="w") as tar_inside:
            info = tarfile.TarInfo("trn.json")
            info.size = len(LINE)
            tar_inside.addfile(info, io.BytesIO(LINE))
    return out.getvalue()


def place(tmp_path: Path, data: bytes, where: str) -> Path:
    path = tmp_path / "catalogue.dat"
    if where == "plain":
        path.write_bytes(data)
    elif where == "gzip":
        path.write_bytes(gzip.compress(data))
    elif where == "zip":
        zipped(path, {"trn.json": LINE, "lbl.json": data})
    else:
        tarred(path, {"trn.json.gz": gzip.compress(data)})
    return path


@pytest.mark.parametrize("where", ["plain", "gzip", "zip", "tar"])
@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_json_lines_is_named_with_the_next_step(tmp_path: Path, kind: str, where: str) -> None:
    """Danger: rubbish, or "not JSON" thousands of times, where the file only has another format."""
    data, name, step = OTHERS[kind]
    with pytest.raises(BadSource) as caught:
        Archive(place(tmp_path, data, where))
    assert name in caught.value.what
    assert step in caught.value.next_step


@pytest.mark.parametrize("where", ["gzip", "zip", "tar"])
@pytest.mark.parametrize("kind", NESTED)
def test_an_archive_inside_is_refused_by_name(tmp_path: Path, kind: str, where: str) -> None:
    """Danger: packed bytes are read as lines; or gzip inside gzip is taken for damage."""
    if (kind, where) == ("tar", "gzip"):
        return  # this is a .tar.gz, which is read
    data = gzip.compress(nested(kind)) if where == "zip" else nested(kind)
    with pytest.raises(
        BadSource, match={"gzip": "packed by gzip", "zip": "a ZIP arch", "tar": "a tar arch"}[kind]
    ) as caught:
        Archive(place(tmp_path, data, where))
    assert "Unpack the outer layer" in caught.value.next_step


def test_an_office_document_and_packed_members_are_named(tmp_path: Path) -> None:
    """Danger: a workbook is "a ZIP without trn.json.gz", with ten names out of its insides."""
    path = zipped(tmp_path / "c.docx", {"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>"})
    assert "it is a Word document" in refusal(path)
    path = zipped(tmp_path / "c.zip", {"shop.tar": nested("tar"), "shop.pdf": OTHERS["pdf"][0]})
    assert "shop.tar (a tar archive), shop.pdf (a PDF document)" in refusal(path)


def test_the_command_for_zlib_does_what_it_says(tmp_path: Path) -> None:
    """Danger: a next step that fails when it is pasted into a shell."""
    path = place(tmp_path, OTHERS["zlib"][0], "plain")
    with pytest.raises(BadSource) as caught:
        Archive(path)
    command = caught.value.next_step.split("`")[1].replace("python", sys.executable, 1)
    if shutil.which(command.split()[0]) is None:
        pytest.skip(f"{command.split()[0]} is not installed")
    subprocess.run(["bash", "-c", command], check=True, cwd=tmp_path)
    assert [json.loads(line) for line in (tmp_path / "catalogue.jsonl").read_text().splitlines()] == ROWS


@pytest.mark.parametrize("kind", ["yaml", "yaml document", "yaml list"])
def test_the_command_for_yaml_does_what_it_says(tmp_path: Path, kind: str) -> None:
    """Danger: as above; it prints what the file holds."""
    path = place(tmp_path, OTHERS[kind][0], "plain")
    command = step_of(path).split("`")[1].replace("python", sys.executable, 1)
    subprocess.run(["bash", "-c", command], check=True, cwd=tmp_path)
    row = json.loads((tmp_path / "catalogue.jsonl").read_text())
    assert (row["products"][0] if kind == "yaml list" else row)["asin"] == "A1"


FIRST = [b"<b>kettle</b>", b"- a: 1", b"---", b"INSERT INTO p VALUES (1);", b"\x00\x01", b"x^2", b"A" * 70_000]
FIRST += [b'{"variants": [{"id": 1}, {"i', b'{"products": [{"id": 1, "title": "a"}]}', b"x\x9c\x01"]


@pytest.mark.parametrize(
    "first", [*FIRST, b"[1, 2]", b"not json, surely", b'{"uid":"1"', b"null", b"{}", b'{"a": 1},', b"{"]
)
def test_one_bad_first_line_does_not_condemn_the_file(tmp_path: Path, first: bytes) -> None:
    """Danger: a catalogue is refused as a whole where one line would have been set aside."""
    path = tmp_path / "c.jsonl"
    path.write_bytes(first + b"\n" + LINE * 5)
    assert len(lines_of(path)) == 6


@pytest.mark.parametrize(
    "keys",
    [
        ("uid", "title", "variants"),
        ("variants", "uid", "title"),
        ("reviews", "price", "title"),
        ("seller", "uid", "title"),
    ],
)
def test_a_product_that_has_a_list_of_objects_is_a_line(tmp_path: Path, keys: tuple[str, ...]) -> None:
    """Danger: a catalogue of one product is taken for an object around a list of products."""
    values: dict[str, object] = {key: [{"id": 1, "colour": "red"}] if key.endswith("s") else "x" for key in keys}
    if "seller" in values:
        values["seller"] = {"name": "x", "offers": [{"id": 1}]}
    path = tmp_path / "c.jsonl"
    path.write_text(json.dumps(values) + "\n")
    assert len(lines_of(path)) == 1
    path.write_text(json.dumps(values) + "\n" + json.dumps(values))
    assert len(lines_of(path)) == 2
