"""include/store/version.py: what one version of Vitrine wrote, the next one reads, and writes alike."""

import json
from pathlib import Path
from zipfile import ZipFile

import pytest

from include.core.environment import REPOSITORY
from include.core.errors import DamagedArtifact
from include.core.index_settings import IndexSettings
from include.store.version import IndexVersion
from tests.index.points import write_version

RECORDED = "data/version/c3247d9d67308e22/version.json"


def test_a_recorded_version_is_read_and_written_byte_for_byte(tmp_path: Path) -> None:
    """After an upgrade the live index answers, and an older Vitrine still reads what this one writes."""
    with ZipFile(REPOSITORY / "tests/recorded/data-directory.zip") as recorded:
        content = recorded.read(RECORDED)
    version = IndexVersion.model_validate_json(content)
    assert (version.name, version.dim, version.points) == ("c3247d9d67308e22", 32, 140)
    version.write(tmp_path)
    assert (tmp_path / "version.json").read_bytes() == content


@pytest.mark.parametrize("field", ["version", "model", "shards", "plan", "checks"])
def test_a_version_that_lacks_a_field_is_named(root: Path, field: str) -> None:
    """A rollback ended in a KeyError without a next step."""
    path = IndexVersion.path(root, write_version(root, "a", IndexSettings(), [{"shard": 0, "points": 3}]))
    assert IndexVersion.read(path).points == 3
    file = path / "version.json"
    size = file.stat().st_size
    rest = {name: value for name, value in json.loads(file.read_bytes()).items() if name != field}
    file.write_text(json.dumps(rest).ljust(size))
    with pytest.raises(DamagedArtifact, match=rf"version\.json cannot be read \({field}: Field required\)") as caught:
        IndexVersion.read(path, verify=False)
    assert caught.value.next_step.startswith("Clear verify")
