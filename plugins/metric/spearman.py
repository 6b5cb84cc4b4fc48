"""Spearman's correlation coefficient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Emits, LabelKind, Takes, TaskSpec, register
from xferlab.kit.scores import correlation, split_score


@register("metric", "spearman")
@dataclass(frozen=True)
class Spearman:
    """Correlation of the ranks of values and labels, -1 to 1; ties share a rank.

    0 if all values are the same (nothing is learnt yet), NaN if all labels are.
    """

    takes: ClassVar[Takes] = Takes(outputs=(Emits.values,), labels=(LabelKind.real,))
    better: ClassVar[str] = "max"

    def build(self, spec: TaskSpec):
        from scipy.stats import rankdata

        def score(labels, values):
            return correlation(rankdata(labels), rankdata(values))

        return split_score(score, spec)
