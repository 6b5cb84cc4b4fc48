"""Share of rows whose labels are all right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xferlab import Accepts, LabelKind, OutputKind, TaskSpec, register
from xferlab.functional.metrics import mean_score


@register("metric", "subset_accuracy")
@dataclass(frozen=True)
class SubsetAccuracy:
    """Share of rows whose predicted labels are exactly theirs; for several labels a row."""

    accepts: ClassVar[Accepts] = Accepts(
        outputs=(OutputKind.logits, OutputKind.probabilities), labels=(LabelKind.multi_hot,)
    )
    mode: ClassVar[str] = "max"

    def build(self, spec: TaskSpec):
        from keras import ops

        threshold = 0.0 if spec.output_kind is OutputKind.logits else 0.5

        def hits(labels, outputs):
            return ops.all((outputs > threshold) == (labels > 0.5), axis=-1)

        return mean_score(hits, "subset_accuracy")
