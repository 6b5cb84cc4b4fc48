"""The mean of the latest epochs' weights."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import Moment, Take, register


@register("average", "last_k")
@dataclass(frozen=True)
class LastK:
    """Latest weight averaging: the mean of the weights at the ends of the latest k epochs.

    Kaddour 2022 (LAWA). It keeps k copies of the weights in memory and in checkpoints.

    Attributes:
        k: how many epochs, at least 2.
    """

    k: int = 3

    def __post_init__(self) -> None:
        if self.k < 2:
            raise ValueError(f"k must be at least 2, got {self.k}")

    @property
    def slots(self) -> int:
        return self.k

    def take(self, moment: Moment) -> Take | None:
        return Take(1.0, moment.taken % self.k) if moment.ends_epoch else None
