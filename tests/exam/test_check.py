"""include/exam/check.py: an index that goes bad is noticed before people complain."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include import stages
from include.answering.asker import Asker
from include.core import artifacts, kinds
from include.core.errors import AnswersWorse, Terminal, VerificationFailed
from include.run import Run
from include.store.version import IndexVersion
from tests.exam.people import ROWS, asked_of, publish, write_file
from tests.indexed import INDEX, Shop


def check(shop: Shop, **options: Any) -> dict[str, Any]:
    return stages.check_answers(INDEX, root=shop.root, **options)


@pytest.fixture
def live(shop: Shop, run_of: Callable[..., Run]) -> Shop:
    """A shop whose first version was examined and published."""
    assert publish(shop, 1, run_of(1))[1]["published"]
    return shop


def test_a_sound_index_passes_with_its_figures(live: Shop) -> None:
    """A check that cries wolf is switched off within a week."""
    shots: list[dict[str, Any]] = []
    made = check(live, sink=shots.append)
    assert (made["checked"], made["version"], made["questions"]) == (True, live.versions[0], 60)
    assert made["figures"]["the live index"] == made["figures"]["published"]
    assert "the live index answers no worse than when it was published: right product first" in made["reason"]
    assert shots[-1]["done"] == 60


def overwritten(path: Path) -> None:
    """The same size, other bytes: what a question does not look at."""
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 3)
    path.write_bytes(content)


@pytest.mark.parametrize("what", ["model", "shard", "shard cut short", "gone", "alias"])
def test_a_damaged_index_fails_the_check_with_the_way_out(live: Shop, what: str) -> None:
    """Questions are answered all the same, from what is left."""
    made = IndexVersion.read(IndexVersion.path(live.root, live.versions[0]))
    shard = live.root / made.shards[0]["path"]
    largest = max((each for each in shard.rglob("*") if each.is_file()), key=lambda each: each.stat().st_blocks)
    if what == "model":
        overwritten(next((live.root / made.model).rglob("*.onnx")))
    elif what == "shard":
        overwritten(largest)
    elif what == "shard cut short":
        largest.write_bytes(largest.read_bytes()[:100])
    elif what == "gone":
        shard.rename(shard.with_name("elsewhere"))
    else:
        (live.root / "index" / "products" / "live.json").unlink()
    with pytest.raises(VerificationFailed, match=r"roll_back.*train_and_index") as caught:
        check(live)
    assert isinstance(caught.value, Terminal), "a retry would only be later"


@pytest.mark.parametrize("gone", [False, True])
def test_a_damaged_reader_fails_the_check(shop: Shop, gone: bool) -> None:
    """Questions are answered without it, by rules that nobody has measured for this version."""
    made = artifacts.build(
        shop.root,
        kinds.READER,
        lambda space: {"bytes": (space.path / "reader.onnx").write_bytes(bytes(999))},
        settings={},
    )
    shop.publish(1, reader=made.fingerprint)
    assert check(shop)["version"] == shop.versions[0]
    if gone:
        made.path.rename(shop.root / "elsewhere")
    else:
        (made.path / "reader.onnx").write_bytes(bytes([1]) * 999)
    with pytest.raises(VerificationFailed, match=r"roll_back.*train_and_index"):
        check(shop)


def test_an_exam_without_questions_has_checked_nothing(shop: Shop, run_of: Callable[..., Run], tmp_path: Path) -> None:
    """Three questions may all be of training: a green run that compared nothing looks like a sound index."""
    file = write_file(tmp_path / "train.jsonl", asked_of(ROWS, 3, "train").all)
    publish(shop, 1, run_of(1, questions=str(file)))
    made = check(shop)
    assert (made["checked"], made["questions"]) == (False, 0)
    assert "none of the questions" in made["reason"]


def test_worse_answers_fail_the_check_with_both_figures(live: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is whole, and still people get something else than was measured: an upgrade, a server's data."""

    answer = Asker.answer

    def backwards(*given: Any, **options: Any) -> dict[str, Any]:
        made = answer(*given, **options)
        for each in made["answers"]:
            each["products"] = each["products"][::-1]
        return made

    monkeypatch.setattr("include.exam.ask.Asker.answer", backwards)
    with pytest.raises(
        AnswersWorse, match=r"answers worse than when it was published: right product first 0\.\d+"
    ) as e:
        check(live)
    assert "95 % interval" in e.value.what and live.versions[0] in e.value.what
    assert "Trigger roll_back" in e.value.next_step


def test_an_index_without_questions_says_so(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a failure every night, nor a green run that seems to have checked."""
    assert check(shop)["reason"] == "nothing has been published in collection products yet"
    shop.publish(1)
    made = check(shop)
    assert (made["checked"], made["version"]) == (False, shop.versions[0])
    assert "was published without questions" in made["reason"] and "Set `questions`" in caplog.text


def test_after_a_rollback_the_older_versions_exam_is_asked(live: Shop, run_of: Callable[..., Run]) -> None:
    """The way back takes the questions along."""
    publish(live, 2, run_of(2))
    assert check(live)["version"] == live.versions[1]
    live.roll_back()
    made = check(live)
    assert (made["checked"], made["version"]) == (True, live.versions[0])
    (entry, *_) = json.loads((live.root / "index" / "products" / "journal.json").read_text())["history"]
    assert entry["exam"]
