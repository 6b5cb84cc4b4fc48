"""Learning rates that react to the monitored value, such as reduce-on-plateau."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xferlab.callbacks import Callback, Epoch


class ReactiveLearningRate(Callback):
    """Sets the learning rate that a schedule with ``react`` returns after each epoch."""

    def __init__(self, optimizer: Any, schedule: Any, peak: float, monitor: str, mode: str) -> None:
        self.values: list[float] = []
        self._optimizer = optimizer
        self._schedule = schedule
        self._peak = peak
        self._monitor = monitor
        self._mode = mode

    def on_epoch(self, epoch: Epoch) -> None:
        """Set the next epoch's learning rate."""
        self.values.append(epoch.value(self._monitor))
        self._optimizer.learning_rate = self._schedule.react(self._peak, self.values, self._mode)

    def state(self) -> dict[str, Any]:
        """Return the values so far; the rate itself is in the optimizer's state."""
        return {"values": self.values}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Set the values so far."""
        self.values = list(state["values"])
