"""Fraction of labels among the k most probable classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, MeanScore, OutputKind, TaskSpec, register


@register("metric", "top_k")
@dataclass(frozen=True)
class TopK:
    """Fraction of examples, or of labelled tokens, with the label among the k best classes.

    Of equally probable classes the first one comes first, so that k=1 is accuracy.

    Attributes:
        k: how many classes count, >= 1 and below the number of classes.
    """

    k: int = 3

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits, OutputKind.probabilities),
        labels=(LabelKind.class_index, LabelKind.token_tags),
    )
    mode: ClassVar[str] = "max"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k must be >= 1, got {self.k}")

    def check(self, spec: TaskSpec) -> None:
        """Raise ValueError for as few classes as k."""
        if self.k >= spec.num_classes:
            raise ValueError(f"k is {self.k}, but there are only {spec.num_classes} classes")

    def build(self, spec: TaskSpec):
        self.check(spec)

        def hits(labels, outputs, xp):
            right = xp.maximum(labels, 0)[..., None]
            own = xp.take_along_axis(outputs, right, axis=-1)
            is_earlier = xp.arange(spec.num_classes) < right
            is_before = (outputs > own) | ((outputs == own) & is_earlier)
            return xp.sum(is_before, axis=-1) < self.k

        metric = MeanScore(hits, "top_k", ignore=-1)
        metric.rates_confidence = True
        return metric
