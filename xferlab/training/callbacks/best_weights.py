"""The weights of the best epoch, and early stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xferlab.callbacks import Callback, Epoch
from xferlab.training.frozen_weights import FrozenFile, FrozenWeights
from xferlab.training.weights import weight_arrays

SMALL = 2**20
"""Bytes of weights that are written at each better epoch, whatever it costs."""
COST_FRACTION = 1 / 50
"""The fraction of a run's time that writing larger ones may cost, beside checkpoints."""
BYTES_A_SECOND = 5e8
"""Assumed speed of writing until it has been timed."""


class BestWeights(Callback):
    """Saves the weights of the best epoch and stops the training when patience is over.

    Of equal epochs the later is the best: it has trained longer. A value that is not finite never
    is. The file is written at once where that costs little, else with the next checkpoint or at the
    end of the run.

    Args:
        network: its weights are saved.
        path: of the file.
        monitor: logged name of the value that decides.
        mode: ``max`` or ``min``.
        patience: epochs without a better value before the training stops, or None.
        restores: the best epoch's weights are the run's, not the last epoch's.
        fixed: variables of the network that no phase trains.
        known: a file with them that this process has written for another run.

    Attributes:
        weights: writes the file.
        best: the best monitored value so far, or None.
        best_epoch: its epoch, counted from 1.
        validation: the validation scores of the weights that are used at the end: the best
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
        fixed: Sequence[Any] = (),
        known: FrozenFile | None = None,
    ) -> None:
        self.weights = FrozenWeights(network, fixed, path.parent, known)
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.validation: Mapping[str, float] = {}
        self._network = network
        self._path = path
        self._monitor = monitor
        self._sign = 1.0 if mode == "max" else -1.0
        self._patience = patience
        self._restores = restores
        self._improved_epoch: int | None = None
        self._unwritten: dict[str, Any] | None = None
        self._written_at = time.monotonic()
        self._cost = 0.0

    def on_epoch(self, epoch: Epoch) -> bool:
        """Save the weights if this epoch is the best; True if patience is over."""
        value = epoch.value(self._monitor)
        improves = self.best is None or self._sign * value > self._sign * self.best
        if math.isfinite(value) and (improves or value == self.best):
            self.best = value
            self.best_epoch = epoch.epoch
            self._unwritten = weight_arrays(self._network)
            if improves:  # small data has many equal epochs: a file for each would cost more
                self._improved_epoch = epoch.epoch
                if self._is_cheap(self._unwritten):
                    self.write()
        if self.best_epoch in (None, epoch.epoch) or not self._restores:
            self.validation = epoch.validation
        waited = epoch.epoch - (self._improved_epoch or 0)
        return self._patience is not None and waited >= self._patience

    def write(self) -> None:
        """Write the best epoch's weights, unless the file has them already."""
        if self._unwritten is not None:
            began = time.monotonic()
            self.weights.write(self._unwritten, self._path)
            self._unwritten = None
            self._written_at = time.monotonic()
            self._cost = self._written_at - began

    def _is_cheap(self, arrays: Mapping[str, Any]) -> bool:
        """Return whether writing now costs little beside the time since it was last done."""
        size = self.weights.bytes_of(arrays)
        cost = self._cost or size / BYTES_A_SECOND
        return size <= SMALL or time.monotonic() - self._written_at >= cost / COST_FRACTION

    def files(self) -> list[Path]:
        """Return the file of the best weights, if there are any yet, and what it leaves out."""
        self.write()
        return [self._path, *self.weights.files()] if self.best_epoch is not None else []

    def state(self) -> dict[str, Any]:
        """Return the best value, its epoch and the validation scores."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "better_epoch": self._improved_epoch,
            "validation": dict(self.validation),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Set the best so far; its weights are in the file."""
        self.best = state["best"]
        self.best_epoch = state["best_epoch"]
        self._improved_epoch = state.get("better_epoch", self.best_epoch)
        self.validation = state["validation"]
