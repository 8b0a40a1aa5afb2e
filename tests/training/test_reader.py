"""A reader learns what answers, resumes after a kill, is the same in ONNX, and is refused where it does harm."""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include import reading, stages
from include.core import artifacts
from include.core.artifacts import Artifact
from include.core.errors import BadModel, TrainingInterrupted
from include.core.forms import pipeline_settings
from include.core.train_settings import ReaderSettings
from include.model.encoder import Encoder
from include.model.onnx_export import write_reader_onnx
from include.model.query_encoder import ONNX_FILE
from include.model.reader import PASSAGE_TOKENS, QUESTION_TOKENS, READER_CONFIG, READER_FILE, Reader
from include.questions.questions import Question
from include.reading import rows_of, train_in_subprocess
from include.run import Run
from include.training import reader as training
from include.training.reader import train_reader
from include.training.reader_figures import difference, measure
from include.training.reader_gate import calibrated
from include.training.reader_rows import FEWEST_HELD_OUT, Row, held_out
from tests.exam.people import DATE, write_file
from tests.small import products

SETTINGS = ReaderSettings(reader_epochs=20, reader_learning_rate=2e-3, reader_layers=1)
ASKED = {"capacity": "holds {} litres", "colour": "comes in {}", "weight": "weighs {} kg"}

NONE = np.full(9, 0.5, np.float32)  # relevance that says nothing


def rows(count: int = 90) -> list[Row]:
    """Questions about three things; the product tells all three, one of which answers."""
    found = []
    for number in range(count):
        name = list(ASKED)[number % 3]
        told = {each: text.format(number) for each, text in ASKED.items()}
        others = tuple(text for each, text in told.items() if each != name)
        found.append(Row(f"what is the {name}", f"product {number}", told[name], others))
    return found


def nothing_known(question: str, cosines: Any, passages: Any) -> Any:
    """A relevance that ranks by chance."""
    return np.random.default_rng(len(passages)).random(len(passages)).astype(np.float32)


def all_known(question: str, cosines: Any, passages: Any) -> Any:
    """A relevance that is always right: what answers comes first."""
    return np.arange(len(passages), 0, -1).astype(np.float32)


@pytest.fixture(scope="module")
def made(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    root = tmp_path_factory.mktemp("reader")
    return train_reader(rows(), tiny_base, SETTINGS, root=root, relevance=nothing_known)


def test_it_learns_what_kind_of_sentence_answers(made: Artifact) -> None:
    """A loop that runs without learning looks the same from outside."""
    figures = made.stats["figures"]
    assert made.stats["last_loss"] < 0.7 * made.stats["first_loss"]
    assert figures["reader"]["p@1"][0] > 0.8 > figures["relevance"]["p@1"][0]
    assert made.stats["used"] and "better than today's relevance" in made.stats["reason"]
    reader = Reader(made.path)
    told = ["holds 7 litres", "comes in 7", "weighs 7 kg"]
    assert [int(reader.score(f"what is the {name}", told, NONE[:3]).argmax()) for name in ASKED] == [0, 1, 2]


def test_a_score_is_a_probability(made: Artifact) -> None:
    """What stands in an answer as confidence has to mean what it says."""
    found = Reader(made.path).score("what is the weight", ["weighs 3 kg", "holds 3 litres", "comes in 3"], NONE[:3])
    assert found.dtype == np.float32 and found.shape == (3,)
    assert found[0] > 0.5 > found[1:].max() and 0 <= found.min() <= found.max() <= 1
    assert Reader(made.path).score("what is the weight", [], NONE[:0]).shape == (0,)


def test_several_threads_get_what_one_gets(made: Artifact) -> None:
    """Danger: a tokenizer whose limit one thread changes cuts, or refuses, the texts of another."""
    reader = Reader(made.path)
    passages = ["It weighs 3 kg and holds 3 litres. " * 20, "It comes in 3 colours."]
    alone = reader.logits("what is the weight " * 20, passages)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: reader.logits("what is the weight " * 20, passages), range(400)))
    for each in together:
        np.testing.assert_allclose(each, alone, rtol=1e-5)


def test_onnx_gives_what_torch_gives(made: Artifact, tmp_path: Path) -> None:
    """Two implementations of one model: passages of several lengths, in one batch and alone."""
    import torch
    from safetensors.numpy import load_file

    from include.training.reader_model import ReaderModel

    encoder = Encoder.load(made.path, device="cpu", precision="float32")
    model = ReaderModel(encoder, SETTINGS.reader_layers)
    saved = load_file(made.path / "model.safetensors")
    with torch.no_grad():
        for name, value in model.named_parameters():
            if not name.startswith("transformer."):
                value.copy_(torch.from_numpy(saved[f"reader.{name}"]))
    exact = shutil.copytree(made.path, tmp_path / "exact")
    write_reader_onnx(saved, encoder.model.config.to_dict(), model.apart, exact / READER_FILE, integers=False)
    told = [
        "weighs 3 kg",
        "it comes in red, blue and green, and holds 3 litres",
        "3",
        "",
        *("red kettle " * n for n in range(1, 20)),
    ]
    for question in ("what is the weight of the red kettle?", "weight", ""):
        states = model.states([question], QUESTION_TOKENS)[0], model.states(told, PASSAGE_TOKENS)
        expected = model.predict([(states[0], each) for each in states[1]])
        found, rounded = Reader(exact), Reader(made.path)
        np.testing.assert_allclose(found.logits(question, told), expected, atol=1e-4)
        alone = np.concatenate([found.logits(question, [each]) for each in told])
        np.testing.assert_allclose(alone, expected, atol=1e-4)
        assert np.corrcoef(rounded.logits(question, told), expected)[0, 1] > 0.98


def test_it_is_made_once(made: Artifact, tiny_base: Path) -> None:
    """Same questions, model and settings: found again; other questions: made anew."""
    root = made.path.parent.parent
    again = train_reader(rows(), tiny_base, SETTINGS, root=root, relevance=nothing_known)
    assert again.reused and again.fingerprint == made.fingerprint
    other = train_reader(rows(57), tiny_base, SETTINGS, root=root, relevance=nothing_known)
    assert not other.reused and other.fingerprint != made.fingerprint


def test_a_reader_that_ranks_no_better_than_relevance_is_not_used(tiny_base: Path, root: Path) -> None:
    """Its gate: otherwise each question would pay for a reader that adds nothing."""
    settings = ReaderSettings(reader_epochs=1, reader_learning_rate=1e-6)
    made = train_reader(rows(), tiny_base, settings, root=root, relevance=all_known)
    assert not made.stats["used"]
    assert "not told apart from today's relevance" in made.stats["reason"] and "not used" in made.stats["reason"]


@contextmanager
def killed_at_its_first_checkpoint(root: Path) -> Iterator[None]:
    """SIGKILL the training process as soon as it has kept something; progress is told too seldom to aim by."""
    ended = threading.Event()

    def kill() -> None:
        while not ended.is_set():
            if any(root.rglob("step-*")):
                for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
                    with suppress(OSError):
                        if b"include.reading" in Path(f"/proc/{child}/cmdline").read_bytes():
                            os.kill(int(child), signal.SIGKILL)
                            return
            time.sleep(0.002)

    watcher = threading.Thread(target=kill, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def test_a_killed_training_goes_on_to_the_same_bits(
    made: Artifact, tiny_base: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 of the child in the middle: the retry resumes, and ends as an undisturbed run does."""
    whole = train_in_subprocess(rows(), tiny_base, SETTINGS, root=root / "whole")
    settings = SETTINGS.model_copy(update={"reader_epochs": 30})
    with killed_at_its_first_checkpoint(root), pytest.raises(TrainingInterrupted, match="SIGKILL"):
        train_in_subprocess(rows(), tiny_base, settings, root=root)
    assert not list((root / "reader").glob("[!.]*/manifest.json"))
    steps: list[int] = []
    after = train_in_subprocess(
        rows(),
        tiny_base,
        settings,
        root=root,
        sink=lambda each: steps.append(each["done"]) if each["unit"] == "steps" else None,
    )
    assert steps[0] >= training.CHECKPOINT_STEPS, "it began again"
    again = train_in_subprocess(rows(), tiny_base, settings, root=root / "whole")
    assert (after.path / READER_FILE).read_bytes() == (again.path / READER_FILE).read_bytes()
    assert whole.fingerprint == made.fingerprint


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (READER_FILE, None, "is missing"),
        (READER_FILE, b"no graph", "cannot be loaded"),
        (READER_CONFIG, None, "is missing"),
        (READER_CONFIG, b"{", "is not JSON"),
        (READER_CONFIG, b"{}", "expected 3 and 1"),
        ("tokenizer.json", b"{}", "cannot be loaded"),
    ],
)
def test_a_broken_reader_says_what_to_do(
    made: Artifact, tmp_path: Path, file: str, content: bytes | None, said: str
) -> None:
    """Answering meets it long after training: the message must name the task."""
    copy = shutil.copytree(made.path, tmp_path / "reader")
    (copy / file).unlink()
    if content is not None:
        (copy / file).write_bytes(content)
    with pytest.raises(BadModel, match=said) as raised:
        Reader(copy)
    assert file.rpartition("/")[2] in raised.value.what and "again" in raised.value.next_step


def test_a_reader_of_an_earlier_form_says_what_to_do(made: Artifact, tiny_base: Path, tmp_path: Path) -> None:
    """After an upgrade the live version may have one: it is told when it is opened, not at the first question."""
    Encoder.load(tiny_base, device="cpu").save(tmp_path / "base")
    copy = shutil.copytree(made.path, tmp_path / "reader")
    (tmp_path / "base" / ONNX_FILE).replace(copy / READER_FILE)
    with pytest.raises(BadModel, match="another form") as raised:
        Reader(copy)
    assert "train_reader" in raised.value.next_step


def test_figures_of_a_known_case() -> None:
    """By hand: one question ranked rightly, one with its answer second, two without an answer."""
    yes, no = np.array([True, False]), np.array([False, False])
    groups = [
        (yes, np.array([0.9, 0.1])),
        (yes, np.array([0.4, 0.6])),
        (no, np.array([0.5, 0.2])),
        (no, np.array([0.7, 0.2])),
    ]
    found = measure(groups)
    assert found["p@1"][0] == 0.5
    assert found["ndcg"][0] == pytest.approx((1 + 1 / np.log2(3)) / 2, abs=1e-4)
    assert found["auroc"][0] == 0.75
    assert found["wrong answers at 5 % refused"][0] == 0.5
    assert all(low <= value <= high for value, low, high in found.values())
    assert difference(groups, groups)["p@1"] == [0.0, 0.0, 0.0]


def test_the_artifact_names_what_it_was_made_of(made: Artifact) -> None:
    """What pruning and the report read."""
    assert set(made.inputs) == {"weights", "rows"}
    assert made.settings == {"reader_epochs": 20, "reader_learning_rate": 2e-3, "reader_layers": 1}
    assert made.stats["questions"] + made.stats["held_out"] == 90
    assert json.loads((made.path / READER_CONFIG).read_text())["apart"] == 1


@pytest.fixture
def learned(
    root: Path, catalogue: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any] | None]:
    """A function that gives what the stage makes of a questions file; the training itself takes place here."""

    def here(rows: Any, model: Path, settings: ReaderSettings, *, root: Path, **_: Any) -> Artifact:
        return train_reader(rows, model, settings, root=root, relevance=nothing_known)

    monkeypatch.setattr(reading, "train_in_subprocess", here)

    def learn(asked: list[Question]) -> dict[str, Any] | None:
        conf = {"questions": str(write_file(tmp_path / "q.jsonl", asked)), "reader_epochs": 1, "reader_layers": 1}
        run, known = Run(pipeline_settings(conf), root, "r", DATE), artifacts.read(catalogue).summary()
        made = stages.read_questions(run, known)
        return stages.train_reader(run, known, {"path": str(tiny_base)}, made)

    return learn


def about(count: int, kinds: int = 5) -> list[Question]:
    """300 questions with evidence, about so many products."""
    some = products(60)[:count]
    asked = []
    for number in range(300):
        row, kind = some[number % count], number % kinds
        evidence = row.content.split(". ")[number % 3]
        asked.append(Question(f"q{number}", f"{'please ' * kind}what is {number} of it", (row.uid,), (evidence,)))
    return asked


@pytest.mark.parametrize("count", [1, 2, 60])
def test_questions_about_few_products_do_not_end_the_run(
    learned: Callable[..., dict[str, Any] | None], caplog: pytest.LogCaptureFixture, count: int
) -> None:
    """Someone who begins with a file about his best sellers must get his index, without a reader."""
    made = learned(about(count))
    if count < 60:
        assert made is None and "no reader: " in caplog.text and "and it needs" in caplog.text
    else:
        assert made is not None and made["stats"]["held_out"] >= FEWEST_HELD_OUT


def test_texts_that_answer_one_question_are_one_question(
    learned: Callable[..., dict[str, Any] | None], caplog: pytest.LogCaptureFixture
) -> None:
    """Twenty questions with five texts each are not a hundred: nothing could be proven by them."""
    asked = [replace(each, evidence=("It is red.", "of steel", "of wood", "9 kg", "blue")) for each in about(60)[:50]]
    assert learned(asked) is None
    assert "questions with evidence to" in caplog.text


def test_questions_that_are_all_alike_have_wrong_passages_still(tiny_base: Path, root: Path) -> None:
    """The same question for each product: what tells another product's warranty does not answer it."""
    alike = [Row("what is its warranty", f"product {number}", f"lamp {number}. {number} years") for number in range(80)]
    settings = ReaderSettings(reader_epochs=1, reader_layers=1)
    made = train_reader(alike, tiny_base, settings, root=root, relevance=nothing_known)
    assert made.stats["questions"] + made.stats["held_out"] == 80 and made.stats["first_loss"] > 0


def test_what_answers_as_well_is_never_taught_as_wrong(root: Path, catalogue: Path, tmp_path: Path) -> None:
    """A question with two right sentences: each was among those that do not answer, for the other."""
    row = products(60)[7]
    first, second, third = row.content.removesuffix(".").split(". ")
    asked = [Question(f"q{number}", f"what is {number} of it", (row.uid,), (first, second)) for number in range(20)]
    run = Run(pipeline_settings({"questions": str(write_file(tmp_path / "q.jsonl", asked))}), root, "r", DATE)
    made = stages.read_questions(run, artifacts.read(catalogue).summary())
    assert made is not None
    taught = rows_of(Path(made["path"]), catalogue)
    assert taught and all(first not in text and second not in text for each in taught for text in each.others)
    assert all(third in " ".join(each.others) for each in taught)


def test_a_questions_own_answer_does_not_calibrate_it() -> None:
    """A reader that is wrong on a product's questions would be turned around by them, and judged by the result."""
    plain = [np.array([[0.3, 0.5], [-0.3, 0.5]])] * 9
    wrong = np.array([[-8.0, 0.5], [8.0, 0.5]])
    weights, found = calibrated([*plain, wrong], [f"product {number}" for number in range(10)])
    assert weights[0] < 0, "what is used has learned from it"
    assert found[-1][0] < found[-1][1], "what is judged has not"


def test_the_same_products_are_held_out_of_any_large_file() -> None:
    """About one in seven; of a small file as many as prove something."""
    marks = held_out(rows(1000))
    assert 0.1 < marks.mean() < 0.2
    assert held_out(rows(1200))[:1000].tolist() == marks.tolist()
    assert held_out(rows(80)).sum() >= FEWEST_HELD_OUT
