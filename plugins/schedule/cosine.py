"""Half a cosine wave down."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import (
    Budget,
    check_fractions,
    register,
    rising_steps,
    warmup_then,
)


@register("schedule", "cosine")
@dataclass(frozen=True)
class Cosine:
    """Warm-up, then half a cosine wave down to the end of the run.

    Loshchilov & Hutter 2017, eq. 5, without restarts.

    Attributes:
        warmup: length of the rise to the peak; a fraction of the run below 1, steps from 1 up.
        end: rate of the last step, as a fraction of the peak, 0 to 1.
    """

    warmup: float = 0.1
    end: float = 0.0

    def __post_init__(self) -> None:
        check_fractions(self.warmup, end=self.end)

    def check(self, budget: Budget) -> None:
        """Raise ValueError for a warm-up that is as long as the run."""
        rising_steps(self.warmup, budget)

    def build(self, peak: float, budget: Budget):
        import numpy as np

        def half_wave(progress):
            return (1 + np.cos(np.pi * progress)) / 2

        return warmup_then(half_wave, peak, budget, warmup=self.warmup, end=self.end)
