"""My average of the weights."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import Moment, Take, register


@register("average", "example")
@dataclass(frozen=True)
class Example:
    """The mean of the weights after each step of the last part of the run.

    Attributes:
        start: fraction of the run before it, 0 to below 1.
    """

    contract = 1  # of xferlab, see docs/plugins.md; without a type, so that it is no field

    start: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.start < 1:  # ValueError becomes an error of three lines
            raise ValueError(f"start must be from 0 to below 1, got {self.start}")

    def take(self, moment: Moment) -> Take | None:
        # Called after each step. Take(f) moves the average by the fraction f to the weights, and
        # moment.taken counts how often that was done before: 1 / (n + 1) gives a plain mean.
        is_late = moment.step > self.start * moment.budget.total_steps
        return Take(1 / (moment.taken + 1)) if is_late else None
