"""Matthews' correlation coefficient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Emits, LabelKind, Takes, TaskSpec, register
from xferlab.kit.scores import count, split_score


@register("metric", "matthews")
@dataclass(frozen=True)
class Matthews:
    """Correlation of predicted and right classes, -1 to 1; fair where classes are uneven.

    Matthews 1975, for many classes Gorodkin 2004, eq. 8; 0 if all predictions or all labels are
    of one class.
    """

    takes: ClassVar[Takes] = Takes(
        outputs=(Emits.logits, Emits.probabilities),
        labels=(LabelKind.integer, LabelKind.tags),
    )
    better: ClassVar[str] = "max"

    def build(self, spec: TaskSpec):
        import numpy as np

        def score(labels, outputs):
            c = count(labels, outputs, spec)
            together = c.hits.sum() * c.rows - c.predicted @ c.actual
            apart = (c.rows**2 - c.predicted @ c.predicted) * (c.rows**2 - c.actual @ c.actual)
            return together / np.sqrt(apart) if apart > 0 else 0.0

        return split_score(score, spec)
