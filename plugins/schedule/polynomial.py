"""A power of the steps that are left."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import (
    Budget,
    check_fractions,
    register,
    rising_steps,
    warmup_then,
)


@register("schedule", "polynomial")
@dataclass(frozen=True)
class Polynomial:
    """Warm-up, then a power of the fraction of steps that are left.

    Attributes:
        warmup: length of the rise to the peak; a fraction of the run below 1, steps from 1 up.
        end: rate of the last step, as a fraction of the peak, 0 to 1.
        power: exponent, > 0; 1 is a straight line, more falls early, less falls late.
    """

    warmup: float = 0.1
    end: float = 0.0
    power: float = 2.0

    def __post_init__(self) -> None:
        check_fractions(self.warmup, end=self.end)
        if self.power <= 0:
            raise ValueError(f"power must be > 0, got {self.power}")

    def check(self, budget: Budget) -> None:
        """Raise ValueError for a warm-up that is as long as the run."""
        rising_steps(self.warmup, budget)

    def build(self, peak: float, budget: Budget):
        return warmup_then(
            lambda p: (1 - p) ** self.power, peak, budget, warmup=self.warmup, end=self.end
        )
