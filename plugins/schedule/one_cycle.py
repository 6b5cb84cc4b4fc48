"""Up to a high rate and down to almost nothing, once."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import (
    Budget,
    check_fractions,
    register,
    rising_steps,
    warmup_then,
)


@register("schedule", "one_cycle")
@dataclass(frozen=True)
class OneCycle:
    """A long rise from a low rate, then half a cosine wave to almost nothing.

    Smith & Topin 2018, with a cosine for the fall as fastai has it; the momentum is not cycled.

    Attributes:
        warmup: length of the rise to the peak; a fraction of the run below 1, steps from 1 up.
        start: rate that the rise comes from, as a fraction of the peak, 0 to 1.
        end: rate of the last step, as a fraction of the peak, 0 to 1.
    """

    warmup: float = 0.3
    start: float = 0.04
    end: float = 4e-6

    def __post_init__(self) -> None:
        check_fractions(self.warmup, start=self.start, end=self.end)

    def check(self, budget: Budget) -> None:
        """Raise ValueError for a warm-up that is as long as the run."""
        rising_steps(self.warmup, budget)

    def build(self, peak: float, budget: Budget):
        import numpy as np

        def half_wave(progress):
            return (1 + np.cos(np.pi * progress)) / 2

        return warmup_then(
            half_wave, peak, budget, warmup=self.warmup, start=self.start, end=self.end
        )
