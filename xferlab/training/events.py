"""The course of a run: its steps, its epochs, where it stands, and who follows it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xferlab.errors import RunError


class Diverged(RunError):
    """The loss or a weight is no finite number; the run's status is ``nan``."""


@dataclass(frozen=True)
class Step:
    """One training batch that was done.

    Attributes:
        batch: how many training batches are done, this one included.
        update: how many optimizer steps are done.
        loss: mean loss of this batch.
    """

    batch: int
    update: int
    loss: float


@dataclass(frozen=True)
class Epoch:
    """One pass over the training split that was done, perhaps a cut one.

    Attributes:
        epoch: which, counted from 1.
        update: how many optimizer steps are done.
        train: mean loss and metrics over the epoch's training batches.
        validation: loss and metrics over the whole validation split.
        seconds: how long the epoch took, validation included.
    """

    epoch: int
    update: int
    train: Mapping[str, float]
    validation: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class TrainState:
    """Where a run stands between two training batches.

    Attributes:
        batch: training batches done.
        scored: epochs whose end is done: validated, told to every listener.
        rows: training rows of the present epoch so far.
        loss_sum: sum of their losses.
        seconds: time spent in the present epoch so far.
        stopped: a listener has asked to stop.
    """

    batch: int = 0
    scored: int = 0
    rows: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    stopped: bool = False


class Callback:
    """Follows a run; everything that logs, prints or keeps weights is one.

    What a listener remembers from one epoch to the next has to be in its ``state``, or a resumed
    run would not equal an uninterrupted one.
    """

    def on_step(self, step: Step) -> None:
        """Note that a training batch is done."""

    def on_epoch(self, epoch: Epoch) -> bool | None:
        """Note an epoch's end; True asks to stop the training."""

    def state(self) -> dict[str, Any]:
        """Return what it remembers, as JSON data."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Remember what :meth:`state` returned."""

    def files(self) -> list[Path]:
        """Return the files beside the checkpoints that belong to :meth:`state`.

        A checkpoint holds them as they are now, and a resumed run has them back: whatever was
        written after the checkpoint is of steps that are done again, perhaps otherwise.
        """
        return []


class Checkpointer:
    """Keeps the state of a run between two steps, and gives it back; this one keeps nothing.

    Attributes:
        start: where the run begins or goes on.
    """

    start = TrainState()

    def restore(self, network: Any) -> None:
        """Give a compiled network, its optimizer and its metrics the state at ``start``."""

    def after_step(self, network: Any, position: TrainState) -> None:
        """Save if it is time; raise Interrupted if somebody has asked to stop."""

    def scoring(self, network: Any, position: TrainState) -> AbstractContextManager[None]:
        """Let the body be interrupted at once; ``position`` is saved then."""
        return nullcontext()

    def after_epoch(self, network: Any, position: TrainState) -> None:
        """Save if it is time; raise Interrupted if somebody has asked to stop."""
