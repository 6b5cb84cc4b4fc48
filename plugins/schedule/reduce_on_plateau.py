"""A rate that falls when the score stops getting better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from xferlab import Budget, register


@register("schedule", "reduce_on_plateau")
@dataclass(frozen=True)
class ReduceOnPlateau:
    """The peak rate, multiplied by a factor whenever the monitored score has stopped improving.

    Attributes:
        factor: multiplies the rate, above 0 and below 1.
        patience: epochs without a better score before each reduction, >= 1.
        least_change: a score must be better by more than this, >= 0.
        end: the rate falls no lower than this fraction of the peak, 0 to 1.
    """

    factor: float = 0.5
    patience: int = 1
    least_change: float = 0.0
    end: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.factor < 1:
            raise ValueError(f"factor must be above 0 and below 1, got {self.factor}")
        if self.patience < 1:
            raise ValueError(f"patience must be >= 1, got {self.patience}")
        if self.least_change < 0:
            raise ValueError(f"least_change must be >= 0, got {self.least_change}")
        if not 0 <= self.end <= 1:
            raise ValueError(f"end must be a fraction of the peak, 0 to 1, got {self.end}")

    def build(self, peak: float, budget: Budget) -> float:
        return peak

    def react(self, peak: float, values: Sequence[float], mode: str) -> float:
        """Return the rate after epochs with these scores, in order; NaN is never better."""
        sign = 1.0 if mode == "max" else -1.0
        best = -math.inf
        waited = 0
        reductions = 0
        for value in values:
            if sign * value > best + self.least_change:
                best = sign * value
                waited = 0
                continue
            waited += 1
            if waited == self.patience:
                waited = 0
                reductions = reductions + 1
        return peak * max(self.factor**reductions, self.end)
