"""My callback."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xferlab import Callback, Epoch, Run, Step, register


@register("callback", "example")
@dataclass(frozen=True)
class Example:
    """Log the exponential mean of the loss after each epoch.

    Attributes:
        decay: weight of the earlier steps, 0 to below 1.
    """

    contract = 1  # of xferlab, see docs/plugins.md; without a type, so that it is no field

    decay: float = 0.9

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:  # ValueError becomes an error of three lines
            raise ValueError(f"decay must be from 0 to below 1, got {self.decay}")

    def identity(self) -> None:
        """Return None: a log is no part of what a run computes, nor of its id."""

    def build(self, run: Run) -> Callback:
        return _Mean(self.decay)


class _Mean(Callback):
    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.mean: float | None = None

    def on_step(self, step: Step) -> None:
        before = step.loss if self.mean is None else self.mean
        self.mean = self.decay * before + (1 - self.decay) * step.loss

    def on_epoch(self, epoch: Epoch) -> None:
        logging.getLogger("xferlab").info("loss mean  %.6f", self.mean)

    # What it remembers, so that a run that was killed and resumed equals one that was not.
    def state(self) -> dict[str, Any]:
        return {"mean": self.mean}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.mean = state["mean"]
