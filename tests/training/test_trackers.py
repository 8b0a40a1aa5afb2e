"""A tracker shows a training's figures, and can neither stop it nor change it."""

import logging
import sys
from pathlib import Path

import pytest

from include.core.errors import BadSettings
from include.training import trackers
from include.training.trackers import EXPERIMENT, open_tracker

FIGURES = {"loss": 1.5, "learning_rate": 1e-4}


def test_tensorboard_gets_every_figure_of_every_step(tmp_path: Path) -> None:
    """Event files that hold nothing look the same from outside."""
    from tensorboardX.proto.event_pb2 import Event

    with open_tracker("tensorboard", root=tmp_path, fingerprint="f" * 16, settings={"epochs": 2}) as track:
        assert track is not None
        for step in (1, 2, 3):
            track(step, {**FIGURES, "loss": 1.5 / step})
    (file,) = (tmp_path / "tensorboard" / ("f" * 16)).iterdir()
    content, at, losses = file.read_bytes(), 0, {}
    while at < len(content):
        # A record of the file: length (8 bytes), its checksum (4), the event, its checksum (4).
        size = int.from_bytes(content[at : at + 8], "little")
        event = Event.FromString(content[at + 12 : at + 12 + size])
        for value in event.summary.value:
            if value.tag == "train/loss":
                losses[event.step] = value.simple_value
        at += 16 + size
    assert losses == pytest.approx({1: 1.5, 2: 0.75, 3: 0.5})


def test_mlflow_gets_settings_and_figures_and_a_resumed_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs for one model would each show half of its loss."""
    mlflow = pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    try:
        for steps in ((1, 2), (3,)):
            with open_tracker("mlflow", root=tmp_path, fingerprint="a" * 16, settings={"epochs": 2}) as track:
                assert track is not None
                for step in steps:
                    track(step, {"loss": 3.0 / step})
        client = mlflow.MlflowClient()
        (run,) = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
        history = client.get_metric_history(run.info.run_id, "loss")
    finally:
        mlflow.set_tracking_uri(before)
    assert run.data.params == {"epochs": "2"}
    assert run.info.status == "FINISHED"
    assert {each.step: each.value for each in history} == {1: 3.0, 2: 1.5, 3: 1.0}


def test_without_mlflow_the_setting_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user who asked for tracking would wait for figures that never come."""
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with (
        pytest.raises(BadSettings, match="mlflow-skinny"),
        open_tracker("mlflow", root=tmp_path, fingerprint="a" * 16, settings={}),
    ):
        pass


def test_a_tracker_that_fails_is_told_once_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Days of training must not end because a disk or a tracking server is away."""
    (tmp_path / "tensorboard").write_text("a file where the folder should be")
    with (
        caplog.at_level(logging.WARNING),
        open_tracker("tensorboard", root=tmp_path, fingerprint="f" * 16, settings={}) as track,
    ):
        assert track is not None
        track(1, FIGURES)
        track(2, FIGURES)
    assert [record.message.split(":")[0] for record in caplog.records] == ["tensorboard is left out from step 1 on"]


def test_none_gives_nothing(tmp_path: Path) -> None:
    """The default must not write anything anywhere."""
    with open_tracker("none", root=tmp_path, fingerprint="f" * 16, settings={}) as track:
        assert track is None
    assert not list(tmp_path.iterdir())


def test_a_trackers_address_is_told_without_its_password(caplog: pytest.LogCaptureFixture) -> None:
    """MLFLOW_TRACKING_URI may hold a login, and the client's errors quote it."""

    def fail(_: int, __: object) -> None:
        raise OSError("API request to http://me:hunter2@mlflow/api failed")

    with caplog.at_level(logging.WARNING):
        trackers._told("mlflow", fail)(1, FIGURES)
    assert "http://…@mlflow/api failed" in caplog.text
    assert "hunter2" not in caplog.text
