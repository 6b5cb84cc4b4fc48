"""One over the square root of the step."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import (
    Budget,
    check_fractions,
    register,
    rising_steps,
    warmup_then,
)


@register("schedule", "inverse_sqrt")
@dataclass(frozen=True)
class InverseSqrt:
    """Warm-up, then one over the square root of the step; independent of the length of the run.

    Vaswani et al. 2017, eq. 3, with the peak given instead of following from the width.

    Attributes:
        warmup: length of the rise to the peak; a fraction of the run below 1, steps from 1 up. The
            longer it is, the slower the fall.
    """

    warmup: float = 0.1

    def __post_init__(self) -> None:
        check_fractions(self.warmup)

    def check(self, budget: Budget) -> None:
        """Raise ValueError for a warm-up that is as long as the run."""
        rising_steps(self.warmup, budget)

    def build(self, peak: float, budget: Budget):
        import numpy as np

        rising = budget.warmup_steps(self.warmup)

        def fall(progress):
            return np.sqrt((rising + 1) / (rising + 1 + np.arange(len(progress))))

        return warmup_then(fall, peak, budget, warmup=self.warmup)
