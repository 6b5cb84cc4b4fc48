"""Huber's loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, TaskSpec, of_difference, register


@register("loss", "huber")
@dataclass(frozen=True)
class Huber:
    """Half the squared error near the label, a straight line far from it.

    Huber 1964: no gradient is larger than that of an example delta away from its label.

    Attributes:
        delta: distance from which on the loss is a straight line, > 0, in units of the label.
    """

    delta: float = 1.0

    accepts: ClassVar[Accepts] = Accepts(outputs=(OutputKind.values,), labels=(LabelKind.float,))

    def __post_init__(self) -> None:
        if not self.delta > 0:
            raise ValueError(f"delta must be > 0, got {self.delta}")

    def build(self, spec: TaskSpec):
        from keras import ops

        def compute(difference):
            near = ops.minimum(ops.abs(difference), self.delta)
            far = ops.abs(difference) - near
            return near**2 / 2 + self.delta * far

        return of_difference(compute, "huber")
