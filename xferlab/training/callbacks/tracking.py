"""Listeners that write a run down: TensorBoard, history.csv, the best weights."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import shutil
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from xferlab.io.atomic import atomic_write, sync
from xferlab.training.events import Callback, Epoch, Step
from xferlab.training.weights import weight_arrays, write_weights


class TensorBoardLog(Callback):
    """Scalars of training and validation on one axis, the optimizer steps.

    ``tensorboard/train`` has the loss of every step, the learning rate and the epoch means;
    ``tensorboard/validation`` the same names over the validation split.
    """

    def __init__(self, folder: Path, rate_of: Callable[[int], float]) -> None:
        import tensorflow as tf

        self._scalar, self._rate_of, self._folder = tf.summary.scalar, rate_of, folder

    @cached_property
    def _train(self) -> Any:
        return self._writer("train")

    @cached_property
    def _validation(self) -> Any:
        return self._writer("validation")

    def _writer(self, name: str) -> Any:
        import tensorflow as tf

        return tf.summary.create_file_writer(str(self._folder / name))

    def begin(self, config: Mapping[str, Any], plan: bytes) -> None:
        """Start an empty log with the config as text and the plan as a picture (PNG)."""
        import tensorflow as tf
        from omegaconf import OmegaConf

        shutil.rmtree(self._folder, ignore_errors=True)
        self._fill_hparams(hyperparameters(config), {})  # so that an unfinished run has a row too
        with self._train.as_default():
            text = OmegaConf.to_yaml(OmegaConf.create(dict(config)))
            indented = "\n".join(f"    {line}" for line in text.splitlines())
            tf.summary.text("config", indented, step=0)
            picture = tf.io.decode_png(plan, channels=3)[tf.newaxis]
            tf.summary.image("plan", picture, step=0)

    def state(self) -> dict[str, Any]:
        """Return how long each event file is, with everything so far on the disk."""
        self._train.flush()
        self._validation.flush()
        files = {path: path.stat().st_size for path in self._event_files()}
        for path in files:
            sync(path)
        return {str(path.relative_to(self._folder)): size for path, size in files.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take away what was written after the state was: it will be written again."""
        for path in self._event_files():
            size = state.get(str(path.relative_to(self._folder)), 0)
            if size == 0:
                path.unlink()
            elif size < path.stat().st_size:
                os.truncate(path, size)

    def _event_files(self) -> list[Path]:
        return sorted(self._folder.rglob("events.out.tfevents.*"))

    def on_step(self, step: Step) -> None:
        """Write the batch's loss and the rate it was trained with."""
        with self._train.as_default():
            self._scalar("batch_loss", step.loss, step=step.update)
            self._scalar("learning_rate", self._rate_of(step.update), step=step.update)

    def on_epoch(self, epoch: Epoch) -> None:
        """Write the epoch's scores side by side."""
        for writer, values in ((self._train, epoch.train), (self._validation, epoch.validation)):
            with writer.as_default():
                for name, value in values.items():
                    self._scalar(name, value, step=epoch.update)
            writer.flush()

    def close(self, hyperparameters: Mapping[str, Any], final: Mapping[str, float]) -> None:
        """Fill the HParams page: this run's settings and its final scores."""
        for unfinished in self._folder.glob("events.out.tfevents.*"):
            unfinished.unlink()
        self._fill_hparams(hyperparameters, final)
        self._train.close()
        self._validation.close()

    def _fill_hparams(self, settings: Mapping[str, Any], scores: Mapping[str, float]) -> None:
        """Write this run's row of the HParams page."""
        from tensorboard.plugins.hparams import api

        writer = self._writer("")
        with writer.as_default():
            api.hparams(dict(settings), trial_id=str(self._folder.parent.name))
            for name, value in scores.items():
                self._scalar(name, value, step=0)
        writer.close()


def hyperparameters(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a config as flat ``key: value`` pairs of the types that HParams can show.

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


class HistoryFile(Callback):
    """``history.csv``: a line an epoch, the whole file replaced each time."""

    def __init__(self, path: Path, rate_of: Callable[[int], float]) -> None:
        self.rows: list[dict[str, float]] = []
        self._path, self._rate_of = path, rate_of

    def on_epoch(self, epoch: Epoch) -> None:
        """Add the epoch's line and write the file."""
        row: dict[str, float] = {"epoch": epoch.epoch, "step": epoch.update}
        row |= dict(epoch.train)
        row |= {f"val_{name}": value for name, value in epoch.validation.items()}
        row["learning_rate"] = self._rate_of(epoch.update)
        row["seconds"] = round(epoch.seconds, 3)
        self.rows.append(row)
        self._write()

    def state(self) -> dict[str, Any]:
        """Return the lines so far."""
        return {"rows": self.rows}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put the file back to those lines."""
        self.rows = list(state["rows"])
        if self.rows:
            self._write()

    def _write(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        atomic_write(self._path, text.getvalue())


class BestWeights(Callback):
    """Keeps the weights of the best epoch and says when patience is over.

    Of equal epochs the later is the best: it has seen more. A value that is no number is never.

    Args:
        network: its weights are kept.
        path: file to keep them in.
        monitor: logged name of the value that decides.
        better: ``max`` or ``min``.
        patience: epochs without a better value before the training stops, or None.
        restores: the best epoch's weights are the run's, not the last epoch's.

    Attributes:
        best: the best monitored value so far, or None.
        best_epoch: its epoch, counted from 1.
        validation: the validation scores that belong to the weights in use at the end: the best
            epoch's if they are restored, else the last's.
    """

    def __init__(
        self,
        network: Any,
        path: Path,
        monitor: str,
        mode: str,
        *,
        patience: int | None = None,
        restores: bool = True,
    ) -> None:
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.validation: Mapping[str, float] = {}
        self._network = network
        self._path = path
        self._monitor = monitor
        self._sign = 1.0 if mode == "max" else -1.0
        self._patience = patience
        self._restores = restores
        self._better_epoch: int | None = None
        self._unwritten: dict[str, Any] | None = None

    def on_epoch(self, epoch: Epoch) -> bool:
        """Keep the weights if this epoch is the best; True if patience is over."""
        value = monitored_value(epoch, self._monitor)
        is_better = self.best is None or self._sign * value > self._sign * self.best
        if math.isfinite(value) and (is_better or value == self.best):
            self.best = value
            self.best_epoch = epoch.epoch
            self._unwritten = weight_arrays(self._network)
            if is_better:  # equal epochs are many on small data: a file for each would cost more
                self._better_epoch = epoch.epoch
                self.write()
        if self.best_epoch in (None, epoch.epoch) or not self._restores:
            self.validation = epoch.validation
        waited = epoch.epoch - (self._better_epoch or 0)
        return self._patience is not None and waited >= self._patience

    def write(self) -> None:
        """Write the best epoch's weights, unless the file has them already."""
        if self._unwritten is not None:
            write_weights(self._unwritten, self._path)
            self._unwritten = None

    def files(self) -> list[Path]:
        """Return the file of the best weights, if there are any yet."""
        self.write()
        return [self._path] if self.best_epoch is not None else []

    def state(self) -> dict[str, Any]:
        """Return the best value, its epoch and the scores at hand."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "better_epoch": self._better_epoch,
            "validation": dict(self.validation),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Remember the best so far; its weights are in the file."""
        self.best = state["best"]
        self.best_epoch = state["best_epoch"]
        self._better_epoch = state.get("better_epoch", self.best_epoch)
        self.validation = state["validation"]


class ReactiveLearningRate(Callback):
    """Sets the rate that a schedule with ``react`` wants after each epoch."""

    def __init__(self, optimizer: Any, schedule: Any, peak: float, monitor: str, mode: str):
        self.values: list[float] = []
        self._optimizer, self._schedule, self._peak = optimizer, schedule, peak
        self._monitor, self._better = monitor, mode

    def on_epoch(self, epoch: Epoch) -> None:
        """Ask the schedule for the next epoch's rate."""
        self.values.append(monitored_value(epoch, self._monitor))
        rate = self._schedule.react(self._peak, self.values, self._better)
        self._optimizer.learning_rate = rate

    def state(self) -> dict[str, Any]:
        """Return the values so far; the rate itself is the optimizer's."""
        return {"values": self.values}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Remember the values so far."""
        self.values = list(state["values"])


def monitored_value(epoch: Epoch, monitor: str) -> float:
    """Return the value called ``monitor``, e.g. ``val_accuracy`` or ``loss``."""
    if monitor.startswith("val_"):
        return epoch.validation[monitor.removeprefix("val_")]
    return epoch.train[monitor]
