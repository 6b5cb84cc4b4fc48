"""A learning rate that stays where it is."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import (
    Budget,
    check_fractions,
    register,
    rising_steps,
    warmup_then,
)


@register("schedule", "constant")
@dataclass(frozen=True)
class Constant:
    """The same learning rate at every step, after an optional warm-up.

    Attributes:
        warmup: length of the rise to the peak; a fraction of the run below 1, steps from 1 up; 0
            starts at the peak.
    """

    warmup: float = 0.0

    def __post_init__(self) -> None:
        check_fractions(self.warmup)

    def check(self, budget: Budget) -> None:
        """Raise ValueError for a warm-up that is as long as the run."""
        rising_steps(self.warmup, budget)

    def build(self, peak: float, budget: Budget):
        import numpy as np

        if self.warmup == 0:
            return float(peak)
        return warmup_then(np.ones_like, peak, budget, warmup=self.warmup)
