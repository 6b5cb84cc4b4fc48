"""Fraction of right predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, MeanScore, OutputKind, TaskSpec, register


@register("metric", "accuracy")
@dataclass(frozen=True)
class Accuracy:
    """Fraction of examples, or of labelled tokens, whose most probable class is the label."""

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits, OutputKind.probabilities),
        labels=(LabelKind.class_index, LabelKind.token_tags),
    )
    mode: ClassVar[str] = "max"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def build(self, spec: TaskSpec):
        def hits(labels, outputs, xp):
            return xp.equal(labels, xp.argmax(outputs, axis=-1))

        return MeanScore(hits, "accuracy", ignore=-1)
