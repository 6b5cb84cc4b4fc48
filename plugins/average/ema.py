"""Exponential moving average of the weights."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab import Moment, Take, register


@register("average", "ema")
@dataclass(frozen=True)
class EMA:
    """Exponential moving average: each step moves it a little way to the weights.

    Polyak & Juditsky 1992; Morales-Brotons et al. 2024 for deep networks. It begins as the weights
    before training.

    Attributes:
        decay: fraction of the average that a step keeps, from 0 to below 1.
        warmup: at step t keep at most (1 + t) / (10 + t), so that the start is soon forgotten.
    """

    decay: float = 0.99
    warmup: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must be from 0 to below 1, got {self.decay}")

    def take(self, moment: Moment) -> Take:
        decay = self.decay
        if self.warmup:
            decay = min(decay, (1 + moment.step) / (10 + moment.step))
        return Take(1 - decay)
