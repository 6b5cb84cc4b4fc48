"""Pearson's correlation coefficient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import (
    Accepts,
    LabelKind,
    OutputKind,
    TaskSpec,
    WeightedScore,
    cosines,
    register,
    weighted_correlation,
)


@register("metric", "pearson")
@dataclass(frozen=True)
class Pearson:
    """Straight-line correlation of values and labels, -1 to 1.

    0 if all values are the same (an untrained model), NaN if all labels are.
    """

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.values, OutputKind.embeddings), labels=(LabelKind.float,)
    )
    mode: ClassVar[str] = "max"
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    def build(self, spec: TaskSpec):
        import numpy as np

        def prepare(labels, values):
            if spec.output_kind is OutputKind.embeddings:
                values = cosines(values, np)
            wanted = labels.astype("float64")
            found = values.reshape(-1)
            return lambda weights: weighted_correlation(weights, wanted, found)

        return WeightedScore(prepare, spec)
