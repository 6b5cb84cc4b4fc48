"""A straight line down."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import (
    Budget,
    check_fractions,
    register,
    rising_steps,
    warmup_then,
)


@register("schedule", "linear")
@dataclass(frozen=True)
class Linear:
    """Warm-up, then a straight line down to the end of the run.

    Devlin et al. 2019 fine-tune BERT so.

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
        return warmup_then(lambda p: 1 - p, peak, budget, warmup=self.warmup, end=self.end)
