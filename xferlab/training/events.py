"""What a training run reports: steps, epochs, its state; and the callbacks that follow it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xferlab.errors import RunError


class Diverged(RunError):
    """The loss or a weight is not a finite number; the run's status is ``nan``."""


@dataclass(frozen=True)
class Step:
    """One training batch.

    Attributes:
        batch: number of training batches done, this one included.
        update: number of optimizer steps done.
        loss: mean loss of this batch.
    """

    batch: int
    update: int
    loss: float


@dataclass(frozen=True)
class Epoch:
    """One pass over the training split; the last one may be cut short.

    Attributes:
        epoch: its number, counted from 1.
        update: number of optimizer steps done.
        train: mean loss and metrics over the epoch's training batches.
        validation: loss and metrics over the whole validation split.
        seconds: duration of the epoch, validation included.
    """

    epoch: int
    update: int
    train: Mapping[str, float]
    validation: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class TrainState:
    """Where a run is between two training batches.

    Attributes:
        batch: training batches done.
        scored: epochs whose end is done: validated, and reported to every callback.
        rows: training examples of the present epoch so far.
        loss_sum: sum of their losses.
        seconds: time spent in the present epoch so far.
        stopped: a callback has requested to stop.
    """

    batch: int = 0
    scored: int = 0
    rows: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    stopped: bool = False


class Callback:
    """Follows a run; everything that logs, prints or saves weights is one.

    What a callback remembers from one epoch to the next must be in its ``state``, or a resumed run
    would not equal an uninterrupted one.
    """

    def on_step(self, step: Step) -> None:
        """Handle the end of a training batch."""

    def on_epoch(self, epoch: Epoch) -> bool | None:
        """Handle the end of an epoch; True requests to stop the training."""

    def state(self) -> dict[str, Any]:
        """Return what it remembers, as JSON data."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Set what it remembers to what :meth:`state` returned."""

    def files(self) -> list[Path]:
        """Return the files beside the checkpoints that belong to :meth:`state`.

        A checkpoint holds them as they are now and a resumed run gets them back: what was written
        after the checkpoint is of steps that are trained again, perhaps with another result.
        """
        return []


class Checkpointer:
    """Saves the state of a run between two steps and restores it; this one saves nothing.

    Attributes:
        start: where the run begins or resumes.
    """

    start = TrainState()

    def restore_weights(self, network: Any) -> None:
        """Set the weights of a Keras model to those at ``start``."""

    def restore(self, network: Any) -> None:
        """Set a compiled network, its optimizer and its metrics to the state at ``start``."""

    def after_step(self, network: Any, state: TrainState) -> None:
        """Save if it is time; raise Interrupted if a signal requests to stop."""

    def interruptible(self, network: Any | None, state: TrainState) -> AbstractContextManager[None]:
        """Let the body be interrupted at once; ``state`` is saved then, if there is a network."""
        return nullcontext()

    def after_epoch(self, network: Any, state: TrainState) -> None:
        """Save if it is time; raise Interrupted if a signal requests to stop."""
