"""My schedule."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import Budget, check_fractions, register, warmup_then


@register("schedule", "example")
@dataclass(frozen=True)
class Example:
    """A warm-up, then a parabola down to zero.

    Attributes:
        warmup: length of the rise to the peak; a fraction of the run below 1, steps from 1 up.
    """

    contract = 1  # of xferlab, see docs/plugins.md; without a type, so that it is no field

    warmup: float = 0.1

    def __post_init__(self) -> None:
        check_fractions(self.warmup)

    def build(self, peak: float, budget: Budget):
        def shape(progress):
            """Return the fraction of the peak at each progress from 0 to 1 after the warm-up."""
            return (1 - progress) ** 2

        return warmup_then(shape, peak, budget, warmup=self.warmup)
