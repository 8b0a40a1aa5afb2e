"""A disk that is full, really: a small file system in memory, filled before each stage and under it.

Whatever runs out of room says so as `StorageFull`, leaves nothing half done, and completes when there is room.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest

from include import stages
from include.catalogue.convert import convert
from include.core import artifacts
from include.core.answer_settings import AnswerSettings
from include.core.environment import REPOSITORY
from include.core.errors import StorageFull
from include.core.files import write_json
from include.core.index_settings import IndexSettings
from include.core.pipeline_settings import PipelineSettings
from include.core.settings import ConvertSettings, EmbedSettings, EvaluateSettings, SourceSettings
from include.core.train_settings import TrainSettings
from include.evaluation.evaluate import evaluate
from include.index.embed import embed
from include.index.plan import plan_shards
from include.index.upsert import upsert
from include.index.verify import verify
from include.publishing.approval import ask_once
from include.publishing.publish import Release, history, publish
from include.report.report import page_of_run, report
from include.source.download import download
from include.store.edge import EdgeStore
from include.store.journal import Journal
from include.store.stores import open_store
from include.store.version import IndexVersion
from include.training import loop
from include.training.checkpoint import Checkpoints
from include.training.train import train, train_in_subprocess
from tests.indexed import answers, day
from tests.small import products

MIB = 2**20
INDEX = IndexSettings()
PRODUCTS = 60
KINDS = {
    "download": ["source"],
    "convert": ["catalogue"],
    "fine_tune": ["tokens", "model"],
    "evaluate": ["evaluation"],
    "plan_shards": ["plan"],
    "embed": ["embedding"],
    "upsert": ["edge", "building"],
    "verify": ["version"],
    "publish": ["index"],
    "report": ["report"],
}
# Those that tell of progress; the others are filled as they write their page or plan, or the journal.
UNDER_WAY = [stage for stage in KINDS if stage not in ("plan_shards", "publish", "report")]

Sink = Callable[[dict[str, Any]], None]


def published(root: Path, directory: str) -> list[Path]:
    """The published artifacts in a directory of KINDS."""
    return artifacts.published(root, artifacts.Kind(directory, 0))


class Shop:
    """A data directory in which the pipeline's stages run, each on what those before it left."""

    def __init__(self, root: Path, lines: Path, base: Path) -> None:
        self.root, self.lines, self.base = root, lines, base

    def run(self, stage: str, sink: Sink | None = None) -> Any:
        return getattr(self, stage)(sink)

    def only(self, kind: str) -> Path:
        [path] = published(self.root, kind)
        return path

    @property
    def settings(self) -> TrainSettings:
        return TrainSettings(
            base_model=str(self.base), epochs=2, batch_size=8, max_tokens=32, holdout=10, checkpoint_steps=2
        )

    def download(self, sink: Sink | None) -> Any:
        return download(SourceSettings(source=str(self.lines)), root=self.root, sink=sink)

    def convert(self, sink: Sink | None) -> Any:
        return convert(self.only("source"), ConvertSettings(), root=self.root, sink=sink, processes=1)

    def fine_tune(self, sink: Sink | None) -> Any:
        return train(self.only("catalogue"), self.settings, root=self.root, sink=sink)

    def evaluate(self, sink: Sink | None) -> Any:
        settings = PipelineSettings(train=self.settings, evaluate=EvaluateSettings(tolerance=1))
        return evaluate(self.only("catalogue"), self.only("model"), settings, root=self.root, sink=sink)

    def plan_shards(self, _: Sink | None) -> Any:
        settings = EmbedSettings(shards=1)
        return plan_shards(self.only("catalogue"), self.only("model"), settings, INDEX, root=self.root)

    def embed(self, sink: Sink | None) -> Any:
        return embed(self.only("plan"), 0, root=self.root, sink=sink)

    def upsert(self, sink: Sink | None) -> Any:
        store = open_store(INDEX, root=self.root)
        return upsert(self.only("plan"), 0, self.only("embedding"), INDEX, store, root=self.root, sink=sink)

    def verify(self, sink: Sink | None) -> Any:
        store = open_store(INDEX, root=self.root)
        return verify(self.only("plan"), [self.upsert(None)], INDEX, store, root=self.root, sink=sink)

    def publish(self, _: Sink | None) -> Any:
        release = Release(self.only("version"), self.only("evaluation"), day(1), "run")
        return publish(release, INDEX, EvaluateSettings(), open_store(INDEX, root=self.root), root=self.root)

    def report(self, _: Sink | None) -> Any:
        return report(
            {"publish": {"version": "0" * 16, "published": True, "reason": "published"}},
            root=self.root,
            run_id="run",
            logical_date=day(1).isoformat(),
        )

    def files(self, kinds: list[str]) -> dict[str, str]:
        """The files of these kinds, with their hashes."""
        found = [file for kind in kinds for file in (self.root / kind).rglob("*") if file.is_file()]
        return {file.relative_to(self.root).as_posix(): artifacts.file_sha256(file) for file in found}

    def everything(self) -> dict[str, str]:
        """All that is not a lock or a note of work in progress."""
        found = self.files([path.name for path in self.root.iterdir() if path.name != "building"])
        return {name: mark for name, mark in found.items() if not name.endswith(".lock")}

    def litter(self) -> list[str]:
        """What a failed try has left that is not whole, or that no retry goes on from."""
        kept = (".lock", ".checkpoint")
        return [
            path.relative_to(self.root).as_posix()
            for path in self.root.rglob("*")
            if any(part.startswith(".") for part in path.relative_to(self.root).parts)
            and not path.name.endswith(kept)
            and not (path.is_dir() and any(path.iterdir()))
            and not path.match("row-group-*.parquet")
        ]


@pytest.fixture(scope="module")
def whole(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The undisturbed pipeline, from a file to a published index."""
    place = tmp_path_factory.mktemp("whole")
    lines = place / "catalogue.jsonl"
    rows = [{"uid": row.uid, "title": row.title, "content": row.content} for row in products(PRODUCTS)]
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    shop = Shop(place / "data", lines, tiny_base)
    for stage in KINDS:
        shop.run(stage)
    return shop


def unavailable(reason: str) -> NoReturn:
    """Skip; in CI fail, where a skip would go unseen for ever."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; CI has to be allowed to mount")
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def every_step_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """These trainings take less than the second between two snapshots."""
    monkeypatch.setattr(loop, "INTERVAL", 0)


@pytest.fixture
def ext4(tmp_path: Path) -> Iterator[Path]:
    """A file system on blocks, in an image of 160 MiB, where holes are not as in memory."""
    image, place = tmp_path / "image", tmp_path / "ext4"
    place.mkdir()
    with image.open("wb") as stream:
        stream.truncate(160 * MIB)
    for command in (
        ["mkfs.ext4", "-q", "-F", "-m", "0", str(image)],
        ["mount", "-o", "loop", str(image), str(place)],
    ):
        if shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not installed")
        made = subprocess.run(command, check=False, capture_output=True, text=True)
        if made.returncode != 0:
            pytest.skip(f"{command[0]} is refused here: {made.stderr.strip()}")  # a container seldom has loop devices
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 160 MiB; skipped where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(place)]
    mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    if mounted.returncode != 0:
        unavailable(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def before(stage: str, whole: Shop, disk: Path) -> Shop:
    """The undisturbed data directory as it was before `stage`, on the small disk."""
    names = list(KINDS)
    here = disk / "data"
    here.mkdir()
    for earlier in names[: names.index(stage)]:
        for kind in KINDS[earlier]:
            subprocess.run(["cp", "-a", "--sparse=always", str(whole.root / kind), str(here)], check=True)
    return Shop(here, whole.lines, whole.base)


def fill(disk: Path, free: int = 0) -> Path:
    """Leave so many bytes free; the file that takes the others."""
    ballast = disk / "ballast"
    with ballast.open("ab") as stream, suppress(OSError):
        os.posix_fallocate(stream.fileno(), 0, ballast.stat().st_size + shutil.disk_usage(disk).free - free)
    with ballast.open("ab", buffering=0) as stream, suppress(OSError):
        while shutil.disk_usage(disk).free > free:
            stream.write(bytes(4096))
    return ballast


def require_undisturbed(stage: str, shop: Shop, whole: Shop) -> None:
    """Nothing is lost or doubled: the stage's output is what it is without a full disk."""
    if stage == "publish":
        assert answers(open_store(INDEX, root=shop.root), shop.root, "golden bottle number 39") == "0000000039"
        assert [entry["action"] for entry in history(shop.root, "products")] == ["published"]
        return
    if stage == "report":  # it says when it was made
        assert page_of_run(shop.root, "run") == shop.only("report") / "report.html"
        return
    if stage == "upsert":  # the engine names its segments anew each time
        version = IndexVersion.read(whole.only("version"))
        [path] = published(shop.root, "edge")
        shards = [{**version.shards[0], "path": path.relative_to(shop.root).as_posix()}]
        searcher = open_store(INDEX, root=shop.root).open(version.name, shards)
        try:
            assert searcher.count() == PRODUCTS
        finally:
            searcher.close()
        return
    changing = ("manifest.json", "metrics.json", "version.json", "history.json")  # they hold seconds, names of segments

    def content(one: Shop) -> dict[str, str]:
        found = one.files(KINDS[stage])
        return {name: mark for name, mark in found.items() if not name.endswith((*changing, ".lock"))}

    assert content(shop) == content(whole)
    assert {path.name for kind in KINDS[stage] for path in published(shop.root, kind)} == {
        path.name for kind in KINDS[stage] for path in published(whole.root, kind)
    }


@pytest.mark.parametrize("stage", KINDS)
def test_a_stage_asks_for_its_room_before_it_begins(stage: str, whole: Shop, disk: Path) -> None:
    """Hours of work that end in a full disk, which stops every other task on it too."""
    shop = before(stage, whole, disk)
    ballast = fill(disk, 100_000 if stage == "publish" else MIB)
    held = shop.everything()
    told: list[dict[str, Any]] = []
    with pytest.raises(StorageFull, match=r"needs .* MiB.* but the disk that holds .* has \d+ MiB free") as refused:
        shop.run(stage, told.append)
    assert str(shop.root) in refused.value.what
    assert "Free some space" in refused.value.next_step
    assert [shot for shot in told if shot["done"]] == []
    assert shop.litter() == []
    assert shop.everything() == held

    ballast.unlink()
    shop.run(stage)
    require_undisturbed(stage, shop, whole)


@pytest.mark.parametrize("stage", UNDER_WAY)
def test_a_disk_that_fills_up_under_a_stage_is_told_as_that(stage: str, whole: Shop, disk: Path) -> None:
    """Another process takes the room that was there: a SIGBUS or a bare OSError says nothing to a user."""
    shop = before(stage, whole, disk)
    filled: list[Path] = []

    def sink(_: dict[str, Any]) -> None:
        if not filled:
            filled.append(fill(disk))

    with pytest.raises(StorageFull) as refused:
        shop.run(stage, sink)
    assert "MiB free" in refused.value.what
    assert shop.litter() == []
    assert published(shop.root, KINDS[stage][-1] if stage != "upsert" else "edge") == []

    filled[0].unlink()
    shop.run(stage)
    require_undisturbed(stage, shop, whole)


def test_a_shard_whose_optimisation_fills_the_disk_is_built_again(whole: Shop, disk: Path) -> None:
    """The engine writes through memory maps: without room, SIGBUS ends the process in mid-word."""
    shop = before("upsert", whole, disk)
    ballast: list[Path] = []

    def sink(shot: dict[str, Any]) -> None:
        if shot["stage"].startswith("load") and shot["done"] and not ballast:
            ballast.append(fill(disk))

    with pytest.raises(StorageFull, match="MiB free"):
        shop.run("upsert", sink)
    assert shop.litter() == []
    ballast[0].unlink()
    shop.run("upsert")
    require_undisturbed("upsert", shop, whole)


def test_a_checkpoint_that_does_not_fit_leaves_the_one_before(whole: Shop, disk: Path) -> None:
    """torch raises a RuntimeError of its own for it: 40 lines of which none names the disk."""
    shop = before("fine_tune", whole, disk)
    ballast: list[Path] = []

    def sink(shot: dict[str, Any]) -> None:
        if shot["unit"] == "steps" and shot["done"] >= 4 and not ballast:
            ballast.append(fill(disk, 4096))  # so that it fails in the midst of torch's writing

    def attempt() -> Any:
        return train(shop.only("catalogue"), shop.settings, root=shop.root, sink=sink)

    with pytest.raises(StorageFull, match="MiB free"):
        attempt()
    [scratch] = (shop.root / "model").glob(".scratch-*")
    assert sorted(path.name for path in scratch.iterdir()) == [
        Checkpoints(scratch, "").path(step).name for step in (2, 4)
    ]
    ballast[0].unlink()
    told: list[dict[str, Any]] = []
    made = train(shop.only("catalogue"), shop.settings, root=shop.root, sink=told.append)
    assert min(shot["done"] for shot in told if shot["unit"] == "steps") == 4
    assert made.fingerprint == whole.only("model").name
    require_undisturbed("fine_tune", shop, whole)


def test_a_training_process_passes_the_class_on(whole: Shop, disk: Path) -> None:
    """Airflow decides by the class: a RuntimeError would be tried again in seconds, and its next step is none."""
    shop = before("fine_tune", whole, disk)
    ballast = fill(disk, MIB)
    with pytest.raises(StorageFull, match="MiB free"):
        train_in_subprocess(shop.only("catalogue"), shop.settings, root=shop.root)
    ballast.unlink()
    made = train_in_subprocess(shop.only("catalogue"), shop.settings, root=shop.root)
    assert made.fingerprint == whole.only("model").name


def test_a_publication_without_room_for_its_journal_changes_nothing(
    whole: Shop, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room that was there when it began may be gone when it writes."""
    shop = before("publish", whole, disk)
    save = Journal.save

    def on_a_full_disk(self: Journal) -> None:
        fill(disk)
        save(self)

    monkeypatch.setattr(Journal, "save", on_a_full_disk)
    with pytest.raises(StorageFull, match="is full"):
        shop.run("publish")
    assert open_store(INDEX, root=shop.root).live() is None
    monkeypatch.undo()
    (disk / "ballast").unlink()
    shop.run("publish")
    require_undisturbed("publish", shop, whole)


@pytest.mark.parametrize(("stage", "writes"), [("plan_shards", "write_text"), ("report", "write_bytes")])
def test_a_disk_that_fills_up_as_a_small_file_is_written(
    stage: str, writes: str, whole: Shop, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage of one small file tells of no progress, and is as full a disk's as any."""
    shop = before(stage, whole, disk)
    write = getattr(Path, writes)

    def on_a_full_disk(self: Path, *args: Any, **more: Any) -> int:
        if self.is_relative_to(disk):
            fill(disk)
        written: int = write(self, *args, **more)
        return written

    monkeypatch.setattr(Path, writes, on_a_full_disk)
    with pytest.raises(StorageFull, match="MiB free"):
        shop.run(stage)
    assert shop.litter() == []
    assert published(shop.root, KINDS[stage][0]) == []
    assert page_of_run(shop.root, "run") is None

    monkeypatch.undo()
    (disk / "ballast").unlink()
    shop.run(stage)
    require_undisturbed(stage, shop, whole)


def test_a_report_that_is_written_but_not_entered_is_entered_by_the_retry(
    whole: Shop, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note by which the run's tab finds its page is the last that is written."""
    shop = before("report", whole, disk)

    def on_a_full_disk(path: Path, value: Any) -> None:
        if path.parent.name == "by_run":
            fill(disk)
        write_json(path, value)

    monkeypatch.setattr("include.report.report.write_json", on_a_full_disk)
    with pytest.raises(StorageFull, match="MiB free"):
        shop.run("report")
    assert shop.litter() == []
    assert page_of_run(shop.root, "run") is None

    monkeypatch.undo()
    (disk / "ballast").unlink()
    shop.run("report")
    require_undisturbed("report", shop, whole)


def test_a_question_to_a_person_needs_room_for_its_note(whole: Shop, disk: Path) -> None:
    """The task approve notes what it asked: half a note would stop every later try."""
    shop = before("publish", whole, disk)
    fill(disk)
    with pytest.raises(StorageFull, match="MiB free"):
        ask_once(shop.root, "run", {"live": None})
    assert shop.litter() == []
    (disk / "ballast").unlink()
    ask_once(shop.root, "run", {"live": None})
    ask_once(shop.root, "run", {"live": None})


def test_a_file_of_questions_keeps_what_was_answered_before_the_disk_was_full(
    whole: Shop, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused before the first question where there is no room; else gone on with at the chunk that did not fit."""
    shop = before("report", whole, disk)
    asked = tmp_path / "asked.jsonl"
    asked.write_text("".join(f'{{"question": "which kettle is number {number}?"}}\n' for number in range(12)))
    monkeypatch.setattr("include.batch.answer_file.CHUNK", 4)

    def attempt(sink: Sink | None = None) -> dict[str, Any]:
        return stages.answer_file(str(asked), AnswerSettings(), INDEX, root=shop.root, run_id="run", sink=sink)

    told: list[dict[str, Any]] = []
    with monkeypatch.context() as patch:
        patch.setattr("include.batch.answer_file.ENTRY_BYTES", 10 * MIB)
        with pytest.raises(StorageFull, match=r"12 questions needs .* MiB.* but the disk that holds .* has \d+ MiB"):
            attempt(told.append)
    assert not [shot for shot in told if shot["unit"] == "questions"]
    ballast = disk / "ballast"

    def sink(shot: dict[str, Any]) -> None:
        if shot["stage"] == "answer questions" and not ballast.exists():
            fill(disk)

    with pytest.raises(StorageFull, match="MiB free") as refused:
        attempt(sink)
    assert "Free some space" in refused.value.next_step
    assert published(shop.root, "answers") == []
    ballast.unlink()
    made = attempt()
    assert (made["stats"]["asked"], len(Path(made["file"]).read_text().splitlines())) == (12, 12)
    assert shop.litter() == []


@pytest.mark.parametrize("stage", ["upsert", "report"])
def test_a_full_disk_of_blocks_is_told_alike(stage: str, whole: Shop, ext4: Path) -> None:
    """What fills up in memory and what fills up on blocks differ in their holes, and in when a write fails."""
    shop = before(stage, whole, ext4)
    ballast = fill(ext4)
    with pytest.raises(StorageFull, match="MiB free"):
        shop.run(stage)
    assert shop.litter() == []
    ballast.unlink()
    shop.run(stage)
    require_undisturbed(stage, shop, whole)


def test_a_shard_is_opened_only_where_its_maps_have_room(whole: Shop, disk: Path) -> None:
    """On a file system in memory even a page that is only read takes room: verify died of SIGBUS there."""
    shop = before("publish", whole, disk)
    version = IndexVersion.read(shop.only("version"))
    store = EdgeStore(INDEX, root=shop.root)
    ballast = fill(disk, MIB)
    with pytest.raises(StorageFull, match="is full"):
        store.open(version.name, version.shards)
    ballast.unlink()
    searcher = store.open(version.name, version.shards)
    fill(disk)  # from here on nothing needs any
    try:
        assert searcher.bm25("golden bottle number 39", 1)[0].uid == "0000000039"
        assert len(searcher.fetch([row.uid for row in products(PRODUCTS)])) == PRODUCTS
    finally:
        searcher.close()
    artifacts.read(shop.root / version.shards[0]["path"])


def test_a_full_temporary_directory_is_named(whole: Shop, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question needs a few kilobytes there: told as a damaged shard, somebody would build the index anew."""
    version = IndexVersion.read(whole.only("version"))
    fill(disk)
    monkeypatch.setattr("tempfile.tempdir", str(disk))
    with pytest.raises(StorageFull, match=str(disk)):
        EdgeStore(INDEX, root=whole.root).open(version.name, version.shards)


LIMITED = """
import resource, sys
from pathlib import Path
import torch
from include.training.checkpoint import Checkpoints
from include.core.errors import StorageFull

resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
try:
    Checkpoints(Path(sys.argv[1]), "f").save({"weights": torch.zeros(2**16)}, step=1)
except StorageFull as full:
    print(full.what)
"""


def test_a_file_that_may_not_grow_is_told_alike(tmp_path: Path) -> None:
    """A limit on files ends a write as a full disk does; needs no small file system, so it runs everywhere."""
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, check=True
    )
    assert "File too large" in done.stdout
    assert list(tmp_path.iterdir()) == []
