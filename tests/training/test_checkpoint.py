"""Checkpoints: whole or skipped, never of other settings, at most two."""

from pathlib import Path

import pytest
import torch

from include.core.errors import BadModel
from include.training.checkpoint import Checkpoints

MARK = "0123456789abcdef"


def state(step: int) -> dict[str, object]:
    return {"model": {"weight": torch.arange(1000) + step}, "history": [{"step": step, "loss": 0.5}], "step": step}


def save(directory: Path, *steps: int) -> list[Path]:
    return [Checkpoints(directory, MARK).save(state(step), step=step) for step in steps]


def test_gives_back_what_was_saved(tmp_path: Path) -> None:
    """A lossy format would break resuming to the same bits."""
    save(tmp_path, 3)
    found = Checkpoints(tmp_path, MARK).latest()
    assert found is not None
    assert torch.equal(found["model"]["weight"], torch.arange(1000) + 3)
    assert found["history"] == [{"step": 3, "loss": 0.5}]


def test_keeps_the_last_two(tmp_path: Path) -> None:
    """One checkpoint of DistilBERT takes 800 MB: a hundred of them fill the disk."""
    save(tmp_path, 1, 2, 9, 10, 11)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "step-0000000010.checkpoint",
        "step-0000000011.checkpoint",
    ]


@pytest.mark.parametrize("damage", ["truncated", "flipped", "header", "fingerprint", "empty"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """torch.load reads flipped bytes without a word: the model would go on from noise."""
    last = save(tmp_path, 5, 10)[1]
    content = bytearray(last.read_bytes())
    if damage == "truncated":
        del content[-100:]
    elif damage == "flipped":
        content[len(content) // 2] ^= 1
    elif damage == "header":
        content[0] ^= 1
    elif damage == "fingerprint":
        content = bytearray(bytes(content).replace(MARK.encode(), MARK[::-1].encode(), 1))
    else:
        content.clear()
    last.write_bytes(content)
    found = Checkpoints(tmp_path, MARK).latest()
    assert found is not None
    assert found["step"] == 5
    assert last.name in caplog.text
    save(tmp_path, 15)
    assert Checkpoints(tmp_path, MARK).newest_first()[0] == tmp_path / "step-0000000015.checkpoint"


def test_a_checkpoint_of_other_settings_is_refused_by_name(tmp_path: Path) -> None:
    """Going on from another training would give a model that no settings describe."""
    path = save(tmp_path, 5)[0]
    with pytest.raises(BadModel) as failure:
        Checkpoints(tmp_path, "f" * 16).latest()
    assert str(path) in str(failure.value)
    assert MARK in str(failure.value)
    assert path.exists()


def test_what_an_interrupted_write_left_is_removed(tmp_path: Path) -> None:
    """Each killed attempt would leave 800 MB behind."""
    save(tmp_path, 5)
    (tmp_path / ".step-0000000010.checkpoint.abcdef01.part").write_bytes(b"half")
    found = Checkpoints(tmp_path, MARK).latest()
    assert found is not None
    assert found["step"] == 5
    assert len(list(tmp_path.iterdir())) == 1


def test_no_checkpoint_means_a_fresh_start(tmp_path: Path) -> None:
    """The first attempt has none."""
    assert Checkpoints(tmp_path, MARK).latest() is None
