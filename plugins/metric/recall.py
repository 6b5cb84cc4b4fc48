"""Recall: the fraction of a class that is found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import (
    Accepts,
    ClassAverage,
    LabelKind,
    OutputKind,
    TaskSpec,
    check_class_average,
    ratio_score,
    register,
)


@register("metric", "recall")
@dataclass(frozen=True)
class Recall:
    """Fraction of the examples of a class that are found.

    For token classification, of the labelled tokens; for multi-label, a label counts as predicted
    when it is more probable than not.

    Attributes:
        average: macro weights all classes equally, weighted by their examples, micro counts
            all classes together, binary is the second of two classes alone.
    """

    average: ClassAverage = ClassAverage.macro

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits, OutputKind.probabilities),
        labels=(LabelKind.class_index, LabelKind.token_tags, LabelKind.multi_hot),
    )
    mode: ClassVar[str] = "max"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def check(self, spec: TaskSpec) -> None:
        """Raise ValueError for an average that needs two classes."""
        check_class_average(self.average, spec)

    def build(self, spec: TaskSpec):
        return ratio_score(lambda c: (c.hits, c.actual), spec, self.average)
