"""Folders, patterns and prefixes as a source: what is taken, passed over, broken off, fetched again."""

import gzip
import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import pytest

from include import stages
from include.core import artifacts, kinds
from include.core.errors import BadSource, HashMismatch, SourceUnreachable
from include.core.forms import pipeline_settings
from include.core.progress import Progress, Snapshot
from include.core.settings import SourceSettings
from include.run import Run
from include.source import disk, folder
from include.source.download import download
from include.source.transfer import Listed, Partial
from tests.small import products


def lines(first: int, last: int) -> bytes:
    """The products numbered so, as JSON lines."""
    rows = products(last)[first:]
    return "".join(json.dumps({"uid": each.uid, "title": each.title}) + "\n" for each in rows).encode()


def run_on(source: str, root: Path, day: int = 1) -> Run:
    settings = pipeline_settings({"source": source})
    return Run(settings, root, "run", datetime(2026, 11, day, tzinfo=UTC))


def fetch(source: str | Path, root: Path, sha256: str | None = None) -> artifacts.Artifact:
    return download(SourceSettings(source=str(source), source_sha256=sha256), root=root)


def held(made: artifacts.Artifact) -> dict[str, bytes]:
    """The files of a source that is a folder, read with all checks."""
    place = artifacts.read(made.path).path / made.stats["file"]
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """What a shop's system and its tools leave in a folder of exports."""
    place = tmp_path / "exports"
    (place / "2026" / "_temporary").mkdir(parents=True)
    (place / "a.jsonl").write_bytes(lines(0, 10))
    (place / "2026" / "b.jsonl.gz").write_bytes(gzip.compress(lines(10, 30)))
    (place / "empty.jsonl").touch()
    for name in ("_SUCCESS", ".a.jsonl.crc", ".hidden.jsonl", "c.jsonl.part", "d.jsonl.tmp", "2026/_temporary/e.jsonl"):
        (place / name).write_bytes(lines(0, 3))
    return place


def test_a_folder_of_exports_becomes_one_catalogue(exports: Path, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Danger: of a file a day only one could be given; or the tools' own files are read as products."""
    run = run_on(f"{exports}/", root)
    source = stages.download(run)
    assert source["stats"]["format"] == "folder"
    assert source["stats"]["files"] == 2
    listed = {name: (exports / name).stat().st_size for name in ("2026/b.jsonl.gz", "a.jsonl")}
    assert source["stats"]["listed"] == listed
    assert source["stats"]["bytes"] == sum(listed.values())
    sums = "".join(f"{hashlib.sha256((exports / name).read_bytes()).hexdigest()}  {name}\n" for name in listed)
    assert source["stats"]["sha256"] == hashlib.sha256(sums.encode()).hexdigest(), "as of `sha256sum` over the files"
    assert f"passed over in {exports}, because empty: empty.jsonl" in caplog.messages
    catalogue = stages.convert(run, source)
    assert catalogue["stats"]["trn"]["accepted"] == 30
    again = stages.download(run_on(str(exports), root, day=2))
    assert again["reused"]
    assert again["fingerprint"] == source["fingerprint"]


def test_a_folder_in_which_something_changed_is_fetched_again(exports: Path, root: Path) -> None:
    """Danger: tomorrow's file is not seen, or a file that was corrected in its place."""
    marks = [fetch(exports, root).fingerprint]
    (exports / "f.jsonl").write_bytes(lines(30, 31))
    marks.append(fetch(exports, root).fingerprint)
    os.utime(exports / "a.jsonl", (1, 1))
    marks.append(fetch(exports, root).fingerprint)
    (exports / "f.jsonl").unlink()
    (exports / "2026" / "b.jsonl.gz").rename(exports / "g.jsonl.gz")
    marks.append(fetch(exports, root).fingerprint)
    assert len(set(marks)) == 4


def test_one_broken_day_costs_that_day_alone(tmp_path: Path, root: Path) -> None:
    """Danger: a month of exports cannot be read for one file that was cut; or the loss is told nowhere."""
    for day in range(1, 31):
        packed = gzip.compress(lines(10 * day, 10 * day + 10))
        (tmp_path / f"2026-11-{day:02d}.jsonl.gz").write_bytes(packed[:-30] if day == 17 else packed)
    run = run_on(f"{tmp_path}/2026-11-*.jsonl.gz", root)
    source = stages.download(run)
    assert source["stats"]["files"] == 30
    counts = stages.convert(run, source)["stats"]["trn"]
    assert 290 <= counts["accepted"] < 300
    assert sum(counts["reasons"].values()) == counts["rejected"] >= 1


def test_a_pattern_takes_the_files_that_it_matches(exports: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Danger: last year's files, or a readme, come into the index."""
    (exports / "z.jsonl").write_bytes(lines(30, 40))
    (exports / "old.csv").write_text("uid,title\n1,A kettle\n")
    assert sorted(held(fetch(exports / "*.jsonl", root))) == ["a.jsonl", "z.jsonl"]
    assert sorted(held(fetch(f"file://{exports}/**/*.jsonl*", root))) == ["2026/b.jsonl.gz", "a.jsonl", "z.jsonl"]
    one = fetch(exports / "[z].jsonl", root)
    assert one.stats["file"] == "catalogue.jsonl", "a single one is taken as if it had been named"
    monkeypatch.chdir(exports.parent)
    assert fetch("exports/20*/", root).stats["file"] == "catalogue.json.gz"


def test_a_pattern_of_todays_date(exports: Path, root: Path) -> None:
    """A backfill reads each day's folder."""
    for day in (1, 2):
        (exports / f"2026-11-0{day}").mkdir()
        for part in range(2):
            rows = lines(10 * day + part, 10 * day + part + 1)
            (exports / f"2026-11-0{day}" / f"part-{part}.jsonl").write_bytes(rows)
    sums = [stages.download(run_on(f"{exports}/{{date}}/part-*", root, day))["stats"]["sha256"] for day in (1, 2)]
    assert sums[0] != sums[1]


def test_a_file_whose_name_is_a_pattern_is_that_file(tmp_path: Path, root: Path) -> None:
    """`products[1].jsonl` is what browsers call a second download."""
    (tmp_path / "products[1].jsonl").write_bytes(lines(0, 2))
    (tmp_path / "products1.jsonl").write_bytes(lines(2, 3))
    assert fetch(tmp_path / "products[1].jsonl", root).stats["bytes"] == len(lines(0, 2))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("*.parquet", r"No file to read is in .*/\*\.parquet: there is .*2026/, _SUCCESS, a\.jsonl"),
        ("none/*", "there is nothing"),
        ("nothing-here/", "There is no file"),
    ],
)
def test_where_nothing_matches_it_is_said_what_lies_there(exports: Path, root: Path, source: str, words: str) -> None:
    """Danger: "no such file", and the person does not see the slip in the pattern."""
    with pytest.raises(BadSource, match=words) as caught:
        fetch(f"{exports}/{source}", root)
    assert caught.value.next_step
    assert artifacts.published(root, kinds.SOURCE) == []


def test_a_folder_of_what_is_passed_over_says_so(tmp_path: Path, root: Path) -> None:
    """An export that was begun: its folder is there, and a mark, and no data."""
    place = tmp_path / "begun"
    place.mkdir()
    with pytest.raises(BadSource, match="there is nothing"):
        fetch(place, root)
    (place / "_SUCCESS").touch()
    (place / "part-0.jsonl").touch()
    with pytest.raises(BadSource, match=r"there is _SUCCESS, part-0\.jsonl") as caught:
        fetch(place, root)
    assert "Passed over are empty files" in caught.value.next_step


def test_a_mistyped_folder_of_very_many_files_is_refused(
    exports: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Danger: `/` is copied."""
    for module in (disk, folder):
        monkeypatch.setattr(module, "MOST_FILES", 1)
    for source in (exports, f"{exports}/**/*"):
        with pytest.raises(BadSource, match="holds more than 1"):
            fetch(source, root)


def test_a_pinned_hash_holds_for_a_folder_too(exports: Path, root: Path) -> None:
    """Danger: the one check that a person asked for is not made."""
    sha256 = fetch(exports, root).stats["sha256"]
    assert fetch(exports, root, sha256).stats["sha256"] == sha256
    with pytest.raises(HashMismatch, match="was pinned"):
        fetch(exports, root, "0" * 64)


def test_a_folder_shows_one_progress_over_all_files(exports: Path, root: Path) -> None:
    """Danger: the bar begins anew with each file."""
    seen: list[Snapshot] = []
    made = download(SourceSettings(source=str(exports)), root=root, sink=seen.append)
    assert seen[-1]["done"] == seen[-1]["total"] == made.stats["bytes"]


def test_a_file_that_changes_while_it_is_read_is_read_again(
    exports: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Danger: half of the old and half of the new export are one catalogue; or what was copied stays on the disk."""
    whole = Partial.receive

    def grows(self: Partial, *arguments: Any) -> Any:
        copied = whole(self, *arguments)
        if arguments[1].endswith("a.jsonl"):
            with (exports / "a.jsonl").open("ab") as stream:
                stream.write(lines(40, 41))
        return copied

    with monkeypatch.context() as patch, pytest.raises(SourceUnreachable, match=r"a\.jsonl changed while it was"):
        patch.setattr(Partial, "receive", grows)
        fetch(exports, root)
    assert list((root / "source").glob(".scratch-*")) == []
    assert held(fetch(exports, root))["a.jsonl"] == lines(0, 10) + lines(40, 41)


def test_a_file_that_changes_after_it_was_copied_is_noticed_and_a_late_one_told(
    exports: Path, root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Danger: the export is still being written while it is read."""
    whole = Partial.receive

    def meanwhile(file: Path, content: bytes) -> Any:
        def receive(self: Partial, *arguments: Any) -> Any:
            if arguments[1].endswith("a.jsonl"):  # the last
                file.write_bytes(content)
            return whole(self, *arguments)

        return receive

    with monkeypatch.context() as patch, pytest.raises(SourceUnreachable, match=r"b\.jsonl\.gz in .* changed while"):
        patch.setattr(Partial, "receive", meanwhile(exports / "2026" / "b.jsonl.gz", gzip.compress(lines(0, 5))))
        fetch(exports, root)
    monkeypatch.setattr(Partial, "receive", meanwhile(exports / "late.jsonl", lines(50, 51)))
    made = fetch(exports, root)
    assert made.stats["files"] == 2
    assert f"late.jsonl came into {exports} meanwhile: the next run has it" in caplog.messages


@pytest.fixture
def store() -> Iterator[Any]:
    """An object store, in memory: the way that s3:// and gs:// go."""
    made = fsspec.filesystem("memory")
    made.pipe_file("/shop/exports/a.jsonl", lines(0, 10))
    made.pipe_file("/shop/exports/2026/b.jsonl.gz", gzip.compress(lines(10, 30), mtime=0))
    for name in ("_SUCCESS", ".a.jsonl.crc", "c.jsonl.tmp", "2026/_temporary/e.jsonl"):
        made.pipe_file(f"/shop/exports/{name}", lines(0, 3))
    made.pipe_file("/shop/exports/empty.jsonl", b"")
    yield made
    made.rm("/shop", recursive=True)


@pytest.mark.parametrize("source", ["exports/", "exports", "exports/**/*.jsonl*", "exp*"])
def test_a_prefix_or_pattern_in_a_store_is_a_folder(
    source: str, store: Any, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Danger: what a warehouse writes (part-0000 …) cannot be given at all."""
    made = fetch(f"memory://shop/{source}", root)
    below = "exports/" if source == "exp*" else ""
    assert held(made) == {
        f"{below}a.jsonl": lines(0, 10),
        f"{below}2026/b.jsonl.gz": gzip.compress(lines(10, 30), mtime=0),
    }
    assert "empty.jsonl" in caplog.text
    assert fetch(f"memory://shop/{source}", root).reused
    store.pipe_file("/shop/exports/a.jsonl", lines(0, 11))
    assert held(fetch(f"memory://shop/{source}", root))[f"{below}a.jsonl"] == lines(0, 11)


def test_a_single_object_below_a_prefix_is_taken_as_if_named(store: Any, root: Path) -> None:
    """`s3://shop/exports/2026/` with one archive in it is that archive."""
    assert fetch("memory://shop/exports/2026/", root).stats["file"] == "catalogue.json.gz"


def test_a_prefix_without_a_match_says_what_lies_there(store: Any, root: Path) -> None:
    """Danger: "no such file" for a pattern."""
    with pytest.raises(BadSource, match=r"No file to read is in memory://shop/exports/\*\.csv: there is .*a\.jsonl"):
        fetch("memory://shop/exports/*.csv", root)
    with pytest.raises(BadSource, match="There is no file memory://shop/imports/"):
        fetch("memory://shop/imports/", root)


def test_a_transfer_that_broke_off_goes_on_at_its_file(store: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Danger: thirty files of a gigabyte begin anew at each hiccup of the network."""
    opened: list[str] = []
    whole = type(store).open

    def breaks(self: Any, path: str, *arguments: Any, **more: Any) -> Any:
        opened.append(path.rpartition("/")[2])
        if len(opened) == 2:
            raise OSError("connection reset")
        return whole(self, path, *arguments, **more)

    monkeypatch.setattr(type(store), "open", breaks)
    with pytest.raises(SourceUnreachable, match="connection reset"):
        fetch("memory://shop/exports/", root)
    assert sorted(held(fetch("memory://shop/exports/", root))) == ["2026/b.jsonl.gz", "a.jsonl"]
    assert opened == ["b.jsonl.gz", "a.jsonl", "a.jsonl"]


@pytest.mark.parametrize("name", ["../out.jsonl", "a.jsonl/b.jsonl", "x" * 300])
def test_a_hostile_name_of_an_object_is_refused(name: str, tmp_path: Path, root: Path) -> None:
    """Danger: a key in a bucket that others write to becomes a path outside of the data directory."""
    listed = disk.local(str(_file(tmp_path / "a.jsonl")))
    files = {each: Listed(listed, 1, {}, lambda *_: pytest.fail("it was fetched")) for each in ("a.jsonl", name)}
    with pytest.raises(BadSource, match="cannot be a file's"):
        folder.gathered("s3://shop/", "s3://shop/", lambda: files, list)


def _file(path: Path) -> Path:
    path.write_bytes(lines(0, 1))
    return path


def test_progress_of_a_file_counts_on_from_those_before() -> None:
    """The bar of the whole folder is told, not one of its own."""
    seen: list[Snapshot] = []
    whole = Progress("download", 100, unit="bytes", sink=seen.append, interval=0)
    folder._Share(whole, 60, 100).update(10)
    assert (seen[-1]["done"], seen[-1]["total"]) == (70, 100)


def test_a_link_to_a_folder_is_passed_over_with_a_warning(
    exports: Path, tmp_path: Path, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Danger: a year of exports lies behind a link, and nobody hears that it is not read."""
    (tmp_path / "elsewhere").mkdir()
    (exports / "2024").symlink_to(tmp_path / "elsewhere")
    fetch(exports, root)
    assert "because they are links to folders: 2024" in caplog.text
