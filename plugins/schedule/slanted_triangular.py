"""A short rise and a long fall."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import (
    Budget,
    check_fractions,
    register,
    rising_steps,
    tabulated,
)


@register("schedule", "slanted_triangular")
@dataclass(frozen=True)
class SlantedTriangular:
    """A short straight rise and a long straight fall, from and to a fraction of the peak.

    Howard & Ruder 2018 (ULMFiT), eq. 3; differs from the paper by less than a step: the last
    step has exactly ``peak / ratio``.

    Attributes:
        warmup: length of the rise ("cut_frac"); a fraction of the run below 1, steps from 1 up.
        ratio: how many times smaller than the peak the first and the last rate are, >= 1.
    """

    warmup: float = 0.1
    ratio: float = 32.0

    def __post_init__(self) -> None:
        check_fractions(self.warmup)
        if not self.ratio >= 1:
            raise ValueError(f"ratio must be >= 1, got {self.ratio}")

    def check(self, budget: Budget) -> None:
        """Raise ValueError for a warm-up that is as long as the run."""
        rising_steps(self.warmup, budget)

    def build(self, peak: float, budget: Budget):
        import numpy as np

        cut = rising_steps(self.warmup, budget)
        up = np.arange(cut) / max(cut, 1)
        down = 1 - np.linspace(0, 1, budget.total_steps - cut)
        p = np.concatenate([up, down])
        return tabulated(peak * (1 + p * (self.ratio - 1)) / self.ratio)
