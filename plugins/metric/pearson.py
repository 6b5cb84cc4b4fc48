"""Pearson's correlation coefficient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Emits, LabelKind, Takes, TaskSpec, register
from xferlab.kit.scores import correlation, split_score


@register("metric", "pearson")
@dataclass(frozen=True)
class Pearson:
    """Straight-line correlation of values and labels, -1 to 1.

    0 if all values are the same (nothing is learnt yet), NaN if all labels are.
    """

    takes: ClassVar[Takes] = Takes(outputs=(Emits.values,), labels=(LabelKind.real,))
    better: ClassVar[str] = "max"

    def build(self, spec: TaskSpec):
        def score(labels, values):
            return correlation(labels, values.reshape(-1))

        return split_score(score, spec)
