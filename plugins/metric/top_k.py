"""Share of right answers among the k likeliest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, TaskSpec, register
from xferlab.functional.metrics import mean_score


@register("metric", "top_k")
@dataclass(frozen=True)
class TopK:
    """Share of rows, or of labelled tokens, whose label is among the k likeliest classes.

    Of classes that are equally likely the first counts as the likelier, so that k=1 is accuracy.

    Attributes:
        k: how many classes may be named, >= 1 and below the number of classes.
    """

    k: int = 3

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits, OutputKind.probabilities),
        labels=(LabelKind.class_index, LabelKind.token_tags),
    )
    mode: ClassVar[str] = "max"

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k must be >= 1, got {self.k}")

    def build(self, spec: TaskSpec):
        from keras import ops

        if self.k >= spec.num_classes:
            raise ValueError(f"k is {self.k}, but there are only {spec.num_classes} classes")

        def hits(labels, outputs):
            right = ops.cast(ops.maximum(labels, 0), "int32")[..., None]
            own = ops.take_along_axis(outputs, right, axis=-1)
            earlier = ops.arange(spec.num_classes) < right
            before = (outputs > own) | ((outputs == own) & earlier)
            return ops.sum(ops.cast(before, "int32"), axis=-1) < self.k

        metric = mean_score(hits, "top_k", ignore=-1)
        metric.rates_sureness = True
        return metric
