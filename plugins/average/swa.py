"""Stochastic weight averaging."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import Moment, Take, register


@register("average", "swa")
@dataclass(frozen=True)
class SWA:
    """Stochastic weight averaging: the mean of the weights at the ends of the last epochs.

    Izmailov et al. 2018, algorithm 1; Lu et al. 2022 for pretrained language models.

    Attributes:
        start: fraction of the run before the first epoch that counts, from 0 to below 1.
    """

    start: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.start < 1:
            raise ValueError(f"start must be from 0 to below 1, got {self.start}")

    def take(self, moment: Moment) -> Take | None:
        if not moment.ends_epoch or moment.step <= self.start * moment.budget.total_steps:
            return None
        return Take(1 / (moment.taken + 1))
