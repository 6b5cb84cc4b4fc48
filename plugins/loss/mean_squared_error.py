"""Squared error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, TaskSpec, register, squared_error


@register("loss", "mean_squared_error")
@dataclass(frozen=True)
class MeanSquaredError:
    """Square of the distance between value and label, averaged over examples."""

    accepts: ClassVar[Accepts] = Accepts(outputs=(OutputKind.values,), labels=(LabelKind.float,))

    def build(self, spec: TaskSpec):
        return squared_error()
