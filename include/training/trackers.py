"""Where a training's figures also go, step by step: TensorBoard's event files, or MLflow.

A tracker is for looking at. One that fails is told in the log and left out for the rest of the training,
which does not depend on it: the report reads the model's own `history.json`.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from include.core.errors import BadSettings
from include.core.redaction import foreign

log = logging.getLogger(__name__)

Track = Callable[[int, Mapping[str, float]], None]
EXPERIMENT = "vitrine"
MARK = "vitrine.fingerprint"


@contextmanager
def open_tracker(name: str, *, root: Path, fingerprint: str, settings: Mapping[str, Any]) -> Iterator[Track | None]:
    """The tracker that `TrainSettings.tracker` names, closed at the end.

    Args:
        name: "none", "tensorboard" or "mlflow".
        root: The data directory.
        fingerprint: The model's; a resumed training goes on in the same place.
        settings: Shown beside the figures.

    Yields:
        A function of a step's number (from 1) and figures; None for "none".

    Raises:
        BadSettings: MLflow is not installed.
    """
    if name == "none":
        yield None
        return
    opened = {"tensorboard": _tensorboard, "mlflow": _mlflow}[name]
    with opened(root, fingerprint, settings) as track:
        yield _told(name, track)


def _told(name: str, track: Track) -> Track:
    """`track` until it fails."""
    failed = False

    def go_on(step: int, figures: Mapping[str, float]) -> None:
        nonlocal failed
        if failed:
            return
        try:
            track(step, figures)
        except Exception as error:  # whatever a network or a library comes up with
            failed = True
            log.warning("%s is left out from step %d on: %s: %s", name, step, type(error).__name__, foreign(error))

    return go_on


@contextmanager
def _tensorboard(root: Path, fingerprint: str, settings: Mapping[str, Any]) -> Iterator[Track]:
    from tensorboardX import SummaryWriter

    folder = root / "tensorboard" / fingerprint
    writer: Any = None

    def track(step: int, figures: Mapping[str, float]) -> None:
        nonlocal writer
        if writer is None:  # only now is it known where a resumed training goes on: what came later is hidden
            writer = SummaryWriter(str(folder), purge_step=step)
            rows = "\n".join(f"| {key} | {value} |" for key, value in settings.items())
            writer.add_text("settings", f"| setting | value |\n|---|---|\n{rows}", step)
            log.info("TensorBoard: tensorboard --logdir %s", folder.parent)
        for key, value in figures.items():
            writer.add_scalar(f"train/{key}", value, step)

    try:
        yield track
    finally:
        if writer is not None:
            writer.close()


@contextmanager
def _mlflow(_: Path, fingerprint: str, settings: Mapping[str, Any]) -> Iterator[Track]:
    try:
        import mlflow
    except ImportError as error:
        raise BadSettings(
            "tracker is 'mlflow', and MLflow is not installed here.",
            "Install mlflow-skinny where training runs, or choose tracker = tensorboard or none.",
        ) from error
    client = mlflow.MlflowClient()
    run: str | None = None

    def started() -> str:
        known = client.get_experiment_by_name(EXPERIMENT)
        experiment = known.experiment_id if known else client.create_experiment(EXPERIMENT)
        earlier = client.search_runs([experiment], f"tags.`{MARK}` = '{fingerprint}'", max_results=1)
        if earlier:
            return str(earlier[0].info.run_id)
        run_id = str(client.create_run(experiment, tags={MARK: fingerprint}, run_name=fingerprint).info.run_id)
        for key, value in settings.items():
            client.log_param(run_id, key, value)
        return run_id

    def track(step: int, figures: Mapping[str, float]) -> None:
        nonlocal run
        if run is None:
            run = started()
            log.info("MLflow: experiment %s, run %s", EXPERIMENT, run)
        for key, value in figures.items():
            client.log_metric(run, key, value, step=step)

    ended = "FAILED"
    try:
        yield track
        ended = "FINISHED"
    finally:
        if run is not None:
            client.set_terminated(run, ended)
