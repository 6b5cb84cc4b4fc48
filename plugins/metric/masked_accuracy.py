"""Accuracy of a masked language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, TaskSpec, register, sum_score


@register("metric", "masked_accuracy")
@dataclass(frozen=True)
class MaskedAccuracy:
    """Fraction of the masked tokens that are predicted."""

    accepts: ClassVar[Accepts] = Accepts(outputs=(OutputKind.values,), labels=(LabelKind.none,))
    mode: ClassVar[str] = "max"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def build(self, spec: TaskSpec):
        import numpy as np

        def value(sums):
            return sums[:, 2] / np.maximum(sums[:, 1], 1.0)

        return sum_score(lambda labels, outputs: outputs, value, spec)
