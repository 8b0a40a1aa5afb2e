"""plan.py: shards of a catalogue."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from include.core import artifacts, kinds
from include.core.errors import BadModel, BadSettings, DamagedArtifact, EmptyCatalogue
from include.core.index_settings import IndexSettings
from include.core.settings import EmbedSettings
from include.index.plan import Plan, plan_shards, read_plan, shard_of, split, version_of
from tests.small import Product


def plan(catalogue: Path, model: Path, root: Path, **changes: object) -> artifacts.Artifact:
    embed = {name: changes.pop(name) for name in ("shards", "dimensions", "embed_batch_tokens") if name in changes}
    return plan_shards(
        catalogue, model, EmbedSettings.model_validate(embed), IndexSettings.model_validate(changes), root=root
    )


def test_every_row_group_is_in_exactly_one_shard(catalogue: Path, model: Path, root: Path) -> None:
    """A row group in no shard would be missing from the index, in two it would be embedded twice."""
    opened = read_plan(plan(catalogue, model, root, shards=4).path)
    assert [group for shard in opened.shards for group in shard.row_groups] == [0, 1, 2, 3, 4, 5]
    assert sum(shard.rows for shard in opened.shards) == opened.points == 60
    assert [(shard.shard, shard.of) for shard in opened.shards] == [(0, 4), (1, 4), (2, 4), (3, 4)]


@pytest.mark.parametrize(
    ("sizes", "shards", "expected"),
    [
        ([10] * 6, 2, [(0, 1, 2), (3, 4, 5)]),
        ([10] * 5 + [1], 3, [(0, 1), (2, 3), (4, 5)]),
        ([100, 1, 1, 1], 2, [(0,), (1, 2, 3)]),
        ([1, 1, 1, 100], 3, [(0, 1), (2,), (3,)]),
        ([10, 0, 10], 5, [(0,), (2,)]),
        ([7], 4, [(0,)]),
        ([], 2, []),
    ],
)
def test_shards_are_contiguous_and_balanced(sizes: list[int], shards: int, expected: list[tuple[int, ...]]) -> None:
    """An unbalanced split makes the whole run wait for its largest shard; an empty shard fails later."""
    assert split(sizes, shards) == expected


def test_the_dimensions_that_are_kept_make_another_version(catalogue: Path, model: Path, root: Path) -> None:
    """Vectors of two lengths in one version cannot be searched; more than there are cannot be kept."""
    whole, few = plan(catalogue, model, root), plan(catalogue, model, root, dimensions=16)
    assert (read_plan(whole.path).dim, read_plan(few.path).dim) == (32, 16)
    assert read_plan(whole.path).version != read_plan(few.path).version
    with pytest.raises(BadSettings, match="dimensions is 33; the model's vectors have 32"):
        plan(catalogue, model, root, dimensions=33)


def test_no_products_is_an_error(make_catalogue: Callable[[Sequence[Product]], Path], model: Path, root: Path) -> None:
    """Airflow marks a task that is mapped over an empty list as skipped: the run would look well."""
    empty = make_catalogue([])
    with pytest.raises(EmptyCatalogue, match="has no products"):
        plan(empty, model, root)
    assert not list((root / "plan").glob("*/plan.json"))


def test_the_version_is_the_fingerprint_that_the_version_artifact_will_have(
    catalogue: Path, model: Path, root: Path
) -> None:
    """Shards are loaded under this name before the artifact exists: if they differed, nothing would be found."""
    made = plan(catalogue, model, root)
    expected = artifacts.fingerprint(kinds.VERSION, {}, {"plan": made.fingerprint})
    assert read_plan(made.path).version == expected == version_of(made.fingerprint)


@pytest.mark.parametrize(
    "changes", [{"embed_batch_tokens": 512}, {"keep_versions": 9}, {"min_recall": 0.5}, {"server_shards": 2}]
)
def test_settings_that_do_not_shape_the_index_leave_the_plan(
    changes: dict[str, object], catalogue: Path, model: Path, root: Path
) -> None:
    """Lowering a batch size after running out of memory must not cost a new index."""
    assert plan(catalogue, model, root, **changes).fingerprint == plan(catalogue, model, root).fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        *[{"shards": 3}, {"hnsw_m": 8}, {"hnsw_ef_construct": 64}, {"collection": "b"}, {"store": "server"}],
        {"vector_format": "turbo8"},
    ],
)
def test_settings_that_shape_the_index_make_another_plan(
    changes: dict[str, object], catalogue: Path, model: Path, root: Path
) -> None:
    """Else a changed setting would silently find the old index."""
    assert plan(catalogue, model, root, **changes).fingerprint != plan(catalogue, model, root).fingerprint


@pytest.mark.parametrize(
    "changes",
    [{"server_shards": 2}, {"replication_factor": 2}, {"write_consistency": 1}, {"vector_memory": "cold"}],
)
def test_another_shape_of_the_cluster_makes_another_version(
    changes: dict[str, object], catalogue: Path, model: Path, root: Path
) -> None:
    """A collection keeps what it was made with: who wants another replica must get a new one."""
    usual = plan(catalogue, model, root, store="server")
    assert plan(catalogue, model, root, store="server", **changes).fingerprint != usual.fingerprint
    assert not changes.keys() & read_plan(usual.path).index.keys()


def test_a_plan_survives_a_move_of_the_data_directory(catalogue: Path, model: Path, root: Path, tmp_path: Path) -> None:
    """Absolute paths in a plan would make a restored backup useless."""
    made = plan(catalogue, model, root)
    moved = tmp_path / "elsewhere"
    shutil.move(root, moved)
    opened = read_plan(moved / made.path.relative_to(root))
    assert artifacts.read(moved / opened.model).kind == "model"
    assert artifacts.read(moved / opened.catalogue).kind == "catalogue"
    assert str(root) not in (moved / made.path.relative_to(root) / "plan.json").read_text()


def test_mapped_tasks_get_one_small_dict_each(catalogue: Path, model: Path, root: Path) -> None:
    """What is mapped over goes through Airflow's database as JSON."""
    made = plan(catalogue, model, root, shards=3)
    mapped = json.loads(json.dumps(shard_of(made)))
    assert mapped == [{"plan": str(made.path), "shard": number} for number in range(3)]


def test_a_changed_plan_file_is_refused(catalogue: Path, model: Path, root: Path) -> None:
    """A plan that was edited by hand no longer matches the version's name."""
    made = plan(catalogue, model, root)
    (made.path / "plan.json").write_text((made.path / "plan.json").read_text().replace('"dim": 32', '"dim": 33'))
    with pytest.raises(DamagedArtifact):
        read_plan(made.path)


def test_an_unknown_shard_is_named(catalogue: Path, model: Path, root: Path) -> None:
    """A task of an older plan must not read some other shard's rows."""
    opened: Plan = read_plan(plan(catalogue, model, root).path)
    for number in (-1, 2):
        with pytest.raises(BadSettings, match=f"Shard {number} was asked for"):
            opened.shard(number)


def test_a_model_without_a_dimension_is_refused(catalogue: Path, root: Path) -> None:
    """The collection's dimension comes from here; a wrong one fails much later, in the store."""

    def write(space: artifacts.Workspace) -> dict[str, Any]:
        (space.path / "config.json").write_text("{}")
        return {}

    made = artifacts.build(root, artifacts.Kind("model", 0), write, settings={})
    with pytest.raises(BadModel, match="dim"):
        plan(catalogue, made.path, root)


def test_artifacts_outside_the_data_directory_are_refused(
    catalogue: Path, model: Path, root: Path, tmp_path: Path
) -> None:
    """A relative path to them would break with the first move."""
    with pytest.raises(BadSettings, match="outside the data directory"):
        plan(catalogue, model, tmp_path / "other", shards=1)
