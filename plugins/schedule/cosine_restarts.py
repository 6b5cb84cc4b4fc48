"""Cosine waves that start again at the peak."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import (
    Budget,
    check_fractions,
    register,
    rising_steps,
    warmup_then,
)


@register("schedule", "cosine_restarts")
@dataclass(frozen=True)
class CosineRestarts:
    """Warm-up, then several half cosine waves, each from the peak down.

    Loshchilov & Hutter 2017 (SGDR), eq. 5; here the number of waves is given and they fill the
    run exactly.

    Attributes:
        warmup: length of the rise to the peak; a fraction of the run below 1, steps from 1 up.
        end: rate at the foot of the last wave, as a fraction of the peak, 0 to 1.
        cycles: number of waves, >= 1.
        growth: how many times longer each wave is than the one before, > 0.
    """

    warmup: float = 0.1
    end: float = 0.0
    cycles: int = 3
    growth: float = 1.0

    def __post_init__(self) -> None:
        check_fractions(self.warmup, end=self.end)
        if self.cycles < 1:
            raise ValueError(f"cycles must be >= 1, got {self.cycles}")
        if not self.growth > 0:
            raise ValueError(f"growth must be > 0, got {self.growth}")

    def check(self, budget: Budget) -> None:
        """Raise ValueError for a warm-up that is as long as the run."""
        rising_steps(self.warmup, budget)

    def build(self, peak: float, budget: Budget):
        import numpy as np

        lengths = self.growth ** np.arange(self.cycles)
        edges = np.concatenate([[0], np.cumsum(lengths) / lengths.sum()])

        def waves(progress):
            # rounding must not leave a step at the foot of a wave when it is the next one's peak
            cycle = np.searchsorted(edges[:-1], progress + 1e-9, side="right") - 1
            within = (progress - edges[cycle]) / np.diff(edges)[cycle]
            return (1 + np.cos(np.pi * np.clip(within, 0, 1))) / 2

        return warmup_then(waves, peak, budget, warmup=self.warmup, end=self.end)
