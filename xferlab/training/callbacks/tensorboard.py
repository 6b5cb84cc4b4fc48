"""TensorBoard logs of a run."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from xferlab.backend.event_files import EventWriter, indented
from xferlab.callbacks import Callback, Epoch, Result, Run, Step
from xferlab.io.atomic import sync

LONGEST_LABEL = 100
"""Characters of a folder's name."""


class TensorBoardLog(Callback):
    """Scalars of training and validation on one axis, the optimizer steps.

    ``tensorboard/train`` has the loss of every step, the learning rate, that of each block
    where these differ, and the epoch means;
    ``tensorboard/validation`` the same names for the validation split. A job of a sweep has both
    below its swept values, ``tensorboard/lr=3e-5,seed=1/train``: TensorBoard shows this path.

    Args:
        run: whose folder ``tensorboard`` holds the logs.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._folder = _folder_of(run)

    @cached_property
    def _train(self) -> EventWriter:
        return EventWriter(self._folder / "train")

    @cached_property
    def _validation(self) -> EventWriter:
        return EventWriter(self._folder / "validation")

    def on_begin(self, update: int) -> None:
        """Start an empty log with the config as text and the plan as an image (PNG)."""
        if update and self._event_files():
            return
        from omegaconf import OmegaConf

        shutil.rmtree(self._folder, ignore_errors=True)
        self._write_hparams({})  # so that an unfinished run has a row too
        text = OmegaConf.to_yaml(OmegaConf.create(dict(self._run.config)))
        self._train.text("config", indented(text))
        self._train.image("plan", (self._run.folder / "plan.png").read_bytes())

    def state(self) -> dict[str, Any]:
        """Return the length of each event file, with everything so far on the disk."""
        self._train.flush()
        self._validation.flush()
        files = {path: path.stat().st_size for path in self._event_files()}
        for path in files:
            sync(path)
        return {str(path.relative_to(self._folder)): size for path, size in files.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Remove what was written after the state: it will be written again."""
        for path in self._event_files():
            size = state.get(str(path.relative_to(self._folder)), 0)
            if size == 0:
                path.unlink()
            elif size < path.stat().st_size:
                os.truncate(path, size)

    def _event_files(self) -> list[Path]:
        return sorted(self._folder.rglob("events.out.tfevents.*"))

    def on_step(self, step: Step) -> None:
        """Write the batch's loss and its learning rate."""
        self._train.scalar("batch_loss", step.loss, step.update)
        self._train.scalar("learning_rate", self._run.learning_rate(step.update), step.update)
        for block, rate in self._run.block_rates(step.update).items():
            self._train.scalar(f"learning_rate/{block}", rate, step.update)

    def on_epoch(self, epoch: Epoch) -> None:
        """Write the epoch's scores."""
        for writer, scores in ((self._train, epoch.train), (self._validation, epoch.validation)):
            for name, value in scores.items():
                writer.scalar(name, value, epoch.update)
            writer.flush()

    def on_end(self, result: Result) -> None:
        """Write the run's row of the HParams page: its settings and final scores."""
        for unfinished in self._folder.glob("events.out.tfevents.*"):
            unfinished.unlink()
        self._write_hparams(result.scores)
        self._train.close()
        self._validation.close()

    def _write_hparams(self, scores: Mapping[str, float]) -> None:
        writer = EventWriter(self._folder)
        writer.hparams(self._run.settings, trial_id=self._run.folder.name)
        for name, value in scores.items():
            writer.scalar(name, value)
        writer.close()


def _folder_of(run: Run) -> Path:
    """Return where the log is: an earlier attempt of the run may have had another label."""
    folder = run.folder / "tensorboard"
    begun = [path.parent for path in (folder / "train", *folder.glob("*/train")) if path.is_dir()]
    label = re.sub(r"[^\w.,=+-]", "_", run.label)[:LONGEST_LABEL]
    return next(iter(begun), folder / label if label else folder)


def hyperparameters(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a config as flat ``key: value`` pairs of the types that HParams accepts.

    >>> hyperparameters({"loss": {"name": "focal", "gamma": 2.0, "alpha": None}})
    {'loss': 'focal', 'loss.gamma': 2.0}
    """
    flat: dict[str, Any] = {}
    for key, value in config.items():
        path = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Mapping):
            flat |= hyperparameters(value, path)
        elif key == "name" and prefix:
            flat[prefix] = value
        elif isinstance(value, list):
            flat[path] = json.dumps(value)
        elif value is not None:
            flat[path] = value
    return flat
