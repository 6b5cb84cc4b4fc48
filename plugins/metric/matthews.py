"""Matthews' correlation coefficient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, TaskSpec, count_score, register


@register("metric", "matthews")
@dataclass(frozen=True)
class Matthews:
    """Correlation of predicted and right classes, -1 to 1; fair where classes are uneven.

    Matthews 1975, for many classes Gorodkin 2004, eq. 8; 0 if all predictions or all labels are
    of one class.
    """

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits, OutputKind.probabilities),
        labels=(LabelKind.class_index, LabelKind.token_tags),
    )
    mode: ClassVar[str] = "max"
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    def build(self, spec: TaskSpec):
        import numpy as np

        def score(c):
            rows = c.actual.sum(1)
            together = c.hits.sum(1) * rows - (c.predicted * c.actual).sum(1)
            apart = (rows**2 - (c.predicted**2).sum(1)) * (rows**2 - (c.actual**2).sum(1))
            return np.divide(together, np.sqrt(apart), out=np.zeros(len(rows)), where=apart > 0)

        return count_score(score, spec)
