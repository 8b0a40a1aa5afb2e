"""Training learns, is reproducible, fails with reasons, and runs in a process of its own."""

import json
import logging
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from include.core import artifacts, kinds
from include.core.errors import BadModel, BadSettings, EmptyCatalogue, TrainingDiverged, TrainingInterrupted
from include.core.files import lock
from include.core.train_settings import TrainSettings
from include.model.encoder import Encoder
from include.model.tokens import CatalogueTokens, tokenize
from include.training import loss
from include.training.batches import learning_rate, locate_texts
from include.training.checkpoint import Checkpoints
from include.training.loop import Training
from include.training.pairs import find_pairs
from include.training.process import ERROR_MARK, ChildReports, run_as_child
from include.training.step import adamw
from include.training.train import HISTORY_FILE, UNTRAINED, train, train_in_subprocess
from tests.small import Product, products

MakeCatalogue = Callable[[Sequence[Product]], Path]
WEIGHTS = "model.safetensors"


def settings(base: Path, **changes: Any) -> TrainSettings:
    values = {
        "base_model": str(base),
        "epochs": 1,
        "batch_size": 8,
        "max_tokens": 32,
        "holdout": 10,
        "precision": "float32",
        "learning_rate": 1e-3,
        "checkpoint_steps": 4,
        **changes,
    }
    return TrainSettings(**values)


def same_weights(one: Path, other: Path) -> bool:
    first, second = load_file(one / WEIGHTS), load_file(other / WEIGHTS)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_the_loss_falls_and_titles_find_their_contents(catalogue: Path, root: Path, tiny_base: Path) -> None:
    """A loop that runs without learning looks the same from outside."""
    chosen = settings(tiny_base, epochs=12, batch_size=16, related_share=0.0)
    made = train(catalogue, chosen, root=root)
    rows = products(60)

    def mean_rank(path: Path) -> float:
        encoder = Encoder.load(path, max_tokens=32, precision="float32")
        scores = encoder.encode([row.title for row in rows]) @ encoder.encode([row.content for row in rows]).T
        return float((scores > scores.diagonal()[:, None]).sum(axis=1).mean())

    assert made.stats["last_loss"] < 0.6 * made.stats["first_loss"]
    assert mean_rank(made.path) < 0.5 * mean_rank(tiny_base)


def test_the_artifact_holds_model_history_and_statistics(catalogue: Path, root: Path, tiny_base: Path) -> None:
    """Report and evaluation read these by name."""
    made = train(catalogue, settings(tiny_base), root=root)
    history = json.loads((made.path / HISTORY_FILE).read_text())
    steps = history["steps"]
    assert [each["step"] for each in steps] == list(range(1, made.stats["steps"] + 1))
    assert all({"loss", "learning_rate", "seconds"} <= each.keys() for each in steps)
    assert [each["seconds"] for each in steps] == sorted(each["seconds"] for each in steps)
    assert history["pairs"]["content"] + history["pairs"]["related"] == made.stats["pairs"]
    assert made.stats["held_out"] == 10
    assert made.stats.keys() >= {"first_loss", "last_loss", "seconds_training", "pairs_per_second", "device", "base"}
    assert artifacts.read(made.path).settings["precision"] == "float32"
    assert not list(root.glob("model/.scratch-*")), "checkpoints are not needed once the model is published"


def test_equal_settings_give_equal_bits_and_the_seed_matters(catalogue: Path, tmp_path: Path, tiny_base: Path) -> None:
    """If two undisturbed runs differ, comparing a resumed one says nothing."""
    first, again, other = (
        train(catalogue, settings(tiny_base, max_steps=4, seed=seed), root=tmp_path / str(number)).path
        for number, seed in enumerate([1, 1, 2])
    )
    assert same_weights(first, again)
    assert not same_weights(first, other)


def test_unchanged_inputs_reuse_the_model(catalogue: Path, root: Path, tiny_base: Path) -> None:
    """A second trigger must cost seconds; how often checkpoints are written does not change a model."""
    first = train(catalogue, settings(tiny_base, max_steps=2), root=root)
    again = train(catalogue, settings(tiny_base, max_steps=2, checkpoint_steps=1), root=root)
    assert again.reused
    assert again.path == first.path
    assert train(catalogue, settings(tiny_base, max_steps=3), root=root).path != first.path


def test_automatic_precision_is_resolved_in_the_fingerprint(catalogue: Path, root: Path, tiny_base: Path) -> None:
    """A model trained in bfloat16 is another one than in float32, though both settings say `auto`."""
    made = train(catalogue, settings(tiny_base, max_steps=1, precision="auto"), root=root)
    assert made.settings["precision"] in {"bfloat16", "float32"}
    assert train(catalogue, settings(tiny_base, max_steps=1, precision=made.settings["precision"]), root=root).reused


def test_texts_that_the_model_cannot_tell_apart_are_known_positives(root: Path, tiny_base: Path) -> None:
    """Contents that differ only beyond max_tokens, or in case, are the same input: no gradient can part them."""
    from tests.small import write_catalogue

    rows = [
        Product("1", "red kettle", "this is made of steel and weighs one"),
        Product("2", "blue lamp", "This is made of STEEL and weighs two"),
        Product("3", "tent", "cotton"),
    ]
    path = write_catalogue(root, rows)
    encoder = Encoder.load(tiny_base, max_tokens=8, precision="float32")
    cut = tokenize(path, encoder.tokenizer, 8, root=root).path
    pairs, texts = locate_texts(find_pairs(path, settings(tiny_base)), CatalogueTokens(cut, encoder.tokenizer))
    mask = pairs.known_positives(np.arange(3))
    assert mask.tolist() == [[False, True, False], [True, False, False], [False, False, False]]
    assert texts.of(pairs.right)[0].tolist() == texts.of(pairs.right)[1].tolist()


def test_weight_decay_is_for_matrices_only(tiny_base: Path) -> None:
    """Decayed biases and layer norms cost quality (and nobody sees why)."""
    encoder = Encoder.load(tiny_base, max_tokens=32, precision="float32")
    decayed, plain = adamw(encoder, settings(tiny_base, weight_decay=0.3)).param_groups
    assert decayed["weight_decay"] == 0.3
    assert plain["weight_decay"] == 0.0
    assert {weight.ndim for weight in decayed["params"]} == {2}
    assert {weight.ndim for weight in plain["params"]} == {1}


def test_learning_rate_rises_then_falls_and_is_never_zero(tiny_base: Path) -> None:
    """A first or last step at rate 0 is a step for nothing."""
    chosen = settings(tiny_base, warmup_share=0.2, learning_rate=1.0e-3)
    rates = [learning_rate(step, 10, chosen) for step in range(10)]
    assert rates[:3] == [5e-4, 1e-3, 1e-3]
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] == pytest.approx(1e-3 / 8)
    no_warmup = settings(tiny_base, warmup_share=0.0, learning_rate=1.0e-3)
    assert learning_rate(0, 1, no_warmup) == 1e-3


def test_a_loss_that_is_not_finite_ends_training_with_the_place(
    catalogue: Path, root: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Going on would publish a model of NaN; a checkpoint written after it would poison every retry."""
    plain = loss.contrastive_loss
    calls: list[int] = []

    def third_is_nan(*args: Any, **kwargs: Any) -> torch.Tensor:
        calls.append(1)
        return plain(*args, **kwargs) * (float("nan") if len(calls) == 3 else 1.0)

    monkeypatch.setattr(loss, "contrastive_loss", third_is_nan)
    with pytest.raises(TrainingDiverged) as failure:
        train(catalogue, settings(tiny_base, checkpoint_steps=1), root=root)
    assert "step 3" in str(failure.value)
    assert "learning rate" in str(failure.value)
    assert "step-0000000002.checkpoint" in str(failure.value)
    assert not list(root.glob("model/[!.]*"))


def test_an_infinite_gradient_ends_training_before_it_reaches_the_weights(
    catalogue: Path, root: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss is still finite then; the weights would be NaN in the next checkpoint."""
    plain = loss.contrastive_loss

    def burst(*args: Any, **kwargs: Any) -> torch.Tensor:
        value = plain(*args, **kwargs)
        value.register_hook(lambda gradient: gradient * float("inf"))
        return value

    monkeypatch.setattr(loss, "contrastive_loss", burst)
    with pytest.raises(TrainingDiverged, match="step 1"):
        train(catalogue, settings(tiny_base), root=root)
    assert not list(root.glob("model/.scratch-*"))  # no checkpoint


def test_want_of_gpu_memory_names_the_batch_size(
    catalogue: Path, root: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry cannot help: the same batch meets the same GPU."""

    def full(*_: Any, **__: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(loss, "contrastive_loss", full)
    with pytest.raises(BadSettings, match="batch_size=8"):
        train(catalogue, settings(tiny_base), root=root)


def test_titles_alone_give_the_base_model_as_it_is(
    make_catalogue: MakeCatalogue, root: Path, tiny_base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A catalogue of titles can be searched; the user must learn that nothing was trained, and what is missing."""
    path = make_catalogue([Product("1", "kettle", ""), Product("2", "lamp", "")])
    made = train(path, settings(tiny_base), root=root)
    assert made.stats["untrained"] == UNTRAINED
    assert (made.stats["steps"], made.stats["pairs"]) == (0, 0)
    assert "0 have both a title and a content" in caplog.text
    assert same_weights(made.path, tiny_base)
    assert json.loads((made.path / HISTORY_FILE).read_text())["steps"] == []
    again = train_in_subprocess(path, settings(tiny_base), root=root)
    assert again.reused
    assert again.stats == made.stats


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_base_model_with_broken_weights_is_refused_by_the_tensors_name(
    catalogue: Path, root: Path, tmp_path: Path, tiny_base: Path, value: float
) -> None:
    """Trained on, it ends as a loss that is NaN at step 1, which reads like a learning rate too high."""
    broken = tmp_path / "broken"
    shutil.copytree(tiny_base, broken)
    weights = load_file(broken / WEIGHTS)
    name = next(each for each in weights if each.endswith("layer.1.ffn.lin1.weight"))
    weights[name][3, :5] = value
    save_file(weights, broken / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(BadModel, match=r"5 of [\d,]+ weights of \S*layer\.1\.ffn\.lin1\.weight are NaN") as failure:
        train(catalogue, settings(broken), root=root)
    assert str(broken) in failure.value.what
    assert artifacts.published(root, kinds.MODEL) == []


def test_a_checkpoint_with_broken_weights_is_refused(catalogue: Path, root: Path, tiny_base: Path) -> None:
    """Going on from it would train noise for hours."""
    chosen = settings(tiny_base, max_steps=4)
    made = train(catalogue, chosen, root=root)
    scratch = root / "model" / f".scratch-{made.fingerprint}"
    made.path.rename(root / "moved-away")
    scratch.mkdir()
    training = Training(Encoder.load(tiny_base, max_tokens=32, precision="float32"), torch.optim.AdamW([torch.ones(1)]))
    state = training.state()
    state["model"]["embeddings.word_embeddings.weight"][0, 0] = float("nan")
    Checkpoints(scratch, made.fingerprint).save({**state, "step": 2}, step=2)
    with pytest.raises(BadModel, match=r"step 2 .*word_embeddings\.weight are NaN"):
        train(catalogue, chosen, root=root)


def test_a_checkpoint_of_other_settings_is_refused(catalogue: Path, root: Path, tiny_base: Path) -> None:
    """A checkpoint copied to the wrong place must not be trained on."""
    chosen = settings(tiny_base, max_steps=2)
    made = train(catalogue, chosen, root=root)
    scratch = root / "model" / f".scratch-{made.fingerprint}"
    made.path.rename(root / "moved-away")
    scratch.mkdir()
    Checkpoints(scratch, "f" * 16).save({"step": 1}, step=1)
    with pytest.raises(BadModel, match=r"step-0000000001\.checkpoint"):
        train(catalogue, chosen, root=root)


def test_a_subprocess_gives_the_same_model_and_passes_progress_and_log_on(
    catalogue: Path, root: Path, tmp_path: Path, tiny_base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Airflow's task sees only what the child says; and the child must train what the parent asked for."""
    chosen = settings(tiny_base, max_steps=4)
    seen: list[dict[str, Any]] = []
    with caplog.at_level(logging.INFO):
        made = train_in_subprocess(catalogue, chosen, root=root, sink=seen.append)
    assert seen[-1]["stage"] == "fine-tune"
    assert seen[-1]["done"] == seen[-1]["total"] == 4
    assert {"loss", "pairs_per_second"} <= seen[-1].keys()
    assert "pairs (products 60" in caplog.text
    assert not made.reused
    assert artifacts.read(made.path).stats == made.stats
    assert same_weights(made.path, train(catalogue, chosen, root=tmp_path / "other").path)


def test_a_subprocess_error_keeps_its_class_and_message(
    make_catalogue: MakeCatalogue, root: Path, tiny_base: Path
) -> None:
    """Airflow retries by class: a Terminal error that came back as another would be retried for hours."""
    with pytest.raises(EmptyCatalogue, match="holds no product") as failure:
        train_in_subprocess(make_catalogue([]), settings(tiny_base), root=root)
    assert "Check the source" in failure.value.next_step


def test_a_sink_that_fails_ends_the_subprocess(catalogue: Path, root: Path, tiny_base: Path) -> None:
    """A child that outlives its task holds the lock, and the GPU, against the retry."""

    def fail(_: dict[str, Any]) -> None:
        raise ConnectionError("no state store")

    with pytest.raises(ConnectionError):
        train_in_subprocess(catalogue, settings(tiny_base, epochs=100), root=root, sink=fail)
    mark = next(root.glob("model/.*.lock"))
    with lock(mark, timeout=5):
        pass


def test_the_error_of_a_process_that_does_not_report_keeps_its_class(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Out of memory on the second GPU alone: tried again four times as an unknown crash, it would fail four times."""

    def fail(_: Any) -> Any:
        raise BadSettings("The GPU's memory does not hold it.", "Lower mini_batch.")

    monkeypatch.setenv("RANK", "1")
    assert run_as_child(fail, parent=None) == 1
    out, err = capfd.readouterr()
    assert out == ""
    reports = ChildReports(None)
    reports.read_error("cut off by ano")
    reports.read_error(err.removeprefix(ERROR_MARK))
    reports.read(json.dumps({"type": "crash", "error": "", "traceback": "connection closed by peer"}))
    with pytest.raises(BadSettings, match="does not hold it"):
        reports.outcome(1, [])


def test_a_killed_process_among_several_is_no_crash() -> None:
    """The others crash for want of it, and say so first; what helps is to retry."""
    reports = ChildReports(None)
    reports.read(json.dumps({"type": "crash", "error": "", "traceback": "connection closed by peer"}))
    with pytest.raises(TrainingInterrupted, match="SIGKILL"):
        reports.outcome(-signal.SIGKILL, [])
    with pytest.raises(RuntimeError, match="connection closed by peer"):
        reports.outcome(-signal.SIGABRT, [])


def test_two_processes_train_the_model_of_one(catalogue: Path, root: Path, tmp_path: Path, tiny_base: Path) -> None:
    """More GPUs must change the speed and nothing else; one process's result must come back, not two."""
    chosen = settings(tiny_base, max_steps=4)
    one = train(catalogue, chosen, root=tmp_path / "other")
    seen: list[dict[str, Any]] = []
    two = train_in_subprocess(catalogue, chosen.model_copy(update={"processes": 2}), root=root, sink=seen.append)
    assert two.fingerprint == one.fingerprint
    assert two.stats["processes"] == 2
    assert [each["done"] for each in seen if each["unit"] == "steps"][-1] == 4
    losses = [
        [each["loss"] for each in json.loads((made.path / HISTORY_FILE).read_text())["steps"]] for made in (one, two)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    first, second = load_file(one.path / WEIGHTS), load_file(two.path / WEIGHTS)
    assert all(torch.allclose(first[name], second[name], atol=1e-4) for name in first)


def test_gradient_caching_trains_the_same_model(catalogue: Path, root: Path, tmp_path: Path, tiny_base: Path) -> None:
    """The mini-batch is a matter of memory: it must not decide what is learnt."""
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    config = json.loads((base / "config.json").read_text())  # without dropout, which is drawn chunk by chunk
    (base / "config.json").write_text(json.dumps(config | {"dropout": 0.0, "attention_dropout": 0.0}))
    small = train(catalogue, settings(base, max_steps=4, batch_size=32, mini_batch=1), root=root)
    large = train(catalogue, settings(base, max_steps=4, batch_size=32), root=tmp_path / "other")
    assert small.fingerprint == large.fingerprint
    assert small.stats["last_loss"] == pytest.approx(large.stats["last_loss"], rel=1e-4)
    first, second = load_file(small.path / WEIGHTS), load_file(large.path / WEIGHTS)
    assert all(torch.allclose(first[name], second[name], atol=1e-4) for name in first)


def test_matryoshka_makes_the_first_dimensions_good_by_themselves(catalogue: Path, root: Path, tiny_base: Path) -> None:
    """Trained only as a whole, the first quarter of a vector is a quarter of the knowledge."""
    plain, nested = (
        train(catalogue, settings(tiny_base, epochs=12, batch_size=16, related_share=0.0, matryoshka=first), root=root)
        for first in ("", "8")
    )
    rows = products(60)

    def mean_rank(path: Path) -> float:
        encoder = Encoder.load(path, max_tokens=32, precision="float32")
        left, right = (
            torch.nn.functional.normalize(torch.from_numpy(encoder.encode(texts)[:, :8]), dim=-1)
            for texts in ([row.title for row in rows], [row.content for row in rows])
        )
        scores = left @ right.T
        return float((scores > scores.diagonal()[:, None]).sum(dim=1).float().mean())

    assert mean_rank(nested.path) < mean_rank(plain.path)


@pytest.mark.parametrize("first", ["0", "32", "16, 64"])
def test_matryoshka_dimensions_out_of_range_are_refused(
    catalogue: Path, root: Path, tiny_base: Path, first: str
) -> None:
    """As many dimensions as there are would only count the whole twice."""
    with pytest.raises(BadSettings, match="32 dimensions"):
        train(catalogue, settings(tiny_base, matryoshka=first), root=root)


def test_a_loss_that_rises_far_above_its_start_ends_training(
    catalogue: Path, root: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that has forgotten everything still has a finite loss, and days of steps to go."""
    plain = loss.contrastive_loss
    calls: list[int] = []

    def rising(*args: Any, **kwargs: Any) -> torch.Tensor:
        calls.append(1)
        return plain(*args, **kwargs) * (1 + len(calls) / 10)

    monkeypatch.setattr(loss, "contrastive_loss", rising)
    with pytest.raises(TrainingDiverged, match=r"The loss rose from \d.* at step 60, .*step-0000000056"):
        train(catalogue, settings(tiny_base, epochs=100, batch_size=16, learning_rate=1e-5), root=root)


def test_another_nonce_trains_again_and_the_same_one_does_not(catalogue: Path, root: Path, tiny_base: Path) -> None:
    """`retrain = always` means again in the next run, not again in this run's retry."""
    chosen = settings(tiny_base, max_steps=1)
    first = train(catalogue, chosen, root=root, nonce="run 1")
    assert train(catalogue, chosen, root=root, nonce="run 1").reused
    assert not train(catalogue, chosen, root=root, nonce="run 2").reused
    assert train(catalogue, chosen, root=root).fingerprint != first.fingerprint
