"""Where a training run is, and how its state is saved."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from xferlab.errors import RunError


class Diverged(RunError):
    """The loss or a weight is not a finite number; the run's status is ``nan``."""


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


class Checkpointer:
    """Saves the state of a run between two steps and restores it; this one saves nothing.

    Attributes:
        start: where the run begins or resumes.
        observes_steps: whether it may save after any given batch.
    """

    start = TrainState()
    observes_steps = False

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
