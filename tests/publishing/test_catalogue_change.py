"""include/publishing/catalogue_change.py and the publish rules on it: a trial never replaces a good index unseen."""

import random
import shutil
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.catalogue.attributes import Attribute
from include.catalogue.schema import PRODUCTS_FILE
from include.core import artifacts
from include.core.index_settings import IndexSettings
from include.core.settings import EvaluateSettings
from include.publishing.catalogue_change import compare, is_sample, objection
from include.publishing.publish import Release, foresee, history, publish, roll_back
from include.results import CatalogueChange, Decision
from include.store.protocol import Store
from include.store.stores import open_store
from include.store.version import IndexVersion
from tests.index.points import write_version
from tests.indexed import INDEX, answers, build_version, day, evaluation
from tests.small import Product, products, publish_model, write_catalogue

Promote = Literal["auto", "approval", "never"]
YES = {"asked": True, "approved": True, "by": "ana", "at": "2026-01-02T10:00:00+00:00"}


def from_source(root: Path, rows: list[Product], *, sample: bool) -> Path:
    """A catalogue of `rows` whose file was downloaded: the synthetic sample, or a file of one's own."""
    content = str(hash(tuple(row.uid for row in rows)))
    stats: dict[str, Any] = {"sha256": content, "origin": "sample (…)" if sample else "/data/my.zip"}
    stats |= {"sample": {}} if sample else {}
    artifacts.build(root, artifacts.Kind("source", 0), lambda _: stats, settings={"content": content, "sample": sample})
    plain = write_catalogue(root, rows)

    def write(space: artifacts.Workspace) -> dict[str, Any]:
        for name in (file for file in plain.iterdir() if file.suffix == ".parquet"):
            shutil.copy(name, space.path)
        return artifacts.read(plain).stats

    return artifacts.build(root, artifacts.Kind("catalogue", 0), write, settings={}, inputs={"source": content}).path


@dataclass
class Desk:
    """Where versions are made and published by one date after another."""

    root: Path
    model: Path
    days: int = 0

    @property
    def store(self) -> Store:
        return open_store(INDEX, root=self.root)

    def build(self, rows: list[Product], *, sample: bool = False) -> Path:
        return build_version(self.root, from_source(self.root, rows, sample=sample), self.model, shards=1).path

    def publish(self, version: Path, *, passed: bool = True, approval: Any = None, **settings: Any) -> dict[str, Any]:
        self.days += 1
        gate = evaluation(self.root, self.model, passed=passed)
        release = Release(version, gate, day(self.days), f"run {self.days}")
        index, evaluate = IndexSettings(keep_versions=10), EvaluateSettings(**settings)
        return publish(release, index, evaluate, self.store, root=self.root, approval=approval)


@pytest.fixture
def desk(root: Path, tiny_model: Path) -> Desk:
    return Desk(root, publish_model(root, tiny_model))


def test_a_trial_on_the_sample_does_not_replace_a_real_catalogue(desk: Desk) -> None:
    """1,695 real products were replaced by 377 invented ones, in a green run."""
    real = desk.publish(desk.build(products(60)))
    trial = desk.publish(desk.build([row._replace(uid=f"S{row.uid}") for row in products(20)], sample=True))
    assert (real["published"], trial["published"]) == (True, False)
    assert trial["reason"] == (
        "kept, not published: the synthetic sample would replace a real catalogue: the live version has 60 products, "
        "this one 20; 60 of the live ones are gone (100%), 20 are new, 0 have another text, 0 other attributes alone, "
        "0 are unchanged. For a trial take another `collection`; if products is meant to be replaced, write this name "
        'into replace_with_sample ("Replace with the sample"). (the gate passed: better)'
    )
    assert desk.store.live() == real["version"]
    assert answers(desk.store, desk.root, "number 47") == "0000000047"
    assert trial["catalogue"]["live_products"] == 60
    assert (desk.root / "version" / trial["version"]).exists(), "the version is kept"


def test_the_sample_replaces_where_the_collections_name_is_written(desk: Desk) -> None:
    """Told so by name is told so; another collection's name is not."""
    desk.publish(desk.build(products(30)))
    trial = desk.build([row._replace(uid=f"S{row.uid}") for row in products(20)], sample=True)
    assert not desk.publish(trial, replace_with_sample="toys")["published"]
    assert not desk.publish(trial, max_gone=1.0)["published"], "a share says nothing about samples"
    assert desk.publish(trial, replace_with_sample="products")["published"]


def test_a_sample_that_was_live_before_does_not_come_back_by_itself(desk: Desk) -> None:
    """First the demo, then the real catalogue, then a scheduled run with the form's default source."""
    sample = desk.build(products(20), sample=True)
    real = desk.build([row._replace(uid=f"R{row.uid}") for row in products(30)])
    assert desk.publish(sample)["published"]
    first = desk.publish(real)
    assert first["published"], "a sample may always be replaced"
    assert (first["catalogue"]["gone"], first["catalogue"]["live_is_sample"]) == (20, True)
    assert not desk.publish(sample)["published"]
    back = roll_back("previous", INDEX, desk.store, root=desk.root, run_id="by hand")
    assert back["version"] == sample.name, "a person who goes back is not asked"


def test_samples_replace_each_other(desk: Desk) -> None:
    """Trying out is free where nothing real is live."""
    desk.publish(desk.build(products(30), sample=True))
    other = desk.publish(desk.build([row._replace(uid=f"T{row.uid}") for row in products(20)], sample=True))
    assert other["published"]


@pytest.mark.parametrize(("kept", "published"), [(60, True), (42, True), (41, False), (0, False)])
def test_a_version_that_lost_too_many_products_is_kept(kept: int, published: bool, desk: Desk) -> None:
    """Half a file, read well, is a good model of half a shop; 18 of 60 are just what 0.3 allows."""
    desk.publish(desk.build(products(60)))
    rows = [row if number < kept else row._replace(uid=f"N{row.uid}") for number, row in enumerate(products(61))]
    result = desk.publish(desk.build(rows))
    assert result["published"] is published
    counts = {name: result["catalogue"][name] for name in ("live_products", "products", "gone", "new")}
    assert counts == {"live_products": 60, "products": 61, "gone": 60 - kept, "new": 61 - kept}
    if not published:
        told = f"the live version has 60 products, this one 61; {60 - kept} of the live ones are gone"
        assert told in result["reason"]
        assert result["reason"].startswith("kept, not published: more products are gone than max_gone = 0.3 allows")
        assert f'raise max_gone ("Products that may go") to {0.32 if kept else 1.0} or more' in result["reason"]


def test_max_gone_lets_it_through(desk: Desk) -> None:
    """The number that the message names is enough."""
    desk.publish(desk.build(products(60)))
    assert desk.publish(desk.build(products(41)), max_gone=0.32)["published"]


def test_a_catalogue_that_grows_is_published(desk: Desk) -> None:
    """New products are no loss."""
    desk.publish(desk.build(products(20)))
    assert desk.publish(desk.build(products(60)))["published"]


def test_a_person_decides_on_both_counts(desk: Desk) -> None:
    """With promote = approval the loss stands in the question, and a yes is a yes."""
    desk.publish(desk.build(products(60)))
    version = desk.build(products(30))
    release = Release(version, evaluation(desk.root, desk.model), day(9), "run 9")
    decided = foresee(release, INDEX, EvaluateSettings(promote="approval"), desk.store, root=desk.root)
    assert decided.ask
    assert decided.against is not None
    assert decided.against.headline == "50% of the live products are gone"
    result = desk.publish(version, promote="approval", approval=YES)
    assert result["published"]
    assert result["reason"] == (
        "approved by ana at 2026-01-02T10:00:00+00:00, although more products are gone than max_gone = 0.3 allows: the "
        "live version has 60 products, this one 30; 30 of the live ones are gone (50%), 0 are new, 0 have another "
        "text, 0 other attributes alone, 30 are unchanged; the gate passed: better"
    )


def test_the_gate_is_told_beside_the_loss(desk: Desk) -> None:
    """Whoever then raises max_gone should not meet the next refusal."""
    desk.publish(desk.build(products(60)))
    result = desk.publish(desk.build(products(30)), passed=False)
    assert result["reason"].endswith("(the gate did not pass: better)")


def gone(path: Path) -> None:
    shutil.rmtree(path)


def damaged(path: Path) -> None:
    file = path / PRODUCTS_FILE
    uids = pq.read_metadata(file).row_group(0).column(1)
    content = bytearray(file.read_bytes())
    start = uids.dictionary_page_offset if uids.has_dictionary_page else uids.data_page_offset
    content[start + uids.total_compressed_size // 2] ^= 0xFF
    file.write_bytes(content)


@pytest.mark.parametrize("lose", [gone, damaged])
def test_a_live_catalogue_that_is_gone_is_compared_by_counts(lose: Callable[[Path], None], desk: Desk) -> None:
    """Old catalogues are deleted to save room: then the points are what there is, and it is said."""
    desk.publish(desk.build(products(60)))
    lose(desk.root / IndexVersion.read(desk.root / "version" / str(desk.store.live())).catalogue)
    few, enough = desk.build(products(41)), desk.build(products(42))
    result = desk.publish(few)
    assert not result["published"]
    assert "which of them stay could not be compared" in result["reason"]
    assert "the live version has 60 products, this one 41" in result["reason"]
    assert desk.publish(enough)["published"]


def test_a_live_version_without_its_description_can_be_replaced(desk: Desk) -> None:
    """Nothing can be asked of it, so keeping it would keep a broken index live; but not for a sample's sake."""
    desk.publish(desk.build(products(60)))
    shutil.rmtree(desk.root / "version" / str(desk.store.live()))
    assert not desk.publish(desk.build(products(30), sample=True))["published"]
    result = desk.publish(desk.build(products(20)))
    assert result["published"]
    assert result["catalogue"]["live_products"] is None


def test_what_the_journal_knew_of_a_sample_outlives_its_files(desk: Desk) -> None:
    """Downloads are the first that people delete."""
    desk.publish(desk.build(products(20), sample=True))
    assert history(desk.root, "products")[-1]["sample"] is True
    shutil.rmtree(desk.root / "source")
    assert desk.publish(desk.build([row._replace(uid=f"R{row.uid}") for row in products(30)]))["published"]


def test_a_sample_is_known_by_its_content(root: Path) -> None:
    """The sample's file given by its path is as synthetic; a file that nobody knows is not called one."""
    rows = products(12)
    catalogue = from_source(root, rows, sample=True)
    from_source(root, rows, sample=False)
    assert is_sample(catalogue, root) is True
    assert is_sample(from_source(root, products(13), sample=False), root) is False
    assert is_sample(write_catalogue(root, products(14)), root) is None


def test_an_unknown_kind_counts_as_real() -> None:
    """Doubt must not cost anyone an index."""
    change = CatalogueChange("live", 10, 10, 0, 0, live_is_sample=None, is_sample=True)
    found = objection(change, EvaluateSettings(), "products")
    assert found is not None
    assert "not known to be one" in found.words


def test_catalogues_of_millions_are_compared_in_seconds_and_bounded_memory(root: Path) -> None:
    """2.2 million products a side: here a tenth, in a tenth of the time and of the memory."""
    count = 220_000

    def put(first: int) -> str:
        def write(space: artifacts.Workspace) -> dict[str, Any]:
            numbers = range(first, first + count)
            uids = pa.array([f"{number:010d}" for number in numbers])
            texts = pa.array([(number + first % 7).to_bytes(16, "little") for number in numbers], pa.binary(16))
            rows = pa.table({"uid": uids, "text_hash": texts})
            pq.write_table(rows, space.path / PRODUCTS_FILE, row_group_size=10_000, write_page_checksum=True)
            return {}

        made = artifacts.build(root, artifacts.Kind("catalogue", 0), write, settings={"first": first})
        return made.path.relative_to(root).as_posix()

    live = write_version(root, "a", INDEX, [], catalogue=put(0), points=count)
    new = write_version(root, "b", INDEX, [], catalogue=put(50_000), points=count)
    version = IndexVersion.read(IndexVersion.path(root, new))
    began = time.monotonic()
    change = compare(root / version.catalogue, count, live, root=root)
    seconds = time.monotonic() - began
    assert change is not None
    assert (change.gone, change.new) == (50_000, 50_000)
    assert (change.changed_text, change.changed_attributes, change.unchanged) == (170_000, 0, 0)
    assert seconds < 10, "a second, on a busy machine"
    tracemalloc.start()
    compare(root / version.catalogue, count, live, root=root)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 * 2**20, f"{peak / 2**20:.0f} MiB: 24 bytes a product and side, and their sorting"


@pytest.mark.parametrize("seed", range(5))
def test_every_product_has_one_fate_and_the_right_one(seed: int, root: Path) -> None:
    """Counted product by product in Python, for any mixture: the sum of both sides has to come out as well."""
    chance = random.Random(seed)
    price = [Attribute(name="price", type="money", field="Price")]

    def side() -> tuple[dict[str, tuple[str, float]], Path]:
        rows = chance.sample(products(40), chance.choice([1, 20, 40]))
        rows = [row._replace(title=f"{row.title} {chance.choice('ab')}") for row in rows]
        prices = [float(chance.choice([1, 2])) for _ in rows]
        values = [{"price": each} for each in prices]
        path = write_catalogue(root, rows, attributes=price, values=values, row_group_rows=7)
        return {row.uid: (row.title, each) for row, each in zip(rows, prices, strict=True)}, path

    (old, live), (new, made) = side(), side()
    version = write_version(root, "a", INDEX, [], catalogue=live.relative_to(root).as_posix(), points=len(old))
    change = compare(made, len(new), version, root=root)
    both = old.keys() & new.keys()
    texts = [uid for uid in both if old[uid][0] != new[uid][0]]
    same = [uid for uid in both if old[uid] == new[uid]]
    assert change is not None
    assert (change.gone, change.new) == (len(old) - len(both), len(new) - len(both))
    assert (change.changed_text, change.unchanged) == (len(texts), len(same))
    assert change.changed_attributes == len(both) - len(texts) - len(same)


def test_a_catalogue_that_is_given_attributes_has_changed_in_them(root: Path) -> None:
    """Whoever maps a column after the first run asks what that changed: every product, and no text."""
    rows, price = products(12), [Attribute(name="price", type="money", field="Price")]
    live = write_catalogue(root, rows).relative_to(root).as_posix()
    version = write_version(root, "a", INDEX, [], catalogue=live, points=12)
    made = write_catalogue(root, rows, attributes=price, values=[{"price": 1.0}] * 12)
    change = compare(made, 12, version, root=root)
    assert change is not None
    assert (change.changed_text, change.changed_attributes, change.unchanged) == (0, 12, 0)


def test_a_decision_from_before_the_fates_were_told_is_still_read() -> None:
    """Danger: a report of an earlier run cannot be written anew after an update."""
    old = {"live_version": "a", "live_products": 9, "products": 8, "gone": 2, "new": 1, "live_is_sample": False}
    decision = {"version": "v", "published": True, "reason": "", "catalogue": {**old, "is_sample": False}}
    change = Decision.model_validate(decision).catalogue
    assert str(change) == "the live version has 9 products, this one 8; 2 of the live ones are gone (22%), 1 are new"
