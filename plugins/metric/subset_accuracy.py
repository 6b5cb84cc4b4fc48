"""Fraction of examples whose labels are all right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, MeanScore, OutputKind, TaskSpec, register


@register("metric", "subset_accuracy")
@dataclass(frozen=True)
class SubsetAccuracy:
    """Fraction of examples whose predicted labels are exactly the true ones."""

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits, OutputKind.probabilities), labels=(LabelKind.multi_hot,)
    )
    mode: ClassVar[str] = "max"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def build(self, spec: TaskSpec):
        threshold = 0.0 if spec.output_kind is OutputKind.logits else 0.5

        def hits(labels, outputs, xp):
            return xp.all((outputs > threshold) == (labels > 0.5), axis=-1)

        return MeanScore(hits, "subset_accuracy")
