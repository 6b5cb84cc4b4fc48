"""Recall: how much of what was asked for is found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, TaskSpec, register
from xferlab.functional.metrics import Average, ratio_score


@register("metric", "recall")
@dataclass(frozen=True)
class Recall:
    """Share of the rows of a class that are found.

    For tagging, of the labelled tokens; for several labels a row, a label counts as predicted
    when it is more likely than not.

    Attributes:
        average: macro gives each class the same say, weighted gives it each row, micro counts
            all classes together, binary looks only at the second of two classes.
    """

    average: Average = Average.macro

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits, OutputKind.probabilities),
        labels=(LabelKind.class_index, LabelKind.token_tags, LabelKind.multi_hot),
    )
    mode: ClassVar[str] = "max"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def build(self, spec: TaskSpec):
        return ratio_score(lambda c: (c.hits, c.actual), spec, self.average)
