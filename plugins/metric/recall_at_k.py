"""Recall among the nearest texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, TaskSpec, ranks_of_pairs, register, sum_score


@register("metric", "recall_at_k")
@dataclass(frozen=True)
class RecallAtK:
    """Fraction of the first texts whose pair is among the k nearest second texts of the split.

    Attributes:
        k: how many are looked at.
    """

    k: int = 10

    accepts: ClassVar[Accepts] = Accepts(outputs=(OutputKind.embeddings,), labels=(LabelKind.none,))
    mode: ClassVar[str] = "max"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k must be at least 1, got {self.k}")

    def build(self, spec: TaskSpec):
        import numpy as np

        def parts(labels, outputs):
            ranks = ranks_of_pairs(outputs)
            return np.stack([ranks <= self.k, np.ones(len(ranks))], axis=1)

        return sum_score(parts, lambda sums: sums[:, 0] / sums[:, 1], spec)
