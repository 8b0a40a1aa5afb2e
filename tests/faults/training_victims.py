"""Processes that train until a test kills them.

They are forked from a server process that has imported what takes seconds (torch, transformers) once.
"""

import logging
import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

from include.core.train_settings import TrainSettings
from include.model import encoder
from include.training import checkpoint, loop, train

HEAVY = ["torch", "transformers.models.distilbert.modeling_distilbert", "tests.faults.training_victims"]

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(HEAVY)

__all__ = ["die_in_checkpoint", "encoder", "keep_subprocess", "processes", "train_and_tell"]


def train_and_tell(catalogue: Path, settings: TrainSettings, root: Path, pipe: Connection) -> None:
    """Train, sending a snapshot of progress after each step."""
    loop.INTERVAL = 0
    train.train(catalogue, settings, root=root, sink=pipe.send)


def die_in_checkpoint(catalogue: Path, settings: TrainSettings, root: Path, moment: str) -> None:
    """Train, and be killed while the checkpoint of step 4 is being written."""
    real_save, real_replace, real_write = checkpoint.Checkpoints.save, os.replace, checkpoint._Hashed.write

    def write(self: Any, data: Any) -> int:
        if self.size > 20_000:
            self._stream.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return real_write(self, data)

    def replace(source: Path, target: Path) -> None:
        if moment == "after the rename":
            real_replace(source, target)
        os.kill(os.getpid(), signal.SIGKILL)

    def save(*args: Any, step: int, **kwargs: Any) -> Path:
        if step == 4 and moment == "half written":
            mock.patch.object(checkpoint._Hashed, "write", write).start()
        elif step == 4:
            mock.patch.object(os, "replace", replace).start()
        return real_save(*args, step=step, **kwargs)

    mock.patch.object(checkpoint.Checkpoints, "save", save).start()
    train.train(catalogue, settings, root=root)


def keep_subprocess(catalogue: Path, settings: TrainSettings, root: Path, pipe: Connection) -> None:
    """Train in a subprocess, sending log messages and snapshots: the process that Airflow's task is."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            pipe.send(record.getMessage())

    logging.basicConfig(level=logging.INFO, handlers=[Handler()])
    sys.stdout.flush()
    train.train_in_subprocess(catalogue, settings, root=root, sink=pipe.send)
